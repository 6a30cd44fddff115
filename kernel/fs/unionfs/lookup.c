/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding names. A node is known by its upper object, or by its topmost lower one while nothing
 * was copied up. Lower files with several links get a node per name, because copying one of the
 * names up does not change the others.
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/unionfs/union_priv.h"
#include "lib/base/le.h"
#include "lib/base/string.h"

static u64 upper_key(const struct vnode *upper)
{
	return upper->key << 1 | 1;
}

static u64 lower_key(struct union_fs *fs, const struct vnode *lower)
{
	u32 layer = 0;

	while (layer < fs->lower_count && fs->lowers[layer] != lower->fs)
		layer++;
	return (lower->key * UNION_LOWER_MAX + layer) << 1;
}

bool union_is_whiteout(struct vnode *v)
{
	struct vattr attr;

	return S_ISCHR(v->mode) && !vnode_getattr(v, &attr) && attr.rdev == 0;
}

bool union_is_opaque(struct vnode *v)
{
	u8 mark[1];

	return v->ops->getxattr && v->ops->getxattr(v, XATTR_OPAQUE, mark, sizeof(mark)) > 0;
}

/* The number under which the object was known before it was copied up, or 0. */
static u64 origin_of(struct vnode *upper)
{
	le64 origin;

	if (upper->ops->getxattr &&
	    upper->ops->getxattr(upper, XATTR_ORIGIN, &origin, sizeof(origin)) == sizeof(origin))
		return le64_get(origin);
	return 0;
}

static void node_free(struct union_node *n)
{
	vnode_put(n->upper);
	for (u32 i = 0; i < n->lower_count; i++)
		vnode_put(n->lowers[i]);
	vnode_put(n->parent);
	kfree(n->name);
	kfree(n);
}

static bool has_many_names(struct vnode *lower)
{
	struct vattr attr;

	return !S_ISDIR(lower->mode) && !vnode_getattr(lower, &attr) && attr.nlink > 1;
}

/* Consumes all references of `found`, which lies on the stack. */
static int node_make(struct union_fs *fs, struct union_node *found, struct vnode *parent,
		     struct vfs_name name, struct vnode **ret)
{
	struct vnode *real = found->upper ? found->upper : found->lowers[0], *other;
	u64 key = found->upper ? upper_key(found->upper) : lower_key(fs, real);
	struct union_node *n = kmalloc(sizeof(*n));
	bool lower_only = !found->upper;

	if (n) {
		*n = *found;
		vnode_init(&n->v, &fs->fs, &union_ops, key, real->mode, real->uid, real->gid);
	}
	if (n && lower_only && parent) {
		n->name = kmalloc(name.len + 1);
		if (n->name) {
			memcpy(n->name, name.text, name.len);
			n->name_len = name.len;
			n->parent = vnode_get(parent);
		}
	}
	if (!n || (lower_only && parent && !n->name)) {
		for (u32 i = 0; i < found->lower_count; i++)
			vnode_put(found->lowers[i]);
		vnode_put(found->upper);
		kfree(n);
		return -ENOMEM;
	}
	if (found->lower_count)
		n->ino = lower_key(fs, found->lowers[0]);
	else
		n->ino = origin_of(found->upper);
	if (!n->ino)
		n->ino = key;
	if (lower_only && has_many_names(real)) {
		*ret = &n->v;
		return 0;
	}
	other = vnode_insert(&n->v);
	if (other != &n->v)
		node_free(n);
	*ret = other;
	return 0;
}

int union_node_upper(struct union_fs *fs, struct vnode *upper, struct vnode **ret)
{
	struct union_node found = {.upper = vnode_get(upper)};

	return node_make(fs, &found, NULL, (struct vfs_name){0}, ret);
}

/* Adds what the layers below show. A file ends the search; a directory merges with more. */
static int find_below(struct union_node *dir, struct vfs_name name, struct union_node *found)
{
	for (u32 i = 0; i < dir->lower_count; i++) {
		struct vnode *low = dir->lowers[i], *v;
		int err = low->ops->lookup(low, name, &v);

		if (err == -ENOENT)
			continue;
		if (err)
			return err;
		if (!S_ISDIR(v->mode)) {
			if (found->upper || found->lower_count)
				vnode_put(v);
			else
				found->lowers[found->lower_count++] = v;
			return 0;
		}
		found->lowers[found->lower_count++] = v;
	}
	return 0;
}

int union_lookup(struct vnode *v, struct vfs_name name, struct vnode **ret)
{
	struct union_node *dir = union_of(v);
	struct union_node found = {0};
	struct vnode *upper = union_upper(dir);
	int err = upper ? upper->ops->lookup(upper, name, &found.upper) : -ENOENT;

	if (err && err != -ENOENT)
		return err;
	if (!err && union_is_whiteout(found.upper)) {
		vnode_put(found.upper);
		return -ENOENT;
	}
	if (err || (S_ISDIR(found.upper->mode) && !union_is_opaque(found.upper))) {
		err = find_below(dir, name, &found);
		if (err) {
			for (u32 i = 0; i < found.lower_count; i++)
				vnode_put(found.lowers[i]);
			vnode_put(found.upper);
			return err;
		}
	}
	if (!found.upper && !found.lower_count)
		return -ENOENT;
	return node_make(union_fs_of(v), &found, v, name, ret);
}

bool union_lower_has(struct union_node *dir, struct vfs_name name)
{
	for (u32 i = 0; i < dir->lower_count; i++) {
		struct vnode *v;

		if (!dir->lowers[i]->ops->lookup(dir->lowers[i], name, &v)) {
			vnode_put(v);
			return true;
		}
	}
	return false;
}
