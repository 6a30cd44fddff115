/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkpoint: what is dirty in memory becomes the next generation on the store. And those who
 * ask for it, or for a commit by the log (log.c).
 *
 *   1. dirty pages and inodes go to the delta table, and that into the tree, in the order of its
 *      keys; leaves that are passed are written at once, so that few of them are in memory
 *   2. every dirty node gets an address      3. bitmaps to their other slot, nodes bottom up
 *   4. FLUSH, root slot, FLUSH; the log begins anew
 *
 * Step 2 is a loop: giving addresses changes bitmaps and the counts of live blocks, these have to
 * be written in the ag table and the key table, whose nodes become dirty in turn. It ends because
 * nodes only become dirty once. After it no structure changes any more, only values.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

#define DIRTY_NODES_MAX 256u
#define TREES		4u

static struct sv_tree *trees_of(struct secvol *v, u32 i)
{
	struct sv_tree *const trees[] = {&v->fs, &v->keys, &v->ags, &v->snaps};

	return trees[i];
}

/* ---- step 2 ---- */

static int node_place(struct secvol *v, struct sv_node *n)
{
	u64 copy = 0;
	int err = v->dup ? sv_alloc_node(v, true, &copy) : 0;

	if (!err)
		err = sv_alloc_node(v, false, &n->new_addr);
	if (err && copy)
		sv_alloc_undo(v, copy, v->node_blocks);
	if (err)
		return err;
	n->new_copy = copy;
	sv_session_live(v, v->kid, sv_node_room(v));
	return 0;
}

static int assign_below(struct secvol *v, struct sv_node *n, bool *again)
{
	int err;

	if (!n->new_addr) {
		err = node_place(v, n);
		if (err)
			return err;
		*again = true;
	}
	for (u32 i = 0; n->level && i < n->n; i++) {
		const struct sv_bptr *b = (const struct sv_bptr *)sv_node_value(n, i);
		u64 addr = le64_get(b->addr_nblk) & ((1ull << 48) - 1);

		if (!(addr & SV_VIRTUAL))
			continue;
		err = assign_below(v, sv_node_find(v, addr), again);
		if (err)
			return err;
	}
	return 0;
}

static int assign_nodes(struct secvol *v, bool *again)
{
	for (u32 i = 0; i < TREES; i++) {
		struct sv_tree *t = trees_of(v, i);
		int err;

		if (!(t->root.addr & SV_VIRTUAL))
			continue;
		err = assign_below(v, sv_node_find(v, t->root.addr), again);
		if (err)
			return err;
	}
	return 0;
}

/* Items of the ag table for all groups whose bitmap changed; their values come in step 3. */
static int touch_ags(struct secvol *v, bool *again)
{
	static const struct sv_ag_item zero;

	for (u32 i = 0; i < v->ag_count; i++) {
		struct sv_key key = sv_key(0, SV_AG, i);
		struct sv_ag *ag = v->ag[i];
		int err;

		if (!ag || !ag->dirty || ag->moved)
			continue;
		err = sv_tree_put(v, &v->ags, &key, &zero, sizeof(zero));
		if (err)
			return err;
		if (ag->written)
			sv_session_live(v, ag->ptr.kid, -(s64)ag->bm_blocks);
		sv_session_live(v, v->kid, ag->bm_blocks);
		ag->moved = true;
		*again = true;
	}
	return 0;
}

static void key_item(const struct sv_session *s, struct sv_key_item *item)
{
	memset(item, 0, sizeof(*item));
	item->epoch = le16_put(s->epoch);
	memcpy(item->salt, s->salt, 32);
	item->live = le64_put(s->live);
}

/* Items of the key table: sessions without blocks go, the others get their path dirtied. */
static int touch_keys(struct secvol *v, bool *again)
{
	for (u32 i = 0; v->p.mode == SECVOL_SEALED && i < v->session_count; i++) {
		struct sv_session *s = &v->sessions[i];
		struct sv_key key = sv_key(0, SV_KEY, s->kid);
		struct sv_key_item item;
		int err;

		if (s->live == s->live_committed && s->in_table)
			continue;
		if (s->live == 0 && s->kid != v->kid) {
			if (!s->in_table)
				continue;
			err = sv_tree_delete(v, &v->keys, &key);
			s->in_table = false;
			*again = true;
		} else {
			key_item(s, &item);
			err = sv_tree_put(v, &v->keys, &key, &item, sizeof(item));
			*again |= !s->in_table;
			s->in_table = true;
			s->live_committed = s->live;
		}
		if (err)
			return err;
	}
	return 0;
}

