// SPDX-License-Identifier: Apache-2.0
/*
 * Memory objects: what shared mappings show. Enclave memory cannot be mapped at a second address,
 * so an object lies at one address of the zone, given at its first use, and every process maps
 * it there; read() and write() of a mapped file work on the same pages.
 *
 * The host knows one protection per page. It is the union of what the mappings ask; with no
 * mapping, pages are readable and writable for the kernel's own use. Objects over a file learn
 * of changes by a fault: a page is writable only once it is marked PAGE_CHANGED, and
 * mem_object_sync() takes both away before it writes the page back.
 *
 * Lock: o->lock guards everything but refs; taken after mm->lock. Callbacks run under it.
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "kernel/vfs/file.h"
#include "lib/base/overflow.h"
#include "lib/base/string.h"

#define LOG_TAG "mm"
#include "kernel/core/log.h"

#define COPY_STEP KIB(16)

struct mem_object {
	u32 refs; /* atomic */
	struct mutex lock;
	u64 size;			  /* bytes; touches past the last page of it are SIGBUS */
	u64 base;			  /* address, 0: not placed */
	u64 room;			  /* bytes of addresses, >= size once placed */
	const struct mem_object_ops *ops; /* NULL: zeroes */
	void *context;
	struct list_node mappings; /* struct vma.object_node */
};

struct mem_object *mem_object_new_backed(u64 size, const struct mem_object_ops *ops, void *context)
{
	struct mem_object *o;

	if (size > zone_end())
		return NULL;
	o = kzalloc(sizeof(*o));
	if (!o)
		return NULL;
	if (zone_reserve_node()) {
		kfree(o);
		return NULL;
	}
	o->refs = 1;
	o->size = size;
	o->ops = ops;
	o->context = context;
	mutex_init(&o->lock, LOCK_MEM_OBJECT);
	list_init(&o->mappings);
	return o;
}

struct mem_object *mem_object_new(u64 size)
{
	return mem_object_new_backed(size, NULL, NULL);
}

bool mem_object_is_shared(struct mem_object *o)
{
	return __atomic_load_n(&o->refs, __ATOMIC_ACQUIRE) > 1;
}

struct mem_object *mem_object_get(struct mem_object *o)
{
	__atomic_add_fetch(&o->refs, 1, __ATOMIC_RELAXED);
	return o;
}

static void unplace(struct mem_object *o)
{
	if (!o->base)
		return;
	pages_release(o->base, o->base + o->room);
	zone_free(o->base, o->base + o->room);
	o->base = 0;
	o->room = 0;
}

