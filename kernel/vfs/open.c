/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening. Without O_CREAT the path is walked to its end; with it the walk stops at the directory
 * of the last name, and a symbolic link found there is followed by continuing the same walk.
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/file_ops.h"
#include "kernel/vfs/inotify.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/names.h"
#include "kernel/vfs/names_priv.h"

/* Rights of an open on something that exists. */
static int check_open(struct vnode *v, u32 flags)
{
	u32 acc = flags & O_ACCMODE, want = 0;
	int err;

	if (S_ISLNK(v->mode))
		return -ELOOP;
	if (S_ISDIR(v->mode)) {
		if (acc != O_RDONLY || (flags & O_TRUNC) || (flags & O_CREAT))
			return -EISDIR;
	} else if (flags & O_DIRECTORY) {
		return -ENOTDIR;
	}
	if (acc == O_RDONLY || acc == O_RDWR || acc == O_ACCMODE)
		want |= R_OK;
	if (acc != O_RDONLY)
		want |= W_OK;
	if (flags & O_TRUNC)
		want |= W_OK;
	err = vnode_permission(v, want);
	if (err)
		return err;
	if ((flags & O_NOATIME) && vnode_owner_or_capable(v))
		return -EPERM;
	if ((S_ISBLK(v->mode) || S_ISCHR(v->mode)) && (v->fs->flags & FS_NODEV))
		return -EACCES;
	return 0;
}

static int open_found(struct dentry *d, u32 flags, bool fresh, struct file **ret)
{
	int err = 0;

	if (flags & O_PATH) {
		if ((flags & O_DIRECTORY) && !S_ISDIR(d->vnode->mode))
			return -ENOTDIR;
		return file_open(d, flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW), ret);
	}
	if (!fresh)
		err = check_open(d->vnode, flags);
	if (err)
		return err;
	err = file_open(d, flags, ret);
	if (err)
		return err;
	report_file(d, IN_OPEN);
	if (fresh || !(flags & O_TRUNC) || !S_ISREG(d->vnode->mode))
		return 0;
	err = vnode_truncate(d->vnode, 0);
	if (err)
		file_put(*ret);
	else
		report_file(d, IN_MODIFY);
	return err;
}

/* Creates the negative dentry d as a regular file. -EAGAIN: somebody changed it, look again. */
static int create_at(struct fs_context *ctx, struct dentry *dir, struct dentry *d, u32 mode)
{
	int err;

	mutex_lock(&dir->vnode->lock);
	if (d->vnode || !d->hashed)
		err = -EAGAIN;
	else
		err = dir_create(dir, d, S_IFREG | (mode & S_IALL & ~fs_context_umask(ctx)), 0);
	mutex_unlock(&dir->vnode->lock);
	return err;
}

static int open_last(struct fs_context *ctx, struct walk_last *w, u32 flags, u32 mode,
		     u32 walk_flags, struct file **ret)
{
	struct dentry *d;
	bool fresh;
	int err;

	for (;;) {
		if (w->kind != WALK_NAME)
			return -EISDIR;
		err = dentry_lookup(w->dir, w->name, &d);
		if (err)
			return err;
		fresh = false;
		if (d->covered && (walk_flags & WALK_NO_XDEV)) {
			dentry_put(d);
			return -EXDEV;
		}
		d = dentry_cross(d);
		if (!d->vnode) {
			err = w->wants_dir ? -EISDIR : create_at(ctx, w->dir, d, mode);
			fresh = !err;
		} else if (flags & O_EXCL) {
			err = -EEXIST;
		} else if (S_ISLNK(d->vnode->mode) && !(flags & O_NOFOLLOW)) {
			err = walk_last_follow(ctx, w, d, walk_flags);
			if (!err && w->kind == WALK_JUMPED) {
				dentry_put(d);
				return open_found(w->dir, flags & ~O_CREAT, false, ret);
			}
			if (!err)
				err = -EAGAIN;
		} else if (w->wants_dir) {
			err = S_ISDIR(d->vnode->mode) ? -EISDIR : -ENOTDIR;
		}
		if (!err)
			err = open_found(d, flags, fresh, ret);
		dentry_put(d);
		if (err != -EAGAIN || fresh)
			return err;
	}
}

