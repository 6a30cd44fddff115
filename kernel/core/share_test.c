// SPDX-License-Identifier: Apache-2.0
/* Shares of a heap of 1 GiB, which is what the fake says. */
#include "kernel/core/share.h"

#include "tests/fakes/fakes.h"
#include "tests/unit.h"

static void a_share_is_used_up(void **state)
{
	struct heap_share s = HEAP_SHARE(MIB(1)); /* 1 KiB */

	assert_false(heap_share_exceeds(&s, 1));
	assert_true(heap_share_take(&s, 1000, 1));
	assert_false(heap_share_take(&s, 100, 1));
	assert_false(heap_share_exceeds(&s, 1));
	assert_true(heap_share_exceeds(&s, 2));
	assert_true(heap_share_take(&s, 100, 2));
	assert_true(heap_share_exceeds(&s, 1));
	assert_false(heap_share_take(&s, 1000, 2));
	heap_share_give(&s, 1100);
	assert_int_equal(s.used, 0);
	assert_true(heap_share_take(&s, 1024, 1));
}

static void what_is_charged_counts(void **state)
{
	struct heap_share s = HEAP_SHARE(MIB(1));

	heap_share_charge(&s, 4096);
	assert_true(heap_share_exceeds(&s, 1));
	assert_false(heap_share_take(&s, 1, 2));
	heap_share_give(&s, 4096);
	assert_false(heap_share_exceeds(&s, 1));
}

static void the_reserve_stays(void **state)
{
	struct heap_share s = HEAP_SHARE(1);

	assert_true(heap_share_take(&s, MIB(896), 1));
	heap_share_give(&s, MIB(896));
	assert_false(heap_share_take(&s, MIB(897), 1));
	assert_int_equal(s.used, 0);
}

static void what_is_allocated_counts(void **state)
{
	struct heap_share s = HEAP_SHARE(MIB(1));
	void *p = heap_share_alloc(&s, 1000, 1);

	assert_non_null(p);
	assert_int_equal(s.used, 1000);
	assert_null(heap_share_alloc(&s, 100, 1));
	fake_fail_allocation(1, false);
	assert_null(heap_share_alloc(&s, 100, 2));
	assert_int_equal(s.used, 1000);
	heap_share_free(&s, NULL, 100);
	heap_share_free(&s, p, 1000);
	assert_int_equal(s.used, 0);
}

UNIT_TESTS(a_share_is_used_up, what_is_charged_counts, the_reserve_stays, what_is_allocated_counts)
