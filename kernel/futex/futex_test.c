// SPDX-License-Identifier: Apache-2.0
/* Futexes with real threads over the fakes: what wakes whom, and the races around it. */
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "abi/errno.h"
#include "abi/futex.h"
#include "abi/resource.h"
#include "kernel/futex/futex.h"
#include "kernel/proc/proc_priv.h"
#include "kernel/sched/park.h"
#include "kernel/time/clock.h"
#include "lib/base/string.h"
#include "tests/fakes/fakes.h"
#include "tests/fakes/user_memory.h"
#include "tests/unit.h"

#define ANY	FUTEX_BITSET_MATCH_ANY
#define MS	1000000ull
#define THREADS 8

static struct process p;
static struct {
	u32 a, b, lock;
	u64 list[16];
	struct abi_robust_list_head head;
} user;
static u32 queued; /* waiters that are about to sleep */

struct waiter {
	pthread_t pthread;
	struct thread t;
	u32 *word;
	u32 value, bitset;
	u64 timeout_ns;
	long result;
};

static void setup(void)
{
	memset(&p, 0, sizeof(p));
	p.refs = 100;
	p.thread_count = 2;
	list_init(&p.threads);
	list_init(&p.pending);
	memset(&user, 0, sizeof(user));
	fake_user_memory(&user, sizeof(user));
	fake_user_hook(NULL);
	fake_set_process(&p);
	queued = 0;
}

static void thread_setup(struct thread *t, s32 tid)
{
	memset(t, 0, sizeof(*t));
	t->refs = 1;
	t->tid = tid;
	t->process = &p;
	list_init(&t->process_node);
	list_init(&t->pending);
	fake_attach_thread(t);
}

static void *wait_main(void *arg)
{
	struct waiter *w = arg;
	u64 deadline = DEADLINE_NEVER;

	thread_setup(&w->t, 100);
	if (w->timeout_ns)
		deadline = clock_monotonic_ns() + w->timeout_ns;
	__atomic_add_fetch(&queued, 1, __ATOMIC_SEQ_CST);
	w->result = futex_wait((u64)w->word, w->value, true, w->bitset, deadline);
	return NULL;
}

static void start(struct waiter *w, u32 *word, u32 bitset)
{
	*w = (struct waiter){.word = word, .bitset = bitset};
	assert_int_equal(pthread_create(&w->pthread, NULL, wait_main, w), 0);
}

/* There is no way to ask whether a thread sleeps: wake until the expected number was woken. */
static long wake_exactly(u32 *word, u32 count, u32 bitset)
{
	long woken = 0;

	for (u32 round = 0; woken < count && round < 2000; round++) {
		woken += futex_wake((u64)word, count - (u32)woken, true, bitset);
		if (woken < count)
			sched_yield();
		if (round > 100)
			usleep(1000);
	}
	return woken;
}

static void join(struct waiter *w, long expected)
{
	pthread_join(w->pthread, NULL);
	assert_int_equal(w->result, expected);
	assert_int_equal(w->t.refs, 1);
}

static void wait_compares_first(void **state)
{
	setup();
	user.a = 1;
	assert_int_equal(futex_wait((u64)&user.a, 0, true, ANY, 0), -EAGAIN);
	assert_int_equal(futex_wait(8, 0, true, ANY, 0), -EFAULT);
	assert_int_equal(futex_wait((u64)&user.a, 1, true, 0, 0), -EINVAL);
	assert_int_equal(futex_wait((u64)&user.a, 1, true, ANY, clock_monotonic_ns() + MS),
			 -ETIMEDOUT);
	assert_int_equal(futex_wake((u64)&user.a, 1, true, ANY), 0);
}

static void change_at(u64 address)
{
	static u32 accesses;

	if (address == (u64)&user.a && ++accesses == 2)
		user.a = 5; /* between the first look and the second */
}

static void a_change_before_sleeping_is_seen(void **state)
{
	setup();
	fake_user_hook(change_at);
	assert_int_equal(futex_wait((u64)&user.a, 0, true, ANY, DEADLINE_NEVER), -EAGAIN);
	fake_user_hook(NULL);
	assert_int_equal(futex_wake((u64)&user.a, 1, true, ANY), 0);
}

static void wake_counts_and_bitsets(void **state)
{
	struct waiter w[THREADS];

	setup();
	for (u32 i = 0; i < THREADS; i++)
		start(&w[i], &user.a, i & 1 ? 1 : 2);
	assert_int_equal(wake_exactly(&user.a, THREADS / 2, 1), THREADS / 2);
	assert_int_equal(futex_wake((u64)&user.a, 100, true, 1), 0);
	assert_int_equal(wake_exactly(&user.a, THREADS / 2, ANY), THREADS / 2);
	for (u32 i = 0; i < THREADS; i++)
		join(&w[i], 0);
}

