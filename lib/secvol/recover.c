/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the index log back. It ends at the first block that does not open. Of its groups, those
 * are taken whose durability a later block attests (flushed_seq); the last one may have been on its
 * way when the power went, so it only counts if every data block it refers to opens. Nothing is
 * written here.
 *
 * Three passes over the log, each checking every tag: find its end, check the last group, take it
 * over into the delta table. Memory is bounded by the log's size, time does not depend on the
 * volume's: what the records replaced is looked up when the open commit merges them
 * (sv_log_settle).
 */
#include "lib/secvol/secvol_priv.h"

#include "abi/errno.h"
#include "lib/crypto/crypto.h"
#include "lib/crypto/sha256.h"

#define WINDOW	    64u
#define SEGMENT_MIN 8u
#define SEGMENT_MAX 256u

struct scan {
	struct secvol *v;
	struct sv_run seg;
	u32 pos; /* of the next block in it */
	u64 seq; /* which it must have */
	u8 chain[32];
	u8 *window; /* transfer memory, WINDOW blocks */
	u64 window_at;
	u32 window_count;
	bool second; /* the copies are read */
	/* of the block read last, whose plaintext is in log.buf */
	u32 len;
	bool commit;
	u64 flushed_seq;
	u8 digest[32];	    /* of the whole block, when there is an anchor */
	struct sv_run next; /* count 0: the same segment */
};

static void scan_begin(struct scan *s)
{
	struct sv_log *l = &s->v->log;

	s->seg = l->segs.run[0];
	s->pos = 0;
	s->seq = l->first_seq;
	memcpy(s->chain, l->seed, 32);
	s->window_count = 0;
}

/* One block of the segment into trusted memory. */
static int fetch(struct scan *s, u32 at, u8 *to)
{
	u64 addr = s->seg.addr + (s->second ? s->seg.count : 0) + at;

	if (addr < s->window_at || addr >= s->window_at + s->window_count) {
		u32 n = MIN(WINDOW, s->seg.count - at);
		int err = bs_read(s->v->bs, addr, n, s->window);

		if (err)
			return err;
		s->window_at = addr;
		s->window_count = n;
	}
	memcpy(to, s->window + (addr - s->window_at) * SV_BLOCK, SV_BLOCK);
	return 0;
}

/* The header decides only how much is read; all of it is under the tag. */
static bool header_fits(const struct scan *s, const struct sv_log_header *h, u32 *ret_blocks)
{
	u32 len = le32_get(h->len), max = sv_log_block_max(s->seg.count);

	if (le32_get(h->magic) != SV_LOG_MAGIC || le64_get(h->seq) != s->seq ||
	    le32_get(h->kid) != s->v->kid || le32_get(h->flags) & ~SV_LOG_COMMIT || len < 8 ||
	    len > SV_LOG_BLOCKS * SV_BLOCK)
		return false;
	*ret_blocks = (u32)(sizeof(*h) + len + 32 + SV_BLOCK - 1) / SV_BLOCK;
	return *ret_blocks <= max && *ret_blocks <= s->seg.count - s->pos;
}

static int open_block(struct scan *s, const struct sv_log_header *h, u8 *body, u32 len,
		      const u8 *trailer)
{
	struct secvol *v = s->v;
	const struct aes_gcm *ctx;
	u8 nonce[AES_GCM_NONCE], digest[32];
	struct sv_log_aad aad;
	int err;

	sv_log_aad(v, &aad, h, s->chain);
	if (!sv_sealed(v)) {
		sv_log_hash(&aad, body, len, digest);
		return crypto_equal(digest, trailer, 32) || sv_fault(v, SECVOL_FAULT_NO_TAG_CHECK)
			       ? 0
			       : -EBADMSG;
	}
	err = sv_session_ctx(v, v->kid, &ctx);
	if (err)
		return err;
	if (!mem_is_zero(trailer + 16, 16))
		return -EBADMSG;
	sv_make_nonce(nonce, le64_get(h->ctr), SV_DOM_LOG);
	return aes_gcm_open(ctx, nonce, &aad, sizeof(aad), body, body, len, trailer);
}

