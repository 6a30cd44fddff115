/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names in directories. Entries are DIRENT items keyed by the hash of the name; names of one hash
 * share an item. The hash is SipHash-2-4 under the uuid with the top bit and the low four bits
 * clear: it is also the readdir cookie, to which the index within the item is added.
 *
 * A directory's size is the sum of its entries' records.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

#define S_IFMT_	      0170000u

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

/* The record at *at of an item; false at the end. */
static int entry_next(const u8 *val, u32 size, u32 *at, struct sv_entry *e)
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

int sv_name_find(struct secvol *v, u64 dir, const char *name, size_t len, struct sv_entry *e,
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
int sv_name_check(const char *name, size_t len)
{
	if (len == 0)
		return -ENOENT;
	if (len > SECVOL_NAME_MAX)
		return -ENAMETOOLONG;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return -EINVAL;
	return memchr(name, 0, len) || memchr(name, '/', len) ? -EINVAL : 0;
}
int sv_name_prepare(struct secvol *v, u64 dir, const char *name, size_t len)
{
	struct sv_key key = sv_key(dir, SV_DIRENT, sv_name_hash(v, name, len));

	return sv_tree_prepare(v, &v->fs, &key, &key, 4);
}
/* The name must not be there. -ENOSPC when too many names share its hash. */
int sv_name_add(struct secvol *v, struct sv_inode_mem *d, const char *name, size_t len, u64 obj,
		u32 mode)
{
	struct sv_key key = sv_key(d->attr.obj, SV_DIRENT, sv_name_hash(v, name, len));
	struct sv_dirent *rec;
	struct sv_entry e;
	const u8 *val;
	u32 size, at = 0, names = 0;
	int err = sv_name_find(v, d->attr.obj, name, len, &e, &val, &size);

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

int sv_name_remove(struct secvol *v, struct sv_inode_mem *d, const char *name, size_t len)
{
	struct sv_key key = sv_key(d->attr.obj, SV_DIRENT, sv_name_hash(v, name, len));
	struct sv_entry e;
	const u8 *val;
	u32 size;
	int err = sv_name_find(v, d->attr.obj, name, len, &e, &val, &size);

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

int sv_dir_is_empty(struct secvol *v, u64 obj)
{
	struct sv_key key = sv_key(obj, SV_DIRENT, 0);
	const u8 *val;
	u32 size;
	int err = sv_item_next(v, &key, UINT64_MAX, &val, &size);

	if (err == -ENOENT)
		return 0;
	return err ? err : -ENOTEMPTY;
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
	err = sv_dir_get(v, dir, &d);
	if (!err && n < count && cookie < COOKIE_DOT)
		emit(&ents[n++], dir, cookie = COOKIE_DOT, 4, ".", 1);
	if (!err && n < count && cookie < COOKIE_DOTDOT)
		emit(&ents[n++], d->parent, cookie = COOKIE_DOTDOT, 4, "..", 2);
	/* A cookie is hash + 1 + index of the last entry seen. */
	key = sv_key(dir, SV_DIRENT, cookie & ~15ull);
	while (!err && n < count) {
		struct sv_entry e;
		u32 at = 0, index = 0;

		err = sv_item_next(v, &key, UINT64_MAX, &val, &size);
		if (err)
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