static int settle(struct secvol *v)
{
	bool again = true;
	int err = 0;

	while (!err && again) {
		again = false;
		err = sv_frees_apply(v);
		if (!err)
			err = touch_ags(v, &again);
		if (!err)
			err = touch_keys(v, &again);
		if (!err)
			err = assign_nodes(v, &again);
		if (!err && v->frees_applied < v->frees.n)
			again = true;
	}
	return err;
}

/* ---- step 3 ---- */

/*
 * What waits to be written lies in the memory of the log's queue, which is empty during a
 * checkpoint: a place for the next node may be in a group whose bitmap has to be read first, and
 * all that is read comes through v->io.
 */
struct writer {
	struct secvol *v;
	struct bs_req req[SV_IO_BLOCKS];
	u32 reqs;
	u32 blocks; /* filled in v->queue.io */
};

static int writer_flush(struct writer *w)
{
	int err = w->reqs ? bs_run(w->v->bs, w->req, w->reqs) : 0;

	w->reqs = 0;
	w->blocks = 0;
	return err;
}

/* Copies sealed bytes out and queues them; neighbours become one request. */
static int writer_add(struct writer *w, u64 addr, const u8 *bytes, u32 blocks)
{
	struct bs_req *last = w->reqs ? &w->req[w->reqs - 1] : NULL;
	int err;

	if (w->blocks + blocks > SV_IO_BLOCKS) {
		err = writer_flush(w);
		if (err)
			return err;
		last = NULL;
	}
	memcpy(w->v->queue.io + w->blocks * SV_BLOCK, bytes, blocks * SV_BLOCK);
	if (last && last->block + last->count == addr) {
		last->count += blocks;
	} else {
		w->req[w->reqs++] = (struct bs_req){.op = BS_WRITE,
						    .block = addr,
						    .count = blocks,
						    .buf = w->v->queue.io + w->blocks * SV_BLOCK};
	}
	w->blocks += blocks;
	return 0;
}

static int write_bitmap(struct writer *w, struct sv_ag *ag)
{
	struct secvol *v = w->v;
	struct sv_key owner = sv_key(0, SV_AG, ag->index);
	struct sv_ptr p = {.nblk = ag->bm_blocks, .birth = v->gen + 1};
	struct sv_ag_item item = {0};
	u32 size = ag->bm_blocks * SV_BLOCK;
	u8 which = ag->written ? !ag->which : 0;
	u8 *copy = sv_alloc(v, size);
	int err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, ag->cur, size);
	p.addr = ag->start + (which ? ag->bm_blocks : 0);
	err = sv_seal_unit(v, SV_DOM_BITMAP, 0, &owner, copy, size, &p);
	for (u32 k = 0; k < sv_copies(v); k++)
		for (u32 at = 0; !err && at < ag->bm_blocks; at += 8)
			err = writer_add(w, p.addr + k * 2 * ag->bm_blocks + at,
					 copy + at * SV_BLOCK, MIN(8u, ag->bm_blocks - at));
	sv_free(v, copy, size);
	if (err)
		return err;
	item.free = le32_put(ag->free);
	item.run = le32_put(0);
	item.which = which;
	item.birth = le64_put(p.birth);
	if (!sv_hashed(v)) {
		item.kid = le32_put(p.kid);
		item.ctr = le64_put(p.ctr);
	}
	memcpy(item.mac, p.mac, 32);
	ag->ptr = p;
	ag->which = which;
	ag->written = true;
	owner = sv_key(0, SV_AG, ag->index);
	return sv_tree_put(v, &v->ags, &owner, &item, sizeof(item));
}

