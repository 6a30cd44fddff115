/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index log: commits between checkpoints. A commit seals what changed in the delta table into
 * log blocks, submits them together with the data blocks they refer to, waits for all, and flushes
 * once. It is durable when the flush is: recovery (recover.c) reads the log up to the last complete
 * group.
 *
 * The mutex is given up while the writes and the flush last. Others change and read meanwhile; who
 * wants to commit waits for the commit lock and then makes one group of all that has gathered.
 *
 * Each block's tag covers the one before it, the first one's the random seed in the root slot. So
 * a log has one continuation only, and what an older log left in a segment never fits.
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"
#include "lib/crypto/sha256.h"

#define BODY_MAX(blocks)                                                                           \
	((blocks)*SV_BLOCK - (u32)sizeof(struct sv_log_header) - 32u) /* of the sealed part */
#define UNFLUSHED_MAX 8192u

int sv_log_init(struct secvol *v)
{
	sv_delta_init(&v->delta);
	if (v->p.read_only)
		return 0;
	v->queue.io = v->bs->ops->buf_alloc(v->bs, (SV_IO_BLOCKS + SV_LOG_BLOCKS) * SV_BLOCK);
	return v->queue.io ? 0 : -ENOMEM;
}

void sv_log_fini(struct secvol *v)
{
	if (v->queue.io)
		v->bs->ops->buf_free(v->bs, v->queue.io, (SV_IO_BLOCKS + SV_LOG_BLOCKS) * SV_BLOCK);
	sv_free(v, v->log.buf, SV_LOG_BLOCKS * SV_BLOCK);
	sv_free(v, v->log.segs.run, v->log.segs.cap * sizeof(struct sv_run));
	sv_free(v, v->unflushed.run, v->unflushed.cap * sizeof(struct sv_run));
	sv_delta_free(v);
}

void sv_log_aad(const struct secvol *v, struct sv_log_aad *aad, const struct sv_log_header *h,
		const u8 chain[32])
{
	memcpy(aad->uuid, v->uuid, 16);
	aad->domain = SV_DOM_LOG;
	aad->header = *h;
	memcpy(aad->chain, chain, 32);
}

void sv_log_hash(const struct sv_log_aad *aad, const u8 *body, u32 len, u8 digest[32])
{
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, aad, sizeof(*aad));
	sha256_update(&s, body, len);
	sha256_final(&s, digest);
}

/* ---- writes on their way --------------------------------------------------------------------- */

void sv_unflushed_add(struct secvol *v, u64 addr, u32 count)
{
	struct sv_runs *r = &v->unflushed;

	if (r->n && r->run[r->n - 1].addr + r->run[r->n - 1].count == addr) {
		r->run[r->n - 1].count += count;
		return;
	}
	if (r->n >= UNFLUSHED_MAX || sv_runs_reserve(v, r, 1)) {
		v->unflushed_lost = true;
		return;
	}
	r->run[r->n].addr = addr;
	r->run[r->n++].count = count;
}

int sv_queue_run(struct secvol *v)
{
	struct sv_queue *q = &v->queue;
	int err = q->reqs ? bs_run(v->bs, q->req, q->reqs) : 0;

	q->reqs = 0;
	q->blocks = 0;
	return err;
}

/* ---- segments -------------------------------------------------------------------------------- */

static u32 segment_size(const struct secvol *v)
{
	return (u32)MAX(16u, MIN(256u, v->size_blocks / 64));
}

/* A contiguous run, unless that would make space short. */
static bool segment_alloc(struct secvol *v, struct sv_run *ret)
{
	u32 want = sv_copies(v) * segment_size(v), got = 0;
	u64 floor = 2 * sv_held_back(v) + v->dirty_pages + sv_promise_cost(v->promised) +
		    (sv_nodes_due(v) + 2 * SV_SLACK_NODES) * sv_node_room(v);

	if (v->avail < want + floor || sv_runs_reserve(v, &v->log.segs, 1) ||
	    sv_alloc_blocks(v, want, &ret->addr, &got))
		return false;
	if (got % sv_copies(v))
		sv_alloc_undo(v, ret->addr + --got, 1);
	ret->count = got / sv_copies(v); /* and, behind it, as much for the copies */
	if (got >= want / 2)
		return true;
	sv_alloc_undo(v, ret->addr, got);
	return false;
}

