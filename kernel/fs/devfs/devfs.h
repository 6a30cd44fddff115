/* SPDX-License-Identifier: Apache-2.0 */
/* /dev: null, zero, full, random, tty, stdin and the like. */
#pragma once

#include "kernel/vfs/vnode.h"

int __must_check devfs_new(struct filesystem **ret);
