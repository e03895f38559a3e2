#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Build the modules' documentation as HTML: build/docs/index.html. Needs no network.
set -euo pipefail

cd "$(dirname "$0")/.."
export PATH=$PWD/.venv/bin:$PATH
export ANSIBLE_COLLECTIONS_PATH=$PWD/.venv/collections
version=$(sed -n 's/^version: //p' galaxy.yml)

rm -rf build/docs build/docs-source
mkdir -p build/docs build/docs-source
antsibull-docs collection --use-current --fail-on-error --squash-hierarchy --no-breadcrumbs \
    --dest-dir build/docs-source drydock.volumes

cat >build/docs-source/conf.py <<CONF
project = "drydock.volumes"
release = version = "$version"
extensions = ["sphinx_antsibull_ext"]
html_theme = "alabaster"
html_show_copyright = False
default_role = "any"
nitpicky = False
# Links into Ansible's own documentation would be looked up over the network.
suppress_warnings = ["ref.ref", "ref.any", "ref.envvar", "toc.not_included"]
CONF
sphinx-build -q -b html build/docs-source build/docs
echo "docs: build/docs/index.html"
