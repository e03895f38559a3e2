#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Write requirements/NAME.txt from requirements/NAME.in: the newest versions that fit together, each pinned.
# Usage: tools/lock.sh [NAME …]; without a name all of them.
set -euo pipefail

cd "$(dirname "$0")/../requirements"
PYTHON=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ $# -eq 0 ]; then
    for file in *.in; do set -- "$@" "${file%.in}"; done
fi

for name in "$@"; do
    echo "lock: $name"
    "$PYTHON" -m venv "$work/$name"
    "$work/$name/bin/pip" install --quiet --disable-pip-version-check -r "$name.in"
    {
        # REUSE-IgnoreStart
        echo "# SPDX-FileCopyrightText: 2026 drydock.volumes contributors"
        echo "# SPDX-License-Identifier: GPL-3.0-or-later"
        # REUSE-IgnoreEnd
        echo "#"
        echo "# Locked from $name.in by: tools/lock.sh $name"
        # Names and versions only: no index, no path of the machine that wrote it.
        "$work/$name/bin/pip" list --disable-pip-version-check --format=freeze --exclude pip --exclude setuptools
    } >"$work/$name.txt"
    mv "$work/$name.txt" "$name.txt"
done
