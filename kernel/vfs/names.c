/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing names. Each operation finds the directory and the last name, takes the directory's
 * lock, looks again (the name may have changed meanwhile) and then asks the file system. Renames
 * take one instance-wide mutex first, then both directories from the top down, so that no cycle of
 * directories can arise.
 */
#include "kernel/vfs/names.h"

#include "abi/errno.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/inotify.h"
#include "kernel/vfs/names_priv.h"
#include "lib/base/string.h"

static struct mutex rename_lock = MUTEX_INIT(rename_lock, LOCK_VFS_RENAME);

static int may_change(struct dentry *dir)
{
	if (dir->vnode->fs->flags & FS_READ_ONLY)
		return -EROFS;
	return vnode_permission(dir->vnode, W_OK | X_OK);
}

/* The sticky bit: only owners and root remove. */
static int may_remove(struct dentry *dir, struct vnode *v)
{
	int err = may_change(dir);

	if (err)
		return err;
	if ((dir->vnode->mode & S_ISVTX) && vnode_owner_or_capable(v) &&
	    vnode_owner_or_capable(dir->vnode))
		return -EPERM;
	return 0;
}

static struct vfs_name name_of(const struct dentry *d)
{
	return (struct vfs_name){d->name, d->name_len};
}

/* Owner of something new; set-group-id directories hand down their group. */
static u32 new_ids(struct dentry *dir, u32 mode, u32 *uid, u32 *gid)
{
	vfs_caller_ids(uid, gid);
	if (dir->vnode->mode & S_ISGID) {
		*gid = dir->vnode->gid;
		if (S_ISDIR(mode))
			mode |= S_ISGID;
		else if ((mode & S_ISGID) && (mode & 0010) && !vfs_caller_in_group(*gid) &&
			 !vfs_caller_capable(CAP_FSETID))
			mode &= ~S_ISGID; /* nobody makes a program for a group that he is not in */
	}
	return mode;
}

/* The file system has made `v` below that name, or has failed. Consumes the reference. */
static int made(struct dentry *dir, struct dentry *d, int err, struct vnode *v)
{
	vnode_forget_attr(dir->vnode);
	if (err)
		return err;
	dentry_set_vnode(d, v);
	report_name(dir, name_of(d), S_ISDIR(v->mode), IN_CREATE);
	vnode_put(v);
	return 0;
}

int dir_create(struct dentry *dir, struct dentry *d, u32 mode, u64 rdev)
{
	struct vnode *v;
	u32 uid, gid;
	int err = may_change(dir);

	if (err)
		return err;
	if (!dir->vnode->ops->create)
		return -EPERM;
	mode = new_ids(dir, mode, &uid, &gid);
	err = dir->vnode->ops->create(dir->vnode, name_of(d), mode, uid, gid, rdev, &v);
	return made(dir, d, err, v);
}

/* The dentry of the last name, for making something new there: negative. */
static int find_free(struct walk_last *w, bool is_dir, struct dentry **ret)
{
	struct dentry *d;
	int err;

	if (w->kind != WALK_NAME)
		return -EEXIST;
	err = dentry_lookup(w->dir, w->name, &d);
	if (err)
		return err;
	if (d->vnode || d->covered)
		err = -EEXIST;
	else if (w->wants_dir && !is_dir)
		err = -ENOENT;
	if (err)
		dentry_put(d);
	else
		*ret = d;
	return err;
}

static bool still_free(const struct dentry *d)
{
	return !d->vnode && d->hashed;
}

int name_make(struct fs_context *ctx, struct dentry *at, const char *path, u32 mode, u64 rdev)
{
	struct walk_last w;
	struct dentry *d;
	int err;

	err = walk_parent(ctx, at, path, 0, &w);
	if (err)
		return err;
	err = find_free(&w, S_ISDIR(mode), &d);
	if (err)
		goto out;
	mutex_lock(&w.dir->vnode->lock);
	err = -EEXIST;
	if (still_free(d))
		err = dir_create(w.dir, d, mode & ~fs_context_umask(ctx), rdev);
	mutex_unlock(&w.dir->vnode->lock);
	dentry_put(d);
out:
	walk_last_free(&w);
	return err;
}

static int symlink_locked(struct dentry *dir, struct dentry *d, const char *target)
{
	struct vnode *v;
	u32 uid, gid;
	int err = may_change(dir);

	if (err)
		return err;
	if (!dir->vnode->ops->symlink)
		return -EPERM;
	new_ids(dir, S_IFLNK, &uid, &gid);
	err = dir->vnode->ops->symlink(dir->vnode, name_of(d), target, strlen(target), uid, gid,
				       &v);
	return made(dir, d, err, v);
}

int name_symlink(struct fs_context *ctx, struct dentry *at, const char *path, const char *target)
{
	struct walk_last w;
	struct dentry *d;
	int err;

	if (!*target)
		return -ENOENT;
	err = walk_parent(ctx, at, path, 0, &w);
	if (err)
		return err;
	err = find_free(&w, false, &d);
	if (err)
		goto out;
	mutex_lock(&w.dir->vnode->lock);
	err = still_free(d) ? symlink_locked(w.dir, d, target) : -EEXIST;
	mutex_unlock(&w.dir->vnode->lock);
	dentry_put(d);
out:
	walk_last_free(&w);
	return err;
}

