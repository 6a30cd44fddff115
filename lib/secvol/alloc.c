/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation groups. Each has two bitmaps on the store, written in turn, and two in memory: `cur`,
 * what the present tree refers to (this is what gets written), and `used`, which also holds what
 * older roots refer to. Only what is clear in `used` is ever handed out, so no block that a valid
 * root refers to is overwritten.
 *
 * A freed run first waits in v->frees (bits untouched), is cleared in `cur` by the commit that
 * drops it, then waits in v->pending[gen % 8] until keep_roots later commits are durable, and only
 * then is cleared in `used`.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"

/* The bits of the node-sized group that holds block i; the group size divides 8. */
static u8 quad_bits(const struct secvol *v, const u8 *map, u32 i)
{
	return map[i / 8] >> (i % 8 & ~(v->node_blocks - 1)) & ((1u << v->node_blocks) - 1);
}

static void set_used(struct secvol *v, struct sv_ag *ag, u32 i, bool on)
{
	bool was_free = quad_bits(v, ag->used, i) == 0;
	bool is_free;

	if (sv_bit_get(ag->used, i) == on)
		return; /* an older root's, see sv_ag_adopt() */
	sv_bit_put(ag->used, i, on);
	is_free = quad_bits(v, ag->used, i) == 0;
	ag->quads += (u32)is_free - (u32)was_free;
	v->quads += (u64)is_free - (u64)was_free;
	if (on) {
		ag->avail--;
		v->avail--;
	} else {
		ag->avail++;
		v->avail++;
	}
}

int sv_alloc_init(struct secvol *v)
{
	u64 per_ag = sv_ag_blocks(v), blocks = v->size_blocks - SV_FIRST_AG;
	u64 count = (blocks + per_ag - 1) / per_ag, last = blocks - (count - 1) * per_ag;
	u32 overhead = sv_ag_head(v);

	if (count > 1 << 20 || (v->dup && v->size_blocks >> 34)) /* copies: 32 bits, in nodes */
		return -EFBIG;
	if (last <= overhead) { /* a tail too small to be a group */
		count--;
		last = per_ag;
	}
	if (count == 0)
		return -EUCLEAN;
	v->ag_count = (u32)count;
	v->ag = sv_zalloc(v, count * sizeof(*v->ag));
	if (!v->ag)
		return -ENOMEM;
	v->capacity = (count - 1) * (per_ag - overhead) + last - overhead;
	if (v->used > v->capacity)
		return -EUCLEAN;
	v->avail = v->capacity - v->used;
	return 0;
}

/* The last group takes in what lies behind it. It was loaded when it was small. */
static void last_ag_grow(struct secvol *v, struct sv_ag *ag, u64 blocks)
{
	u64 end = MIN(sv_ag_blocks(v), blocks - ag->start);

	for (u32 i = ag->nblocks; i < end; i++) {
		sv_bit_put(ag->cur, i, false);
		ag->free++;
		set_used(v, ag, i, false);
	}
	ag->nblocks = (u32)end;
	ag->dirty = !sv_fault(v, SECVOL_FAULT_GROW_FORGET);
}

int sv_alloc_grow(struct secvol *v, u64 blocks)
{
	u64 avail = v->avail, capacity = v->capacity, size = v->size_blocks;
	struct sv_ag **ags = v->ag, *last;
	u32 count = v->ag_count;
	int err = sv_ag_load(v, count - 1, &last);

	if (err)
		return err;
	v->size_blocks = blocks;
	v->ag = NULL;
	err = sv_alloc_init(v);
	if (err) {
		sv_free(v, v->ag, v->ag ? v->ag_count * sizeof(*ags) : 0);
		v->ag = ags;
		v->ag_count = count;
		v->capacity = capacity;
		v->avail = avail;
		v->size_blocks = size;
		return err;
	}
	memcpy(v->ag, ags, count * sizeof(*ags));
	sv_free(v, ags, count * sizeof(*ags));
	last_ag_grow(v, last, blocks);
	/* What older roots refer to is not available: only the difference counts. */
	v->avail = avail + v->capacity - capacity;
	v->dirty = true;
	return 0;
}

