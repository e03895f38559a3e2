# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command's help says."""

from __future__ import annotations

PROGRAM = "drydock-volumes"
PURPOSE = "Back up, prove and restore the data in Docker volumes."

#: What the manual page begins with, a paragraph each.
DESCRIPTION = """\
It does what the modules of the Ansible collection drydock.volumes do, with the same options by the same names:
keep_daily of retention is --retention.keep-daily here. An option that has options of its own also takes JSON, or
key=value,key=value. A list is given as a,b, or by giving the option again. --no-x turns x off.

It runs on the Docker host, as root. Results are on the standard output; warnings, errors and progress are on the
standard error.
"""
JOBS = """\
A job is a file /etc/drydock/jobs.d/NAME.json with a JSON object: action is backup or drill, and the rest are the
options of that command. --job NAME runs it; options that are given besides win over the file's. A job that is still
running isn't started again. The result of its last run is kept for status and metrics.

Other commands take from a job where things are: the repository, the host, the keys and the daemon.
"""
EXIT_CODES = {
    0: "Everything was done, or is well.",
    1: "Nothing was done, or nothing that was wanted; the message says why.",
    2: "What was asked for is malformed: an option, a name, a job's file.",
    3: "Some of it was done and some wasn't, or something wants looking after; the message says what.",
    4: "The same job runs already; nothing was done.",
    130: "Ended by Ctrl-C; what was under way is undone.",
    143: "Ended by SIGTERM (129: by SIGHUP); what was under way is undone.",
}
FILES = {
    "/etc/drydock/jobs.d/NAME.json": "A job.",
    "/etc/drydock/notify.json": "Whom to notify of failures.",
    "/etc/drydock/ping.url": "The address of the dead man's switch.",
    "/var/lib/drydock/journal": "What must be undone if a run is interrupted.",
    "/var/lib/drydock/drills": "The results of the volumes' last drills.",
    "/var/lib/drydock/runs": "The results of the jobs' last runs.",
    "/var/lib/drydock/orphans.json": "Since when each volume is unused.",
}
EXAMPLES = {
    "Back up two volumes with their containers stopped, and prove the archives:": (
        "drydock-volumes backup pgdata uploads --repository /var/backups/volumes --quiesce stop --verify archive"
    ),
    "See what there is, and restore the newest backup of a volume that was lost:": (
        "drydock-volumes list --repository /var/backups/volumes\n"
        "drydock-volumes restore pgdata --repository /var/backups/volumes"
    ),
    "Run a job by hand, as its timer does:": "drydock-volumes backup --job nightly",
}

#: What the options about the command itself are for.
OWN = {
    "job": "the job of this name in /etc/drydock/jobs.d, or in the file with this path; options given here win",
    "job_place": "have the repository, the host, the keys and the daemon of this job; options given here win",
    "json": "print the result as one JSON object, with the names that the module returns",
    "dry_run": "look at everything, change nothing, and tell what would be done",
    "check_config": "only check the options and the job; nothing is read or done",
    "diff": "print what changes, before and after",
}

#: What options take, where that isn't plain from their types.
METAVARS = {
    "volumes": "VOLUME,…",
    "selector.names": "PATTERN,…",
    "selector.labels": "LABEL,…",
    "selector.exclude": "PATTERN,…",
    "exec_before": "JSON",
    "exec_after": "JSON",
    "encryption.recipients": "KEY,…",
    "encryption.recipients_file": "PATH,…",
    "timeout": "SECONDS",
    "check_timeout": "SECONDS",
    "command": "WORD,…",
    "check_argv": "WORD,…",
    "stop_timeout": "SECONDS",
    "health_timeout": "SECONDS",
    "exec_timeout": "SECONDS",
    "stall_timeout": "SECONDS",
    "lock_timeout": "SECONDS",
    "checksum": "SHA256",
    "before": "TIME",
    "backup": "ID",
    "volume": "VOLUME",
    "jobs": "JOB,…",
    "max_age": "AGE",
    "grace": "AGE",
    "look_timeout": "SECONDS",
    "protect.names": "PATTERN,…",
    "protect.labels": "LABEL,…",
    "protect.projects": "PATTERN,…",
    "gone_projects": "PATTERN,…",
    "source_volume": "VOLUME",
    "driver_options": "JSON",
    "labels": "JSON",
    "output": "FILE",
}

