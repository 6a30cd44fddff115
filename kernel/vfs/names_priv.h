/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by open.c and names.c: changes of one directory, its lock held, rights checked inside. */
#pragma once

#include "kernel/vfs/dentry.h"
#include "lib/base/fmt.h"

/* Makes the negative dentry d (child of dir) a file of the type in mode. */
int __must_check dir_create(struct dentry *dir, struct dentry *d, u32 mode, u64 rdev);
