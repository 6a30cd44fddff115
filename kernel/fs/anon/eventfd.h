/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd: a counter with waiters. */
#pragma once

#include "lib/base/types.h"

struct file;

/* flags: EFD_SEMAPHORE, EFD_NONBLOCK. */
int __must_check eventfd_new(u64 count, u32 flags, struct file **ret);
