# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The habits of this project. `make` lists them; CONTRIBUTING.md tells when to use which.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The Python that .venv is made with: 3.11 or 3.12.
PYTHON ?= python3
export PYTHON

# The lines of ansible-core that the sanity and unit tests run on: requirements/core-*.txt.
CORES := 2.19 2.18
BIN := $(CURDIR)/.venv/bin
COLLECTIONS := $(CURDIR)/.venv/collections
ANSIBLE := ANSIBLE_COLLECTIONS_PATH=$(COLLECTIONS) PATH=$(BIN):$$PATH

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z][a-z-]*):.*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
	    printf '  make %-12s %s\n' "$$name" "$$text"; done

.PHONY: setup
setup: ## make .venv and install the Debian packages that are missing
	@tools/setup.sh

.PHONY: engine
engine: ## leave an answering Docker Engine
	@tools/engine.sh

.PHONY: demo
demo: setup engine ## back up, destroy and restore three volumes
	@$(ANSIBLE) ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_INVENTORY_UNPARSED_WARNING=false \
	    ansible-playbook drydock.volumes.demo

.PHONY: test
test: setup engine ## run all tests: lint unit sanity hosts molecule integration faults
	@tools/test.sh

.PHONY: lint
lint: setup ## run the linters
	@tools/lint.sh

.PHONY: sanity
sanity: setup $(CORES:%=sanity-%) ## run ansible-test's sanity tests on each ansible-core

.PHONY: $(CORES:%=sanity-%)
$(CORES:%=sanity-%): sanity-%: setup
	@tools/sanity.sh $*

.PHONY: unit
unit: setup $(CORES:%=unit-%) ## run the unit tests, and those that meet Ansible on each ansible-core

# All of them on the first one; on the others those for which it makes a difference: they name Ansible, or what imports
# it here. Of these ARGS may choose none.
MEET_ANSIBLE := (^|[^_])\bansible\b[. ]|plugins\.(modules|filter)|_module\b
.PHONY: $(CORES:%=unit-%)
$(CORES:%=unit-%): unit-%: setup
	@echo "unit: ansible-core $*"
	@PYTHONPATH=$(COLLECTIONS) .venv/envs/core-$*/bin/python -m pytest $(ARGS) \
	    $(if $(filter $*,$(firstword $(CORES))),tests/unit, \
	        $$(grep -lE '$(MEET_ANSIBLE)' tests/unit/test_*.py) $(if $(ARGS),|| [ $$? -eq 5 ]))

.PHONY: integration
integration: setup engine ## run the tests against the real engine
	@tests/support/databases/image.sh >/dev/null
	@$(ANSIBLE) python -m pytest tests/integration $(ARGS)

.PHONY: faults
faults: setup engine ## run the tests that break things
	@$(ANSIBLE) python -m pytest tests/faults $(ARGS)

.PHONY: hosts
hosts: setup ## run the tests on a host with a kernel of its own: NFS
	@tests/hosts/uml.sh >/dev/null
	@$(ANSIBLE) python -m pytest tests/hosts $(ARGS)

.PHONY: molecule
molecule: setup engine ## converge the scenarios on real hosts
	@tools/molecule.sh

.PHONY: bench
bench: setup engine ## measure backup and restore beside tar in a container and a plain pipe
	@$(ANSIBLE) python -m tests.bench $(ARGS)

.PHONY: docs
docs: setup ## build the modules' documentation into build/docs
	@tools/docs.sh

.PHONY: build
build: setup ## build the collection's archive into build/
	@mkdir -p build
	@$(ANSIBLE) ansible-galaxy collection build --output-path build/ --force

.PHONY: clean
clean: ## remove everything that make put into the checkout
	rm -rf .venv .cache build tests/output .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
