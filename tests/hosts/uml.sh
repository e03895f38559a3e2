#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Leave the disk image of a guest with a kernel of its own, and print its path: uml.sh [SUITE].
#
# A guest is a User-mode Linux (an ordinary process) with systemd, Docker, and an NFS client and server (uml/ is the
# recipe, guest.py starts one). Guests never write to the image: each has a copy-on-write file in front of it. The name
# carries a digest of the recipe and of the kernel's version; it lies outside the checkout, so an unchanged recipe costs
# nothing. A cached image keeps the packages of its day: delete it to have newer ones.
set -euo pipefail
umask 077

suite=${1:-bookworm}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/drydock/hosts
SIZE=4G # most of it a hole

say() { printf 'uml: %s\n' "$*" >&2; }

for tool in linux.uml mmdebstrap mke2fs; do
    if ! command -v "$tool" >/dev/null; then say "$tool is missing: run 'make setup' as root first" && exit 1; fi
done

if ! { [ -c /dev/net/tun ] && (: <>/dev/net/tun); } 2>/dev/null; then
    say "/dev/net/tun is missing or can't be opened, and a guest has no other network: as root on the machine itself" \
        "'modprobe tun'; a container or a virtual machine must be given the device" && exit 1
fi

kernel=$(dpkg-query -W -f '${Version}' user-mode-linux)
digest=$({ echo "$suite $kernel $SIZE" && cd "$here" && sha256sum -- uml.sh uml/*; } | sha256sum | cut -c1-12)
image=$cache/uml-$suite-$digest.img

done_with() { echo "$image" && exit 0; }
if [ -f "$image" ]; then done_with; fi

# One builder at a time; a second one waits and then finds the work done. The lock goes with the process.
mkdir -p "$cache"
exec 9>"$cache/uml.lock"
flock 9
if [ -f "$image" ]; then done_with; fi

say "building $image (a minute)"
work=$(mktemp -d "$image.XXXXXX")
trap 'rm -rf --one-file-system -- "$work"' EXIT
mkdir -m 0755 "$work/root"
if ! "$here/uml/bootstrap.sh" "$suite" 2>"$work/log" 9>&- | tar -x --numeric-owner --xattrs --xattrs-include='*' -C "$work/root"; then
    tail -n 20 "$work/log" >&2
    say "bootstrapping $suite failed; the last lines are above"
    exit 1
fi
truncate -s "$SIZE" "$work/image"
mke2fs -q -t ext4 -m 0 -E nodiscard -d "$work/root" "$work/image"
mv -- "$work/image" "$image"
done_with
