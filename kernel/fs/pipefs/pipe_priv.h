/* SPDX-License-Identifier: Apache-2.0 */
/* A pipe, between reading and writing and the splice calls. */
#pragma once

#include "kernel/core/share.h"
#include "kernel/fs/pipefs/pipe.h"
#include "kernel/vfs/byte_ring.h"
#include "kernel/vfs/file_ops.h"

#define PIPE_ATOMIC 4096u  /* a write of so much goes in whole */
#define PIPE_CHUNK  65536u /* moved at a time by splice */

struct pipe {
	struct mutex lock;
	struct pollq queue;
	struct byte_ring ring;		/* lock */
	u32 limit;			/* lock: bytes it may hold; pipe_limit() is what counts */
	u32 charged;			/* lock: what it counts as in pipe_memory */
	u32 reserved;			/* lock: of these, promised to a splice into it */
	bool is_taken;			/* lock: a splice out of it is under way: no other reads */
	u32 readers, writers;		/* lock */
	u32 reader_opens, writer_opens; /* lock: ever; a fifo's open waits for one more */
	u32 refs;			/* lock of the vnode */
	bool has_no_name;		/* of pipe(2): an open by /proc/PID/fd never waits */
};

/*
 * What all pipes together take of the kernel's heap. Beyond that no ring grows above PIPE_ATOMIC:
 * such a pipe has a reader to wait for, so nobody waits for ever. Each counts as much from its
 * beginning, so that there is always room for it.
 */
extern struct heap_share pipe_memory;

static inline u32 pipe_limit(const struct pipe *p)
{
	u32 room = __atomic_load_n(&p->ring.room, __ATOMIC_RELAXED);

	if (likely(!heap_share_exceeds(&pipe_memory, 1)))
		return p->limit;
	return MIN(p->limit, MAX(room, PIPE_ATOMIC));
}

static inline u32 pipe_free_bytes(const struct pipe *p)
{
	u32 used = __atomic_load_n(&p->ring.fill, __ATOMIC_ACQUIRE) +
		   __atomic_load_n(&p->reserved, __ATOMIC_ACQUIRE);
	u32 limit = pipe_limit(p);

	return limit - MIN(limit, used);
}

/* Are there bytes, and may one take them? */
static inline bool pipe_has_bytes(const struct pipe *p)
{
	return __atomic_load_n(&p->ring.fill, __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&p->is_taken, __ATOMIC_ACQUIRE);
}

static inline bool pipe_has_writers(const struct pipe *p)
{
	return __atomic_load_n(&p->writers, __ATOMIC_ACQUIRE);
}

static inline bool pipe_has_readers(const struct pipe *p)
{
	return __atomic_load_n(&p->readers, __ATOMIC_ACQUIRE);
}

/* Nothing is there and nothing will come. */
static inline bool pipe_is_at_end(const struct pipe *p)
{
	return !__atomic_load_n(&p->ring.fill, __ATOMIC_ACQUIRE) && !pipe_has_writers(p);
}

/* Both with the lock. The first puts in `room` bytes at most. */
long pipe_ring_put(struct pipe *p, struct uio *uio, u32 room);
int __must_check pipe_ring_resize(struct pipe *p, u32 room);

/* -EPIPE becomes a signal as well. */
long pipe_broken(long ret);
