/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects in memory. Attributes change here and reach the tree at the commit (or when the object
 * leaves memory). An object without names lives as long as someone holds it; meanwhile an ORPHAN
 * item names it, so that recovery can free it.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

#define MAX_IDLE_INODES 1024u
#define S_IFMT_		0170000u
#define S_IFDIR_	0040000u
#define S_IFREG_	0100000u

static u32 slot_of(u64 obj)
{
	return (u32)(obj * 0x9e3779b97f4a7c15ull >> 54) % SV_HASH_SIZE;
}

static struct secvol_time take_time(const struct sv_time *t)
{
	return (struct secvol_time){.sec = (s64)le64_get(t->sec), .nsec = le32_get(t->nsec)};
}

static struct sv_time put_time(const struct secvol_time *t)
{
	return (struct sv_time){.sec = le64_put((u64)t->sec), .nsec = le32_put(t->nsec)};
}

int sv_inode_decode(const u8 *val, u32 size, struct secvol_attr *a, u64 *ret_parent)
{
	const struct sv_inode *d = (const struct sv_inode *)val;

	if (size != sizeof(*d) || !mem_is_zero(d->rsv, sizeof(d->rsv)))
		return -EUCLEAN;
	memset(a, 0, sizeof(*a));
	a->size = le64_get(d->size);
	a->blocks = le64_get(d->blocks);
	a->mode = le32_get(d->mode);
	a->uid = le32_get(d->uid);
	a->gid = le32_get(d->gid);
	a->nlink = le32_get(d->nlink);
	a->rdev = le64_get(d->rdev);
	a->flags = le32_get(d->flags);
	a->reserved = le64_get(d->reserved);
	a->atime = take_time(&d->atime);
	a->mtime = take_time(&d->mtime);
	a->ctime = take_time(&d->ctime);
	a->btime = take_time(&d->btime);
	*ret_parent = le64_get(d->parent);
	if (a->size > INT64_MAX || a->atime.nsec >= 1000000000 || a->mtime.nsec >= 1000000000 ||
	    a->ctime.nsec >= 1000000000 || a->btime.nsec >= 1000000000)
		return -EUCLEAN;
	return 0;
}

void sv_inode_encode(const struct secvol_attr *a, u64 parent, struct sv_inode *d)
{
	memset(d, 0, sizeof(*d));
	d->size = le64_put(a->size);
	d->blocks = le64_put(a->blocks);
	d->mode = le32_put(a->mode);
	d->uid = le32_put(a->uid);
	d->gid = le32_put(a->gid);
	d->nlink = le32_put(a->nlink);
	d->rdev = le64_put(a->rdev);
	d->flags = le32_put(a->flags);
	d->reserved = le64_put(a->reserved);
	d->atime = put_time(&a->atime);
	d->mtime = put_time(&a->mtime);
	d->ctime = put_time(&a->ctime);
	d->btime = put_time(&a->btime);
	d->parent = le64_put(parent);
}

static struct sv_inode_mem *inode_add(struct secvol *v, u64 obj)
{
	struct sv_inode_mem *i = sv_zalloc(v, sizeof(*i));
	u32 slot = slot_of(obj);

	if (!i)
		return NULL;
	i->attr.obj = obj;
	list_init(&i->dirty_link);
	i->hash_next = v->inode_hash[slot];
	v->inode_hash[slot] = i;
	list_init(&i->lru);
	list_add_tail(&v->inode_lru, &i->lru);
	v->inode_count++;
	return i;
}

void sv_inode_forget(struct secvol *v, struct sv_inode_mem *i)
{
	struct sv_inode_mem **at = &v->inode_hash[slot_of(i->attr.obj)];

	while (*at != i)
		at = &(*at)->hash_next;
	*at = i->hash_next;
	list_del(&i->lru);
	if (i->dirty) {
		list_del(&i->dirty_link);
		v->inode_dirty_count--;
	}
	v->inode_count--;
	sv_free(v, i, sizeof(*i));
}

int sv_inode_get(struct secvol *v, u64 obj, struct sv_inode_mem **ret_i)
{
	struct sv_key key = sv_key(obj, SV_INODE, 0);
	struct sv_inode_mem *i = v->inode_hash[slot_of(obj)];
	struct secvol_attr attr;
	const u8 *val;
	u64 parent;
	u32 size;
	int err;

	while (i && i->attr.obj != obj)
		i = i->hash_next;
	if (i) {
		if (!i->holds) {
			list_del(&i->lru);
			list_add_tail(&v->inode_lru, &i->lru);
		}
		*ret_i = i;
		return 0;
	}
	if (obj < SECVOL_ROOT_OBJ)
		return -ENOENT;
	err = sv_tree_lookup(v, &v->fs, &key, &val, &size);
	if (!err)
		err = sv_inode_decode(val, size, &attr, &parent);
	if (err)
		return err;
	key.type = SV_INLINE;
	err = (attr.mode & S_IFMT_) == S_IFREG_ ? sv_tree_lookup(v, &v->fs, &key, &val, &size)
						: -ENOENT;
	if (err && err != -ENOENT)
		return err;
	i = inode_add(v, obj);
	if (!i)
		return -ENOMEM;
	i->attr = attr;
	i->attr.obj = obj;
	i->parent = parent;
	i->inlined = !err;
	i->orphan = attr.nlink == 0;
	*ret_i = i;
	return 0;
}

