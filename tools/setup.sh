#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Make everything that the other targets run:
#   .venv                              the tools, from requirements/dev.txt
#   .venv/envs/core-2.x                one ansible-core each, for the sanity and unit tests
#   .venv/collections/ansible_collections/drydock/volumes -> the checkout
# and install the Debian packages of tools/system-packages.txt that are missing.
# A second run compares a hash and ends.
set -euo pipefail

cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}

say() { printf 'setup: %s\n' "$*"; }
die() {
    say "$*" >&2
    exit 1
}

install_system_packages() {
    local wanted missing=()
    mapfile -t wanted < <(sed 's/#.*//; /^[[:space:]]*$/d' tools/system-packages.txt)
    if ! command -v dpkg-query >/dev/null; then
        say "no Debian system: see to it that these are installed: ${wanted[*]}" >&2
        return
    fi
    local installed
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null |
        sed -n 's/^installed //p' || true)
    for package in "${wanted[@]}"; do
        grep -qxF "$package" <<<"$installed" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] || die "missing packages; as root: apt-get install ${missing[*]}"
    say "installing ${missing[*]}"
    apt-get -qq update || say "apt-get update failed; trying with the lists that are there" >&2
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null ||
        die "apt-get could not install: ${missing[*]}"
}

check_python() {
    command -v "$PYTHON" >/dev/null || die "no $PYTHON here: install Python 3.11 or 3.12, or name it: make PYTHON=…"
    "$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' ||
        die "$PYTHON is $("$PYTHON" -V 2>&1), but ansible-core 2.18 and 2.19 are tested together on" \
            "Python 3.11 or 3.12: make PYTHON=python3.11 …"
}

# The same hash means the same environment. The checkout's path is in it: environments cannot be moved.
# Raise the layout's number when this script makes .venv differently.
fingerprint() {
    echo "layout 1"
    pwd -P
    "$PYTHON" -c 'import sys; print(sys.version, sys.base_prefix)'
    sha256sum requirements/*.txt
}

environment() { # DIRECTORY REQUIREMENTS
    "$PYTHON" -m venv "$1" && "$1/bin/pip" install -qq --no-input --disable-pip-version-check \
        --no-compile -r "$2"
}

# One caller at a time.
exec 9<tools/setup.sh
flock 9

install_system_packages
check_python

stamp=.venv/setup-stamp
now=$(fingerprint | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null || true)" = "$now" ]; then
    say "up to date"
    exit 0
fi

say "making .venv with $("$PYTHON" -V), about a minute"
rm -rf .venv
jobs=()
for file in requirements/core-*.txt; do
    environment ".venv/envs/$(basename "$file" .txt)" "$file" &
    jobs+=("$!")
done
environment .venv requirements/dev.txt || die "could not install requirements/dev.txt; pip says why above"
for job in "${jobs[@]}"; do
    wait "$job" || die "could not install a requirements/core-*.txt; pip says why above"
done

mkdir -p .venv/collections/ansible_collections/drydock
ln -sfn ../../../.. .venv/collections/ansible_collections/drydock/volumes
echo "$now" >"$stamp"
say "done in $SECONDS s"
