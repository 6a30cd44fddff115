/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store changes what it holds: every block of a small volume, in several ways. Opening and
 * reading everything gives the right bytes or one of the errors that say so, never other bytes.
 * Also: one nonce is used once over sessions, crashes and clones, and no plaintext leaves.
 */
#define _GNU_SOURCE
#include "tests/unit.h"

#include <stdio.h>

#include "tests/fakes/secvol_fixture.h"

#define BLOCKS	  1024u
#define FILE_SIZE 150000u

static struct fixture f;
static u8 content[FILE_SIZE], saved[BLOCKS][BS_BLOCK], other[BLOCKS][BS_BLOCK];

static bool is_tamper_error(long err)
{
	return err == -EBADMSG || err == -EUCLEAN || err == -EKEYREJECTED;
}

/* Reads everything: 0 when all is right, or the first error; anything else fails the test. */
static long read_all(void)
{
	static u8 buf[FILE_SIZE];
	struct secvol *v;
	u64 obj;
	long n = secvol_open(&f.params, &v, NULL);

	if (n)
		return n;
	n = secvol_lookup(v, SECVOL_ROOT_OBJ, "file", 4, &obj, NULL);
	if (!n) {
		n = secvol_read(v, obj, 0, buf, sizeof(buf));
		if (n > 0) {
			assert_memory_equal(buf, content, (size_t)n);
			/* A short read is an error met after some good bytes. */
			n = n == FILE_SIZE ? 0 : secvol_read(v, obj, (u64)n, buf, 4096);
		}
	}
	if (!n) {
		n = secvol_lookup(v, SECVOL_ROOT_OBJ, "small", 5, &obj, NULL);
		if (!n) {
			n = secvol_read(v, obj, 0, buf, 100);
			if (n >= 0)
				assert_memory_equal(buf, "small content", (size_t)n);
			n = n == 13 ? 0 : n;
		}
	}
	if (!n)
		n = secvol_check(v, NULL, NULL);
	secvol_abandon(v);
	return n;
}

static void save(u8 (*to)[BS_BLOCK])
{
	for (u32 i = 0; i < BLOCKS; i++) {
		const u8 *b = bs_mem_block(f.bs, i);

		if (b)
			memcpy(to[i], b, BS_BLOCK);
		else
			memset(to[i], 0, BS_BLOCK);
	}
}

static void restore(u8 (*from)[BS_BLOCK])
{
	for (u32 i = 0; i < BLOCKS; i++)
		memcpy(bs_map(f.bs, i, 1, true), from[i], BS_BLOCK);
}

static void build(void)
{
	struct secvol_format_params fmt = {.size_blocks = BLOCKS};
	struct secvol_attr a;
	struct secvol *v;
	u64 seed = 5;

	for (u32 i = 0; i < FILE_SIZE; i++)
		content[i] = (u8)(fixture_next(&seed) >> 9);
	assert_int_equal(fixture_init(&f, BLOCKS), 0);
	assert_int_equal(secvol_format(&f.params, &fmt), 0);
	assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
	assert_int_equal(secvol_create(v, SECVOL_ROOT_OBJ, "file", 4, 0100644, 0, 0, 0, false, &a),
			 0);
	assert_int_equal(secvol_write(v, a.obj, 0, content, FILE_SIZE / 2), FILE_SIZE / 2);
	assert_int_equal(secvol_commit(v), 0);
	save(other); /* an older state */
	assert_int_equal(secvol_write(v, a.obj, 0, content, FILE_SIZE), FILE_SIZE);
	assert_int_equal(secvol_create(v, SECVOL_ROOT_OBJ, "small", 5, 0100644, 0, 0, 0, false, &a),
			 0);
	assert_int_equal(secvol_write(v, a.obj, 0, "small content", 13), 13);
	for (int i = 0; i < 5; i++) { /* old roots leave the slots */
		assert_int_equal(secvol_setxattr(v, a.obj, "user.x", &i, sizeof(i), 0), 0);
		assert_int_equal(secvol_commit(v), 0);
	}
	assert_int_equal(secvol_close(v), 0);
	f.params.read_only = true;
	save(saved);
	assert_int_equal(read_all(), 0);
}

static bool is_empty(u32 block)
{
	for (u32 i = 0; i < BS_BLOCK; i++) {
		if (saved[block][i])
			return false;
	}
	return true;
}

/* Some byte of every block, and every byte of the newest root's clear part. */
static void flipped_bits_are_found(void **state)
{
	u32 found = 0;

	build();
	for (u32 b = 0; b < BLOCKS; b++) {
		if (is_empty(b))
			continue;
		for (u32 k = 0; k < (b < 4 ? 600u : 3u); k++) {
			u32 at = b < 4 ? (k < 540 ? k : k * 6) : k * 1700 + b % 97;
			long err;

			bs_mem_block(f.bs, b)[at] ^= (u8)(1 << (b + k) % 8);
			err = read_all();
			/* 0: a block that nothing refers to, or an older root served instead. */
			assert_true(err == 0 || is_tamper_error(err));
			found += err != 0;
			bs_mem_block(f.bs, b)[at] ^= (u8)(1 << (b + k) % 8);
		}
	}
	assert_true(found > 100);
	assert_int_equal(read_all(), 0);
	fixture_fini(&f);
}

