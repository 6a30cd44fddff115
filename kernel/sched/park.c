// SPDX-License-Identifier: Apache-2.0
/*
 * Blocking a thread in the host, and waking it. One word in enclave memory, thread.park_state,
 * decides; the wait word in the arena only gets the host thread off the CPU, so that the host
 * can delay or wake without cause, and no more.
 *
 *   parker                              waker
 *   wait_word = 0
 *   state: RUNNING -> PARKED            (its condition is set)
 *   [work bits tested]                  old = exchange(state, TOKEN)
 *   host_wait(): sleeps while           old == PARKED: host_wake(): wait_word = 1, wakes
 *     wait_word is 0
 *   exchange(state, RUNNING)
 *
 * The reset of wait_word comes before PARKED is visible, so a wake that the exchange allowed is
 * never erased. A late wake of an earlier round is a wake-up without cause. Both sides use
 * sequentially consistent exchanges: either the parker sees the token or the waker sees PARKED;
 * the same holds for thread.work, which its setter changes before it calls thread_kick().
 *
 * Before all that a thread may look for the token for some microseconds (look.c), in the state
 * LOOKING. A waker that sees it there leaves the token and need not go to the host. It leaves
 * this state by an exchange like the other two, which finds a token that came at any moment before;
 * one that comes after finds RUNNING, and the park that follows finds the token. So a wake-up is
 * where it always is, in the word, and nobody who gives up looking can have missed it.
 */
#include "kernel/sched/park.h"

#include "abi/errno.h"
#include "edge/hostcall_gen.h"
#include "kernel/arch/arch.h"
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/host/host_call.h"
#include "kernel/mm/turn.h"
#include "kernel/sched/sched_priv.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "lib/base/string.h"

#define POLL_FDS_MAX	  512
#define POLL_FDS_ON_STACK 64
#define POLL_ALWAYS	  0x38 /* POLLERR POLLHUP POLLNVAL */

/* Who leaves a token counts its thread as awake; without one the thread does so itself. */
static bool take_token(struct thread *t)
{
	u32 old = __atomic_exchange_n(&t->park_state, PARK_RUNNING, __ATOMIC_SEQ_CST);

	if (old > PARK_TOKEN)
		look_count_awake(t, 1);
	return old == PARK_TOKEN;
}

