#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The root file system of a test host: bootstrap.sh SUITE writes it to standard output as a tar.
# Needs root and mmdebstrap. Packages come from wherever this machine's apt gets its own.
set -euo pipefail
umask 022 # the host's files are not the caller's

suite=${1:?usage: bootstrap.sh SUITE >root.tar}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

# This machine's Debian sources with its own suite's name replaced by SUITE, "-updates" and "-security" kept.
# Asking apt, not its files, makes the format of those files (and a mirror named there) its own business.
sources() {
    local own
    # shellcheck source=/dev/null
    own=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016  # $(…) is apt's syntax here
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Component: main' |
        awk -v own="$own" -v suite="$suite" -v key=/usr/share/keyrings/debian-archive-keyring.gpg '
            $2 == own || index($2, own "-") == 1 {
                print "deb [signed-by=" key "]", $1, suite substr($2, length(own) + 1), "main"
            }' |
        sort -u
}

lines=$(sources)
[ -n "$lines" ] || { echo "bootstrap: apt on this machine has no Debian source to take $suite from" >&2 && exit 1; }
packages=$(sed -e '/^#/d' -e '/^$/d' "$here/packages.txt" | paste -sd,)

# Docs, manuals and translations are a quarter of the files, and no test reads them. A frozen mirror's Release
# file may have expired. Chroot and tar are thrown away together, so nothing need reach the disk on the way.
mmdebstrap --mode=root --variant=minbase --include="$packages" \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt='force-unsafe-io' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="$here/customize.sh" --format=tar "" - - <<<"$lines"
