/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Space that is promised: writes into it never meet ENOSPC, in a volume that others keep full; it
 * is given back by writing, truncating, punching and unlinking, survives closing, crashes and
 * snapshots, and the checker counts it.
 */
#include "tests/unit.h"

#include <stdio.h>

#include "lib/secvol/secvol_priv.h"
#include "tests/fakes/secvol_fixture.h"

#define MIB_ 1048576ull

static struct fixture f;
static struct secvol *v;
static u8 data[1 << 20], back[1 << 20];

static void report_damage(void *arg, u64 obj, const char *what, int err)
{
	print_error("object %llu: %s (%d)\n", (unsigned long long)obj, what, err);
}

static void start(u64 blocks)
{
	struct secvol_format_params fmt = {.size_blocks = blocks};

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i * 31 + i / 4096);
	assert_int_equal(fixture_init(&f, blocks), 0);
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
}

static void finish(void)
{
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

static void again(bool clean)
{
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
	if (clean)
		assert_int_equal(secvol_close(v), 0);
	else
		secvol_abandon(v);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(secvol_check(v, report_damage, NULL), 0);
}

static u64 make(const char *name)
{
	struct secvol_attr a;

	assert_int_equal(
		secvol_create(v, SECVOL_ROOT_OBJ, name, strlen(name), 0100644, 0, 0, 0, false, &a),
		0);
	return a.obj;
}

/* Others take all that they can get. */
static u64 fill_up(const char *name)
{
	struct secvol_attr a;
	u64 obj, at = 0;
	int err =
		secvol_create(v, SECVOL_ROOT_OBJ, name, strlen(name), 0100644, 0, 0, 0, false, &a);

	if (err == -ENOSPC)
		return 0;
	assert_int_equal(err, 0);
	obj = a.obj;
	for (size_t part = sizeof(data); part; part /= 4) {
		long n;

		while ((n = secvol_write(v, obj, at, data, part)) > 0)
			at += (u64)n;
		assert_int_equal(n, -ENOSPC);
	}
	return at;
}

static u64 reserved(u64 obj)
{
	struct secvol_attr a;

	assert_int_equal(secvol_getattr(v, obj, &a), 0);
	return a.reserved;
}

static u64 blocks_free(void)
{
	struct secvol_statfs s;

	assert_int_equal(secvol_statfs(v, &s), 0);
	return s.blocks_free;
}

/* However it is written: forwards, in single blocks from behind, and over again. */
static void promises_are_kept(u64 blocks, u64 size, u32 piece, bool backwards, bool sync)
{
	u64 obj, pieces = size / piece;

	start(blocks);
	obj = make("mine");
	assert_int_equal(secvol_reserve(v, obj, 0, size), 0);
	assert_int_equal(reserved(obj), size / 4096);
	fill_up("theirs");
	again(blocks % 2);
	fill_up("more of theirs");
	for (u32 round = 0; round < 2; round++) {
		for (u64 k = 0; k < pieces; k++) {
			u64 at = (backwards ? pieces - 1 - k : k) * piece;

			assert_int_equal(secvol_write(v, obj, at, data + at % 4096 * round, piece),
					 piece);
			if (sync && k % 7 == 0)
				assert_int_equal(secvol_commit(v), 0);
		}
		assert_int_equal(secvol_commit(v), 0);
		if (!round)
			assert_int_equal(reserved(obj), 0);
		fill_up(round ? "and" : "again");
	}
	assert_int_equal(secvol_read(v, obj, size - piece, back, piece), piece);
	assert_memory_equal(back, data + (size - piece) % 4096, piece);
	finish();
}

static void writes_into_what_is_promised_never_fail(void **state)
{
	promises_are_kept(4096, 4 * MIB_, 65536, false, false);
	promises_are_kept(4097, 4 * MIB_, 4096, true, false);
	promises_are_kept(8192, 8 * MIB_, 8192, true, true);
	promises_are_kept(2049, 2 * MIB_, 1048576, false, true);
	promises_are_kept(1024, MIB_, 4096, false, true);
}

static void promises_are_given_back(void **state)
{
	u64 obj, before, at;

	start(8192);
	obj = make("file");
	assert_int_equal(secvol_commit(v), 0);
	before = blocks_free();
	assert_int_equal(secvol_reserve(v, obj, 0, 64ull << 20), -ENOSPC);
	assert_int_equal(reserved(obj), 0);
	assert_int_equal(secvol_reserve(v, obj, 4096 * 10, 4096 * 1000), 0);
	assert_true(blocks_free() == before - 1000);
	/* Again, and overlapping: only what is new counts; neighbours become one. */
	assert_int_equal(secvol_reserve(v, obj, 4096 * 500 + 1, 4096 * 600 - 2), 0);
	assert_int_equal(reserved(obj), 1090);
	assert_int_equal(secvol_write(v, obj, 4096 * 20, data, 4096 * 3), 4096 * 3);
	assert_int_equal(secvol_commit(v), 0);
	assert_int_equal(reserved(obj), 1087);
	assert_int_equal(secvol_reserve(v, obj, 0, 4096 * 30), 0);
	assert_int_equal(reserved(obj), 1097);
	again(false);
	assert_int_equal(reserved(obj), 1097);
	assert_int_equal(secvol_punch(v, obj, 4096 * 100 + 5, 4096 * 10), 0);
	assert_int_equal(reserved(obj), 1088);
	/* Holes they are, for those who look for data. */
	assert_int_equal(secvol_seek(v, obj, 0, false, &at), 0);
	assert_int_equal(at, 4096 * 20);
	assert_int_equal(secvol_truncate(v, obj, 4096 * 22), 0);
	assert_int_equal(reserved(obj), 20);
	again(true);
	assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, "file", 4, false), 0);
	assert_int_equal(secvol_checkpoint(v), 0);
	assert_true(blocks_free() + 24 >= before);
	assert_int_equal(v->promised, 0);
	again(true);
	assert_int_equal(secvol_reserve(v, make("x"), INT64_MAX, 4096), -EFBIG);
	assert_int_equal(secvol_reserve(v, SECVOL_ROOT_OBJ, 0, 4096), -EINVAL);
	finish();
}

static void with_snapshots_and_small_files(void **state)
{
	u64 obj;

	start(8192);
	obj = make("file");
	assert_int_equal(secvol_write(v, obj, 0, data, 100), 100); /* inline */
	assert_int_equal(secvol_reserve(v, obj, 0, 4096 * 100), 0);
	assert_int_equal(secvol_snapshot_create(v, "s", 1), 0);
	assert_int_equal(secvol_read(v, obj, 0, back, 100), 100);
	assert_memory_equal(back, data, 100);
	assert_int_equal(secvol_write(v, obj, 50, data, 200000), 200000);
	assert_int_equal(secvol_commit(v), 0);
	assert_int_equal(reserved(obj), 51);
	again(false);
	assert_int_equal(secvol_snapshot_rollback(v, "s", 1), 0);
	assert_int_equal(reserved(obj), 100);
	assert_int_equal(v->promised, 100);
	again(true);
	assert_int_equal(secvol_snapshot_delete(v, "s", 1), 0);
	assert_int_equal(secvol_write(v, obj, 0, data, 4096 * 100), 4096 * 100);
	finish();
}

UNIT_TESTS(writes_into_what_is_promised_never_fail, promises_are_given_back,
	   with_snapshots_and_small_files)