static void requeue_moves_the_rest(void **state)
{
	struct waiter w[THREADS];
	u32 expected = 0, wrong = 1;
	long moved = 0;

	setup();
	for (u32 i = 0; i < THREADS; i++)
		start(&w[i], &user.a, ANY);
	assert_int_equal(wake_exactly(&user.a, 1, ANY), 1);
	assert_int_equal(futex_requeue((u64)&user.a, (u64)&user.b, 1, 9, &wrong, true), -EAGAIN);
	assert_int_equal(futex_requeue(8, (u64)&user.b, 1, 9, &wrong, true), -EFAULT);
	for (u32 round = 0; moved < THREADS - 1 && round < 5000; round++) {
		moved += futex_requeue((u64)&user.a, (u64)&user.b, 0, 99, &expected, true);
		usleep(100);
	}
	assert_int_equal(moved, THREADS - 1);
	assert_int_equal(futex_wake((u64)&user.a, 99, true, ANY), 0);
	assert_int_equal(futex_wake((u64)&user.b, 99, true, ANY), THREADS - 1);
	for (u32 i = 0; i < THREADS; i++)
		join(&w[i], 0);
}

static u32 wake_op(u32 op, u32 arg, u32 compare, u32 compare_arg)
{
	return op << 28 | compare << 24 | (arg & 0xfff) << 12 | (compare_arg & 0xfff);
}

static void wake_op_changes_the_second_word(void **state)
{
	static const struct {
		u32 op, arg, before, after;
	} cases[] = {
		{FUTEX_OP_SET, 7, 3, 7}, {FUTEX_OP_ADD, 0xfff, 3, 2},
		{FUTEX_OP_OR, 8, 3, 11}, {FUTEX_OP_ANDN, 1, 3, 2},
		{FUTEX_OP_XOR, 1, 3, 2}, {FUTEX_OP_ADD | FUTEX_OP_OPARG_SHIFT, 4, 3, 19},
	};
	struct waiter w;

	setup();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		user.b = cases[i].before;
		assert_int_equal(
			futex_wake_op((u64)&user.a, (u64)&user.b, 1, 1,
				      wake_op(cases[i].op, cases[i].arg, FUTEX_OP_CMP_EQ, 99),
				      true),
			0);
		assert_int_equal(user.b, cases[i].after);
	}
	assert_int_equal(futex_wake_op((u64)&user.a, (u64)&user.b, 1, 1, wake_op(5, 0, 0, 0), true),
			 -ENOSYS);
	assert_int_equal(futex_wake_op((u64)&user.a, (u64)&user.b, 1, 1, wake_op(0, 0, 6, 0), true),
			 -ENOSYS);
	/* The comparison decides over the second wake. */
	user.b = 0;
	start(&w, &user.b, ANY);
	while (!__atomic_load_n(&queued, __ATOMIC_SEQ_CST))
		sched_yield();
	for (long woken = 0; !woken;)
		woken = futex_wake_op((u64)&user.a, (u64)&user.b, 1, 1,
				      wake_op(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_GE, 0), true);
	join(&w, 0);
}

static void shared_and_private_meet(void **state)
{
	struct waiter w;
	long woken = 0;

	setup();
	start(&w, &user.a, ANY);
	while (!woken) {
		woken = futex_wake((u64)&user.a, 1, false, ANY);
		sched_yield();
	}
	join(&w, 0);
}

static void *lock_pi_main(void *arg)
{
	struct waiter *w = arg;

	thread_setup(&w->t, 8);
	id_set_thread(8, &w->t);
	w->result = futex_lock_pi((u64)&user.lock, true, DEADLINE_NEVER, false);
	if (!w->result)
		w->result = futex_unlock_pi((u64)&user.lock, true);
	id_set_thread(8, NULL);
	return NULL;
}

