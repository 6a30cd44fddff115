/* SPDX-License-Identifier: Apache-2.0 */
/* Head and fill are positions in a power of two, so both ends wrap by a mask. */
#include "kernel/vfs/byte_ring.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "lib/base/string.h"

#define ROOM_MIN 4096u

void byte_ring_fini(struct byte_ring *r)
{
	kfree(r->bytes);
	*r = (struct byte_ring){0};
}

int byte_ring_resize(struct byte_ring *r, u32 room)
{
	u8 *bytes = kmalloc(room);
	u32 first;

	if (!bytes)
		return -ENOMEM;
	first = MIN(r->fill, r->room - r->head);
	if (r->fill) {
		memcpy(bytes, r->bytes + r->head, first);
		memcpy(bytes + first, r->bytes, r->fill - first);
	}
	kfree(r->bytes);
	r->bytes = bytes;
	r->room = room;
	r->head = 0;
	return 0;
}

static int grow(struct byte_ring *r, size_t want, u32 limit)
{
	u32 room = r->room ? r->room : ROOM_MIN;

	want = MIN(want + r->fill, (size_t)limit);
	while (room < want)
		room *= 2;
	if (room == r->room)
		return 0;
	/* Without memory the ring that is there serves as long as it is not full. */
	return byte_ring_resize(r, room) && r->fill == r->room ? -ENOMEM : 0;
}

long byte_ring_put(struct byte_ring *r, struct uio *uio, u32 limit)
{
	long done = 0;
	u32 free;
	int err = grow(r, uio->left, limit);

	if (err)
		return err;
	free = MIN(limit, r->room) - MIN(r->fill, MIN(limit, r->room));
	while (uio->left && free) {
		u32 at = (r->head + r->fill) & (r->room - 1);
		u32 part = MIN(uio->left, (size_t)MIN(free, r->room - at));

		if (uio_copy_in(uio, r->bytes + at, part))
			return done ? done : -EFAULT;
		r->fill += part;
		free -= part;
		done += part;
	}
	return done;
}

long byte_ring_peek(const struct byte_ring *r, struct uio *uio, u32 skip, u32 max)
{
	u32 left = r->fill - MIN(skip, r->fill);
	u32 at = r->head + skip;
	long done = 0;

	left = MIN(left, max);
	while (uio->left && left) {
		u32 from = at & (r->room - 1);
		u32 part = MIN(uio->left, (size_t)MIN(left, r->room - from));

		if (uio_copy_out(uio, r->bytes + from, part))
			return done ? done : -EFAULT;
		at += part;
		left -= part;
		done += part;
	}
	return done;
}

void byte_ring_drop(struct byte_ring *r, u32 count)
{
	r->fill -= count;
	/* An empty ring starts over, so that little traffic stays in few cache lines. */
	r->head = r->fill ? (r->head + count) & (r->room - 1) : 0;
}

long byte_ring_get(struct byte_ring *r, struct uio *uio, u32 max)
{
	long done = byte_ring_peek(r, uio, 0, max);

	if (done > 0)
		byte_ring_drop(r, (u32)done);
	return done;
}
