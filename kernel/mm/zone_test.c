// SPDX-License-Identifier: Apache-2.0
/* Free ranges against a bitmap. */
#include "kernel/mm/zone.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fakes/fakes.h"
#include "tests/unit.h"

#define PAGES 4096
#define BASE  0x10000ul

static bool used[PAGES];

static u64 addr(size_t page)
{
	return BASE + page * PAGE_SIZE;
}

static bool all_are(size_t from, size_t to, bool want)
{
	for (size_t i = from; i < to; i++)
		if (used[i] != want)
			return false;
	return true;
}

static void mark(size_t from, size_t to, bool value)
{
	memset(used + from, value, to - from);
}

static void lowest_fit_model(void **state)
{
	struct {
		size_t from, to;
	} held[512];
	size_t count = 0;

	memset(used, 0, sizeof(used));
	assert_int_equal(zone_init(BASE, addr(PAGES), BASE), 0);
	srand(7);
	for (int step = 0; step < 60000; step++) {
		size_t size = 1 + (size_t)rand() % (rand() % 8 ? 12 : 200);

		if (count < ARRAY_SIZE(held) && rand() % 2) {
			size_t align = 1ul << (rand() % 4), want = 0;
			u64 at;

			for (want = 0; want + size <= PAGES; want += 1)
				if (IS_ALIGNED(addr(want), align << PAGE_SHIFT) &&
				    all_are(want, want + size, false))
					break;
			assert_int_equal(zone_reserve_node(), 0);
			at = zone_alloc_within(size << PAGE_SHIFT, align << PAGE_SHIFT, BASE,
					       addr(PAGES));
			if (want + size > PAGES) {
				assert_int_equal(at, 0);
				zone_unreserve_node();
				continue;
			}
			assert_int_equal(at, addr(want));
			mark(want, want + size, true);
			held[count].from = want;
			held[count++].to = want + size;
		} else if (count < ARRAY_SIZE(held) && rand() % 2) {
			size_t from = (size_t)rand() % PAGES, to = MIN(from + size, PAGES);
			bool is_free = all_are(from, to, false);

			assert_int_equal(zone_is_free(addr(from), addr(to)), is_free);
			assert_int_equal(zone_reserve_node(), 0);
			assert_int_equal(zone_take(addr(from), addr(to)), is_free);
			if (!is_free) {
				zone_unreserve_node();
				continue;
			}
			mark(from, to, true);
			held[count].from = from;
			held[count++].to = to;
		} else if (count) {
			size_t i = (size_t)rand() % count;

			zone_free(addr(held[i].from), addr(held[i].to));
			zone_unreserve_node();
			mark(held[i].from, held[i].to, false);
			held[i] = held[--count];
		}
	}
	while (count--) {
		zone_free(addr(held[count].from), addr(held[count].to));
		zone_unreserve_node();
	}
	assert_true(zone_is_free(BASE, addr(PAGES)));
	assert_int_equal(zone_free_bytes(), PAGES * PAGE_SIZE);
	zone_fini();
	assert_int_equal(fake_allocations_live(), 0);
}

UNIT_TESTS(lowest_fit_model)
