// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's vnodes for callers of the host. Locks are those of kernel/vfs/names.c: a change of
 * names holds the directory's lock, a rename one mutex and then both directories.
 */
#include "host/mount/files.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/secvol/volume.h"
#include "kernel/fs/unionfs/unionfs.h"
#include "kernel/vfs/file_ops.h"
#include "kernel/vfs/vnode.h"
#include "lib/base/string.h"

static struct mutex rename_lock = MUTEX_INIT(rename_lock, LOCK_VFS_RENAME);

static struct vnode *v_of(struct node *n)
{
	return (struct vnode *)n;
}

static struct vfs_name name_of(const char *name)
{
	return (struct vfs_name){name, strlen(name)};
}

struct node *files_root(struct files *f)
{
	return (struct node *)vnode_get(((struct filesystem *)f)->root);
}

void files_drop_root(struct files *f)
{
	struct filesystem *fs = (struct filesystem *)f;

	vnode_put(fs->root);
	fs->root = NULL;
}

int files_open(const struct config_volume *c, const u8 *image_key, const u8 *lower, u64 cache_size,
	       bool read_only, const char *snapshot, const struct files_before *before,
	       struct files **ret)
{
	struct volume_choice choice = {.read_only = read_only, .snapshot = snapshot};

	if (before) {
		choice.before = before->run;
		choice.before_arg = before->arg;
	}
	return volume_open_as(c, image_key, lower, cache_size, &choice, (struct filesystem **)ret);
}

int files_join(struct files *upper, struct files **lowers, u32 count, struct files **ret)
{
	return unionfs_new((struct filesystem *)upper, (struct filesystem **)lowers, count,
			   (struct filesystem **)ret);
}

int files_close(struct files *f)
{
	struct filesystem *fs = (struct filesystem *)f;

	return fs->ops->shutdown(fs);
}

struct secvol *files_secvol(struct files *f)
{
	return volume_secvol((struct filesystem *)f);
}

int files_space(struct files *f, struct files_space *ret)
{
	struct filesystem *fs = (struct filesystem *)f;
	struct vfs_statfs s = {0};
	int err = fs->ops->statfs(fs, &s);

	if (!err)
		*ret = (struct files_space){.blocks = s.blocks,
					    .bfree = s.bfree,
					    .bavail = s.bavail,
					    .files = s.files,
					    .ffree = s.ffree,
					    .bsize = s.bsize};
	return err;
}

int files_sync(struct files *f)
{
	struct filesystem *fs = (struct filesystem *)f;

	return fs->ops->sync ? fs->ops->sync(fs) : 0;
}

struct node *node_get(struct node *n)
{
	return (struct node *)vnode_get(v_of(n));
}

void node_put(struct node *n, u64 count)
{
	while (count--)
		vnode_put(v_of(n));
}

static struct node_time to_time(struct vtime t)
{
	return (struct node_time){.sec = t.sec, .nsec = t.nsec};
}

static struct vtime to_vtime(struct node_time t)
{
	return (struct vtime){.sec = t.sec, .nsec = t.nsec};
}

int node_getattr(struct node *n, struct node_attr *ret)
{
	struct vattr a;
	int err = vnode_getattr(v_of(n), &a);

	if (err)
		return err;
	*ret = (struct node_attr){
		.ino = a.ino,
		.size = a.size,
		.blocks = a.blocks,
		.rdev = a.rdev,
		.mode = a.mode,
		.uid = a.uid,
		.gid = a.gid,
		.nlink = a.nlink,
		.blksize = a.blksize,
		.atime = to_time(a.atime),
		.mtime = to_time(a.mtime),
		.ctime = to_time(a.ctime),
	};
	return 0;
}

