// SPDX-License-Identifier: Apache-2.0
/*
 * Crash exploration. The log of a run is cut into epochs by its flushes. At the end of each epoch,
 * before its flush returns, every subset of the epoch's writes may be on the disk; that moment is
 * also the strictest, since all commits acknowledged so far must be there. The recovered volume
 * must equal the last acknowledged commit point or the one being made, exactly.
 *
 * States are told apart by a fingerprint over the blocks that differ, so each is recovered once per
 * set of commit points that it may equal.
 */
#include "tests/secvol/explore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crypto/sha256.h"
#include "lib/secvol/secvol_priv.h"

struct point {
	u32 at; /* log position when the commit returned */
	u8 digest[32];
};

struct run {
	struct bs_sim *sim;
	struct sim_state base; /* what is surely on the disk */
	struct point *points;
	u32 point_count;
	struct snap_point {
		const char *name;
		u8 digest[32]; /* of the tree */
	} snaps[16];
	u32 snap_count;
	struct root_point {
		u64 gen;
		u8 digest[32];
	} older, newest; /* of the last two checkpoints */
	u64 fingerprint; /* of base */
	u32 at;		 /* end of the epoch in the log */
};

/* ---- surroundings --------------------------------------------------------------------------- */

static void *env_alloc(void *arg, size_t size)
{
	struct test_env *e = arg;
	void *p;

	if (e->fail_alloc && --e->fail_alloc == 0)
		return NULL;
	if (size > MIB(64)) /* as a kernel's heap would say to a forged size */
		return NULL;
	p = aligned_alloc(64, ALIGN_UP(size, (size_t)64));
	if (p)
		e->live += size;
	return p;
}

static void env_free(void *arg, void *p, size_t size)
{
	struct test_env *e = arg;

	e->live -= size;
	free(p);
}

static int env_random(void *arg, void *bytes, size_t size)
{
	struct test_env *e = arg;
	u8 *at = bytes;

	for (size_t i = 0; i < size; i++) {
		e->random ^= e->random << 13;
		e->random ^= e->random >> 7;
		e->random ^= e->random << 17;
		at[i] = (u8)(e->random >> 24);
	}
	return 0;
}

static void env_now(void *arg, s64 *sec, u32 *nsec)
{
	struct test_env *e = arg;

	*sec = ++e->time;
	*nsec = 0;
}

void test_env_init(struct test_env *e)
{
	memset(e, 0, sizeof(*e));
	e->random = 0x123456789abcdefull;
	e->env = (struct secvol_env){.arg = e,
				     .alloc = env_alloc,
				     .free = env_free,
				     .random = env_random,
				     .now = env_now};
}

/* ---- nonce audit ---------------------------------------------------------------------------- */

struct nonce_audit {
	u64 *table; /* 64-bit digests; a false alarm needs 2^32 of them */
	u64 room, count, repeated;
};

static void audit_put(struct nonce_audit *a, u64 key);

static void audit_grow(struct nonce_audit *a)
{
	struct nonce_audit bigger = {.room = a->room ? 2 * a->room : 1 << 16};

	bigger.table = calloc(bigger.room, sizeof(u64));
	for (u64 i = 0; i < a->room; i++)
		if (a->table[i])
			audit_put(&bigger, a->table[i]);
	bigger.repeated = a->repeated;
	free(a->table);
	*a = bigger;
}

static void audit_put(struct nonce_audit *a, u64 key)
{
	if (a->count * 2 >= a->room)
		audit_grow(a);
	for (u64 i = key % a->room;; i = (i + 1) % a->room) {
		if (a->table[i] == key) {
			a->repeated++;
			return;
		}
		if (!a->table[i]) {
			a->table[i] = key;
			a->count++;
			return;
		}
	}
}

