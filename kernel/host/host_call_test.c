/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit.h"

#include <stdlib.h>

#include "abi/errno.h"
#include "edge/hostcall_gen.h"
#include "kernel/host/host_call.h"
#include "tests/fakes/hostile_host.h"

/* 40 thousand calls; whatever the host says, a wrapper's caller sees only what the table allows. */
static void test_hostile_answers(void **state)
{
	struct hostile_host h = {.seed = 1};

	hostile_host_run(&h, 40000);
}

static void test_every_row_has_a_caller(void **state)
{
	for (size_t i = 0; i < hostile_row_count; i++) {
		assert_non_null(hostile_rows[i].call);
		assert_string_equal(hostcall_name(hostile_rows[i].number), hostile_rows[i].name);
	}
	assert_string_equal(hostcall_name(0), "?");
}

static void test_too_large_buffers_are_refused(void **state)
{
	static u8 big[70000];

	assert_int_equal(host_log(0, big, 4097), -EINVAL);
	assert_int_equal(host_file_pread(3, big, 65537, 0), -EINVAL);
	assert_int_equal(host_file_open(big, SIZE_MAX, 0, 0), -EINVAL);
}

UNIT_TESTS(test_hostile_answers, test_every_row_has_a_caller, test_too_large_buffers_are_refused)
