// SPDX-License-Identifier: Apache-2.0
/*
 * Whose turn it is in a family of address spaces. The turn is never held while waiting for
 * anything: thread_park() gives it up, whatever locks its caller holds, and takes it back as the
 * last thing before it returns, so all code of the kernel runs with the pages of its own process in
 * place and needs to know nothing of families. Waiting for the turn needs nothing of those who wait
 * for something else, hence no deadlock (docs/fork.md).
 *
 * A member that waits takes the turn when nobody is inside the resident any more, at the latest a
 * slice after the turn moved (15 ms, longer where moving it takes milliseconds itself): then it
 * closes the resident to those who come back from parking and kicks those who run, who come to
 * turn_checkpoint() on their way to user mode.
 *
 * mm->inside counts also where there is no family, with two atomic operations per parking: so a
 * family can be made of a process whose threads run. Whoever enters counts first and then looks
 * for a family; whoever makes one sets mm->family first and then looks at the count.
 */
#include "kernel/mm/turn.h"

#include "abi/errno.h"
#include "kernel/arch/arch.h"
#include "kernel/mm/family_priv.h"
#include "kernel/proc/process.h"
#include "kernel/sched/park.h"
#include "kernel/signal/signal.h"
#include "kernel/time/clock.h"

#define LOG_TAG "mm"
#include "kernel/core/log.h"

#define SLICE_NS     15000000ull
#define STRETCH	     8 /* a slice is longer by so many times what moving the turn took */
#define STRETCH_MAX  85000000ull
#define STOP_POLL_NS 1000000ull /* a sibling's last step may be between count and look */
#define SIG_KILL     9
#define WAKE_BATCH   16

struct turn_waiter {
	struct list_node node;
	struct thread *thread;
	struct mm *mm;
	bool is_told; /* by wake_residents(), since it last looked */
};

static struct turn_counts counts; /* atomic */

void turn_counts(struct turn_counts *ret)
{
	ret->forks = __atomic_load_n(&counts.forks, __ATOMIC_RELAXED);
	ret->switches = __atomic_load_n(&counts.switches, __ATOMIC_RELAXED);
	ret->pages_exchanged = __atomic_load_n(&counts.pages_exchanged, __ATOMIC_RELAXED);
	ret->pages_held = __atomic_load_n(&counts.pages_held, __ATOMIC_RELAXED);
}

void turn_count_fork(void)
{
	__atomic_add_fetch(&counts.forks, 1, __ATOMIC_RELAXED);
}

void turn_count_exchanged(u64 pages)
{
	__atomic_add_fetch(&counts.pages_exchanged, pages, __ATOMIC_RELAXED);
}

void turn_count_held(s64 pages)
{
	__atomic_add_fetch(&counts.pages_held, (u64)pages, __ATOMIC_RELAXED);
}

static struct family *family_of(struct mm *mm)
{
	return __atomic_load_n(&mm->family, __ATOMIC_SEQ_CST);
}

/* Lock held. The resident is on its way in: no relative has its turn before a slice is over. */
static bool is_reserved(const struct family *f)
{
	return f->is_expected && !f->closing;
}

static u32 inside(struct mm *mm)
{
	return __atomic_load_n(&mm->inside, __ATOMIC_SEQ_CST);
}

static struct turn_waiter *first_relative(struct family *f)
{
	struct turn_waiter *w;

	list_for_each_entry (w, &f->waiters, node)
		if (w->mm != f->resident)
			return w;
	return NULL;
}

/*
 * Lock held, and it is released: wakes whoever can go on now. At most one thread: the stopper, or
 * the one that is to take the turn.
 */
static void unlock_and_wake(struct family *f)
{
	struct thread *t = NULL;

	if (f->stopper) {
		if (f->resident && inside(f->resident) <= 1 && f->stopper != current_thread())
			t = thread_get(f->stopper);
	} else if (!f->is_switching && !is_reserved(f) && (!f->resident || !inside(f->resident))) {
		struct turn_waiter *w = first_relative(f);

		if (w) {
			f->closing = true;
			if (w->thread != current_thread())
				t = thread_get(w->thread);
		}
	}
	spin_unlock(&f->lock);
	if (t) {
		thread_unpark(t);
		thread_put(t);
	}
}

/* Lock held. Some of those that wait to go on in the resident address space, counted. */
static u32 take_residents(struct family *f, struct thread *batch[WAKE_BATCH])
{
	struct turn_waiter *w;
	u32 count = 0;

	list_for_each_entry (w, &f->waiters, node) {
		if (w->mm != f->resident || w->thread == current_thread() || w->is_told)
			continue;
		if (count == WAKE_BATCH)
			break;
		w->is_told = true;
		batch[count++] = thread_get(w->thread);
	}
	return count;
}

/* All of those. A wake is a call to the host, so none happens under the lock. */
static void wake_residents(struct family *f)
{
	struct thread *batch[WAKE_BATCH];
	u32 count;

	do {
		spin_lock(&f->lock);
		count = take_residents(f, batch);
		unlock_and_wake(f);
		for (u32 i = 0; i < count; i++) {
			thread_unpark(batch[i]);
			thread_put(batch[i]);
		}
	} while (count == WAKE_BATCH);
}

