/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes that are full nearly all the time, under random operations: the only error is ENOSPC,
 * unlink, truncate and commit always work, and in the end all space comes back. And stores that
 * fail: the volume becomes read-only, and the last commit is what a later open finds.
 */
#include "tests/unit.h"

#include <stdio.h>

#include "lib/secvol/secvol_priv.h"
#include "tests/fakes/secvol_fixture.h"
#include "tests/fakes/secvol_store.h"

static struct fixture f;
static struct secvol *v;
static u64 seed;
static u8 buf[500000];

static u32 rnd(u32 n)
{
	return (u32)(fixture_next(&seed) >> 20) % n;
}

static void report_damage(void *arg, u64 obj, const char *what, int err)
{
	print_error("object %llu: %s (%d)\n", (unsigned long long)obj, what, err);
}

static void step(u32 names)
{
	struct secvol_attr a;
	char name[64];
	u64 obj;
	long n;

	snprintf(name, sizeof(name), "a-name-that-is-not-too-short-%u", rnd(names));
	if (secvol_lookup(v, SECVOL_ROOT_OBJ, name, strlen(name), &obj, &a)) {
		n = secvol_create(v, SECVOL_ROOT_OBJ, name, strlen(name), 0100644, 0, 0, 0, false,
				  &a);
		assert_true(n == 0 || n == -ENOSPC);
		if (n)
			return;
		obj = a.obj;
		a.size = 0;
	}
	switch (rnd(12)) {
	case 0:
		assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, name, strlen(name), false), 0);
		break;
	case 1: assert_int_equal(secvol_truncate(v, obj, rnd(2) ? 0 : a.size / 2), 0); break;
	case 2: assert_int_equal(secvol_commit(v), 0); break;
	case 3:
		n = secvol_punch(v, obj, rnd(200000), rnd(100000));
		assert_true(n == 0 || n == -ENOSPC);
		break;
	default:
		n = 1 + rnd(rnd(3) ? 8000 : (u32)sizeof(buf) - 1);
		n = secvol_write(v, obj, rnd(4) ? a.size : rnd(2000000), buf, (size_t)n);
		assert_true(n > 0 || n == -ENOSPC);
		break;
	}
}

