/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd: a timer whose expiries are read from a file. */
#pragma once

#include "kernel/time/process_timers.h"

struct file;

/* clock: one that timerfd_is_clock() accepts. flags: TFD_NONBLOCK. */
int __must_check timerfd_new(int clock, u32 flags, struct file **ret);
bool timerfd_is_clock(int clock);
/*
 * f may be any file: -EINVAL when it is not one of these. `absolute`: setting->value is a time of
 * the file's clock (0 still disarms).
 */
int __must_check timerfd_set(struct file *f, bool absolute, const struct timer_setting *setting,
			     struct timer_setting *ret_old);
int __must_check timerfd_get(struct file *f, struct timer_setting *ret);