void turn_pause(struct mm *mm)
{
	struct family *f;

	/* The address space lives as long as its process, of which we are a thread. */
	__atomic_sub_fetch(&mm->inside, 1, __ATOMIC_SEQ_CST);
	f = family_of(mm);
	if (likely(!f))
		return;
	spin_lock(&f->lock);
	unlock_and_wake(f);
}

static int kick_process(struct process *p, void *arg)
{
	struct thread *t;

	if (__atomic_load_n(&p->mm, __ATOMIC_RELAXED) != arg)
		return 0;
	process_lock(p);
	list_for_each_entry (t, &p->threads, process_node)
		if (t != current_thread() && !thread_is_parked(t))
			thread_notify(t, WORK_TURN);
	process_unlock(p);
	return 0;
}

/* Its threads that run come to a checkpoint soon; those that are parked ask when they come back. */
static void kick_all(struct mm *mm)
{
	(void)process_for_each(kick_process, mm);
}

/* The pages of mm are lost: like Linux, which kills when memory runs out behind its promises. */
static int kill_process(struct process *p, void *arg)
{
	struct signal_info info = {.signo = SIG_KILL};

	if (__atomic_load_n(&p->mm, __ATOMIC_RELAXED) != arg)
		return 0;
	log_always("Process %d (%s) is killed: no memory for its pages beside those of the "
		   "processes it shares addresses with since it forked; raise "
		   "resource_limits.user_space_size.",
		   p->pid, p->comm);
	(void)signal_send_process(p, &info);
	return 0;
}

static bool may_stay(const struct family *f, const struct mm *mm)
{
	if (f->resident != mm || f->is_switching)
		return false;
	return f->stopper ? f->stopper == current_thread() : !f->closing;
}

/* Lock held. The current thread is the next to bring its address space in, and nobody is inside. */
static bool may_switch(struct family *f, const struct turn_waiter *w)
{
	if (f->is_switching || f->stopper || is_reserved(f) || f->resident == w->mm)
		return false;
	return first_relative(f) == w && (!f->resident || !inside(f->resident));
}

/* Those that lost a page for want of memory. Nobody comes or goes while the turn moves. */
static void kill_lost(struct family *f)
{
	struct mm *m;

	list_for_each_entry (m, &f->members, member_node) {
		if (!m->is_lost)
			continue;
		m->is_lost = false;
		(void)process_for_each(kill_process, m);
	}
}

/* Lock held. The resident has its pages in place now; that began at `begin`. */
static void begin_slice(struct family *f, u64 begin)
{
	f->since = clock_monotonic_ns();
	f->stretch = MIN((f->since - begin) * STRETCH, STRETCH_MAX);
}

/* Lock held, released and held again. */
static void take_over(struct family *f, struct mm *mm)
{
	struct mm *from = f->resident;
	u64 begin;
	int err;

	f->is_switching = true;
	spin_unlock(&f->lock);
	begin = clock_monotonic_ns();
	current_thread()->keeps_turn = true;
	err = family_exchange(f, from, mm);
	current_thread()->keeps_turn = false;
	if (err)
		(void)process_for_each(kill_process, from);
	kill_lost(f);
	__atomic_add_fetch(&counts.switches, 1, __ATOMIC_RELAXED);
	spin_lock(&f->lock);
	f->resident = mm;
	f->is_switching = false;
	f->closing = false;
	begin_slice(f, begin);
}

/* mm->inside counts us already. */
static __noinline void resume_in_family(struct family *f, struct mm *mm)
{
	struct turn_waiter w = {.mm = mm, .thread = current_thread()};

	spin_lock(&f->lock);
	if (likely(may_stay(f, mm))) {
		f->is_expected = false;
		spin_unlock(&f->lock);
		return;
	}
	__atomic_sub_fetch(&mm->inside, 1, __ATOMIC_SEQ_CST);
	list_add_tail(&f->waiters, &w.node);
	__atomic_store_n(&w.thread->awaits_turn, true, __ATOMIC_RELAXED);
	for (;;) {
		u64 now = clock_monotonic_ns(), slice = SLICE_NS + f->stretch;
		struct mm *kicked = NULL;

		if (f->resident && f->resident != mm && !f->is_switching &&
		    now - f->since >= slice) {
			f->closing = true;
			kicked = f->resident;
		}
		if (may_switch(f, &w)) {
			take_over(f, mm);
			break;
		}
		if (may_stay(f, mm))
			break;
		w.is_told = false;
		unlock_and_wake(f);
		if (kicked)
			kick_all(kicked);
		(void)thread_park_raw(now + slice, false);
		spin_lock(&f->lock);
	}
	list_del(&w.node);
	f->is_expected = false;
	__atomic_add_fetch(&mm->inside, 1, __ATOMIC_SEQ_CST);
	spin_unlock(&f->lock);
	wake_residents(f);
	__atomic_store_n(&w.thread->awaits_turn, false, __ATOMIC_RELAXED);
}

