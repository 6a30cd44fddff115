/* SPDX-License-Identifier: Apache-2.0 */
/* /proc: processes and the instance, as texts. */
#pragma once

#include "kernel/vfs/vnode.h"

int __must_check procfs_new(struct filesystem **ret);
