/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of ramfs objects: a short list per object, under the lock of all names. */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/ramfs/ramfs_priv.h"
#include "lib/base/string.h"

#define XATTR_BYTES_MAX KIB(128) /* of one object */

struct ram_xattr {
	struct list_node node;
	size_t size;
	char *value; /* behind the name */
	char name[];
};

static struct ram_xattr *find(struct ram_node *n, const char *name)
{
	struct ram_xattr *x;

	list_for_each_entry (x, &n->xattrs, node) {
		if (str_equal(x->name, name))
			return x;
	}
	return NULL;
}

static size_t bytes_of(const struct ram_xattr *x)
{
	return sizeof(*x) + strlen(x->name) + 1 + x->size;
}

static void drop(struct ram_node *n, struct ram_xattr *x)
{
	n->xattr_bytes -= bytes_of(x);
	list_del(&x->node);
	kfree(x);
}

long ram_getxattr(struct vnode *v, const char *name, void *value, size_t size)
{
	struct ram_fs *fs = ram_fs_of(v);
	struct ram_xattr *x;
	long ret = -ENODATA;

	mutex_lock(&fs->lock);
	x = find(ram_of(v), name);
	if (x) {
		ret = x->size;
		if (size && size < x->size)
			ret = -ERANGE;
		else if (size)
			memcpy(value, x->value, x->size);
	}
	mutex_unlock(&fs->lock);
	return ret;
}

int ram_setxattr(struct vnode *v, const char *name, const void *value, size_t size, u32 flags)
{
	struct ram_fs *fs = ram_fs_of(v);
	struct ram_node *n = ram_of(v);
	size_t len = strlen(name) + 1;
	struct ram_xattr *x = NULL, *old;
	int err = 0;

	if (ram_has_room(sizeof(*x) + len + size))
		x = kmalloc(sizeof(*x) + len + size);
	if (!x)
		return -ENOSPC;
	x->size = size;
	x->value = x->name + len;
	memcpy(x->name, name, len);
	memcpy(x->value, value, size);
	mutex_lock(&fs->lock);
	old = find(n, name);
	if (old && (flags & XATTR_CREATE))
		err = -EEXIST;
	else if (!old && (flags & XATTR_REPLACE))
		err = -ENODATA;
	else if (n->xattr_bytes + bytes_of(x) > XATTR_BYTES_MAX)
		err = -ENOSPC;
	if (!err) {
		if (old)
			drop(n, old);
		list_add_tail(&n->xattrs, &x->node);
		n->xattr_bytes += bytes_of(x);
		x = NULL;
	}
	mutex_unlock(&fs->lock);
	kfree(x);
	if (!err)
		ram_touch(n, VATTR_CTIME);
	return err;
}

long ram_listxattr(struct vnode *v, char *names, size_t size)
{
	struct ram_fs *fs = ram_fs_of(v);
	struct ram_xattr *x;
	long total = 0;

	mutex_lock(&fs->lock);
	list_for_each_entry (x, &ram_of(v)->xattrs, node) {
		size_t len = strlen(x->name) + 1;

		if (size && total + len > size) {
			total = -ERANGE;
			break;
		}
		if (size)
			memcpy(names + total, x->name, len);
		total += len;
	}
	mutex_unlock(&fs->lock);
	return total;
}

int ram_removexattr(struct vnode *v, const char *name)
{
	struct ram_fs *fs = ram_fs_of(v);
	struct ram_xattr *x;

	mutex_lock(&fs->lock);
	x = find(ram_of(v), name);
	if (x)
		drop(ram_of(v), x);
	mutex_unlock(&fs->lock);
	return x ? 0 : -ENODATA;
}

void ram_xattrs_free(struct ram_node *n)
{
	struct ram_xattr *x, *tmp;

	list_for_each_entry_safe (x, tmp, &n->xattrs, node)
		drop(n, x);
}
