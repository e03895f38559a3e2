#!/bin/sh
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# From a root file system with packages to an image's: customize.sh ROOT. mmdebstrap runs it as its last hook.
set -eu

# Each container makes a database of its own in its volume; those that the packages made are ballast.
rm -rf "$1"/var/lib/mysql/* "$1"/var/lib/postgresql/* "$1"/var/lib/redis/*
