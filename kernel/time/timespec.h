/* SPDX-License-Identifier: Apache-2.0 */
/* Between the times of programs and nanoseconds. Far futures saturate at DEADLINE_NEVER - 1. */
#pragma once

#include "abi/time.h"
#include "lib/base/types.h"

#define NS_PER_SEC  1000000000ull
#define NS_PER_USEC 1000ull

bool timespec_is_valid(const struct abi_timespec *t); /* 0 <= sec, 0 <= nsec < 10^9 */
u64 timespec_to_ns(const struct abi_timespec *t);
static inline struct abi_timespec ns_to_timespec(u64 ns)
{
	return (struct abi_timespec){.sec = (s64)(ns / NS_PER_SEC), .nsec = (s64)(ns % NS_PER_SEC)};
}
bool timeval_is_valid(const struct abi_timeval *t);
u64 timeval_to_ns(const struct abi_timeval *t);
struct abi_timeval ns_to_timeval(u64 ns);

/* `ns` after a deadline or a clock's reading. */
u64 deadline_add(u64 deadline, u64 ns);
/* Monotonic ns at which `ns` from now is over, or at which `clock` shows `ns`. */
u64 deadline_after(u64 ns);
u64 deadline_at(int clock, u64 ns);

/* What a clock shows. -EINVAL for one that does not exist. CPU clocks of others: by pid bits. */
int __must_check clock_get(int clock, u64 *ret_ns);

/* A timeout of a call: NULL is DEADLINE_NEVER. 0, -EFAULT, -EINVAL. Relative, monotonic. */
int __must_check deadline_from_user(const void __user *timeout, u64 *ret_deadline);