static void swapped_old_and_zeroed_blocks_are_found(void **state)
{
	u32 found = 0;
	long err;

	build();
	restore(saved); /* all blocks exist now */
	for (u32 b = 4; b < BLOCKS; b++) {
		if (is_empty(b))
			continue;
		for (u32 c = b + 1; c < b + 9 && c < BLOCKS; c += 3) {
			memcpy(bs_mem_block(f.bs, b), saved[c], BS_BLOCK);
			memcpy(bs_mem_block(f.bs, c), saved[b], BS_BLOCK);
			err = read_all();
			assert_true(err == 0 || is_tamper_error(err));
			found += err != 0;
			memcpy(bs_mem_block(f.bs, b), saved[b], BS_BLOCK);
			memcpy(bs_mem_block(f.bs, c), saved[c], BS_BLOCK);
		}
		memcpy(bs_mem_block(f.bs, b), other[b], BS_BLOCK);
		err = read_all();
		assert_true(err == 0 || is_tamper_error(err));
		memset(bs_mem_block(f.bs, b), 0, BS_BLOCK);
		err = read_all();
		assert_true(err == 0 || is_tamper_error(err));
		found += err != 0;
		memcpy(bs_mem_block(f.bs, b), saved[b], BS_BLOCK);
	}
	assert_true(found > 50);
	/* The whole older state is a state: without an anchor it opens, with its own content. */
	restore(other);
	err = secvol_probe(&f.env, f.bs, &(bool){false});
	assert_int_equal(err, 0);
	fixture_fini(&f);
}

/* ---- nonces ---- */

struct nonce {
	u8 key[32];
	u8 nonce[12];
};
static struct nonce *nonces;
static u32 nonce_count;

static void on_nonce(void *arg, const u8 key_id[32], const u8 nonce[12])
{
	assert_true(nonce_count < 200000);
	memcpy(nonces[nonce_count].key, key_id, 32);
	memcpy(nonces[nonce_count++].nonce, nonce, 12);
}

static int by_nonce(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct nonce));
}

static u32 repeated_nonces(void)
{
	u32 repeated = 0;

	qsort(nonces, nonce_count, sizeof(*nonces), by_nonce);
	for (u32 i = 1; i < nonce_count; i++)
		repeated += memcmp(&nonces[i - 1], &nonces[i], sizeof(*nonces)) == 0;
	return repeated;
}

static void work(u32 faults)
{
	struct secvol_hooks hooks = {.on_nonce = on_nonce, .faults = faults};
	struct secvol_attr a;
	struct secvol *v;

	nonce_count = 0;
	build();
	f.params.read_only = false;
	f.params.hooks = &hooks;
	for (int i = 0; i < 12; i++) {
		char name[8];

		if (i == 4)
			save(other);
		if (i == 8)
			restore(other); /* a rollback: two histories from one state */
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
		assert_int_equal(secvol_create(v, SECVOL_ROOT_OBJ, name, strlen(name), 0100644, 0,
					       0, 0, false, &a),
				 0);
		assert_int_equal(secvol_write(v, a.obj, 0, content, 70000), 70000);
		if (i % 3)
			assert_int_equal(secvol_commit(v), 0);
		if (i % 2)
			assert_int_equal(secvol_close(v), 0);
		else
			secvol_abandon(v);
	}
	fixture_fini(&f);
}

static void nonces_are_used_once(void **state)
{
	nonces = calloc(200000, sizeof(*nonces));
	work(0);
	assert_true(nonce_count > 300);
	assert_int_equal(repeated_nonces(), 0);
	work(SECVOL_FAULT_NONCE_REUSE);
	assert_true(repeated_nonces() > 0);
	free(nonces);
}

static void plaintext_never_reaches_the_store(void **state)
{
	static const char marker[] = "small content";

	build();
	for (u32 b = 0; b < BLOCKS; b++) {
		assert_null(memmem(saved[b], BS_BLOCK, marker, sizeof(marker) - 1));
		for (u32 at = 0; at < FILE_SIZE; at += 4096)
			assert_null(memmem(saved[b], BS_BLOCK, content + at, 16));
	}
	fixture_fini(&f);
}

/* Each allocation in turn fails: an error or success, and the volume is whole afterwards. */
static void failing_allocations_do_no_harm(void **state)
{
	struct secvol_attr a;
	struct secvol *v;

	build();
	f.params.read_only = false;
	for (long n = 0; n < 150; n++) {
		int err;

		restore(saved);
		f.fail_alloc_after = n;
		err = secvol_open(&f.params, &v, NULL);
		if (err) {
			assert_int_equal(err, -ENOMEM);
		} else {
			err = secvol_create(v, SECVOL_ROOT_OBJ, "new", 3, 0100644, 0, 0, 0, false,
					    &a);
			if (!err)
				err = secvol_write(v, a.obj, 100, content, 90000) < 0;
			if (!err)
				err = secvol_unlink(v, SECVOL_ROOT_OBJ, "file", 4, false);
			f.fail_alloc_after = f.fail_alloc_after >= 0 ? f.fail_alloc_after : -1;
			err = secvol_close(v);
		}
		f.fail_alloc_after = -1;
		assert_int_equal(secvol_open(&f.params, &v, NULL), 0);
		assert_int_equal(secvol_check(v, NULL, NULL), 0);
		assert_int_equal(secvol_close(v), 0);
	}
	fixture_fini(&f);
	assert_int_equal(f.in_use, 0);
}

UNIT_TESTS(flipped_bits_are_found, swapped_old_and_zeroed_blocks_are_found, nonces_are_used_once,
	   plaintext_never_reaches_the_store, failing_allocations_do_no_harm)
