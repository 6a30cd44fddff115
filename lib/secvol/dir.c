/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names. A directory's entries are DIRENT items keyed by the hash of the name; names of one hash
 * share an item. The hash is SipHash-2-4 under the uuid with the top bit and the low four bits
 * clear: it is also the readdir cookie, to which the index within the item is added.
 *
 * A directory's size is the sum of its entries' records, its link count 2 plus its subdirectories.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

#define S_IFMT_	      0170000u
#define S_IFDIR_      0040000u
#define S_IFLNK_      0120000u
#define S_IFREG_      0100000u

#define COOKIE_DOT    1u
#define COOKIE_DOTDOT 2u
#define HASH_MIN      16u
#define HASH_NAMES    14u /* in one item, so that an index fits the cookie */

#define ROTL(x, b)    ((x) << (b) | (x) >> (64 - (b)))

static void sip_round(u64 s[4])
{
	s[0] += s[1];
	s[2] += s[3];
	s[1] = ROTL(s[1], 13) ^ s[0];
	s[3] = ROTL(s[3], 16) ^ s[2];
	s[0] = ROTL(s[0], 32);
	s[2] += s[1];
	s[0] += s[3];
	s[1] = ROTL(s[1], 17) ^ s[2];
	s[3] = ROTL(s[3], 21) ^ s[0];
	s[2] = ROTL(s[2], 32);
}