# By option, or by subcommand and option where it means something of its own there.
_HELP = {
    "docker_host": "the URL of the Docker daemon's socket; also DOCKER_HOST",
    "tls": "speak TLS, without verifying the daemon's certificate; also DOCKER_TLS",
    "validate_certs": "speak TLS and verify the daemon's certificate; also DOCKER_TLS_VERIFY",
    "tls_hostname": "the name in the daemon's certificate; also DOCKER_TLS_HOSTNAME",
    "ca_path": "a PEM file of the authorities to trust; also ca.pem in DOCKER_CERT_PATH",
    "client_cert": "a PEM file of the client's certificate; also cert.pem in DOCKER_CERT_PATH",
    "client_key": "a PEM file of the client's key; also key.pem in DOCKER_CERT_PATH",
    "api_version": "the version of the Docker API; also DOCKER_API_VERSION",
    "timeout": "how long to wait for the daemon's answer; also DOCKER_TIMEOUT",
    "repository": "where the backups are: a directory, or REMOTE:path of an rclone remote",
    "rclone_config": "rclone's configuration, a file which only root can read; by default rclone's own",
    "copies": "further repositories that get a copy of each backup: a list of repository and retention, as JSON",
    "host": "the host's folder in the repository; by default this host's own name",
    "decryption": "the key of encrypted archives",
    "decryption.identity_file": "a file with age identities, an SSH key, or an exported gpg key",
    "decryption.passphrase_file": "a file whose first line is a passphrase for gpg",
    "helper_image": "the image of the container that holds volumes mounted",
    "volumes": "the volumes, by name",
    "selector": "which of the host's volumes, where they aren't named",
    "selector.names": "shell patterns of names",
    "selector.labels": "labels that they have, key or key=value",
    "selector.all": "all volumes",
    "selector.exclude": "shell patterns of the names to leave out",
    "require_match": "fail if the selector matches no volume",
    "require_mounted": "fail if the repository is on the root file system",
    "quiesce": "what containers do while their volumes are read or replaced",
    "stop_timeout": "how long a container may take to end",
    "health_timeout": "how long a container may take to be healthy again",
    "exec_before": 'commands in containers before the read: {"container": …, "command": …}',
    "exec_after": "commands in containers once they are back",
    "exec_timeout": "how long each of these commands may take",
    "on_change": "what it means that files change while they are read",
    "on_read_error": "what it means that a file can't be read",
    "skip_unchanged": "make no new backup of a volume in which nothing has changed",
    "verify_directory": "a directory that can hold a volume's files, for --verify restore",
    "parallel": "how many volumes to read at a time",
    "stall_timeout": "after how long without a byte moved to give up; 0 is never",
    "compression": "the archives' format",
    "compression_level": "its level: 1 to 19 for zstd, 1 to 9 for gzip",
    "encryption": "how to encrypt the archives",
    "encryption.method": "the program that encrypts: age or gpg",
    "encryption.recipients": "public keys (age), or keys in the keyring (gpg)",
    "encryption.recipients_file": "files with public keys",
    "encryption.passphrase_file": "a file whose first line is a passphrase, for gpg",
    "retention": "which backups to keep; without rules all of them",
    "retention.keep_last": "this many newest ones",
    "retention.keep_hourly": "the newest one of each of this many hours",
    "retention.keep_daily": "the newest one of each of this many days",
    "retention.keep_weekly": "the newest one of each of this many weeks",
    "retention.keep_monthly": "the newest one of each of this many months",
    "retention.keep_yearly": "the newest one of each of this many years",
    "retention.keep_within": "all that are no older than this, as 36h, 7d or 1y2m",
    "lock_timeout": "how long to wait for another run that writes the same volume's backups",
    "volume": "the volume to restore into",
    "source_volume": "the volume that was backed up, if it has another name",
    "backup": "the backup's identifier, or latest",
    "before": "restore the newest backup up to this time (UTC), as 2026-11-23T10:15:00Z",
    "archive": "restore this archive, which needs no manifest",
    "checksum": "the archive's SHA-256",
    "strip_components": "how many leading directories of the archive's names to leave out",
    "when_not_empty": "what to do with a volume that holds files",
    "staging": "make the new files beside the old ones, and exchange them at the end",
    "safety_backup": "with --no-staging, back up first what the volume holds",
    "safety_backup.repository": "the repository of that backup",
    "safety_backup.rclone_config": "rclone's configuration, if it is on a remote",
    "safety_backup.host": "the host's folder in it",
    "driver": "the driver of a volume that is created",
    "driver_options": "the driver's options for a volume that is created",
    "labels": "the labels of a volume that is created",
    "output": "write to this file, at one instant, rather than print",
    "image": "start this image, which must be on the host, on the restored volume",
    "mount": "where the container has the volume",
    "command": "the container's command, in place of the image's",
    "env": "environment variables of the container; no secrets",
    "env_file": "a file of environment variables of the container, NAME=value a line, which only its owner can read",
    "network": "the container's network",
    "check_command": "run this in the container's shell until it exits 0; without it the container itself must end so",
    "check_argv": "as --check-command, a program and its arguments",
    "check_user": "the user for the check",
    "check_timeout": "how long the check may take to pass",
    "drill volumes": "the volumes whose newest backups to restore",
    "drill selector": "which of the host's volumes, where they aren't named",
    "jobs": "the jobs to look at; by default all",
    "max_age": "how old a newest backup may be, where the job says nothing else: 36h, 2d, 1w",
    "remove": "remove the orphans; without it they are only listed",
    "grace": "how long nobody must have used a volume, as 7d",
    "protect": "which volumes to keep whatever else is so",
    "protect.names": "shell patterns of names",
    "protect.labels": "labels that they have, key or key=value",
    "protect.projects": "shell patterns of Compose projects and swarm stacks",
    "gone_projects": "shell patterns of Compose projects and swarm stacks that are no more, and not just down",
    "anonymous": "take anonymous volumes",
    "named": "take volumes with names; by default if they are selected",
    "backup_to": "back each volume up before it is removed",
    "backup_to.repository": "the repository of these backups",
    "backup_to.rclone_config": "rclone's configuration, if it is on a remote",
    "backup_to.host": "the host's folder in it",
    "backup_to.parallel": "how many volumes to read at a time",
    "backup_to.encryption": "how to encrypt the archives",
    "max_remove": "remove nothing if there are more orphans than that",
    "max_remove_percent": "remove nothing if that would be more of all volumes, in percent",
    "look_timeout": "how long all looks into volumes may take",
    "orphans selector": "which of the volumes may be removed; by default all",
    "unit": "the systemd unit that failed, or the name of what cron ran",
    "log": "what it said, a file or - for the input; by default what systemd's journal has",
    "settings": "whom to notify: JSON with command (a list of words), apprise (a file), lines (of the log)",
    "url_file": "a file with the address to ask for, which only its owner can read",
    "backup verify": "how to prove each archive before it is published",
    "restore verify": "how to make sure that a backup is restored truly",
}


def help_of(command: str, option: str) -> str:
    """One line about a subcommand's option, whose name may have a dot. Raise KeyError if there is none."""
    return _HELP.get(f"{command} {option}") or _HELP[option]
