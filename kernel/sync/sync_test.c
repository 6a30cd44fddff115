/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
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
static struct spinlock spin = SPINLOCK_INIT(LOCK_TEST);
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
	mutex_init(&mutex, LOCK_TEST);
	run_threads(count);
	assert_int_equal(counter, THREADS * ROUNDS);
	assert_int_equal(a, THREADS * ROUNDS);
	assert_true(mutex_trylock(&mutex));
	assert_false(mutex_trylock(&mutex));
	mutex_unlock(&mutex);
}

/* --- the checks that the other unit tests rely on --- */

static struct spinlock outer_spin = SPINLOCK_INIT(LOCK_PROCESS),
		       inner_spin = SPINLOCK_INIT(LOCK_KMEM),
		       second_inner = SPINLOCK_INIT(LOCK_KMEM), never_initialised;
static struct mutex outer_mutex = MUTEX_INIT(outer_mutex, LOCK_EXEC),
		    inner_mutex = MUTEX_INIT(inner_mutex, LOCK_MM),
		    vnodes[2] = {MUTEX_INIT(vnodes[0], LOCK_VNODE),
				 MUTEX_INIT(vnodes[1], LOCK_VNODE)};

static void in_order(void)
{
	mutex_lock(&outer_mutex);
	mutex_lock(&vnodes[1]);
	mutex_lock(&vnodes[0]);
	mutex_lock(&inner_mutex);
	spin_lock(&outer_spin);
	spin_lock(&inner_spin);
	/* Given up in any order. */
	mutex_unlock(&outer_mutex);
	spin_unlock(&outer_spin);
	spin_unlock(&inner_spin);
	mutex_unlock(&vnodes[1]);
	mutex_unlock(&inner_mutex);
	mutex_unlock(&vnodes[0]);
	mutex_lock(&outer_mutex);
	mutex_unlock(&outer_mutex);
}

static void sleep_below_a_spinlock(void)
{
	spin_lock(&inner_spin);
	mutex_lock(&outer_mutex);
}

static void mutexes_in_wrong_order(void)
{
	mutex_lock(&inner_mutex);
	mutex_lock(&outer_mutex);
}

static void spinlocks_in_wrong_order(void)
{
	spin_lock(&inner_spin);
	spin_lock(&outer_spin);
}

static void wrong_order_behind_a_trylock(void)
{
	mutex_lock(&inner_mutex);
	if (mutex_trylock(&outer_mutex)) /* cannot deadlock */
		mutex_lock(&vnodes[0]);	 /* could: below inner_mutex */
}

static void two_of_a_rank_that_does_not_nest(void)
{
	spin_lock(&inner_spin);
	spin_lock(&second_inner);
}

static void lock_never_initialised(void)
{
	spin_lock(&never_initialised);
}

static void release_what_is_not_held(void)
{
	mutex_unlock(&inner_mutex);
}

/* Runs it in a child; what it wrote to stderr, or NULL when it ended well. */
static const char *last_words(void (*act)(void))
{
	static char text[512];
	int status, fds[2];
	size_t size = 0;
	ssize_t more;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (!child) {
		signal(SIGABRT, SIG_DFL);
		dup2(fds[1], 2);
		act();
		_exit(0);
	}
	close(fds[1]);
	while ((more = read(fds[0], text + size, sizeof(text) - 1 - size)) > 0)
		size += (size_t)more;
	close(fds[0]);
	text[size] = '\0';
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return NULL;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	return text;
}

static void test_locks_out_of_order_are_caught(void **state)
{
	const char *words;

	assert_null(last_words(in_order));
	words = last_words(mutexes_in_wrong_order);
	assert_non_null(words);
	assert_non_null(strstr(words, "'process.exec_lock' is taken while 'mm.lock' is held"));
	assert_non_null(last_words(spinlocks_in_wrong_order));
	assert_non_null(last_words(wrong_order_behind_a_trylock));
	assert_non_null(last_words(two_of_a_rank_that_does_not_nest));
	assert_non_null(last_words(lock_never_initialised));
	assert_non_null(last_words(release_what_is_not_held));
	words = last_words(sleep_below_a_spinlock);
	assert_non_null(words);
	assert_non_null(strstr(words, "a class of kmalloc"));
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
	rwlock_init(&rw, LOCK_TEST);
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
		waitq_add(&queue, &w[i].entry, i != 3);
		w[i].entry.thread = &w[i].thread;
		w[i].thread.refs = 1;
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

UNIT_TESTS(test_locks_out_of_order_are_caught, test_mutex_and_spinlock_exclude,
	   test_rwlock_readers_see_whole_writes, test_wait_queue_loses_no_wake_up, test_waits_end,
	   test_exclusive_waiters_take_turns)
