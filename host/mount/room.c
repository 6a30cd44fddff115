// SPDX-License-Identifier: Apache-2.0
/*
 * Room on the host's disk. A volume is sparse: its own limit says nothing about the disk below it, and a
 * write that fails there stops the whole volume, because what follows in its log leans on it. So requests that
 * need room are refused before that: while the disk is nearly full everything is committed first, and then
 * there must be room for the request and for what removing things writes.
 */
#include "host/mount/server.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <time.h>

#include "host/mount/files.h"

#define NEAR	 MIB(192) /* more than caches and log may still have to write */
#define RESERVE	 MIB(8)	  /* for unlink, truncate and the clean end */
#define FRESH_NS 50000000

/* The instance is the current directory; its volumes lie below. */
static u64 host_free(void)
{
	struct statvfs s;

	return statvfs(".", &s) < 0 ? 0 : (u64)s.f_bavail * s.f_frsize;
}

/* Enough a moment ago, for all that can have come since. */
static bool was_plenty(void)
{
	static s64 checked_ns; /* atomic */
	struct timespec t;
	s64 now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	now = t.tv_sec * 1000000000 + t.tv_nsec;
	if (now - __atomic_load_n(&checked_ns, __ATOMIC_RELAXED) < FRESH_NS)
		return true;
	if (host_free() < NEAR)
		return false;
	__atomic_store_n(&checked_ns, now, __ATOMIC_RELAXED);
	return true;
}

int room_need(const struct server *s, size_t size)
{
	if (s->read_only || was_plenty())
		return 0;
	/* What waits becomes visible in the disk's figure. A failure is said by whoever asked to commit. */
	if (host_free() < RESERVE + size || files_sync(s->files) < 0)
		return -ENOSPC;
	return host_free() < RESERVE + size ? -ENOSPC : 0;
}

void room_limit(u64 *blocks_free, u32 bsize)
{
	u64 room = host_free();

	*blocks_free = MIN(*blocks_free, (room > RESERVE ? room - RESERVE : 0) / bsize);
}