static int take_next_segment(struct scan *s, const u8 *body)
{
	u64 next = le64_at(body);

	s->next.addr = next & ((1ull << 48) - 1);
	s->next.count = (u32)(next >> 48);
	if (next &&
	    (s->next.count < SEGMENT_MIN || s->next.count > SEGMENT_MAX ||
	     s->next.addr < SV_FIRST_AG ||
	     !range_within(s->next.addr, sv_copies(s->v) * s->next.count, s->v->size_blocks)))
		return -EUCLEAN;
	return 0;
}

static int scan_block(struct scan *s)
{
	struct sv_log *l = &s->v->log;
	struct sv_log_header h;
	u8 *body = l->buf + sizeof(h), *trailer;
	u32 blocks;
	int err;

	if (s->seg.count - s->pos == 0)
		return -ENOENT;
	err = fetch(s, s->pos, l->buf);
	if (err)
		return err;
	memcpy(&h, l->buf, sizeof(h));
	if (!header_fits(s, &h, &blocks))
		return -ENOENT;
	for (u32 i = 1; i < blocks; i++) {
		err = fetch(s, s->pos + i, l->buf + i * SV_BLOCK);
		if (err)
			return err;
	}
	s->len = le32_get(h.len);
	trailer = l->buf + blocks * SV_BLOCK - 32;
	if (s->v->p.anchor)
		sha256(l->buf, blocks * SV_BLOCK, s->digest);
	if (!mem_is_zero(body + s->len, (size_t)(trailer - (body + s->len))))
		return -ENOENT;
	err = open_block(s, &h, body, s->len, trailer);
	if (err)
		return err == -EBADMSG ? -ENOENT : err;
	s->commit = le32_get(h.flags) & SV_LOG_COMMIT;
	s->flushed_seq = le64_get(h.flushed_seq);
	if (s->flushed_seq >= s->seq)
		return -EUCLEAN;
	err = take_next_segment(s, body);
	if (err)
		return err;
	memcpy(s->chain, trailer, 32);
	s->seq++;
	if (s->next.count) {
		s->seg = s->next;
		s->pos = 0;
		s->window_count = 0;
	} else {
		s->pos += blocks;
	}
	return 0;
}

/* The next block: 0, -ENOENT at the end of the log, or why the volume cannot be opened. */
static int scan_next(struct scan *s)
{
	int err, second;

	s->second = false;
	err = scan_block(s);
	if (!err || err == -ENOMEM || !s->v->dup)
		return err;
	s->second = true;
	second = scan_block(s);
	return !second || err == -ENOENT ? second : err;
}

int sv_log_item_next(const u8 *body, u32 len, u32 *at, struct sv_log_item *item)
{
	const struct sv_log_record *r = (const struct sv_log_record *)(body + *at);

	if (*at == len)
		return -ENOENT;
	if (len - *at < sizeof(*r))
		return -EUCLEAN;
	item->kind = r->kind;
	item->size = le16_get(r->size);
	item->key = sv_key_decode(r->key);
	item->val = (const u8 *)(r + 1);
	if (len - *at - sizeof(*r) < item->size || item->size > SV_ITEM_MAX)
		return -EUCLEAN;
	*at += (u32)sizeof(*r) + item->size;
	switch (item->kind) {
	case SV_LOG_PUT: return 0;
	case SV_LOG_DEL: return item->size == 0 ? 0 : -EUCLEAN;
	case SV_LOG_TX_END:
		return item->size == SV_LOG_END_SHORT || item->size == sizeof(struct sv_log_end)
			       ? 0
			       : -EUCLEAN;
	}
	return -EUCLEAN;
}

/* The blocks of an extent that this root's log brought; older ones were durable before. */
int sv_extent_verify(struct secvol *v, const struct sv_key *key, const u8 *val, u32 size)
{
	struct sv_extent_mem e;
	const u8 *macs;
	int err = sv_extent_decode(v, key, val, size, &e, &macs);

	if (!err && e.ptr.birth == v->gen + 1)
		err = sv_extent_open(v, key->obj, &e, macs);
	return err;
}

/* Data that does not open, as opposed to a store that does not answer. */
static bool is_torn(int err)
{
	return err == -EBADMSG || err == -EUCLEAN;
}

