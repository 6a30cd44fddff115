/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and deleting names. Whatever has to replace a whiteout, or to be replaced by one, is
 * prepared in the work directory and exchanged in one step, so that a crash shows the state before
 * or after and never a deleted file again.
 */
#include "abi/errno.h"
#include "kernel/fs/unionfs/union_priv.h"
#include "lib/base/string.h"

/* What the upper directory has under a name: counted, or NULL. */
static int upper_lookup(struct vnode *upper, struct vfs_name name, struct vnode **ret)
{
	int err = upper->ops->lookup(upper, name, ret);

	if (err)
		*ret = NULL;
	return err == -ENOENT ? 0 : err;
}

static int mark_opaque(struct vnode *v)
{
	return v->ops->setxattr ? v->ops->setxattr(v, XATTR_OPAQUE, "y", 1, 0) : -EOPNOTSUPP;
}

int union_put_whiteout(struct union_fs *fs, struct vnode *upper, struct vfs_name name,
		       struct vnode *there)
{
	struct vnode *work = fs->work, *mark;
	struct vfs_name temp;
	char buf[24];
	int err;

	if (!there) {
		err = upper->ops->create(upper, name, S_IFCHR, 0, 0, 0, &mark);
		if (!err)
			vnode_put(mark);
		return err;
	}
	temp = union_work_name(fs, buf);
	err = work->ops->create(work, temp, S_IFCHR, 0, 0, 0, &mark);
	if (err)
		return err;
	err = work->ops->rename(work, temp, mark, upper, name, there, RENAME_EXCHANGE);
	union_work_remove(fs, temp, err ? mark : there);
	vnode_put(mark);
	return err;
}

/* Moves a prepared object from `work` to where a whiteout lies. */
static int replace_whiteout(struct union_fs *fs, struct vfs_name temp, struct vnode *made,
			    struct vnode *upper, struct vfs_name name, struct vnode *mark)
{
	int err = S_ISDIR(made->mode) ? mark_opaque(made) : 0;

	if (!err)
		err = fs->work->ops->rename(fs->work, temp, made, upper, name, mark,
					    RENAME_EXCHANGE);
	union_work_remove(fs, temp, err ? made : mark);
	return err;
}

/* Wraps the new upper object; consumes its reference. */
static int wrap(struct union_fs *fs, struct vnode *dir, struct vnode *upper_dir, struct vnode *made,
		struct vnode **ret)
{
	int err = union_node_upper(fs, made, ret);

	vnode_put(made);
	vnode_forget_attr(upper_dir);
	return err;
}

/* What is to be made: a symbolic link when there is a target. */
struct new_object {
	const char *target;
	size_t len;
	u32 mode, uid, gid;
	u64 rdev;
};

static int make_in(struct vnode *dir, struct vfs_name name, const struct new_object *o,
		   struct vnode **ret)
{
	if (o->target)
		return dir->ops->symlink(dir, name, o->target, o->len, o->uid, o->gid, ret);
	return dir->ops->create(dir, name, o->mode, o->uid, o->gid, o->rdev, ret);
}

static int make(struct vnode *dir, struct vfs_name name, const struct new_object *o,
		struct vnode **ret)
{
	struct union_fs *fs = union_fs_of(dir);
	struct vnode *upper, *mark, *made;
	struct vfs_name temp;
	char buf[24];
	int err = union_copy_up(union_of(dir), true);

	if (err)
		return err;
	upper = union_upper(union_of(dir));
	err = upper_lookup(upper, name, &mark);
	if (err)
		return err;
	if (!mark) {
		err = make_in(upper, name, o, &made);
	} else {
		temp = union_work_name(fs, buf);
		err = make_in(fs->work, temp, o, &made);
		if (!err) {
			err = replace_whiteout(fs, temp, made, upper, name, mark);
			if (err)
				vnode_put(made);
		}
		vnode_put(mark);
	}
	return err ? err : wrap(fs, dir, upper, made, ret);
}

int union_create(struct vnode *dir, struct vfs_name name, u32 mode, u32 uid, u32 gid, u64 rdev,
		 struct vnode **ret)
{
	struct new_object o = {.mode = mode, .uid = uid, .gid = gid, .rdev = rdev};

	if (S_ISCHR(mode) && rdev == 0)
		return -EPERM; /* would be a whiteout */
	return make(dir, name, &o, ret);
}

int union_create_unnamed(struct vnode *dir, u32 mode, u32 uid, u32 gid, struct vnode **ret)
{
	struct union_fs *fs = union_fs_of(dir);
	struct vnode *made;
	int err = fs->work->ops->create_unnamed(fs->work, mode, uid, gid, &made);

	return err ? err : wrap(fs, dir, fs->work, made, ret);
}

int union_symlink(struct vnode *dir, struct vfs_name name, const char *target, size_t len, u32 uid,
		  u32 gid, struct vnode **ret)
{
	struct new_object o = {.target = target, .len = len, .uid = uid, .gid = gid};

	return make(dir, name, &o, ret);
}

int union_link(struct vnode *dir, struct vfs_name name, struct vnode *v)
{
	struct union_fs *fs = union_fs_of(dir);
	struct vnode *upper, *mark, *made;
	struct vfs_name temp;
	char buf[24];
	int err = union_copy_up(union_of(v), true);

	if (!err)
		err = union_copy_up(union_of(dir), true);
	if (err)
		return err;
	upper = union_upper(union_of(dir));
	made = union_upper(union_of(v));
	err = upper_lookup(upper, name, &mark);
	if (err)
		return err;
	if (!mark) {
		err = upper->ops->link(upper, name, made);
	} else {
		temp = union_work_name(fs, buf);
		err = fs->work->ops->link(fs->work, temp, made);
		if (!err)
			err = replace_whiteout(fs, temp, made, upper, name, mark);
		vnode_put(mark);
	}
	vnode_forget_attr(made);
	vnode_forget_attr(upper);
	return err;
}

int union_unlink(struct vnode *dir, struct vfs_name name, struct vnode *v, bool is_dir)
{
	struct union_fs *fs = union_fs_of(dir);
	struct union_node *d = union_of(dir);
	struct vnode *upper, *there;
	int err = is_dir ? union_is_empty(v) : 0;

	if (!err && union_lower_has(d, name))
		err = union_copy_up(d, true);
	if (err)
		return err;
	upper = union_upper(d);
	err = upper_lookup(upper, name, &there);
	if (err)
		return err;
	if (there && is_dir)
		err = union_clear_whiteouts(there);
	if (!err && union_lower_has(d, name))
		err = union_put_whiteout(fs, upper, name, there);
	else if (!err)
		err = there ? upper->ops->unlink(upper, name, there, is_dir) : -ENOENT;
	if (there)
		vnode_forget_attr(there);
	vnode_forget_attr(upper);
	vnode_put(there);
	return err;
}