static u64 mix(u64 x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static u64 hash_bytes(u64 h, const u8 *bytes, size_t size)
{
	u64 word;

	for (; size >= 8; size -= 8, bytes += 8) {
		memcpy(&word, bytes, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	for (; size; size--, bytes++)
		h = (h ^ *bytes) * 0x100000001b3ull;
	return mix(h);
}

static void on_nonce(void *arg, const u8 key_id[32], const u8 nonce[12])
{
	struct explore *x = arg;
	u64 h = hash_bytes(hash_bytes(1, key_id, 32), nonce, 12);

	audit_put(x->audit, h ? h : 1);
}

u64 nonce_audit_repeated(const struct explore *x)
{
	return x->audit->repeated;
}

u64 nonce_audit_count(const struct explore *x)
{
	return x->audit->count;
}

/* ---- volumes -------------------------------------------------------------------------------- */

static struct secvol_fixed_key test_key = {
	.type = SECVOL_SLOT_USER, .size = 16, .key = "explorer's key."};

struct secvol_params explore_params(struct explore *x, struct bs *bs)
{
	static struct secvol_key_source source;

	secvol_fixed_key_source(&source, &test_key);
	return (struct secvol_params){
		.env = &x->env.env,
		.bs = bs,
		.mode = x->plain ? SECVOL_HASH : SECVOL_SEALED,
		.suite = x->plain ? SECVOL_SUITE_NONE : SECVOL_AES128_GCM,
		.role = SECVOL_ROLE_DATA,
		.keys = &source,
		.plain_rw = x->plain,
		.unpinned = x->plain,
		.cache_bytes = 1 << 20,
		.discard = x->discard,
		.anchor = x->strict ? &x->anchor : NULL,
		.hooks = &x->hooks,
	};
}

static int anchor_get(void *arg, const u8 id[32], struct secvol_anchored *ret)
{
	struct explore *x = arg;

	if (!x->anchor_knows)
		return -ENOENT;
	*ret = x->anchored;
	return 0;
}

static int anchor_put(void *arg, const u8 id[32], const struct secvol_anchored *expected,
		      const struct secvol_anchored *to)
{
	struct explore *x = arg;

	if (!secvol_anchored_equal(&x->anchored, expected))
		return -ESTALE;
	x->anchored = *to;
	x->anchor_knows = true;
	if (x->anchor_sim) {
		x->anchor_points = reallocarray(x->anchor_points, x->anchor_count + 1,
						sizeof(*x->anchor_points));
		x->anchor_points[x->anchor_count++] =
			(struct anchor_point){x->anchor_sim->log_count, *to};
	}
	return 0;
}

/* What the anchor held when the log had `at` entries. */
static void anchor_set(struct explore *x, u32 at)
{
	for (u32 i = x->anchor_count; i-- > 0;)
		if (x->anchor_points[i].at <= at) {
			x->anchored = x->anchor_points[i].value;
			return;
		}
}

void explore_init(struct explore *x)
{
	*x = (struct explore){
		.blocks = EXPLORE_BLOCKS, .exhaustive = 8, .samples = 200, .torn = 4, .seed = 1};
	test_env_init(&x->env);
	x->audit = calloc(1, sizeof(*x->audit));
	x->anchor = (struct secvol_anchor){
		.policy = SECVOL_ANCHOR_STRICT, .arg = x, .get = anchor_get, .put = anchor_put};
	x->hooks = (struct secvol_hooks){.arg = x, .on_nonce = on_nonce};
	x->seen_room = 1 << 16;
	x->seen = calloc(x->seen_room, sizeof(*x->seen));
}

void explore_fini(struct explore *x)
{
	free(x->audit->table);
	free(x->audit);
	free(x->seen);
	free(x->anchor_points);
}

static void violation(struct explore *x, const char *what, u32 epoch, int err)
{
	if (x->violations++ == 0)
		snprintf(x->first, sizeof(x->first), "%s (epoch %u, error %d)", what, epoch, err);
}

static bool seen_add(struct explore *x, u64 key)
{
	if (!key)
		key = 1;
	if ((x->states + 1) * 2 >= x->seen_room) {
		u64 room = x->seen_room, *old = x->seen;

		x->seen_room *= 2;
		x->seen = calloc(x->seen_room, sizeof(*x->seen));
		for (u64 i = 0; i < room; i++) {
			u64 at = old[i] % x->seen_room;

			if (!old[i])
				continue;
			while (x->seen[at])
				at = (at + 1) % x->seen_room;
			x->seen[at] = old[i];
		}
		free(old);
	}
	for (u64 i = key % x->seen_room;; i = (i + 1) % x->seen_room) {
		if (x->seen[i] == key)
			return false;
		if (!x->seen[i]) {
			x->seen[i] = key;
			return true;
		}
	}
}

static u64 block_hash(u64 block, const u8 *bytes)
{
	static const u8 zeros[BS_BLOCK];

	return hash_bytes(mix(block + 1), bytes ? bytes : zeros, BS_BLOCK);
}

/* ---- one state ------------------------------------------------------------------------------ */

static u32 draw(struct explore *x, u32 below)
{
	x->seed = x->seed * 1664525 + 1013904223;
	return (u32)(((u64)(x->seed >> 4) * below) >> 28);
}

/* Works on after recovery, is cut off once more, and must again be at a commit point. */
static void crash_again(struct explore *x, struct secvol *v, struct bs_sim *sim,
			const u8 before[32], u32 epoch)
{
	struct op op = {.kind = OP_WRITE, .a = "again", .len = 9000, .seed = x->seed};
	struct op make = {.kind = OP_CREATE, .a = "again"};
	struct sim_state base = sim_state_copy(&sim->now);
	u8 after[32], got[32];
	struct secvol_params p;
	struct secvol_report report;
	struct bs_sim *again;
	struct secvol *v2;
	u32 from = sim->log_count;
	int err;

	sim->logging = true;
	err = volume_apply(v, &make);
	if (!err || err == -EEXIST)
		err = volume_apply(v, &op);
	if (!err)
		err = secvol_commit(v);
	if (!err)
		err = volume_dump(v, after);
	if (err && err != -ENOSPC)
		violation(x, "a recovered volume cannot be worked on", epoch, err);
	for (u32 round = 0; !err && round < 6; round++) {
		again = bs_sim_from(&base);
		for (u32 i = from; i < sim->log_count; i++) {
			const struct sim_op *o = &sim->log[i];

			if (o->op == BS_FLUSH) {
				if (draw(x, 2))
					break;
				continue;
			}
			if (o->op != BS_WRITE || draw(x, 4) == 0)
				continue;
			for (u32 k = 0; k < o->count; k++)
				again->now.block[o->block + k] = o->payload + (size_t)k * BS_BLOCK;
		}
		p = explore_params(x, &again->bs);
		err = secvol_open(&p, &v2, &report);
		if (!err) {
			err = volume_dump(v2, got);
			secvol_abandon(v2);
		}
		/* Dropped writes before a passed flush: no crash state, only never-wrong counts. */
		if (!err && memcmp(got, before, 32) != 0 && memcmp(got, after, 32) != 0)
			violation(x, "a second crash gave a state that never was", epoch, 0);
		err = 0;
		bs_sim_free(again);
		x->recrashed++;
	}
	sim_state_free(&base);
}

/* What each snapshot holds is what the tree was when it was made. */
static int check_snapshots(struct explore *x, struct run *r, struct bs_sim *sim, struct secvol *v,
			   u32 epoch)
{
	static struct secvol_snapshot list[16];
	long n = secvol_snapshot_list(v, list, 16);

	for (long i = 0; i < n; i++) {
		struct secvol_params p = explore_params(x, &sim->bs);
		struct secvol *s;
		u8 got[32];
		u32 k = 0;
		int err;

		p.read_only = true;
		p.snapshot = list[i].name;
		p.anchor = NULL; /* it knows one opener */
		err = secvol_open(&p, &s, NULL);
		if (err)
			return err;
		err = volume_dump_tree(s, got);
		secvol_abandon(s);
		if (err)
			return err;
		while (k < r->snap_count && strcmp(r->snaps[k].name, list[i].name) != 0)
			k++;
		if (k == r->snap_count || memcmp(r->snaps[k].digest, got, 32) != 0)
			violation(x, "a snapshot holds what never was its content", epoch, 0);
		x->snaps_checked++;
	}
	return n < 0 ? (int)n : 0;
}

static void first_damage(void *arg, u64 obj, const char *what, int err)
{
	char *to = arg;

	if (!to[0])
		snprintf(to, 128, "the checker finds damage after recovery: object %llu: %s",
			 (unsigned long long)obj, what);
}

static void state_check(struct explore *x, struct run *r, const struct sim_state *state,
			u64 fingerprint, u32 epoch, u32 acked)
{
	struct bs_sim *sim;
	struct secvol_params p;
	struct secvol_report report;
	struct secvol *v;
	u8 got[32];
	int err;

	if (!seen_add(x, mix(fingerprint ^ mix(acked + 1)))) {
		x->skipped++;
		return;
	}
	x->states++;
	sim = bs_sim_from(state);
	p = explore_params(x, &sim->bs);
	anchor_set(x, r->at);
	err = secvol_open(&p, &v, &report);
	if (err) {
		violation(x, "a crash state does not open", epoch, err);
		bs_sim_free(sim);
		return;
	}
	/* What the first change would do, so that each state is also written on. */
	err = v->open_commit_due ? sv_open_commit(v) : 0;
	if (err)
		violation(x, "the open commit on a crash state fails", epoch, err);
	if (!err)
		err = volume_dump(v, got);
	if (err)
		violation(x, "a crash state opens but cannot be read", epoch, err);
	else if (memcmp(got, r->points[acked].digest, 32) != 0 &&
		 (acked + 1 >= r->point_count || memcmp(got, r->points[acked + 1].digest, 32) != 0))
		violation(x, "a crash state equals no commit point that it may", epoch, 0);
	x->log_states += report.log_groups > 0;
	if (!err && r->snap_count) {
		err = check_snapshots(x, r, sim, v, epoch);
		if (err)
			violation(x, "a snapshot cannot be read", epoch, err);
	}
	if (!err && x->states % 16 == 0) {
		char what[128] = "";

		err = secvol_check(v, first_damage, what);
		if (err)
			violation(x, what, epoch, err);
	}
	if (!err && x->states % 32 == 1)
		crash_again(x, v, sim, got, epoch);
	secvol_abandon(v);
	bs_sim_free(sim);
}

/* ---- the states of one epoch ---------------------------------------------------------------- */

struct epoch {
	const struct sim_op **ops; /* its writes and trims */
	u32 count;
	u32 index;
	u32 acked; /* newest commit point that must survive */
};

static u64 op_apply(struct sim_state *s, const struct sim_op *o)
{
	u64 change = 0;

	for (u32 i = 0; i < o->count; i++) {
		const u8 *to = o->op == BS_WRITE ? o->payload + (size_t)i * BS_BLOCK : NULL;

		change ^= block_hash(o->block + i, s->block[o->block + i]) ^
			  block_hash(o->block + i, to);
		s->block[o->block + i] = to;
	}
	return change;
}

static void try_subset(struct explore *x, struct run *r, const struct epoch *e, u64 mask)
{
	struct sim_state s = sim_state_copy(&r->base);
	u64 fp = r->fingerprint;

	for (u32 i = 0; i < e->count; i++)
		if (mask >> i & 1)
			fp ^= op_apply(&s, e->ops[i]);
	state_check(x, r, &s, fp, e->index, e->acked);
	sim_state_free(&s);
}

/* Write `torn` arrives with only the sectors of `sectors`, beside a subset of the others. */
static void try_torn(struct explore *x, struct run *r, const struct epoch *e, u64 mask, u32 torn,
		     u64 sectors)
{
	const struct sim_op *o = e->ops[torn];
	struct sim_state s = sim_state_copy(&r->base);
	u8 *mixed = calloc(o->count, BS_BLOCK);
	struct sim_op part = *o;
	u64 fp = r->fingerprint;

	for (u32 i = 0; i < e->count; i++)
		if (i != torn && (mask >> i & 1))
			fp ^= op_apply(&s, e->ops[i]);
	for (u32 k = 0; k < o->count * 8; k++) {
		const u8 *old = s.block[o->block + k / 8];
		const u8 *from = sectors >> (k % 64) & 1 ? o->payload + k * 512
				 : old			 ? old + k % 8 * 512
							 : NULL;

		if (from)
			memcpy(mixed + k * 512, from, 512);
	}
	part.payload = mixed;
	fp ^= op_apply(&s, &part);
	state_check(x, r, &s, fp, e->index, e->acked);
	sim_state_free(&s);
	free(mixed);
}

static void epoch_explore(struct explore *x, struct run *r, const struct epoch *e)
{
	u64 all = e->count >= 63 ? ~0ull : (1ull << e->count) - 1;

	if (e->count <= x->exhaustive) {
		for (u64 mask = 0; mask <= all; mask++)
			try_subset(x, r, e, mask);
	} else {
		u64 prefix = 0;

		try_subset(x, r, e, 0);
		for (u32 i = 0; i < e->count && i < 64; i++) {
			prefix |= 1ull << i;
			try_subset(x, r, e, prefix);
			try_subset(x, r, e, 1ull << i);
			try_subset(x, r, e, all & ~(1ull << i));
		}
		for (u32 i = 0; i < x->samples; i++)
			try_subset(x, r, e,
				   ((u64)draw(x, 1 << 28) << 36 ^ (u64)draw(x, 1 << 28) << 18 ^
				    draw(x, 1 << 28)) &
					   all);
	}
	for (u32 i = 0; i < e->count && i < 64; i++) {
		const struct sim_op *o = e->ops[i];
		bool root = o->block < 4;

		if (o->op != BS_WRITE || x->torn == 0)
			continue;
		for (u32 sectors = 1; root && sectors < 255; sectors++)
			try_torn(x, r, e, all, i, sectors);
		for (u32 k = 0; !root && k < x->torn; k++) {
			u64 sectors = k == 0 ? 1 : (u64)draw(x, 1 << 28) << 28 | draw(x, 1 << 28);

			try_torn(x, r, e, k % 2 ? all : draw(x, 1 << 28) & all, i, sectors);
		}
	}
}

static void log_explore(struct explore *x, struct run *r, u32 from)
{
	const struct sim_op **ops = calloc(r->sim->log_count + 1, sizeof(*ops));
	struct epoch e = {.ops = ops};

	for (u32 i = 0; i < r->sim->log_count; i++) {
		const struct sim_op *o = &r->sim->log[i];
		bool end = o->op == BS_FLUSH || i + 1 == r->sim->log_count;

		if (o->op == BS_WRITE || o->op == BS_TRIM)
			ops[e.count++] = o;
		if (!end)
			continue;
		while (e.acked + 1 < r->point_count &&
		       r->points[e.acked + 1].at <= i + (o->op != BS_FLUSH))
			e.acked++;
		r->at = i;
		if (i >= from)
			epoch_explore(x, r, &e);
		for (u32 k = 0; k < e.count; k++)
			r->fingerprint ^= op_apply(&r->base, ops[k]);
		e.count = 0;
		e.index++;
	}
	free(ops);
}

/* Every older state of the store under the anchor as it is at the end: refused. */
static void stale_explore(struct explore *x, struct run *r)
{
	struct sim_state disk = sim_state_copy(&r->base);

	memset(disk.block, 0, disk.count * sizeof(*disk.block));
	for (u32 i = 0; i < r->sim->log_count; i++) {
		const struct sim_op *o = &r->sim->log[i];
		struct bs_sim *sim;
		struct secvol_params p;
		struct secvol *v;
		u8 got[32];
		int err;

		if (o->op != BS_FLUSH) {
			op_apply(&disk, o);
			continue;
		}
		sim = bs_sim_from(&disk);
		p = explore_params(x, &sim->bs);
		p.read_only = true;
		anchor_set(x, UINT32_MAX);
		err = secvol_open(&p, &v, NULL);
		if (!err) {
			err = volume_dump(v, got);
			secvol_abandon(v);
			/* The newest, or the one it was announced over: as after a crash. */
			if (err || (memcmp(got, r->points[r->point_count - 1].digest, 32) != 0 &&
				    memcmp(got, r->points[r->point_count - 2].digest, 32) != 0))
				violation(x, "an older state passes the anchor", i, err);
		} else if (err == -ESTALE) {
			x->stale_refused++;
		} else if (err != -EUCLEAN) { /* nothing there yet */
			violation(x, "an older state fails with another error", i, err);
		}
		bs_sim_free(sim);
	}
	sim_state_free(&disk);
}

static u32 flush_count(const struct run *r)
{
	u32 n = 0;

	for (u32 i = 0; i < r->sim->log_count; i++)
		n += r->sim->log[i].op == BS_FLUSH;
	return n;
}

static void point_add(struct run *r, const u8 digest[32])
{
	r->points = reallocarray(r->points, r->point_count + 1, sizeof(*r->points));
	r->points[r->point_count].at = r->sim->log_count;
	memcpy(r->points[r->point_count++].digest, digest, 32);
}

struct meanwhile {
	struct secvol *v;
	struct op op; /* another seed each time */
	bool wanted;
	bool done;
};

static void do_meanwhile(void *arg)
{
	struct meanwhile *w = arg;

	if (w->v && w->wanted && !w->done && w->v->queue.in_flight) {
		w->done = true;
		w->op.seed++;
		(void)!volume_apply(w->v, &w->op);
	}
}

/* The owner goes back to an older root, and changes her mind: two more states, one by one. */
static void go_back(struct explore *x, struct run *r)
{
	const struct root_point *const to[] = {&r->older, &r->newest};
	u8 last[32];

	memcpy(last, r->points[r->point_count - 1].digest, 32);
	for (u32 i = 0; i < ARRAY_SIZE(to); i++) {
		struct secvol_params p = explore_params(x, &r->sim->bs);
		struct secvol_to_root made;
		int err = secvol_to_root(&p, to[i]->gen, false, &made);

		if (err)
			violation(x, "an older root cannot be gone back to", i, err);
		/* The newest one comes with what its log held. */
		point_add(r, i ? last : to[i]->digest);
	}
}

void explore_run(struct explore *x, const struct op *ops, u32 count)
{
	struct run r = {.sim = bs_sim_new(x->blocks)};
	struct secvol_params p = explore_params(x, &r.sim->bs);
	struct secvol_format_params f = {
		.size_blocks = x->volume_blocks ? x->volume_blocks : x->blocks, .dup = x->dup};
	struct secvol_report report;
	struct model *m = model_new();
	struct secvol *v;
	struct meanwhile w = {0};
	u8 digest[32], live[32], expect[32];
	u32 from;
	int err, want;

	r.base = sim_state_copy(&r.sim->now);
	r.sim->logging = true;
	x->anchor_sim = r.sim;
	x->anchor_count = 0;
	x->anchor_knows = false;
	memset(&x->anchored, 0, sizeof(x->anchored));
	err = secvol_format(&p, &f);
	if (!err)
		err = secvol_open(&p, &v, &report);
	if (err) {
		violation(x, "a new volume does not open", 0, err);
		goto out;
	}
	from = r.sim->log_count;
	r.sim->on_flush = do_meanwhile;
	r.sim->on_flush_arg = &w;
	w.v = v;
	if (x->meanwhile)
		w.op = *x->meanwhile;
	model_dump(m, digest);
	point_add(&r, digest);
	for (u32 i = 0; i < count; i++) {
		u32 flushes = flush_count(&r);

		w.wanted = x->meanwhile && op_is_commit(ops[i].kind);
		w.done = false;
		err = volume_apply(v, &ops[i]);
		/* A volume short of space commits by itself before an operation. */
		if (!op_is_commit(ops[i].kind) && flush_count(&r) != flushes) {
			model_dump(m, digest);
			point_add(&r, digest);
		}
		want = model_apply(m, &ops[i]);
		if (err != want && !x->hooks.faults) {
			char what[128];

			snprintf(what, sizeof(what),
				 "operation %u (kind %d, %s %s) gives %d, the model %d", i,
				 ops[i].kind, ops[i].a, ops[i].b ? ops[i].b : "", err, want);
			violation(x, what, 0, err);
			break;
		}
		if (!op_is_commit(ops[i].kind))
			continue;
		if (ops[i].kind == OP_SNAP && !want) {
			model_dump_tree(m, r.snaps[r.snap_count].digest);
			r.snaps[r.snap_count++].name = ops[i].a;
		}
		model_dump(m, digest);
		if (w.done)
			(void)!model_apply(m, &w.op);
		model_dump(m, expect);
		err = volume_dump(v, live);
		if ((err || memcmp(expect, live, 32) != 0) && !x->hooks.faults)
			violation(x, "volume and model differ without any crash", i, err);
		if (ops[i].kind == OP_CHECKPOINT) {
			r.older = r.newest;
			r.newest.gen = v->gen;
			memcpy(r.newest.digest, digest, 32);
		}
		/* One that had nothing to commit is no new point. */
		if (flush_count(&r) != flushes ||
		    memcmp(digest, r.points[r.point_count - 1].digest, 32) != 0)
			point_add(&r, digest);
	}
	secvol_abandon(v);
	x->anchor_sim = NULL;
	if (x->goes_back)
		go_back(x, &r);
	log_explore(x, &r, from);
	if (x->strict)
		stale_explore(x, &r);
out:
	model_free(m);
	sim_state_free(&r.base);
	free(r.points);
	bs_sim_free(r.sim);
}
