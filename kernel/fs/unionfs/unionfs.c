/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes and contents of union nodes: reading goes to the real object, changing copies it up
 * first. The vfs holds the union vnode's lock where the operations say so; the layers' own locks
 * come after it.
 */
#include "kernel/fs/unionfs/unionfs.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/pipefs/pipe.h"
#include "kernel/fs/unionfs/union_priv.h"
#include "lib/base/string.h"

static void union_release(struct vnode *v)
{
	struct union_node *n = union_of(v);

	vnode_put(n->upper);
	for (u32 i = 0; i < n->lower_count; i++)
		vnode_put(n->lowers[i]);
	vnode_put(n->parent);
	kfree(n->name);
	kfree(n);
}

static int union_getattr(struct vnode *v, struct vattr *ret)
{
	struct union_node *n = union_of(v);
	int err = vnode_getattr(union_real(n), ret);

	if (err)
		return err;
	ret->ino = n->ino;
	if (S_ISDIR(ret->mode) && n->lower_count && union_upper(n))
		ret->nlink = 1; /* merged: subdirectories are not counted */
	return 0;
}

static int union_setattr(struct vnode *v, const struct vattr *a, u32 set)
{
	int err = union_copy_up(union_of(v), true);

	return err ? err : vnode_setattr(union_upper(union_of(v)), a, set);
}

static long union_readlink(struct vnode *v, char *buf, size_t size)
{
	struct vnode *real = union_real(union_of(v));

	return real->ops->readlink(real, buf, size);
}

static long union_read(struct vnode *v, struct uio *uio, u64 offset)
{
	return vnode_read(union_real(union_of(v)), uio, offset);
}

static long union_write(struct vnode *v, struct uio *uio, u64 offset)
{
	int err = union_copy_up(union_of(v), true);

	return err ? err : vnode_write(union_upper(union_of(v)), uio, &offset, false, UINT64_MAX);
}

static int union_truncate(struct vnode *v, u64 size)
{
	int err = union_copy_up(union_of(v), size != 0);

	return err ? err : vnode_truncate(union_upper(union_of(v)), size);
}

static int union_fallocate(struct vnode *v, u32 mode, u64 offset, u64 len)
{
	struct vnode *upper;
	int err = union_copy_up(union_of(v), true);

	if (err)
		return err;
	upper = union_upper(union_of(v));
	if (!upper->ops->fallocate)
		return -EOPNOTSUPP;
	mutex_lock(&upper->lock);
	err = upper->ops->fallocate(upper, mode, offset, len);
	vnode_forget_attr(upper);
	mutex_unlock(&upper->lock);
	return err;
}

static int union_seek(struct vnode *v, u64 offset, bool hole, u64 *ret)
{
	struct vnode *real = union_real(union_of(v));
	struct vattr attr;
	int err;

	if (real->ops->seek)
		return real->ops->seek(real, offset, hole, ret);
	err = vnode_getattr(real, &attr);
	*ret = hole ? attr.size : offset;
	return err;
}

static int union_sync_vnode(struct vnode *v, bool data_only)
{
	struct vnode *upper = union_upper(union_of(v));

	return upper && upper->ops->sync ? upper->ops->sync(upper, data_only) : 0;
}

static int union_open(struct vnode *v, struct file *f)
{
	struct union_node *n = union_of(v);

	if (S_ISDIR(v->mode))
		return union_open_dir(f);
	if (S_ISFIFO(v->mode))
		return fifo_vnode_open(v, f);
	if (!S_ISREG(v->mode))
		return -ENXIO;
	return file_can_write(f) ? union_copy_up(n, true) : 0;
}

static long union_getxattr(struct vnode *v, const char *name, void *value, size_t size)
{
	struct vnode *real = union_real(union_of(v));

	if (str_has_prefix(name, XATTR_PRIVATE))
		return -ENODATA;
	return real->ops->getxattr ? real->ops->getxattr(real, name, value, size) : -EOPNOTSUPP;
}

