/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/errno.h"
#include "kernel/arch/arch.h"
#include "kernel/sched/thread.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/waitq.h"
#include "kernel/time/clock.h"

#define THREADS 6
#define ROUNDS	3000

static struct mutex mutex;
static struct rwlock rw;
static struct spinlock spin;
static u64 counter, a, b;
static struct waitq queue;
static u32 produced, consumed; /* atomic */

static void run_threads(void *(*main)(void *))
{
	pthread_t threads[THREADS];

	for (u64 i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, main, (void *)i), 0);
	for (u32 i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void *count(void *arg)
{
	for (u32 i = 0; i < ROUNDS; i++) {
		mutex_lock(&mutex);
		counter++;
		mutex_unlock(&mutex);
		spin_lock(&spin);
		a++;
		spin_unlock(&spin);
	}
	return NULL;
}

static void test_mutex_and_spinlock_exclude(void **state)
{
	mutex_init(&mutex);
	run_threads(count);
	assert_int_equal(counter, THREADS * ROUNDS);
	assert_int_equal(a, THREADS * ROUNDS);
	assert_true(mutex_trylock(&mutex));
	assert_false(mutex_trylock(&mutex));
	mutex_unlock(&mutex);
}

/* The check that the other unit tests rely on. */
static void test_sleeping_below_a_spinlock_is_caught(void **state)
{
	int status;
	pid_t child;

	mutex_init(&mutex);
	child = fork();
	if (!child) {
		signal(SIGABRT, SIG_DFL);
		spin_lock(&spin);
		mutex_lock(&mutex);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void *read_or_write(void *arg)
{
	for (u32 i = 0; i < ROUNDS; i++) {
		if ((u64)arg % 3 == 0) {
			rwlock_write_lock(&rw);
			a++;
			b++;
			rwlock_write_unlock(&rw);
		} else {
			rwlock_read_lock(&rw);
			if (a != b)
				counter = 0;
			rwlock_read_unlock(&rw);
		}
	}
	return NULL;
}

static void test_rwlock_readers_see_whole_writes(void **state)
{
	rwlock_init(&rw);
	a = b = 0;
	counter = 1;
	run_threads(read_or_write);
	assert_int_equal(counter, 1);
	assert_int_equal(a, b);
	assert_int_equal(a, THREADS / 3 * ROUNDS);
}

/* Half produce, half consume: every wake-up that gets lost hangs the test. */
static void *produce_or_consume(void *arg)
{
	for (u32 i = 0; i < ROUNDS; i++) {
		if ((u64)arg % 2) {
			__atomic_fetch_add(&produced, 1, __ATOMIC_SEQ_CST);
			waitq_wake_all(&queue);
			continue;
		}
		if (wait_event(&queue,
			       __atomic_load_n(&produced, __ATOMIC_SEQ_CST) >
				       __atomic_load_n(&consumed, __ATOMIC_SEQ_CST),
			       DEADLINE_NEVER, false))
			counter = 0;
		__atomic_fetch_add(&consumed, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void test_wait_queue_loses_no_wake_up(void **state)
{
	waitq_init(&queue);
	counter = 1;
	produced = consumed = 0;
	run_threads(produce_or_consume);
	assert_int_equal(counter, 1);
	assert_int_equal(consumed, produced);
	assert_true(list_is_empty(&queue.entries));
}

static void test_waits_end(void **state)
{
	struct thread *t = current_thread();

	waitq_init(&queue);
	assert_int_equal(wait_event(&queue, false, clock_monotonic_ns() + 1000000, true),
			 -ETIMEDOUT);
	t->work = WORK_SIGNAL;
	assert_int_equal(wait_event(&queue, false, DEADLINE_NEVER, true), -EINTR);
	assert_int_equal(wait_event(&queue, true, DEADLINE_NEVER, true), 0);
	assert_int_equal(wait_event(&queue, false, clock_monotonic_ns() + 1000000, false),
			 -ETIMEDOUT);
	t->work = 0;
	assert_true(list_is_empty(&queue.entries));
}

struct waiter {
	struct wait_entry entry;
	struct thread thread;
};

/* One exclusive waiter at a time, the others always, and the next call reaches the next one. */
static void test_exclusive_waiters_take_turns(void **state)
{
	struct waiter w[4] = {0};

	waitq_init(&queue);
	for (u32 i = 0; i < 4; i++) {
		w[i].entry.thread = &w[i].thread;
		w[i].entry.queue = &queue;
		w[i].entry.exclusive = i != 3;
		w[i].thread.refs = 1;
		list_add_tail(&queue.entries, &w[i].entry.node);
	}
	waitq_wake_one(&queue);
	assert_true(w[0].thread.park_state && !w[1].thread.park_state && w[3].thread.park_state);
	waitq_wake_one(&queue);
	assert_true(w[1].thread.park_state && !w[2].thread.park_state);
	waitq_wake_all(&queue);
	assert_true(w[2].thread.park_state);
	for (u32 i = 0; i < 4; i++) {
		assert_int_equal(w[i].thread.refs, 1);
		waitq_remove(&w[i].entry);
	}
}

UNIT_TESTS(test_sleeping_below_a_spinlock_is_caught, test_mutex_and_spinlock_exclude,
	   test_rwlock_readers_see_whole_writes, test_wait_queue_loses_no_wake_up, test_waits_end,
	   test_exclusive_waiters_take_turns)
