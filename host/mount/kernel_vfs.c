// SPDX-License-Identifier: Apache-2.0
/*
 * The parts of the kernel's vfs that its file systems refer to and that this process does not have:
 * programs, their memory, a page cache of its own (the host's kernel caches what a mount shows).
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/pipefs/pipe.h"
#include "kernel/vfs/file_ops.h"
#include "kernel/vfs/lock.h"
#include "kernel/vfs/pagecache.h"
#include "kernel/vfs/shared.h"
#include "kernel/vfs/walk.h"
#include "lib/base/string.h"

/* ---- the caller's memory is always this process's ---- */

int uio_copy_out(struct uio *uio, const void *from, size_t size)
{
	if (uio->is_user || size > uio->left)
		return -EFAULT;
	memcpy(uio->kernel, from, size);
	uio->kernel = (u8 *)uio->kernel + size;
	uio->left -= size;
	return 0;
}

int uio_copy_in(struct uio *uio, void *to, size_t size)
{
	if (uio->is_user || size > uio->left)
		return -EFAULT;
	memcpy(to, uio->kernel, size);
	uio->kernel = (u8 *)uio->kernel + size;
	uio->left -= size;
	return 0;
}

/* ---- no page cache: straight from the volume ---- */

#define WHOLE_MAX 256u

/* One page that is not read whole. */
static long read_part(struct vnode *v, struct uio *uio, u64 offset, size_t size, page_fill_fn fill)
{
	u8 *page = kmalloc(PAGE_SIZE);
	int err = page ? fill(v, offset / PAGE_SIZE, 1, &page) : -ENOMEM;

	if (!err)
		err = uio_copy_out(uio, page + offset % PAGE_SIZE, size);
	kfree(page);
	return err ? err : (long)size;
}

/* Whole pages, straight to where they are wanted. */
static long read_whole(struct vnode *v, struct uio *uio, u64 offset, u32 count, page_fill_fn fill)
{
	u8 *to[WHOLE_MAX];
	int err;

	to[0] = uio->kernel;
	for (u32 i = 1; i < count; i++)
		to[i] = to[i - 1] + PAGE_SIZE;
	err = fill(v, offset / PAGE_SIZE, count, to);
	if (err) /* a damaged block does not take the others along */
		return count > 1 ? read_part(v, uio, offset, PAGE_SIZE, fill) : err;
	uio->kernel = (u8 *)uio->kernel + count * PAGE_SIZE;
	uio->left -= count * PAGE_SIZE;
	return count * (long)PAGE_SIZE;
}

long page_cache_read(struct vnode *v, struct uio *uio, u64 offset, u64 size, page_fill_fn fill)
{
	long done = 0, n;

	if (offset >= size)
		return 0;
	size = MIN(size - offset, (u64)uio->left); /* bytes yet to read */
	for (; size; size -= (u64)n, offset += (u64)n, done += n) {
		size_t head = offset % PAGE_SIZE;
		u32 pages = (u32)MIN(size / PAGE_SIZE, (u64)WHOLE_MAX);

		if (head || !pages)
			n = read_part(v, uio, offset, MIN(size, (u64)(PAGE_SIZE - head)), fill);
		else
			n = read_whole(v, uio, offset, pages, fill);
		if (n < 0)
			return done ? done : n;
	}
	return done;
}

void page_cache_write(struct vnode *v, u64 offset, const void *from, size_t size)
{
}

void page_cache_discard(struct vnode *v, u64 offset, u64 end)
{
}

void page_cache_free(struct page_cache *c)
{
}

/* ---- no programs: no mappings, no locks, no fifos; permissions are the host kernel's ---- */

void shared_object_drop(struct vnode *v)
{
}

long shared_object_read(struct vnode *v, struct uio *uio, u64 offset)
{
	return -EIO;
}

long shared_object_write(struct vnode *v, struct uio *uio, u64 offset)
{
	return -EIO;
}

int shared_object_truncate(struct vnode *v, u64 size)
{
	return 0;
}

void file_locks_free(struct file_locks *locks)
{
}

bool vfs_caller_capable(enum abi_capability cap)
{
	return true; /* the host's kernel takes set-id bits away before it asks us to write */
}

int fifo_vnode_open(struct vnode *v, struct file *f)
{
	return -ENXIO; /* the host's kernel has its own */
}

long vnode_file_read(struct file *f, struct uio *uio, u64 offset)
{
	return vnode_read(f->vnode, uio, offset);
}

s64 vnode_file_seek(struct file *f, s64 offset, u32 whence)
{
	return -ESPIPE;
}

int vnode_file_sync(struct file *f, bool data_only)
{
	return f->vnode->ops->sync ? f->vnode->ops->sync(f->vnode, data_only) : 0;
}