u64 sv_name_hash(const struct secvol *v, const char *name, size_t len)
{
	u64 k0 = le64_at(v->uuid), k1 = le64_at(v->uuid + 8), m;
	u64 s[4] = {k0 ^ 0x736f6d6570736575ull, k1 ^ 0x646f72616e646f6dull,
		    k0 ^ 0x6c7967656e657261ull, k1 ^ 0x7465646279746573ull};
	size_t at = 0;

	for (;; at += 8) {
		u8 last[8] = {0};

		if (len - at >= 8) {
			m = le64_at(name + at);
		} else {
			memcpy(last, name + at, len - at);
			last[7] = (u8)len;
			m = le64_at(last);
		}
		s[3] ^= m;
		sip_round(s);
		sip_round(s);
		s[0] ^= m;
		if (len - at < 8)
			break;
	}
	s[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(s);
	m = (s[0] ^ s[1] ^ s[2] ^ s[3]) & ~(1ull << 63) & ~15ull;
	return m < HASH_MIN ? HASH_MIN : m;
}

struct entry {
	u64 obj;
	u8 type;
	u8 len;
	const char *name;
	u32 at;	  /* within the item */
	u32 size; /* of the record */
};

/* The record at *at of an item; false at the end. */
static int entry_next(const u8 *val, u32 size, u32 *at, struct entry *e)
{
	const struct sv_dirent *d = (const struct sv_dirent *)(val + *at);

	if (*at == size)
		return -ENOENT;
	if (size - *at < sizeof(*d) || size - *at - sizeof(*d) < d->len || d->len == 0)
		return -EUCLEAN;
	e->obj = le64_get(d->obj);
	e->type = d->type;
	e->len = d->len;
	e->name = (const char *)(d + 1);
	e->at = *at;
	e->size = sizeof(*d) + d->len;
	*at += e->size;
	if (e->obj < SECVOL_ROOT_OBJ || memchr(e->name, 0, e->len) || memchr(e->name, '/', e->len))
		return -EUCLEAN;
	return 0;
}

/* Finds a name; the item's bytes are borrowed. -ENOENT with *ret_size set when the item is there. */
static int find_entry(struct secvol *v, u64 dir, const char *name, size_t len, struct entry *e,
		      const u8 **ret_val, u32 *ret_size)
{
	struct sv_key key = sv_key(dir, SV_DIRENT, sv_name_hash(v, name, len));
	u32 at = 0;
	int err;

	*ret_size = 0;
	err = sv_tree_lookup(v, &v->fs, &key, ret_val, ret_size);
	while (!err) {
		err = entry_next(*ret_val, *ret_size, &at, e);
		if (!err && e->len == len && memcmp(e->name, name, len) == 0)
			return 0;
	}
	return err;
}

static int check_name(const char *name, size_t len)
{
	if (len == 0)
		return -ENOENT;
	if (len > SECVOL_NAME_MAX)
		return -ENAMETOOLONG;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return -EINVAL;
	return memchr(name, 0, len) || memchr(name, '/', len) ? -EINVAL : 0;
}

static int get_dir(struct secvol *v, u64 obj, struct sv_inode_mem **ret_d)
{
	int err = sv_inode_get(v, obj, ret_d);

	if (err)
		return err;
	return ((*ret_d)->attr.mode & S_IFMT_) == S_IFDIR_ ? 0 : -ENOTDIR;
}

static bool is_dir(const struct sv_inode_mem *i)
{
	return (i->attr.mode & S_IFMT_) == S_IFDIR_;
}

static int prepare_name(struct secvol *v, u64 dir, const char *name, size_t len)
{
	struct sv_key key = sv_key(dir, SV_DIRENT, sv_name_hash(v, name, len));

	return sv_tree_prepare(v, &v->fs, &key, &key, 4);
}

static int prepare_orphan(struct secvol *v, u64 obj)
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

/* The name must not be there. -ENOSPC when too many names share its hash. */
static int add_entry(struct secvol *v, struct sv_inode_mem *d, const char *name, size_t len,
		     u64 obj, u32 mode)
{
	struct sv_key key = sv_key(d->attr.obj, SV_DIRENT, sv_name_hash(v, name, len));
	struct sv_dirent *rec;
	struct entry e;
	const u8 *val;
	u32 size, at = 0, names = 0;
	int err = find_entry(v, d->attr.obj, name, len, &e, &val, &size);

	if (err != -ENOENT)
		return err ? err : -EEXIST;
	while (size && entry_next(val, size, &at, &e) == 0)
		names++;
	if (size + sizeof(*rec) + len > SV_ITEM_MAX || names >= HASH_NAMES)
		return -ENOSPC;
	if (size)
		memcpy(v->val[0], val, size);
	rec = (struct sv_dirent *)(v->val[0] + size);
	rec->obj = le64_put(obj);
	rec->type = (u8)((mode & S_IFMT_) >> 12);
	rec->len = (u8)len;
	memcpy(rec + 1, name, len);
	err = sv_tree_put(v, &v->fs, &key, v->val[0], size + sizeof(*rec) + (u32)len);
	if (err)
		return err;
	d->attr.size += sizeof(*rec) + len;
	sv_inode_touch(v, d, true);
	return 0;
}

static int remove_entry(struct secvol *v, struct sv_inode_mem *d, const char *name, size_t len)
{
	struct sv_key key = sv_key(d->attr.obj, SV_DIRENT, sv_name_hash(v, name, len));
	struct entry e;
	const u8 *val;
	u32 size;
	int err = find_entry(v, d->attr.obj, name, len, &e, &val, &size);

	if (err)
		return err;
	if (e.size == size) {
		err = sv_tree_delete(v, &v->fs, &key);
	} else {
		memcpy(v->val[0], val, e.at);
		memcpy(v->val[0] + e.at, val + e.at + e.size, size - e.at - e.size);
		err = sv_tree_put(v, &v->fs, &key, v->val[0], size - e.size);
	}
	if (err)
		return err;
	d->attr.size -= MIN(d->attr.size, (u64)e.size);
	sv_inode_touch(v, d, true);
	return 0;
}

static int dir_is_empty(struct secvol *v, u64 obj)
{
	struct sv_key key = sv_key(obj, SV_DIRENT, 0);
	const u8 *val;
	u32 size;
	int err = sv_tree_next(v, &v->fs, &key, &val, &size);

	if (err == -ENOENT || (!err && (key.obj != obj || key.type != SV_DIRENT)))
		return 0;
	return err ? err : -ENOTEMPTY;
}

int secvol_lookup(struct secvol *v, u64 dir, const char *name, size_t len, u64 *ret_obj,
		  struct secvol_attr *ret_attr)
{
	struct sv_inode_mem *d, *i;
	struct entry e;
	const u8 *val;
	u32 size;
	u64 obj;
	int err = sv_begin(v);

	if (err)
		return err;
	err = get_dir(v, dir, &d);
	if (!err && len == 1 && name[0] == '.') {
		obj = dir;
	} else if (!err && len == 2 && name[0] == '.' && name[1] == '.') {
		obj = d->parent;
	} else if (!err) {
		err = len > SECVOL_NAME_MAX ? -ENAMETOOLONG : len == 0 ? -ENOENT : 0;
		if (!err)
			err = find_entry(v, dir, name, len, &e, &val, &size);
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
	struct entry e;
	const u8 *val;
	u32 size;
	int err = check_name(name, len);

	if (err)
		return err == -EINVAL && name[0] == '.' ? -EEXIST : err;
	err = sv_begin_write(v, 0, 12, false);
	if (err)
		return err;
	err = get_dir(v, dir, &d);
	if (!err && d->attr.nlink == 0)
		err = -ENOENT;
	if (!err) {
		err = find_entry(v, dir, name, len, &e, &val, &size);
		err = err == -ENOENT ? 0 : err ? err : -EEXIST;
	}
	if (!err && (mode & S_IFMT_) == S_IFDIR_ && d->attr.nlink >= SECVOL_LINK_MAX)
		err = -EMLINK;
	if (!err)
		err = prepare_name(v, dir, name, len);
	if (!err)
		err = sv_inode_new(v, mode, uid, gid, rdev, &i);
	for (size_t at = 0; !err && at < target_len; at += SV_SYMLINK_PART) {
		struct sv_key key = sv_key(i->attr.obj, SV_SYMLINK, at / SV_SYMLINK_PART);

		err = sv_tree_put(v, &v->fs, &key, target + at,
				  (u32)MIN(target_len - at, (size_t)SV_SYMLINK_PART));
	}
	if (!err && target_len)
		err = prepare_name(v, dir, name, len);
	if (!err)
		err = add_entry(v, d, name, len, i->attr.obj, mode);
	if (err) {
		if (i && sv_inode_destroy(v, i))
			sv_fail(v, -EIO);
	} else {
		i->parent = is_dir(i) ? dir : 0;
		i->attr.size = target_len;
		if (is_dir(i)) {
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
	err = prepare_orphan(v, v->next_obj);
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
	int err = check_name(name, len);

	if (err)
		return err == -EINVAL && name[0] == '.' ? -EEXIST : err;
	err = sv_begin_write(v, 0, 12, false);
	if (err)
		return err;
	err = get_dir(v, dir, &d);
	if (!err)
		err = sv_inode_get(v, obj, &i);
	if (!err && is_dir(i))
		err = -EPERM;
	if (!err && i->attr.nlink >= SECVOL_LINK_MAX)
		err = -EMLINK;
	if (!err && (d->attr.nlink == 0 || (i->attr.nlink == 0 && !i->holds)))
		err = -ENOENT;
	if (!err)
		err = prepare_orphan(v, obj);
	if (!err)
		err = prepare_name(v, dir, name, len);
	if (!err)
		err = add_entry(v, d, name, len, obj, i->attr.mode);
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
static int drop_link(struct secvol *v, struct sv_inode_mem *i)
{
	i->attr.nlink = is_dir(i) ? 0 : i->attr.nlink - 1;
	sv_inode_touch(v, i, false);
	if (i->attr.nlink)
		return 0;
	return i->holds ? put_orphan(v, i) : sv_inode_destroy(v, i);
}

/* What rename and unlink may remove: -ENOTDIR, -EISDIR, -ENOTEMPTY. */
static int check_removable(struct secvol *v, struct sv_inode_mem *i, bool want_dir)
{
	if (is_dir(i) != want_dir)
		return want_dir ? -ENOTDIR : -EISDIR;
	if (i->attr.obj == SECVOL_ROOT_OBJ)
		return -EBUSY;
	if (!is_dir(i) && i->attr.nlink == 0)
		return -EUCLEAN;
	return is_dir(i) ? dir_is_empty(v, i->attr.obj) : 0;
}

int secvol_unlink(struct secvol *v, u64 dir, const char *name, size_t len, bool want_dir)
{
	struct sv_inode_mem *d, *i;
	struct entry e;
	const u8 *val;
	u32 size;
	int err = check_name(name, len);

	if (err)
		return err;
	err = sv_begin_write(v, 0, 16, true);
	if (err)
		return err;
	err = get_dir(v, dir, &d);
	if (!err)
		err = find_entry(v, dir, name, len, &e, &val, &size);
	if (!err) {
		err = sv_inode_get(v, e.obj, &i);
		if (err == -ENOENT)
			err = -EUCLEAN;
	}
	if (!err)
		err = check_removable(v, i, want_dir);
	if (!err)
		err = prepare_orphan(v, i->attr.obj);
	if (!err)
		err = prepare_name(v, dir, name, len);
	if (!err) {
		err = remove_entry(v, d, name, len);
		if (!err && is_dir(i))
			d->attr.nlink--;
		if (!err)
			err = drop_link(v, i);
		if (err)
			sv_fail(v, err);
	}
	sv_end(v);
	return err;
}

/* -EINVAL when `dir` is `obj` or lies below it. */
static int check_not_below(struct secvol *v, u64 dir, u64 obj)
{
	struct sv_inode_mem *d;

	for (u32 depth = 0; dir != SECVOL_ROOT_OBJ; depth++) {
		int err = dir == obj ? -EINVAL : get_dir(v, dir, &d);

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
	struct entry e;
	const u8 *val;
	u32 size;
	int err = get_dir(v, dir, &p->dir);

	p->obj = NULL;
	if (!err)
		err = find_entry(v, dir, p->name, p->len, &e, &val, &size);
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
	if (is_dir(a->obj))
		err = check_not_below(v, b->dir->attr.obj, a->obj->attr.obj);
	if (!err && flags & SECVOL_RENAME_EXCHANGE && is_dir(b->obj))
		err = check_not_below(v, a->dir->attr.obj, b->obj->attr.obj);
	if (!err && b->obj && b->obj != a->obj && !(flags & SECVOL_RENAME_EXCHANGE))
		err = check_removable(v, b->obj, is_dir(a->obj));
	return err;
}

static void moved(struct secvol *v, struct sv_inode_mem *i, struct sv_inode_mem *from,
		  struct sv_inode_mem *to)
{
	if (is_dir(i)) {
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
	int err = remove_entry(v, a->dir, a->name, a->len);

	if (!err && b->obj)
		err = remove_entry(v, b->dir, b->name, b->len);
	if (!err)
		err = add_entry(v, b->dir, b->name, b->len, a->obj->attr.obj, a->obj->attr.mode);
	if (!err && flags & SECVOL_RENAME_EXCHANGE)
		err = add_entry(v, a->dir, a->name, a->len, b->obj->attr.obj, b->obj->attr.mode);
	if (err)
		return err;
	moved(v, a->obj, a->dir, b->dir);
	if (b->obj && flags & SECVOL_RENAME_EXCHANGE) {
		moved(v, b->obj, b->dir, a->dir);
	} else if (b->obj) {
		if (is_dir(b->obj))
			b->dir->attr.nlink--;
		err = drop_link(v, b->obj);
	}
	return err;
}

int secvol_rename(struct secvol *v, u64 dir, const char *name, size_t len, u64 to_dir,
		  const char *to_name, size_t to_len, u32 flags)
{
	struct place a = {.name = name, .len = len}, b = {.name = to_name, .len = to_len};
	int err = check_name(name, len);

	if (!err)
		err = check_name(to_name, to_len);
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
		if (err == -ENOENT && b.dir && is_dir(b.dir))
			err = 0;
	}
	if (!err)
		err = rename_check(v, &a, &b, flags);
	if (!err && a.obj != b.obj) { /* two names of one object: nothing to do */
		err = prepare_orphan(v, b.obj ? b.obj->attr.obj : 0);
		if (!err)
			err = prepare_name(v, dir, name, len);
		if (!err)
			err = prepare_name(v, to_dir, to_name, to_len);
		if (!err) {
			err = rename_apply(v, &a, &b, flags);
			if (err)
				sv_fail(v, err);
		}
	}
	sv_end(v);
	return err;
}

static void emit(struct secvol_dirent *to, u64 obj, u64 cookie, u8 type, const char *name,
		 size_t len)
{
	to->obj = obj;
	to->cookie = cookie;
	to->type = type;
	to->name_len = (u8)len;
	memcpy(to->name, name, len);
	to->name[len] = 0;
}

long secvol_readdir(struct secvol *v, u64 dir, u64 cookie, struct secvol_dirent *ents, size_t count)
{
	struct sv_inode_mem *d;
	struct sv_key key;
	size_t n = 0;
	const u8 *val;
	u32 size;
	int err = sv_begin(v);

	if (err)
		return err;
	err = get_dir(v, dir, &d);
	if (!err && n < count && cookie < COOKIE_DOT)
		emit(&ents[n++], dir, cookie = COOKIE_DOT, 4, ".", 1);
	if (!err && n < count && cookie < COOKIE_DOTDOT)
		emit(&ents[n++], d->parent, cookie = COOKIE_DOTDOT, 4, "..", 2);
	/* A cookie is hash + 1 + index of the last entry seen. */
	key = sv_key(dir, SV_DIRENT, cookie & ~15ull);
	while (!err && n < count) {
		struct entry e;
		u32 at = 0, index = 0;

		err = sv_tree_next(v, &v->fs, &key, &val, &size);
		if (err || key.obj != dir || key.type != SV_DIRENT)
			break;
		while (n < count && (err = entry_next(val, size, &at, &e)) == 0) {
			u64 here = key.off + 1 + index++;

			if (here > cookie)
				emit(&ents[n++], e.obj, here, e.type, e.name, e.len);
		}
		if (err == -ENOENT)
			err = 0;
		key.off += 16;
	}
	if (err == -ENOENT)
		err = 0;
	sv_end(v);
	return err ? err : (long)n;
}