/* O_TMPFILE: a file in the directory `path`, without a name. */
static int open_unnamed(struct fs_context *ctx, struct dentry *at, const char *path, u32 flags,
			u32 mode, u32 walk_flags, struct file **ret)
{
	struct dentry *dir, *d;
	struct vnode *v;
	char name[24];
	size_t len = 0;
	u32 uid, gid;
	int err;

	if ((flags & O_ACCMODE) == O_RDONLY)
		return -EINVAL;
	err = walk_path(ctx, at, path, walk_flags | WALK_FOLLOW | WALK_DIRECTORY, &dir);
	if (err)
		return err;
	err = vnode_permission(dir->vnode, W_OK | X_OK);
	if (!err && !dir->vnode->ops->create_unnamed)
		err = -EOPNOTSUPP;
	if (err)
		goto out;
	vfs_caller_ids(&uid, &gid);
	err = dir->vnode->ops->create_unnamed(
		dir->vnode, S_IFREG | (mode & S_IALL & ~fs_context_umask(ctx)), uid, gid, &v);
	if (err)
		goto out;
	v->is_linkable = !(flags & O_EXCL);
	fmt_append(name, sizeof(name), &len, "#%llu", (unsigned long long)v->key);
	d = dentry_new_detached(dir, (struct vfs_name){name, len}, v);
	vnode_put(v);
	err = d ? file_open(d, flags & ~O_DIRECTORY, ret) : -ENOMEM;
	if (!err)
		report_file(d, IN_OPEN);
	dentry_put(d);
out:
	dentry_put(dir);
	return err;
}

int name_open(struct fs_context *ctx, struct dentry *at, const char *path, u32 flags, u32 mode,
	      u32 walk_flags, struct file **ret)
{
	struct walk_last w;
	struct dentry *d;
	int err;

	if ((flags & O_TMPFILE) == O_TMPFILE)
		return open_unnamed(ctx, at, path, flags, mode, walk_flags, ret);
	if ((flags & O_CREAT) && !(flags & O_PATH)) {
		if (flags & O_DIRECTORY)
			return -EINVAL;
		err = walk_parent(ctx, at, path, walk_flags, &w);
		if (err)
			return err;
		err = open_last(ctx, &w, flags, mode, walk_flags, ret);
		walk_last_free(&w);
		return err;
	}
	if (!(flags & O_NOFOLLOW))
		walk_flags |= WALK_FOLLOW;
	if (flags & O_DIRECTORY)
		walk_flags |= WALK_DIRECTORY;
	err = walk_path(ctx, at, path, walk_flags, &d);
	if (err)
		return err;
	err = open_found(d, flags, false, ret);
	dentry_put(d);
	return err;
}

int vfs_open(struct fs_context *ctx, const char *path, u32 flags, u32 mode, struct file **ret_file)
{
	return name_open(ctx, NULL, path, flags, mode, 0, ret_file);
}

int vfs_open_exec(struct fs_context *ctx, const char *path, struct file **ret_file)
{
	return name_open_exec(ctx, NULL, path, WALK_FOLLOW, ret_file);
}

int file_exec_ids(struct file *f, u32 *uid, u32 *gid)
{
	struct vattr a;
	int err = file_getattr(f, &a);

	if (err || (f->vnode->fs->flags & FS_NOSUID))
		return err;
	if (a.mode & S_ISUID)
		*uid = a.uid;
	/* Without the group's x the bit means something else (mandatory locks, once). */
	if ((a.mode & S_ISGID) && (a.mode & 0010))
		*gid = a.gid;
	return 0;
}

int name_open_exec(struct fs_context *ctx, struct dentry *at, const char *path, u32 walk_flags,
		   struct file **ret_file)
{
	struct dentry *d;
	int err;

	err = walk_path(ctx, at, path, walk_flags, &d);
	if (err)
		return err;
	err = S_ISLNK(d->vnode->mode) ? -ELOOP : -EACCES;
	if (S_ISREG(d->vnode->mode) && !(d->vnode->fs->flags & FS_NOEXEC))
		err = vnode_permission(d->vnode, X_OK);
	if (!err)
		err = file_open(d, O_RDONLY, ret_file);
	if (!err)
		report_file(d, IN_OPEN);
	dentry_put(d);
	return err;
}
