#!/bin/sh
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Put into a directory what a careless backup loses: fill.sh DIRECTORY.
set -eu
umask 022
cd "$1"

mkdir -p deep/er 'with space' empty
cp -a /etc/services deep/er/
printf 'odd' >"with space/$(printf 'line\nbreak \303\251')"

# An owner and a group that this host has no names for; a setuid bit; a time to the nanosecond, long ago.
echo mine >owned && chown 4711:4712 owned && chmod 4750 owned
echo old >old && touch -d '2001-02-03 04:05:06.123456789' old

# An ACL that grants more than the mode shows, a default ACL, an extended attribute.
echo acl >acl && chmod 600 acl && setfacl -m u:4711:rw,g:4712:r acl
setfacl -d -m u:4711:rwx deep
echo xattr >xattr && setfattr -n user.drydock -v 'kept' xattr

# 64 MiB of hole with a little data on both sides; one file with two names; links; a pipe.
printf 'head' >sparse && truncate -s 64M sparse && printf 'tail' >>sparse
echo linked >link-a && ln link-a deep/link-b
ln -s /nowhere dangling && ln -s ../owned deep/relative
mkfifo pipe

# The root of a volume has attributes too.
chown 4711:4712 . && chmod 2770 . && setfattr -n user.root -v 'kept' .
