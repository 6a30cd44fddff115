// SPDX-License-Identifier: Apache-2.0
/* The id table: numbers rise, wrap, are not given out while in use. */
#include "abi/errno.h"
#include "kernel/proc/proc_priv.h"
#include "tests/fakes/fakes.h"
#include "tests/unit.h"

static void ids_rise_and_are_found(void **state)
{
	struct process p = {.refs = 1};
	struct thread t = {.refs = 1, .process = &p};
	s32 first = id_alloc(), second = id_alloc();

	assert_int_equal(second, first + 1);
	assert_null(process_lookup(first));
	id_set_process(first, &p);
	id_set_thread(second, &t);
	assert_ptr_equal(process_lookup(first), &p);
	assert_int_equal(p.refs, 2);
	assert_null(process_lookup(second));
	assert_ptr_equal(thread_lookup(second), &t);
	assert_int_equal(id_next_process(0), first);
	assert_int_equal(id_next_process(first), 0);
	id_set_process(first, NULL);
	id_set_thread(second, NULL);
	assert_null(thread_lookup(second));
	assert_null(process_lookup(-5));
	assert_null(process_lookup(1 << 30));
	id_release(first);
	id_release(second);
}

static void ids_in_use_are_skipped_after_the_wrap(void **state)
{
	s32 held = id_alloc(), id, first;

	id_hold(held);
	id_release(held); /* one use is left: a group whose leader is gone */
	first = held + 1;
	for (u32 i = 0; i < 2 * 32768; i++) {
		id = id_alloc();
		assert_true(id > 0 && id < 32768);
		assert_int_not_equal(id, held);
		id_release(id);
	}
	(void)first;
	id_release(held);
}

static void a_full_table_is_eagain(void **state)
{
	u32 count = 0;
	s32 id;

	while ((id = id_alloc()) > 0)
		count++;
	assert_int_equal(id, -EAGAIN);
	assert_true(count > 32000);
	for (id = 1; id < 32768; id++)
		id_release(id);
	assert_true(id_alloc() > 0);
}

static void without_memory_there_is_no_id(void **state)
{
	/* Runs last: all chunks exist by now, so nothing needs to be allocated. */
	fake_fail_allocation(1, true);
	assert_true(id_alloc() > 0);
	fake_fail_allocation(0, false);
}

UNIT_TESTS(ids_rise_and_are_found, ids_in_use_are_skipped_after_the_wrap, a_full_table_is_eagain,
	   without_memory_there_is_no_id)
