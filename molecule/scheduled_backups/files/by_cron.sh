#!/bin/sh
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# See cron run the jobs: by_cron.sh REPOSITORY TOLD.
set -eux

repository=$1 told=$2
name=$(hostname)

test "$(find /etc/systemd/system -name 'drydock-backup-*' ! -name '*mine*' | wc -l)" = 0
test -z "$(systemctl list-timers --all --no-legend 'drydock-backup-*')"
made() { find "$repository/$name/scheduled-data" -name '*.json' | wc -l; }
before=$(made)
: >"$told"

# As at a boot.
rm -f /run/crond.reboot
systemctl restart cron.service
tries=0
until [ "$(made)" -gt "$before" ]; do
    tries=$((tries + 1))
    test "$tries" -lt 60
    sleep 1
done
timeout 60 sh -c "until grep scheduled-missing '$told'; do sleep 0.2; done"
grep 'drydock-backup-broken failed' "$told"
timeout 60 sh -c "until journalctl -t drydock-backup-data | grep 'volume scheduled-data: backup'; do sleep 0.2; done"

# One that is under way when its job is removed.
setsid /usr/local/sbin/drydock-cron drydock-backup-data 600 true >/dev/null 2>&1 &
until [ -e "/run/drydock-backup-data.$!" ]; do sleep 0.1; done
