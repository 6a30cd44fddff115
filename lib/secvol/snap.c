/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: roots of the file system tree that are kept. A snapshot of generation S refers to
 * blocks of birth <= S only, so a block that the tree gives up is free for good when it is younger
 * than the newest snapshot; otherwise it goes to that one's DEADLIST. When a snapshot is deleted,
 * what its list holds that is younger than the snapshot before belonged to it alone and is freed;
 * the rest goes to the list of the one before. No counts, and each change is one commit.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

#define DEAD_PER_ITEM (SV_ITEM_MAX / (u32)sizeof(struct sv_dead))

/* ---- blocks that are given up ---------------------------------------------------------------- */

int sv_free_reserve(struct secvol *v, u32 runs)
{
	struct sv_dead *bigger;
	u32 cap;
	int err = sv_runs_reserve(v, &v->frees, runs);

	if (err || !v->snap_newest || v->dead_cap - v->dead_count >= runs)
		return err;
	cap = v->dead_cap * 2 + runs;
	bigger = sv_alloc(v, array_size(cap, sizeof(*bigger)));
	if (!bigger)
		return -ENOMEM;
	if (v->dead_count)
		memcpy(bigger, v->dead, v->dead_count * sizeof(*bigger));
	sv_free(v, v->dead, v->dead_cap * sizeof(*bigger));
	v->dead = bigger;
	v->dead_cap = cap;
	return 0;
}

void sv_free_blocks(struct secvol *v, u64 addr, u32 count, u64 birth, u32 kid)
{
	struct sv_dead *d;

	if (birth > v->snap_newest || sv_fault(v, SECVOL_FAULT_SNAP_FREED)) {
		sv_free_run(v, addr, count);
		sv_session_live(v, kid, -(s64)count);
		return;
	}
	if (sv_free_reserve(v, 1)) {
		sv_fail(v, -ENOMEM);
		return;
	}
	d = &v->dead[v->dead_count++];
	*d = (struct sv_dead){.addr_nblk = le64_put(addr | (u64)count << 48),
			      .birth = le64_put(birth),
			      .kid = le32_put(kid)};
}

void sv_free_node(struct secvol *v, const struct sv_ptr *p, u64 birth)
{
	sv_free_blocks(v, p->addr, p->nblk, birth, p->kid);
	if (p->copy)
		sv_free_blocks(v, p->copy, p->nblk, birth, p->kid);
}

/* Appends an item to the list of snapshot `gen`: up to DEAD_PER_ITEM runs. */
static int list_append(struct secvol *v, u64 gen, const struct sv_dead *dead, u32 count)
{
	struct sv_key key = sv_key(gen, SV_DEADLIST, v->dead_seq + 1);
	int err = sv_base_put(v, &v->snaps, &key, dead, count * (u32)sizeof(*dead));

	if (!err)
		v->dead_seq = key.off;
	return err;
}

/* From the end, so that what is stored when it fails half-way is not stored by the next commit. */
int sv_dead_store(struct secvol *v)
{
	int err = 0;

	while (!err && v->dead_count) {
		u32 n = (v->dead_count - 1) % DEAD_PER_ITEM + 1;

		err = list_append(v, v->snap_newest, v->dead + v->dead_count - n, n);
		v->dead_count -= err ? 0 : n;
	}
	return err;
}

/* ---- snapshot items -------------------------------------------------------------------------- */

struct snap {
	u64 gen;
	struct sv_ptr root;
	u64 files;
	s64 created;
	const char *name;
	u32 len;
};

static int snap_decode(struct secvol *v, const struct sv_key *key, const u8 *val, u32 size,
		       struct snap *s)
{
	const struct sv_snap *d = (const struct sv_snap *)val;
	int err;

	if (key->obj || size <= sizeof(*d) || size > sizeof(*d) + SECVOL_NAME_MAX ||
	    key->off > v->gen)
		return -EUCLEAN;
	err = sv_ptr_decode(v, &d->root, &s->root);
	if (err)
		return err;
	if (s->root.type != SV_TREE_FS || s->root.nblk != v->node_blocks ||
	    s->root.addr & SV_VIRTUAL || s->root.birth > key->off || s->root.level >= SV_MAX_DEPTH)
		return -EUCLEAN;
	s->gen = key->off;
	s->files = le64_get(d->files);
	s->created = (s64)le64_get(d->created);
	s->name = (const char *)(d + 1);
	s->len = size - sizeof(*d);
	return memchr(s->name, 0, s->len) ? -EUCLEAN : 0;
}

/* The first snapshot of generation >= gen; the name is borrowed. */
static int snap_next(struct secvol *v, u64 gen, struct snap *s)
{
	struct sv_key key = sv_key(0, SV_SNAP, gen);
	const u8 *val;
	u32 size;
	int err = sv_base_next(v, &v->snaps, &key, &val, &size);

	if (!err && (key.obj || key.type != SV_SNAP))
		return -ENOENT;
	return err ? err : snap_decode(v, &key, val, size, s);
}

