/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renaming. The upper objects move; where a lower layer shows the old name a whiteout stays
 * behind, by exchanging the two. A directory that an image shows cannot move (EXDEV, as overlayfs
 * without redirect_dir: mv then copies).
 */
#include "abi/errno.h"
#include "kernel/fs/unionfs/union_priv.h"

struct union_rename {
	struct union_fs *fs;
	struct vnode *from, *to; /* upper directories */
	struct vfs_name name, to_name;
	struct vnode *v;     /* upper object that moves */
	struct vnode *there; /* what `to` has under to_name, or NULL; counted */
	bool leaves_whiteout;
};

/* A directory that comes over a name of the image must hide what is there. */
static int hide_below(struct union_node *dir, struct vfs_name name, struct vnode *moved)
{
	if (!S_ISDIR(moved->mode) || !union_lower_has(dir, name))
		return 0;
	return moved->ops->setxattr ? moved->ops->setxattr(moved, XATTR_OPAQUE, "y", 1, 0) : -EXDEV;
}

static int move(struct union_rename *r)
{
	struct vnode *mark;
	int err;

	if (!r->leaves_whiteout) {
		if (r->there && S_ISDIR(r->v->mode) && !S_ISDIR(r->there->mode)) {
			/* Over a whiteout: a directory cannot replace it, only change places. */
			err = r->from->ops->rename(r->from, r->name, r->v, r->to, r->to_name,
						   r->there, RENAME_EXCHANGE);
			return err ? err : r->from->ops->unlink(r->from, r->name, r->there, false);
		}
		return r->from->ops->rename(r->from, r->name, r->v, r->to, r->to_name, r->there, 0);
	}
	if (!r->there) {
		err = union_put_whiteout(r->fs, r->to, r->to_name, NULL);
		if (!err)
			err = r->to->ops->lookup(r->to, r->to_name, &mark);
		if (err)
			return err;
		err = r->from->ops->rename(r->from, r->name, r->v, r->to, r->to_name, mark,
					   RENAME_EXCHANGE);
		if (err && r->to->ops->unlink(r->to, r->to_name, mark, false))
			err = -EIO; /* a name too many stays hidden */
		vnode_put(mark);
		return err;
	}
	err = r->from->ops->rename(r->from, r->name, r->v, r->to, r->to_name, r->there,
				   RENAME_EXCHANGE);
	if (err || union_is_whiteout(r->there))
		return err; /* the whiteout took the old name */
	return union_put_whiteout(r->fs, r->from, r->name, r->there);
}

/* Both objects change places: neither may show anything of an image below. */
static int exchange(struct union_node *dir, struct union_node *to_dir, struct union_rename *r,
		    struct vnode *to_v)
{
	struct union_node *other = union_of(to_v);
	int err;

	if (S_ISDIR(to_v->mode) && other->lower_count)
		return -EXDEV;
	err = union_copy_up(other, true);
	if (!err)
		err = hide_below(to_dir, r->to_name, r->v);
	if (!err)
		err = hide_below(dir, r->name, union_upper(other));
	if (err)
		return err;
	return r->from->ops->rename(r->from, r->name, r->v, r->to, r->to_name, union_upper(other),
				    RENAME_EXCHANGE);
}

static int replace_target(struct union_rename *r, struct vnode *to_v)
{
	int err;

	if (!to_v || !S_ISDIR(to_v->mode))
		return 0;
	err = union_is_empty(to_v);
	if (!err && r->there && S_ISDIR(r->there->mode))
		err = union_clear_whiteouts(r->there);
	return err;
}

int union_rename(struct vnode *dir, struct vfs_name name, struct vnode *v, struct vnode *to_dir,
		 struct vfs_name to_name, struct vnode *to_v, u32 flags)
{
	struct union_node *d = union_of(dir), *t = union_of(to_dir), *n = union_of(v);
	struct union_rename r = {.fs = union_fs_of(dir), .name = name, .to_name = to_name};
	int err;

	if (S_ISDIR(v->mode) && n->lower_count)
		return -EXDEV;
	err = union_copy_up(n, true);
	if (!err)
		err = union_copy_up(d, true);
	if (!err)
		err = union_copy_up(t, true);
	if (err)
		return err;
	r.from = union_upper(d);
	r.to = union_upper(t);
	r.v = union_upper(n);
	if (flags & RENAME_EXCHANGE) {
		err = exchange(d, t, &r, to_v);
		goto out;
	}
	err = r.to->ops->lookup(r.to, to_name, &r.there);
	if (err == -ENOENT) {
		r.there = NULL;
		err = 0;
	}
	if (!err)
		err = replace_target(&r, to_v);
	if (!err)
		err = hide_below(t, to_name, r.v);
	r.leaves_whiteout = union_lower_has(d, name);
	if (!err)
		err = move(&r);
	if (r.there)
		vnode_forget_attr(r.there);
	vnode_put(r.there);
out:
	vnode_forget_attr(r.from);
	vnode_forget_attr(r.to);
	vnode_forget_attr(r.v);
	return err;
}
