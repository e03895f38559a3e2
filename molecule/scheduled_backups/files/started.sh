#!/bin/sh
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Start every job's service: started.sh REPOSITORY METRICS TOLD. What should work works, what fails is seen to fail, and
# hardening has taken nothing away.
set -eux

repository=$1 metrics=$2 told=$3
name=$(hostname)
fails() { if "$@"; then exit 1; fi; }

# A volume whose container is stopped meanwhile, and one that Docker mounts only then.
before=$(docker inspect -f '{{.State.StartedAt}}' scheduled-data)
systemctl start drydock-backup-data.service
test "$before" != "$(docker inspect -f '{{.State.StartedAt}}' scheduled-data)"
test "$(docker inspect -f '{{.State.Running}}' scheduled-data)" = true
test "$(find "$repository/$name/scheduled-data" -name '*.json' | wc -l)" = 1
zstd -dc "$repository/$name"/scheduled-overlay/*.tar.zst | tar -t | grep lower-file
zstd -dc "$repository/$name"/scheduled-data/*.tar.zst | tar -tv >/tmp/listing
grep '^-rws.*setuid' /tmp/listing
grep '^c.*device' /tmp/listing

# Extra variables are for the role of their name alone.
grep DRYDOCK_TEST_WORDS /etc/systemd/system/drydock-backup-data.service
fails grep DRYDOCK_TEST_WORDS /etc/systemd/system/drydock-drill-data-drill.service

# The backup of a device node, a setuid file and trusted.* attributes restores.
before=$(docker volume ls -q)
systemctl start drydock-drill-data-drill.service
test "$(docker volume ls -q)" = "$before"

# A failure is seen by systemd, by Prometheus and by whoever is told.
fails systemctl start drydock-backup-broken.service
systemctl --failed | grep drydock-backup-broken.service
systemctl start drydock-metrics.service
grep '^drydock_job_success{.*name="data".* 1$' "$metrics/drydock.prom"
grep '^drydock_job_success{.*name="broken".* 0$' "$metrics/drydock.prom"
grep '^drydock_drill_success{.*volume="scheduled-data".* 1$' "$metrics/drydock.prom"
test "$(stat -c %a "$metrics/drydock.prom")" = 644
timeout 30 sh -c "until grep 'scheduled-missing' '$told'; do sleep 0.2; done"
grep 'drydock-backup-broken.service failed' "$told"

# While a job fails, nobody is told that all is well.
mkdir -p /run/scheduled
touch /run/scheduled/a-secret-address
systemd-run --unit scheduled-listener python3 -m http.server 8123 --bind 127.0.0.1 --directory /run/scheduled
timeout 30 sh -c 'until python3 -c "import socket; socket.create_connection((\"127.0.0.1\", 8123))"; do sleep 0.2; done'
systemctl start drydock-ping.service
journalctl -u drydock-ping.service | grep 'not safe'
fails sh -c 'journalctl -u scheduled-listener | grep a-secret-address'

# What only root may read only root can.
test "$(find /etc/drydock ! -perm 0600 ! -perm 0700 | wc -l)" = 0
test "$(stat -c %U:%a /etc/drydock/jobs.d/data.json)" = root:600
fails grep -rq a-secret-address /etc/systemd/system

# Somebody else's unit and job, for what comes next.
printf '[Service]\nExecStart=/bin/true\n' >/etc/systemd/system/drydock-backup-mine.service
echo '{"action": "backup", "volumes": ["a"], "repository": "/srv/scheduled"}' >/etc/drydock/jobs.d/mine.json