void sv_inode_dirty(struct secvol *v, struct sv_inode_mem *i)
{
	v->dirty = true;
	if (i->dirty)
		return;
	i->dirty = true;
	list_add_tail(&v->inode_dirty, &i->dirty_link);
	v->inode_dirty_count++;
}

void sv_inode_touch(struct secvol *v, struct sv_inode_mem *i, bool mtime)
{
	sv_now(v, &i->attr.ctime);
	if (mtime)
		i->attr.mtime = i->attr.ctime;
	sv_inode_dirty(v, i);
}

int sv_inode_new(struct secvol *v, u32 mode, u32 uid, u32 gid, u64 rdev,
		 struct sv_inode_mem **ret_i)
{
	struct sv_inode_mem *i = inode_add(v, v->next_obj);

	if (!i)
		return -ENOMEM;
	v->next_obj++;
	v->files++;
	i->attr.mode = mode;
	i->attr.uid = uid;
	i->attr.gid = gid;
	i->attr.rdev = rdev;
	i->attr.nlink = (mode & S_IFMT_) == S_IFDIR_ ? 2 : 1;
	sv_now(v, &i->attr.btime);
	i->attr.atime = i->attr.mtime = i->attr.ctime = i->attr.btime;
	sv_inode_dirty(v, i);
	*ret_i = i;
	return 0;
}

int sv_inode_store(struct secvol *v, struct sv_inode_mem *i)
{
	struct sv_key key = sv_key(i->attr.obj, SV_INODE, 0);
	struct sv_inode d;
	int err;

	if (!i->dirty)
		return 0;
	sv_inode_encode(&i->attr, i->parent, &d);
	err = sv_tree_put(v, &v->fs, &key, &d, sizeof(d));
	if (err)
		return err;
	i->dirty = false;
	list_del(&i->dirty_link);
	v->inode_dirty_count--;
	return 0;
}

/* Deletes every item of an object but its INODE. */
static int delete_items(struct secvol *v, u64 obj)
{
	struct sv_key key, end = sv_key(obj, 255, UINT64_MAX);
	const u8 *val;
	u32 size;
	int err;

	for (key = sv_key(obj, SV_INODE + 1, 0);; key.off++) {
		err = sv_tree_next(v, &v->fs, &key, &val, &size);
		if (err == -ENOENT || (!err && sv_key_cmp(&key, &end) > 0))
			return 0;
		if (!err)
			err = sv_tree_delete(v, &v->fs, &key);
		if (err)
			return err;
	}
}

int sv_inode_destroy(struct secvol *v, struct sv_inode_mem *i)
{
	struct sv_key key = sv_key(i->attr.obj, SV_INODE, 0);
	struct sv_key orphan = sv_key(0, SV_ORPHAN, i->attr.obj);
	u64 obj = i->attr.obj;
	int err;

	sv_data_drop(v, i, 0, UINT64_MAX);
	err = sv_data_cut(v, i, 0, UINT64_MAX);
	if (!err)
		err = sv_reserved_drop(v, i);
	if (!err)
		err = delete_items(v, obj);
	if (err)
		return err;
	err = sv_tree_delete(v, &v->fs, &key);
	if (err == -ENOENT) /* never got there */
		err = 0;
	if (!err)
		err = sv_tree_delete(v, &v->fs, &orphan);
	if (err == -ENOENT)
		err = 0;
	if (err)
		return err;
	sv_inode_forget(v, i);
	v->files--;
	v->dirty = true;
	return 0;
}

/* A slice of a big file, or all that is left of it. */
static int destroy_some(struct secvol *v, struct sv_inode_mem *i, bool *ret_more)
{
	int err;

	sv_data_drop(v, i, 0, UINT64_MAX);
	err = sv_data_cut_some(v, i, 0, UINT64_MAX, SV_BIG_FILE / SV_EXTENT_BLOCKS, ret_more);
	return err || *ret_more ? err : sv_inode_destroy(v, i);
}

void sv_orphan_reap(struct secvol *v, u64 obj)
{
	struct sv_inode_mem *i;
	bool more = true;

	/* If this fails the ORPHAN item is still there and recovery does it. */
	while (more && sv_begin_write(v, 0, 64, true) == 0) {
		more = false;
		if (sv_inode_get(v, obj, &i) == 0 && !i->holds && i->attr.nlink == 0) {
			int err = destroy_some(v, i, &more);

			if (err)
				sv_fail(v, err);
		}
		sv_end(v);
	}
}

