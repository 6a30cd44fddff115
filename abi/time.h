/* SPDX-License-Identifier: Apache-2.0 */
/* Times, clocks and timers. */
#pragma once

#include <stdint.h>

struct abi_timespec {
	int64_t sec, nsec;
};

struct abi_timeval {
	int64_t sec, usec;
};

struct abi_timezone {
	int32_t minutes_west, dst;
};

struct abi_itimerval {
	struct abi_timeval interval, value;
};

struct abi_itimerspec {
	struct abi_timespec interval, value;
};

struct abi_tms {
	int64_t utime, stime, child_utime, child_stime;
};

#define CLOCK_REALTIME		 0
#define CLOCK_MONOTONIC		 1
#define CLOCK_PROCESS_CPUTIME_ID 2
#define CLOCK_THREAD_CPUTIME_ID	 3
#define CLOCK_MONOTONIC_RAW	 4
#define CLOCK_REALTIME_COARSE	 5
#define CLOCK_MONOTONIC_COARSE	 6
#define CLOCK_BOOTTIME		 7
#define CLOCK_REALTIME_ALARM	 8
#define CLOCK_BOOTTIME_ALARM	 9
#define CLOCK_TAI		 11

#define TIMER_ABSTIME		 1

#define ABI_ITIMER_REAL		 0
#define ABI_ITIMER_VIRTUAL	 1
#define ABI_ITIMER_PROF		 2

#define ABI_CLOCK_TICKS		 100 /* per second, sysconf(_SC_CLK_TCK) */
