#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Run Molecule's scenarios, or the one named: tools/molecule.sh [SCENARIO]. The hosts are made once for all of them
# and are gone afterwards, whatever happened. Needs `make setup` and `make engine`.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

if [ ! -x .venv/bin/molecule ]; then echo "molecule: no .venv/bin/molecule: run 'make setup' first" >&2 && exit 1; fi
if ! docker version >/dev/null 2>&1; then echo "molecule: no Docker Engine answers: run 'make engine' first" >&2 && exit 1; fi

# The hosts of one checkout have fixed names: a second run would take them away from the first.
exec 9<molecule
if ! flock -n 9; then echo "molecule: another run is under way in this checkout" >&2 && exit 1; fi

export PATH=$PWD/.venv/bin:$PATH
export ANSIBLE_COLLECTIONS_PATH=$PWD/.venv/collections
export MOLECULE_GLOB='molecule/*/molecule.yml'
export MOLECULE_PROJECT_DIRECTORY=$PWD
if [ ! -t 1 ]; then
    export NO_COLOR=1 ANSIBLE_NOCOLOR=1 ANSIBLE_FORCE_COLOR=0 PY_COLORS=0
fi

# The guests, hosts with their own kernel, take a while to boot: those groups of them that a scenario names. They end
# with us.
MOLECULE_GUESTS=$(grep -rhosE '\bguest_[a-z]+' --include='*.yml' "molecule/${1:-}" | sort -u || true)
export MOLECULE_GUESTS MOLECULE_KEEPER=$$

# Molecule's own memory of a crashed run would have it skip the creation of hosts: it starts without any.
MOLECULE_EPHEMERAL_DIRECTORY=$(mktemp -d)
export MOLECULE_EPHEMERAL_DIRECTORY
# It keeps one time stamp for all scenarios that share state, and warns of each file that has another.
touch -d now molecule/*/molecule.yml

molecule=(molecule --base-config .config/molecule/config.yml)
# Two at a time, since a scenario waits for its hosts most of the time; each names hosts and volumes that are its own.
scenarios=(--all --workers 2 --continue-on-failure)
[ $# -eq 0 ] || scenarios=(--scenario-name "$1")

# Molecule destroys after a test that failed, but not when it is stopped or when creating failed.
clean_up() {
    local status=$?
    set +e
    trap '' INT TERM
    if [ "$status" -ne 0 ]; then
        kill -- "-$running" 2>/dev/null && wait "$running"
        "${molecule[@]}" destroy --scenario-name default >/dev/null
    fi
    rm -rf -- "$MOLECULE_EPHEMERAL_DIRECTORY"
}

# Job control gives Molecule and its playbooks a process group of their own, which one signal ends.
set -m
"${molecule[@]}" test "${scenarios[@]}" </dev/null &
running=$!
trap clean_up EXIT
trap 'exit 130' INT TERM
wait "$running"
