/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit.h"

#include <string.h>

#include "abi/errno.h"
#include "kernel/core/random.h"
#include "tests/fakes/fakes.h"

static void test_requests_differ(void **state)
{
	static u8 a[100000], b[100000];
	u32 counts[256] = {0};

	assert_int_equal(random_bytes(a, sizeof(a)), 0);
	assert_int_equal(random_bytes(b, sizeof(b)), 0);
	assert_memory_not_equal(a, b, 32);
	for (size_t i = 0; i < sizeof(a); i++)
		counts[a[i]]++;
	for (u32 i = 0; i < 256; i++)
		assert_in_range(counts[i], 250, 550);
}

static void test_stuck_source_fails(void **state)
{
	u8 bytes[16];

	random_wipe();
	fake_fix_entropy(true, 0x1234);
	assert_int_equal(random_bytes(bytes, sizeof(bytes)), -EIO);
	fake_fix_entropy(true, ~0ull);
	assert_int_equal(random_bytes(bytes, sizeof(bytes)), -EIO);
	fake_fix_entropy(false, 0);
	assert_int_equal(random_bytes(bytes, sizeof(bytes)), 0);
}

UNIT_TESTS(test_requests_differ, test_stuck_source_fails)