void mem_object_put(struct mem_object *o)
{
	if (!o || __atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (o->ops && mem_object_sync(o, 0, UINT64_MAX))
		log_err("Changes of a shared file mapping were lost: its file cannot be written.");
	unplace(o);
	if (o->ops && o->ops->release)
		o->ops->release(o->context);
	zone_unreserve_node();
	kfree(o);
}

u64 mem_object_size(struct mem_object *o)
{
	return __atomic_load_n(&o->size, __ATOMIC_RELAXED);
}

/* --- protection --- */

/* What the mappings of `at` together allow, and up to where that is so. */
static u32 union_at(const struct mem_object *o, u64 at, u64 *end)
{
	const struct vma *v;
	u32 prot = 0;

	if (list_is_empty(&o->mappings))
		return PAGE_READ | PAGE_WRITE;
	list_for_each_entry (v, &o->mappings, object_node) {
		if (v->start <= at && at < v->end) {
			prot |= pages_effective(v->prot);
			*end = MIN(*end, v->end);
		} else if (v->start > at) {
			*end = MIN(*end, v->start);
		}
	}
	return prot;
}

/* Tells the host. Pages of files that are not changed yet stay write-protected. */
static int apply_protection(struct mem_object *o, u64 start, u64 end)
{
	while (start < end) {
		u64 until = end;
		u32 prot = union_at(o, start, &until);
		u8 bits;
		int err;

		until = pages_run(start, until, PAGE_PRESENT | PAGE_CHANGED, &bits);
		if (o->ops && !(bits & PAGE_CHANGED))
			prot &= ~PAGE_WRITE;
		if (bits & PAGE_PRESENT) {
			err = pages_protect(start, until, prot);
			if (err)
				return err;
		}
		start = until;
	}
	return 0;
}

void object_link(struct vma *v)
{
	mutex_lock(&v->object->lock);
	list_add_tail(&v->object->mappings, &v->object_node);
	mutex_unlock(&v->object->lock);
}

bool object_is_mapped_by_others(struct mem_object *o, const struct mm *mm, bool is_written)
{
	const struct vma *v;
	bool found = false;

	mutex_lock(&o->lock);
	list_for_each_entry (v, &o->mappings, object_node)
		found |= v->mm != mm && (is_written || pages_effective(v->prot) & PAGE_WRITE);
	mutex_unlock(&o->lock);
	return found;
}

void object_unlink(struct vma *v)
{
	struct mem_object *o = v->object;

	mutex_lock(&o->lock);
	list_del(&v->object_node);
	/* More access than needed is all that a failure leaves. */
	if (apply_protection(o, v->start, v->end))
		log_warn("Pages of a shared mapping stay more accessible than asked.");
	mutex_unlock(&o->lock);
}

int object_protect(struct vma *v, u64 start, u64 end)
{
	int err;

	mutex_lock(&v->object->lock);
	err = apply_protection(v->object, start, end);
	mutex_unlock(&v->object->lock);
	return err;
}

/* --- addresses --- */

static int place(struct mem_object *o, u64 want, u64 room)
{
	u64 base;
	int err;

	if (want) {
		if (want < zone_start() || want >= zone_end() || room > zone_end() - want ||
		    !zone_take(want, want + room))
			return -ENOMEM;
		base = want;
	} else {
		base = zone_alloc(room, PAGE_SIZE, ZONE_LARGE);
		if (!base)
			return -ENOMEM;
	}
	err = pages_clean(base, base + room);
	if (err) {
		zone_free(base, base + room);
		return err;
	}
	o->base = base;
	o->room = room;
	return 0;
}

/* Nobody maps it: its pages may move. */
static int move(struct mem_object *o, u64 room)
{
	u64 old = o->base, old_room = o->room, at = 0, next;
	u8 bits;
	int err = zone_reserve_node();

	if (err)
		return err;
	err = place(o, 0, room);
	if (err) {
		zone_unreserve_node();
		return err;
	}
	for (; !err && at < old_room; at = next) {
		next = pages_run(old + at, old + old_room, PAGE_PRESENT | PAGE_CHANGED, &bits) -
		       old;
		if (!(bits & PAGE_PRESENT))
			continue;
		err = pages_fill(o->base + at, o->base + next, (void *)(old + at),
				 PAGE_READ | PAGE_WRITE, false);
		if (!err && (bits & PAGE_CHANGED))
			pages_mark_changed(o->base + at, o->base + next, true);
	}
	if (err) {
		unplace(o);
		o->base = old;
		o->room = old_room;
	} else {
		pages_release(old, old + old_room);
		zone_free(old, old + old_room);
	}
	zone_unreserve_node();
	return err;
}

static int place_locked(struct mem_object *o, u64 want, u64 room)
{
	u64 end = o->base + o->room;
	int err;

	if (room > zone_end())
		return -ENOMEM;
	room = ALIGN_UP(MAX(room, MAX(o->size, 1)), PAGE_SIZE);
	if (!o->base)
		return place(o, want, room);
	if (room <= o->room)
		return 0;
	if (zone_take(end, o->base + room)) {
		err = pages_clean(end, o->base + room);
		if (err)
			zone_free(end, o->base + room);
		else
			o->room = room;
		return err;
	}
	if (list_is_empty(&o->mappings))
		return move(o, room);
	log_info("A shared mapping cannot grow: other memory lies behind it.");
	return -ENOMEM;
}

int object_place(struct mem_object *o, u64 want, u64 room, u64 *ret_base)
{
	int err;

	mutex_lock(&o->lock);
	err = place_locked(o, want, room);
	if (!err)
		*ret_base = o->base;
	mutex_unlock(&o->lock);
	return err;
}

/* --- contents --- */

static int fill_run(struct mem_object *o, u64 start, u64 end)
{
	u64 ignored = end;
	u32 prot = union_at(o, start, &ignored);
	void *buf;
	int err;

	if (!o->ops)
		return pages_commit(start, end, prot);
	buf = kmalloc(end - start);
	if (!buf)
		return -ENOMEM;
	err = o->ops->fill(o->context, buf, end - start, start - o->base);
	if (!err)
		err = pages_fill(start, end, buf, prot & ~PAGE_WRITE, !list_is_empty(&o->mappings));
	kfree(buf);
	return err;
}

/* Makes the pages of [start, end) present. Placed, and within the size. */
static int fill_locked(struct mem_object *o, u64 start, u64 end)
{
	while (start < end) {
		u64 until = end;
		u8 bits;
		int err;

		union_at(o, start, &until);
		until = pages_run(start, until, PAGE_PRESENT, &bits);
		if (!bits) {
			until = MIN(until, start + FILL_STEP);
			err = fill_run(o, start, until);
			if (err)
				return err;
		}
		start = until;
	}
	return 0;
}

int object_populate(struct vma *v, u64 at, u64 start, u64 end, u32 access)
{
	struct mem_object *o = v->object;
	u64 limit;
	int err;

	mutex_lock(&o->lock);
	limit = o->base + ALIGN_UP(o->size, PAGE_SIZE);
	if (at >= limit) {
		mutex_unlock(&o->lock);
		return -EIO;
	}
	end = MIN(end, limit);
	err = fill_locked(o, start, end);
	if (!err && o->ops && (access & PAGE_WRITE))
		pages_mark_changed(start, end, true);
	if (!err)
		err = apply_protection(o, start, end);
	mutex_unlock(&o->lock);
	return err;
}

void object_hold(struct mem_object *o)
{
	mutex_lock(&o->lock);
}

void object_release(struct mem_object *o)
{
	mutex_unlock(&o->lock);
}

/* Copies between kernel memory and the object's pages. */
static int copy_locked(struct mem_object *o, void *buf, size_t size, u64 offset, bool write)
{
	u64 at, start, end;
	int err = place_locked(o, 0, o->size);

	if (err)
		return err;
	at = o->base + offset;
	start = ALIGN_DOWN(at, PAGE_SIZE);
	end = ALIGN_UP(at + size, PAGE_SIZE);
	err = fill_locked(o, start, end);
	if (err)
		return err;
	if (write && o->ops)
		pages_mark_changed(start, end, true);
	/* The kernel's own access, whatever the mappings ask. */
	if (!pages_accessible(start, end - start, write ? PAGE_WRITE : PAGE_READ)) {
		err = pages_protect(start, end, PAGE_READ | PAGE_WRITE);
		if (err)
			return err;
	}
	if (write)
		memcpy((void *)at, buf, size);
	else
		memcpy(buf, (void *)at, size);
	return apply_protection(o, start, end);
}

static long copy_uio(struct mem_object *o, struct uio *uio, u64 offset, bool write)
{
	u8 *buf = kmalloc(COPY_STEP);
	long done = 0;
	int err = 0;

	if (!buf)
		return -ENOMEM;
	while (uio->left && !err) {
		size_t size = MIN(uio->left, COPY_STEP);

		if (offset >= mem_object_size(o))
			break;
		size = MIN(size, mem_object_size(o) - offset);
		if (write)
			err = uio_copy_in(uio, buf, size);
		if (!err) {
			mutex_lock(&o->lock);
			err = range_within(offset, size, o->size)
				      ? copy_locked(o, buf, size, offset, write)
				      : -EIO;
			mutex_unlock(&o->lock);
		}
		if (!err && !write)
			err = uio_copy_out(uio, buf, size);
		if (!err) {
			done += size;
			offset += size;
		}
	}
	kfree(buf);
	return done ? done : err;
}

long mem_object_read(struct mem_object *o, struct uio *uio, u64 offset)
{
	return copy_uio(o, uio, offset, false);
}

long mem_object_write(struct mem_object *o, struct uio *uio, u64 offset)
{
	return copy_uio(o, uio, offset, true);
}

/* Bytes of the last page past the new end become zero, pages behind it go. */
static int shrink_locked(struct mem_object *o, u64 size)
{
	u64 end = ALIGN_UP(size, PAGE_SIZE);
	int err = 0;

	if (!o->base)
		return 0;
	if (end < o->room)
		err = pages_drop(o->base + end, o->base + o->room);
	if (!err && size < end && (pages_state(o->base + size) & PAGE_PRESENT)) {
		u64 page = o->base + end - PAGE_SIZE;

		err = pages_protect(page, page + PAGE_SIZE, PAGE_READ | PAGE_WRITE);
		if (!err) {
			memset((void *)(o->base + size), 0, end - size);
			err = apply_protection(o, page, page + PAGE_SIZE);
		}
	}
	return err;
}

int mem_object_resize(struct mem_object *o, u64 size)
{
	int err = 0;

	mutex_lock(&o->lock);
	if (size < o->size)
		err = shrink_locked(o, size);
	else if (o->base)
		err = place_locked(o, 0, size);
	if (!err)
		__atomic_store_n(&o->size, size, __ATOMIC_RELAXED);
	mutex_unlock(&o->lock);
	return err;
}

static int write_back_run(struct mem_object *o, u64 start, u64 end)
{
	u64 offset = start - o->base;
	int err;

	if (offset >= o->size) {
		pages_mark_changed(start, end, false);
		return 0;
	}
	/* First write-protected, so that a change during the writing is seen. */
	pages_mark_changed(start, end, false);
	err = pages_protect(start, end, PAGE_READ);
	if (!err)
		err = o->ops->write_back(o->context, (const void *)start,
					 MIN(end - start, o->size - offset), offset);
	if (err)
		pages_mark_changed(start, end, true);
	if (apply_protection(o, start, end) && !err)
		err = -ENOMEM;
	return err;
}

int mem_object_sync(struct mem_object *o, u64 offset, u64 size)
{
	int ret = 0;
	u64 at, end;

	mutex_lock(&o->lock);
	if (o->ops && o->base && offset < o->room) {
		at = o->base + ALIGN_DOWN(offset, PAGE_SIZE);
		end = o->base +
		      (size < o->room - offset ? ALIGN_UP(offset + size, PAGE_SIZE) : o->room);
		while (at < end) {
			u8 bits;
			u64 until = pages_run(at, end, PAGE_CHANGED, &bits);

			if (bits) {
				int err = write_back_run(o, at, until);

				ret = ret ? ret : err;
			}
			at = until;
		}
	}
	mutex_unlock(&o->lock);
	return ret;
}
