/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared mappings of files: while a mem_object exists for a vnode, its pages are the file's bytes
 * and read, write and truncate go through it. See file_shared_object().
 */
#pragma once

#include "kernel/vfs/vnode.h"

static inline bool shared_object_active(const struct vnode *v)
{
	return __atomic_load_n(&v->shared, __ATOMIC_ACQUIRE) != NULL;
}

bool shared_object_is_mapped(struct vnode *v); /* or about to be; vnode.lock held */
int __must_check shared_object_get(struct vnode *v, struct mem_object **ret);
long shared_object_read(struct vnode *v, struct uio *uio, u64 offset);
long shared_object_write(struct vnode *v, struct uio *uio, u64 offset);
int __must_check shared_object_truncate(struct vnode *v, u64 size);
/* Pages to the file system (fsync, before fallocate) and back. */
int __must_check shared_object_flush(struct vnode *v);
/* fallocate made [offset, end) zeros below. */
int __must_check shared_object_reload(struct vnode *v, u64 offset, u64 end);
void shared_object_drop(struct vnode *v);	 /* the vnode ends */
void shared_object_file_closed(struct vnode *v); /* one that asked for the object */
