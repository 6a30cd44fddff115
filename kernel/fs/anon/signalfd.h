/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd: pending signals of whoever reads, as bytes of a file. */
#pragma once

#include "kernel/signal/sigset.h"

struct file;

/* flags: SFD_NONBLOCK. */
int __must_check signalfd_new(sigset_k mask, u32 flags, struct file **ret);
/* f may be any file: -EINVAL when it is not one of these. */
int __must_check signalfd_set_mask(struct file *f, sigset_k mask);
