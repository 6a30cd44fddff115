/* SPDX-License-Identifier: Apache-2.0 */
/* Limits and usage of processes. */
#pragma once

#include <stdint.h>

#include "abi/time.h"

enum abi_rlimit_resource {
	ABI_RLIMIT_CPU,
	ABI_RLIMIT_FSIZE,
	ABI_RLIMIT_DATA,
	ABI_RLIMIT_STACK,
	ABI_RLIMIT_CORE,
	ABI_RLIMIT_RSS,
	ABI_RLIMIT_NPROC,
	ABI_RLIMIT_NOFILE,
	ABI_RLIMIT_MEMLOCK,
	ABI_RLIMIT_AS,
	ABI_RLIMIT_LOCKS,
	ABI_RLIMIT_SIGPENDING,
	ABI_RLIMIT_MSGQUEUE,
	ABI_RLIMIT_NICE,
	ABI_RLIMIT_RTPRIO,
	ABI_RLIMIT_RTTIME,
	ABI_RLIMIT_COUNT,
};
#define ABI_RLIM_INFINITY UINT64_MAX

struct abi_rlimit {
	uint64_t soft, hard;
};

struct abi_rusage {
	struct abi_timeval utime, stime;
	int64_t maxrss, ixrss, idrss, isrss, minflt, majflt, nswap;
	int64_t inblock, oublock, msgsnd, msgrcv, nsignals, nvcsw, nivcsw;
};
_Static_assert(sizeof(struct abi_rusage) == 144, "rusage");

#define ABI_RUSAGE_SELF	    0
#define ABI_RUSAGE_CHILDREN -1
#define ABI_RUSAGE_THREAD   1