static int verify_block(struct scan *s)
{
	struct sv_log_item item;
	u32 at = 8;
	int err;

	while ((err = sv_log_item_next(s->v->log.buf + sizeof(struct sv_log_header), s->len, &at,
				       &item)) == 0) {
		if (item.kind == SV_LOG_PUT && item.key.type == SV_EXTENT)
			err = sv_extent_verify(s->v, &item.key, item.val, item.size);
		if (err)
			return err;
	}
	return err == -ENOENT ? 0 : err;
}

/* Pass 1 and 2: the last block of the last group that counts; 0: none. */
static int find_end(struct scan *s, u64 *ret_last, u64 *ret_seen)
{
	u64 flushed = 0, group = 0, last = 0;
	bool is_good = true;
	int err;

	scan_begin(s);
	while ((err = scan_next(s)) == 0) {
		flushed = MAX(flushed, s->flushed_seq);
		if (s->commit)
			last = s->seq - 1;
	}
	*ret_seen = s->seq;
	*ret_last = last;
	if (err != -ENOENT)
		return err;
	if (last <= flushed || sv_fault(s->v, SECVOL_FAULT_LOG_UNVERIFIED))
		return 0;
	*ret_last = 0;
	scan_begin(s);
	while (s->seq <= last) {
		err = scan_next(s);
		if (err)
			return err == -ENOENT ? -EBADMSG : err; /* it was there a moment ago */
		if (s->seq - 1 > flushed && is_good) {
			err = verify_block(s);
			if (err && !is_torn(err))
				return err;
			is_good = !err;
		}
		if (!s->commit)
			continue;
		if (!is_good)
			return 0;
		group = s->seq - 1;
		*ret_last = group;
	}
	return 0;
}

static int apply_end(struct secvol *v, const struct sv_log_item *item)
{
	const struct sv_log_end *end = (const struct sv_log_end *)item->val;
	u64 next = le64_get(end->next_obj);

	if (next < v->next_obj || (item->size == sizeof(*end)) != v->root_reserves)
		return -EUCLEAN;
	if (v->root_reserves)
		v->promised = le64_get(end->promised);
	v->next_obj = next;
	v->files = le64_get(end->files);
	return 0;
}

static int apply_block(struct scan *s)
{
	struct secvol *v = s->v;
	struct sv_log_item item;
	u32 at = 8;
	int err;

	while ((err = sv_log_item_next(v->log.buf + sizeof(struct sv_log_header), s->len, &at,
				       &item)) == 0) {
		if (item.kind == SV_LOG_TX_END)
			err = apply_end(v, &item);
		else
			err = sv_delta_put(v, &item.key, item.kind == SV_LOG_PUT ? item.val : NULL,
					   item.size);
		if (err)
			return err;
	}
	return err == -ENOENT ? 0 : err;
}

/* Pass 3. */
static int apply(struct scan *s, u64 last, struct secvol_report *report)
{
	struct sv_log *l = &s->v->log;
	int err = 0;

	scan_begin(s);
	while (!err && s->seq <= last) {
		struct sv_run seg = s->seg;

		err = scan_next(s);
		if (err)
			return err == -ENOENT ? -EBADMSG : err;
		if (seg.addr != l->segs.run[l->segs.n - 1].addr) {
			err = sv_runs_reserve(s->v, &l->segs, 1);
			if (!err)
				l->segs.run[l->segs.n++] = seg;
		}
		if (s->commit) {
			s->v->state.seq = s->seq - 1;
			memcpy(s->v->state.sha256, s->digest, 32);
		}
		report->log_blocks++;
		report->log_groups += s->commit;
		l->blocks++;
		if (!err)
			err = apply_block(s);
	}
	return err;
}

int sv_log_read(struct secvol *v, struct secvol_report *report)
{
	struct scan s = {.v = v};
	struct sv_log *l = &v->log;
	u64 last = 0, seen = 0;
	int err;

	if (!l->segs.n)
		return 0;
	l->buf = sv_alloc(v, SV_LOG_BLOCKS * SV_BLOCK);
	s.window = v->bs->ops->buf_alloc(v->bs, WINDOW * SV_BLOCK);
	err = l->buf && s.window ? find_end(&s, &last, &seen) : -ENOMEM;
	if (!err && last)
		err = apply(&s, last, report);
	if (s.window)
		v->bs->ops->buf_free(v->bs, s.window, WINDOW * SV_BLOCK);
	l->seq = MAX(l->first_seq, seen);
	(void)sv_delta_take_unlogged(v);
	v->dirty = false;
	return err;
}