void turn_resume(struct mm *mm)
{
	struct family *f;

	__atomic_add_fetch(&mm->inside, 1, __ATOMIC_SEQ_CST);
	f = family_of(mm);
	if (unlikely(f))
		resume_in_family(f, mm);
}

bool turn_is_shared(const struct mm *mm)
{
	return mm_has_relatives(mm);
}

void turn_attach(struct mm *mm)
{
	struct thread *t = current_thread();

	turn_resume(mm);
	t->turn_mm = mm;
}

void turn_detach(void)
{
	struct thread *t = current_thread();
	struct mm *mm = t->turn_mm;

	t->turn_mm = NULL;
	if (mm)
		turn_pause(mm);
}

void turn_image_loaded(u64 begin)
{
	struct mm *mm = current_thread()->turn_mm;
	struct family *f = mm->family;

	spin_lock(&f->lock);
	if (f->resident == mm)
		begin_slice(f, begin);
	spin_unlock(&f->lock);
}

void turn_leave_to_sibling(void)
{
	struct mm *mm = current_thread()->turn_mm;
	struct family *f = mm ? family_of(mm) : NULL;

	if (!f)
		return;
	spin_lock(&f->lock);
	/* One who has not gone to sleep yet is not on its way in. */
	if (f->resident == mm && inside(mm) == 1) {
		f->is_expected = true;
		f->since = clock_monotonic_ns();
	}
	spin_unlock(&f->lock);
}

void turn_checkpoint(void)
{
	struct thread *t = current_thread();
	struct mm *mm = t->turn_mm;

	__atomic_and_fetch(&t->work, ~(u32)WORK_TURN, __ATOMIC_ACQ_REL);
	if (!mm || !family_of(mm))
		return;
	turn_pause(mm);
	turn_resume(mm);
}

bool turn_borrow(struct mm *mm, struct mm **ret_own)
{
	*ret_own = current_thread()->turn_mm;
	/*
	 * Without a family it may come to one at any moment: whoever forks waits only for those
	 * that count. Not so where nobody runs yet, as in the memory that exec fills, or any more.
	 */
	if (*ret_own == mm || (!mm_is_entered(mm) && !family_of(mm)))
		return false;
	turn_detach();
	turn_attach(mm);
	return true;
}

void turn_return(struct mm *own)
{
	turn_detach();
	if (own)
		turn_attach(own);
}

/* --- fork --- */

void turn_stop_siblings(struct mm *mm)
{
	struct family *f = mm->family;
	struct thread *t = current_thread();
	u64 kicked = 0;

	/* The caller holds mm->lock: no sibling can be here at the same time. */
	spin_lock(&f->lock);
	f->stopper = t;
	while (inside(mm) > 1) {
		u64 now = clock_monotonic_ns();

		spin_unlock(&f->lock);
		if (now - kicked >= SLICE_NS) {
			kick_all(mm);
			kicked = now;
		}
		(void)thread_park_raw(now + STOP_POLL_NS, false);
		spin_lock(&f->lock);
	}
	spin_unlock(&f->lock);
}

void turn_resume_siblings(struct mm *mm)
{
	struct family *f = mm->family;

	spin_lock(&f->lock);
	f->stopper = NULL;
	spin_unlock(&f->lock);
	wake_residents(f);
}

/* Some thread of it waits for the turn. */
static bool is_waiting(struct family *f, const struct mm *mm)
{
	struct turn_waiter *w;

	list_for_each_entry (w, &f->waiters, node)
		if (w->mm == mm)
			return true;
	return false;
}

struct mm *turn_heir(struct mm *mm)
{
	struct family *f = mm->family;
	struct turn_waiter *w;
	struct mm *heir = NULL, *m;

	spin_lock(&f->lock);
	w = first_relative(f);
	/* It stays a member as long as it waits, and a single relative as long as we are inside. */
	if (w) {
		if (!list_is_empty(&w->mm->member_node))
			heir = w->mm;
	} else if (f->member_count == 2) {
		list_for_each_entry (m, &f->members, member_node)
			if (m != mm)
				heir = m;
	}
	spin_unlock(&f->lock);
	return heir;
}

void turn_give_up(struct mm *mm, struct mm *heir)
{
	struct family *f = mm->family;

	spin_lock(&f->lock);
	current_thread()->turn_mm = NULL;
	__atomic_sub_fetch(&mm->inside, 1, __ATOMIC_SEQ_CST);
	f->resident = heir;
	f->closing = false;
	f->is_expected = false;
	if (!heir) {
		unlock_and_wake(f);
		return;
	}
	f->since = clock_monotonic_ns();
	f->is_expected = is_waiting(f, heir);
	spin_unlock(&f->lock);
	__atomic_add_fetch(&counts.switches, 1, __ATOMIC_RELAXED);
	wake_residents(f);
}
