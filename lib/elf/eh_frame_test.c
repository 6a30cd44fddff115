/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the .eh_frame reader. */
#include "tests/unit.h"

#include "abi/errno.h"
#include "lib/base/string.h"
#include "lib/elf/eh_frame.h"

#include <stdlib.h>

/* One CIE "zR" (pcrel sdata4), one FDE for [0x2000, 0x2000 + 0x40), at address 0x1000. */
static const u8 section[] = {
	/* CIE */ 0x14,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	1,
	'z',
	'R',
	0,
	1,
	0x78,
	16,
	1,
	0x1b,
	0x0c,
	7,
	8,
	0x90,
	1,
	0,
	0,
	/* FDE at 24: the pc field lies at 0x1000 + 32 */ 0x10,
	0,
	0,
	0,
	0x1c,
	0,
	0,
	0,
	0xe0,
	0x0f,
	0,
	0,
	0x40,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	/* end */ 0,
	0,
	0,
	0};

static void one_function_is_found(void **state)
{
	struct eh_frame f = eh_frame_of(section, sizeof(section), 0x1000);
	struct eh_function fn;

	assert_int_equal(eh_frame_next(&f, &fn), 1);
	assert_int_equal(fn.start, 0x2000);
	assert_int_equal(fn.size, 0x40);
	assert_false(fn.has_lsda);
	assert_int_equal(eh_frame_next(&f, &fn), 0);
}

static void damage_ends_the_walk(void **state)
{
	struct eh_function fn;

	for (unsigned bit = 0; bit < 8 * sizeof(section); bit++) {
		u8 *copy = malloc(sizeof(section));
		struct eh_frame f = eh_frame_of(copy, sizeof(section), 0x1000);

		memcpy(copy, section, sizeof(section));
		copy[bit / 8] ^= 1 << (bit % 8);
		for (int i = 0; i < 20 && eh_frame_next(&f, &fn) == 1; i++)
			assert_true(fn.size > 0 && fn.start + fn.size > fn.start);
		free(copy);
	}
	for (unsigned size = 1; size < sizeof(section) - 4; size++) {
		u8 *copy = malloc(size);
		struct eh_frame f = eh_frame_of(copy, size, 0x1000);

		memcpy(copy, section, size);
		if (size != 24)
			assert_int_equal(eh_frame_next(&f, &fn), -ENOEXEC);
		free(copy);
	}
}

UNIT_TESTS(one_function_is_found, damage_ends_the_walk)