/* ---- read-write ------------------------------------------------------------------------------ */

static void sift(struct sv_run *run, u32 at, u32 n)
{
	for (u32 child; (child = 2 * at + 1) < n; at = child) {
		struct sv_run swap = run[at];

		if (child + 1 < n && run[child + 1].addr > run[child].addr)
			child++;
		if (run[at].addr >= run[child].addr)
			return;
		run[at] = run[child];
		run[child] = swap;
	}
}

static void runs_sort(struct sv_runs *r)
{
	for (u32 i = r->n / 2; i-- > 0;)
		sift(r->run, i, r->n);
	for (u32 n = r->n; n > 1; n--) {
		struct sv_run swap = r->run[0];

		r->run[0] = r->run[n - 1];
		r->run[n - 1] = swap;
		sift(r->run, 0, n - 1);
	}
}

static bool runs_contain(const struct sv_runs *r, u64 addr)
{
	u32 lo = 0, hi = r->n;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (r->run[mid].addr + r->run[mid].count <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < r->n && r->run[lo].addr <= addr;
}

static int claim_extent(struct secvol *v, struct sv_delta_entry *e)
{
	struct sv_extent_mem x;
	const u8 *macs;
	u32 taken;
	int err = sv_extent_decode(v, &e->key, e->val, e->size, &x, &macs);

	if (!err)
		err = sv_runs_reserve(v, &v->recovered, 1);
	if (!err)
		err = sv_alloc_claim(v, x.ptr.addr, x.ptr.nblk, &taken);
	if (err)
		return err;
	sv_session_live(v, x.ptr.kid, taken);
	v->recovered.run[v->recovered.n].addr = x.ptr.addr;
	v->recovered.run[v->recovered.n++].count = x.ptr.nblk;
	return 0;
}

int sv_log_claim(struct secvol *v)
{
	struct sv_key first = sv_key(0, 0, 0);
	struct sv_runs *r = &v->recovered;
	u32 taken;
	int err = 0;

	for (u32 i = 1; !err && i < v->log.segs.n; i++) {
		u32 count = sv_copies(v) * v->log.segs.run[i].count;

		err = sv_alloc_claim(v, v->log.segs.run[i].addr, count, &taken);
		if (!err && taken != count)
			err = -EUCLEAN;
	}
	for (struct sv_delta_entry *e = sv_delta_find(&v->delta, &first); !err && e; e = e->next[0])
		if (!e->deleted && e->key.type == SV_EXTENT)
			err = claim_extent(v, e);
	if (err)
		return err;
	runs_sort(r);
	for (u32 i = 1; i < r->n; i++)
		if (r->run[i - 1].addr + r->run[i - 1].count > r->run[i].addr)
			return -EUCLEAN; /* a block with two owners */
	v->dirty = false;
	return 0;
}

/* Frees what an extent of the tree loses by the log's record under its key. */
static int settle_extent(struct secvol *v, const struct sv_key *key)
{
	struct sv_extent_mem x;
	const u8 *val, *macs;
	u32 size;
	int err = sv_base_lookup(v, &v->fs, key, &val, &size);

	if (err)
		return err == -ENOENT ? 0 : err;
	err = sv_extent_decode(v, key, val, size, &x, &macs);
	if (!err)
		err = sv_free_reserve(v, SV_EXTENT_BLOCKS);
	for (u32 i = 0; !err && i < x.ptr.nblk; i++) {
		if (runs_contain(&v->recovered, x.ptr.addr + i))
			continue;
		sv_free_blocks(v, x.ptr.addr + i, 1, x.ptr.birth, x.ptr.kid);
	}
	return err;
}

int sv_log_settle(struct secvol *v)
{
	struct sv_key first = sv_key(0, 0, 0);
	int err = 0;

	for (struct sv_delta_entry *e = sv_delta_find(&v->delta, &first); !err && e;
	     e = e->next[0]) {
		err = sv_base_load(v, &v->fs, &e->key, &e->key);
		if (!err && e->key.type == SV_EXTENT)
			err = settle_extent(v, &e->key);
		sv_nodes_trim(v);
	}
	sv_free(v, v->recovered.run, v->recovered.cap * sizeof(struct sv_run));
	memset(&v->recovered, 0, sizeof(v->recovered));
	return err;
}
