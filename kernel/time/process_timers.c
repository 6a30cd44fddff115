// SPDX-License-Identifier: Apache-2.0
/*
 * A process's timers, each a kernel timer plus what to do when it expires. Wall-clock ones expire
 * at their deadline. Those over CPU time are looked at when the CPU time can have been used up
 * at the earliest, and started again for the rest: no clock interrupt counts here.
 *
 * A periodic timer is started again by its own callback. The whole set lives from the first use to
 * the end of the process; its mutex orders the system calls, its spinlock the callbacks.
 */
#include "kernel/time/process_timers.h"

#include "abi/errno.h"
#include "abi/resource.h"
#include "abi/signal.h"
#include "abi/time.h"
#include "kernel/core/kmem.h"
#include "kernel/proc/process.h"
#include "kernel/signal/signal.h"
#include "kernel/time/clock.h"
#include "kernel/time/timer.h"
#include "kernel/time/timespec.h"

#define POSIX_TIMERS_MAX 128
#define ITIMER_COUNT	 3
/* Shortest period: a program asking for less would keep the timer thread busy alone. */
#define PERIOD_MIN	 20000ull

struct process_timer {
	struct timer timer;
	struct process *process; /* outlives its timers */
	int clock;		 /* CLOCK_*; CPU clocks count process or thread time */
	bool is_cpu;
	u64 cpu_deadline; /* lock; of the CPU clock */
	u64 interval;	  /* lock */
	u64 next;	  /* lock; monotonic deadline, 0: disarmed */
	int id;
	int notify; /* SIGEV_* */
	s32 tid;
	struct signal_info info;
	int overrun, last_overrun; /* lock */
};

struct process_timers {
	struct mutex mutex;   /* system calls */
	struct spinlock lock; /* callbacks */
	struct process_timer itimers[ITIMER_COUNT];
	struct process_timer cpu_limit;		       /* RLIMIT_CPU */
	struct process_timer *posix[POSIX_TIMERS_MAX]; /* mutex */
};

static struct process_timers *timers_of(struct process *p)
{
	return __atomic_load_n(&p->timers, __ATOMIC_ACQUIRE);
}

static u64 cpu_now(const struct process_timer *pt)
{
	u64 now = 0;

	if (pt->clock == CLOCK_THREAD_CPUTIME_ID) {
		struct thread *t = thread_lookup(pt->tid);

		if (t) {
			now = thread_cpu_ns(t);
			thread_put(t);
		}
		return now;
	}
	return process_cpu_ns(pt->process);
}

static void send(struct process_timer *pt)
{
	struct thread *t;

	if (pt->notify == SIGEV_NONE)
		return;
	if (pt->notify != SIGEV_THREAD_ID) {
		(void)signal_send_process(pt->process, &pt->info);
		return;
	}
	t = thread_lookup(pt->tid);
	if (!t)
		return;
	if (t->process == pt->process)
		(void)signal_send_thread(t, &pt->info);
	thread_put(t);
}

/* Earliest moment at which `left` ns of CPU time can be used up. */
static u64 cpu_look_again(const struct process_timer *pt, u64 left)
{
	u32 threads = __atomic_load_n(&pt->process->thread_count, __ATOMIC_RELAXED);

	return deadline_after(MAX(left / MAX(threads, 1u), PERIOD_MIN));
}

static void start_again(struct process_timer *pt, u64 deadline)
{
	pt->next = deadline;
	(void)!timer_start(&pt->timer, deadline); /* the thread exists: this runs on it */
}

static bool cpu_not_yet(struct process_timer *pt)
{
	u64 now = cpu_now(pt);

	if (now >= pt->cpu_deadline)
		return false;
	start_again(pt, cpu_look_again(pt, pt->cpu_deadline - now));
	return true;
}