static int union_setxattr(struct vnode *v, const char *name, const void *value, size_t size,
			  u32 flags)
{
	struct vnode *upper;
	int err;

	if (str_has_prefix(name, XATTR_PRIVATE))
		return -EPERM;
	err = union_copy_up(union_of(v), true);
	if (err)
		return err;
	upper = union_upper(union_of(v));
	err = upper->ops->setxattr ? upper->ops->setxattr(upper, name, value, size, flags)
				   : -EOPNOTSUPP;
	vnode_forget_attr(upper);
	return err;
}

/* The layer's names without our own marks. */
static long union_listxattr(struct vnode *v, char *names, size_t size)
{
	struct vnode *real = union_real(union_of(v));
	char *all, *at;
	long total, kept = 0;

	if (!real->ops->listxattr)
		return 0;
	all = kmalloc(XATTR_LIST_MAX);
	if (!all)
		return -ENOMEM;
	total = real->ops->listxattr(real, all, XATTR_LIST_MAX);
	for (at = all; total > 0 && at < all + total; at += strlen(at) + 1) {
		size_t len = strlen(at) + 1;

		if (str_has_prefix(at, XATTR_PRIVATE))
			continue;
		if (size && kept + len > size) {
			kept = -ERANGE;
			break;
		}
		if (size)
			memcpy(names + kept, at, len);
		kept += len;
	}
	kfree(all);
	return total < 0 ? total : kept;
}

static int union_removexattr(struct vnode *v, const char *name)
{
	struct vnode *upper;
	int err;

	if (str_has_prefix(name, XATTR_PRIVATE))
		return -ENODATA;
	err = union_copy_up(union_of(v), true);
	if (err)
		return err;
	upper = union_upper(union_of(v));
	err = upper->ops->removexattr ? upper->ops->removexattr(upper, name) : -EOPNOTSUPP;
	vnode_forget_attr(upper);
	return err;
}

static struct vnode *union_real_op(struct vnode *v)
{
	return union_real(union_of(v));
}

static void union_identity(struct vnode *v, struct file_identity *ret)
{
	struct vnode *real = union_real(union_of(v));

	if (real->ops->identity) {
		real->ops->identity(real, ret);
		return;
	}
	*ret = (struct file_identity){
		.device = real->fs->dev, .object = real->key, .version = real->version};
}

static int union_sites(struct vnode *v, struct file_sites *ret)
{
	struct vnode *real = union_real(union_of(v));

	return real->ops->sites ? real->ops->sites(real, ret) : 0;
}

const struct vnode_ops union_ops = {
	.release = union_release,
	.getattr = union_getattr,
	.setattr = union_setattr,
	.lookup = union_lookup,
	.create = union_create,
	.create_unnamed = union_create_unnamed,
	.symlink = union_symlink,
	.link = union_link,
	.unlink = union_unlink,
	.rename = union_rename,
	.readdir = union_readdir,
	.readlink = union_readlink,
	.read = union_read,
	.write = union_write,
	.truncate = union_truncate,
	.fallocate = union_fallocate,
	.seek = union_seek,
	.sync = union_sync_vnode,
	.open = union_open,
	.getxattr = union_getxattr,
	.setxattr = union_setxattr,
	.listxattr = union_listxattr,
	.removexattr = union_removexattr,
	.identity = union_identity,
	.sites = union_sites,
	.real = union_real_op,
};

/* --- the file system ----------------------------------------------------------------------- */

static int union_statfs(struct filesystem *f, struct vfs_statfs *ret)
{
	struct union_fs *fs = container_of(f, struct union_fs, fs);

	return fs->upper->ops->statfs ? fs->upper->ops->statfs(fs->upper, ret) : 0;
}

static int union_sync(struct filesystem *f)
{
	struct union_fs *fs = container_of(f, struct union_fs, fs);

	return fs->upper->ops->sync ? fs->upper->ops->sync(fs->upper) : 0;
}

static int union_shutdown(struct filesystem *f)
{
	struct union_fs *fs = container_of(f, struct union_fs, fs);
	int first, err;

	vnode_put(f->root);
	vnode_put(fs->work);
	first = fs->upper->ops->shutdown(fs->upper);
	for (u32 i = 0; i < fs->lower_count; i++) {
		err = fs->lowers[i]->ops->shutdown(fs->lowers[i]);
		if (err && !first)
			first = err;
	}
	kfree(fs);
	return first;
}

