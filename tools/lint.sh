#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Run every linter, also after one has failed, and say which did. None of them needs a network.
# Usage: tools/lint.sh [NAME …]; without a name all of them.
set -uo pipefail

cd "$(dirname "$0")/.." || exit
[ -x .venv/bin/ansible-lint ] || {
    echo "lint: no .venv here: run 'make setup'" >&2
    exit 1
}
export PATH=$PWD/.venv/bin:$PATH
export ANSIBLE_COLLECTIONS_PATH=$PWD/.venv/collections

all=(ruff-check ruff-format mypy yamllint ansible-lint shell reuse changelog docs role-readmes)

ruff-check() { ruff check --output-format concise .; }
ruff-format() { ruff format --check --diff .; }
# Through the link, so that the modules have their real names.
mypy() {
    (cd .venv/collections &&
        command mypy --config-file ../../pyproject.toml ansible_collections/drydock/volumes/plugins)
}
yamllint() { command yamllint --strict .; }
ansible-lint() { command ansible-lint --offline --profile production --strict --nocolor -q; }
shell() {
    # Every file that git would take and that begins as a shell script does.
    git ls-files -z -co --exclude-standard |
        while IFS= read -r -d '' file; do
            if [ -f "$file" ] && head -n 1 "$file" | grep -aqE '^#!.*[/ ](ba|da)?sh( |$)'; then printf '%s\0' "$file"; fi
        done | xargs -0 -r shellcheck
}
reuse() { command reuse lint --quiet || command reuse lint; }
changelog() { antsibull-changelog lint; }
role-readmes() { python tools/role_readmes.py --check; }
docs() { antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck .; }

failed=()
[ $# -gt 0 ] || set -- "${all[@]}"
for name; do
    printf -- '--- %s\n' "$name"
    start=$SECONDS
    if "$name"; then
        printf '    ok, %s s\n' $((SECONDS - start))
    else
        printf '    FAILED: tools/lint.sh %s\n' "$name"
        failed+=("$name")
    fi
done
[ ${#failed[@]} -eq 0 ] || echo "lint failed: ${failed[*]}" >&2
echo "lint: $(($# - ${#failed[@]})) passed, ${#failed[@]} failed"
[ ${#failed[@]} -eq 0 ]
