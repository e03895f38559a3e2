#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Run all of ansible-test's sanity tests with one ansible-core.
# Usage: tools/sanity.sh VERSION [ARGUMENT …], for example: tools/sanity.sh 2.19 --test validate-modules
#
# They run in a copy of the files that git would take, at the path ansible-test asks for, so that neither .venv nor
# a cache is in their way. ansible-test keeps its tests' environments in ~/.ansible/test/venv: the next run has them.
set -euo pipefail

version=${1:?usage: tools/sanity.sh VERSION [ARGUMENT …]}
shift
cd "$(dirname "$0")/.."
environment=$PWD/.venv/envs/core-$version
[ -x "$environment/bin/ansible-test" ] || {
    echo "sanity: no ansible-core $version here: run 'make setup'" >&2
    exit 1
}
export PATH=$environment/bin:$PATH
python=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')

# ansible-test brings pip into its environments with a downloaded script, cached under a name that holds the version.
# Every Python carries a pip of its own, so a script of that name that asks ensurepip needs no download.
pip=$(python -c 'import sys, types
from ansible_test._internal.python_requirements import get_venv_packages
print(get_venv_packages(types.SimpleNamespace(version=sys.argv[1]))["pip"].replace(".", "_"))' "$python")
shim=$HOME/.ansible/test/cache/get_pip_$pip.py
if [ ! -e "$shim" ]; then
    mkdir -p "$(dirname "$shim")"
    printf '%s\n' 'import ensurepip' '' 'ensurepip.bootstrap()' >"$shim"
fi

copy=$(mktemp -d "${TMPDIR:-/tmp}/drydock-sanity.XXXXXXXX")
log=$copy/log
trap 'rm -rf "$copy"' EXIT
collection=$copy/ansible_collections/drydock/volumes
mkdir -p "$collection"
# --ignore-missing-args: a file may be deleted in the work tree and still be in the index.
git ls-files -z -co --exclude-standard | rsync -a --ignore-missing-args --from0 --files-from=- . "$collection/"

status=0
cd "$collection"
ansible-test sanity --local --requirements --python "$python" --color no "$@" 2>&1 | tee "$log" || status=$?

# The closing line that tools/test.sh adds up.
ran=$(grep -c '^Running sanity test' "$log" || true)
failed=$(sed -nE 's/.*The ([0-9]+) sanity test\(s\) listed below .*/\1/p' "$log" | tail -n 1)
failed=${failed:-$((status != 0))}
echo "sanity with ansible-core $version: $((ran - failed)) passed, $failed failed"
exit "$status"
