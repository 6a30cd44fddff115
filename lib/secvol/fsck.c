/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For checkers and their users: where an object is found, what a volume is like, what its tree
 * holds, and the scrub, which reads everything a little at a time while the volume is in use.
 * Nothing here changes anything. check.c compares the whole with itself.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

#define DEPTH_MAX 64u
#define S_IFMT_	  0170000u
#define S_IFDIR_  0040000u

/* ---- paths ----------------------------------------------------------------------------------- */

struct path_search {
	struct secvol *v;
	u64 obj;
	char *buf;
	size_t size, len;
};

static int search(struct path_search *s, u64 dir, u32 depth)
{
	struct secvol_dirent *ents = sv_alloc(s->v, 8 * sizeof(*ents));
	size_t len = s->len;
	u64 cookie = 2; /* behind "." and ".." */
	int err = ents ? -ENOENT : -ENOMEM;
	long n;

	while (err == -ENOENT && (n = secvol_readdir(s->v, dir, cookie, ents, 8)) > 0) {
		for (long i = 0; err == -ENOENT && i < n; i++) {
			cookie = ents[i].cookie;
			if (len + ents[i].name_len + 2 > s->size) {
				err = -ERANGE;
				break;
			}
			s->buf[len] = '/';
			memcpy(s->buf + len + 1, ents[i].name, ents[i].name_len + 1u);
			s->len = len + 1 + ents[i].name_len;
			if (ents[i].obj == s->obj)
				err = 0;
			else if (ents[i].type == S_IFDIR_ >> 12 && depth < DEPTH_MAX)
				err = search(s, ents[i].obj, depth + 1);
		}
	}
	sv_free(s->v, ents, 8 * sizeof(*ents));
	return err;
}

int secvol_path(struct secvol *v, u64 obj, char *buf, size_t size)
{
	struct path_search s = {.v = v, .obj = obj, .buf = buf, .size = size};

	if (size < 2)
		return -ERANGE;
	if (obj == SECVOL_ROOT_OBJ) {
		memcpy(buf, "/", 2);
		return 0;
	}
	return search(&s, SECVOL_ROOT_OBJ, 0);
}

/* ---- what it is like ------------------------------------------------------------------------- */

void secvol_info(struct secvol *v, struct secvol_info *info)
{
	sv_lock(v);
	memset(info, 0, sizeof(*info));
	memcpy(info->uuid, v->uuid, 16);
	memcpy(info->label, v->label, sizeof(info->label));
	info->gen = v->gen;
	info->open_seq = v->open_seq;
	info->size_blocks = v->size_blocks;
	info->used_blocks = v->used;
	info->files = v->files;
	info->created = v->created;
	info->node_size = v->node_size;
	info->groups = v->ag_count;
	info->group_log2 = v->ag_log2;
	info->epoch = v->epoch;
	info->dup = v->dup;
	info->slot = v->slot_index;
	info->sessions = v->session_count;
	info->newest_snapshot = v->snap_newest;
	info->log_segments = v->log.segs.n;
	info->log_blocks = v->log.blocks;
	info->delta_entries = v->delta.count;
	info->delta_bytes = v->delta.bytes;
	info->node_bytes = v->node_bytes;
	info->pages = v->pages;
	info->dirty_pages = v->dirty_pages;
	for (u32 i = 0; i < ARRAY_SIZE(v->old_vmk); i++)
		info->old_epochs += le16_get(v->old_vmk[i].epoch) != 0;
	sv_unlock(v);
}

int secvol_set_label(struct secvol *v, const char *label, size_t len)
{
	int err = len > sizeof(v->label) || memchr(label, 0, len) ? -EINVAL
								  : sv_begin_write(v, 0, 4, false);

	if (err)
		return err;
	memset(v->label, 0, sizeof(v->label));
	memcpy(v->label, label, len);
	v->dirty = true;
	sv_end(v);
	return secvol_checkpoint(v); /* the root holds it */
}

int secvol_items(struct secvol *v, secvol_item_fn fn, void *arg)
{
	struct sv_key key = sv_key(0, 0, 0);
	const u8 *val;
	u32 size;
	int err = sv_begin(v);

	if (err)
		return err;
	while ((err = sv_tree_next(v, &v->fs, &key, &val, &size)) == 0) {
		fn(arg, key.obj, key.type, key.off, val, size);
		sv_nodes_trim(v);
		if (++key.off == 0)
			key = sv_key(key.obj, key.type + 1, 0);
	}
	sv_end(v);
	return err == -ENOENT ? 0 : err;
}

/* ---- scrub ----------------------------------------------------------------------------------- */

static bool is_damage(int err)
{
	return err == -EBADMSG || err == -EUCLEAN || err == -EIO;
}

static int scrub_leaf(struct secvol *v, struct secvol_scrub *s, struct sv_node *leaf,
		      secvol_check_fn fn, void *arg)
{
	for (u32 i = 0; i < leaf->n; i++) {
		const struct sv_key *key = &leaf->items[i].key;
		struct sv_extent_mem e;
		const u8 *macs;
		int err;

		if (key->type != SV_EXTENT)
			continue;
		err = sv_extent_decode(v, key, sv_node_value(leaf, i), leaf->items[i].size, &e,
				       &macs);
		if (!err) {
			err = sv_extent_open(v, key->obj, &e, macs);
			s->blocks += e.ptr.nblk;
		}
		if (is_damage(err)) {
			s->damaged++;
			if (fn)
				fn(arg, key->obj, "a block of its content does not open", err);
		} else if (err) {
			return err;
		}
	}
	return 0;
}

/* At the end of a pass: what the tree of files does not lead to, where it is there twice. */
static int scrub_rest(struct secvol *v, struct secvol_scrub *s, secvol_check_fn fn, void *arg)
{
	bool repair = v->rw && !v->failed;
	u32 bad = 0;
	int err = v->dup && !v->in_checkpoint ? sv_twice_verify(v, repair, &bad) : 0;

	if (repair && !err)
		s->repaired += bad;
	if (is_damage(err) || (bad && !repair)) {
		s->damaged++;
		if (fn)
			fn(arg, 0, "metadata does not open", err ? err : -EBADMSG);
		err = 0;
	}
	return err;
}

int secvol_scrub(struct secvol *v, struct secvol_scrub *s, u32 blocks, secvol_check_fn fn,
		 void *arg)
{
	struct sv_key key = sv_key(s->obj, s->type, s->off);
	u64 until = s->blocks + blocks;
	int err = sv_begin(v);

	while (!err && s->blocks < until) {
		struct sv_node *leaf = NULL;
		bool more;

		err = sv_base_verify(v, &v->fs, &key, &leaf, s, &more);
		if (is_damage(err)) {
			s->damaged++;
			if (fn)
				fn(arg, 0, "a node of the tree does not open", err);
			err = 0;
		}
		if (!err && leaf)
			err = scrub_leaf(v, s, leaf, fn, arg);
		sv_nodes_trim(v);
		if (!err && !more) {
			err = scrub_rest(v, s, fn, arg);
			key = sv_key(0, 0, 0);
			s->passes++;
			break;
		}
	}
	s->obj = key.obj;
	s->type = key.type;
	s->off = key.off;
	sv_end(v);
	return err;
}
