/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents of ramfs files: counted pages in a sparse tree. A reader takes a reference under the
 * spinlock and copies without it, so truncation never waits for a program's memory.
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/ramfs/ramfs_priv.h"
#include "kernel/proc/process.h"
#include "lib/base/string.h"

struct ram_page {
	u32 refs;     /* atomic */
	u32 reserved; /* vnode lock: by which fallocate(), until something is written; 0: none */
	u8 *data;
};

static const u8 zero_page[PAGE_SIZE];

static void page_put(struct ram_page *p)
{
	if (!p || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL))
		return;
	kpages_free(p->data, 1);
	kfree(p);
}

static struct ram_page *page_get(struct ram_node *n, u64 index)
{
	struct ram_page *p;

	spin_lock(&n->meta_lock);
	p = pagetree_get(&n->file.pages, index);
	if (p)
		__atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
	spin_unlock(&n->meta_lock);
	return p;
}

/* The page for writing, counted; a new one is zeroed. NULL: no memory. */
static struct ram_page *page_make(struct ram_node *n, u64 index)
{
	struct ram_page *p = page_get(n, index), *fresh;

	if (p)
		return p;
	fresh = ram_has_room(PAGE_SIZE) ? kzalloc(sizeof(*fresh)) : NULL;
	if (fresh)
		fresh->data = kpages_alloc(1);
	if (!fresh || !fresh->data) {
		kfree(fresh);
		return NULL;
	}
	fresh->refs = 2;
	spin_lock(&n->meta_lock);
	p = pagetree_get(&n->file.pages, index);
	if (p) {
		__atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
	} else if (!pagetree_set(&n->file.pages, index, fresh)) {
		p = fresh;
		fresh = NULL;
		n->file.page_count++;
		__atomic_fetch_add(&ram_fs_of(&n->v)->pages, 1, __ATOMIC_RELAXED);
	}
	spin_unlock(&n->meta_lock);
	if (fresh) {
		fresh->refs = 1;
		page_put(fresh);
	}
	return p;
}

static u64 size_of(struct ram_node *n)
{
	return __atomic_load_n(&n->file.size, __ATOMIC_ACQUIRE);
}

static long ram_read(struct vnode *v, struct uio *uio, u64 offset)
{
	struct ram_node *n = ram_of(v);
	u64 size = size_of(n);
	long done = 0;

	while (uio->left && offset < size) {
		size_t skip = offset % PAGE_SIZE;
		size_t part = MIN((u64)uio->left, MIN(PAGE_SIZE - skip, size - offset));
		struct ram_page *p = page_get(n, offset / PAGE_SIZE);
		int err = uio_copy_out(uio, (p ? p->data : zero_page) + skip, part);

		page_put(p);
		if (err)
			return done ? done : err;
		done += part;
		offset += part;
	}
	return done;
}

static long ram_write(struct vnode *v, struct uio *uio, u64 offset)
{
	struct ram_node *n = ram_of(v);
	long done = 0;
	int err = 0;

	if (offset + uio->left > (u64)INT64_MAX)
		return -EFBIG;
	while (uio->left && !err) {
		size_t skip = offset % PAGE_SIZE, part = MIN(uio->left, PAGE_SIZE - skip);
		struct ram_page *p = page_make(n, offset / PAGE_SIZE);

		if (!p) {
			err = -ENOSPC;
			break;
		}
		p->reserved = 0;
		err = uio_copy_in(uio, p->data + skip, part);
		page_put(p);
		if (err)
			break;
		done += part;
		offset += part;
		spin_lock(&n->meta_lock);
		if (offset > n->file.size)
			__atomic_store_n(&n->file.size, offset, __ATOMIC_RELEASE);
		spin_unlock(&n->meta_lock);
	}
	if (done)
		ram_touch(n, VATTR_MTIME | VATTR_CTIME);
	return done ? done : err;
}

/* Frees whole pages in [from, to). */
static void drop_pages(struct ram_node *n, u64 from, u64 to)
{
	struct ram_page *p;

	do {
		spin_lock(&n->meta_lock);
		p = pagetree_next(&n->file.pages, &from);
		if (p && from < to) {
			pagetree_remove(&n->file.pages, from);
			n->file.page_count--;
		} else {
			p = NULL;
		}
		spin_unlock(&n->meta_lock);
		if (p)
			__atomic_fetch_sub(&ram_fs_of(&n->v)->pages, 1, __ATOMIC_RELAXED);
		page_put(p);
	} while (p);
}

static void zero_part(struct ram_node *n, u64 offset, u64 end)
{
	struct ram_page *p = page_get(n, offset / PAGE_SIZE);

	if (p && end > offset)
		memset(p->data + offset % PAGE_SIZE, 0, end - offset);
	page_put(p);
}

