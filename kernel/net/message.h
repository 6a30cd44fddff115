/* SPDX-License-Identifier: Apache-2.0 */
/* What one send or receive carries: data in the caller's memory, an address, control data. */
#pragma once

#include "abi/fs.h"
#include "abi/socket.h"
#include "kernel/vfs/file.h"

struct net_address;

/* The caller's data: pieces, each a struct uio in turn. Advances as it is copied. */
struct net_data {
	const struct abi_iovec *vec; /* kernel copy of the vector: pieces not yet begun */
	u64 vec_count;
	struct uio piece; /* the current one */
	u64 left;	  /* over all pieces */
};

struct net_data net_data_single(struct uio uio);
/* `vec` stays with the caller; its lengths were checked to add up without overflow. */
struct net_data net_data_vector(const struct abi_iovec *vec, u64 count);

/* The piece to copy next, with bytes left, or NULL at the end. */
struct uio *net_data_piece(struct net_data *d);
/* To be called when the piece was advanced by `count` bytes. */
static inline void net_data_took(struct net_data *d, u64 count)
{
	d->left -= count;
}
/* Copy exactly `size` (<= left) bytes. 0 or -EFAULT. */
int __must_check net_data_in(struct net_data *d, void *to, size_t size);
int __must_check net_data_out(struct net_data *d, const void *from, size_t size);

/* Descriptors and credentials on their way. Owned by exactly one message or queue. */
struct net_control {
	struct net_control *next; /* of unix_control_drop() */
	bool has_cred;
	struct abi_ucred cred;
	u32 charged; /* how many count as in flight */
	u32 file_count;
	struct file *files[]; /* counted */
};

struct net_control *net_control_new(u32 files) __must_check; /* NULL: no memory */
/*
 * Descriptors in flight keep files open that no process has: there are at most `limit` in all.
 * 0 or -ETOOMANYREFS. Given back when it is freed.
 */
int __must_check net_control_charge(struct net_control *c, u64 limit);
struct net_control *net_control_copy(const struct net_control *c) __must_check;
void net_control_free(struct net_control *c); /* closes what was not taken; NULL is fine */

struct net_message {
	struct net_data data;
	u32 flags; /* MSG_* of the call */
	/* Sending: where to, or NULL. Receiving: filled when not NULL. */
	struct net_address *address;
	/* Sending: taken (set to NULL) when it was delivered. Receiving: the caller frees it. */
	struct net_control *control;
	bool wants_control;
	u32 ret_flags; /* receiving: MSG_TRUNC, MSG_EOR */
};
