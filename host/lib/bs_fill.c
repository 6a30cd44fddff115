// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "host/lib/bs_fill.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "host/lib/bs_host.h"
#include "lib/base/holes.h"
#include "lib/secvol/fill_map.h"

#define ROOM_MIN MIB(256) /* of the disk; below that it is needed for better things */

static s64 seek(s32 fd, u64 at, bool hole)
{
	off_t found = lseek(fd, (off_t)at, hole ? SEEK_HOLE : SEEK_DATA);

	return found < 0 ? -errno : found;
}

static bool zero(s32 fd, u64 at, size_t size)
{
	static const u8 zeros[HOLES_PIECE];

	return bs_host_pwrite(fd, zeros, size, at) == 0;
}

void bs_fill_chunk_run(int fd, u64 chunk)
{
	static const struct holes_io io = {.seek = seek, .zero = zero};
	u64 at = chunk * FILL_CHUNK;
	struct statvfs s;

	if (fstatvfs(fd, &s) == 0 && (u64)s.f_bavail * s.f_frsize >= ROOM_MIN)
		holes_fill(&io, fd, at, at + FILL_CHUNK);
}