void sv_alloc_fini(struct secvol *v)
{
	for (u32 i = 0; v->ag && i < v->ag_count; i++) {
		if (v->ag[i])
			sv_ag_free(v, v->ag[i]);
	}
	if (v->ag)
		sv_free(v, v->ag, v->ag_count * sizeof(*v->ag));
	v->ag = NULL;
	v->ag_count = 0;
	if (v->frees.run)
		sv_free(v, v->frees.run, v->frees.cap * sizeof(struct sv_run));
	for (u32 i = 0; i < ARRAY_SIZE(v->pending); i++) {
		if (v->pending[i].run)
			sv_free(v, v->pending[i].run, v->pending[i].cap * sizeof(struct sv_run));
	}
}

static void take(struct secvol *v, struct sv_ag *ag, u32 at, u32 count)
{
	for (u32 i = at; i < at + count; i++) {
		sv_bit_put(ag->cur, i, true);
		set_used(v, ag, i, true);
	}
	ag->free -= count;
	ag->dirty = true;
	v->used += count;
	v->dirty = true;
}

static int locate(struct secvol *v, u64 addr, u32 count, struct sv_ag **ret_ag, u32 *ret_at)
{
	u64 index, at;
	int err;

	if (addr < SV_FIRST_AG || !range_within(addr, count, v->size_blocks))
		return -EUCLEAN;
	index = (addr - SV_FIRST_AG) / sv_ag_blocks(v);
	at = (addr - SV_FIRST_AG) % sv_ag_blocks(v);
	if (index >= v->ag_count)
		return -EUCLEAN;
	err = sv_ag_load(v, (u32)index, ret_ag);
	if (err)
		return err;
	if (at < sv_ag_head(v) || !range_within(at, count, (*ret_ag)->nblocks))
		return -EUCLEAN;
	*ret_at = (u32)at;
	return 0;
}

int sv_alloc_claim(struct secvol *v, u64 addr, u32 count, u32 *ret_taken)
{
	struct sv_ag *ag;
	u32 at;
	int err = locate(v, addr, count, &ag, &at);

	*ret_taken = 0;
	if (err)
		return err;
	for (u32 i = at; i < at + count; i++) {
		if (sv_bit_get(ag->cur, i))
			continue;
		take(v, ag, i, 1);
		++*ret_taken;
	}
	return 0;
}

static bool is_free(const struct secvol *v, const struct sv_ag *ag, u32 i, bool broken_only)
{
	return !sv_bit_get(ag->used, i) && !(broken_only && quad_bits(v, ag->used, i) == 0);
}

/*
 * The first free run of at least `want` blocks from `from` on; else the longest seen. With
 * `broken_only` groups that could hold a node are left alone.
 */
static u32 find_run(const struct secvol *v, const struct sv_ag *ag, u32 from, u32 want,
		    bool broken_only, u32 *ret_len)
{
	u32 best = 0, best_len = 0;

	for (u32 i = from; i < ag->nblocks;) {
		u32 len = 0;

		if (i % 8 == 0 && ag->used[i / 8] == 0xff) {
			i += 8;
			continue;
		}
		while (len < want && i + len < ag->nblocks && is_free(v, ag, i + len, broken_only))
			len++;
		if (len > best_len) {
			best = i;
			best_len = len;
		}
		if (len == want)
			break;
		i += len + 1;
	}
	*ret_len = best_len;
	return best;
}

static bool alloc_in(struct secvol *v, struct sv_ag *ag, u32 want, bool broken_only, u64 *ret_addr,
		     u32 *ret_count)
{
	u32 len, at = find_run(v, ag, v->data_hint, want, broken_only, &len);

	if (len < want && v->data_hint) {
		u32 again_len, again = find_run(v, ag, 0, want, broken_only, &again_len);

		if (again_len > len) {
			at = again;
			len = again_len;
		}
	}
	if (len == 0)
		return false;
	take(v, ag, at, len);
	v->data_hint = at + len;
	*ret_addr = ag->start + at;
	*ret_count = len;
	return true;
}

/* Groups that data leaves alone as long as there are other blocks: for the nodes of commits. */
static u64 groups_kept(const struct secvol *v, bool last_resort)
{
	u64 nodes = sv_nodes_due(v) + (last_resort ? SV_SLACK_NODES / 2 : 2 * SV_SLACK_NODES);

	return sv_copies(v) * nodes + (last_resort ? 0 : sv_held_back(v) / v->node_blocks);
}

