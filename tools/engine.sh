#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Leave an answering Docker Engine: the one that is there, else Debian's, started here.
# It never starts a second dockerd on the host, and never touches one that answers.
set -euo pipefail

LOG=${DRYDOCK_DOCKERD_LOG:-/var/log/drydock-dockerd.log}
LIMIT=${DRYDOCK_ENGINE_TIMEOUT:-60} # seconds to wait for an answer
LOCK=/run/lock/drydock-engine.lock

say() { printf 'engine: %s\n' "$*"; }

# Print what stopped us, the engine's own last words, and leave.
die() {
    say "$*" >&2
    if [ -s "$LOG" ]; then
        say "the last lines of $LOG:" >&2
        tail -n 20 "$LOG" >&2
    fi
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

answers() { have docker && timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

report() {
    docker version --format '{{.Server.Version}} (API {{.Server.APIVersion}})' | sed 's/^/engine: answers, Docker Engine /'
    exit 0
}

# The process id of this host's dockerd. A container's own dockerd (test hosts have one) shows up in the
# host's process table too; its pid namespace tells it apart.
running() {
    local pid
    for pid in $(pgrep -x dockerd || true); do
        if [ "$(readlink "/proc/$pid/ns/pid" 2>/dev/null)" = "$(readlink /proc/self/ns/pid)" ]; then
            echo "$pid"
            return 0
        fi
    done
    return 1
}

# dockerd refuses to start when its pid file names a living process, whatever that process is.
drop_stale_pid_file() { # FILE NAME-OF-THE-PROCESS
    local pid
    [ -f "$1" ] || return 0
    pid=$(cat "$1")
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != "$2" ]; then
        say "removing the stale $1 (process $pid is no $2)"
        rm -f "$1"
    fi
}

# Start dockerd in a session of its own, holding none of our files: neither make nor CI waits for it.
start() {
    drop_stale_pid_file /var/run/docker.pid dockerd
    drop_stale_pid_file /var/run/docker/containerd/containerd.pid containerd
    say "starting dockerd, log in $LOG"
    (
        for fd in /proc/"$BASHPID"/fd/*; do
            fd=${fd##*/}
            if [ "$fd" -gt 2 ]; then eval "exec $fd>&-"; fi
        done
        cd /
        exec setsid nohup dockerd >>"$LOG" 2>&1 </dev/null
    ) &
}

install() {
    local packages=(docker.io iptables)
    have apt-get || die "there is no dockerd and no apt-get: install Docker Engine, then run this again"
    say "installing ${packages[*]}"
    apt-get -qq update || say "apt-get update failed; trying with the lists that are there" >&2
    # From trixie on the client is a package of its own.
    if apt-cache show docker-cli >/dev/null 2>&1; then packages+=(docker-cli); fi
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq install -y --no-install-recommends "${packages[@]}" >/dev/null ||
        die "apt-get could not install ${packages[*]}"
}

if answers; then report; fi
if [ -n "${DOCKER_HOST:-}" ]; then
    die "DOCKER_HOST=$DOCKER_HOST does not answer: start that engine, or unset DOCKER_HOST"
fi
[ "$(id -u)" -eq 0 ] ||
    die "no answer from Docker for user $(id -un): run this as root, or start Docker and join the group docker"

# One caller at a time: two would each start a dockerd.
exec 9>"$LOCK"
flock -w 180 9 || die "another run of this script holds $LOCK"
if answers; then report; fi

if ! have dockerd || ! have docker || ! have iptables; then install; fi

if [ -d /run/systemd/system ]; then
    systemctl start docker || die "systemctl start docker failed: see 'journalctl -u docker'"
fi

deadline=$((SECONDS + LIMIT))
started=
while ! answers; do
    if ! running >/dev/null && [ ! -d /run/systemd/system ]; then
        [ -z "$started" ] || ! sleep 1 || running >/dev/null || die "dockerd ended at once"
        if [ -z "$started" ]; then
            start
            started=yes
            sleep 0.5
        fi
    fi
    [ "$SECONDS" -lt "$deadline" ] || die "no answer within $LIMIT s: $(docker version 2>&1 | tail -n 1)"
    sleep 0.2
done
report