static int write_below(struct writer *w, struct sv_node *n, struct sv_ptr *ret_p)
{
	struct secvol *v = w->v;
	struct sv_key owner = sv_key(n->tree, 0, 0);
	struct sv_ptr p = {.addr = n->new_addr,
			   .copy = n->new_copy,
			   .nblk = v->node_blocks,
			   .birth = v->gen + 1,
			   .type = n->tree,
			   .level = n->level};
	int err;

	for (u32 i = 0; n->level && i < n->n; i++) {
		struct sv_bptr *b = (struct sv_bptr *)sv_node_value(n, i);
		u64 addr = le64_get(b->addr_nblk) & ((1ull << 48) - 1);
		struct sv_ptr child;

		if (!(addr & SV_VIRTUAL))
			continue;
		err = write_below(w, sv_node_find(v, addr), &child);
		if (err)
			return err;
		memset(b, 0, sizeof(*b));
		sv_ptr_encode(v, &child, b);
	}
	err = sv_node_encode(n, p.birth, v->node_buf, v->node_size);
	if (!err)
		err = sv_seal_unit(v, SV_DOM_NODE, n->level, &owner, v->node_buf, v->node_size, &p);
	if (!err)
		err = writer_add(w, p.addr, v->node_buf, v->node_blocks);
	if (!err && p.copy)
		err = writer_add(w, p.copy, v->node_buf, v->node_blocks);
	if (err)
		return err;
	n->dirty = false;
	n->new_addr = n->new_copy = 0;
	v->dirty_nodes--;
	sv_node_rekey(v, n, p.addr);
	list_add_tail(&v->node_lru, &n->lru);
	*ret_p = p;
	return 0;
}

/* Writes the dirty leaves below n; what leads to them stays dirty. */
static int spill_below(struct writer *w, struct sv_node *n)
{
	struct secvol *v = w->v;
	int err = 0;

	for (u32 i = 0; !err && n->level && i < n->n; i++) {
		struct sv_bptr *b = (struct sv_bptr *)sv_node_value(n, i);
		u64 addr = le64_get(b->addr_nblk) & ((1ull << 48) - 1);
		struct sv_node *child;
		struct sv_ptr ptr;

		if (!(addr & SV_VIRTUAL))
			continue;
		child = sv_node_find(v, addr);
		if (child->level) {
			err = spill_below(w, child);
			continue;
		}
		err = node_place(v, child);
		if (err)
			return err;
		err = write_below(w, child, &ptr);
		if (err)
			return err; /* those who read still find it in memory */
		memset(b, 0, sizeof(*b));
		sv_ptr_encode(v, &ptr, b);
	}
	return err;
}

static int spill(struct writer *w)
{
	int err = 0;

	if (w->v->fs.root.addr & SV_VIRTUAL)
		err = spill_below(w, sv_node_find(w->v, w->v->fs.root.addr));
	if (!err)
		err = writer_flush(w);
	return err ? sv_fail(w->v, err) : 0;
}

/*
 * Step 1. When it fails for want of memory nothing is lost: the delta table still hides whatever
 * has been merged already, and the next commit tries again.
 */
static int merge(struct writer *w)
{
	struct secvol *v = w->v;
	struct sv_key first = sv_key(0, 0, 0);
	int err = 0;

	for (struct sv_delta_entry *e = sv_delta_find(&v->delta, &first); !err && e;
	     e = e->next[0]) {
		if (e->deleted)
			err = sv_base_delete(v, &v->fs, &e->key);
		else
			err = sv_base_put(v, &v->fs, &e->key, e->val, e->size);
		if (err == -ENOENT && e->deleted)
			err = 0;
		if (!err && v->dirty_nodes > DIRTY_NODES_MAX)
			err = spill(w);
		sv_nodes_trim(v);
	}
	return err;
}

static int write_all(struct writer *w)
{
	struct secvol *v = w->v;
	int err = 0;

	for (u32 i = 0; !err && i < v->ag_count; i++) {
		if (v->ag[i] && v->ag[i]->dirty)
			err = write_bitmap(w, v->ag[i]);
	}
	for (u32 i = 0; !err && i < TREES; i++) {
		struct sv_tree *t = trees_of(v, i);

		if (t->root.addr & SV_VIRTUAL)
			err = write_below(w, sv_node_find(v, t->root.addr), &t->root);
	}
	return err ? err : writer_flush(w);
}

/* ---- the whole ---- */

int sv_flush_inodes(struct secvol *v)
{
	int err = sv_data_flush(v);

	while (!err && !list_is_empty(&v->inode_dirty))
		err = sv_inode_store(
			v, list_first_entry(&v->inode_dirty, struct sv_inode_mem, dirty_link));
	return err;
}

