/* SPDX-License-Identifier: Apache-2.0 */
/* Walking the pieces of a vector, and the life of control data. */
#include "kernel/net/message.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"

struct net_data net_data_single(struct uio uio)
{
	return (struct net_data){.piece = uio, .left = uio.left};
}

struct net_data net_data_vector(const struct abi_iovec *vec, u64 count)
{
	struct net_data d = {.vec = vec, .vec_count = count, .piece = uio_user(NULL, 0)};

	for (u64 i = 0; i < count; i++)
		d.left += vec[i].len;
	return d;
}

struct uio *net_data_piece(struct net_data *d)
{
	while (!d->piece.left) {
		if (!d->vec_count)
			return NULL;
		d->piece = uio_user((void __user *)d->vec->base, d->vec->len);
		d->vec++;
		d->vec_count--;
	}
	return &d->piece;
}

int net_data_in(struct net_data *d, void *to, size_t size)
{
	while (size) {
		struct uio *piece = net_data_piece(d);
		size_t part = piece ? MIN(size, piece->left) : 0;

		if (!part || uio_copy_in(piece, to, part))
			return -EFAULT;
		net_data_took(d, part);
		to = (u8 *)to + part;
		size -= part;
	}
	return 0;
}

int net_data_out(struct net_data *d, const void *from, size_t size)
{
	while (size) {
		struct uio *piece = net_data_piece(d);
		size_t part = piece ? MIN(size, piece->left) : 0;

		if (!part || uio_copy_out(piece, from, part))
			return -EFAULT;
		net_data_took(d, part);
		from = (const u8 *)from + part;
		size -= part;
	}
	return 0;
}

struct net_control *net_control_new(u32 files)
{
	return kzalloc(sizeof(struct net_control) + files * sizeof(struct file *));
}

static u64 in_flight; /* atomic */

int net_control_charge(struct net_control *c, u64 limit)
{
	u64 count = __atomic_add_fetch(&in_flight, c->file_count, __ATOMIC_RELAXED);

	c->charged = c->file_count;
	return c->file_count && count > limit ? -ETOOMANYREFS : 0;
}

struct net_control *net_control_copy(const struct net_control *c)
{
	struct net_control *copy = net_control_new(c->file_count);

	if (!copy)
		return NULL;
	copy->has_cred = c->has_cred;
	copy->cred = c->cred;
	for (; copy->file_count < c->file_count; copy->file_count++)
		copy->files[copy->file_count] = file_get(c->files[copy->file_count]);
	return copy;
}

void net_control_free(struct net_control *c)
{
	if (!c)
		return;
	__atomic_sub_fetch(&in_flight, c->charged, __ATOMIC_RELAXED);
	for (u32 i = 0; i < c->file_count; i++)
		file_put(c->files[i]); /* NULL: went to a process */
	kfree(c);
}
