// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "host/lib/bs_fill.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include "host/lib/bs_host.h"
#include "lib/base/overflow.h"

#define ROOM_MIN MIB(256) /* of the disk; below that it is needed for better things */

void bs_fill_know(struct bs_fill *f, u32 chunk)
{
	if (chunk < 8 * sizeof(f->known))
		f->known[chunk / 8] |= (u8)(1u << chunk % 8);
}

void bs_fill_forget(struct bs_fill *f, u64 offset, u64 size)
{
	for (u64 c = bs_fill_chunk(offset); c * BS_FILL_CHUNK < offset + size; c++) {
		if (c < 8 * sizeof(f->known))
			f->known[c / 8] &= (u8) ~(1u << c % 8);
	}
}

void bs_fill_chunk_run(int fd, u32 chunk)
{
	static const u8 zeros[KIB(64)];
	off_t at = (off_t)(chunk * (u64)BS_FILL_CHUNK), end = at + (off_t)BS_FILL_CHUNK;
	struct statvfs s;

	if (fstatvfs(fd, &s) < 0 || (u64)s.f_bavail * s.f_frsize < ROOM_MIN)
		return;
	while (at < end) {
		off_t hole = lseek(fd, at, SEEK_HOLE), data;

		if (hole < 0)
			hole = at; /* behind the end of the file */
		if (hole >= end)
			return;
		data = lseek(fd, hole, SEEK_DATA);
		if (data < 0 || data > end)
			data = end;
		for (at = hole; at < data;) {
			size_t n = MIN((size_t)(data - at), sizeof(zeros));

			if (bs_host_pwrite(fd, zeros, n, (u64)at))
				return;
			at += (off_t)n;
		}
	}
}
