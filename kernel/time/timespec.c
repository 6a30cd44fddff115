// SPDX-License-Identifier: Apache-2.0
/* Conversions between timespec, timeval, nanoseconds and deadlines; reading any clock. */
#include "kernel/time/timespec.h"

#include "abi/errno.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/process.h"
#include "kernel/sched/park.h"
#include "kernel/time/clock.h"

#define FAR_FUTURE	 (DEADLINE_NEVER - 1)

/* Clock ids of processes and threads: ~pid << 3 | per-thread bit | kind. */
#define CPU_CLOCK_THREAD 4
#define CPU_CLOCK_KIND	 3

bool timespec_is_valid(const struct abi_timespec *t)
{
	return t->sec >= 0 && t->nsec >= 0 && t->nsec < (s64)NS_PER_SEC;
}

bool timeval_is_valid(const struct abi_timeval *t)
{
	return t->sec >= 0 && t->usec >= 0 && t->usec < 1000000;
}

static u64 to_ns(u64 sec, u64 nsec)
{
	u64 ns;

	if (__builtin_mul_overflow(sec, NS_PER_SEC, &ns) || __builtin_add_overflow(ns, nsec, &ns))
		return FAR_FUTURE;
	return MIN(ns, FAR_FUTURE);
}

u64 timespec_to_ns(const struct abi_timespec *t)
{
	return to_ns((u64)t->sec, (u64)t->nsec);
}

u64 timeval_to_ns(const struct abi_timeval *t)
{
	return to_ns((u64)t->sec, (u64)t->usec * NS_PER_USEC);
}

struct abi_timeval ns_to_timeval(u64 ns)
{
	return (struct abi_timeval){.sec = (s64)(ns / NS_PER_SEC),
				    .usec = (s64)(ns % NS_PER_SEC / NS_PER_USEC)};
}

u64 deadline_add(u64 deadline, u64 ns)
{
	u64 sum;

	if (__builtin_add_overflow(deadline, ns, &sum))
		return FAR_FUTURE;
	return MIN(sum, FAR_FUTURE);
}

u64 deadline_after(u64 ns)
{
	return deadline_add(clock_monotonic_ns(), ns);
}

u64 deadline_at(int clock, u64 ns)
{
	u64 now;

	if (clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME || clock == CLOCK_BOOTTIME_ALARM)
		return MIN(ns, FAR_FUTURE);
	if (clock_get(clock, &now))
		return 0;
	return ns > now ? deadline_after(ns - now) : 0;
}

static int cpu_clock_get(int clock, u64 *ret_ns)
{
	s32 id = ~(clock >> 3);

	if ((clock & CPU_CLOCK_KIND) == CPU_CLOCK_KIND)
		return -EINVAL;
	if (clock & CPU_CLOCK_THREAD) {
		struct thread *t = id ? thread_lookup(id) : thread_get(current_thread());

		if (!t)
			return -EINVAL;
		*ret_ns = thread_cpu_ns(t);
		thread_put(t);
	} else {
		struct process *p = id ? process_lookup(id) : process_get(current_process());

		if (!p)
			return -EINVAL;
		*ret_ns = process_cpu_ns(p);
		process_put(p);
	}
	return 0;
}

int clock_get(int clock, u64 *ret_ns)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI: *ret_ns = clock_realtime_ns(); return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM: *ret_ns = clock_monotonic_ns(); return 0;
	case CLOCK_PROCESS_CPUTIME_ID: *ret_ns = process_cpu_ns(current_process()); return 0;
	case CLOCK_THREAD_CPUTIME_ID: *ret_ns = thread_cpu_ns(current_thread()); return 0;
	default: return clock < 0 ? cpu_clock_get(clock, ret_ns) : -EINVAL;
	}
}

int deadline_from_user(const void __user *timeout, u64 *ret_deadline)
{
	struct abi_timespec t;

	if (!timeout) {
		*ret_deadline = DEADLINE_NEVER;
		return 0;
	}
	if (copy_from_user(&t, timeout, sizeof(t)))
		return -EFAULT;
	if (!timespec_is_valid(&t))
		return -EINVAL;
	*ret_deadline = deadline_after(timespec_to_ns(&t));
	return 0;
}
