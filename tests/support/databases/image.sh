#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Leave an image with Debian's databases in the Docker Engine, and print its name.
#
# Nothing is pulled: the root file system is bootstrapped from Debian's packages, as that of the test hosts is, and
# imported. The name carries a digest of the recipe, so an unchanged recipe costs nothing. An image keeps the packages
# of its day: remove it to have newer ones.
set -euo pipefail
umask 077

suite=bookworm # the one that has the packages in packages.txt
recipe=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
bootstrap=$(cd -- "$recipe/../../hosts/image" && pwd)/bootstrap.sh

say() { printf 'databases: %s\n' "$*" >&2; }

digest=$(cat -- "$recipe"/* "$bootstrap" | sha256sum | cut -c1-12)
image=drydock-databases:$suite-$digest

present() { docker image inspect "$image" >/dev/null 2>&1; }
done_with() { echo "$image" && exit 0; }

if present; then done_with; fi
if ! docker version >/dev/null 2>&1; then say "no Docker Engine answers: run 'make engine' first" && exit 1; fi
if ! command -v mmdebstrap >/dev/null; then say "mmdebstrap is missing: run 'make setup' as root first" && exit 1; fi

# One builder at a time; a second one waits and then finds the work done. The lock goes with the process.
exec 9<"$recipe/packages.txt"
flock 9
if present; then done_with; fi

say "building $image (a minute)"
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
# It takes the packages and the hook that lie beside it.
ln -s -- "$bootstrap" "$recipe/packages.txt" "$recipe/customize.sh" "$work/"
# The name comes last: what has it is whole.
if ! made=$("$work/bootstrap.sh" "$suite" 2>"$work/log" 9<&- | docker import - 2>>"$work/log" 9<&-); then
    [ -z "${made-}" ] || docker image rm "$made" >/dev/null
    tail -n 20 "$work/log" >&2
    say "bootstrapping $suite failed; the last lines are above"
    exit 1
fi
docker tag "$made" "$image"
done_with