int sv_alloc_blocks(struct secvol *v, u32 want, u64 *ret_addr, u32 *ret_count)
{
	u64 whole = (want + v->node_blocks - 1) / v->node_blocks;
	struct sv_ag *ag;
	int err;

	/*
	 * What is short in the loaded groups may be there in others. They are asked before data
	 * goes elsewhere: what is written together shall lie together, and be flushed with one
	 * file. It is a wish: where one cannot be loaded the others decide.
	 */
	while (v->quads <= groups_kept(v, false) + whole && v->loaded_ags < v->ag_count &&
	       !sv_ag_load_another(v))
		;
	for (u32 tries = 0; tries < 2 * v->ag_count; tries++) {
		err = sv_ag_load(v, v->data_ag, &ag);
		if (err)
			return err;
		if (ag->avail &&
		    alloc_in(v, ag, want, v->quads <= groups_kept(v, tries >= v->ag_count) + whole,
			     ret_addr, ret_count))
			return 0;
		v->data_ag = (v->data_ag + 1) % v->ag_count;
		v->data_hint = 0;
	}
	return -ENOSPC;
}

/* Copies have places of their own: in another group where there is one, half a group away else. */
int sv_alloc_node(struct secvol *v, bool copy, u64 *ret_addr)
{
	u32 *group = copy ? &v->copy_ag : &v->node_ag, *hint = copy ? &v->copy_hint : &v->node_hint;
	struct sv_ag *ag;
	int err;

	if (copy && v->copy_ag == 0 && v->copy_hint == 0) {
		v->copy_ag = v->ag_count / 2;
		v->copy_hint = v->ag_count > 1 ? 0 : (u32)MIN(v->size_blocks, sv_ag_blocks(v)) / 2;
	}
	for (u32 tries = 0; tries <= v->ag_count; tries++) {
		err = sv_ag_load(v, *group, &ag);
		if (err)
			return err;
		for (u32 pass = 0; ag->quads && pass < 2; pass++) {
			u32 i = pass ? 0 : ALIGN_DOWN(*hint, v->node_blocks);

			for (; i + v->node_blocks <= ag->nblocks; i += v->node_blocks) {
				if (quad_bits(v, ag->used, i))
					continue;
				take(v, ag, i, v->node_blocks);
				*hint = i + v->node_blocks;
				*ret_addr = ag->start + i;
				return 0;
			}
		}
		*group = (*group + 1) % v->ag_count;
		*hint = 0;
	}
	return -ENOSPC;
}

void sv_alloc_undo(struct secvol *v, u64 addr, u32 count)
{
	struct sv_ag *ag;
	u32 at;

	if (locate(v, addr, count, &ag, &at))
		return; /* cannot be: it was allocated from a loaded group */
	for (u32 i = at; i < at + count; i++) {
		sv_bit_put(ag->cur, i, false);
		set_used(v, ag, i, false);
	}
	ag->free += count;
	v->used -= count;
}

int sv_runs_reserve(struct secvol *v, struct sv_runs *r, u32 more)
{
	struct sv_run *bigger;
	u32 cap;

	if (r->cap - r->n >= more)
		return 0;
	cap = r->cap * 2 + more;
	bigger = sv_alloc(v, array_size(cap, sizeof(*bigger)));
	if (!bigger)
		return -ENOMEM;
	if (r->n)
		memcpy(bigger, r->run, r->n * sizeof(*bigger));
	if (r->run)
		sv_free(v, r->run, r->cap * sizeof(*bigger));
	r->run = bigger;
	r->cap = cap;
	return 0;
}

/* Seeded fault: what the last commit refers to may be overwritten before the next is durable. */
static void fault_reuse(struct secvol *v, u64 addr, u32 count)
{
	struct sv_ag *ag;
	u32 at;

	if (locate(v, addr, count, &ag, &at))
		return;
	for (u32 i = at; i < at + count; i++)
		if (sv_bit_get(ag->used, i))
			set_used(v, ag, i, false);
	v->data_ag = ag->index;
	v->data_hint = at;
}

