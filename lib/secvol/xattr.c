/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes (XATTR items, keyed like names by the hash of the attribute's name) and the
 * call-site tables of executable files (SITES items, one per chunk).
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

struct attr_rec {
	u32 at, size; /* of the record in the item */
	const char *name;
	u8 len;
	const u8 *value;
	u32 value_size;
};

static int rec_next(const u8 *val, u32 size, u32 *at, struct attr_rec *r)
{
	const struct sv_xattr *x = (const struct sv_xattr *)(val + *at);
	u32 left = size - *at;

	if (left == 0)
		return -ENOENT;
	if (left < sizeof(*x) || left - sizeof(*x) < (u32)x->len + le16_get(x->size) || x->len == 0)
		return -EUCLEAN;
	r->at = *at;
	r->size = sizeof(*x) + x->len + le16_get(x->size);
	r->name = (const char *)(x + 1);
	r->len = x->len;
	r->value = (const u8 *)(x + 1) + x->len;
	r->value_size = le16_get(x->size);
	*at += r->size;
	return 0;
}

static int find_rec(struct secvol *v, u64 obj, const char *name, size_t len, struct attr_rec *r,
		    const u8 **ret_val, u32 *ret_size)
{
	struct sv_key key = sv_key(obj, SV_XATTR, sv_name_hash(v, name, len));
	u32 at = 0;
	int err;

	*ret_size = 0;
	err = sv_tree_lookup(v, &v->fs, &key, ret_val, ret_size);
	while (!err) {
		err = rec_next(*ret_val, *ret_size, &at, r);
		if (!err && r->len == len && memcmp(r->name, name, len) == 0)
			return 0;
	}
	return err;
}

static int check_attr_name(const char *name, size_t *ret_len)
{
	*ret_len = strnlen(name, SECVOL_NAME_MAX + 1);
	return *ret_len == 0 || *ret_len > SECVOL_NAME_MAX ? -ERANGE : 0;
}

/* Writes the item without record r (if `had`), with the new value behind (if any). */
static int rewrite(struct secvol *v, const struct sv_key *key, const u8 *val, u32 size,
		   const struct attr_rec *r, bool had, const char *name, size_t len,
		   const void *value, size_t value_size)
{
	u32 keep = size - (had ? r->size : 0), head = had ? r->at : size;
	struct sv_xattr *x = (struct sv_xattr *)(v->val[0] + keep);

	if (name && keep + sizeof(*x) + len + value_size > SV_ITEM_MAX)
		return -ENOSPC;
	if (size)
		memcpy(v->val[0], val, head);
	if (had)
		memcpy(v->val[0] + head, val + head + r->size, size - head - r->size);
	if (name) {
		x->size = le16_put((u16)value_size);
		x->len = (u8)len;
		memcpy(x + 1, name, len);
		if (value_size)
			memcpy((u8 *)(x + 1) + len, value, value_size);
		keep += sizeof(*x) + (u32)len + (u32)value_size;
	}
	return keep ? sv_tree_put(v, &v->fs, key, v->val[0], keep) : sv_tree_delete(v, &v->fs, key);
}

int secvol_setxattr(struct secvol *v, u64 obj, const char *name, const void *value, size_t size,
		    u32 flags)
{
	struct sv_inode_mem *i;
	struct attr_rec r;
	struct sv_key key;
	const u8 *val = NULL;
	u32 item_size = 0;
	bool had;
	size_t len;
	int err = check_attr_name(name, &len);

	if (err)
		return err;
	if (size > SECVOL_XATTR_MAX)
		return -ENOSPC;
	err = sv_begin_write(v, 0, 8, false);
	if (err)
		return err;
	err = sv_inode_get(v, obj, &i);
	if (err)
		goto out;
	key = sv_key(obj, SV_XATTR, sv_name_hash(v, name, len));
	err = find_rec(v, obj, name, len, &r, &val, &item_size);
	had = !err;
	if (err && err != -ENOENT)
		goto out;
	err = 0;
	if (had && flags & SECVOL_XATTR_CREATE)
		err = -EEXIST;
	if (!had && flags & SECVOL_XATTR_REPLACE)
		err = -ENODATA;
	if (!err)
		err = rewrite(v, &key, val, item_size, &r, had, name, len, value, size);
	if (!err)
		sv_inode_touch(v, i, false);
out:
	sv_end(v);
	return err;
}

int secvol_removexattr(struct secvol *v, u64 obj, const char *name)
{
	struct sv_inode_mem *i;
	struct attr_rec r;
	struct sv_key key;
	const u8 *val;
	u32 size;
	size_t len;
	int err = check_attr_name(name, &len);

	if (err)
		return err;
	err = sv_begin_write(v, 0, 8, true);
	if (err)
		return err;
	err = sv_inode_get(v, obj, &i);
	if (!err) {
		key = sv_key(obj, SV_XATTR, sv_name_hash(v, name, len));
		err = find_rec(v, obj, name, len, &r, &val, &size);
		err = err == -ENOENT ? -ENODATA : err;
		if (!err)
			err = rewrite(v, &key, val, size, &r, true, NULL, 0, NULL, 0);
		if (!err)
			sv_inode_touch(v, i, false);
	}
	sv_end(v);
	return err;
}

long secvol_getxattr(struct secvol *v, u64 obj, const char *name, void *value, size_t size)
{
	struct sv_inode_mem *i;
	struct attr_rec r = {0};
	const u8 *val;
	u32 item_size;
	size_t len;
	int err = check_attr_name(name, &len);

	if (!err)
		err = sv_begin(v);
	if (err)
		return err;
	err = sv_inode_get(v, obj, &i);
	if (!err) {
		err = find_rec(v, obj, name, len, &r, &val, &item_size);
		err = err == -ENOENT ? -ENODATA : err;
	}
	if (!err && size && size < r.value_size)
		err = -ERANGE;
	if (!err && size)
		memcpy(value, r.value, r.value_size);
	sv_end(v);
	return err ? err : (long)r.value_size;
}

long secvol_listxattr(struct secvol *v, u64 obj, char *names, size_t size)
{
	struct sv_key key = sv_key(obj, SV_XATTR, 0);
	struct sv_inode_mem *i;
	struct attr_rec r;
	size_t total = 0;
	const u8 *val;
	u32 item_size;
	int err = sv_begin(v);

	if (err)
		return err;
	err = sv_inode_get(v, obj, &i);
	while (!err) {
		u32 at = 0;

		err = sv_item_next(v, &key, UINT64_MAX, &val, &item_size);
		if (err == -ENOENT) {
			err = 0;
			break;
		}
		while (!err && (err = rec_next(val, item_size, &at, &r)) == 0) {
			if (size && total + r.len + 1 > size) {
				err = -ERANGE;
			} else if (size) {
				memcpy(names + total, r.name, r.len);
				names[total + r.len] = 0;
			}
			total += r.len + 1u;
		}
		if (err == -ENOENT)
			err = 0;
		key.off++;
	}
	sv_end(v);
	return err ? err : (long)total;
}

int secvol_sites_write(struct secvol *v, u64 obj, u32 chunk, u16 version,
		       const struct secvol_site *sites, u32 count)
{
	struct sv_key key = sv_key(obj, SV_SITES, chunk);
	struct sv_inode_mem *i;
	struct sv_sites *head;
	struct sv_site *to;
	int err;

	if (count > SECVOL_SITES_PER_CHUNK)
		return -EINVAL;
	err = sv_begin_write(v, 0, 8, count == 0);
	if (err)
		return err;
	head = (struct sv_sites *)v->val[0];
	to = (struct sv_site *)(head + 1);
	head->version = le16_put(version);
	head->n = le16_put((u16)count);
	for (u32 k = 0; k < count; k++, to++) {
		le64 off = le64_put(sites[k].offset);

		memcpy(to->offset, &off, sizeof(to->offset));
		to->kind = sites[k].kind;
		to->len = sites[k].len;
	}
	err = sv_inode_get(v, obj, &i);
	if (!err && count)
		err = sv_tree_put(v, &v->fs, &key, head, (u32)((u8 *)to - (u8 *)head));
	else if (!err)
		err = sv_tree_delete(v, &v->fs, &key);
	if (err == -ENOENT && count == 0)
		err = 0;
	sv_end(v);
	return err;
}

long secvol_sites_read(struct secvol *v, u64 obj, u32 chunk, u16 *ret_version,
		       struct secvol_site *sites, u32 max)
{
	struct sv_key key = sv_key(obj, SV_SITES, chunk);
	const struct sv_sites *head;
	const struct sv_site *from;
	const u8 *val;
	u32 size, n = 0;
	int err = sv_begin(v);

	if (err)
		return err;
	err = sv_tree_lookup(v, &v->fs, &key, &val, &size);
	if (!err) {
		head = (const struct sv_sites *)val;
		from = (const struct sv_site *)(head + 1);
		if (size < sizeof(*head) ||
		    size != sizeof(*head) + le16_get(head->n) * sizeof(*from))
			err = -EUCLEAN;
		else
			n = le16_get(head->n);
		if (!err && n > max)
			err = -ERANGE;
		for (u32 k = 0; !err && k < n; k++, from++) {
			le64 off = {{0}};

			memcpy(&off, from->offset, sizeof(from->offset));
			sites[k].offset = le64_get(off);
			sites[k].kind = from->kind;
			sites[k].len = from->len;
		}
		if (!err && ret_version)
			*ret_version = le16_get(head->version);
	} else if (err == -ENOENT) {
		err = 0;
	}
	sv_end(v);
	return err ? err : (long)n;
}
