/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile storage: whatever the host does to the blocks, a volume gives an error that says so, or
 * the right data, or (where nothing but an anchor could tell) one complete older state. Never other
 * data, never a crash.
 */
#define _GNU_SOURCE
#include "tests/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/secvol/explore.h"

enum { STATES_MAX = 16, CHECKPOINTED = 7 };

struct subject {
	struct explore x;
	struct sim_state disk; /* after the last commit */
	struct bs_sim *sim;
	bool *tail;		    /* written since the newest root: their loss ends the log */
	u8 digests[STATES_MAX][32]; /* after each commit; the last is current */
	u32 count;
	u32 outcomes[256]; /* by -errno; [0]: right data, [255]: an older state */
};

static const struct op history[] = {
	{.kind = OP_MKDIR, .a = "d"},
	{.kind = OP_CREATE, .a = "a"},
	{.kind = OP_WRITE, .a = "a", .len = 1500, .seed = 1},
	{.kind = OP_CREATE, .a = "d/big"},
	{.kind = OP_WRITE, .a = "d/big", .len = 90000, .seed = 2},
	{.kind = OP_COMMIT},
	{.kind = OP_SYMLINK, .a = "e", .b = "d/big"},
	{.kind = OP_WRITE, .a = "d/big", .off = 5000, .len = 20000, .seed = 3},
	{.kind = OP_COMMIT},
	{.kind = OP_CREATE, .a = "d/c"},
	{.kind = OP_WRITE, .a = "d/c", .len = 40000, .seed = 4},
	{.kind = OP_WRITE, .a = "a", .off = 10, .len = 100, .seed = 5},
	{.kind = OP_COMMIT},
	{.kind = OP_WRITE, .a = "d/c", .off = 8192, .len = 4096, .seed = 6},
	{.kind = OP_RENAME, .a = "a", .b = "d/a"},
	{.kind = OP_COMMIT},
	{.kind = OP_TRUNCATE, .a = "d/big", .len = 70000},
	{.kind = OP_COMMIT},
};

static void find_tail(struct subject *s)
{
	s->tail = calloc(EXPLORE_BLOCKS, sizeof(bool));
	for (u32 i = 0; i < s->sim->log_count; i++) {
		const struct sim_op *o = &s->sim->log[i];

		if (o->op == BS_WRITE && o->block < 4)
			memset(s->tail, 0, EXPLORE_BLOCKS * sizeof(bool));
		else if (o->op == BS_WRITE)
			memset(s->tail + o->block, 1, o->count);
	}
}

static void subject_make(struct subject *s, bool plain, u64 random)
{
	struct secvol_format_params f = {.size_blocks = EXPLORE_BLOCKS};
	struct secvol_report report;
	struct secvol_params p;
	struct secvol *v;

	memset(s, 0, sizeof(*s));
	explore_init(&s->x);
	s->x.env.random ^= random;
	s->x.plain = plain;
	s->sim = bs_sim_new(EXPLORE_BLOCKS);
	s->sim->logging = true;
	p = explore_params(&s->x, &s->sim->bs);
	assert_int_equal(secvol_format(&p, &f), 0);
	assert_int_equal(secvol_open(&p, &v, &report), 0);
	assert_int_equal(volume_dump(v, s->digests[s->count++]), 0);
	for (u32 i = 0; i < ARRAY_SIZE(history); i++) {
		assert_int_equal(volume_apply(v, &history[i]), 0);
		if (history[i].kind == OP_COMMIT)
			assert_int_equal(volume_dump(v, s->digests[s->count++]), 0);
	}
	if (random == CHECKPOINTED)
		assert_int_equal(secvol_checkpoint(v), 0);
	secvol_abandon(v);
	find_tail(s);
	s->disk = sim_state_copy(&s->sim->now);
}

static void subject_free(struct subject *s)
{
	assert_int_equal(nonce_audit_repeated(&s->x), 0);
	assert_int_equal(s->x.env.live, 0);
	free(s->tail);
	sim_state_free(&s->disk);
	bs_sim_free(s->sim);
	explore_fini(&s->x);
}

