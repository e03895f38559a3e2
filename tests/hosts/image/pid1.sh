#!/bin/sh
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PID 1 of a test host: make writable what the outer engine leaves read-only, then become systemd.
# Without this systemd boots, but the host's own engine can't create a cgroup for a container.
set -eu

# /sys, /proc/sys and each cgroup hierarchy, in the order they were mounted.
awk '$2 == "/sys" || $2 == "/proc/sys" || $3 ~ /^cgroup/ { print $2 }' /proc/mounts |
    while read -r mounted; do
        mount -o remount,bind,rw "$mounted"
    done
# As on a real machine: a mount made in one mount namespace is seen in the others.
mount --make-rshared /

exec /lib/systemd/systemd
