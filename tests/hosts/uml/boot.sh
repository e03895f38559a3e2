#!/bin/sh
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What makes a guest of the shared image one of its own, at each boot: its address, the key that may log in, and a host
# key. They come with the kernel's command line: drydock.address=A.B.C.D/30 drydock.key=BASE64 (of an ed25519 key).
set -eu

read -r arguments </proc/cmdline
for argument in $arguments; do
    value=${argument#*=}
    case $argument in
        drydock.address=*)
            ip link set dev lo up
            ip address replace "$value" dev vec0
            ip link set dev vec0 up
            ;;
        drydock.key=*)
            mkdir -p /root/.ssh
            echo "ssh-ed25519 $value" >/root/.ssh/authorized_keys
            ;;
    esac
done
[ -e /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