/* Opens and reads everything. The errno; 0: the current data; 255: an older complete state. */
static int look(struct subject *s, struct bs_sim *sim, bool read_only)
{
	struct secvol_params p = explore_params(&s->x, &sim->bs);
	struct secvol_report report;
	struct secvol *v;
	u8 got[32];
	int err;

	p.read_only = read_only;
	err = secvol_open(&p, &v, &report);
	if (!err) {
		err = volume_dump(v, got);
		if (!read_only)
			(void)!secvol_check(v, NULL, NULL);
		secvol_abandon(v);
	}
	if (err) {
		if (err != -EBADMSG && err != -EUCLEAN && err != -EKEYREJECTED)
			fail_msg("error %d for tampered storage", err);
		s->outcomes[-err]++;
		return -err;
	}
	for (u32 i = s->count; i-- > 0;)
		if (memcmp(got, s->digests[i], 32) == 0) {
			s->outcomes[i + 1 == s->count ? 0 : 255]++;
			return i + 1 == s->count ? 0 : 255;
		}
	fail_msg("tampered storage gave data that never was");
	return -1;
}

static int look_at(struct subject *s, const struct sim_state *state)
{
	struct bs_sim *sim = bs_sim_from(state);
	int outcome = look(s, sim, true);

	bs_sim_free(sim);
	return outcome;
}

static void show(struct subject *s, const char *what)
{
	print_message(
		"%s: right data %u, older state %u, EBADMSG %u, EUCLEAN %u, EKEYREJECTED %u\n",
		what, s->outcomes[0], s->outcomes[255], s->outcomes[EBADMSG], s->outcomes[EUCLEAN],
		s->outcomes[EKEYREJECTED]);
	memset(s->outcomes, 0, sizeof(s->outcomes));
}

static void flips(struct subject *s, bool plain)
{
	u32 bit = 0;

	for (u64 b = 0; b < s->disk.count; b++) {
		u32 step = b < 4 ? 3 : 509;

		if (!s->disk.block[b])
			continue;
		for (u32 at = 0; at < BS_BLOCK; at += step) {
			struct bs_sim *sim = bs_sim_from(&s->disk);
			int outcome;

			bs_sim_edit(sim, b)[at] ^= (u8)(1 << (bit++ % 8));
			outcome = look(s, sim, at % 2);
			/* Only the loss of the newest root slot, or of what the log after it
			   needs, may lead back in time. */
			if (b >= 4 && !s->tail[b] && outcome == 255)
				fail_msg("a flipped bit in block %llu leads to an older state",
					 (unsigned long long)b);
			bs_sim_free(sim);
		}
	}
	show(s, plain ? "bit flips, plain" : "bit flips, sealed");
}

static void bit_flips(void **state)
{
	for (int run = 0; run < 4; run++) {
		int plain = run % 2;
		struct subject s;

		subject_make(&s, plain, run < 2 ? 0 : CHECKPOINTED);
		flips(&s, plain);
		subject_free(&s);
	}
}

static void swapped_blocks(void **state)
{
	struct subject s;

	subject_make(&s, false, 0);
	for (u64 a = 0; a < s.disk.count; a++)
		for (u64 b = a + 1; b < s.disk.count; b += 7) {
			struct sim_state t;

			if (!s.disk.block[a] && !s.disk.block[b])
				continue;
			t = sim_state_copy(&s.disk);
			t.block[a] = s.disk.block[b];
			t.block[b] = s.disk.block[a];
			look_at(&s, &t);
			sim_state_free(&t);
		}
	show(&s, "swaps");
	subject_free(&s);
}

/* Each block set back to each version it ever had, alone and together with all root slots. */
static void replayed_blocks(void **state)
{
	struct subject s;

	subject_make(&s, false, 0);
	for (u32 i = 0; i < s.sim->log_count; i++) {
		const struct sim_op *o = &s.sim->log[i];

		for (u32 k = 0; o->op == BS_WRITE && k < o->count; k++) {
			struct sim_state t = sim_state_copy(&s.disk);

			t.block[o->block + k] = o->payload + (size_t)k * BS_BLOCK;
			look_at(&s, &t);
			sim_state_free(&t);
		}
	}
	show(&s, "replayed blocks");
	subject_free(&s);
}

