#!/bin/sh
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# From a root file system with packages to a host's: customize.sh ROOT. mmdebstrap runs it as its last hook.
set -eu

root=$1
here=$(cd -- "$(dirname -- "$0")" && pwd)

install -m 0755 "$here/pid1.sh" "$root/usr/local/sbin/pid1"

# What waits for hardware, or would fight the outer engine over the kernel's modules, the network and the console.
systemctl --quiet --root="$root" mask \
    systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service \
    systemd-modules-load.service systemd-networkd.service systemd-resolved.service systemd-logind.service \
    getty.target console-getty.service
systemctl --quiet --root="$root" set-default multi-user.target

# Each host is one of its own: an id and ssh keys are made at first boot, not shared through the image.
: >"$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_*
mkdir -p "$root/etc/systemd/system/ssh.service.d"
cat >"$root/etc/systemd/system/ssh.service.d/host-keys.conf" <<'UNIT'
[Service]
ExecStartPre=
ExecStartPre=/usr/bin/ssh-keygen -A
ExecStartPre=/usr/sbin/sshd -t
UNIT
