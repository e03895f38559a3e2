#!/bin/sh
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Write down all there is to see of a directory, so that two records can be compared: record.sh DIRECTORY FILE.
# Plain system tools only: the code under test must not judge itself.
set -eu
export LC_ALL=C TZ=UTC
exec >"$2"
cd "$1"

echo '# type mode owner group links size mtime path -> target (directories have no size of their own)'
find . \( -type d -printf '%y %m %U %G %n - %T@ %p\0' \) -o -printf '%y %m %U %G %n %s %T@ %p -> %l\0' | sort -z | tr '\0\n' '\n?'
echo '# contents'
find . -type f -print0 | sort -z | xargs -0 sha256sum
echo '# names of one and the same file'
find . -type f -links +1 -printf '%i %p\n' | sort |
    awk '{ names[$1] = names[$1] " " $2 } END { for (inode in names) print names[inode] }' | sort
echo '# files with holes'
find . -type f -size +1M -printf '%b %s %p\n' | awk '$1 * 512 < $2 { print $3 }' | sort
echo '# ACLs'
find . ! -type l -print0 | sort -z | xargs -0 getfacl -n --absolute-names
echo '# extended attributes'
find . -print0 | sort -z | xargs -0 getfattr -h -d -m - --absolute-names
