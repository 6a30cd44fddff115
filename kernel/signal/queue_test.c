// SPDX-License-Identifier: Apache-2.0
/* Queues of signals: what is kept, dropped, counted, and in which order it comes out. */
#include "abi/errno.h"
#include "abi/resource.h"
#include "abi/signal.h"
#include "kernel/signal/signal_priv.h"
#include "kernel/sys/restart.h"
#include "lib/base/string.h"
#include "tests/fakes/fakes.h"
#include "tests/fakes/user_memory.h"
#include "tests/unit.h"

static struct process p;
static struct thread main_thread, other;

static void thread_setup(struct thread *t, s32 tid)
{
	memset(t, 0, sizeof(*t));
	t->refs = 1;
	t->tid = tid;
	t->process = &p;
	list_init(&t->pending);
	list_init(&t->start_node);
	list_add_tail(&p.threads, &t->process_node);
}

static void setup(void)
{
	memset(&p, 0, sizeof(p));
	p.refs = 1;
	p.pid = 7;
	spin_init(&p.lock, LOCK_PROCESS);
	list_init(&p.threads);
	list_init(&p.pending);
	waitq_init(&p.stop_wait);
	waitq_init(&p.exit_wait);
	pollq_init(&p.signal_poll);
	p.limits[ABI_RLIMIT_SIGPENDING].soft = 5;
	thread_setup(&main_thread, 7);
	thread_setup(&other, 8);
	fake_attach_thread(&main_thread);
}

static void teardown(void)
{
	signal_flush_thread(&main_thread);
	signal_flush_thread(&other);
	signal_flush_process(&p);
	assert_int_equal(p.pending_count, 0);
	assert_int_equal(fake_allocations_live(), 0);
	fake_attach_thread(NULL);
}

static struct signal_info info(int signo, int code, u64 value)
{
	return (struct signal_info){.signo = signo, .code = code, .value = value};
}

static void handle(int signo, u64 handler)
{
	struct sigaction_k action = {.handler = handler}, old;

	assert_int_equal(signal_set_action(signo, &action, &old), 0);
}

static void standard_signals_queue_once(void **state)
{
	struct signal_info out, i = info(SIGUSR1, SI_QUEUE, 1);

	setup();
	signal_set_blocked(SIG_BIT(SIGUSR1));
	assert_int_equal(signal_send_process(&p, &i), 0);
	i.value = 2;
	assert_int_equal(signal_send_process(&p, &i), 0);
	assert_int_equal(signal_dequeue(~0ull, &out), SIGUSR1);
	assert_int_equal(out.value, 1);
	assert_int_equal(signal_dequeue(~0ull, &out), 0);
	teardown();
}

static void realtime_signals_queue_in_order_up_to_the_limit(void **state)
{
	struct signal_info out, i;

	setup();
	for (u64 n = 0; n < 5; n++) {
		i = info(40 - (int)(n & 1), SI_QUEUE, n);
		assert_int_equal(signal_send_process(&p, &i), 0);
	}
	i = info(40, SI_QUEUE, 9);
	assert_int_equal(signal_send_process(&p, &i), -EAGAIN);
	/* A standard signal is never refused: it loses only what is known about it. */
	i = info(SIGTERM, SI_QUEUE, 5);
	assert_int_equal(signal_send_process(&p, &i), 0);
	assert_int_equal(signal_dequeue(~0ull, &out), SIGTERM);
	assert_int_equal(out.code, SI_USER);
	static const u64 values[] = {1, 3, 0, 2, 4};
	for (u64 n = 0; n < 5; n++) {
		assert_int_equal(signal_dequeue(~0ull, &out), n < 2 ? 39 : 40);
		assert_int_equal(out.value, values[n]);
	}
	assert_int_equal(signal_dequeue(~0ull, &out), 0);
	teardown();
}

static void faults_come_first_and_own_before_shared(void **state)
{
	struct signal_info out, i;

	setup();
	signal_set_blocked(~0ull);
	i = info(SIGHUP, SI_USER, 0);
	signal_send_process(&p, &i);
	i = info(SIGUSR2, SI_TKILL, 0);
	signal_send_thread(&main_thread, &i);
	i = info(SIGSEGV, SEGV_MAPERR, 0);
	signal_send_thread(&main_thread, &i);
	assert_int_equal(signal_dequeue(~0ull, &out), SIGSEGV);
	assert_int_equal(signal_dequeue(~0ull, &out), SIGUSR2);
	assert_int_equal(signal_dequeue(~0ull, &out), SIGHUP);
	teardown();
}

static void ignored_signals_are_dropped_when_sent(void **state)
{
	struct signal_info i = info(SIGCHLD, CLD_EXITED, 0);

	setup();
	signal_send_process(&p, &i);
	assert_int_equal(p.pending_set, 0);
	i = info(SIGUSR1, SI_USER, 0);
	handle(SIGUSR1, SIG_IGN_ADDRESS);
	signal_send_process(&p, &i);
	assert_int_equal(p.pending_set, 0);
	assert_false(thread_has_work(&main_thread));
	/* Blocked, it is kept: a handler or sigwait may come. */
	signal_set_blocked(SIG_BIT(SIGUSR1));
	signal_send_process(&p, &i);
	assert_int_equal(p.pending_set, SIG_BIT(SIGUSR1));
	/* Setting it to be ignored drops it all the same. */
	handle(SIGUSR1, SIG_IGN_ADDRESS);
	assert_int_equal(p.pending_set, 0);
	teardown();
}

