/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of the host, passed through without any protection. */
#pragma once

#include "kernel/vfs/vnode.h"

/* `source` is relative to the instance. -ENOENT, -ENOTDIR, -EACCES... */
int __must_check hostfs_new(const char *source, bool may_exec, struct filesystem **ret);
