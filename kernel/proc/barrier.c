/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membarrier(): whatever the threads of a process did before it is seen by the caller afterwards,
 * and the other way round. A thread in user mode is kicked into the kernel, where it takes the mark
 * WORK_BARRIER off by a locked instruction; one in a host call that may last for ever comes back
 * with EINTR and does so in thread_was_kicked(); one that sleeps has passed such an instruction on
 * its way, and passes another before it runs again. Nothing rests on the host: it can delay the
 * kick.
 */
#include "kernel/proc/barrier.h"

#include "abi/errno.h"
#include "kernel/proc/process.h"
#include "kernel/sched/park.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

#define LOOK_AGAIN_NS 100000u

/* It neither runs a program nor can it come to do so without a locked instruction. */
static bool is_elsewhere(const struct thread *t)
{
	return thread_is_parked(t) || !__atomic_load_n(&t->block, __ATOMIC_ACQUIRE);
}

static int mark(struct process *p, void *arg)
{
	struct thread *t;

	process_lock(p);
	list_for_each_entry (t, &p->threads, process_node)
		if (t != current_thread() && !is_elsewhere(t))
			thread_notify(t, WORK_BARRIER);
	process_unlock(p);
	return 0;
}

/* Not zero: somebody still has the mark. */
static int is_marked(struct process *p, void *arg)
{
	struct thread *t;
	bool found = false;

	process_lock(p);
	list_for_each_entry (t, &p->threads, process_node)
		found |= t != current_thread() && !is_elsewhere(t) &&
			 (__atomic_load_n(&t->work, __ATOMIC_SEQ_CST) & WORK_BARRIER);
	process_unlock(p);
	return found;
}

static int visit(struct process *only, int (*step)(struct process *p, void *arg))
{
	return only ? step(only, NULL) : process_for_each(step, NULL);
}

void process_barrier(struct process *only)
{
	struct thread *self = current_thread();

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	visit(only, mark);
	while (visit(only, is_marked)) {
		if (__atomic_load_n(&self->work, __ATOMIC_ACQUIRE) & WORK_EXIT)
			break;
		(void)thread_park(clock_monotonic_ns() + LOOK_AGAIN_NS, false);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static int with_registration(struct process *p, u8 needed)
{
	if (!(__atomic_load_n(&p->barriers, __ATOMIC_RELAXED) & needed))
		return -EPERM;
	process_barrier(p);
	return 0;
}

static int global_expedited(struct process *p, void *arg)
{
	if (__atomic_load_n(&p->barriers, __ATOMIC_RELAXED) & BARRIER_GLOBAL)
		process_barrier(p);
	return 0;
}

int process_membarrier(int command)
{
	struct process *p = current_process();

	switch (command) {
	case MEMBARRIER_CMD_QUERY: return MEMBARRIER_COMMANDS;
	case MEMBARRIER_CMD_GLOBAL: process_barrier(NULL); return 0;
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED: return process_for_each(global_expedited, NULL);
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED: return with_registration(p, BARRIER_PRIVATE);
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
		__atomic_or_fetch(&p->barriers, BARRIER_GLOBAL, __ATOMIC_RELAXED);
		return 0;
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
		__atomic_or_fetch(&p->barriers, BARRIER_PRIVATE, __ATOMIC_RELAXED);
		return 0;
	default: return -EINVAL;
	}
}