/* [offset, end) reads as zeros; whole pages are freed. */
static void punch(struct ram_node *n, u64 offset, u64 end)
{
	u64 first = ALIGN_UP(offset, PAGE_SIZE), last = ALIGN_DOWN(end, PAGE_SIZE);

	if (first > last) {
		zero_part(n, offset, end);
		return;
	}
	if (offset < first)
		zero_part(n, offset, first);
	if (last < end)
		zero_part(n, last, end);
	drop_pages(n, first / PAGE_SIZE, last / PAGE_SIZE);
}

static int ram_truncate(struct vnode *v, u64 size)
{
	struct ram_node *n = ram_of(v);
	u64 old;

	if (size > (u64)INT64_MAX)
		return -EFBIG;
	spin_lock(&n->meta_lock);
	old = n->file.size;
	__atomic_store_n(&n->file.size, size, __ATOMIC_RELEASE);
	spin_unlock(&n->meta_lock);
	if (size < old)
		punch(n, size, ALIGN_UP(old, PAGE_SIZE));
	drop_pages(n, (size + PAGE_SIZE - 1) / PAGE_SIZE, UINT64_MAX);
	ram_touch(n, VATTR_MTIME | VATTR_CTIME);
	return 0;
}

/* Gives back what this call reserved: nothing was written there yet. */
static void unreserve(struct ram_node *n, u64 first, u64 end, u32 call)
{
	for (u64 i = first; i < end; i++) {
		struct ram_page *p;
		bool ours;

		spin_lock(&n->meta_lock);
		p = pagetree_next(&n->file.pages, &i);
		ours = p && i < end && p->reserved == call;
		spin_unlock(&n->meta_lock);
		if (!p)
			return;
		if (ours)
			drop_pages(n, i, i + 1);
	}
}

/* Pages for [first, end), all or none. A signal ends it: there may be many. */
static int reserve(struct ram_node *n, u64 first, u64 end)
{
	u32 call = ++n->file.reservations;
	int err = 0;
	u64 i;

	for (i = first; i < end && !err; i++) {
		u64 before = n->file.page_count;
		struct ram_page *p = page_make(n, i);

		if (!p) {
			err = -ENOSPC;
		} else {
			if (n->file.page_count != before)
				p->reserved = call;
			page_put(p);
			if (thread_has_work(current_thread()))
				err = -EINTR;
		}
	}
	if (err)
		unreserve(n, first, i, call);
	return err;
}

static int ram_fallocate(struct vnode *v, u32 mode, u64 offset, u64 len)
{
	struct ram_node *n = ram_of(v);
	u64 end = offset + len, size = size_of(n);
	int err;

	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		punch(n, offset, MIN(end, ALIGN_UP(size, PAGE_SIZE)));
	if (!(mode & FALLOC_FL_PUNCH_HOLE)) {
		err = reserve(n, offset / PAGE_SIZE, (end + PAGE_SIZE - 1) / PAGE_SIZE);
		if (err)
			return err;
	}
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > size) {
		spin_lock(&n->meta_lock);
		__atomic_store_n(&n->file.size, MAX(end, n->file.size), __ATOMIC_RELEASE);
		spin_unlock(&n->meta_lock);
	}
	ram_touch(n, VATTR_MTIME | VATTR_CTIME);
	return 0;
}

static int ram_seek(struct vnode *v, u64 offset, bool hole, u64 *ret)
{
	struct ram_node *n = ram_of(v);
	u64 index = offset / PAGE_SIZE, size = size_of(n);

	spin_lock(&n->meta_lock);
	if (hole) {
		while (index * PAGE_SIZE < size && pagetree_get(&n->file.pages, index))
			index++;
	} else if (!pagetree_next(&n->file.pages, &index)) {
		index = UINT64_MAX / PAGE_SIZE;
	}
	spin_unlock(&n->meta_lock);
	if (!hole && index * PAGE_SIZE >= size)
		return -ENXIO;
	*ret = MIN(MAX(index * PAGE_SIZE, offset), size);
	return 0;
}

static int ram_sync(struct vnode *v, bool data_only)
{
	return 0; /* memory is as durable as it gets */
}

static void ram_file_release(struct vnode *v)
{
	struct ram_node *n = ram_of(v);

	drop_pages(n, 0, UINT64_MAX);
	pagetree_free(&n->file.pages);
	__atomic_fetch_sub(&ram_fs_of(v)->files, 1, __ATOMIC_RELAXED);
	ram_xattrs_free(ram_of(v));
	kfree(n);
}

const struct vnode_ops ram_file_ops = {
	.release = ram_file_release,
	RAM_COMMON_OPS,
	.read = ram_read,
	.write = ram_write,
	.truncate = ram_truncate,
	.fallocate = ram_fallocate,
	.seek = ram_seek,
	.sync = ram_sync,
};
