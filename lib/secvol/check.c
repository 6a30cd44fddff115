/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checker: walks everything from the root, opens every node and every data block, and compares
 * what it finds with the bitmaps, the link counts, the key table and the counters of the root. It
 * reports and changes nothing. Needs the volume clean (committed) and memory for one bit per block
 * and a record per object.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

#define S_IFMT_	 0170000u
#define S_IFDIR_ 0040000u
#define S_IFREG_ 0100000u

struct seen {
	u64 obj;
	u64 parent;
	u64 blocks; /* the inode's */
	u64 found;  /* counted */
	u64 reserved, reserved_found;
	u32 mode;
	u32 nlink;
	u32 names;
	u32 subdirs;
	bool orphan;
};

struct walk {
	struct secvol *v;
	secvol_check_fn fn;
	void *arg;
	int first;
	u8 *map; /* blocks met */
	u64 map_size;
	struct seen *seen; /* sorted by object: INODE items come in that order */
	u64 count, cap;
	u64 used;
	u64 *live;	/* per session */
	bool snapshot;	/* what was met before is shared */
	bool refs_only; /* content is not read */
	u8 *page;
};

static void damage(struct walk *w, u64 obj, const char *what, int err)
{
	if (!w->first)
		w->first = err;
	if (w->fn)
		w->fn(w->arg, obj, what, err);
}

static void met(struct walk *w, u64 obj, u64 addr, u32 count, u32 kid)
{
	struct sv_session *s;

	/* A run is shared as a whole or in part: an overwrite cuts it. */
	if (w->snapshot && count > 1) {
		for (u32 i = 0; i < count; i++)
			met(w, obj, addr + i, 1, kid);
		return;
	}
	if (w->snapshot && (w->map[addr / 8] >> (addr % 8) & 1))
		return;
	for (u32 i = 0; i < count; i++, addr++) {
		if (w->map[addr / 8] >> (addr % 8) & 1)
			damage(w, obj, "a block has two owners", -EUCLEAN);
		w->map[addr / 8] |= (u8)(1u << (addr % 8));
	}
	w->used += count;
	if (w->v->p.mode == SECVOL_SEALED) {
		if (sv_session_find(w->v, kid, &s))
			damage(w, obj, "a pointer names an unknown session", -EUCLEAN);
		else
			w->live[s - w->v->sessions] += count;
	}
}

static struct seen *find_seen(struct walk *w, u64 obj)
{
	u64 lo = 0, hi = w->count;

