/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are mapped MAP_SHARED. The object exists while an open file that was asked for it
 * exists (mappings keep their file open); then its pages are written back and it goes. The
 * functions that the object calls reach the file system's storage directly and take no vnode lock,
 * because write() holds that while it goes through the object.
 */
#include "kernel/vfs/shared.h"

#include "abi/errno.h"
#include "kernel/mm/mm.h"
#include "kernel/vfs/file_ops.h"
#include "lib/base/string.h"

static int object_fill(void *context, void *to, size_t size, u64 offset)
{
	struct vnode *v = context;
	struct uio uio = uio_kernel(to, size);

	long n = 0;

	lock_order_below_object(true);
	while (uio.left) {
		n = v->ops->read(v, &uio, offset);
		if (n <= 0)
			break;
		offset += n;
	}
	lock_order_below_object(false);
	if (n < 0)
		return n;
	memset(uio.kernel, 0, uio.left);
	return 0;
}

static int object_write_back(void *context, const void *from, size_t size, u64 offset)
{
	struct vnode *v = context;
	struct uio uio = uio_kernel((void *)from, size);

	long n = 0;

	lock_order_below_object(true);
	while (uio.left) {
		n = v->ops->write(v, &uio, offset);
		if (n <= 0)
			break;
		offset += n;
	}
	lock_order_below_object(false);
	if (uio.left)
		return n ? (int)n : -EIO;
	return 0;
}

static const struct mem_object_ops object_ops = {
	.fill = object_fill,
	.write_back = object_write_back,
};

bool shared_object_is_mapped(struct vnode *v)
{
	return v->shared && mem_object_is_shared(v->shared);
}

int shared_object_get(struct vnode *v, struct mem_object **ret)
{
	struct mem_object *o = NULL;
	struct vattr attr;
	int err = 0;

	if (!S_ISREG(v->mode) || !v->ops->read)
		return -ENODEV;
	mutex_lock(&v->lock);
	if (!v->shared) {
		err = vnode_getattr(v, &attr);
		if (!err) {
			o = mem_object_new_backed(attr.size, &object_ops, v);
			err = o ? 0 : -ENOMEM;
		}
		if (!err) {
			__atomic_store_n(&v->shared, o, __ATOMIC_RELEASE);
			vnode_forget_attr(v);
		}
	}
	if (!err)
		*ret = mem_object_get(v->shared);
	mutex_unlock(&v->lock);
	return err;
}

void shared_object_drop(struct vnode *v)
{
	struct mem_object *o = v->shared;

	if (!o)
		return;
	if (mem_object_sync(o, 0, mem_object_size(o)))
		v->version++; /* lost bytes: nobody may take old pages for the file's */
	spin_lock(&v->attr_lock);
	__atomic_store_n(&v->shared, NULL, __ATOMIC_RELEASE);
	spin_unlock(&v->attr_lock);
	mem_object_put(o);
}

void shared_object_file_closed(struct vnode *v)
{
	mutex_lock(&v->lock);
	if (--v->shared_files == 0) {
		shared_object_drop(v);
		vnode_forget_attr(v);
	}
	mutex_unlock(&v->lock);
}

/* A reference that survives a concurrent drop. */
static struct mem_object *object_of(struct vnode *v)
{
	struct mem_object *o;

	spin_lock(&v->attr_lock);
	o = v->shared ? mem_object_get(v->shared) : NULL;
	spin_unlock(&v->attr_lock);
	return o;
}

long shared_object_read(struct vnode *v, struct uio *uio, u64 offset)
{
	struct mem_object *o = object_of(v);
	long ret;

	if (!o)
		return v->ops->read(v, uio, offset);
	ret = mem_object_read(o, uio, offset);
	mem_object_put(o);
	return ret;
}

/* Growth goes to the file system first, so that what lies in the pages has a place there. */
long shared_object_write(struct vnode *v, struct uio *uio, u64 offset)
{
	struct mem_object *o = v->shared;
	u64 end = offset + uio->left;
	int err;

	if (end > mem_object_size(o)) {
		err = v->ops->truncate(v, end);
		if (!err)
			err = mem_object_resize(o, end);
		if (err)
			return err;
	}
	return mem_object_write(o, uio, offset);
}

int shared_object_truncate(struct vnode *v, u64 size)
{
	return v->shared ? mem_object_resize(v->shared, size) : 0;
}

int shared_object_flush(struct vnode *v)
{
	struct mem_object *o = object_of(v);
	int err;

	if (!o)
		return 0;
	err = mem_object_sync(o, 0, mem_object_size(o));
	mem_object_put(o);
	return err;
}

/* After fallocate changed bytes below: the pages take them over. */
int shared_object_reload(struct vnode *v, u64 offset, u64 end)
{
	static const u8 zeros[PAGE_SIZE];
	struct vattr attr;
	int err;

	if (!v->shared)
		return 0;
	vnode_forget_attr(v);
	err = v->ops->getattr(v, &attr);
	if (!err && attr.size != mem_object_size(v->shared))
		err = mem_object_resize(v->shared, attr.size);
	end = MIN(end, mem_object_size(v->shared));
	while (!err && offset < end) {
		struct uio uio = uio_kernel((void *)zeros, MIN(end - offset, PAGE_SIZE));
		long n = mem_object_write(v->shared, &uio, offset);

		if (n <= 0)
			return n ? (int)n : -EIO;
		offset += n;
	}
	return err;
}
