// SPDX-License-Identifier: Apache-2.0
/* The table of those who hold keys. */
#include "kernel/core/wipe.h"

#include "lib/base/string.h"
#include "tests/unit.h"

static void wipe_byte(void *arg)
{
	*(u8 *)arg = 0;
}

static void wipe_twice(void *arg)
{
	*(u8 *)arg += 2;
}

static void all_that_are_there_are_wiped(void **state)
{
	u8 keys[WIPERS_MAX + 1];

	memset(keys, 7, sizeof(keys));
	for (int i = 0; i < WIPERS_MAX; i++)
		assert_true(wiper_add(wipe_byte, &keys[i]));
	assert_false(wiper_add(wipe_byte, &keys[WIPERS_MAX]));
	wiper_remove(wipe_byte, &keys[3]);
	wiper_remove(wipe_byte, &keys[3]);
	wiper_remove(wipe_twice, &keys[4]);
	assert_true(wiper_add(wipe_twice, &keys[WIPERS_MAX]));
	wipers_run();
	for (int i = 0; i < WIPERS_MAX; i++)
		assert_int_equal(keys[i], i == 3 ? 7 : 0);
	assert_int_equal(keys[WIPERS_MAX], 9);
	for (int i = 0; i < WIPERS_MAX; i++)
		wiper_remove(wipe_byte, &keys[i]);
	wiper_remove(wipe_twice, &keys[WIPERS_MAX]);
	wipers_run();
	assert_int_equal(keys[WIPERS_MAX], 9);
}

UNIT_TESTS(all_that_are_there_are_wiped)
