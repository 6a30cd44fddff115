/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers beside a writer that overwrites, commits and truncates: every block that a read returns
 * is whole, of its own place, and no older than what was written before the read began. The volume
 * is small and keeps no old roots long, so blocks are written again while reads are under way.
 */
#include "tests/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/fakes/secvol_fixture.h"
#include "tests/fakes/secvol_store.h"

#define BLOCKS	512u
#define READERS 3

static struct fixture f;
static struct secvol *v;
static u64 file;
static u32 written[BLOCKS]; /* version of each block that is surely in the volume */
static bool stop_readers;
static long reads;

/* Returns the version of a block's content, or ~0 when it is no whole block of that place. */
static u32 version_of(const u32 *words, u32 block)
{
	for (u32 i = 0; i < 1024; i += 2) {
		if (words[i] != words[0] || words[i + 1] != block)
			return ~0u;
	}
	return words[0];
}

static void *reader(void *arg)
{
	u64 seed = 77 + (u64)(uintptr_t)arg * 1000;
	u8 *buf = malloc(64 * 4096);
	long bad = 0;

	while (!__atomic_load_n(&stop_readers, __ATOMIC_RELAXED)) {
		u32 block = (u32)(fixture_next(&seed) % BLOCKS);
		u32 n = MIN(BLOCKS - block, 1 + (u32)(fixture_next(&seed) % 40));
		u32 least[64];
		long got;

		for (u32 i = 0; i < n; i++)
			least[i] = __atomic_load_n(&written[block + i], __ATOMIC_ACQUIRE);
		got = secvol_read(v, file, block * 4096ull, buf, n * 4096ul);
		if (got != (long)n * 4096)
			bad++;
		for (u32 i = 0; got > 0 && i < got / 4096; i++) {
			u32 version = version_of((const u32 *)(buf + i * 4096), block + i);

			bad += version == ~0u || version < least[i];
		}
		__atomic_fetch_add(&reads, 1, __ATOMIC_RELAXED);
	}
	free(buf);
	return (void *)bad;
}

static void write_blocks(u32 block, u32 n, u32 version)
{
	static u32 words[64 * 1024];

	for (u32 i = 0; i < n * 1024; i += 2) {
		words[i] = version;
		words[i + 1] = block + i / 1024;
	}
	assert_int_equal(secvol_write(v, file, block * 4096ull, words, n * 4096ul), n * 4096);
	for (u32 i = 0; i < n; i++)
		__atomic_store_n(&written[block + i], version, __ATOMIC_RELEASE);
}

static void readers_see_whole_new_blocks(void **state)
{
	struct secvol_format_params fmt = {.size_blocks = 1600};
	struct store_above store;
	pthread_t threads[READERS];
	struct secvol_attr a;
	u64 seed = 3;

	assert_int_equal(fixture_init(&f, 1600), 0);
	fixture_share(&f);
	store_above_init(&store, f.bs, NULL);
	f.params.bs = &store.bs;
	f.params.cache_bytes = 600000;
	f.params.keep_roots = 1;
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(secvol_create(v, SECVOL_ROOT_OBJ, "f", 1, 0100644, 0, 0, 0, true, &a), 0);
	file = a.obj;
	for (u32 b = 0; b < BLOCKS; b += 64)
		write_blocks(b, 64, 1);
	for (u32 i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, (void *)(uintptr_t)i),
				 0);
	for (u32 version = 2; version < 1500; version++) {
		u32 block = (u32)(fixture_next(&seed) % BLOCKS);

		write_blocks(block, MIN(BLOCKS - block, 1 + (u32)(fixture_next(&seed) % 64)),
			     version);
		if (version % 10 == 0)
			assert_int_equal(secvol_checkpoint(v), 0);
		else if (version % 3 == 0)
			assert_int_equal(secvol_commit(v), 0);
	}
	__atomic_store_n(&stop_readers, true, __ATOMIC_RELAXED);
	for (u32 i = 0; i < READERS; i++) {
		void *bad;

		pthread_join(threads[i], &bad);
		assert_int_equal((long)bad, 0);
	}
	assert_true(reads > 10);
	secvol_release(v, file);
	assert_int_equal(secvol_check(v, NULL, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

/* ---- commits of many threads --------------------------------------------------------------- */

enum { WRITERS = 4, ROUNDS = 150 };

static u32 flushes;

static void flush_slowly(struct store_above *s, struct bs_req *r)
{
	if (r->op != BS_FLUSH)
		return;
	__atomic_fetch_add(&flushes, 1, __ATOMIC_RELAXED);
	usleep(1000); /* as a disk would; others gather meanwhile */
}

static void *committer(void *arg)
{
	u64 who = (u64)(uintptr_t)arg;
	long bad = 0;
	char name[16];
	struct secvol_attr a;

	snprintf(name, sizeof(name), "w%llu", (unsigned long long)who);
	bad += secvol_create(v, SECVOL_ROOT_OBJ, name, strlen(name), 0100644, 0, 0, 0, false, &a) !=
	       0;
	for (u32 i = 0; i < ROUNDS; i++) {
		bad += secvol_write(v, a.obj, i * 5000ull, name, sizeof(name)) != sizeof(name);
		bad += (i % 40 == 39 ? secvol_checkpoint(v) : secvol_commit(v)) != 0;
	}
	return (void *)bad;
}

/* Callers that come while a flush is on its way share the next one. */
static void commits_are_grouped(void **state)
{
	struct secvol_format_params fmt = {.size_blocks = 40000};
	struct store_above store;
	pthread_t threads[WRITERS];

	assert_int_equal(fixture_init(&f, 40000), 0);
	fixture_share(&f);
	store_above_init(&store, f.bs, flush_slowly);
	f.params.bs = &store.bs;
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	flushes = 0;
	for (u32 i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, committer, (void *)(uintptr_t)i),
				 0);
	for (u32 i = 0; i < WRITERS; i++) {
		void *bad;

		pthread_join(threads[i], &bad);
		assert_int_equal((long)bad, 0);
	}
	print_message("%u commits by %u flushes\n", WRITERS * ROUNDS, flushes);
	assert_true(flushes < WRITERS * ROUNDS);
	secvol_abandon(v);
	/* All of it was durable when the commits returned, and is there again. */
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	for (u32 i = 0; i < WRITERS; i++) {
		struct secvol_attr a;
		char name[16], got[16];
		u64 obj;

		snprintf(name, sizeof(name), "w%u", i);
		assert_int_equal(secvol_lookup(v, SECVOL_ROOT_OBJ, name, strlen(name), &obj, &a),
				 0);
		assert_int_equal(a.size, (ROUNDS - 1) * 5000 + sizeof(name));
		assert_int_equal(secvol_read(v, obj, (ROUNDS - 1) * 5000, got, sizeof(got)),
				 sizeof(got));
		assert_string_equal(got, name);
	}
	assert_int_equal(secvol_check(v, NULL, NULL), 0);
	assert_int_equal(secvol_close(v), 0);
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

UNIT_TESTS(readers_see_whole_new_blocks, commits_are_grouped)