void sv_free_run(struct secvol *v, u64 addr, u32 count)
{
	struct sv_runs *r = &v->frees;

	v->freed_blocks += count;
	if (sv_fault(v, SECVOL_FAULT_REUSE_LIVE))
		fault_reuse(v, addr, count);
	if (sv_fault(v, SECVOL_FAULT_TRIM_EARLY)) {
		struct bs_req req = {.op = BS_TRIM, .block = addr, .count = count};

		(void)!bs_run(v->bs, &req, 1);
	}
	if (r->n > v->frees_applied && r->run[r->n - 1].addr + r->run[r->n - 1].count == addr) {
		r->run[r->n - 1].count += count;
		return;
	}
	if (sv_runs_reserve(v, r, 1)) {
		sv_fail(v, -ENOMEM); /* prepare reserves; this is the promise broken */
		return;
	}
	r->run[r->n].addr = addr;
	r->run[r->n++].count = count;
}

int sv_frees_apply(struct secvol *v)
{
	for (; v->frees_applied < v->frees.n; v->frees_applied++) {
		struct sv_run *run = &v->frees.run[v->frees_applied];
		u64 addr = run->addr;

		for (u32 left = run->count; left;) {
			u64 in_ag = (addr - SV_FIRST_AG) % sv_ag_blocks(v);
			u32 n = (u32)MIN((u64)left, sv_ag_blocks(v) - in_ag);
			struct sv_ag *ag;
			u32 at;
			int err = locate(v, addr, n, &ag, &at);

			if (err)
				return err;
			for (u32 i = at; i < at + n; i++) {
				if (!sv_bit_get(ag->cur, i))
					return -EUCLEAN; /* freed twice */
				sv_bit_put(ag->cur, i, false);
				if (sv_fault(v, SECVOL_FAULT_REUSE_LIVE) && sv_bit_get(ag->used, i))
					set_used(v, ag, i, false);
			}
			ag->free += n;
			ag->dirty = true;
			v->used -= n;
			addr += n;
			left -= n;
		}
	}
	return 0;
}

/*
 * What is free for good is told to the store in whole units: a unit when its last block becomes
 * free, neighbours in one request. Single blocks would cost the host's file system more than they
 * are worth, and leave holes that the next small writes have to fill again.
 */
struct trimmer {
	struct secvol *v;
	struct bs_req req; /* gathered */
	bool wanted;
};

static void trim_run(struct trimmer *t)
{
	if (t->req.count && bs_run(t->v->bs, &t->req, 1))
		t->wanted = false; /* only a wish */
	t->req.count = 0;
}

static void trim_unit(struct trimmer *t, u64 addr)
{
	struct bs_req *r = &t->req;

	if (r->count && r->block + r->count == addr && r->count + SV_TRIM_UNIT <= BS_MAX_BLOCKS) {
		r->count += SV_TRIM_UNIT;
		return;
	}
	trim_run(t);
	*r = (struct bs_req){.op = BS_TRIM, .block = addr, .count = SV_TRIM_UNIT};
}

static void release(struct trimmer *t, u64 addr)
{
	static const u8 none[SV_TRIM_UNIT / 8];
	struct sv_ag *ag;
	u32 at;

	if (locate(t->v, addr, 1, &ag, &at))
		return;
	set_used(t->v, ag, at, false);
	at -= at % SV_TRIM_UNIT;
	if (t->wanted && memcmp(ag->used + at / 8, none, sizeof(none)) == 0)
		trim_unit(t, ag->start + at);
}

/* After commit v->gen is durable: forget what only roots older than gen - keep refer to. */
void sv_pending_release(struct secvol *v, u32 keep)
{
	struct trimmer t = {.v = v, .wanted = v->p.discard && v->bs->caps & BS_CAP_TRIM};

	for (u32 age = keep; age < ARRAY_SIZE(v->pending) && age < v->gen; age++) {
		struct sv_runs *r = &v->pending[(v->gen - age) % ARRAY_SIZE(v->pending)];

		for (u32 k = 0; k < r->n; k++) {
			for (u32 i = 0; i < r->run[k].count; i++)
				release(&t, r->run[k].addr + i);
		}
		r->n = 0;
	}
	trim_run(&t);
}
