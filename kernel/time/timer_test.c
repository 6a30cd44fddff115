// SPDX-License-Identifier: Apache-2.0
/* The timer queue, its thread played by the test. */
#include "kernel/time/timer.h"

#include "abi/errno.h"
#include "kernel/sched/park.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "kernel/time/timer_thread.h"
#include "kernel/time/timespec.h"
#include "tests/fakes/fakes.h"
#include "tests/unit.h"

static struct thread runner;
static bool refuse;
static int order[8], order_count;

struct numbered {
	struct timer timer;
	int number;
	u64 again; /* ns after which the callback starts it again */
};

struct thread *timer_thread_new(void (*main)(void *arg))
{
	runner.refs = 1;
	runner.kernel_main = main;
	return &runner;
}

int thread_start(struct thread *t)
{
	return refuse ? -EAGAIN : 0;
}

static void expire(struct timer *t)
{
	struct numbered *n = container_of(t, struct numbered, timer);

	order[order_count++] = n->number;
	if (n->again)
		assert_int_equal(timer_start(t, clock_monotonic_ns() + n->again), 0);
}

static void without_a_thread_there_is_an_error(void **state)
{
	struct numbered n = {.number = 1};

	timer_init(&n.timer, expire);
	refuse = true;
	assert_int_equal(timer_start(&n.timer, 1), -EAGAIN);
	refuse = false;
	assert_false(timer_cancel(&n.timer));
}

static void due_timers_run_in_order(void **state)
{
	struct numbered n[5];
	static const u64 deadlines[] = {30, 10, 20, 10, DEADLINE_NEVER - 1};

	order_count = 0;
	for (int i = 0; i < 5; i++) {
		n[i] = (struct numbered){.number = i};
		timer_init(&n[i].timer, expire);
		assert_int_equal(timer_start(&n[i].timer, deadlines[i]), 0);
	}
	assert_int_equal(timers_run_due(), DEADLINE_NEVER - 1);
	assert_int_equal(order_count, 4);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 3);
	assert_int_equal(order[2], 2);
	assert_int_equal(order[3], 0);
	assert_true(timer_cancel(&n[4].timer));
	assert_int_equal(timers_run_due(), DEADLINE_NEVER);
}

static void a_new_first_timer_wakes_the_thread(void **state)
{
	struct numbered late = {.number = 1}, early = {.number = 2};

	timer_init(&late.timer, expire);
	timer_init(&early.timer, expire);
	assert_int_equal(timer_start(&late.timer, DEADLINE_NEVER - 1), 0);
	runner.park_state = 0;
	assert_int_equal(timer_start(&early.timer, DEADLINE_NEVER - 2), 0);
	assert_int_equal(runner.park_state, 1);
	runner.park_state = 0;
	assert_int_equal(timer_start(&early.timer, DEADLINE_NEVER - 1), 0); /* moved behind */
	timer_cancel_sync(&early.timer);
	timer_cancel_sync(&late.timer);
	assert_int_equal(timers_run_due(), DEADLINE_NEVER);
}

static void a_callback_may_start_its_timer_again(void **state)
{
	struct numbered n = {.number = 4, .again = 3600ull * NS_PER_SEC};

	order_count = 0;
	timer_init(&n.timer, expire);
	assert_int_equal(timer_start(&n.timer, 1), 0);
	assert_true(timers_run_due() > clock_monotonic_ns());
	assert_int_equal(order_count, 1);
	timer_cancel_sync(&n.timer);
	assert_false(n.timer.is_queued);
}

static void conversions_saturate(void **state)
{
	const struct abi_timespec far = {.sec = INT64_MAX, .nsec = 999999999};
	const struct abi_timespec bad[] = {{-1, 0}, {0, -1}, {0, 1000000000}};

	assert_int_equal(timespec_to_ns(&far), DEADLINE_NEVER - 1);
	assert_int_equal(deadline_after(DEADLINE_NEVER - 1), DEADLINE_NEVER - 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(timespec_is_valid(&bad[i]));
	assert_int_equal(ns_to_timespec(1500000000).nsec, 500000000);
	assert_int_equal(ns_to_timeval(1500000000).usec, 500000);
}

UNIT_TESTS(without_a_thread_there_is_an_error, due_timers_run_in_order,
	   a_new_first_timer_wakes_the_thread, a_callback_may_start_its_timer_again,
	   conversions_saturate)
