#!/bin/sh
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Remove what the roles have left in place on purpose, and what the scenario made: clean.sh PATH …
set -ux

systemctl disable --now drydock-metrics.timer drydock-ping.timer drydock-recover.service
systemctl stop scheduled-listener.service
docker rm --force scheduled-data
docker volume rm scheduled-data scheduled-overlay
docker rmi scheduled-empty
rm -rf "$@" /run/scheduled /etc/drydock /var/lib/drydock /etc/systemd/system/drydock-* /etc/cron.d/drydock-* \
    /usr/local/sbin/drydock-cron
systemctl daemon-reload
systemctl reset-failed