/* False: there is a token. */
static bool leave_running(struct thread *t, u32 how)
{
	u32 expected = PARK_RUNNING;

	if (!__atomic_compare_exchange_n(&t->park_state, &expected, how, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return false;
	look_count_awake(t, -1);
	return true;
}

/* True: parked, the host may be asked to sleep. False: there is a reason not to. */
static bool park_begin(struct thread *t, u32 how)
{
	struct thread_arena *arena = (struct thread_arena *)host_arena();

	__atomic_store_n(&arena->wait_word, 0, __ATOMIC_SEQ_CST);
	return leave_running(t, how);
}

/* Others may read these times at any moment: both change as one. Only the thread itself writes. */
static void park_accounted(struct thread *t, u64 since, u64 passed)
{
	__atomic_store_n(&t->park_count, t->park_count + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&t->parked_since, since, __ATOMIC_RELAXED);
	__atomic_store_n(&t->parked_ns, t->parked_ns + passed, __ATOMIC_RELAXED);
	__atomic_store_n(&t->park_count, t->park_count + 1, __ATOMIC_RELEASE);
}

static u64 nanoseconds_left(u64 deadline, u64 now)
{
	if (deadline == DEADLINE_NEVER)
		return UINT64_MAX;
	return deadline > now ? deadline - now : 0;
}

/* True: the token was there, and is taken. */
static bool look(struct thread *t, u64 deadline, bool interruptible)
{
	if (leave_running(t, PARK_LOOKING))
		look_for_token(t, deadline, interruptible);
	return take_token(t);
}

int thread_park(u64 deadline, bool interruptible)
{
	struct thread *t = current_thread();
	struct mm *mm = t->turn_mm;
	int ret;

	BUG_ON(t->keeps_turn);
	if (mm && turn_is_shared(mm)) {
		/* Who is to wake us may first need the turn, which is not given up for nothing. */
		if (take_token(t))
			return 0;
	} else if (look_may_begin(t) && look(t, deadline, interruptible)) {
		return 0;
	}
	if (mm)
		turn_pause(mm);
	ret = thread_park_raw(deadline, interruptible);
	if (mm)
		turn_resume(mm);
	return ret;
}

int thread_park_raw(u64 deadline, bool interruptible)
{
	struct thread *t = current_thread();
	u64 now;
	int ret = 0;

	now = clock_monotonic_ns();
	if (deadline <= now)
		return take_token(t) ? 0 : -ETIMEDOUT;
	if (!park_begin(t, PARK_PARKED)) {
		take_token(t);
		return 0;
	}
	park_accounted(t, now, 0);
	if (!interruptible || !thread_has_work(t)) {
		/* Whatever it answers, the word in enclave memory says what happened. */
		ret = host_wait(nanoseconds_left(deadline, now));
	}
	if (take_token(t))
		ret = 0;
	else if (interruptible && thread_has_work(t))
		ret = -EINTR;
	else
		ret = deadline != DEADLINE_NEVER && clock_monotonic_ns() >= deadline ? -ETIMEDOUT
										     : 0;
	park_accounted(t, 0, clock_monotonic_ns() - now);
	return ret;
}

/* Leaves a token. True: `t` was not waiting anywhere. */
static bool wake(struct thread *t)
{
	u32 old = __atomic_exchange_n(&t->park_state, PARK_TOKEN, __ATOMIC_SEQ_CST);

	if (old > PARK_TOKEN)
		look_count_awake(t, 1);
	if (old == PARK_PARKED)
		host_wake(t->slot);
	else if (old == PARK_POLLING)
		host_thread_kick(t->slot);
	return old == PARK_RUNNING || old == PARK_TOKEN;
}

void thread_unpark(struct thread *t)
{
	wake(t);
}

bool thread_is_parked(const struct thread *t)
{
	return __atomic_load_n(&t->park_state, __ATOMIC_RELAXED) >= PARK_PARKED;
}

void thread_yield(void)
{
	host_yield();
}

/*
 * A parked thread, or one that looks for its token, wakes by it and looks at its work. Any other
 * gets a signal of the host: in the program it enters the kernel, in a blocking host call it
 * returns EINTR, elsewhere it does nothing, for the way out looks anyway.
 */
void thread_kick(struct thread *t)
{
	if (t == current_thread() || !wake(t))
		return;
	if (__atomic_load_n(&t->block, __ATOMIC_ACQUIRE))
		host_thread_kick(t->slot);
}

static int poll_host(struct thread *t, struct host_pollfd *polled, size_t count, u64 deadline,
		     bool interruptible)
{
	u64 now = clock_monotonic_ns();
	s64 ret = 0;

	if (!park_begin(t, PARK_POLLING)) {
		take_token(t);
		return 0;
	}
	park_accounted(t, now, 0);
	if (!interruptible || !thread_has_work(t))
		ret = host_fd_poll(polled, count * sizeof(*polled),
				   nanoseconds_left(deadline, now));
	if (take_token(t) && ret <= 0)
		ret = 0;
	else if (ret <= 0 && interruptible && thread_has_work(t))
		ret = -EINTR;
	else if (ret <= 0)
		ret = deadline != DEADLINE_NEVER && clock_monotonic_ns() >= deadline ? -ETIMEDOUT
										     : 0;
	park_accounted(t, 0, clock_monotonic_ns() - now);
	return (int)ret;
}

int thread_park_poll(struct host_pollfd *fds, size_t count, u64 deadline, bool interruptible)
{
	struct thread *t = current_thread();
	struct mm *mm = t->turn_mm;
	struct host_pollfd on_stack[POLL_FDS_ON_STACK], *polled = on_stack;
	int ready = 0, ret;

	if (count > POLL_FDS_MAX)
		return -EINVAL;
	if (take_token(t))
		return 0;
	if (count > POLL_FDS_ON_STACK) {
		polled = kmalloc(count * sizeof(*fds));
		if (!polled)
			return -ENOMEM;
	}
	memcpy(polled, fds, count * sizeof(*fds));
	if (mm)
		turn_pause(mm);
	ret = poll_host(t, polled, count, deadline, interruptible);
	if (mm)
		turn_resume(mm);
	/* How many are ready is counted here, from what may be believed. */
	for (size_t i = 0; ret > 0 && i < count; i++) {
		fds[i].revents = polled[i].revents & (fds[i].events | POLL_ALWAYS);
		ready += fds[i].revents != 0;
	}
	if (polled != on_stack)
		kfree(polled);
	return ret > 0 ? ready : ret;
}