/* A file without any name left does not get one again. Its first one it may get, once. */
static int may_name(struct vnode *v)
{
	struct vattr attr;
	int err = vnode_getattr(v, &attr);

	if (err || attr.nlink)
		return err;
	return __atomic_load_n(&v->is_linkable, __ATOMIC_RELAXED) ? 0 : -ENOENT;
}

int name_link(struct fs_context *ctx, struct dentry *old, struct dentry *at, const char *path)
{
	struct walk_last w;
	struct dentry *d;
	int err;

	err = walk_parent(ctx, at, path, 0, &w);
	if (err)
		return err;
	err = find_free(&w, false, &d);
	if (err)
		goto out;
	if (old->vnode->fs != w.dir->vnode->fs)
		err = -EXDEV;
	else if (S_ISDIR(old->vnode->mode) || !w.dir->vnode->ops->link)
		err = -EPERM;
	if (err)
		goto put;
	mutex_lock(&w.dir->vnode->lock);
	err = still_free(d) ? may_change(w.dir) : -EEXIST;
	if (!err)
		err = may_name(old->vnode);
	if (!err)
		err = w.dir->vnode->ops->link(w.dir->vnode, name_of(d), old->vnode);
	if (!err)
		dentry_set_vnode(d, old->vnode);
	vnode_forget_attr(w.dir->vnode);
	vnode_forget_attr(old->vnode);
	if (!err) {
		__atomic_store_n(&old->vnode->is_linkable, false, __ATOMIC_RELAXED);
		report_vnode(old->vnode, IN_ATTRIB); /* the count of its names */
		report_name(w.dir, name_of(d), false, IN_CREATE);
	}
	mutex_unlock(&w.dir->vnode->lock);
put:
	dentry_put(d);
out:
	walk_last_free(&w);
	return err;
}

static int unlink_locked(struct dentry *dir, struct dentry *d, bool is_dir)
{
	struct vnode *v = d->vnode;
	int err;

	if (d->covered)
		return -EBUSY;
	if (!v || !d->hashed)
		return -ENOENT;
	err = may_remove(dir, v);
	if (err)
		return err;
	if (is_dir && !S_ISDIR(v->mode))
		return -ENOTDIR;
	if (!is_dir && S_ISDIR(v->mode))
		return -EISDIR;
	if (!dir->vnode->ops->unlink)
		return -EPERM;
	err = dir->vnode->ops->unlink(dir->vnode, name_of(d), v, is_dir);
	if (!err)
		dentry_drop(d);
	vnode_forget_attr(dir->vnode);
	vnode_forget_attr(v);
	if (!err && !is_dir)
		report_vnode(v, IN_ATTRIB); /* the count of its names */
	return err;
}

int name_unlink(struct fs_context *ctx, struct dentry *at, const char *path, bool is_dir)
{
	struct walk_last w;
	struct dentry *d;
	int err;

	err = walk_parent(ctx, at, path, 0, &w);
	if (err)
		return err;
	switch (w.kind) {
	case WALK_ROOT: err = is_dir ? -EBUSY : -EISDIR; break;
	case WALK_DOT: err = is_dir ? -EINVAL : -EISDIR; break;
	case WALK_DOTDOT: err = is_dir ? -ENOTEMPTY : -EISDIR; break;
	default: err = dentry_lookup(w.dir, w.name, &d);
	}
	if (err)
		goto out;
	if (w.wants_dir && !is_dir) {
		err = !d->vnode ? -ENOENT : S_ISDIR(d->vnode->mode) ? -EISDIR : -ENOTDIR;
	} else {
		mutex_lock(&w.dir->vnode->lock);
		err = unlink_locked(w.dir, d, is_dir);
		mutex_unlock(&w.dir->vnode->lock);
	}
	dentry_put(d);
	if (!err)
		report_name(w.dir, w.name, is_dir, IN_DELETE);
out:
	walk_last_free(&w);
	return err;
}

/* --- rename -------------------------------------------------------------------------------- */

struct rename {
	struct dentry *dir, *d, *to_dir, *to_d;
	bool wants_dir, to_wants_dir;
	u32 flags;
};

/* Another ".." is a change of the directory itself. */
static int may_get_parent(struct vnode *v)
{
	return S_ISDIR(v->mode) ? vnode_permission(v, W_OK) : 0;
}

