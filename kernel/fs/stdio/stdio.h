/* SPDX-License-Identifier: Apache-2.0 */
/* Files over descriptors of the host: what the caller gave as 0, 1 and 2. */
#pragma once

#include "kernel/vfs/file.h"

/* /dev/console, and /dev/tty where it controls: the terminal of the session's stdio, or -ENXIO. */
int __must_check stdio_open_tty(struct file *f);