static void run(u64 start, u64 blocks, u32 names, u32 steps)
{
	struct secvol_format_params fmt = {.size_blocks = blocks};
	struct secvol_statfs before, after;
	u32 full = 0;

	seed = start * 0x9e3779b97f4a7c15ull | 1;
	assert_int_equal(fixture_init(&f, blocks), 0);
	f.params.cache_bytes = rnd(2) ? 0 : 1000000;
	if (rnd(2))
		fmt.ag_log2 = 21 + (u8)rnd(3); /* many small groups */
	fmt.dup = blocks > 2000 && rnd(3) == 0;
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(secvol_statfs(v, &before), 0);
	for (u32 i = 0; i < steps; i++) {
		step(names);
		if (i % 400 == 399) {
			assert_int_equal(secvol_check(v, report_damage, NULL), 0);
			assert_int_equal(secvol_statfs(v, &after), 0);
			full += after.blocks_avail < blocks / 10;
			assert_int_equal(secvol_close(v), 0);
			assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
		}
	}
	assert_true(full > 0);
	for (u32 i = 0; i < names; i++) {
		char name[64];
		int err;

		snprintf(name, sizeof(name), "a-name-that-is-not-too-short-%u", i);
		err = secvol_unlink(v, SECVOL_ROOT_OBJ, name, strlen(name), false);
		assert_true(err == 0 || err == -ENOENT);
	}
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
	assert_int_equal(secvol_statfs(v, &after), 0);
	assert_true(after.blocks_free + 24 >= before.blocks_free);
	assert_int_equal(after.files, 1);
	assert_int_equal(secvol_close(v), 0);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

static void full_volumes_work_on(void **state)
{
	const char *more = getenv("SECVOL_SEEDS");
	u64 count = more ? strtoull(more, NULL, 10) : 6;

	for (u64 s = 1; s <= count; s++)
		run(s, 700 + s % 5 * 900, s % 3 ? 40 : 2000, 3000);
}

/* ---- failing stores ---- */

struct failing {
	struct store_above s;
	long writes_left; /* then writes fail; -1: never */
	bool flush_fails;
	u32 flushes_fail; /* that many, then they work again */
	bool is_full;	  /* the disk below has no room */
	u32 full_after;	  /* has none after that many writes; 0: has */
	u64 trimmed;	  /* blocks */
};

static void fail_request(struct store_above *s, struct bs_req *r)
{
	struct failing *x = (struct failing *)s;

	if (r->op == BS_FLUSH && x->flush_fails)
		r->result = -EIO;
	if (r->op == BS_FLUSH && x->flushes_fail) {
		x->flushes_fail--;
		r->result = -EIO;
	}
	if (r->op == BS_WRITE && x->writes_left >= 0 && x->writes_left-- == 0) {
		r->result = -EIO;
		x->writes_left = 0;
	}
	if (r->op == BS_WRITE && x->full_after && --x->full_after == 0)
		x->is_full = true;
	if (r->op == BS_WRITE && x->is_full)
		r->result = -ENOSPC;
	if (r->op == BS_TRIM)
		x->trimmed += r->count;
}

/* A volume above a store that fails when it is told to. */
static void failing_format(struct failing *x, u64 blocks)
{
	struct secvol_format_params fmt = {.size_blocks = blocks};

	memset(x, 0, sizeof(*x));
	x->writes_left = -1;
	assert_int_equal(fixture_init(&f, blocks), 0);
	store_above_init(&x->s, f.bs, fail_request);
	f.params.bs = &x->s.bs;
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
}

/* The same, open and with an empty file. */
static u64 failing_start(struct failing *x, u64 blocks)
{
	struct secvol_attr a;

	failing_format(x, blocks);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(secvol_create(v, SECVOL_ROOT_OBJ, "a", 1, 0100644, 0, 0, 0, false, &a), 0);
	return a.obj;
}

static void failing_end(void)
{
	f.params.bs = f.bs;
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
	memset(buf, 0, sizeof(buf));
}

/*
 * A flush that fails once: the store may have dropped anything since the flush before, so all of it
 * is written again, and the commit succeeds.
 */
static void a_failed_flush_is_made_good(void **state)
{
	static u8 got[sizeof(buf)];
	struct failing x;
	u64 a = failing_start(&x, 8192);

	assert_int_equal(secvol_commit(v), 0);
	memset(buf, 0x5a, sizeof(buf));
	for (u32 i = 0; i < 6; i++) {
		buf[i] = (u8)i;
		assert_int_equal(secvol_write(v, a, 0, buf, sizeof(buf)), sizeof(buf));
		assert_int_equal(secvol_write(v, a, sizeof(buf), buf, 100), 100);
		x.flushes_fail = i && i % 2; /* the first change after an open is a checkpoint */
		assert_int_equal(secvol_commit(v), 0);
		assert_int_equal(x.flushes_fail, 0);
		secvol_abandon(v);
		assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
		assert_int_equal(secvol_read(v, a, 0, got, sizeof(got)), sizeof(got));
		assert_memory_equal(got, buf, sizeof(buf));
	}
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	failing_end();
}

/* The host's disk is full, not the volume. */
static void a_store_without_room_is_named(void **state)
{
	struct failing x;
	u64 a = failing_start(&x, 4096);

	assert_int_equal(secvol_commit(v), 0);
	/* A large write is refused, as often as it is tried, and goes once there is room again. */
	x.is_full = true;
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(secvol_write(v, a, 0, buf, 100000), -ENOSPC);
	x.is_full = false;
	assert_int_equal(secvol_write(v, a, 0, buf, 100000), 100000);
	assert_int_equal(secvol_commit(v), 0);
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
	/* A commit that is refused was the last one; it goes on saying why. */
	assert_int_equal(secvol_write(v, a, 0, "x", 1), 1);
	x.is_full = true;
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(secvol_commit(v), -ENOSPC);
	assert_int_equal(secvol_write(v, a, 0, "x", 1), -ENOSPC);
	assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, "a", 1, false), -ENOSPC);
	secvol_abandon(v);
	x.is_full = false;
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	failing_end();
}

enum { OLD = 8, LARGE = 60 }; /* blocks */

static void assert_blocks(u64 obj, u32 from, u32 to, u8 byte)
{
	static u8 got[BS_BLOCK];

	for (u32 i = from; i < to; i++) {
		assert_int_equal(secvol_read(v, obj, i * (u64)BS_BLOCK, got, BS_BLOCK), BS_BLOCK);
		for (u32 k = 0; k < BS_BLOCK; k++)
			assert_int_equal(got[k], byte);
	}
}

