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

static bool bit_get(const u8 *map, u32 i)
{
	return map[i / 8] >> (i % 8) & 1;
}

static void bit_put(u8 *map, u32 i, bool on)
{
	if (on)
		map[i / 8] |= (u8)(1u << (i % 8));
	else
		map[i / 8] &= (u8) ~(1u << (i % 8));
}

/* The bits of the node-sized group that holds block i; the group size divides 8. */
static u8 quad_bits(const struct secvol *v, const u8 *map, u32 i)
{
	return map[i / 8] >> (i % 8 & ~(v->node_blocks - 1)) & ((1u << v->node_blocks) - 1);
}

static void set_used(struct secvol *v, struct sv_ag *ag, u32 i, bool on)
{
	bool was_free = quad_bits(v, ag->used, i) == 0;
	bool is_free;

	if (bit_get(ag->used, i) == on)
		return; /* an older root's, see sv_ag_adopt() */
	bit_put(ag->used, i, on);
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
		bit_put(ag->cur, i, false);
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

static void ag_free(struct secvol *v, struct sv_ag *ag)
{
	u32 size = ag->bm_blocks * SV_BLOCK;

	if (ag->cur)
		sv_free(v, ag->cur, size);
	if (ag->used)
		sv_free(v, ag->used, size);
	sv_free(v, ag, sizeof(*ag));
}

void sv_alloc_fini(struct secvol *v)
{
	for (u32 i = 0; v->ag && i < v->ag_count; i++) {
		if (v->ag[i])
			ag_free(v, v->ag[i]);
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

static int bitmap_fetch(struct secvol *v, struct sv_ag *ag, u64 addr)
{
	int err = 0;

	for (u32 at = 0; !err && at < ag->bm_blocks; at += SV_IO_BLOCKS) {
		u32 n = MIN(ag->bm_blocks - at, SV_IO_BLOCKS);

		err = bs_read(v->bs, addr + at, n, v->io);
		if (!err)
			memcpy(ag->cur + at * SV_BLOCK, v->io, n * SV_BLOCK);
	}
	return err;
}

/* The committed bitmap of a group that was written before. */
static int ag_read(struct secvol *v, struct sv_ag *ag, const struct sv_ag_item *item)
{
	struct sv_key owner = sv_key(0, SV_AG, ag->index);
	u32 size = ag->bm_blocks * SV_BLOCK;
	int err = -EUCLEAN;

	ag->which = item->which;
	ag->written = true;
	ag->ptr.addr = ag->start + (item->which ? ag->bm_blocks : 0);
	ag->ptr.nblk = ag->bm_blocks;
	ag->ptr.birth = le64_get(item->birth);
	ag->ptr.ctr = sv_hashed(v) ? ag->ptr.addr : le64_get(item->ctr);
	ag->ptr.kid = le32_get(item->kid);
	memcpy(ag->ptr.mac, item->mac, 32);
	if (item->which > 1 || ag->ptr.birth > v->gen)
		return -EUCLEAN;
	for (u32 k = 0; k < sv_copies(v); k++) {
		err = bitmap_fetch(v, ag, ag->ptr.addr + k * 2 * ag->bm_blocks);
		if (!err)
			err = sv_open_unit(v, SV_DOM_BITMAP, 0, &owner, ag->cur, size, &ag->ptr);
		if (!err)
			break;
	}
	return err;
}

static int ag_count_bits(struct secvol *v, struct sv_ag *ag, u32 expect_free, bool fresh)
{
	u32 size = ag->bm_blocks * SV_BLOCK, bits = MIN(ALIGN_UP(ag->nblocks, 8u), size * 8);

	for (u32 i = bits / 8; i < size; i++) { /* most of a small volume's bitmap, so by bytes */
		if (fresh)
			ag->cur[i] = 0xff;
		else if (ag->cur[i] != 0xff)
			return -EUCLEAN;
	}
	for (u32 i = 0; i < bits; i++) {
		/* The bitmaps themselves and what lies beyond the group are in use for ever. */
		if (i < sv_ag_head(v) || i >= ag->nblocks) {
			if (fresh)
				bit_put(ag->cur, i, true);
			else if (!bit_get(ag->cur, i))
				return -EUCLEAN;
		} else if (!bit_get(ag->cur, i)) {
			ag->free++;
		}
	}
	memcpy(ag->used, ag->cur, ag->bm_blocks * SV_BLOCK);
	ag->avail = ag->free;
	for (u32 i = 0; i < bits; i += v->node_blocks)
		ag->quads += quad_bits(v, ag->used, i) == 0;
	return fresh || ag->free == expect_free ? 0 : -EUCLEAN;
}

int sv_ag_load(struct secvol *v, u32 index, struct sv_ag **ret_ag)
{
	struct sv_key key = sv_key(0, SV_AG, index);
	const struct sv_ag_item *item = NULL;
	struct sv_ag_item copy;
	struct sv_ag *ag;
	const u8 *val;
	u32 size;
	int err;

	if (index >= v->ag_count)
		return -EUCLEAN;
	if (v->ag[index]) {
		*ret_ag = v->ag[index];
		return 0;
	}
	err = sv_tree_lookup(v, &v->ags, &key, &val, &size);
	if (err && err != -ENOENT)
		return err;
	if (!err) {
		if (size != sizeof(copy))
			return -EUCLEAN;
		memcpy(&copy, val, sizeof(copy));
		item = copy.flags & 1 ? NULL : &copy;
	}
	ag = sv_zalloc(v, sizeof(*ag));
	if (!ag)
		return -ENOMEM;
	ag->index = index;
	ag->start = SV_FIRST_AG + index * sv_ag_blocks(v);
	ag->nblocks = (u32)MIN(sv_ag_blocks(v), v->size_blocks - ag->start);
	ag->bm_blocks = sv_bm_blocks(v);
	ag->cur = sv_zalloc(v, ag->bm_blocks * SV_BLOCK);
	ag->used = sv_zalloc(v, ag->bm_blocks * SV_BLOCK);
	err = ag->cur && ag->used ? 0 : -ENOMEM;
	if (!err && item)
		err = ag_read(v, ag, item);
	if (!err)
		err = ag_count_bits(v, ag, item ? le32_get(item->free) : 0, !item);
	if (err) {
		ag_free(v, ag);
		return err;
	}
	v->ag[index] = ag;
	v->quads += ag->quads;
	v->loaded_ags++;
	*ret_ag = ag;
	return 0;
}

int sv_ag_adopt(struct secvol *v, u32 index, const u8 *cur, const u8 *used, u8 which, bool written,
		u32 kid)
{
	struct sv_ag *ag = sv_zalloc(v, sizeof(*ag));
	bool any = written;

	if (!ag)
		return -ENOMEM;
	ag->index = index;
	ag->start = SV_FIRST_AG + index * sv_ag_blocks(v);
	ag->nblocks = (u32)MIN(sv_ag_blocks(v), v->size_blocks - ag->start);
	ag->bm_blocks = sv_bm_blocks(v);
	ag->which = which;
	ag->written = written;
	ag->ptr.kid = kid;
	ag->cur = sv_alloc(v, ag->bm_blocks * SV_BLOCK);
	ag->used = sv_alloc(v, ag->bm_blocks * SV_BLOCK);
	if (!ag->cur || !ag->used) {
		ag_free(v, ag);
		return -ENOMEM;
	}
	memset(ag->cur, 0xff, ag->bm_blocks * SV_BLOCK);
	memset(ag->used, 0xff, ag->bm_blocks * SV_BLOCK);
	for (u32 i = sv_ag_head(v); i < ag->nblocks; i++) {
		u64 addr = ag->start + i;
		bool is_cur = cur[addr / 8] >> (addr % 8) & 1;
		bool is_used = used[addr / 8] >> (addr % 8) & 1;

		bit_put(ag->cur, i, is_cur);
		bit_put(ag->used, i, is_cur || is_used);
		ag->free += !is_cur;
		ag->avail += !is_cur && !is_used;
		any |= is_cur;
	}
	for (u32 i = 0; i < ALIGN_UP(ag->nblocks, 8u); i += v->node_blocks)
		ag->quads += quad_bits(v, ag->used, i) == 0;
	ag->dirty = any;
	v->ag[index] = ag;
	v->quads += ag->quads;
	v->loaded_ags++;
	return 0;
}

void sv_ag_unload(struct secvol *v, u32 index)
{
	v->quads -= v->ag[index]->quads;
	v->loaded_ags--;
	ag_free(v, v->ag[index]);
	v->ag[index] = NULL;
}

int sv_ag_load_another(struct secvol *v)
{
	struct sv_ag *ag;

	for (u32 i = 0; v->loaded_ags < v->ag_count && i < v->ag_count; i++) {
		if (!v->ag[i])
			return sv_ag_load(v, i, &ag);
	}
	return -ENOENT;
}

static void take(struct secvol *v, struct sv_ag *ag, u32 at, u32 count)
{
	for (u32 i = at; i < at + count; i++) {
		bit_put(ag->cur, i, true);
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
		if (bit_get(ag->cur, i))
			continue;
		take(v, ag, i, 1);
		++*ret_taken;
	}
	return 0;
}

static bool is_free(const struct secvol *v, const struct sv_ag *ag, u32 i, bool broken_only)
{
	return !bit_get(ag->used, i) && !(broken_only && quad_bits(v, ag->used, i) == 0);
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
	 * What is short in the loaded groups may be there in others. They are asked before data goes elsewhere: what
	 * is written together shall lie together, and be flushed with one file.
	 */
	while (v->quads <= groups_kept(v, false) + whole && v->loaded_ags < v->ag_count) {
		err = sv_ag_load_another(v);
		if (err)
			return err;
	}
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
		bit_put(ag->cur, i, false);
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
		if (bit_get(ag->used, i))
			set_used(v, ag, i, false);
	v->data_ag = ag->index;
	v->data_hint = at;
}

void sv_free_run(struct secvol *v, u64 addr, u32 count)
{
	struct sv_runs *r = &v->frees;

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
				if (!bit_get(ag->cur, i))
					return -EUCLEAN; /* freed twice */
				bit_put(ag->cur, i, false);
				if (sv_fault(v, SECVOL_FAULT_REUSE_LIVE) && bit_get(ag->used, i))
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

/* After commit v->gen is durable: forget what only roots older than gen - keep refer to. */
void sv_pending_release(struct secvol *v, u32 keep)
{
	for (u32 age = keep; age < ARRAY_SIZE(v->pending) && age < v->gen; age++) {
		struct sv_runs *r = &v->pending[(v->gen - age) % ARRAY_SIZE(v->pending)];

		for (u32 k = 0; k < r->n; k++) {
			u64 addr = r->run[k].addr;

			for (u32 left = r->run[k].count; left; left--, addr++) {
				struct sv_ag *ag;
				u32 at;

				if (locate(v, addr, 1, &ag, &at) == 0)
					set_used(v, ag, at, false);
			}
		}
		r->n = 0;
	}
}
