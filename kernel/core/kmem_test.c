/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/core/kmem.h"
#include "kernel/core/kmem_priv.h"
#include "lib/base/string.h"
#include "tests/fakes/fakes.h"

#define HEAP_SIZE (4ul << 20)
#define BLOCKS	  600

static void *heap;

/* What the host put there: the heap must not believe it. */
static void fresh_heap(void)
{
	free(heap);
	heap = aligned_alloc(PAGE_SIZE, HEAP_SIZE);
	assert_non_null(heap);
	memset(heap, 0xcc, HEAP_SIZE);
	kmem_init(heap, HEAP_SIZE);
	fake_last_log();
}

static u32 next_random(u32 *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

static void test_random_blocks_keep_their_bytes(void **state)
{
	u8 *blocks[BLOCKS] = {0};
	size_t sizes[BLOCKS];
	u32 seed = 7;

	fresh_heap();
	for (u32 round = 0; round < 60000; round++) {
		u32 i = next_random(&seed) % BLOCKS;

		if (blocks[i]) {
			for (size_t n = 0; n < sizes[i]; n += 97)
				assert_int_equal(blocks[i][n], (u8)i);
			kfree(blocks[i]);
			blocks[i] = NULL;
			continue;
		}
		sizes[i] = next_random(&seed) % (next_random(&seed) % 16 ? 700 : 20000);
		blocks[i] = kmalloc(sizes[i]);
		if (blocks[i]) {
			assert_int_equal((u64)blocks[i] % 16, 0);
			memset(blocks[i], (u8)i, sizes[i]);
		}
	}
	for (u32 i = 0; i < BLOCKS; i++)
		kfree(blocks[i]);
}

static void test_freed_runs_merge(void **state)
{
	struct kmem_stats stats;
	void *p[8], *all;
	size_t pages;

	fresh_heap();
	kmem_stats(&stats);
	pages = stats.total / PAGE_SIZE;
	for (u32 i = 0; i < 8; i++) {
		p[i] = kpages_alloc(pages / 8);
		assert_non_null(p[i]);
	}
	for (u32 i = 0; i < 8; i += 2)
		kpages_free(p[i], pages / 8);
	for (u32 i = 1; i < 8; i += 2)
		kpages_free(p[i], pages / 8);
	all = kpages_alloc(pages / 8 * 8);
	assert_non_null(all);
	kpages_free(all, pages / 8 * 8);
	kmem_stats(&stats);
	assert_int_equal(stats.used, 0);
	assert_true(stats.peak >= pages / 8 * 8 * PAGE_SIZE);
}

static void test_pages_are_zeroed(void **state)
{
	u8 *p;

	fresh_heap();
	for (u32 i = 0; i < 3; i++) {
		p = kpages_alloc(5);
		for (size_t n = 0; n < 5 * PAGE_SIZE; n++)
			assert_int_equal(p[n], 0);
		memset(p, 0xee, 5 * PAGE_SIZE);
		kpages_free(p, 5);
	}
	p = kzalloc(100);
	for (size_t n = 0; n < 100; n++)
		assert_int_equal(p[n], 0);
	kfree(p);
}

static void test_exhaustion_names_the_field_once(void **state)
{
	struct kmem_stats stats;
	void **chain = NULL, **p;

	fresh_heap();
	while ((p = kmalloc(1000))) {
		*p = chain;
		chain = p;
	}
	assert_non_null(strstr(fake_last_log(), "resource_limits.kernel_space_heap_size"));
	assert_null(kmalloc(HEAP_SIZE * 2));
	assert_null(kpages_alloc(1));
	assert_string_equal(fake_last_log(), "");
	while (chain) {
		p = chain;
		chain = *p;
		kfree(p);
	}
	kmem_stats(&stats);
	assert_true(stats.used <= PAGE_SIZE);
	assert_null(kcalloc(SIZE_MAX / 2, 3));
	assert_non_null(p = kmalloc(1000));
	kfree(p);
}

static void test_blocks_grow(void **state)
{
	char *p, *same;

	fresh_heap();
	p = kmalloc(20);
	assert_int_equal(str_copy(p, "keep me", 20), 7);
	same = krealloc(p, 30);
	assert_ptr_equal(p, same);
	p = krealloc(p, 9000);
	assert_string_equal(p, "keep me");
	same = krealloc(p, HEAP_SIZE * 2);
	assert_null(same);
	assert_string_equal(p, "keep me");
	p = krealloc(p, 10);
	assert_string_equal(p, "keep me");
	kfree(p);
	p = kstrdup("text");
	assert_string_equal(p, "text");
	kfree(p);
}

UNIT_TESTS(test_random_blocks_keep_their_bytes, test_freed_runs_merge, test_pages_are_zeroed,
	   test_exhaustion_names_the_field_once, test_blocks_grow)
