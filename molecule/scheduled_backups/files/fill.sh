#!/bin/sh
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Fill the volumes, and start a container that uses one of them.
set -eux

mkdir -p /run/scheduled/a /run/scheduled/b
echo contents >/run/scheduled/a/lower-file

data=/var/lib/docker/volumes/scheduled-data/_data
echo contents >$data/file
cp /usr/bin/true $data/setuid
chmod 4755 $data/setuid
mknod $data/device c 1 3
setfattr -n trusted.mark -v here $data/file

# Of an empty image, with the host's own programs.
tar -cT /dev/null | docker import - scheduled-empty
set --
for directory in /usr /bin /lib /lib64; do set -- "$@" -v "$directory:$directory:ro"; done
docker run --detach --name scheduled-data --restart always --network none --init "$@" -v scheduled-data:/data \
    scheduled-empty /usr/bin/sleep infinity