static int rename_check(struct rename *r)
{
	struct vnode *v = r->d->vnode, *to_v = r->to_d->vnode;
	bool exchange = r->flags & RENAME_EXCHANGE;
	int err;

	if (r->d->covered || r->to_d->covered)
		return -EBUSY;
	if (!v || !r->d->hashed)
		return -ENOENT;
	if (!r->to_d->hashed || (exchange && !to_v))
		return -ENOENT;
	if ((r->flags & RENAME_NOREPLACE) && to_v)
		return -EEXIST;
	if (!S_ISDIR(v->mode) && (r->wants_dir || (r->to_wants_dir && !exchange)))
		return -ENOTDIR;
	if (dentry_is_above(r->d, r->to_dir))
		return -EINVAL;
	if (dentry_is_above(r->to_d, r->dir))
		return exchange ? -EINVAL : -ENOTEMPTY;
	if (v == to_v)
		return 0;
	err = may_remove(r->dir, v);
	if (!err)
		err = to_v ? may_remove(r->to_dir, to_v) : may_change(r->to_dir);
	if (!err && r->dir->vnode != r->to_dir->vnode)
		err = may_get_parent(v);
	if (!err && exchange && r->dir->vnode != r->to_dir->vnode)
		err = may_get_parent(to_v);
	if (err)
		return err;
	if (to_v && !exchange) {
		if (S_ISDIR(v->mode) && !S_ISDIR(to_v->mode))
			return -ENOTDIR;
		if (!S_ISDIR(v->mode) && S_ISDIR(to_v->mode))
			return -EISDIR;
	}
	return r->dir->vnode->ops->rename ? 0 : -EPERM;
}

static void report_move(struct dentry *dir, struct dentry *d, struct dentry *to_dir,
			struct vfs_name to_name)
{
	bool is_dir = S_ISDIR(d->vnode->mode);
	u32 cookie = inotify_cookie();

	inotify_tell_folder(dir, name_of(d), is_dir, IN_MOVED_FROM, cookie);
	inotify_tell_folder(to_dir, to_name, is_dir, IN_MOVED_TO, cookie);
	inotify_tell_vnode(d->vnode, IN_MOVE_SELF);
}

static void report_rename(const struct rename *r)
{
	if (!inotify_has_watches())
		return;
	report_move(r->dir, r->d, r->to_dir, name_of(r->to_d));
	if (r->flags & RENAME_EXCHANGE)
		report_move(r->to_dir, r->to_d, r->dir, name_of(r->d));
	else if (r->to_d->vnode && !S_ISDIR(r->to_d->vnode->mode))
		inotify_tell_vnode(r->to_d->vnode, IN_ATTRIB); /* the count of its names */
}

static int rename_locked(struct rename *r)
{
	struct vnode *v, *to_v;
	int err = rename_check(r);

	if (err || r->d->vnode == r->to_d->vnode)
		return err;
	v = r->d->vnode;
	to_v = r->to_d->vnode;
	err = r->dir->vnode->ops->rename(r->dir->vnode, name_of(r->d), v, r->to_dir->vnode,
					 name_of(r->to_d), to_v, r->flags);
	vnode_forget_attr(r->dir->vnode);
	vnode_forget_attr(r->to_dir->vnode);
	vnode_forget_attr(v);
	if (to_v)
		vnode_forget_attr(to_v);
	if (err)
		return err;
	report_rename(r);
	if (r->flags & RENAME_EXCHANGE) {
		dentry_drop(r->d); /* rare: both names are asked for anew */
		dentry_drop(r->to_d);
		return 0;
	}
	err = dentry_move(r->d, r->to_dir, name_of(r->to_d));
	return err == -ENOMEM ? 0 : err; /* the name is changed; only the cache forgot it */
}

static void lock_both(struct dentry *a, struct dentry *b)
{
	struct vnode *first = a->vnode, *second = b->vnode;

	if (dentry_is_above(b, a)) {
		first = b->vnode;
		second = a->vnode;
	}
	mutex_lock(&first->lock);
	if (second != first)
		mutex_lock(&second->lock);
}

static int rename_in(struct walk_last *w, struct walk_last *to, u32 flags)
{
	struct rename r = {.dir = w->dir,
			   .to_dir = to->dir,
			   .wants_dir = w->wants_dir,
			   .to_wants_dir = to->wants_dir,
			   .flags = flags};
	int err;

	if (w->dir->vnode->fs != to->dir->vnode->fs)
		return -EXDEV;
	if (w->kind != WALK_NAME)
		return -EBUSY;
	if (to->kind != WALK_NAME)
		return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	mutex_lock(&rename_lock);
	err = dentry_lookup(w->dir, w->name, &r.d);
	if (err)
		goto unlock;
	err = dentry_lookup(to->dir, to->name, &r.to_d);
	if (err)
		goto put;
	lock_both(w->dir, to->dir);
	err = rename_locked(&r);
	mutex_unlock(&w->dir->vnode->lock);
	if (w->dir->vnode != to->dir->vnode)
		mutex_unlock(&to->dir->vnode->lock);
	dentry_put(r.to_d);
put:
	dentry_put(r.d);
unlock:
	mutex_unlock(&rename_lock);
	return err;
}

int name_rename(struct fs_context *ctx, struct dentry *at, const char *path, struct dentry *to_at,
		const char *to_path, u32 flags)
{
	struct walk_last w, to;
	int err;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	if (flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	err = walk_parent(ctx, at, path, 0, &w);
	if (err)
		return err;
	err = walk_parent(ctx, to_at, to_path, 0, &to);
	if (!err) {
		err = rename_in(&w, &to, flags);
		walk_last_free(&to);
	}
	walk_last_free(&w);
	return err;
}