static void a_thread_that_takes_it_is_found(void **state)
{
	struct signal_info i = info(SIGUSR1, SI_USER, 0);

	setup();
	handle(SIGUSR1, 0x1000);
	signal_set_blocked(SIG_BIT(SIGUSR1));
	signal_send_process(&p, &i);
	assert_false(thread_has_work(&main_thread));
	assert_true(thread_has_work(&other));
	assert_int_equal(other.park_state, 1); /* kicked */
	assert_false(other.needs_kick);
	teardown();
}

static void blocking_hands_pending_signals_to_siblings(void **state)
{
	struct signal_info i = info(SIGUSR1, SI_USER, 0);

	setup();
	handle(SIGUSR1, 0x1000);
	signal_send_process(&p, &i);
	assert_true(thread_has_work(&main_thread));
	assert_false(thread_has_work(&other));
	signal_set_blocked(SIG_BIT(SIGUSR1));
	assert_false(thread_has_work(&main_thread));
	assert_true(thread_has_work(&other));
	teardown();
}

static void stop_and_continue_cancel_each_other(void **state)
{
	struct signal_info stop = info(SIGTSTP, SI_USER, 0), cont = info(SIGCONT, SI_USER, 0);

	setup();
	signal_set_blocked(SIG_BIT(SIGTSTP) | SIG_BIT(SIGCONT));
	signal_send_process(&p, &stop);
	assert_int_equal(p.pending_set, SIG_BIT(SIGTSTP));
	signal_send_process(&p, &cont);
	assert_int_equal(p.pending_set, SIG_BIT(SIGCONT));
	signal_send_thread(&main_thread, &stop);
	assert_int_equal(p.pending_set, 0);
	p.stopped = true;
	signal_send_process(&p, &cont);
	assert_false(p.stopped);
	teardown();
}

static void kill_and_stop_cannot_be_blocked_or_caught(void **state)
{
	struct sigaction_k action = {.handler = 0x1000, .mask = ~0ull}, old;

	setup();
	signal_set_blocked(~0ull);
	assert_int_equal(main_thread.blocked, ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP)));
	assert_int_equal(signal_set_action(SIGKILL, &action, &old), -EINVAL);
	assert_int_equal(signal_set_action(SIGSTOP, &action, &old), -EINVAL);
	assert_int_equal(signal_set_action(0, NULL, &old), -EINVAL);
	assert_int_equal(signal_set_action(65, NULL, &old), -EINVAL);
	assert_int_equal(signal_set_action(SIGHUP, &action, &old), 0);
	assert_int_equal(p.actions[0].mask & SIG_BIT(SIGKILL), 0);
	teardown();
}

static void temporary_masks_return(void **state)
{
	sigset_k mask = SIG_BIT(SIGUSR2);
	struct signal_info i = info(SIGUSR1, SI_USER, 0);

	setup();
	handle(SIGUSR1, 0x1000);
	fake_user_memory(&mask, sizeof(mask));
	signal_set_blocked(SIG_BIT(SIGUSR1));
	assert_int_equal(signal_mask_push(&mask, 4), -EINVAL);
	assert_int_equal(signal_mask_push((void *)8, 8), -EFAULT);
	assert_int_equal(signal_mask_push(NULL, 8), 0);
	assert_int_equal(signal_mask_push(&mask, 8), 0);
	assert_int_equal(main_thread.blocked, SIG_BIT(SIGUSR2));
	assert_int_equal(signal_mask_pop(3), 3);
	assert_int_equal(main_thread.blocked, SIG_BIT(SIGUSR1));
	/* Ended by a signal: delivery puts the mask back. */
	assert_int_equal(signal_mask_push(&mask, 8), 0);
	signal_send_process(&p, &i);
	assert_int_equal(signal_mask_pop(-ERESTARTNOHAND), -ERESTARTNOHAND);
	assert_true(main_thread.has_saved_blocked);
	assert_int_equal(main_thread.saved_blocked, SIG_BIT(SIGUSR1));
	teardown();
}

static void standard_signals_survive_a_full_heap(void **state)
{
	struct signal_info out, i = info(SIGTERM, SI_USER, 0);

	setup();
	fake_fail_allocation(1, true);
	assert_int_equal(signal_send_process(&p, &i), 0);
	fake_fail_allocation(0, false);
	assert_int_equal(signal_dequeue(~0ull, &out), SIGTERM);
	teardown();
}

UNIT_TESTS(standard_signals_queue_once, realtime_signals_queue_in_order_up_to_the_limit,
	   faults_come_first_and_own_before_shared, ignored_signals_are_dropped_when_sent,
	   a_thread_that_takes_it_is_found, blocking_hands_pending_signals_to_siblings,
	   stop_and_continue_cancel_each_other, kill_and_stop_cannot_be_blocked_or_caught,
	   temporary_masks_return, standard_signals_survive_a_full_heap)
