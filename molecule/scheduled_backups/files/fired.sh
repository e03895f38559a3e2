#!/bin/sh
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# See a timer fire, and nothing left of the job that was removed: fired.sh REPOSITORY METRICS.
set -eux

repository=$1 metrics=$2
name=$(hostname)
fails() { if "$@"; then exit 1; fi; }

made() { find "$repository/$name/scheduled-data" -name '*.json' | wc -l; }
tries=0
until [ "$(made)" -ge 2 ]; do
    tries=$((tries + 1))
    test "$tries" -lt 60
    sleep 1
done
systemctl show -p Result --value drydock-backup-data.timer | grep success

# It starts on time, as it was told to; others wait for their part of the delay.
fails grep Delay /etc/systemd/system/drydock-backup-data.timer
grep FixedRandomDelay=true /etc/systemd/system/drydock-drill-data-drill.timer

# Nothing of it anywhere, but for what the journal tells of its runs.
fails systemctl cat drydock-backup-broken.timer
test "$(systemctl --failed --no-legend 'drydock-backup-*' | wc -l)" = 0
test "$(systemctl list-units --all --no-legend 'drydock-backup-broken*' | wc -l)" = 0
test -z "$(find /etc /usr/local /var/lib/drydock /var/lib/systemd -name '*broken*')"
systemctl start drydock-metrics.service
fails grep broken "$metrics/drydock.prom"

# What isn't the role's stays.
test -e /etc/systemd/system/drydock-backup-mine.service
test -e /etc/drydock/jobs.d/mine.json

# Now that all is well the dead man's switch hears of it. (The job that is somebody else's has no backup.)
mv /etc/drydock/jobs.d/mine.json /run/scheduled/
systemctl start drydock-ping.service
mv /run/scheduled/mine.json /etc/drydock/jobs.d/
timeout 30 sh -c 'until journalctl -u scheduled-listener | grep a-secret-address; do sleep 0.2; done'
fails sh -c "journalctl -u 'drydock-*' | grep a-secret-address"
