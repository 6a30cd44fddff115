// SPDX-License-Identifier: Apache-2.0
/*
 * Clocks, sleeps and timers. Reading a clock makes no host call where the TSC may be read; sleeping
 * is parking with a deadline.
 */
#include "abi/errno.h"
#include "abi/poll.h"
#include "abi/signal.h"
#include "kernel/fs/anon/timerfd.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/process.h"
#include "kernel/sched/park.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/restart.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/sys/sys_priv.h"
#include "kernel/time/clock.h"
#include "kernel/time/process_timers.h"
#include "kernel/time/timespec.h"

long sys_clock_gettime(int clock, void __user *time)
{
	struct abi_timespec t;
	u64 ns;

	if (likely(clock == CLOCK_MONOTONIC)) {
		ns = clock_monotonic_ns();
	} else {
		int err = clock_get(clock, &ns);

		if (err)
			return err;
	}
	t = ns_to_timespec(ns);
	return copy_to_user(time, &t, sizeof(t));
}

long sys_clock_getres(int clock, void __user *resolution)
{
	bool is_coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
	const struct abi_timespec t = {.nsec = is_coarse ? 4000000 : 1};
	u64 ns;
	int err = clock_get(clock, &ns);

	if (err || !resolution)
		return err;
	return copy_to_user(resolution, &t, sizeof(t));
}

/* The host's wall time is not the instance's to change; as for a user without CAP_SYS_TIME. */
long sys_clock_settime(int clock, const void __user *time)
{
	struct abi_timespec t;

	if (clock != CLOCK_REALTIME)
		return -EINVAL;
	if (copy_from_user(&t, time, sizeof(t)))
		return -EFAULT;
	return timespec_is_valid(&t) ? -EPERM : -EINVAL;
}

long sys_settimeofday(const void __user *time, const void __user *zone)
{
	struct abi_timeval t;

	if (time && copy_from_user(&t, time, sizeof(t)))
		return -EFAULT;
	return time && !timeval_is_valid(&t) ? -EINVAL : -EPERM;
}

long sys_gettimeofday(void __user *time, void __user *zone)
{
	const struct abi_timezone utc = {0};
	struct abi_timeval t = ns_to_timeval(clock_realtime_ns());

	if (time && copy_to_user(time, &t, sizeof(t)))
		return -EFAULT;
	if (zone && copy_to_user(zone, &utc, sizeof(utc)))
		return -EFAULT;
	return 0;
}

long sys_time(void __user *time)
{
	u64 seconds = clock_realtime_ns() / NS_PER_SEC;

	if (time && put_user_u64(time, seconds))
		return -EFAULT;
	return (long)seconds;
}

static long sleep_until(u64 deadline, u64 remain)
{
	struct abi_timespec left;
	u64 now;
	int err = 0;

	while (!err && clock_monotonic_ns() < deadline)
		err = thread_park(deadline, true);
	if (err != -EINTR)
		return 0;
	now = clock_monotonic_ns();
	if (remain) {
		left = ns_to_timespec(deadline > now ? deadline - now : 0);
		if (copy_to_user((void __user *)remain, &left, sizeof(left)))
			return -EFAULT;
	}
	current_thread()->restart = (struct restart_block){
		.number = SYS_NR_nanosleep, .deadline = deadline, .args = {remain}};
	return -ERESTART_RESTARTBLOCK;
}

static int read_timespec(const void __user *from, u64 *ret_ns)
{
	struct abi_timespec t;

	if (copy_from_user(&t, from, sizeof(t)))
		return -EFAULT;
	if (!timespec_is_valid(&t))
		return -EINVAL;
	*ret_ns = timespec_to_ns(&t);
	return 0;
}

long sys_nanosleep(const void __user *request, void __user *remain)
{
	u64 ns;
	int err = read_timespec(request, &ns);

	return err ? err : sleep_until(deadline_after(ns), (u64)remain);
}

/* CPU clocks advance only while threads run: look again when the time can have been used up. */
static long sleep_on_cpu_clock(int clock, u64 until)
{
	u64 now;
	int err;

	for (;;) {
		err = clock_get(clock, &now);
		if (err)
			return err;
		if (now >= until)
			return 0;
		err = thread_park(deadline_after(MAX(until - now, NS_PER_SEC / 1000)), true);
		if (err == -EINTR)
			return -EINTR;
	}
}

long sys_clock_nanosleep(int clock, int flags, const void __user *request, void __user *remain)
{
	u64 ns, now, deadline;
	long ret;
	int err = clock_get(clock, &now);

	if (err)
		return -EINVAL;
	if (clock == CLOCK_THREAD_CPUTIME_ID || clock == CLOCK_MONOTONIC_RAW ||
	    clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE)
		return -EOPNOTSUPP;
	err = read_timespec(request, &ns);
	if (err)
		return err;
	if (clock == CLOCK_PROCESS_CPUTIME_ID || clock < 0)
		return sleep_on_cpu_clock(clock, flags & TIMER_ABSTIME ? ns : now + ns);
	if (!(flags & TIMER_ABSTIME))
		return sleep_until(deadline_after(ns), (u64)remain);
	deadline = deadline_at(clock, ns);
	ret = sleep_until(deadline, 0);
	/* An absolute sleep starts over with the same request. */
	return ret == -ERESTART_RESTARTBLOCK ? -ERESTARTNOHAND : ret;
}

