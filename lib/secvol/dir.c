/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects under names: lookup, making, linking and unlinking them. name.c keeps the names.
 *
 * A directory's link count is 2 plus its subdirectories. An object that loses its last name while
 * it is held gets an ORPHAN item, which recovery frees it by.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

#define S_IFMT_	 0170000u
#define S_IFDIR_ 0040000u
#define S_IFLNK_ 0120000u
#define S_IFREG_ 0100000u

int sv_dir_get(struct secvol *v, u64 obj, struct sv_inode_mem **ret_d)
{
	int err = sv_inode_get(v, obj, ret_d);

	if (err)
		return err;
	return ((*ret_d)->attr.mode & S_IFMT_) == S_IFDIR_ ? 0 : -ENOTDIR;
}
int sv_orphan_prepare(struct secvol *v, u64 obj)
{
	struct sv_key key = sv_key(0, SV_ORPHAN, obj);

	return sv_tree_prepare(v, &v->fs, &key, &key, 6);
}

static int put_orphan(struct secvol *v, struct sv_inode_mem *i)
{
	struct sv_key key = sv_key(0, SV_ORPHAN, i->attr.obj);
	le64 since = le64_put(v->gen + 1);

	i->orphan = true;
	return sv_tree_put(v, &v->fs, &key, &since, sizeof(since));
}
int secvol_lookup(struct secvol *v, u64 dir, const char *name, size_t len, u64 *ret_obj,
		  struct secvol_attr *ret_attr)
{
	struct sv_inode_mem *d, *i;
	struct sv_entry e;
	const u8 *val;
	u32 size;
	u64 obj;
	int err = sv_begin(v);

	if (err)
		return err;
	err = sv_dir_get(v, dir, &d);
	if (!err && len == 1 && name[0] == '.') {
		obj = dir;
	} else if (!err && len == 2 && name[0] == '.' && name[1] == '.') {
		obj = d->parent;
	} else if (!err) {
		err = len > SECVOL_NAME_MAX ? -ENAMETOOLONG : len == 0 ? -ENOENT : 0;
		if (!err)
			err = sv_name_find(v, dir, name, len, &e, &val, &size);
		obj = err ? 0 : e.obj;
	}
	if (!err && ret_attr) {
		err = sv_inode_get(v, obj, &i);
		if (err == -ENOENT)
			err = -EUCLEAN;
		if (!err)
			*ret_attr = i->attr;
	}
	if (!err && ret_obj)
		*ret_obj = obj;
	sv_end(v);
	return err;
}

static void hold(struct secvol *v, struct sv_inode_mem *i)
{
	if (i->holds++ == 0)
		list_del(&i->lru);
}

/* A new object under a name; symlinks bring their target. */
static int make(struct secvol *v, u64 dir, const char *name, size_t len, u32 mode, u32 uid, u32 gid,
		u64 rdev, const char *target, size_t target_len, bool held, struct secvol_attr *ret)
{
	struct sv_inode_mem *d, *i = NULL;
	struct sv_entry e;
	const u8 *val;
	u32 size;
	int err = sv_name_check(name, len);

	if (err)
		return err == -EINVAL && name[0] == '.' ? -EEXIST : err;
	err = sv_begin_write(v, 0, 12, false);
	if (err)
		return err;
	err = sv_dir_get(v, dir, &d);
	if (!err && d->attr.nlink == 0)
		err = -ENOENT;
	if (!err) {
		err = sv_name_find(v, dir, name, len, &e, &val, &size);
		err = err == -ENOENT ? 0 : err ? err : -EEXIST;
	}
	if (!err && (mode & S_IFMT_) == S_IFDIR_ && d->attr.nlink >= SECVOL_LINK_MAX)
		err = -EMLINK;
	if (!err)
		err = sv_name_prepare(v, dir, name, len);
	if (!err)
		err = sv_inode_new(v, mode, uid, gid, rdev, &i);
	for (size_t at = 0; !err && at < target_len; at += SV_SYMLINK_PART) {
		struct sv_key key = sv_key(i->attr.obj, SV_SYMLINK, at / SV_SYMLINK_PART);

		err = sv_tree_put(v, &v->fs, &key, target + at,
				  (u32)MIN(target_len - at, (size_t)SV_SYMLINK_PART));
	}
	if (!err && target_len)
		err = sv_name_prepare(v, dir, name, len);
	if (!err)
		err = sv_name_add(v, d, name, len, i->attr.obj, mode);
	if (err) {
		if (i && sv_inode_destroy(v, i))
			sv_fail(v, -EIO);
	} else {
		i->parent = sv_is_dir(i) ? dir : 0;
		i->attr.size = target_len;
		if (sv_is_dir(i)) {
			d->attr.nlink++;
			sv_inode_dirty(v, d);
		}
		if (held)
			hold(v, i);
		*ret = i->attr;
	}
	sv_end(v);
	return err;
}

