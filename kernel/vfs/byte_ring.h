/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of bytes between a writer and a reader: what pipes and stream sockets are made of. The
 * ring starts empty and grows, by powers of two, as a writer fills it. No lock of its own.
 */
#pragma once

#include "kernel/vfs/file.h"

struct byte_ring {
	u8 *bytes; /* kmalloc'ed: `room` bytes, a power of two, or NULL */
	u32 room;
	u32 head, fill; /* first byte, count */
};

void byte_ring_fini(struct byte_ring *r);

/* Gives it `room` bytes (a power of two, not below fill). 0 or -ENOMEM, then nothing changed. */
int __must_check byte_ring_resize(struct byte_ring *r, u32 room);

/*
 * Copies from the caller what fits below `limit` bytes of fill; grows the ring as far as that needs
 * and memory allows. Bytes taken (0: full), -ENOMEM when there is no room at all, -EFAULT when
 * nothing could be copied.
 */
long byte_ring_put(struct byte_ring *r, struct uio *uio, u32 limit);

/* Moves up to `max` bytes to the caller. Count, or -EFAULT when nothing could be copied. */
long byte_ring_get(struct byte_ring *r, struct uio *uio, u32 max);

/* The same without taking them, from `skip` bytes behind the head. */
long byte_ring_peek(const struct byte_ring *r, struct uio *uio, u32 skip, u32 max);

/* Forgets the first `count` (<= fill) bytes. */
void byte_ring_drop(struct byte_ring *r, u32 count);