/* Counts whole periods that passed: they are one signal and an overrun count. */
static void start_next_period(struct process_timer *pt)
{
	u64 now, missed, interval = MAX(pt->interval, PERIOD_MIN);

	if (!pt->interval) {
		pt->next = 0;
		return;
	}
	if (pt->is_cpu) {
		pt->cpu_deadline = deadline_add(pt->cpu_deadline, interval);
		start_again(pt, cpu_look_again(pt, interval));
		return;
	}
	now = clock_monotonic_ns();
	missed = now > pt->next ? (now - pt->next) / interval : 0;
	pt->overrun = (int)MIN((u64)pt->overrun + missed, (u64)INT_MAX);
	/* The first summand is not after now; programs choose the second as large as they like. */
	start_again(pt, deadline_add(pt->next + missed * interval, interval));
}

static void expire(struct timer *t)
{
	struct process_timer *pt = container_of(t, struct process_timer, timer);
	struct process_timers *all = timers_of(pt->process);
	bool due;

	spin_lock(&all->lock);
	due = pt->next && !(pt->is_cpu && cpu_not_yet(pt));
	if (due) {
		pt->last_overrun = pt->overrun;
		pt->info.overrun = pt->overrun;
		pt->overrun = 0;
		start_next_period(pt);
	}
	spin_unlock(&all->lock);
	if (due)
		send(pt);
}

/* The CPU time of RLIMIT_CPU is used up: a signal each second from the soft limit to the hard. */
static void expire_limit(struct timer *t)
{
	struct process_timer *pt = container_of(t, struct process_timer, timer);
	struct process_timers *all = timers_of(pt->process);
	bool due;

	spin_lock(&all->lock);
	due = pt->next && !cpu_not_yet(pt);
	if (due) {
		u64 hard = pt->process->limits[ABI_RLIMIT_CPU].hard;

		pt->info.signo = hard != ABI_RLIM_INFINITY && cpu_now(pt) / NS_PER_SEC >= hard
					 ? SIGKILL
					 : SIGXCPU;
		pt->cpu_deadline = deadline_add(pt->cpu_deadline, NS_PER_SEC);
		start_again(pt, cpu_look_again(pt, NS_PER_SEC));
	}
	spin_unlock(&all->lock);
	if (due)
		(void)signal_send_process(pt->process, &pt->info);
}

static void init_timer(struct process_timer *pt, struct process *p, int clock, int signo)
{
	*pt = (struct process_timer){
		.process = p,
		.clock = clock,
		.is_cpu = clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID,
		.info = {.signo = signo, .code = SI_KERNEL},
		.tid = current_thread()->tid,
	};
	timer_init(&pt->timer, expire);
}

static struct process_timers *timers_get_or_new(struct process *p)
{
	struct process_timers *all = timers_of(p), *expected = NULL;