static int snap_find(struct secvol *v, const char *name, size_t len, struct snap *s, u64 *ret_prev)
{
	u64 prev = 0;
	int err;

	for (u64 gen = 1; (err = snap_next(v, gen, s)) == 0; gen = s->gen + 1) {
		if (s->len == len && memcmp(s->name, name, len) == 0) {
			*ret_prev = prev;
			return 0;
		}
		prev = s->gen;
	}
	return err;
}

int sv_snaps_load(struct secvol *v)
{
	struct sv_key key = sv_key(1, SV_DEADLIST, 0);
	struct snap s;
	const u8 *val;
	u32 size;
	int err;

	v->snap_newest = 0;
	v->dead_seq = 0;
	for (u64 gen = 1; (err = snap_next(v, gen, &s)) == 0; gen = s.gen + 1)
		v->snap_newest = s.gen;
	if (err != -ENOENT)
		return err;
	while ((err = sv_base_next(v, &v->snaps, &key, &val, &size)) == 0) {
		if (key.type != SV_DEADLIST || !size || size % sizeof(struct sv_dead) ||
		    key.off == UINT64_MAX)
			return -EUCLEAN;
		v->dead_seq = MAX(v->dead_seq, key.off);
		key.off++;
	}
	return err == -ENOENT ? 0 : err;
}

/* Read-only: the tree becomes the snapshot's. */
int sv_snap_enter(struct secvol *v, const char *name)
{
	struct snap s;
	u64 prev;
	int err = snap_find(v, name, strlen(name), &s, &prev);

	if (err)
		return err;
	v->fs.root = s.root;
	v->files = s.files;
	return 0;
}

/* ---- changes: commit lock and mutex held ----------------------------------------------------- */

static int begin(struct secvol *v)
{
	int err;

	sv_commit_lock(v);
	sv_lock(v);
	err = !v->rw ? -EROFS : v->failed;
	if (!err && v->open_commit_due)
		err = sv_open_commit(v);
	if (!err)
		err = sv_make_room(v, 0, 24, true);
	if (!err) /* what is in memory becomes part of the tree */
		err = sv_commit(v, false);
	return err;
}

static int end(struct secvol *v, int err)
{
	sv_end(v);
	sv_commit_unlock(v);
	return err;
}

/*
 * What was done is in no log, which would be read over the root of before: until a checkpoint has
 * succeeded, be it a later one, there is no other commit.
 */
static int commit(struct secvol *v)
{
	v->dirty = true;
	v->log.full = true;
	return sv_commit(v, false);
}

static int create(struct secvol *v, const char *name, size_t len)
{
	struct sv_snap *d = (struct sv_snap *)v->val[0];
	struct sv_key key = sv_key(0, SV_SNAP, v->gen);
	struct secvol_time now;
	struct snap s;
	u64 prev;
	int err = sv_name_check(name, len);

	if (!err)
		err = snap_find(v, name, len, &s, &prev);
	if (err != -ENOENT || !len)
		return err ? err : -EEXIST;
	if (v->p.mode != SECVOL_SEALED && v->p.mode != SECVOL_HASH)
		return -EINVAL;
	sv_now(v, &now);
	memset(d, 0, sizeof(*d));
	sv_ptr_encode(v, &v->fs.root, &d->root);
	d->files = le64_put(v->files);
	d->created = le64_put((u64)now.sec);
	memcpy(d + 1, name, len);
	err = sv_base_put(v, &v->snaps, &key, d, (u32)(sizeof(*d) + len));
	if (err)
		return err;
	v->snap_newest = key.off;
	return commit(v);
}

int secvol_snapshot_create(struct secvol *v, const char *name, size_t len)
{
	int err = begin(v);

	return end(v, err ? err : create(v, name, len));
}

/* The list of a snapshot that goes: freed, or handed to the one before. */
static int give_up_list(struct secvol *v, u64 gen, u64 prev)
{
	struct sv_key key = sv_key(gen, SV_DEADLIST, 0);
	struct sv_dead *keep = (struct sv_dead *)v->val[1];
	const u8 *val;
	u32 size, n;
	int err;

	while ((err = sv_base_next(v, &v->snaps, &key, &val, &size)) == 0 && key.obj == gen &&
	       key.type == SV_DEADLIST) {
		if (!size || size % sizeof(*keep))
			return -EUCLEAN;
		memcpy(v->val[0], val, size);
		n = 0;
		for (u32 i = 0; i < size / sizeof(*keep); i++) {
			const struct sv_dead *d = (const struct sv_dead *)v->val[0] + i;
			u64 run = le64_get(d->addr_nblk), addr = run & ((1ull << 48) - 1);

			if (le64_get(d->birth) <= prev &&
			    !sv_fault(v, SECVOL_FAULT_SNAP_DELETE_ALL)) {
				keep[n++] = *d;
				continue;
			}
			err = sv_runs_reserve(v, &v->frees, 1);
			if (err)
				return err;
			sv_free_run(v, addr, (u32)(run >> 48));
			sv_session_live(v, le32_get(d->kid), -(s64)(run >> 48));
		}
		err = sv_base_delete(v, &v->snaps, &key);
		if (!err && n)
			err = list_append(v, prev, keep, n);
		if (err)
			return err;
		key.off++;
	}
	return err == -ENOENT ? 0 : err;
}

