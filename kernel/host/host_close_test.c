/* SPDX-License-Identifier: Apache-2.0 */
/* When the kernel stops, one thread speaks on. */
#include "tests/unit.h"

#include <pthread.h>
#include <sched.h>

#include "kernel/host/host_call.h"

static u8 *late_arena;
static u32 late_state;

static void *speak_late(void *unused)
{
	late_arena = ((struct thread_arena *)host_arena())->data;
	__atomic_store_n(&late_state, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&late_state, __ATOMIC_ACQUIRE) != 2)
		sched_yield();
	host_arena_put(0, "sealed with half a key.", 24);
	__atomic_store_n(&late_state, 3, __ATOMIC_RELEASE);
	return NULL;
}

/* Once closed, it stays so for everybody else. */
static void test_after_the_close_one_thread_speaks(void **state)
{
	struct thread_arena *mine = (struct thread_arena *)host_arena();
	static const u8 nothing[24];
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, speak_late, NULL), 0);
	while (__atomic_load_n(&late_state, __ATOMIC_ACQUIRE) != 1)
		sched_yield();
	host_close();
	__atomic_store_n(&late_state, 2, __ATOMIC_RELEASE);
	for (int i = 0; i < 1000; i++) {
		sched_yield();
		assert_memory_equal(late_arena, nothing, sizeof(nothing));
	}
	assert_int_equal(__atomic_load_n(&late_state, __ATOMIC_ACQUIRE), 2);
	host_arena_put(0, "last words", 11);
	assert_string_equal((char *)mine->data, "last words");
}

UNIT_TESTS(test_after_the_close_one_thread_speaks)
