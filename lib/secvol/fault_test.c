/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One life of a volume, with the n-th allocation, the n-th request, or all requests from the n-th
 * on failing, for every n: operations give the error or work, nothing leaks, and what is on the
 * store afterwards opens, is in order, and holds what the last good commit held.
 */
#include "tests/unit.h"

#include <stdio.h>

#include "tests/fakes/secvol_fixture.h"
#include "tests/fakes/secvol_store.h"

#define BLOCKS 3000u

static struct fixture f;
static u8 data[120000];

/* ---- a store that fails ---------------------------------------------------------------------- */

static struct {
	struct store_above above;
	long fail_at; /* requests until then; -1: never */
	bool for_good;
	int err;
	long seen;
} store;

static void fail_request(struct store_above *s, struct bs_req *r)
{
	long n = store.seen++;
	bool hit = store.fail_at >= 0 && (store.for_good ? n >= store.fail_at : n == store.fail_at);

	if (hit && (store.err == -EIO || r->op == BS_WRITE))
		r->result = store.err;
}

/* ---- a life ---------------------------------------------------------------------------------- */

static u32 committed; /* version of "a" that a good commit has covered */
static bool any_error;

static int note(int err)
{
	any_error |= err != 0;
	return err;
}

static void write_version(struct secvol *v, u64 obj, u32 version)
{
	long n;

	memset(data, (int)version, sizeof(data));
	n = secvol_write(v, obj, 0, data, sizeof(data));
	if (note(n == (long)sizeof(data) ? 0 : -1))
		return; /* of a version that failed half way nothing is expected */
	if (note(secvol_commit(v)) == 0)
		committed = version;
}

static void live(void)
{
	struct secvol_attr a, b;
	struct secvol *v;
	u64 left = 1;

	if (note(secvol_open(&f.params, &v, NULL)))
		return;
	if (note(secvol_lookup(v, SECVOL_ROOT_OBJ, "a", 1, &a.obj, NULL)) == 0) {
		write_version(v, a.obj, 2);
		for (u32 i = 0; i < 20; i++) {
			char name[16];

			snprintf(name, sizeof(name), "n%u", i);
			note(secvol_create(v, SECVOL_ROOT_OBJ, name, strlen(name), 0100644, 0, 0, 0,
					   i % 3 == 0, &b));
			if (i % 5 == 4)
				note(secvol_commit(v));
		}
		write_version(v, a.obj, 3);
		note(secvol_snapshot_create(v, "s", 1));
		write_version(v, a.obj, 4);
		note(secvol_punch(v, a.obj, 8192, 40000) ? -1 : 0);
		note(secvol_unlink(v, SECVOL_ROOT_OBJ, "n3", 2, false));
		note(secvol_rename(v, SECVOL_ROOT_OBJ, "n4", 2, SECVOL_ROOT_OBJ, "n5", 2, 0));
		note(secvol_grow(v, BLOCKS));
		note(secvol_rotate(v));
		for (u32 i = 0; i < 3 && left; i++)
			note(secvol_rotate_step(v, 100, &left));
		write_version(v, a.obj, 5);
		note(secvol_snapshot_delete(v, "s", 1));
		secvol_release(v, b.obj);
		write_version(v, a.obj, 6);
	}
	note(secvol_close(v));
}

static void begin(void)
{
	struct secvol_format_params fmt = {.size_blocks = BLOCKS - 800};
	struct secvol_attr a;
	struct secvol *v;

	assert_int_equal(fixture_init(&f, BLOCKS), 0);
	store_above_init(&store.above, f.bs, fail_request);
	store.fail_at = -1;
	f.params.bs = &store.above.bs;
	f.params.cache_bytes = 1 << 20;
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(secvol_create(v, SECVOL_ROOT_OBJ, "a", 1, 0100644, 0, 0, 0, false, &a), 0);
	committed = 0;
	write_version(v, a.obj, 1);
	assert_int_equal(committed, 1);
	assert_int_equal(secvol_close(v), 0);
	any_error = false;
	store.seen = 0;
}

static const char *first_damage;

static void on_damage(void *arg, u64 obj, const char *what, int err)
{
	if (!first_damage)
		first_damage = what;
}

