#!/bin/sh
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# From a root file system with packages to a guest's: customize.sh ROOT. mmdebstrap runs it as its last hook.
set -eu

root=$1
here=$(cd -- "$(dirname -- "$0")" && pwd)

# The kernel is not in the guest, but its modules are. Docker doesn't load all that it needs.
mkdir -p "$root/usr/lib/modules"
cp -r /usr/lib/uml/modules/. "$root/usr/lib/modules/"
for version in "$root"/usr/lib/modules/*; do
    chroot "$root" depmod "${version##*/}"
done
cat >"$root/etc/modules-load.d/drydock.conf" <<'MODULES'
overlay
bridge
br_netfilter
veth
iptable_nat
iptable_filter
xt_MASQUERADE
xt_conntrack
xt_addrtype
nfs
nfsv4
nfsd
MODULES

# The kernel's nf_tables has no nat table.
chroot "$root" update-alternatives --quiet --set iptables /usr/sbin/iptables-legacy
chroot "$root" update-alternatives --quiet --set ip6tables /usr/sbin/ip6tables-legacy

# A server that has just started doesn't let anybody open a file for that long, lest a client of its former life claims
# it: seconds; these are the least.
cat >"$root/etc/nfs.conf" <<'NFS'
[nfsd]
vers3=n
grace-time=10
lease-time=10
NFS

install -m 0755 "$here/boot.sh" "$root/usr/local/sbin/drydock-boot"
cat >"$root/etc/systemd/system/drydock-boot.service" <<'UNIT'
[Unit]
Description=What makes this guest one of its own
DefaultDependencies=no
After=local-fs.target systemd-modules-load.service
Before=network.target ssh.service shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/drydock-boot

[Install]
WantedBy=sysinit.target
UNIT

# Nobody sits in front of it. (udev is there: fstab names disks by the links that it makes.)
systemctl --quiet --root="$root" mask \
    systemd-timesyncd.service systemd-logind.service getty.target timers.target
systemctl --quiet --root="$root" enable drydock-boot.service ssh.service docker.service nfs-server.service
systemctl --quiet --root="$root" set-default multi-user.target

# Each guest is one of its own: an id and an ssh key are made at first boot, not shared through the image.
: >"$root/etc/machine-id"
: >"$root/etc/fstab"
rm -f "$root"/etc/ssh/ssh_host_*
