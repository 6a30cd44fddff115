/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renaming: two names change at once, and neither may make a directory its own ancestor. All that
 * can fail is checked and prepared first.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

/* -EINVAL when `dir` is `obj` or lies below it. */
static int check_not_below(struct secvol *v, u64 dir, u64 obj)
{
	struct sv_inode_mem *d;

	for (u32 depth = 0; dir != SECVOL_ROOT_OBJ; depth++) {
		int err = dir == obj ? -EINVAL : sv_dir_get(v, dir, &d);

		if (err)
			return err;
		if (depth > 100000)
			return -EUCLEAN; /* a cycle */
		dir = d->parent;
	}
	return dir == obj ? -EINVAL : 0;
}

/* One side of a rename. */
struct place {
	struct sv_inode_mem *dir;
	const char *name;
	size_t len;
	struct sv_inode_mem *obj; /* what the name refers to, or NULL */
};

static int find_place(struct secvol *v, u64 dir, struct place *p)
{
	struct sv_entry e;
	const u8 *val;
	u32 size;
	int err = sv_dir_get(v, dir, &p->dir);

	p->obj = NULL;
	if (!err)
		err = sv_name_find(v, dir, p->name, p->len, &e, &val, &size);
	if (err)
		return err;
	err = sv_inode_get(v, e.obj, &p->obj);
	return err == -ENOENT ? -EUCLEAN : err;
}

static int rename_check(struct secvol *v, const struct place *a, const struct place *b, u32 flags)
{
	int err = 0;

	if (flags & SECVOL_RENAME_EXCHANGE && !b->obj)
		return -ENOENT;
	if (flags & SECVOL_RENAME_NOREPLACE && b->obj)
		return -EEXIST;
	if (b->dir->attr.nlink == 0)
		return -ENOENT;
	if (sv_is_dir(a->obj))
		err = check_not_below(v, b->dir->attr.obj, a->obj->attr.obj);
	if (!err && flags & SECVOL_RENAME_EXCHANGE && sv_is_dir(b->obj))
		err = check_not_below(v, a->dir->attr.obj, b->obj->attr.obj);
	if (err || !b->obj || b->obj == a->obj || flags & SECVOL_RENAME_EXCHANGE)
		return err;
	/* A directory that has what is to be renamed: that comes before what kind either is. */
	if (sv_is_dir(b->obj))
		err = check_not_below(v, a->dir->attr.obj, b->obj->attr.obj);
	if (err)
		return err == -EINVAL ? -ENOTEMPTY : err;
	return sv_removable(v, b->obj, sv_is_dir(a->obj));
}

static void moved(struct secvol *v, struct sv_inode_mem *i, struct sv_inode_mem *from,
		  struct sv_inode_mem *to)
{
	if (sv_is_dir(i)) {
		i->parent = to->attr.obj;
		from->attr.nlink--;
		to->attr.nlink++;
		sv_inode_dirty(v, from);
		sv_inode_dirty(v, to);
	}
	sv_inode_touch(v, i, false);
}

static int rename_apply(struct secvol *v, struct place *a, struct place *b, u32 flags)
{
	int err = sv_name_remove(v, a->dir, a->name, a->len);

	if (!err && b->obj)
		err = sv_name_remove(v, b->dir, b->name, b->len);
	if (!err)
		err = sv_name_add(v, b->dir, b->name, b->len, a->obj->attr.obj, a->obj->attr.mode);
	if (!err && flags & SECVOL_RENAME_EXCHANGE)
		err = sv_name_add(v, a->dir, a->name, a->len, b->obj->attr.obj, b->obj->attr.mode);
	if (err)
		return err;
	moved(v, a->obj, a->dir, b->dir);
	if (b->obj && flags & SECVOL_RENAME_EXCHANGE) {
		moved(v, b->obj, b->dir, a->dir);
	} else if (b->obj) {
		if (sv_is_dir(b->obj))
			b->dir->attr.nlink--;
		err = sv_link_drop(v, b->obj);
	}
	return err;
}

int secvol_rename(struct secvol *v, u64 dir, const char *name, size_t len, u64 to_dir,
		  const char *to_name, size_t to_len, u32 flags)
{
	u64 big = 0;
	struct place a = {.name = name, .len = len}, b = {.name = to_name, .len = to_len};
	int err = sv_name_check(name, len);

	if (!err)
		err = sv_name_check(to_name, to_len);
	if (!err && (flags & ~3u || flags == 3))
		err = -EINVAL;
	if (err)
		return err;
	err = sv_begin_write(v, 0, 24, false);
	if (err)
		return err;
	err = find_place(v, dir, &a);
	if (!err) {
		err = find_place(v, to_dir, &b);
		if (err == -ENOENT && b.dir && sv_is_dir(b.dir))
			err = 0;
	}
	if (!err)
		err = rename_check(v, &a, &b, flags);
	if (!err && a.obj != b.obj) { /* two names of one object: nothing to do */
		err = sv_orphan_prepare(v, b.obj ? b.obj->attr.obj : 0);
		if (!err)
			err = sv_name_prepare(v, dir, name, len);
		if (!err)
			err = sv_name_prepare(v, to_dir, to_name, to_len);
		if (!err) {
			big = b.obj && sv_is_big(b.obj) ? b.obj->attr.obj : 0;
			err = rename_apply(v, &a, &b, flags);
			if (err)
				sv_fail(v, err);
		}
	}
	sv_end(v);
	if (!err && big)
		sv_orphan_reap(v, big);
	return err;
}
