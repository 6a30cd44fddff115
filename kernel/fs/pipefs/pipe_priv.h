/* SPDX-License-Identifier: Apache-2.0 */
/* A pipe, between reading and writing and the splice calls. */
#pragma once

#include "kernel/fs/pipefs/pipe.h"
#include "kernel/vfs/byte_ring.h"
#include "kernel/vfs/file_ops.h"

#define PIPE_CHUNK 65536u /* moved at a time by splice */

struct pipe {
	struct mutex lock;
	struct pollq queue;
	struct byte_ring ring;		/* lock */
	u32 limit;			/* lock: bytes it may hold */
	u32 reserved;			/* lock: of these, promised to a splice into it */
	bool is_taken;			/* lock: a splice out of it is under way: no other reads */
	u32 readers, writers;		/* lock */
	u32 reader_opens, writer_opens; /* lock: ever; a fifo's open waits for one more */
	u32 refs;			/* lock of the vnode */
	bool has_no_name;		/* of pipe(2): an open by /proc/PID/fd never waits */
};

static inline u32 pipe_free_bytes(const struct pipe *p)
{
	u32 used = __atomic_load_n(&p->ring.fill, __ATOMIC_ACQUIRE) +
		   __atomic_load_n(&p->reserved, __ATOMIC_ACQUIRE);

	return p->limit - MIN(p->limit, used);
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

/* -EPIPE becomes a signal as well. */
long pipe_broken(long ret);