int sv_log_renew(struct secvol *v)
{
	struct sv_log *l = &v->log;
	struct sv_run seg;
	int err;

	if (sv_fault(v, SECVOL_FAULT_LOG_OLD_SEED) && l->segs.n)
		goto same;
	err = v->env.random(v->env.arg, l->seed, sizeof(l->seed));
	if (err)
		return err;
	/* One that nothing was written to can go on to serve. */
	if (l->segs.n == 1 && l->blocks == 0)
		goto same;
	err = sv_runs_reserve(v, &v->frees, l->segs.n + 8);
	if (err)
		return err;
	for (u32 i = 0; i < l->segs.n; i++)
		sv_free_run(v, l->segs.run[i].addr, sv_copies(v) * l->segs.run[i].count);
	l->segs.n = 0;
	if (!l->buf)
		l->buf = sv_alloc(v, SV_LOG_BLOCKS * SV_BLOCK);
	if (l->buf && segment_alloc(v, &seg))
		l->segs.run[l->segs.n++] = seg;
same:
	if (l->segs.n > 1)
		l->segs.n = 1; /* seeded fault */
	l->pos = 0;
	l->blocks = 0;
	l->full = false;
	if (l->seq == 0)
		l->seq = 1;
	l->first_seq = sv_fault(v, SECVOL_FAULT_LOG_OLD_SEED) ? 1 : l->seq;
	l->seq = l->first_seq;
	l->flushed_seq = l->first_seq - 1;
	memcpy(l->chain, l->seed, 32);
	return 0;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* Where the next block of up to `blocks` goes; false: nowhere. */
static bool log_room(const struct sv_log *l, u32 blocks)
{
	return l->segs.n && !l->full && l->pos + blocks <= l->segs.run[l->segs.n - 1].count;
}

/* The block after this one must fit; where it does not, this one names another segment. */
static le64 chain_on(struct secvol *v, u32 blocks)
{
	struct sv_log *l = &v->log;
	struct sv_run *seg = &l->segs.run[l->segs.n - 1], next;

	if (seg->count - l->pos - blocks >= sv_log_block_max(seg->count))
		return le64_put(0);
	if (l->blocks + blocks >= v->log_max || !segment_alloc(v, &next)) {
		l->full = true;
		return le64_put(0);
	}
	l->segs.run[l->segs.n++] = next;
	return le64_put(next.addr | (u64)next.count << 48);
}

/* Seals l->buf, whose records end at `len` of the sealed part, and hands it to the queue. */
static int block_seal(struct secvol *v, u32 len, bool commit)
{
	struct sv_log *l = &v->log;
	struct sv_log_header *h = (struct sv_log_header *)l->buf;
	u8 *body = l->buf + sizeof(*h), *trailer;
	u32 blocks = (u32)(sizeof(*h) + len + 32 + SV_BLOCK - 1) / SV_BLOCK;
	u32 segs = l->segs.n;
	u64 addr = l->segs.run[segs - 1].addr + l->pos, ctr = 0;
	const struct aes_gcm *ctx = NULL;
	struct sv_log_aad aad;
	le64 next = chain_on(v, blocks);
	int err = 0;

	if (sv_sealed(v)) {
		err = sv_session_ctx(v, v->kid, &ctx);
		if (!err)
			err = sv_take_ctr(v, 1, &ctr);
		if (err)
			return err;
	}
	*h = (struct sv_log_header){
		.magic = le32_put(SV_LOG_MAGIC),
		.len = le32_put(len),
		.seq = le64_put(l->seq),
		.kid = le32_put(v->kid),
		.flags = le32_put(
			commit || sv_fault(v, SECVOL_FAULT_LOG_EARLY_COMMIT) ? SV_LOG_COMMIT : 0),
		.ctr = le64_put(ctr),
		.flushed_seq = le64_put(l->flushed_seq),
	};
	memcpy(body, &next, sizeof(next));
	trailer = l->buf + blocks * SV_BLOCK - 32;
	memset(body + len, 0, (size_t)(l->buf + blocks * SV_BLOCK - (body + len)));
	sv_log_aad(v, &aad, h, l->chain);
	if (sv_sealed(v)) {
		u8 nonce[AES_GCM_NONCE];
		struct sv_session *s;

		sv_make_nonce(nonce, ctr, SV_DOM_LOG);
		aes_gcm_seal(ctx, nonce, &aad, sizeof(aad), body, body, len, trailer);
		if (v->hooks.on_nonce && sv_session_find(v, v->kid, &s) == 0)
			v->hooks.on_nonce(v->hooks.arg, s->key_id, nonce);
	} else {
		sv_log_hash(&aad, body, len, trailer);
	}
	memcpy(l->chain, trailer, 32);
	if (commit && v->p.anchor) {
		v->making = (struct secvol_state){.gen = v->gen, .seq = l->seq};
		sha256(l->buf, blocks * SV_BLOCK, v->making.sha256);
	}
	if (v->queue.blocks + blocks > SV_IO_BLOCKS + SV_LOG_BLOCKS || !commit) {
		/* Its blocks are referred to, and this block is chained to one of them: there is
		   no way on without them. Not ENOSPC, which a checkpoint would cure. */
		err = sv_queue_run(v);
		if (err)
			return sv_fail(v, err) == -ENOSPC ? -EIO : err;
	}
	memcpy(v->queue.io + v->queue.blocks * SV_BLOCK, l->buf, blocks * SV_BLOCK);
	v->queue.req[v->queue.reqs++] =
		(struct bs_req){.op = BS_WRITE,
				.block = addr,
				.count = blocks,
				.buf = v->queue.io + v->queue.blocks * SV_BLOCK};
	if (v->dup) {
		v->queue.req[v->queue.reqs] = v->queue.req[v->queue.reqs - 1];
		v->queue.req[v->queue.reqs++].block += l->segs.run[segs - 1].count;
	}
	v->queue.blocks += blocks;
	l->blocks += blocks;
	l->seq++;
	l->pos = l->segs.n > segs ? 0 : l->pos + blocks;
	return 0;
}

struct appender {
	struct secvol *v;
	u32 len; /* of the sealed part so far */
	u32 max;
};

static int block_begin(struct appender *a)
{
	struct sv_log *l = &a->v->log;
	u32 blocks = l->segs.n ? sv_log_block_max(l->segs.run[l->segs.n - 1].count) : 1;

	while (blocks > 1 && !log_room(l, blocks))
		blocks--;
	if (!log_room(l, blocks))
		return -ENOSPC;
	a->max = BODY_MAX(blocks);
	a->len = 8;
	return 0;
}

static int append(struct appender *a, u8 kind, const struct sv_key *key, const void *val, u32 size)
{
	struct sv_log_record *r;
	u32 need = sizeof(*r) + size;
	int err;

	if (a->len + need > a->max) {
		err = a->len > 8 ? block_seal(a->v, a->len, false) : 0;
		if (!err)
			err = block_begin(a);
		if (!err && a->len + need > a->max)
			err = -ENOSPC;
		if (err)
			return err;
	}
	r = (struct sv_log_record *)(a->v->log.buf + sizeof(struct sv_log_header) + a->len);
	r->kind = kind;
	r->size = le16_put((u16)size);
	sv_key_encode(key, r->key);
	if (size)
		memcpy(r + 1, val, size);
	a->len += need;
	return 0;
}

/* The group: every entry that changed, and the counters. -ENOSPC: the log has no room for it. */
static int group_seal(struct secvol *v)
{
	struct appender a = {.v = v};
	struct sv_key none = sv_key(0, 0, 0);
	struct secvol_time now;
	struct sv_log_end end = {.next_obj = le64_put(v->next_obj),
				 .files = le64_put(v->files),
				 .promised = le64_put(v->promised)};
	struct sv_delta_entry *e = v->delta.unlogged_first;
	int err = block_begin(&a);

	sv_now(v, &now);
	end.committed = le64_put((u64)now.sec);
	for (; !err && e; e = e->unlogged_next)
		err = append(&a, e->deleted ? SV_LOG_DEL : SV_LOG_PUT, &e->key, e->val,
			     e->deleted ? 0 : e->size);
	if (!err)
		err = append(&a, SV_LOG_TX_END, &none, &end,
			     v->root_reserves ? sizeof(end) : SV_LOG_END_SHORT);
	if (!err)
		err = block_seal(v, a.len, true);
	if (!err)
		(void)sv_delta_take_unlogged(v);
	return err;
}

/* ---- a flush that failed --------------------------------------------------------------------- */

static int rewrite_runs(struct secvol *v, const struct sv_runs *r)
{
	int err = 0;

	for (u32 i = 0; i < r->n; i++) {
		for (u32 at = 0; !err && at < r->run[i].count; at += SV_IO_BLOCKS) {
			u32 n = MIN(SV_IO_BLOCKS, r->run[i].count - at);

			err = bs_read(v->bs, r->run[i].addr + at, n, v->io);
			if (!err)
				err = bs_write(v->bs, r->run[i].addr + at, n, v->io);
		}
	}
	return err;
}

/* Opens every block that was written since the newest root and is still referred to. */
static int verify_new(struct secvol *v)
{
	struct sv_key first = sv_key(0, 0, 0);

	for (struct sv_delta_entry *e = sv_delta_find(&v->delta, &first); e; e = e->next[0]) {
		int err = e->deleted || e->key.type != SV_EXTENT
				  ? 0
				  : sv_extent_verify(v, &e->key, e->val, e->size);

		if (err)
			return err;
	}
	return 0;
}

/*
 * After a failed write or flush nothing written since the last good flush is sure to be there, even
 * if reads show it: all of it is written again, flushed, and then opened. Fails for good otherwise.
 */
static int write_again(struct secvol *v, const struct sv_runs *runs, bool lost)
{
	int err = lost ? -EIO : rewrite_runs(v, runs);

	if (!err)
		err = rewrite_runs(v, &v->unflushed);
	if (!err)
		err = bs_run(v->bs, v->queue.req, v->queue.reqs);
	if (!err)
		err = bs_flush(v->bs);
	return err ? err : verify_new(v);
}

/* ---- the commit ------------------------------------------------------------------------------ */

/* Commit lock and mutex held; gives the mutex up while the store works. */
static int submit(struct secvol *v)
{
	struct sv_queue *q = &v->queue;
	struct sv_runs runs = v->unflushed;
	bool lost = v->unflushed_lost;
	u64 seq = v->log.seq - 1;
	u64 group = ++v->groups_begun;
	int err;

	memset(&v->unflushed, 0, sizeof(v->unflushed));
	v->unflushed_lost = false;
	q->in_flight = true;
	if (!sv_fault(v, SECVOL_FAULT_GROUP_LATE))
		v->dirty = false; /* what others change from here on is the next group's */
	sv_unlock(v);
	err = sv_fault(v, SECVOL_FAULT_ANCHOR_LATE) ? 0 : sv_anchor_announce(v, &v->making, false);
	if (err) {
		sv_lock(v);
		goto out;
	}
	err = bs_run(v->bs, q->req, q->reqs);
	if (!err && !sv_fault(v, SECVOL_FAULT_LOG_EARLY_ACK))
		err = bs_flush(v->bs);
	sv_lock(v);
	if (err)
		err = write_again(v, &runs, lost);
	if (!err && sv_fault(v, SECVOL_FAULT_ANCHOR_LATE))
		err = sv_anchor_announce(v, &v->making, false);
out:
	if (sv_fault(v, SECVOL_FAULT_GROUP_LATE))
		v->dirty = false;
	sv_free(v, runs.run, runs.cap * sizeof(struct sv_run));
	q->in_flight = false;
	q->reqs = 0;
	q->blocks = 0;
	if (err)
		return sv_fail(v, err);
	v->log.flushed_seq = seq;
	v->groups_durable = group;
	v->state = v->making;
	return 0;
}

int sv_log_commit(struct secvol *v)
{
	int err;

	if (v->failed)
		return v->failed;
	if (!v->log.segs.n || v->log.full || v->open_commit_due || v->next_ctr > 1ull << 31 ||
	    v->delta.bytes > v->delta_max || v->log.blocks >= v->log_max ||
	    v->freed_blocks > v->frees_max)
		return sv_commit(v, false);
	v->queue.stamp++;
	v->queue.filling = true;
	err = sv_flush_inodes(v);
	v->queue.filling = false;
	if (!err)
		err = group_seal(v);
	if (err == -ENOSPC) { /* blocks without COMMIT that may be there by then mean nothing */
		err = sv_queue_run(v);
		return err ? sv_fail(v, err) : sv_commit(v, false);
	}
	if (err) {
		/* What is queued must reach the store: clean pages refer to it, and the next block
		   of the log follows what was sealed. */
		int lost = sv_queue_run(v);

		if (lost)
			sv_fail(v, lost);
		return err;
	}
	return submit(v);
}