static void pi_locks_know_their_owner(void **state)
{
	static struct thread self;
	struct waiter w = {0};

	setup();
	for (s32 id = 0; id < 20; id++)
		assert_true(id_alloc() > 0); /* so that tids 7 and 8 have slots */
	thread_setup(&self, 7);
	id_set_thread(7, &self);
	assert_int_equal(futex_lock_pi((u64)&user.lock, true, DEADLINE_NEVER, false), 0);
	assert_int_equal(user.lock, 7);
	assert_int_equal(futex_lock_pi((u64)&user.lock, true, DEADLINE_NEVER, false), -EDEADLK);
	assert_int_equal(pthread_create(&w.pthread, NULL, lock_pi_main, &w), 0);
	while (!(__atomic_load_n(&user.lock, __ATOMIC_SEQ_CST) & FUTEX_WAITERS))
		sched_yield();
	assert_int_equal(futex_unlock_pi((u64)&user.lock, true), 0);
	pthread_join(w.pthread, NULL);
	assert_int_equal(w.result, 0);
	assert_int_equal(futex_unlock_pi((u64)&user.lock, true), -EPERM);
	/* An owner that does not exist. */
	user.lock = 19;
	assert_int_equal(futex_lock_pi((u64)&user.lock, true, DEADLINE_NEVER, false), -ESRCH);
	user.lock = 8;
	assert_int_equal(futex_lock_pi((u64)&user.lock, true, DEADLINE_NEVER, true), -EAGAIN);
	id_set_thread(7, NULL);
	fake_attach_thread(NULL);
}

static void a_dead_owner_is_marked(void **state)
{
	static struct thread dying;
	u32 *first = (u32 *)&user.list[1], *second = (u32 *)&user.list[3],
	    *foreign = (u32 *)&user.list[5], *pending = (u32 *)&user.list[7];

	setup();
	thread_setup(&dying, 9);
	/* Each entry's link is followed by its futex word at +8. */
	user.head.list = (u64)&user.list[0];
	user.list[0] = (u64)&user.list[2];
	user.list[2] = (u64)&user.list[4];
	user.list[4] = (u64)&user.head;
	user.head.futex_offset = 8;
	user.head.list_op_pending = (u64)&user.list[6];
	*first = 9;
	*second = 9 | FUTEX_WAITERS;
	*foreign = 10;
	*pending = 9;
	user.a = 9;
	dying.robust_list = (u64)&user.head;
	dying.clear_child_tid = (u64)&user.a;
	futex_thread_exit(&dying);
	assert_int_equal(*first, FUTEX_OWNER_DIED);
	assert_int_equal(*second, FUTEX_OWNER_DIED | FUTEX_WAITERS);
	assert_int_equal(*foreign, 10);
	assert_int_equal(*pending, FUTEX_OWNER_DIED);
	assert_int_equal(user.a, 0);
	fake_attach_thread(NULL);
}

static void bad_robust_lists_end(void **state)
{
	static struct thread dying;

	setup();
	thread_setup(&dying, 9);
	user.list[0] = (u64)&user.list[0]; /* a ring that never comes back to the head */
	user.head.list = (u64)&user.list[0];
	user.head.futex_offset = 8;
	dying.robust_list = (u64)&user.head;
	futex_thread_exit(&dying);
	dying.robust_list = 8;
	dying.clear_child_tid = 4;
	futex_thread_exit(&dying);
	user.head.list = 0xdead0000;
	user.head.futex_offset = (s64)0x8000000000000000;
	user.head.list_op_pending = 3;
	dying.robust_list = (u64)&user.head;
	futex_thread_exit(&dying);
	fake_attach_thread(NULL);
}

/* A mutex as libcs build it, hammered: the count shows lost wake-ups and broken exclusion. */
static u32 counter;

static void *hammer(void *arg)
{
	struct waiter *w = arg;

	thread_setup(&w->t, 50);
	for (u32 i = 0; i < 2000; i++) {
		u32 expected = 0;

		if (!__atomic_compare_exchange_n(&user.lock, &expected, 1, false, __ATOMIC_ACQUIRE,
						 __ATOMIC_RELAXED)) {
			while (__atomic_exchange_n(&user.lock, 2, __ATOMIC_ACQUIRE))
				(void)futex_wait((u64)&user.lock, 2, true, ANY, DEADLINE_NEVER);
		}
		counter++;
		if (__atomic_exchange_n(&user.lock, 0, __ATOMIC_RELEASE) == 2)
			(void)futex_wake((u64)&user.lock, 1, true, ANY);
	}
	return NULL;
}

static void a_mutex_over_it_excludes(void **state)
{
	struct waiter w[4] = {0};

	setup();
	counter = 0;
	for (u32 i = 0; i < 4; i++)
		pthread_create(&w[i].pthread, NULL, hammer, &w[i]);
	for (u32 i = 0; i < 4; i++)
		pthread_join(w[i].pthread, NULL);
	assert_int_equal(counter, 4 * 2000);
}

UNIT_TESTS(wait_compares_first, a_change_before_sleeping_is_seen, wake_counts_and_bitsets,
	   requeue_moves_the_rest, wake_op_changes_the_second_word, shared_and_private_meet,
	   pi_locks_know_their_owner, a_dead_owner_is_marked, bad_robust_lists_end,
	   a_mutex_over_it_excludes)