long sys_restart_syscall(void)
{
	const struct restart_block r = current_thread()->restart;

	switch (r.number) {
	case SYS_NR_nanosleep: return sleep_until(r.deadline, r.args[0]);
	case SYS_NR_futex: return futex_wait_restart(&r);
	default: return -EINTR;
	}
}

static int read_itimerval(const void __user *from, struct timer_setting *ret)
{
	struct abi_itimerval v = {0};

	if (from && copy_from_user(&v, from, sizeof(v)))
		return -EFAULT;
	if (!timeval_is_valid(&v.value) || !timeval_is_valid(&v.interval))
		return -EINVAL;
	ret->value = timeval_to_ns(&v.value);
	ret->interval = timeval_to_ns(&v.interval);
	return 0;
}

static int write_itimerval(void __user *to, const struct timer_setting *setting)
{
	/* Rounded up: a timer that is armed never reads as zero. */
	struct abi_itimerval v = {
		.value = ns_to_timeval(setting->value + (setting->value ? NS_PER_USEC - 1 : 0)),
		.interval = ns_to_timeval(setting->interval),
	};

	return copy_to_user(to, &v, sizeof(v));
}

long sys_getitimer(int which, void __user *value)
{
	struct timer_setting setting;
	int err = itimer_get(which, &setting);

	return err ? err : write_itimerval(value, &setting);
}

long sys_setitimer(int which, const void __user *value, void __user *old)
{
	struct timer_setting setting, previous;
	int err = read_itimerval(value, &setting);

	if (!err)
		err = itimer_set(which, &setting, &previous);
	if (err || !old)
		return err;
	return write_itimerval(old, &previous);
}

long sys_alarm(u32 seconds)
{
	struct timer_setting setting = {.value = seconds * NS_PER_SEC}, old;

	if (itimer_set(ABI_ITIMER_REAL, &setting, &old))
		return 0;
	if (old.value && old.value < NS_PER_SEC)
		return 1;
	return (long)((old.value + NS_PER_SEC / 2) / NS_PER_SEC);
}

long sys_timer_create(int clock, const void __user *event, void __user *timer)
{
	struct abi_sigevent e;
	long id;

	if (event && copy_from_user(&e, event, sizeof(e)))
		return -EFAULT;
	if (!user_range_is_ok(timer, sizeof(u32), true))
		return -EFAULT;
	id = posix_timer_create(clock, event ? &e : NULL);
	if (id < 0)
		return id;
	if (!put_user_u32(timer, (u32)id))
		return 0;
	(void)!posix_timer_delete((int)id);
	return -EFAULT;
}

static int write_itimerspec(void __user *to, const struct timer_setting *setting)
{
	struct abi_itimerspec v = {
		.value = ns_to_timespec(setting->value),
		.interval = ns_to_timespec(setting->interval),
	};

	return copy_to_user(to, &v, sizeof(v));
}

static int read_itimerspec(const void __user *from, struct timer_setting *ret)
{
	struct abi_itimerspec v;

	if (copy_from_user(&v, from, sizeof(v)))
		return -EFAULT;
	if (!timespec_is_valid(&v.value) || !timespec_is_valid(&v.interval))
		return -EINVAL;
	ret->value = timespec_to_ns(&v.value);
	ret->interval = timespec_to_ns(&v.interval);
	return 0;
}

long sys_timer_settime(int timer, int flags, const void __user *value, void __user *old)
{
	struct timer_setting setting, previous;
	int err = value ? read_itimerspec(value, &setting) : -EINVAL;

	if (!err)
		err = posix_timer_set(timer, flags & TIMER_ABSTIME, &setting, &previous);
	if (err || !old)
		return err;
	return write_itimerspec(old, &previous);
}

long sys_timer_gettime(int timer, void __user *value)
{
	struct timer_setting setting;
	int err = posix_timer_get(timer, &setting);

	return err ? err : write_itimerspec(value, &setting);
}

long sys_timer_getoverrun(int timer)
{
	return posix_timer_overrun(timer);
}

long sys_timer_delete(int timer)
{
	return posix_timer_delete(timer);
}

/* --- timerfd -------------------------------------------------------------------------------- */

long sys_timerfd_create(int clock, int flags)
{
	struct file *f;
	int err;

	if (flags & ~(TFD_NONBLOCK | TFD_CLOEXEC))
		return -EINVAL;
	/* Nothing inside can wake a suspended machine: as for a user without CAP_WAKE_ALARM. */
	if (clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM)
		return -EPERM;
	if (!timerfd_is_clock(clock))
		return -EINVAL;
	err = timerfd_new(clock, flags, &f);
	return err ? err : fd_publish(f, flags & TFD_CLOEXEC);
}

long sys_timerfd_settime(int fd, int flags, const void __user *value, void __user *old)
{
	struct timer_setting setting, previous;
	struct file *f;
	int err = read_itimerspec(value, &setting);

	if (!err && (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)))
		err = -EINVAL;
	if (err)
		return err;
	/* CANCEL_ON_SET: nobody inside can set the wall clock: there is nothing to cancel for. */
	f = arg_file(fd);
	if (!f)
		return -EBADF;
	err = timerfd_set(f, flags & TFD_TIMER_ABSTIME, &setting, &previous);
	file_put(f);
	if (err || !old)
		return err;
	return write_itimerspec(old, &previous);
}

long sys_timerfd_gettime(int fd, void __user *value)
{
	struct timer_setting setting;
	struct file *f = arg_file(fd);
	int err;

	if (!f)
		return -EBADF;
	err = timerfd_get(f, &setting);
	file_put(f);
	return err ? err : write_itimerspec(value, &setting);
}
