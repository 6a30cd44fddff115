// SPDX-License-Identifier: Apache-2.0
/*
 * Room on the host's disk. A volume is sparse: its own limit says nothing about the disk below it,
 * and a write that fails there stops the whole volume, because what follows in its log leans on it.
 * So requests that need room are refused before that: while the disk is nearly full everything is
 * committed first, and then there must be room for the request and for what removing things writes.
 *
 * What was deleted stays on the disk until enough newer roots are written, and on a full disk
 * nobody writes any: so they are asked for here (secvol_reclaim()).
 */
#include "host/mount/server.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <time.h>

#include "host/mount/files.h"
#include "lib/secvol/secvol.h"

#define NEAR	   MIB(192) /* more than caches and log may still have to write */
#define RESERVE	   MIB(8)   /* for unlink, truncate and the clean end */
#define ROOTS_NEED MIB(2)   /* for the roots that giving back writes */
#define FRESH_NS   50000000

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

static void give_back(const struct server *s)
{
	if (host_free() > ROOTS_NEED) /* a failure is said by whoever asks for a commit */
		(void)!secvol_reclaim(files_secvol(s->upper));
}

int room_need(const struct server *s, size_t size)
{
	if (s->read_only || was_plenty())
		return 0;
	if (host_free() < RESERVE + size)
		give_back(s);
	/* What waits becomes visible in the disk's figure. */
	if (host_free() < RESERVE + size || files_sync(s->files) < 0)
		return -ENOSPC;
	return host_free() < RESERVE + size ? -ENOSPC : 0;
}

u64 room_left(const struct server *s)
{
	u64 room;

	if (!s->read_only && host_free() < 2 * RESERVE)
		give_back(s);
	room = host_free();
	return room > RESERVE ? room - RESERVE : 0;
}

void room_end(const struct server *s)
{
	if (!s->read_only && host_free() < NEAR)
		give_back(s);
}