/* Leaves room in pieces of 16 blocks only, so that a large write goes to several places. */
static void fragment(void)
{
	struct secvol_attr x, y;
	long n = 65536;
	u64 off;

	assert_int_equal(secvol_create(v, SECVOL_ROOT_OBJ, "x", 1, 0100644, 0, 0, 0, false, &x), 0);
	assert_int_equal(secvol_create(v, SECVOL_ROOT_OBJ, "y", 1, 0100644, 0, 0, 0, false, &y), 0);
	for (off = 0; n == 65536; off += 65536) {
		n = secvol_write(v, x.obj, off, buf, 65536);
		if (n == 65536)
			n = secvol_write(v, y.obj, off, buf, 65536);
	}
	assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, "y", 1, false), 0);
	for (u32 i = 0; i < 10; i++) { /* what older roots refer to becomes free */
		assert_int_equal(secvol_write(v, x.obj, 0, "a", 1), 1);
		assert_int_equal(secvol_commit(v), 0);
	}
}

/*
 * The disk is full in the middle of a large write: it is a short one, and what was not written is
 * neither seen now nor after an open, nor when the file becomes longer.
 */
static void a_write_that_fits_in_part_is_short(void **state)
{
	struct secvol_attr a, w;
	struct failing x;
	u32 done = 0;
	long n;

	a.obj = failing_start(&x, 4096);
	assert_int_equal(secvol_create(v, SECVOL_ROOT_OBJ, "w", 1, 0100644, 0, 0, 0, false, &w), 0);
	fragment();
	/* Takes up what there is in one piece: until a second write has to be made. */
	for (u32 i = 0; i < 12 && !done; i++) {
		x.full_after = 2;
		n = secvol_write(v, w.obj, i * (u64)LARGE * BS_BLOCK, buf, LARGE * BS_BLOCK);
		done = n < LARGE * BS_BLOCK;
		x.full_after = 0;
		x.is_full = false;
	}
	assert_int_equal(done, 1);
	memset(buf, 'o', OLD * BS_BLOCK);
	assert_int_equal(secvol_write(v, a.obj, 0, buf, OLD * BS_BLOCK), OLD * BS_BLOCK);
	assert_int_equal(secvol_commit(v), 0);
	assert_blocks(a.obj, 0, OLD, 'o'); /* cached from here on */

	memset(buf, 'S', LARGE * BS_BLOCK);
	x.full_after = 2;
	n = secvol_write(v, a.obj, 0, buf, LARGE * BS_BLOCK);
	x.full_after = 0;
	assert_true(n > 0 && n < LARGE * BS_BLOCK && n % BS_BLOCK == 0);
	done = (u32)(n / BS_BLOCK);
	assert_int_equal(secvol_write(v, a.obj, n, buf, LARGE * BS_BLOCK), -ENOSPC);
	x.is_full = false;
	for (u32 opened = 0; opened < 2; opened++) {
		assert_int_equal(secvol_getattr(v, a.obj, &a), 0);
		assert_int_equal(a.size, MAX(done, (u32)OLD) * BS_BLOCK);
		assert_int_equal(a.blocks, MAX(done, (u32)OLD));
		assert_blocks(a.obj, 0, done, 'S');
		assert_blocks(a.obj, done, MAX(done, (u32)OLD), 'o');
		assert_int_equal(secvol_commit(v), 0);
		assert_int_equal(secvol_check(v, report_damage, NULL), 0);
		assert_int_equal(secvol_close(v), 0);
		assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	}
	assert_int_equal(secvol_truncate(v, a.obj, (LARGE + 4) * BS_BLOCK), 0);
	assert_blocks(a.obj, MAX(done, (u32)OLD), LARGE + 4, 0);
	assert_int_equal(secvol_write(v, a.obj, 0, buf, LARGE * BS_BLOCK), LARGE * BS_BLOCK);
	assert_blocks(a.obj, 0, LARGE, 'S');
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	failing_end();
}

static u64 generation(void)
{
	struct secvol_info info;

	secvol_info(v, &info);
	return info.gen;
}

/*
 * A file that is written over and over does not spread over the whole store: what it gives up
 * becomes free with a commit, and without any there is a checkpoint before it becomes too much.
 */
static void what_is_overwritten_is_given_back(void **state)
{
	enum { PIECE = 64 * BS_BLOCK, PIECES = 16, BLOCKS = 64 * PIECES, CAPACITY = 65536 };
	u32 waiting = CAPACITY / 16 + BLOCKS, passes = 8 * waiting / BLOCKS;
	struct secvol_attr a;
	struct failing x;
	u64 gen;

	failing_format(&x, CAPACITY);
	x.s.bs.caps = BS_CAP_TRIM;
	f.params.discard = true;
	f.params.cache_bytes = MIB(1);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(secvol_create(v, SECVOL_ROOT_OBJ, "a", 1, 0100644, 0, 0, 0, false, &a), 0);
	for (u32 i = 0; i < passes * PIECES; i++) {
		assert_int_equal(secvol_write(v, a.obj, i % PIECES * PIECE, buf, PIECE), PIECE);
		if (i % PIECES == 0)
			assert_int_equal(secvol_commit(v), 0);
	}
	/* Roots that may be gone back to hold on to what they refer to. */
	assert_true(x.trimmed > (u64)passes * BLOCKS - 4 * waiting);
	gen = generation();
	for (u32 i = 0; i < (CAPACITY / 2 + 2 * BLOCKS) / 64; i++)
		assert_int_equal(secvol_write(v, a.obj, i % PIECES * PIECE, buf, PIECE), PIECE);
	assert_true(generation() > gen);
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	failing_end();
}