static void after_commit(struct secvol *v)
{
	struct sv_runs *r;

	v->gen++;
	v->root_reserves = v->promised != 0;
	v->state = v->making;
	v->groups_durable = ++v->groups_begun; /* the mutex was held all the time */
	if (sv_fault(v, SECVOL_FAULT_REUSE_LIVE))
		v->frees.n = 0; /* they are in use again already */
	r = &v->pending[v->gen % ARRAY_SIZE(v->pending)];
	{
		struct sv_runs swap = *r; /* empty: released long ago */

		*r = v->frees;
		v->frees = swap;
		v->frees.n = 0;
		v->freed_blocks = 0;
		v->frees_applied = 0;
	}
	sv_pending_release(v, v->keep_roots);
	v->may_reclaim = true;
	for (u32 i = 0; i < v->ag_count; i++) {
		if (v->ag[i])
			v->ag[i]->dirty = v->ag[i]->moved = false;
	}
	v->dirty = false;
	v->unflushed.n = 0;
	v->unflushed_lost = false;
	sv_delta_reset(v);
	sv_nodes_trim(v);
}

/*
 * The long part of a checkpoint. Readers go on meanwhile: nothing is dirty, and who wants to change
 * something finds in_checkpoint set and waits for the commit lock.
 */
static int flush_beside_readers(struct secvol *v)
{
	int err;

	if (!v->is_shared)
		return bs_flush(v->bs);
	v->in_checkpoint = true;
	sv_unlock(v);
	err = bs_flush(v->bs);
	sv_lock(v);
	v->in_checkpoint = false;
	return err;
}

/* Steps 2 to 4. */
static int write_root(struct secvol *v, struct writer *w, bool clean)
{
	int err = sv_log_renew(v);

	if (!err)
		err = settle(v);
	if (!err)
		err = write_all(w);
	if (!err && !sv_fault(v, SECVOL_FAULT_SKIP_FLUSH))
		err = flush_beside_readers(v);
	if (!err)
		err = sv_root_write(v, clean);
	if (!err && !sv_fault(v, SECVOL_FAULT_EARLY_ACK))
		err = flush_beside_readers(v);
	if (!err && sv_fault(v, SECVOL_FAULT_ANCHOR_LATE))
		err = sv_anchor_announce(v, &v->making, clean);
	return err;
}

int sv_commit(struct secvol *v, bool clean)
{
	struct writer *w;
	int err;

	if (v->failed)
		return v->failed;
	err = sv_flush_inodes(v);
	if (err)
		return err;
	w = sv_zalloc(v, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->v = v;
	err = merge(w);
	if (!err)
		err = sv_dead_store(v);
	if (!err && v->p.mode == SECVOL_SEALED && v->next_ctr > 1ull << 31) {
		err = sv_session_start(v);
		if (!err)
			err = sv_tree_dirty_all(v, &v->keys);
		if (err)
			sv_fail(v, err);
	}
	if (!err) {
		err = write_root(v, w, clean);
		if (err)
			sv_fail(v, err);
		else
			after_commit(v);
	}
	sv_free(v, w, sizeof(*w));
	return err;
}

static int commit(struct secvol *v, bool checkpoint)
{
	u64 group;
	int err = 0;

	sv_lock(v);
	group = v->groups_begun + 1; /* the next one, which has all that was done so far */
	sv_unlock(v);
	sv_commit_lock(v);
	sv_lock(v);
	if (v->failed)
		err = v->failed;
	else if (!checkpoint && v->groups_durable >= group)
		err = 0; /* another's commit took it along */
	else if (v->rw && checkpoint && (v->dirty || v->delta.count))
		err = v->open_commit_due ? sv_open_commit(v) : sv_commit(v, false);
	else if (v->rw && v->dirty)
		err = sv_log_commit(v);
	if (err && v->failed)
		err = v->failed;
	sv_end(v);
	sv_commit_unlock(v);
	return err;
}

int secvol_commit(struct secvol *v)
{
	return commit(v, false);
}

int secvol_checkpoint(struct secvol *v)
{
	return commit(v, true);
}

bool secvol_is_dirty(struct secvol *v)
{
	bool dirty;

	sv_lock(v);
	dirty = v->dirty && !v->failed;
	sv_unlock(v);
	return dirty;
}

int secvol_reclaim(struct secvol *v)
{
	int err;

	sv_commit_lock(v);
	sv_lock(v);
	err = v->failed;
	if (v->rw && (v->dirty || v->delta.count || v->may_reclaim)) {
		/* What the first of these roots frees, no root that is kept has in the end. */
		for (u32 i = 0; !err && i <= v->keep_roots; i++) {
			if (v->open_commit_due)
				err = sv_open_commit(v);
			if (!err)
				err = sv_make_room(v, 0, 4, true);
			if (!err)
				err = sv_commit(v, false);
		}
		v->may_reclaim = err != 0;
	}
	sv_end(v);
	sv_commit_unlock(v);
	return err;
}