static int delete (struct secvol *v, const char *name, size_t len)
{
	struct sv_key key;
	struct snap s;
	u64 prev;
	int err = snap_find(v, name, len, &s, &prev);

	if (err)
		return err;
	key = sv_key(0, SV_SNAP, s.gen);
	err = give_up_list(v, s.gen, prev);
	if (!err)
		err = sv_base_delete(v, &v->snaps, &key);
	if (err)
		return sv_fail(v, err);
	if (v->snap_newest == key.off)
		v->snap_newest = prev;
	return commit(v);
}

int secvol_snapshot_delete(struct secvol *v, const char *name, size_t len)
{
	int err = begin(v);

	return end(v, err ? err : delete (v, name, len));
}

/* Frees what the tree below `p` has that is younger than the snapshot. */
static int free_younger(struct secvol *v, const struct sv_ptr *p, u64 gen)
{
	struct sv_node *n;
	int err;

	if (p->birth <= gen)
		return 0;
	err = sv_child(v, &v->fs, p, NULL, NULL, &n);
	for (u32 i = 0; !err && i < n->n; i++) {
		const u8 *val = sv_node_value(n, i);
		struct sv_extent_mem e;
		struct sv_ptr child;
		const u8 *macs;

		if (n->level) {
			err = sv_ptr_decode(v, (const struct sv_bptr *)val, &child);
			if (!err && child.level + 1 != n->level)
				err = -EUCLEAN;
			if (!err)
				err = free_younger(v, &child, gen);
		} else if (n->items[i].key.type == SV_EXTENT) {
			err = sv_extent_decode(v, &n->items[i].key, val, n->items[i].size, &e,
					       &macs);
			if (!err)
				err = sv_free_reserve(v, 1);
			if (!err && e.ptr.birth > gen)
				sv_free_blocks(v, e.ptr.addr, e.ptr.nblk, e.ptr.birth, e.ptr.kid);
		}
	}
	if (!err)
		err = sv_free_reserve(v, 2);
	if (err)
		return err;
	sv_free_node(v, p, p->birth);
	sv_node_drop(v, n);
	return 0;
}

static int roll_back(struct secvol *v, const char *name, size_t len)
{
	struct sv_key key;
	const u8 *val;
	struct snap s;
	u32 size, orphans;
	u64 prev;
	int err = snap_find(v, name, len, &s, &prev);

	if (!err && (s.gen != v->snap_newest || sv_inodes_held(v)))
		err = -EBUSY;
	if (err)
		return err;
	sv_chunks_free(v);
	sv_inodes_free(v);
	err = free_younger(v, &v->fs.root, s.gen);
	if (!err)
		err = sv_dead_store(v); /* none, but for a seeded fault */
	key = sv_key(s.gen, SV_DEADLIST, 0);
	while (!err) { /* in use again */
		err = sv_base_next(v, &v->snaps, &key, &val, &size);
		if (err || key.obj != s.gen || key.type != SV_DEADLIST)
			break;
		err = sv_base_delete(v, &v->snaps, &key);
	}
	if (err && err != -ENOENT)
		return sv_fail(v, err);
	v->fs.root = s.root;
	v->files = s.files;
	err = sv_promised_recount(v);
	if (err)
		return sv_fail(v, err);
	err = commit(v);
	return err ? err : sv_orphans_free(v, &orphans);
}

int secvol_snapshot_rollback(struct secvol *v, const char *name, size_t len)
{
	int err = begin(v);

	return end(v, err ? err : roll_back(v, name, len));
}

long secvol_snapshot_list(struct secvol *v, struct secvol_snapshot *list, size_t count)
{
	struct snap s;
	size_t n = 0;
	int err = sv_begin(v);

	for (u64 gen = 1; !err && (err = snap_next(v, gen, &s)) == 0; gen = s.gen + 1) {
		if (n < count) {
			list[n].gen = s.gen;
			list[n].created = s.created;
			list[n].files = s.files;
			memcpy(list[n].name, s.name, s.len);
			list[n].name[s.len] = 0;
		}
		n++;
	}
	sv_end(v);
	return err == -ENOENT ? (long)n : err;
}

/* ---- growth ---------------------------------------------------------------------------------- */

static int grow(struct secvol *v, u64 blocks)
{
	int err = blocks < v->size_blocks || blocks >= SV_MAX_BLOCK ? -EINVAL : 0;

	if (!err && v->bs->ops->size(v->bs) < blocks)
		err = v->bs->ops->grow ? v->bs->ops->grow(v->bs, blocks) : -ENOSPC;
	if (!err)
		err = sv_alloc_grow(v, blocks);
	return err ? err : commit(v);
}

int secvol_grow(struct secvol *v, u64 blocks)
{
	int err = begin(v);

	return end(v, err ? err : grow(v, blocks));
}