int node_setattr(struct node *n, const struct node_attr *to, u32 set)
{
	struct vattr a = {.mode = to->mode & S_IALL,
			  .uid = to->uid,
			  .gid = to->gid,
			  .atime = to_vtime(to->atime),
			  .mtime = to_vtime(to->mtime),
			  .ctime = to_vtime(to->ctime)};
	int err = 0;

	static_assert(
		(int)NODE_SET_MODE == VATTR_MODE && (int)NODE_SET_UID == VATTR_UID &&
			(int)NODE_SET_GID == VATTR_GID && (int)NODE_SET_ATIME == VATTR_ATIME &&
			(int)NODE_SET_MTIME == VATTR_MTIME && (int)NODE_SET_CTIME == VATTR_CTIME,
		"bits of setattr");
	if (set & NODE_SET_SIZE)
		err = S_ISDIR(v_of(n)->mode) ? -EISDIR : vnode_truncate(v_of(n), to->size);
	set &= ~(u32)NODE_SET_SIZE;
	return err || !set ? err : vnode_setattr(v_of(n), &a, set);
}

int node_lookup(struct node *dir, const char *name, struct node **ret)
{
	struct vnode *d = v_of(dir), *v;
	int err;

	if (!d->ops->lookup)
		return -ENOTDIR;
	if (strlen(name) > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	err = d->ops->lookup(d, name_of(name), &v);
	if (!err)
		*ret = (struct node *)v;
	return err;
}

/* Set-group-id directories hand down their group. */
static u32 new_ids(const struct vnode *dir, u32 mode, u32 *gid)
{
	if (dir->mode & S_ISGID) {
		*gid = dir->gid;
		if (S_ISDIR(mode))
			mode |= S_ISGID;
	}
	return mode;
}

/* The host's kernel has asked before; but two of its requests may be on their way at once. */
static int need_free(struct vnode *d, const char *name)
{
	struct vnode *v;
	int err;

	if (d->fs->flags & FS_READ_ONLY)
		return -EROFS;
	if (strlen(name) > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	err = d->ops->lookup(d, name_of(name), &v);
	if (!err) {
		vnode_put(v);
		return -EEXIST;
	}
	return err == -ENOENT ? 0 : err;
}

int node_create(struct node *dir, const char *name, u32 mode, u64 rdev, u32 uid, u32 gid,
		struct node **ret)
{
	struct vnode *d = v_of(dir), *v;
	int err;

	mode = new_ids(d, mode, &gid);
	mutex_lock(&d->lock);
	err = need_free(d, name);
	if (!err)
		err = d->ops->create(d, name_of(name), mode, uid, gid, rdev, &v);
	vnode_forget_attr(d);
	mutex_unlock(&d->lock);
	if (!err)
		*ret = (struct node *)v;
	return err;
}

int node_symlink(struct node *dir, const char *name, const char *target, u32 uid, u32 gid,
		 struct node **ret)
{
	struct vnode *d = v_of(dir), *v;
	int err;

	new_ids(d, S_IFLNK, &gid);
	mutex_lock(&d->lock);
	err = need_free(d, name);
	if (!err)
		err = d->ops->symlink(d, name_of(name), target, strlen(target), uid, gid, &v);
	vnode_forget_attr(d);
	mutex_unlock(&d->lock);
	if (!err)
		*ret = (struct node *)v;
	return err;
}

int node_link(struct node *n, struct node *dir, const char *name)
{
	struct vnode *d = v_of(dir), *v = v_of(n);
	int err;

	if (S_ISDIR(v->mode))
		return -EPERM;
	mutex_lock(&d->lock);
	err = need_free(d, name);
	if (!err)
		err = d->ops->link(d, name_of(name), v);
	vnode_forget_attr(d);
	vnode_forget_attr(v);
	mutex_unlock(&d->lock);
	return err;
}

static int unlink_locked(struct vnode *d, struct vnode *v, const char *name, bool is_dir)
{
	int err;

	if (d->fs->flags & FS_READ_ONLY)
		return -EROFS;
	if (is_dir && !S_ISDIR(v->mode))
		return -ENOTDIR;
	if (!is_dir && S_ISDIR(v->mode))
		return -EISDIR;
	err = d->ops->unlink(d, name_of(name), v, is_dir);
	vnode_forget_attr(d);
	vnode_forget_attr(v);
	return err;
}

int node_unlink(struct node *dir, const char *name, bool is_dir)
{
	struct vnode *d = v_of(dir), *v;
	int err;

	mutex_lock(&d->lock);
	err = d->ops->lookup(d, name_of(name), &v);
	if (!err) {
		err = unlink_locked(d, v, name, is_dir);
		vnode_put(v);
	}
	mutex_unlock(&d->lock);
	return err;
}

/* What rename(2) says of the two objects. */
static int may_replace(const struct vnode *v, const struct vnode *to, u32 flags)
{
	if (flags & RENAME_NOREPLACE)
		return to ? -EEXIST : 0;
	if (flags & RENAME_EXCHANGE)
		return to ? 0 : -ENOENT;
	if (!to || S_ISDIR(v->mode) == S_ISDIR(to->mode))
		return 0;
	return S_ISDIR(v->mode) ? -ENOTDIR : -EISDIR;
}

static int rename_locked(struct vnode *d, const char *name, struct vnode *t, const char *to_name,
			 u32 flags)
{
	struct vnode *v, *to = NULL;
	int err;

	if (d->fs->flags & FS_READ_ONLY)
		return -EROFS;
	if (strlen(to_name) > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	err = d->ops->lookup(d, name_of(name), &v);
	if (err)
		return err;
	err = t->ops->lookup(t, name_of(to_name), &to);
	if (err == -ENOENT) {
		to = NULL;
		err = 0;
	}
	if (!err)
		err = may_replace(v, to, flags);
	if (!err && v != to)
		err = d->ops->rename(d, name_of(name), v, t, name_of(to_name), to, flags);
	vnode_forget_attr(d);
	vnode_forget_attr(t);
	vnode_forget_attr(v);
	if (to)
		vnode_forget_attr(to);
	vnode_put(to);
	vnode_put(v);
	return err;
}

int node_rename(struct node *dir, const char *name, struct node *to_dir, const char *to_name,
		u32 flags)
{
	struct vnode *d = v_of(dir), *t = v_of(to_dir);
	struct vnode *first = d < t ? d : t, *second = d < t ? t : d;
	int err;

	if (flags & ~(u32)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	mutex_lock(&rename_lock);
	mutex_lock(&first->lock);
	if (second != first)
		mutex_lock(&second->lock);
	err = rename_locked(d, name, t, to_name, flags);
	if (second != first)
		mutex_unlock(&second->lock);
	mutex_unlock(&first->lock);
	mutex_unlock(&rename_lock);
	return err;
}

long node_readlink(struct node *n, char *buf, size_t size)
{
	struct vnode *v = v_of(n);

	return v->ops->readlink && S_ISLNK(v->mode) ? v->ops->readlink(v, buf, size) : -EINVAL;
}

long node_read(struct node *n, void *buf, size_t size, u64 offset)
{
	struct uio uio = uio_kernel(buf, size);

	if (S_ISDIR(v_of(n)->mode))
		return -EISDIR;
	return vnode_read(v_of(n), &uio, offset);
}

long node_read_whole(struct node *n, void *buf, size_t size, u64 offset)
{
	size_t done = 0;
	long part;

	do {
		part = node_read(n, (u8 *)buf + done, size - done, offset + done);
		done += part > 0 ? (size_t)part : 0;
	} while (part > 0 && done < size);
	return part < 0 ? part : (long)done;
}

long node_write(struct node *n, const void *buf, size_t size, u64 offset)
{
	struct uio uio = uio_kernel((void *)buf, size);

	return vnode_write(v_of(n), &uio, &offset, false, UINT64_MAX);
}

int node_fallocate(struct node *n, u32 mode, u64 offset, u64 len)
{
	struct vnode *v = v_of(n);
	int err;

	if (!v->ops->fallocate ||
	    (mode & ~(u32)(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
		return -EOPNOTSUPP;
	mutex_lock(&v->lock);
	err = v->ops->fallocate(v, mode, offset, len);
	v->version++;
	vnode_forget_attr(v);
	mutex_unlock(&v->lock);
	return err;
}

int node_seek(struct node *n, u64 offset, bool hole, u64 *ret)
{
	struct vnode *v = v_of(n);

	return v->ops->seek ? v->ops->seek(v, offset, hole, ret) : -EINVAL;
}

int node_sync(struct node *n)
{
	struct vnode *v = v_of(n);

	/* A directory of a union has no sync of its own: names lie in the same volume. */
	return S_ISREG(v->mode) && v->ops->sync ? v->ops->sync(v, false)
						: files_sync((struct files *)v->fs);
}

long node_getxattr(struct node *n, const char *name, void *value, size_t size)
{
	struct vnode *v = v_of(n);

	return v->ops->getxattr ? v->ops->getxattr(v, name, value, size) : -EOPNOTSUPP;
}

int node_setxattr(struct node *n, const char *name, const void *value, size_t size, u32 flags)
{
	struct vnode *v = v_of(n);
	int err;

	if (!v->ops->setxattr || str_has_prefix(name, "system."))
		return -EOPNOTSUPP; /* no access control lists, and nothing else of the kernel's */
	mutex_lock(&v->lock);
	err = v->ops->setxattr(v, name, value, size, flags);
	vnode_forget_attr(v);
	mutex_unlock(&v->lock);
	return err;
}

long node_listxattr(struct node *n, char *names, size_t size)
{
	struct vnode *v = v_of(n);

	return v->ops->listxattr ? v->ops->listxattr(v, names, size) : 0;
}

int node_removexattr(struct node *n, const char *name)
{
	struct vnode *v = v_of(n);
	int err;

	if (!v->ops->removexattr)
		return -EOPNOTSUPP;
	mutex_lock(&v->lock);
	err = v->ops->removexattr(v, name);
	vnode_forget_attr(v);
	mutex_unlock(&v->lock);
	return err;
}

/* ---- directories ---- */

struct listing {
	struct file file; /* what a union keeps of a merged directory belongs to its open file */
	struct mutex lock;
};

struct listing_sink {
	struct dir_sink sink;
	listing_add add;
	void *arg;
};

static int pass_on(struct dir_sink *sink, const char *name, size_t len, u64 ino, u8 type,
		   u64 cookie)
{
	struct listing_sink *s = container_of(sink, struct listing_sink, sink);

	return s->add(s->arg, name, len, ino, type, cookie);
}

int listing_open(struct node *dir, struct listing **ret)
{
	struct vnode *v = v_of(dir);
	struct listing *l;
	int err = 0;

	if (!S_ISDIR(v->mode))
		return -ENOTDIR;
	l = kzalloc(sizeof(*l));
	if (!l)
		return -ENOMEM;
	mutex_init(&l->lock, LOCK_FILE_POSITION);
	l->file.vnode = vnode_get(v);
	if (v->ops->open)
		err = v->ops->open(v, &l->file);
	if (err) {
		vnode_put(v);
		kfree(l);
		return err;
	}
	*ret = l;
	return 0;
}

int listing_read(struct listing *l, u64 from, listing_add add, void *arg)
{
	struct listing_sink s = {{pass_on}, add, arg};
	struct vnode *v = l->file.vnode;
	int err;

	mutex_lock(&l->lock);
	if (l->file.ops && l->file.ops->readdir)
		err = l->file.ops->readdir(&l->file, from, &s.sink);
	else
		err = v->ops->readdir(v, from, &s.sink);
	mutex_unlock(&l->lock);
	return err;
}

void listing_close(struct listing *l)
{
	if (l->file.ops && l->file.ops->release)
		l->file.ops->release(&l->file);
	vnode_put(l->file.vnode);
	kfree(l);
}
