/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parking with the real park.c and look.c over a host that is made of a condition variable, and
 * over one that lies: pairs of threads hand a number to and fro, and every hand-over needs a wake.
 */
#include "tests/unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi/errno.h"
#include "edge/hostcall_gen.h"
#include "kernel/arch/arch.h"
#include "kernel/host/host_call.h"
#include "kernel/sched/park.h"
#include "kernel/sched/sched_priv.h"
#include "kernel/sched/thread.h"
#include "kernel/sys/cpus.h"
#include "kernel/time/clock.h"
#include "tests/fakes/fakes.h"

#define PAIRS  2
#define ROUNDS 4000
#define MS     1000000ull

static struct thread_arena *arenas[2 * PAIRS];
static struct thread threads[2 * PAIRS];
static u32 number[PAIRS]; /* atomic; odd: the second thread's turn */
static u32 started;	  /* atomic */
static u32 lies;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

u32 cpu_count(void)
{
	return 4;
}

/* Until its word is set. A liar comes back when it likes, and says anything. */
static s64 wait_here(u32 slot, u64 timeout_ns)
{
	static u32 seed; /* atomic */
	struct timespec until;
	s64 ret = 0;

	if (lies) {
		u32 chance = __atomic_add_fetch(&seed, 1, __ATOMIC_RELAXED);

		if (chance % lies)
			return chance & 1 ? -EINTR : 0;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += timeout_ns == UINT64_MAX ? 60 : 0;
	until.tv_nsec += timeout_ns == UINT64_MAX ? 0 : (long)timeout_ns;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&lock);
	while (!__atomic_exchange_n(&arenas[slot]->wait_word, 0, __ATOMIC_SEQ_CST) && !ret)
		ret = -pthread_cond_timedwait(&changed, &lock, &until);
	pthread_mutex_unlock(&lock);
	/* Nobody is left asleep by mistake: a wake that was lost is seen here. */
	assert_true(timeout_ns != UINT64_MAX || !ret);
	return ret;
}

static s64 host(u64 call, u64 *args, u8 *data, void *context)
{
	switch (call) {
	case HOSTCALL_WAIT: return wait_here(current_thread()->slot, args[0]);
	case HOSTCALL_WAKE:
		pthread_mutex_lock(&lock);
		__atomic_store_n(&arenas[args[0]]->wait_word, 1, __ATOMIC_SEQ_CST);
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
		return 0;
	default: return 0;
	}
}

static void begin(u32 slot)
{
	struct thread *t = &threads[slot];

	memset(t, 0, sizeof(*t));
	t->refs = 1;
	t->slot = slot;
	t->is_scheduled = true;
	arenas[slot] = (struct thread_arena *)host_arena();
	fake_attach_thread(t);
	look_count_awake(t, 1);
}

static void end(u32 slot)
{
	look_count_awake(&threads[slot], -1);
	fake_attach_thread(NULL);
}

static void *hand_over(void *arg)
{
	u32 slot = (u32)(u64)arg, pair = slot / 2, parity = slot % 2;

	begin(slot);
	__atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&started, __ATOMIC_SEQ_CST) < 2 * PAIRS)
		thread_yield();
	for (u32 i = 0; i < ROUNDS; i++) {
		while (__atomic_load_n(&number[pair], __ATOMIC_SEQ_CST) % 2 != parity)
			(void)thread_park(DEADLINE_NEVER, false);
		__atomic_add_fetch(&number[pair], 1, __ATOMIC_SEQ_CST);
		thread_unpark(&threads[slot ^ 1]);
	}
	end(slot);
	return NULL;
}

static void run_pairs(void)
{
	pthread_t p[2 * PAIRS];

	fake_host_set(host, NULL);
	memset(number, 0, sizeof(number));
	started = 0;
	for (u64 i = 0; i < 2 * PAIRS; i++)
		assert_int_equal(pthread_create(&p[i], NULL, hand_over, (void *)i), 0);
	for (u32 i = 0; i < 2 * PAIRS; i++)
		pthread_join(p[i], NULL);
	for (u32 i = 0; i < PAIRS; i++)
		assert_int_equal(number[i], 2 * ROUNDS);
	/* Each that stopped to run has been counted again when it went on. */
	assert_int_equal(look_awake(), 0);
}

static void test_no_wake_is_lost(void **state)
{
	lies = 0;
	run_pairs();
}

static void test_a_host_that_lies_only_costs_time(void **state)
{
	lies = 3;
	run_pairs();
	lies = 0;
}

static void test_deadlines_and_work_end_a_park(void **state)
{
	u64 start = clock_monotonic_ns();

	fake_host_set(host, NULL);
	begin(0);
	begin(1); /* awake, so that looking seems to be worth while */
	fake_attach_thread(&threads[0]);
	assert_int_equal(thread_park(start, false), -ETIMEDOUT);
	assert_int_equal(thread_park(start + 5 * MS, false), -ETIMEDOUT);
	assert_true(clock_monotonic_ns() >= start + 5 * MS);
	threads[0].work = WORK_SIGNAL;
	assert_int_equal(thread_park(DEADLINE_NEVER, true), -EINTR);
	threads[0].work = 0;
	thread_unpark(&threads[0]);
	thread_unpark(&threads[0]);
	assert_int_equal(thread_park(start, false), 0); /* one token, however often */
	assert_int_equal(thread_park(start, false), -ETIMEDOUT);
	end(0);
	end(1);
	assert_int_equal(look_awake(), 0);
}

UNIT_TESTS(test_no_wake_is_lost, test_a_host_that_lies_only_costs_time,
	   test_deadlines_and_work_end_a_park)