	if (all)
		return all;
	all = kzalloc(sizeof(*all));
	if (!all)
		return NULL;
	mutex_init(&all->mutex, LOCK_TIMER_SET);
	spin_init(&all->lock, LOCK_PROCESS_TIMERS);
	init_timer(&all->itimers[ABI_ITIMER_REAL], p, CLOCK_MONOTONIC, SIGALRM);
	init_timer(&all->itimers[ABI_ITIMER_VIRTUAL], p, CLOCK_PROCESS_CPUTIME_ID, SIGVTALRM);
	init_timer(&all->itimers[ABI_ITIMER_PROF], p, CLOCK_PROCESS_CPUTIME_ID, SIGPROF);
	init_timer(&all->cpu_limit, p, CLOCK_PROCESS_CPUTIME_ID, SIGXCPU);
	timer_init(&all->cpu_limit.timer, expire_limit);
	if (__atomic_compare_exchange_n(&p->timers, &expected, all, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return all;
	kfree(all);
	return expected;
}

/* Mutex held. */
static void read_setting(struct process_timers *all, struct process_timer *pt,
			 struct timer_setting *ret)
{
	u64 now = pt->is_cpu ? cpu_now(pt) : clock_monotonic_ns(), until;

	spin_lock(&all->lock);
	until = pt->is_cpu ? pt->cpu_deadline : pt->next;
	ret->interval = pt->interval;
	ret->value = 0;
	if (pt->next)
		ret->value = until > now ? until - now : 1; /* due any moment, not disarmed */
	spin_unlock(&all->lock);
}

/* Mutex held. `value` is relative ns, 0 disarms. `missed`: periods that have passed already. */
static int arm(struct process_timers *all, struct process_timer *pt, u64 value, u64 interval,
	       u64 missed)
{
	u64 deadline = 0;

	timer_cancel_sync(&pt->timer);
	spin_lock(&all->lock);
	pt->interval = interval;
	pt->overrun = (int)MIN(missed, (u64)INT_MAX);
	pt->last_overrun = 0;
	pt->next = 0;
	spin_unlock(&all->lock);
	if (!value)
		return 0;
	if (pt->is_cpu)
		pt->cpu_deadline = deadline_add(cpu_now(pt), value);
	deadline = pt->is_cpu ? cpu_look_again(pt, value) : deadline_after(value);
	pt->next = deadline;
	return timer_start(&pt->timer, deadline);
}

int timers_limit_cpu(void)
{
	struct process *p = current_process();
	u64 soft = p->limits[ABI_RLIMIT_CPU].soft, used, at;
	bool is_limited = soft <= UINT64_MAX / NS_PER_SEC;
	struct process_timers *all = is_limited ? timers_get_or_new(p) : timers_of(p);
	int err;

	if (!all)
		return is_limited ? -ENOMEM : 0;
	mutex_lock(&all->mutex);
	used = process_cpu_ns(p);
	at = MAX(soft, 1ull) * NS_PER_SEC; /* as on Linux 0 means a second */
	err = arm(all, &all->cpu_limit, !is_limited ? 0 : at > used ? at - used : 1, 0, 0);
	mutex_unlock(&all->mutex);
	return err;
}

int itimer_get(int which, struct timer_setting *ret)
{
	struct process_timers *all = timers_of(current_process());

	if (which < 0 || which >= ITIMER_COUNT)
		return -EINVAL;
	*ret = (struct timer_setting){0};
	if (!all)
		return 0;
	mutex_lock(&all->mutex);
	read_setting(all, &all->itimers[which], ret);
	mutex_unlock(&all->mutex);
	return 0;
}

int itimer_set(int which, const struct timer_setting *setting, struct timer_setting *ret_old)
{
	struct process_timers *all;
	int err;

	if (which < 0 || which >= ITIMER_COUNT)
		return -EINVAL;
	all = timers_get_or_new(current_process());
	if (!all)
		return -ENOMEM;
	mutex_lock(&all->mutex);
	read_setting(all, &all->itimers[which], ret_old);
	err = arm(all, &all->itimers[which], setting->value, setting->interval, 0);
	mutex_unlock(&all->mutex);
	return err;
}

static int check_event(const struct abi_sigevent *event)
{
	struct thread *t;
	bool is_ours;

	if (event->notify == SIGEV_NONE)
		return 0;
	if (event->signo < 1 || event->signo > SIGNAL_COUNT)
		return -EINVAL;
	if (event->notify == SIGEV_SIGNAL || event->notify == SIGEV_THREAD)
		return 0;
	if (event->notify != SIGEV_THREAD_ID)
		return -EINVAL;
	t = thread_lookup(event->tid);
	if (!t)
		return -EINVAL;
	is_ours = t->process == current_process();
	thread_put(t);
	return is_ours ? 0 : -EINVAL;
}

long posix_timer_create(int clock, const struct abi_sigevent *event)
{
	struct process *p = current_process();
	struct process_timers *all;
	struct process_timer *pt;
	u64 now;
	int id, err = clock_get(clock, &now);

	if (err || clock < 0)
		return -EINVAL;
	if (event) {
		err = check_event(event);
		if (err)
			return err;
	}
	all = timers_get_or_new(p);
	pt = all ? kzalloc(sizeof(*pt)) : NULL;
	if (!pt)
		return -EAGAIN;
	init_timer(pt, p, clock, event ? event->signo : SIGALRM);
	pt->notify = event ? event->notify : SIGEV_SIGNAL;
	if (event && event->notify == SIGEV_THREAD_ID)
		pt->tid = event->tid;
	mutex_lock(&all->mutex);
	for (id = 0; id < POSIX_TIMERS_MAX && all->posix[id];)
		id++;
	if (id < POSIX_TIMERS_MAX) {
		pt->id = id;
		pt->info.code = SI_TIMER;
		pt->info.timer_id = id;
		pt->info.value = event ? event->value : (u64)id;
		all->posix[id] = pt;
	}
	mutex_unlock(&all->mutex);
	if (id < POSIX_TIMERS_MAX)
		return id;
	kfree(pt);
	return -EAGAIN;
}

/* With the set locked, or NULL and nothing locked. */
static struct process_timer *lock_posix(int id, struct process_timers **ret_all)
{
	struct process_timers *all = timers_of(current_process());

	*ret_all = all;
	if (!all || id < 0 || id >= POSIX_TIMERS_MAX)
		return NULL;
	mutex_lock(&all->mutex);
	if (all->posix[id])
		return all->posix[id];
	mutex_unlock(&all->mutex);
	return NULL;
}

int posix_timer_set(int id, bool absolute, const struct timer_setting *setting,
		    struct timer_setting *ret_old)
{
	struct process_timers *all;
	struct process_timer *pt = lock_posix(id, &all);
	u64 value = setting->value, now, missed = 0;
	int err = 0;

	if (!pt)
		return -EINVAL;
	read_setting(all, pt, ret_old);
	if (absolute && value) {
		err = clock_get(pt->clock, &now);
		/* What lies in the past comes at once, with the periods since then as overrun. */
		if (!err && value <= now && setting->interval)
			missed = (now - value) / setting->interval;
		value = value > now ? value - now : 1;
	}
	if (!err)
		err = arm(all, pt, value, setting->interval, missed);
	mutex_unlock(&all->mutex);
	return err;
}

int posix_timer_get(int id, struct timer_setting *ret)
{
	struct process_timers *all;
	struct process_timer *pt = lock_posix(id, &all);

	if (!pt)
		return -EINVAL;
	read_setting(all, pt, ret);
	mutex_unlock(&all->mutex);
	return 0;
}

int posix_timer_overrun(int id)
{
	struct process_timers *all;
	struct process_timer *pt = lock_posix(id, &all);
	int overrun;

	if (!pt)
		return -EINVAL;
	spin_lock(&all->lock);
	overrun = pt->last_overrun;
	spin_unlock(&all->lock);
	mutex_unlock(&all->mutex);
	return overrun;
}

int posix_timer_delete(int id)
{
	struct process_timers *all;
	struct process_timer *pt = lock_posix(id, &all);

	if (!pt)
		return -EINVAL;
	timer_cancel_sync(&pt->timer);
	all->posix[id] = NULL;
	mutex_unlock(&all->mutex);
	kfree(pt);
	return 0;
}

void timers_process_exec(struct process *p)
{
	struct process_timers *all = timers_of(p);

	if (!all)
		return;
	for (int id = 0; id < POSIX_TIMERS_MAX; id++) {
		if (!all->posix[id])
			continue;
		timer_cancel_sync(&all->posix[id]->timer);
		kfree(all->posix[id]);
		all->posix[id] = NULL;
	}
}

void timers_process_exit(struct process *p)
{
	struct process_timers *all = timers_of(p);

	if (!all)
		return;
	timers_process_exec(p);
	for (int i = 0; i < ITIMER_COUNT; i++)
		timer_cancel_sync(&all->itimers[i].timer);
	timer_cancel_sync(&all->cpu_limit.timer);
	p->timers = NULL;
	kfree(all);
}