static void look_afterwards(const char *what, long n)
{
	struct secvol_attr a;
	struct secvol *v;
	u8 byte;
	int err;

	f.fail_alloc_after = -1;
	store.fail_at = -1;
	err = secvol_open(&f.params, &v, NULL);
	if (err)
		fail_msg("%s %ld: does not open afterwards: %d", what, n, err);
	first_damage = NULL;
	err = secvol_check(v, on_damage, NULL);
	if (err)
		fail_msg("%s %ld: %s (%d)", what, n, first_damage ? first_damage : "check", err);
	assert_int_equal(secvol_lookup(v, SECVOL_ROOT_OBJ, "a", 1, &a.obj, NULL), 0);
	assert_int_equal(secvol_read(v, a.obj, 100, &byte, 1), 1);
	if (byte < committed)
		fail_msg("%s %ld: version %u was committed, %u is there", what, n, committed, byte);
	assert_int_equal(secvol_unlink(v, SECVOL_ROOT_OBJ, "a", 1, false), 0);
	assert_int_equal(secvol_close(v), 0);
	f.params.bs = f.bs;
	fixture_fini(&f);
	if (f.in_use)
		fail_msg("%s %ld: %zu bytes leaked", what, n, f.in_use);
}

static void every_allocation_can_fail(void **state)
{
	long n = 0;

	for (bool done = false; !done; n += n < 300 ? 1 : 7) {
		begin();
		f.fail_alloc_after = n;
		live();
		done = f.fail_alloc_after >= 0; /* it was not reached */
		look_afterwards("allocation", n);
	}
	print_message("%ld allocations\n", n);
}

static void every_request_can_fail(void **state)
{
	for (int kind = 0; kind < 3; kind++) {
		long n = 0;

		for (bool done = false; !done; n += n < 100 ? 1 : 3) {
			begin();
			store.fail_at = n;
			store.for_good = kind == 1;
			store.err = kind == 2 ? -ENOSPC : -EIO;
			live();
			done = store.seen <= n;
			look_afterwards(kind == 0   ? "request"
					: kind == 1 ? "from request"
						    : "ENOSPC",
					n);
		}
		print_message("kind %d: %ld requests\n", kind, n);
	}
}

#define MANY 1200u

static bool all_there(struct secvol *v, u32 obj_count)
{
	struct secvol_attr a;
	char name[32];

	for (u32 i = 0; i < obj_count; i++) {
		snprintf(name, sizeof(name), "a-name-of-many-%u", i);
		if (secvol_lookup(v, SECVOL_ROOT_OBJ, name, strlen(name), &a.obj, NULL))
			return false;
	}
	return true;
}

/* A group that takes several blocks of the log: what a later commit promises is there. */
static void a_group_of_many_blocks_keeps_its_word(void **state)
{
	bool done = false;

	for (long n = 0; !done; n++) {
		struct secvol_attr b;
		struct secvol *v, *after;
		int first, second;

		begin();
		assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
		assert_int_equal(
			secvol_create(v, SECVOL_ROOT_OBJ, "first", 5, 0100644, 0, 0, 0, false, &b),
			0);
		assert_int_equal(secvol_commit(v), 0);
		for (u32 i = 0; i < MANY; i++) {
			char name[32];

			snprintf(name, sizeof(name), "a-name-of-many-%u", i);
			assert_int_equal(secvol_create(v, SECVOL_ROOT_OBJ, name, strlen(name),
						       0100644, 0, 0, 0, false, &b),
					 0);
		}
		store.for_good = false;
		store.err = n % 2 ? -ENOSPC : -EIO;
		store.fail_at = store.seen + n / 2;
		first = secvol_commit(v);
		done = store.seen <= store.fail_at;
		store.fail_at = -1;
		second = secvol_create(v, SECVOL_ROOT_OBJ, "later", 5, 0100644, 0, 0, 0, false, &b);
		if (!second)
			second = secvol_commit(v);
		/* As after a cut of the power: the first is never closed. */
		f.params.bs = f.bs;
		assert_int_equal(secvol_open(&f.params, &after, NULL), 0);
		first_damage = NULL;
		if (secvol_check(after, on_damage, NULL))
			fail_msg("request %ld: %s", n, first_damage ? first_damage : "check");
		if ((!first || !second) && !all_there(after, MANY))
			fail_msg("request %ld: commits gave %d, %d, and names are missing", n,
				 first, second);
		if (!second && secvol_lookup(after, SECVOL_ROOT_OBJ, "later", 5, &b.obj, NULL))
			fail_msg("request %ld: what came later is missing", n);
		assert_int_equal(secvol_close(after), 0);
		f.params.bs = &store.above.bs;
		(void)secvol_close(v);
		f.params.bs = f.bs;
		fixture_fini(&f);
	}
}

UNIT_TESTS(every_allocation_can_fail, every_request_can_fail, a_group_of_many_blocks_keeps_its_word)