/* The whole store as it was at some moment: without an anchor an older state, and a whole one. */
static void replayed_images(void **state)
{
	struct sim_state t;
	struct subject s;

	subject_make(&s, false, 0);
	t = sim_state_copy(&s.disk);
	memset(t.block, 0, t.count * sizeof(*t.block));
	for (u32 i = 0; i < s.sim->log_count; i++) {
		const struct sim_op *o = &s.sim->log[i];

		for (u32 k = 0; o->op == BS_WRITE && k < o->count; k++)
			t.block[o->block + k] = o->payload + (size_t)k * BS_BLOCK;
		look_at(&s, &t);
	}
	assert_true(s.outcomes[0] > 0 && s.outcomes[255] > 0);
	show(&s, "replayed images");
	sim_state_free(&t);
	subject_free(&s);
}

/* Blocks of another volume of the same owner, key and history. */
static void spliced_volumes(void **state)
{
	struct subject s, other;

	subject_make(&s, false, 0);
	subject_make(&other, false, 0x5555);
	for (u64 b = 0; b < s.disk.count; b++) {
		struct sim_state t = sim_state_copy(&s.disk);

		t.block[b] = other.disk.block[b];
		look_at(&s, &t);
		for (u64 k = 0; k < b; k++) /* and all before it */
			t.block[k] = other.disk.block[k];
		if (b + 1 < s.disk.count / 2)
			look_at(&s, &t);
		sim_state_free(&t);
	}
	show(&s, "splices");
	subject_free(&other);
	subject_free(&s);
}

static void zeros_and_truncation(void **state)
{
	struct subject s;
	struct sim_state t;

	subject_make(&s, false, 0);
	for (u64 b = 0; b < s.disk.count; b++) {
		t = sim_state_copy(&s.disk);
		t.block[b] = NULL;
		look_at(&s, &t);
		sim_state_free(&t);
		t = sim_state_copy(&s.disk);
		memset(t.block + b, 0, (t.count - b) * sizeof(*t.block));
		look_at(&s, &t);
		sim_state_free(&t);
	}
	/* Nothing at all is no volume, and opening does not make one. */
	t = sim_state_copy(&s.disk);
	memset(t.block, 0, t.count * sizeof(*t.block));
	assert_int_equal(look_at(&s, &t), EUCLEAN);
	sim_state_free(&t);
	show(&s, "zeros and truncation");
	subject_free(&s);
}

struct flicker {
	u32 countdown;
	u32 byte;
};

static void flicker_read(void *arg, u64 block, u8 *bytes)
{
	struct flicker *f = arg;

	if (f->countdown && --f->countdown == 0)
		bytes[f->byte % BS_BLOCK] ^= 0x10;
}

/* A block that reads differently once. */
static void flickering_reads(void **state)
{
	struct subject s;

	subject_make(&s, false, 0);
	for (u32 n = 1; n < 120; n++) {
		struct bs_sim *sim = bs_sim_from(&s.disk);
		struct flicker f = {.countdown = n, .byte = n * 997};

		sim->on_read = flicker_read;
		sim->on_read_arg = &f;
		look(&s, sim, true);
		bs_sim_free(sim);
	}
	show(&s, "flickering reads");
	subject_free(&s);
}

static void wrong_callers(void **state)
{
	static struct secvol_fixed_key key = {
		.type = SECVOL_SLOT_USER, .size = 16, .key = "another key"};
	struct secvol_key_source source;
	struct secvol_report report;
	struct secvol_params p, q;
	struct subject s;
	struct bs_sim *sim;
	struct secvol *v;

	secvol_fixed_key_source(&source, &key);
	subject_make(&s, false, 0);
	sim = bs_sim_from(&s.disk);
	p = explore_params(&s.x, &sim->bs);
	p.read_only = true;
	q = p;
	q.keys = &source;
	assert_int_equal(secvol_open(&q, &v, &report), -EKEYREJECTED);
	q = p;
	q.role = SECVOL_ROLE_ROOT_LAYER;
	assert_int_equal(secvol_open(&q, &v, &report), -EKEYREJECTED);
	q = p;
	q.suite = SECVOL_AES256_GCM;
	assert_int_equal(secvol_open(&q, &v, &report), -EKEYREJECTED);
	q = p;
	q.volume_id = "id";
	q.volume_id_size = 2;
	assert_int_equal(secvol_open(&q, &v, &report), -EKEYREJECTED);
	assert_int_equal(secvol_open(&p, &v, &report), 0);
	secvol_abandon(v);
	bs_sim_free(sim);
	subject_free(&s);
}