int secvol_create(struct secvol *v, u64 dir, const char *name, size_t len, u32 mode, u32 uid,
		  u32 gid, u64 rdev, bool held, struct secvol_attr *ret)
{
	static const u16 types[] = {0010000, 0020000, 0040000, 0060000, 0100000, 0140000};
	bool known = false;

	for (u32 i = 0; i < ARRAY_SIZE(types); i++)
		known |= (mode & S_IFMT_) == types[i];
	if (!known || mode & ~(S_IFMT_ | 07777))
		return -EINVAL;
	return make(v, dir, name, len, mode, uid, gid, rdev, NULL, 0, held, ret);
}

int secvol_symlink(struct secvol *v, u64 dir, const char *name, size_t len, const char *target,
		   size_t target_len, u32 uid, u32 gid, struct secvol_attr *ret)
{
	if (target_len == 0)
		return -ENOENT;
	if (target_len > SECVOL_SYMLINK_MAX)
		return -ENAMETOOLONG;
	if (memchr(target, 0, target_len))
		return -EINVAL;
	return make(v, dir, name, len, S_IFLNK_ | 0777, uid, gid, 0, target, target_len, false,
		    ret);
}

int secvol_create_unnamed(struct secvol *v, u32 mode, u32 uid, u32 gid, struct secvol_attr *ret)
{
	struct sv_inode_mem *i;
	int err;

	if (mode & ~(S_IFMT_ | 07777) || (mode & S_IFMT_) != S_IFREG_)
		return -EINVAL;
	err = sv_begin_write(v, 0, 12, false);
	if (err)
		return err;
	err = sv_orphan_prepare(v, v->next_obj);
	if (!err)
		err = sv_inode_new(v, mode, uid, gid, 0, &i);
	if (!err) {
		i->attr.nlink = 0;
		hold(v, i);
		*ret = i->attr;
		err = put_orphan(v, i);
		if (err)
			sv_fail(v, err);
	}
	sv_end(v);
	return err;
}

long secvol_readlink(struct secvol *v, u64 obj, char *buf, size_t size)
{
	struct sv_inode_mem *i;
	const u8 *val;
	size_t at = 0;
	u32 part;
	int err = sv_begin(v);

	if (err)
		return err;
	err = sv_inode_get(v, obj, &i);
	if (!err && (i->attr.mode & S_IFMT_) != S_IFLNK_)
		err = -EINVAL;
	while (!err && at < i->attr.size) {
		struct sv_key key = sv_key(obj, SV_SYMLINK, at / SV_SYMLINK_PART);

		err = sv_tree_lookup(v, &v->fs, &key, &val, &part);
		if (err == -ENOENT ||
		    (!err && part != MIN(i->attr.size - at, (u64)SV_SYMLINK_PART)))
			err = -EUCLEAN;
		if (!err && at < size)
			memcpy(buf + at, val, MIN((size_t)part, size - at));
		at += part;
	}
	sv_end(v);
	return err ? err : (long)at;
}