/* What was deleted is given back when somebody asks, also after the root that says so. */
static void deleted_space_is_given_back_at_once(void **state)
{
	enum { PIECES = 8, BLOCKS = PIECES * (sizeof(buf) / BS_BLOCK) };
	struct secvol_attr a;
	struct failing x;
	u64 gen;

	failing_format(&x, 16384);
	x.s.bs.caps = BS_CAP_TRIM;
	f.params.discard = true;
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	for (u32 committed = 0; committed < 2; committed++) {
		assert_int_equal(
			secvol_create(v, SECVOL_ROOT_OBJ, "a", 1, 0100644, 0, 0, 0, false, &a), 0);
		for (u32 i = 0; i < PIECES; i++)
			assert_int_equal(secvol_write(v, a.obj, i * sizeof(buf), buf, sizeof(buf)),
					 sizeof(buf));
		assert_int_equal(secvol_checkpoint(v), 0);
		assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, "a", 1, false), 0);
		if (committed)
			assert_int_equal(secvol_checkpoint(v), 0);
		x.trimmed = 0;
		assert_int_equal(secvol_reclaim(v), 0);
		assert_true(x.trimmed > BLOCKS - 2 * SV_TRIM_UNIT);
	}
	/* Nothing more is to be had, however often somebody asks. */
	gen = generation();
	assert_int_equal(secvol_reclaim(v), 0);
	assert_int_equal(generation(), gen);
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	gen = generation();
	assert_int_equal(secvol_reclaim(v), 0);
	assert_int_equal(generation(), gen);
	assert_int_equal(secvol_close(v), 0);
	failing_end();
}

static void failing_stores_make_it_read_only(void **state)
{
	struct secvol_attr a, b;
	struct failing x;
	u64 obj;

	failing_format(&x, 4096);
	for (long n = 0; n < 12; n++) {
		int err;

		x.writes_left = -1;
		x.flush_fails = false;
		assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
		err = secvol_create(v, SECVOL_ROOT_OBJ, "kept", 4, 0100644, 0, 0, 0, false, &a);
		assert_true(err == 0 || err == -EEXIST);
		assert_int_equal(secvol_lookup(v, SECVOL_ROOT_OBJ, "kept", 4, &obj, NULL), 0);
		assert_int_equal(secvol_write(v, obj, 0, "kept content", 12), 12);
		assert_int_equal(secvol_commit(v), 0);
		assert_int_equal(secvol_write(v, obj, 0, buf, 100000), 100000);
		assert_int_equal(
			secvol_create(v, SECVOL_ROOT_OBJ, "lost", 4, 0100644, 0, 0, 0, false, &b),
			0);
		if (n == 11)
			x.flush_fails = true;
		else
			x.writes_left = n % 6;
		if (secvol_commit(v)) {
			assert_int_equal(secvol_commit(v), -EIO);
			assert_int_equal(secvol_write(v, obj, 0, "x", 1), -EIO);
			assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, "kept", 4, false), -EIO);
			assert_int_equal(secvol_lookup(v, SECVOL_ROOT_OBJ, "kept", 4, &obj, NULL),
					 0);
			assert_true(secvol_close(v) != 0);
		} else {
			secvol_abandon(v);
		}
		x.writes_left = -1;
		x.flush_fails = false;
		assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
		assert_int_equal(secvol_check(v, report_damage, NULL), 0);
		if (secvol_lookup(v, SECVOL_ROOT_OBJ, "lost", 4, &obj, NULL) == 0)
			assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, "lost", 4, false), 0);
		assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, "kept", 4, false), 0);
		assert_int_equal(secvol_close(v), 0);
	}
	failing_end();
}

UNIT_TESTS(full_volumes_work_on, a_failed_flush_is_made_good, a_store_without_room_is_named,
	   a_write_that_fits_in_part_is_short, what_is_overwritten_is_given_back,
	   deleted_space_is_given_back_at_once, failing_stores_make_it_read_only)
