/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zeros into the holes of a sparse file, through functions of the caller: the tools have libc's,
 * the inner side of the PAL its raw calls.
 */
#pragma once

#include "abi/errno.h"
#include "lib/base/overflow.h"
#include "lib/base/types.h"

#define HOLES_PIECE KIB(64)

struct holes_io {
	/* The first offset from `at` on that lies in a hole (or in data); -ENXIO: none. */
	s64 (*seek)(s32 fd, u64 at, bool hole);
	/* Writes `size` zeros, at most HOLES_PIECE; false: it did not work. */
	bool (*zero)(s32 fd, u64 at, size_t size);
};

/*
 * [at, end); nobody may write there meanwhile, nor have written since the last flush: see
 * lib/secvol/fill_map.h. Stops quietly where something fails: it is only a wish.
 */
static inline void holes_fill(const struct holes_io *io, s32 fd, u64 at, u64 end)
{
	while (at < end) {
		s64 hole = io->seek(fd, at, true), data;

		if (hole < 0 && hole != -ENXIO)
			return; /* interrupted, or the disk fails: there may be data */
		at = hole < 0 ? at : (u64)hole; /* else behind the end of the file */
		if (at >= end)
			return;
		data = io->seek(fd, at, false);
		if (data < 0 && data != -ENXIO)
			return;
		for (u64 until = data < 0 ? end : MIN((u64)data, end); at < until;) {
			size_t n = (size_t)MIN(until - at, (u64)HOLES_PIECE);

			if (!io->zero(fd, at, n))
				return;
			at += n;
		}
	}
}