int secvol_link(struct secvol *v, u64 obj, u64 dir, const char *name, size_t len)
{
	struct sv_key orphan = sv_key(0, SV_ORPHAN, obj);
	struct sv_inode_mem *d, *i;
	int err = sv_name_check(name, len);

	if (err)
		return err == -EINVAL && name[0] == '.' ? -EEXIST : err;
	err = sv_begin_write(v, 0, 12, false);
	if (err)
		return err;
	err = sv_dir_get(v, dir, &d);
	if (!err)
		err = sv_inode_get(v, obj, &i);
	if (!err && sv_is_dir(i))
		err = -EPERM;
	if (!err && i->attr.nlink >= SECVOL_LINK_MAX)
		err = -EMLINK;
	if (!err && (d->attr.nlink == 0 || (i->attr.nlink == 0 && !i->holds)))
		err = -ENOENT;
	if (!err)
		err = sv_orphan_prepare(v, obj);
	if (!err)
		err = sv_name_prepare(v, dir, name, len);
	if (!err)
		err = sv_name_add(v, d, name, len, obj, i->attr.mode);
	if (!err) {
		i->attr.nlink++;
		sv_inode_touch(v, i, false);
		if (i->orphan) {
			i->orphan = false;
			err = sv_tree_delete(v, &v->fs, &orphan);
			if (err)
				sv_fail(v, err);
		}
	}
	sv_end(v);
	return err;
}

/* One name of an object is gone; the last one takes it along, or makes it an orphan. */
int sv_link_drop(struct secvol *v, struct sv_inode_mem *i)
{
	i->attr.nlink = sv_is_dir(i) ? 0 : i->attr.nlink - 1;
	sv_inode_touch(v, i, false);
	if (i->attr.nlink)
		return 0;
	return i->holds || sv_is_big(i) ? put_orphan(v, i) : sv_inode_destroy(v, i);
}

/* What rename and unlink may remove: -ENOTDIR, -EISDIR, -ENOTEMPTY. */
int sv_removable(struct secvol *v, struct sv_inode_mem *i, bool want_dir)
{
	if (sv_is_dir(i) != want_dir)
		return want_dir ? -ENOTDIR : -EISDIR;
	if (i->attr.obj == SECVOL_ROOT_OBJ)
		return -EBUSY;
	if (!sv_is_dir(i) && i->attr.nlink == 0)
		return -EUCLEAN;
	return sv_is_dir(i) ? sv_dir_is_empty(v, i->attr.obj) : 0;
}

int secvol_unlink(struct secvol *v, u64 dir, const char *name, size_t len, bool want_dir)
{
	struct sv_inode_mem *d, *i;
	struct sv_entry e;
	const u8 *val;
	u64 big = 0;
	u32 size;
	int err = sv_name_check(name, len);

	if (err)
		return err;
	err = sv_begin_write(v, 0, 16, true);
	if (err)
		return err;
	err = sv_dir_get(v, dir, &d);
	if (!err)
		err = sv_name_find(v, dir, name, len, &e, &val, &size);
	if (!err) {
		err = sv_inode_get(v, e.obj, &i);
		if (err == -ENOENT)
			err = -EUCLEAN;
	}
	if (!err)
		err = sv_removable(v, i, want_dir);
	if (!err)
		err = sv_orphan_prepare(v, i->attr.obj);
	if (!err)
		err = sv_name_prepare(v, dir, name, len);
	if (!err) {
		err = sv_name_remove(v, d, name, len);
		if (!err && sv_is_dir(i))
			d->attr.nlink--;
		big = sv_is_big(i) ? i->attr.obj : 0;
		if (!err)
			err = sv_link_drop(v, i);
		if (err)
			sv_fail(v, err);
	}
	sv_end(v);
	if (!err && big)
		sv_orphan_reap(v, big);
	return err;
}
