/* SPDX-License-Identifier: Apache-2.0 */
/* Interval timers (setitimer, alarm) and POSIX timers of processes. Times in ns. */
#pragma once

#include "lib/base/types.h"

struct abi_sigevent;

struct timer_setting {
	u64 value;    /* until the next expiry; 0: disarmed */
	u64 interval; /* 0: once */
};

/*
 * The current process's RLIMIT_CPU was changed, or it begins with one: from now on SIGXCPU comes at
 * the soft limit and each second after it, SIGKILL at the hard. 0, -ENOMEM, -EAGAIN.
 */
int __must_check timers_limit_cpu(void);

int __must_check itimer_get(int which, struct timer_setting *ret);
int __must_check itimer_set(int which, const struct timer_setting *setting,
			    struct timer_setting *ret_old);

/* POSIX timers. `event` NULL: SIGALRM with the id as value. The id, or -errno. */
long posix_timer_create(int clock, const struct abi_sigevent *event);
/* `absolute`: setting->value is a time of the timer's clock (0 still disarms). */
int __must_check posix_timer_set(int id, bool absolute, const struct timer_setting *setting,
				 struct timer_setting *ret_old);
int __must_check posix_timer_get(int id, struct timer_setting *ret);
int posix_timer_overrun(int id);
int __must_check posix_timer_delete(int id);
