/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stops half-way and does not end the volume: a snapshot, a rollback, a growth whose
 * checkpoint finds no memory or meets a failing request, for every allocation and request. Programs
 * go on and commit, and then the power goes: what a good commit covered is there, and nothing that
 * they never saw.
 */
#include "tests/unit.h"

#include <stdio.h>

#include "tests/fakes/secvol_fixture.h"
#include "tests/fakes/secvol_store.h"

#define SMALL 700u
#define LARGE 3000u

static struct fixture f;
static struct store_above store;
static long fail_at, seen; /* the n-th request from now on; -1: none */
static bool only_writes;   /* are counted */

static void fail_request(struct store_above *s, struct bs_req *r)
{
	if ((!only_writes || r->op == BS_WRITE) && seen++ == fail_at)
		r->result = -EIO;
}

static const char *first_damage;

static void on_damage(void *arg, u64 obj, const char *what, int err)
{
	if (!first_damage)
		first_damage = what;
}

static void begin(u64 blocks, struct secvol **ret_v)
{
	struct secvol_format_params fmt = {.size_blocks = blocks};

	assert_int_equal(fixture_init(&f, MAX(blocks, (u64)LARGE)), 0);
	store_above_init(&store, f.bs, fail_request);
	f.params.bs = &store.bs;
	fail_at = -1;
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, ret_v, NULL), 0);
}