static bool contains(const u8 *hay, size_t size, const u8 *needle, size_t len)
{
	return memmem(hay, size, needle, len) != NULL;
}

/* Nothing of what was written, and not the key, ever reaches the store in the clear. */
static void nothing_leaks(void **state)
{
	struct subject s;
	u8 text[16];

	subject_make(&s, false, 0);
	for (u32 i = 0; i < s.sim->log_count; i++) {
		const struct sim_op *o = &s.sim->log[i];

		if (o->op != BS_WRITE)
			continue;
		for (u32 k = 0; k < ARRAY_SIZE(history); k++) {
			u64 at = history[k].off + history[k].len / 2;

			if (history[k].kind != OP_WRITE)
				continue;
			for (u32 n = 0; n < sizeof(text); n++)
				text[n] = op_byte(history[k].seed, at + n);
			assert_false(contains(o->payload, (size_t)o->count * BS_BLOCK, text, 16));
		}
		assert_false(contains(o->payload, (size_t)o->count * BS_BLOCK,
				      (const u8 *)"explorer's key.", 15));
		assert_false(
			contains(o->payload, (size_t)o->count * BS_BLOCK, (const u8 *)"d/big", 5));
	}
	subject_free(&s);
}

/* The store fails at each request in turn: an error, the volume as it was, no damage. */
static void failing_requests(void **state)
{
	static const int errors[] = {-EIO, -ENOSPC};
	struct subject s;

	subject_make(&s, false, 0);
	for (u32 e = 0; e < ARRAY_SIZE(errors); e++)
		for (u32 n = 1;; n++) {
			struct bs_sim *sim = bs_sim_from(&s.disk);
			struct secvol_params p = explore_params(&s.x, &sim->bs);
			struct op write = {.kind = OP_WRITE, .a = "d/c", .len = 50000, .seed = 77};
			struct secvol_report report;
			struct secvol *v;
			u8 got[32], want[32];
			bool passed;
			int err;

			sim->fail_at = n;
			sim->fail_count = 1 + n % 2 * 1000;
			sim->fail_err = errors[e];
			err = secvol_open(&p, &v, &report);
			if (!err) {
				err = volume_apply(v, &write);
				if (!err)
					err = secvol_commit(v);
				if (!err)
					err = volume_dump(v, want);
				secvol_abandon(v);
			}
			passed = sim->requests < n;
			assert_int_equal(err == 0, passed || err == 0);
			sim->fail_at = 0;
			assert_int_equal(secvol_open(&p, &v, &report), 0);
			assert_int_equal(volume_dump(v, got), 0);
			assert_int_equal(secvol_check(v, NULL, NULL), 0);
			secvol_abandon(v);
			if (err == 0)
				assert_memory_equal(got, want, 32);
			bs_sim_free(sim);
			if (passed)
				break;
		}
	subject_free(&s);
}

/* Memory runs out at each allocation in turn. */
static void failing_memory(void **state)
{
	struct subject s;

	subject_make(&s, false, 0);
	for (u32 n = 1; n < 4000; n++) {
		struct bs_sim *sim = bs_sim_from(&s.disk);
		struct secvol_params p = explore_params(&s.x, &sim->bs);
		struct op write = {.kind = OP_WRITE, .a = "d/c", .len = 50000, .seed = 77};
		struct secvol_report report;
		struct secvol *v;
		u8 got[32];
		bool passed;
		int err;

		s.x.env.fail_alloc = n;
		err = secvol_open(&p, &v, &report);
		if (!err) {
			err = volume_apply(v, &write);
			if (!err)
				err = secvol_commit(v);
			secvol_abandon(v);
		}
		passed = s.x.env.fail_alloc != 0;
		s.x.env.fail_alloc = 0;
		assert_int_equal(s.x.env.live, 0);
		assert_int_equal(secvol_open(&p, &v, &report), 0);
		assert_int_equal(volume_dump(v, got), 0);
		assert_int_equal(secvol_check(v, NULL, NULL), 0);
		secvol_abandon(v);
		bs_sim_free(sim);
		if (passed) {
			assert_int_equal(err, 0);
			break;
		}
	}
	subject_free(&s);
}

UNIT_TESTS(bit_flips, swapped_blocks, replayed_blocks, replayed_images, spliced_volumes,
	   zeros_and_truncation, flickering_reads, wrong_callers, nothing_leaks, failing_requests,
	   failing_memory)