static int find_or_make_dir(struct filesystem *upper, const char *name, u32 mode,
			    struct vnode **ret)
{
	struct vnode *root = upper->root;
	struct vfs_name n = {name, strlen(name)};
	int err = root->ops->lookup(root, n, ret);

	if (err == -ENOENT)
		err = root->ops->create(root, n, S_IFDIR | mode, 0, 0, 0, ret);
	if (!err && !S_ISDIR((*ret)->mode)) {
		vnode_put(*ret);
		err = -EUCLEAN;
	}
	return err;
}

/* What a crash left in `work`: nothing there has a meaning, and directories there are flat. */
static int clean_work(struct union_fs *fs)
{
	char text[NAME_MAX_LEN + 1];
	int err;

	for (;;) {
		struct vfs_name name = {text, 0};
		struct vnode *v;

		err = union_first_entry(fs->work, text, &name.len);
		if (err || !name.len)
			return err;
		err = fs->work->ops->lookup(fs->work, name, &v);
		if (err)
			return err;
		if (S_ISDIR(v->mode))
			err = union_clear_whiteouts(v);
		if (!err)
			err = fs->work->ops->unlink(fs->work, name, v, S_ISDIR(v->mode));
		vnode_put(v);
		if (err)
			return err;
	}
}

/* The root is made of the layers' roots; its attributes are the image's at first. */
static int make_root(struct union_fs *fs)
{
	struct union_node *n = kzalloc(sizeof(*n));
	struct vnode *top = fs->lowers[0]->root;
	struct vattr attr;
	bool is_new;
	int err;

	if (!n)
		return -ENOMEM;
	err = fs->upper->root->ops->lookup(fs->upper->root, (struct vfs_name){"upper", 5},
					   &n->upper);
	is_new = err == -ENOENT;
	if (is_new && (fs->upper->flags & FS_READ_ONLY)) {
		err = 0; /* nothing was ever written: the image alone */
		is_new = false;
		n->upper = NULL;
	}
	if (is_new)
		err = find_or_make_dir(fs->upper, "upper", 0755, &n->upper);
	if (!err && is_new) {
		err = vnode_getattr(top, &attr);
		if (!err)
			err = vnode_setattr(n->upper, &attr,
					    VATTR_MODE | VATTR_UID | VATTR_GID | VATTR_MTIME);
	}
	if (err) {
		kfree(n);
		return err;
	}
	for (u32 i = 0; i < fs->lower_count; i++)
		n->lowers[n->lower_count++] = vnode_get(fs->lowers[i]->root);
	if (n->upper)
		top = n->upper;
	vnode_init(&n->v, &fs->fs, &union_ops, n->upper ? top->key << 1 | 1 : 0, top->mode,
		   top->uid, top->gid);
	n->ino = 2;
	fs->fs.root = vnode_insert(&n->v);
	return 0;
}

int unionfs_new(struct filesystem *upper, struct filesystem **lowers, u32 lower_count,
		struct filesystem **ret)
{
	static const struct fs_ops ops = {
		.statfs = union_statfs, .sync = union_sync, .shutdown = union_shutdown};
	struct union_fs *fs;
	int err = 0;

	if (!lower_count || lower_count > UNION_LOWER_MAX)
		return -EINVAL;
	fs = kzalloc(sizeof(*fs));
	if (!fs)
		return -ENOMEM;
	fs_init(&fs->fs, &ops, "overlay", "unionfs", OVERLAYFS_MAGIC,
		FS_CACHE_NAMES | FS_CACHE_ATTR | FS_UNION);
	fs->upper = upper;
	for (u32 i = 0; i < lower_count; i++)
		fs->lowers[i] = lowers[i];
	fs->lower_count = lower_count;
	mutex_init(&fs->copy_lock, LOCK_UNION_COPY);
	if (upper->flags & FS_READ_ONLY) {
		fs->fs.flags |= FS_READ_ONLY; /* only looked at: nothing is prepared or cleaned */
	} else {
		err = find_or_make_dir(upper, "work", 0, &fs->work);
		if (err)
			goto free;
		err = clean_work(fs);
	}
	if (!err)
		err = make_root(fs);
	if (err)
		goto put;
	*ret = &fs->fs;
	return 0;
put:
	vnode_put(fs->work);
free:
	kfree(fs);
	return err;
}
