// SPDX-License-Identifier: Apache-2.0
/*
 * From a struct thread to a running host thread. thread_start() puts the thread on a list under
 * a random token and asks the host for a thread; the host enters with that token. A token works
 * once, so the host cannot run a thread twice, and what it presents decides nothing else.
 */
#include "kernel/sched/thread.h"

#include "abi/errno.h"
#include "abi/resource.h"
#include "abi/signal.h"
#include "edge/hostcall_gen.h"
#include "kernel/arch/arch.h"
#include "kernel/core/boot.h"
#include "kernel/core/kmem.h"
#include "kernel/core/random.h"
#include "kernel/mm/turn.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/exec.h"
#include "kernel/proc/process.h"
#include "kernel/sched/park.h"
#include "kernel/sched/sched_priv.h"
#include "kernel/sync/spinlock.h"
#include "kernel/time/clock.h"
#include "kernel/time/process_timers.h"
#include "lib/base/string.h"

/* Waiting for threads to be gone: they mostly are on their last instructions. */
#define YIELDS_FIRST	 100
#define POLL_INTERVAL_NS 1000000ull

static struct spinlock lock = SPINLOCK_INIT(LOCK_THREAD_START);
static struct list_node starting = LIST_INIT(starting); /* lock */
static u32 program_threads;				/* atomic: on a slot */

struct thread *thread_get(struct thread *t)
{
	__atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
	return t;
}

void thread_put(struct thread *t)
{
	struct process *p = t->process;

	if (__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL))
		return;
	kfree(t->start_xstate_block);
	kfree(t);
	if (p)
		process_put(p);
}

int thread_start(struct thread *t)
{
	u64 token;
	int ret;

	do {
		ret = random_bytes(&token, sizeof(token));
		if (ret)
			return ret;
	} while (!token);
	thread_get(t);
	spin_lock(&lock);
	t->start_token = token;
	list_add_tail(&starting, &t->start_node);
	spin_unlock(&lock);
	ret = host_thread_start(token);
	if (!ret)
		return 0;

	/* The host may have run it all the same; then it runs, and refusing was a lie. */
	spin_lock(&lock);
	if (!t->start_token) {
		spin_unlock(&lock);
		return 0;
	}
	t->start_token = 0;
	list_del(&t->start_node);
	spin_unlock(&lock);
	thread_put(t);
	return -EAGAIN;
}

static struct thread *take_started(u64 token)
{
	struct thread *t;

	spin_lock(&lock);
	list_for_each_entry (t, &starting, start_node) {
		if (token && t->start_token == token) {
			t->start_token = 0;
			list_del(&t->start_node);
			spin_unlock(&lock);
			return t;
		}
	}
	spin_unlock(&lock);
	return NULL;
}

s64 thread_run(u64 token)
{
	struct thread *t = take_started(token);

	if (!t)
		return -EPERM;
	arch_attach_thread(t);
	t->is_scheduled = true;
	look_count_awake(t, 1);
	if (!t->kernel_main)
		__atomic_fetch_add(&program_threads, 1, __ATOMIC_RELAXED);
	if (!t->start_ns)
		t->start_ns = clock_monotonic_ns();
	if (t->kernel_main) {
		t->kernel_main(t->kernel_arg);
		thread_exit(0);
	}
	turn_attach(t->process->mm);
	if (t->process->is_late && exec_finish(t->process))
		process_exit_group(SIGKILL);
	/* A child of one with a limit; without memory for that it has none. */
	if (t->tid == t->process->pid &&
	    t->process->limits[ABI_RLIMIT_CPU].soft != ABI_RLIM_INFINITY)
		(void)!timers_limit_cpu();
	/* As on Linux, a place that cannot be written is the program's own affair. */
	if (t->set_child_tid && put_user_u32((void __user *)t->set_child_tid, (u32)t->tid))
		t->set_child_tid = 0;
	if (t->start_xstate) {
		arch_xstate_restore(t->start_xstate);
		kfree(t->start_xstate_block);
		t->start_xstate_block = NULL;
		t->start_xstate = NULL;
	} else {
		arch_xstate_reset();
	}
	arch_set_user_fs(t->start_fs);
	arch_enter_user(&t->start_regs);
}

bool threads_wait_gone(u64 timeout_ns)
{
	u64 deadline = clock_monotonic_ns() + timeout_ns;

	for (u32 i = 0; __atomic_load_n(&program_threads, __ATOMIC_ACQUIRE); i++) {
		if (clock_monotonic_ns() > deadline)
			return false;
		if (i < YIELDS_FIRST)
			thread_yield();
		else
			(void)thread_park(clock_monotonic_ns() + POLL_INTERVAL_NS, false);
	}
	return true;
}

void thread_leave(void)
{
	struct thread *t = current_thread();

	if (!t->kernel_main)
		__atomic_fetch_sub(&program_threads, 1, __ATOMIC_RELEASE);
	look_count_awake(t, -1);
	arch_detach_thread();
	thread_put(t);
	arch_return_to_host(0);
}

void thread_init_kernel(struct thread *t)
{
	/*
	 * Who woke the slot's last ecall may not have put its reference yet: the thread is made
	 * once, in the zeroed block, and keeps its first reference for ever.
	 */
	if (__atomic_load_n(&t->refs, __ATOMIC_ACQUIRE))
		return;
	memset(t, 0, sizeof(*t));
	t->refs = 1;
	t->process = &kernel_process;
	list_init(&t->process_node);
	list_init(&t->start_node);
	list_init(&t->pending);
	memcpy(t->name, "kernel", 7);
}