	while (lo < hi) {
		u64 mid = (lo + hi) / 2;

		if (w->seen[mid].obj == obj)
			return &w->seen[mid];
		if (w->seen[mid].obj < obj)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static int add_seen(struct walk *w, const struct sv_key *key, const u8 *val, u32 size)
{
	struct secvol *v = w->v;
	struct secvol_attr a;
	struct seen *s;
	u64 parent;

	if (sv_inode_decode(val, size, &a, &parent)) {
		damage(w, key->obj, "its inode makes no sense", -EUCLEAN);
		return 0;
	}
	if (w->count == w->cap) {
		u64 cap = w->cap ? w->cap * 2 : 256;
		struct seen *bigger = sv_alloc(v, array_size(cap, sizeof(*bigger)));

		if (!bigger)
			return -ENOMEM;
		if (w->count)
			memcpy(bigger, w->seen, w->count * sizeof(*bigger));
		sv_free(v, w->seen, w->cap * sizeof(*bigger));
		w->seen = bigger;
		w->cap = cap;
	}
	s = &w->seen[w->count++];
	memset(s, 0, sizeof(*s));
	s->obj = key->obj;
	s->parent = parent;
	s->blocks = a.blocks;
	s->reserved = a.reserved;
	s->mode = a.mode;
	s->nlink = a.nlink;
	return 0;
}

/* One that does not open is damage, though nobody has missed it yet. */
static void check_copies(struct walk *w, struct sv_tree *t, const struct sv_ptr *p)
{
	u32 bad;

	if (!p->copy)
		return;
	met(w, 0, p->copy, p->nblk, p->kid);
	if (!w->refs_only && sv_node_verify(w->v, t, p, false, &bad) == 0 && bad)
		damage(w, 0, "one of two copies of a node does not open; a scrub repairs it",
		       -EBADMSG);
}

/* Nodes: each is opened by going there, which checks tags, order and bounds. */
static int walk_nodes(struct walk *w, struct sv_tree *t, const struct sv_ptr *p,
		      const struct sv_key *lo, const struct sv_key *hi)
{
	struct sv_node *n;
	int err = sv_child(w->v, t, p, lo, hi, &n);

	if (err) {
		damage(w, 0, "a node of the tree does not open", err);
		return err == -ENOMEM ? err : 0;
	}
	met(w, 0, p->addr, p->nblk, p->kid);
	check_copies(w, t, p);
	for (u32 i = 0; n->level && i < n->n; i++) {
		struct sv_ptr child;

		err = sv_ptr_decode(w->v, (const struct sv_bptr *)sv_node_value(n, i), &child);
		if (!err && (child.addr & SV_VIRTUAL || child.level + 1 != n->level))
			err = -EUCLEAN;
		if (err) {
			damage(w, 0, "a pointer makes no sense", err);
			continue;
		}
		err = walk_nodes(w, t, &child, i ? &n->items[i].key : lo,
				 i + 1 < n->n ? &n->items[i + 1].key : hi);
		if (err)
			return err;
	}
	return 0;
}

static void walk_extent(struct walk *w, const struct sv_key *key, const u8 *val, u32 size)
{
	struct seen *s = find_seen(w, key->obj);
	struct sv_extent_mem e;
	const u8 *macs;

	if (sv_extent_decode(w->v, key, val, size, &e, &macs)) {
		damage(w, key->obj, "an extent makes no sense", -EUCLEAN);
		return;
	}
	met(w, key->obj, e.ptr.addr, e.ptr.nblk, e.ptr.kid);
	if (s)
		s->found += e.ptr.nblk;
	for (u32 i = 0; !w->refs_only && i < e.ptr.nblk; i++) {
		u8 *dst = w->page;
		int err = sv_extent_read(w->v, key->obj, e.block + i, 1, &dst);

		if (err) {
			damage(w, key->obj, "a block of its content does not open", err);
			return;
		}
	}
}

/* Blocks with a promise have no place. */
static void walk_reserved(struct walk *w, struct seen *s, const struct sv_key *key, const u8 *val,
			  u32 size)
{
	struct sv_key at = sv_key(key->obj, SV_EXTENT, 0);
	struct sv_extent_mem e;
	const u8 *macs;
	u64 first, last;

	if (sv_reserved_decode(key, val, size, &first, &last)) {
		damage(w, key->obj, "a reservation makes no sense", -EUCLEAN);
		return;
	}
	s->reserved_found += last + 1 - first;
	at.off = first & ~(u64)(SV_EXTENT_BLOCKS - 1);
	for (; sv_tree_next(w->v, &w->v->fs, &at, &val, &size) == 0 && at.obj == key->obj &&
	       at.type == SV_EXTENT && at.off <= last;
	     at.off++) {
		if (!sv_extent_decode(w->v, &at, val, size, &e, &macs) &&
		    e.block + e.ptr.nblk > first) {
			damage(w, key->obj, "a block with a place is reserved too", -EUCLEAN);
			return;
		}
	}
}

static void walk_dirent(struct walk *w, const struct sv_key *key, const u8 *val, u32 size)
{
	struct seen *d = find_seen(w, key->obj);

	for (u32 at = 0; at < size;) {
		const struct sv_dirent *e = (const struct sv_dirent *)(val + at);
		struct seen *s;

		if (size - at < sizeof(*e) || size - at - sizeof(*e) < e->len || !e->len ||
		    sv_name_hash(w->v, (const char *)(e + 1), e->len) != key->off) {
			damage(w, key->obj, "a directory entry makes no sense", -EUCLEAN);
			return;
		}
		s = find_seen(w, le64_get(e->obj));
		if (!s || (s->mode & S_IFMT_) >> 12 != e->type) {
			damage(w, key->obj, "an entry names no object of its type", -EUCLEAN);
		} else {
			s->names++;
			if ((s->mode & S_IFMT_) == S_IFDIR_ && d) {
				d->subdirs++;
				if (s->parent != key->obj)
					damage(w, s->obj, "its parent is another", -EUCLEAN);
			}
		}
		at += sizeof(*e) + e->len;
	}
	if (!d || (d->mode & S_IFMT_) != S_IFDIR_)
		damage(w, key->obj, "has entries and is no directory", -EUCLEAN);
}

/* Two passes over the items: objects first, then what refers to them. */
static int walk_items(struct walk *w, bool objects)
{
	struct sv_key key = sv_key(0, 0, 0);
	const u8 *val;
	u32 size;
	int err;

	while ((err = sv_tree_next(w->v, &w->v->fs, &key, &val, &size)) == 0) {
		struct seen *s =
			objects ? NULL : find_seen(w, key.type == SV_ORPHAN ? key.off : key.obj);

		if (objects) {
			if (key.type == SV_INODE)
				err = add_seen(w, &key, val, size);
			if (err)
				return err;
		} else if (!s) {
			damage(w, key.obj, "an item belongs to no object", -EUCLEAN);
		} else if (key.type == SV_EXTENT) {
			walk_extent(w, &key, val, size);
		} else if (key.type == SV_RESERVED) {
			walk_reserved(w, s, &key, val, size);
		} else if (key.type == SV_DIRENT) {
			walk_dirent(w, &key, val, size);
		} else if (key.type == SV_ORPHAN) {
			s->orphan = true;
		}
		if (++key.off == 0)
			key = key.type == 255 ? sv_key(key.obj + 1, 0, 0)
					      : sv_key(key.obj, key.type + 1, 0);
	}
	if (err == -ENOENT)
		return 0;
	damage(w, 0, "the tree cannot be walked to its end", err);
	return err == -ENOMEM ? err : 0;
}

/* What snapshots refer to, and that their lists name nothing else. */
static int walk_snap_extents(struct walk *w, struct sv_node *n)
{
	struct sv_extent_mem e;
	const u8 *macs;

	for (u32 i = 0; i < n->n; i++) {
		const struct sv_key *key = &n->items[i].key;

		if (key->type != SV_EXTENT)
			continue;
		if (sv_extent_decode(w->v, key, sv_node_value(n, i), n->items[i].size, &e, &macs)) {
			damage(w, key->obj, "an extent of a snapshot makes no sense", -EUCLEAN);
			continue;
		}
		if (!w->refs_only && !(w->map[e.ptr.addr / 8] >> (e.ptr.addr % 8) & 1) &&
		    sv_extent_open(w->v, key->obj, &e, macs))
			damage(w, key->obj, "a block of a snapshot does not open", -EBADMSG);
		met(w, key->obj, e.ptr.addr, e.ptr.nblk, e.ptr.kid);
	}
	return 0;
}

static int walk_snap(struct walk *w, const struct sv_ptr *p, const struct sv_key *lo,
		     const struct sv_key *hi)
{
	struct sv_node *n;
	int err = sv_child(w->v, &w->v->fs, p, lo, hi, &n);

	if (err) {
		damage(w, 0, "a node of a snapshot does not open", err);
		return err == -ENOMEM ? err : 0;
	}
	met(w, 0, p->addr, p->nblk, p->kid);
	check_copies(w, &w->v->fs, p);
	if (!n->level)
		return walk_snap_extents(w, n);
	for (u32 i = 0; i < n->n; i++) {
		struct sv_ptr child;

		err = sv_ptr_decode(w->v, (const struct sv_bptr *)sv_node_value(n, i), &child);
		if (!err && (child.addr & SV_VIRTUAL || child.level + 1 != n->level))
			err = -EUCLEAN;
		if (!err)
			err = walk_snap(w, &child, i ? &n->items[i].key : lo,
					i + 1 < n->n ? &n->items[i + 1].key : hi);
		if (err)
			return err;
	}
	return 0;
}

static int walk_snaps(struct walk *w)
{
	struct sv_key key = sv_key(0, 0, 0);
	struct secvol *v = w->v;
	const u8 *val;
	u32 size;
	int err;

	w->snapshot = true;
	while ((err = sv_base_next(v, &v->snaps, &key, &val, &size)) == 0 && key.obj == 0) {
		struct sv_ptr root;

		if (key.type != SV_SNAP || size < sizeof(struct sv_snap))
			return -EUCLEAN;
		err = sv_ptr_decode(v, (const struct sv_bptr *)val, &root);
		if (!err)
			err = walk_snap(w, &root, NULL, NULL);
		if (err)
			return err;
		key.off++;
	}
	while (!err) {
		for (u32 at = 0; at + sizeof(struct sv_dead) <= size;
		     at += sizeof(struct sv_dead)) {
			const struct sv_dead *d = (const struct sv_dead *)(val + at);
			u64 addr = le64_get(d->addr_nblk) & ((1ull << 48) - 1);

			if (addr >= v->size_blocks || !(w->map[addr / 8] >> (addr % 8) & 1))
				damage(w, 0, "a list names a block that no snapshot has", -EUCLEAN);
		}
		key.off++;
		err = sv_base_next(v, &v->snaps, &key, &val, &size);
	}
	w->snapshot = false;
	return err == -ENOENT ? 0 : err;
}

static void compare_objects(struct walk *w)
{
	u64 promised = 0;

	for (u64 i = 0; i < w->count; i++) {
		struct seen *s = &w->seen[i];
		bool dir = (s->mode & S_IFMT_) == S_IFDIR_;
		u32 want = dir ? (s->names || s->obj == SECVOL_ROOT_OBJ ? 2 + s->subdirs : 0)
			       : s->names;

		if (s->nlink != want)
			damage(w, s->obj, "its link count is wrong", -EUCLEAN);
		if (dir && s->names > 1)
			damage(w, s->obj, "a directory has two names", -EUCLEAN);
		if (s->orphan != (s->nlink == 0))
			damage(w, s->obj, "is lost, or an orphan with a name", -EUCLEAN);
		if (s->blocks != s->found)
			damage(w, s->obj, "its count of blocks is wrong", -EUCLEAN);
		promised += s->reserved;
		if (s->reserved != s->reserved_found)
			damage(w, s->obj, "its count of reserved blocks is wrong", -EUCLEAN);
		if (s->obj >= w->v->next_obj)
			damage(w, s->obj, "its number was never given out", -EUCLEAN);
	}
	if (promised != w->v->promised && !w->v->p.snapshot)
		damage(w, 0, "the count of reserved blocks is wrong", -EUCLEAN);
	if (w->count != w->v->files)
		damage(w, 0, "the count of files is wrong", -EUCLEAN);
}

static void compare_bitmaps(struct walk *w)
{
	struct secvol *v = w->v;
	u64 log_blocks = 0;

	for (u32 i = 0; i < v->log.segs.n; i++)
		for (u64 at = 0; at < sv_copies(v) * v->log.segs.run[i].count; at++) {
			u64 addr = v->log.segs.run[i].addr + at;

			if (w->map[addr / 8] >> (addr % 8) & 1)
				damage(w, 0, "a block of the log has two owners", -EUCLEAN);
			w->map[addr / 8] |= (u8)(1u << (addr % 8));
		}
	for (u32 i = 0; i < v->ag_count; i++) {
		struct sv_session *s;
		struct sv_ag *ag;
		int err = sv_ag_load(v, i, &ag);

		if (err) {
			damage(w, 0, "a bitmap does not open", err);
			continue;
		}
		if (ag->written && v->p.mode == SECVOL_SEALED &&
		    sv_session_find(v, ag->ptr.kid, &s) == 0)
			w->live[s - v->sessions] += ag->bm_blocks;
		for (u32 k = sv_ag_head(v); k < ag->nblocks; k++) {
			u64 addr = ag->start + k;

			if ((w->map[addr / 8] >> (addr % 8) & 1) !=
			    (ag->cur[k / 8] >> (k % 8) & 1)) {
				damage(w, 0, "a bitmap differs from what the tree refers to",
				       -EUCLEAN);
				break;
			}
		}
	}
	for (u32 i = 0; i < v->log.segs.n; i++)
		log_blocks += sv_copies(v) * v->log.segs.run[i].count;
	if (w->used + log_blocks != v->used)
		damage(w, 0, "the count of used blocks is wrong", -EUCLEAN);
	for (u32 i = 0; v->p.mode == SECVOL_SEALED && i < v->session_count; i++) {
		if (w->live[i] != v->sessions[i].live)
			damage(w, 0, "the key table's count of live blocks is wrong", -EUCLEAN);
	}
}

static int walk_all(struct walk *w)
{
	struct secvol *v = w->v;
	struct sv_tree *trees[] = {&v->fs, &v->keys, &v->ags, &v->snaps};
	int err = 0;

	for (u32 i = 0; !err && i < ARRAY_SIZE(trees); i++) {
		if (trees[i]->root.addr)
			err = walk_nodes(w, trees[i], &trees[i]->root, NULL, NULL);
		sv_nodes_trim(v);
	}
	if (!err)
		err = walk_items(w, true);
	if (!err)
		err = walk_items(w, false);
	return err || v->p.snapshot ? err : walk_snaps(w);
}

int sv_blocks_met(struct secvol *v, u8 *map, u64 *live, u64 *ret_used)
{
	struct walk w = {.v = v, .map = map, .live = live, .refs_only = true};
	int err = walk_all(&w);

	sv_free(v, w.seen, w.cap * sizeof(*w.seen));
	for (u32 i = 0; i < v->log.segs.n; i++)
		for (u32 at = 0; at < sv_copies(v) * v->log.segs.run[i].count; at++) {
			u64 addr = v->log.segs.run[i].addr + at;

			w.used += !(map[addr / 8] >> (addr % 8) & 1);
			map[addr / 8] |= (u8)(1u << (addr % 8));
		}
	*ret_used = w.used;
	return err ? err : w.first;
}

int secvol_check(struct secvol *v, secvol_check_fn fn, void *arg)
{
	struct walk w = {.v = v, .fn = fn, .arg = arg, .map_size = v->size_blocks / 8 + 1};
	size_t live_size = (v->session_count + 1) * sizeof(*w.live);
	bool has_maps;
	int err = 0;

	sv_commit_lock(v);
	sv_lock(v);
	if (v->rw && v->failed)
		err = v->failed;
	else if (v->rw && v->open_commit_due && v->delta.count)
		err = sv_open_commit(v);
	else if (v->rw && (v->dirty || v->delta.count))
		err = sv_commit(v, false);
	live_size = (v->session_count + 1) * sizeof(*w.live);
	w.map = sv_zalloc(v, w.map_size);
	w.live = sv_zalloc(v, live_size);
	w.page = sv_alloc(v, SV_BLOCK);
	if (!err && (!w.map || !w.live || !w.page))
		err = -ENOMEM;
	/* Read-only: the root's bitmaps as they are, unless a log or another root is over it. */
	has_maps = v->rw || (v->p.mode == SECVOL_SEALED && !v->delta.count && !v->p.snapshot &&
			     !v->p.root_gen);
	if (!err && has_maps && !v->rw && !v->ag)
		err = sv_alloc_init(v);
	if (!err)
		err = walk_all(&w);
	if (!err) {
		u32 bad = 0;

		compare_objects(&w);
		if (has_maps)
			compare_bitmaps(&w);
		if (sv_twice_verify(v, false, &bad) == 0 && bad)
			damage(&w, 0,
			       "one of two copies of metadata does not open; a scrub repairs it",
			       -EBADMSG);
	}
	sv_free(v, w.map, w.map_size);
	sv_free(v, w.live, live_size);
	sv_free(v, w.page, SV_BLOCK);
	sv_free(v, w.seen, w.cap * sizeof(*w.seen));
	sv_end(v);
	sv_commit_unlock(v);
	return err ? err : w.first;
}
