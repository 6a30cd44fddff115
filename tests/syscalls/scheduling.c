/* SPDX-License-Identifier: Apache-2.0 */
/* Policies, priorities, affinity; clocks that may not be set; limits by prlimit. */
#include "check.h"

#include <sched.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

static void policies(void)
{
	struct sched_param param = {.sched_priority = 77};
	struct timespec slice = {-1, -1};

	CHECK_EQ(syscall(SYS_sched_getscheduler, 0), SCHED_OTHER);
	CHECK_EQ(syscall(SYS_sched_getparam, 0, &param), 0);
	CHECK_EQ(param.sched_priority, 0);
	CHECK_EQ(syscall(SYS_sched_setparam, 0, &param), 0);
	CHECK_EQ(syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &param), 0);
	CHECK_EQ(syscall(SYS_sched_getscheduler, 0), SCHED_BATCH);
	CHECK_EQ(syscall(SYS_sched_setparam, 0, &param), 0);
	CHECK_EQ(syscall(SYS_sched_getscheduler, 0), SCHED_BATCH);
	CHECK_EQ(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &param), 0);
	param.sched_priority = 5;
	CHECK_ERRNO(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &param), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_setscheduler, 0, 99, &param), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getscheduler, -1), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getscheduler, 999999), ESRCH);
	CHECK_ERRNO(syscall(SYS_sched_getparam, 0, NULL), EINVAL);
	CHECK(sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_FIFO) == 1);
	CHECK(sched_get_priority_max(SCHED_OTHER) == 0 && sched_get_priority_min(SCHED_OTHER) == 0);
	CHECK(sched_get_priority_max(6) == 0 &&
	      sched_get_priority_min(6) == 0); /* SCHED_DEADLINE */
	CHECK_ERRNO(sched_get_priority_max(77), EINVAL);
	CHECK_EQ(sched_rr_get_interval(0, &slice), 0);
	CHECK(slice.tv_sec == 0 && slice.tv_nsec >= 0);
}

static void attributes(void)
{
	struct {
		unsigned size, policy;
		unsigned long long flags;
		int nice;
		unsigned priority;
		unsigned long long runtime, deadline, period;
	} attr = {0};

	CHECK_EQ(syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0), 0);
	CHECK(attr.size == 48 && attr.policy == SCHED_OTHER);
	CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &attr, 8, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getattr, 0, NULL, 48, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 1), EINVAL);
	CHECK_EQ(syscall(SYS_sched_setattr, 0, &attr, 0), 0);
	CHECK_ERRNO(syscall(SYS_sched_setattr, 999999, &attr, 0), ESRCH);
	attr.policy = -1;
	CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &attr, 0), EINVAL);
	attr.policy = 88;
	CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &attr, 0), EINVAL);
}

static void priorities(void)
{
	errno = 0;
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 0);
	CHECK_EQ(setpriority(PRIO_PROCESS, 0, 5), 0);
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 5);
	CHECK_EQ(getpriority(PRIO_PROCESS, getpid()), 5);
	CHECK_EQ(setpriority(PRIO_PROCESS, 0, 99), 0);
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
	CHECK_ERRNO(getpriority(9, 0), EINVAL);
	CHECK_ERRNO(getpriority(PRIO_PROCESS, 999999), ESRCH);
	CHECK_ERRNO(setpriority(PRIO_PROCESS, 999999, 1), ESRCH);
}

static void affinity(void)
{
	cpu_set_t all, one;
	unsigned cpu = 99, node = 99;
	int first = 0;
	long size;

	size = syscall(SYS_sched_getaffinity, 0, sizeof(all), &all);
	CHECK(size > 0 && size % 8 == 0);
	CHECK_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
	CHECK_EQ(sched_getaffinity(0, sizeof(one), &one), 0);
	CHECK(CPU_COUNT(&one) == 1 && CPU_ISSET(first, &one));
	CHECK_EQ(syscall(SYS_getcpu, &cpu, &node, NULL), 0);
	CHECK(cpu == (unsigned)first && node < 64);
	CHECK_EQ(syscall(SYS_getcpu, NULL, NULL, NULL), 0);
	CHECK_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	CHECK_ERRNO(sched_setaffinity(0, sizeof(one), &one), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 4, &all), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getaffinity, 999999, sizeof(all), &all), ESRCH);
	CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, sizeof(all), 8), EFAULT);
}

/* What belongs to another user is his to schedule. */
static void of_others(void)
{
	struct sched_param param = {0};
	cpu_set_t all;
	int status;
	pid_t pid;

	if (geteuid())
		return;
	CHECK_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
	pid = fork();
	if (!pid) {
		if (setuid(65534))
			_exit(1);
		CHECK_ERRNO(sched_setaffinity(getppid(), sizeof(all), &all), EPERM);
		CHECK_ERRNO(syscall(SYS_sched_setparam, getppid(), &param), EPERM);
		CHECK_ERRNO(syscall(SYS_sched_setscheduler, getppid(), SCHED_BATCH, &param), EPERM);
		CHECK_ERRNO(setpriority(PRIO_PROCESS, getppid(), 19), EPERM);
		CHECK_ERRNO(sched_setaffinity(999999, sizeof(all), &all), ESRCH);
		_exit(check_failures != 0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

static void setting_clocks(void)
{
	struct timespec bad = {0, -1};
	struct timeval wrong = {0, -1};

	CHECK_ERRNO(clock_settime(CLOCK_MONOTONIC, &bad), EINVAL);
	CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &bad), EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_settimeofday, &wrong, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_settimeofday, 8, NULL), EFAULT);
}

static void limits(void)
{
	struct rlimit now, low = {64, 64};

	CHECK_EQ(prlimit(0, RLIMIT_CORE, NULL, &now), 0);
	CHECK_EQ(prlimit(getpid(), RLIMIT_NOFILE, &low, &now), 0);
	CHECK(now.rlim_cur >= 64);
	CHECK_EQ(prlimit(0, RLIMIT_NOFILE, NULL, &now), 0);
	CHECK(now.rlim_cur == 64 && now.rlim_max == 64);
	CHECK_ERRNO(prlimit(999999, RLIMIT_NOFILE, NULL, &now), ESRCH);
	CHECK_ERRNO(prlimit(0, 99, NULL, &now), EINVAL);
	CHECK_ERRNO(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 8, NULL), EFAULT);
	CHECK_EQ(syscall(SYS_personality, 0xffffffff), 0);
}

CHECK_MAIN(policies, attributes, affinity, of_others, setting_clocks, limits, priorities)