static void end(struct secvol *v)
{
	secvol_abandon(v);
	f.params.bs = f.bs;
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

static u64 make(struct secvol *v, const char *name)
{
	struct secvol_attr a;

	assert_int_equal(
		secvol_create(v, SECVOL_ROOT_OBJ, name, strlen(name), 0100644, 0, 0, 0, false, &a),
		0);
	return a.obj;
}

/* ---- changes that are more than the log can say ---------------------------------------------- */

enum what { GROW, CREATE, DELETE, ROLLBACK, WHATS };
static const char *const names[] = {"grow", "create", "delete", "rollback"};
static u8 data[400000], view[400000], after[400000];

static void write_part(struct secvol *v, u64 obj, u8 version, size_t size, int *err)
{
	memset(data, version, sizeof(data));
	if (!*err && secvol_write(v, obj, 0, data, size) != (long)size)
		*err = -1;
}

static int change(struct secvol *v, enum what what)
{
	switch (what) {
	case GROW: return secvol_grow(v, LARGE);
	case CREATE: return secvol_snapshot_create(v, "t", 1);
	case DELETE: return secvol_snapshot_delete(v, "s", 1);
	default: return secvol_snapshot_rollback(v, "s", 1);
	}
}

static void prepare(struct secvol *v, enum what what, u64 obj)
{
	int err = 0;

	write_part(v, obj, 1, sizeof(data), &err);
	if (what == DELETE || what == ROLLBACK)
		assert_int_equal(secvol_snapshot_create(v, "s", 1), 0);
	write_part(v, obj, 2, sizeof(data), &err);
	assert_int_equal(err, 0);
	if (what == GROW) { /* what comes later lies behind the old end */
		u64 filler = make(v, "filler"), off = 0;

		while (secvol_write(v, filler, off, data, 40960) == 40960)
			off += 40960;
	}
	assert_int_equal(secvol_commit(v), 0);
}

/* Returns whether the n-th was reached. */
static bool stop_at(enum what what, bool request, long n)
{
	size_t part = what == GROW ? sizeof(data) : 100000;
	struct secvol *v, *w;
	int first, err = 0;
	bool reached;
	u64 obj;

	begin(what == GROW ? SMALL : LARGE, &v);
	obj = make(v, "a");
	prepare(v, what, obj);
	seen = 0;
	fail_at = request ? n : -1;
	f.fail_alloc_after = request ? -1 : n;
	first = change(v, what);
	reached = request ? seen > n : f.fail_alloc_after < 0;
	fail_at = f.fail_alloc_after = -1;
	for (u8 version = 3; version < 6 && !err; version++) {
		write_part(v, obj, version, part, &err);
		if (!err)
			err = secvol_commit(v);
	}
	if (!err)
		assert_int_equal(secvol_read(v, obj, 0, view, sizeof(view)), sizeof(view));
	if (secvol_open(&f.params, &w, NULL))
		fail_msg("%s gave %d at %ld: does not open afterwards", names[what], first, n);
	first_damage = NULL;
	if (secvol_check(w, on_damage, NULL))
		fail_msg("%s gave %d at %ld: %s", names[what], first, n, first_damage);
	assert_int_equal(secvol_read(w, obj, 0, after, sizeof(after)), sizeof(after));
	if (!err && memcmp(view, after, sizeof(view)) != 0)
		fail_msg("%s gave %d at %ld: not what was committed", names[what], first, n);
	assert_int_equal(secvol_close(w), 0);
	end(v);
	return reached;
}

static void commits_after_it_hold(void **state)
{
	for (enum what what = GROW; what < WHATS; what++) {
		for (int request = 0; request < 2; request++) {
			long n = 0;

			while (stop_at(what, request, n))
				n++;
		}
	}
}

/* ---- what a snapshot keeps ------------------------------------------------------------------- */

static void write_scattered(struct secvol *v, u64 obj)
{
	for (u64 i = 0; i < 1200; i++)
		assert_int_equal(secvol_write(v, obj, i * 8192, data, 4096), 4096);
}

/* The list of its blocks takes several items; the checkpoint that writes them fails in between. */
static void blocks_are_given_to_a_snapshot_once(void **state)
{
	bool reached = true;

	for (long n = 0; reached; n++) {
		struct secvol *v;
		u64 obj;

		begin(20000, &v);
		obj = make(v, "a");
		write_scattered(v, obj);
		assert_int_equal(secvol_snapshot_create(v, "s", 1), 0);
		write_scattered(v, obj);
		assert_int_equal(secvol_commit(v), 0);
		f.fail_alloc_after = n;
		(void)!secvol_checkpoint(v);
		reached = f.fail_alloc_after < 0;
		f.fail_alloc_after = -1;
		if (secvol_checkpoint(v) == 0) {
			assert_int_equal(secvol_snapshot_delete(v, "s", 1), 0);
			assert_int_equal(secvol_check(v, NULL, NULL), 0);
		}
		end(v);
	}
}

/* ---- a checkpoint that cannot write ---------------------------------------------------------- */

#define FILES 12000u

static void name_of(char name[16], u32 i)
{
	snprintf(name, 16, "name-%u", i);
}

static void read_all_files(struct secvol *v)
{
	struct secvol_attr a;
	char name[16];
	u8 buf[1500];

	for (u32 i = 0; i < FILES; i++) {
		name_of(name, i);
		assert_int_equal(
			secvol_lookup(v, SECVOL_ROOT_OBJ, name, strlen(name), &a.obj, NULL), 0);
		assert_int_equal(secvol_read(v, a.obj, 0, buf, sizeof(buf)), sizeof(buf));
	}
}

/* It ends the writing; those who read find everything, also what was on its way. */
static void readers_go_on_when_a_checkpoint_cannot_write(void **state)
{
	struct secvol_attr mode = {.mode = 0600};
	struct secvol *v;
	char name[16];

	begin(60000, &v);
	for (u32 i = 0; i < FILES; i++) {
		name_of(name, i);
		assert_int_equal(secvol_write(v, make(v, name), 0, data, 1500), 1500);
	}
	assert_int_equal(secvol_checkpoint(v), 0);
	for (u32 i = 0; i < FILES; i += 6)
		assert_int_equal(secvol_setattr(v, 3 + i, &mode, SECVOL_SET_MODE), 0);
	seen = 0;
	only_writes = true;
	fail_at = 10; /* leaves, while others are still being changed */
	assert_int_equal(secvol_checkpoint(v), -EIO);
	fail_at = -1;
	only_writes = false;
	read_all_files(v);
	end(v);
}

UNIT_TESTS(commits_after_it_hold, blocks_are_given_to_a_snapshot_once,
	   readers_go_on_when_a_checkpoint_cannot_write)
