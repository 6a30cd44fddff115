/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copy-up. A file is copied into an object without a name and gets its name last, so that no
 * committed state ever shows half a copy. Directories above it come first, from the top down.
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/unionfs/union_priv.h"
#include "lib/base/fmt.h"
#include "lib/base/le.h"
#include "lib/base/string.h"

#define COPY_CHUNK 65536u

struct vfs_name union_work_name(struct union_fs *fs, char buf[24])
{
	int len = fmt_snprintf(
		buf, 24, "#%llu",
		(unsigned long long)__atomic_fetch_add(&fs->next_work, 1, __ATOMIC_RELAXED));

	return (struct vfs_name){buf, len};
}

void union_work_remove(struct union_fs *fs, struct vfs_name name, struct vnode *v)
{
	/* What is left in `work` is deleted at the next mount. */
	if (fs->work->ops->unlink(fs->work, name, v, S_ISDIR(v->mode)))
		return;
}

static int copy_bytes(struct vnode *from, struct vnode *to)
{
	u8 *buf = kmalloc(COPY_CHUNK);
	struct vattr attr;
	u64 offset = 0;
	int err = buf ? vnode_getattr(from, &attr) : -ENOMEM;

	while (!err && offset < attr.size) {
		struct uio in = uio_kernel(buf, COPY_CHUNK), out;
		u64 data = offset;
		long n;

		if (from->ops->seek) {
			err = from->ops->seek(from, offset, false, &data);
			if (err == -ENXIO) {
				err = 0;
				break; /* only a hole is left */
			}
			if (err)
				break;
		}
		offset = MAX(data, offset);
		n = vnode_read(from, &in, offset);
		if (n <= 0) {
			err = n ? n : -EIO;
			break;
		}
		out = uio_kernel(buf, n);
		while (out.left && !err) {
			long m = vnode_write(to, &out, &offset, false, UINT64_MAX);

			if (m <= 0)
				err = m ? m : -EIO;
			else
				offset += m;
		}
	}
	if (!err)
		err = vnode_truncate(to, attr.size);
	kfree(buf);
	return err;
}

static int copy_xattrs(struct vnode *from, struct vnode *to)
{
	char *names = kmalloc(4096 + 2048);
	char *value, *at;
	long size;
	int err = 0;

	if (!names)
		return -ENOMEM;
	value = names + 4096;
	size = from->ops->listxattr ? from->ops->listxattr(from, names, 4096) : 0;
	for (at = names; size > 0 && at < names + size && !err; at += strlen(at) + 1) {
		long n = from->ops->getxattr(from, at, value, 2048);

		if (n >= 0 && !str_has_prefix(at, XATTR_PRIVATE))
			err = to->ops->setxattr(to, at, value, n, 0);
	}
	kfree(names);
	return err == -EOPNOTSUPP ? 0 : err;
}

static int copy_attributes(struct union_node *n, struct vnode *from, struct vnode *to)
{
	le64 origin = le64_put(n->ino);
	struct vattr attr;
	int err = vnode_getattr(from, &attr);

	if (err)
		return err;
	/* Several names below: the copies are different files from now on. */
	if (to->ops->setxattr && (S_ISDIR(attr.mode) || attr.nlink == 1)) {
		err = to->ops->setxattr(to, XATTR_ORIGIN, &origin, sizeof(origin), 0);
		if (err && err != -EOPNOTSUPP)
			return err;
	}
	if (from->ops->listxattr && to->ops->setxattr) {
		err = copy_xattrs(from, to);
		if (err)
			return err;
	}
	return vnode_setattr(to, &attr,
			     VATTR_MODE | VATTR_UID | VATTR_GID | VATTR_ATIME | VATTR_MTIME);
}

static int make_symlink(struct vnode *from, struct vnode *dir, struct vfs_name name,
			struct vnode **ret)
{
	char *target = kmalloc(PATH_MAX_SIZE);
	long len;
	int err;

	if (!target)
		return -ENOMEM;
	len = from->ops->readlink(from, target, PATH_MAX_SIZE);
	err = len < 0 ? (int)len
		      : dir->ops->symlink(dir, name, target, len, from->uid, from->gid, ret);
	kfree(target);
	return err;
}

/* The copy, prepared in `work` under `temp` (files: without a name). */
static int prepare(struct union_fs *fs, struct vnode *from, struct vfs_name temp,
		   struct vnode **ret)
{
	struct vnode *work = fs->work;
	struct vattr attr;
	int err = vnode_getattr(from, &attr);

	if (err)
		return err;
	if (S_ISREG(attr.mode))
		return work->ops->create_unnamed(work, attr.mode, attr.uid, attr.gid, ret);
	if (S_ISLNK(attr.mode))
		return make_symlink(from, work, temp, ret);
	return work->ops->create(work, temp, attr.mode, attr.uid, attr.gid, attr.rdev, ret);
}

/* Under copy_lock; the parent has its upper. */
static int copy_one(struct union_node *n, bool with_data)
{
	struct union_fs *fs = union_fs_of(&n->v);
	struct vnode *dir = union_upper(union_of(n->parent)), *from = n->lowers[0], *copy;
	struct vfs_name name = {n->name, n->name_len}, temp;
	char buf[24];
	int err;

	temp = union_work_name(fs, buf);
	err = prepare(fs, from, temp, &copy);
	if (err)
		return err;
	if (S_ISREG(from->mode) && with_data)
		err = copy_bytes(from, copy);
	if (!err)
		err = copy_attributes(n, from, copy);
	if (!err && S_ISREG(from->mode))
		err = dir->ops->link(dir, name, copy);
	else if (!err)
		err = fs->work->ops->rename(fs->work, temp, copy, dir, name, NULL,
					    RENAME_NOREPLACE);
	vnode_forget_attr(copy);
	vnode_forget_attr(dir);
	if (err) {
		if (!S_ISREG(from->mode))
			union_work_remove(fs, temp, copy);
		vnode_put(copy);
		return err;
	}
	__atomic_store_n(&n->upper, copy, __ATOMIC_RELEASE);
	if (vnode_is_hashed(&n->v))
		vnode_rekey(&n->v, copy->key << 1 | 1);
	n->v.version++;
	vnode_forget_attr(&n->v);
	return 0;
}

int union_copy_up(struct union_node *n, bool with_data)
{
	struct union_fs *fs = union_fs_of(&n->v);
	int err = 0;

	if (likely(union_upper(n)))
		return 0;
	mutex_lock(&fs->copy_lock);
	while (!err && !union_upper(n)) {
		struct union_node *top = n;

		while (!union_upper(union_of(top->parent)))
			top = union_of(top->parent);
		err = copy_one(top, with_data || top != n);
	}
	mutex_unlock(&fs->copy_lock);
	return err;
}
