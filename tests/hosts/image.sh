#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Leave the image of a test host in the Docker Engine, and print its name: image.sh [SUITE].
#
# A host is a container with systemd as PID 1 and a Docker Engine of its own (image/ is the recipe). Nothing is
# pulled: the root file system is bootstrapped from Debian's packages and imported. The name carries a digest of the
# recipe, and the tarball is cached outside the checkout under that name, so an unchanged recipe costs nothing.
# A cached tarball keeps the packages of its day: delete it to have newer ones.
set -euo pipefail
umask 077

suite=${1:-bookworm}
recipe=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/image" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/drydock/hosts

say() { printf 'image: %s\n' "$*" >&2; }

digest=$({ echo "$suite" && cd "$recipe" && sha256sum -- *; } | sha256sum | cut -c1-12)
image=drydock-host:$suite-$digest
tarball=$cache/$suite-$digest.tar.zst

present() { docker image inspect "$image" >/dev/null 2>&1; }
done_with() { echo "$image" && exit 0; }

if present; then done_with; fi
if ! docker version >/dev/null 2>&1; then say "no Docker Engine answers: run 'make engine' first" && exit 1; fi

# One builder at a time; a second one waits and then finds the work done. The lock goes with the process.
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if present; then done_with; fi

if [ ! -f "$tarball" ]; then
    say "building $tarball (a minute)"
    for tool in mmdebstrap zstd; do
        if ! command -v "$tool" >/dev/null; then say "$tool is missing: apt-get install $tool" && exit 1; fi
    done
    unfinished=$(mktemp "$tarball.XXXXXX")
    trap 'rm -f -- "$unfinished" "$unfinished.log"' EXIT
    if ! "$recipe/bootstrap.sh" "$suite" 2>"$unfinished.log" 9>&- | zstd -q -T0 -f -o "$unfinished"; then
        tail -n 20 "$unfinished.log" >&2
        say "bootstrapping $suite failed; the last lines are above"
        exit 1
    fi
    mv -- "$unfinished" "$tarball"
fi

say "importing $image"
zstd -dcq -- "$tarball" | docker import \
    --change 'ENTRYPOINT ["/usr/local/sbin/pid1"]' \
    --change 'ENV container=docker' \
    - "$image" >/dev/null
done_with