int sv_orphans_free(struct secvol *v, u32 *ret_count)
{
	bool more;

	struct sv_inode_mem *i;
	const u8 *val;
	u32 size;
	int err;

	for (*ret_count = 0;; *ret_count += !more) {
		struct sv_key key = sv_key(0, SV_ORPHAN, 0);

		err = sv_item_next(v, &key, UINT64_MAX, &val, &size);
		if (err == -ENOENT)
			return 0;
		if (err)
			return err;
		err = sv_make_room(v, 0, 16, true);
		if (!err)
			err = sv_inode_get(v, key.off, &i);
		if (!err && i->attr.nlink)
			err = -EUCLEAN;
		if (!err)
			err = destroy_some(v, i, &more);
		if (err)
			return err == -ENOENT ? -EUCLEAN : err;
	}
}

void sv_inodes_trim(struct secvol *v)
{
	struct list_node *at, *next;
	u32 idle = 0;

	if (v->inode_count <= MAX_IDLE_INODES)
		return;
	list_for_each_safe (at, next, &v->inode_lru) {
		struct sv_inode_mem *i = list_entry(at, struct sv_inode_mem, lru);

		if (v->inode_count <= MAX_IDLE_INODES || ++idle > 64)
			return;
		if (!i->dirty && !i->dirty_pages)
			sv_inode_forget(v, i);
	}
}

bool sv_inodes_held(const struct secvol *v)
{
	for (u32 k = 0; k < SV_HASH_SIZE; k++) {
		for (struct sv_inode_mem *i = v->inode_hash[k]; i; i = i->hash_next) {
			if (i->holds)
				return true;
		}
	}
	return false;
}

void sv_inodes_free(struct secvol *v)
{
	list_init(&v->inode_lru);
	list_init(&v->inode_dirty);
	v->inode_count = v->inode_dirty_count = 0;
	for (u32 k = 0; k < SV_HASH_SIZE; k++) {
		while (v->inode_hash[k]) {
			struct sv_inode_mem *i = v->inode_hash[k];

			v->inode_hash[k] = i->hash_next;
			sv_free(v, i, sizeof(*i));
		}
	}
}

/* ---- public ---- */

int secvol_hold(struct secvol *v, u64 obj)
{
	struct sv_inode_mem *i;
	int err = sv_begin(v);

	if (err)
		return err;
	err = sv_inode_get(v, obj, &i);
	if (!err && i->holds++ == 0)
		list_del(&i->lru);
	sv_end(v);
	return err;
}

void secvol_release(struct secvol *v, u64 obj)
{
	struct sv_inode_mem *i;
	bool has_room = false, is_big = false;

	sv_lock(v);
	if (sv_inode_get(v, obj, &i) == 0 && i->holds == 1 && i->attr.nlink == 0 && v->rw &&
	    !v->failed) {
		sv_unlock(v);
		has_room = sv_begin_write(v, 0, 16, true) == 0;
		if (!has_room)
			sv_lock(v);
	}
	if (sv_inode_get(v, obj, &i) == 0 && i->holds && --i->holds == 0) {
		list_add_tail(&v->inode_lru, &i->lru);
		/* If this fails the ORPHAN item is still there and recovery does it. */
		is_big = i->attr.nlink == 0 && has_room && sv_is_big(i);
		if (i->attr.nlink == 0 && has_room && !is_big) {
			int err = sv_inode_destroy(v, i);

			if (err)
				sv_fail(v, err);
		}
	}
	sv_end(v);
	if (is_big)
		sv_orphan_reap(v, obj);
}

int secvol_getattr(struct secvol *v, u64 obj, struct secvol_attr *ret)
{
	struct sv_inode_mem *i;
	int err = sv_begin(v);

	if (err)
		return err;
	err = sv_inode_get(v, obj, &i);
	if (!err) {
		*ret = i->attr;
		/* About: some of the pages replace blocks, or have a promise. */
		ret->blocks += i->dirty_pages - MIN((u64)i->dirty_pages, i->attr.reserved);
	}
	sv_end(v);
	return err;
}

int secvol_setattr(struct secvol *v, u64 obj, const struct secvol_attr *a, u32 set)
{
	struct sv_inode_mem *i;
	int err = sv_begin_write(v, 0, 4, false);

	if (err)
		return err;
	err = sv_inode_get(v, obj, &i);
	if (!err && ((set & SECVOL_SET_ATIME && a->atime.nsec >= 1000000000) ||
		     (set & SECVOL_SET_MTIME && a->mtime.nsec >= 1000000000) ||
		     (set & SECVOL_SET_CTIME && a->ctime.nsec >= 1000000000)))
		err = -EINVAL;
	if (!err) {
		if (set & SECVOL_SET_MODE)
			i->attr.mode = (i->attr.mode & S_IFMT_) | (a->mode & 07777);
		if (set & SECVOL_SET_UID)
			i->attr.uid = a->uid;
		if (set & SECVOL_SET_GID)
			i->attr.gid = a->gid;
		if (set & SECVOL_SET_FLAGS)
			i->attr.flags = a->flags;
		if (set & SECVOL_SET_ATIME)
			i->attr.atime = a->atime;
		if (set & SECVOL_SET_MTIME)
			i->attr.mtime = a->mtime;
		if (set & SECVOL_SET_CTIME)
			i->attr.ctime = a->ctime;
		else
			sv_inode_touch(v, i, false);
		sv_inode_dirty(v, i);
	}
	sv_end(v);
	return err;
}
