/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writable file system over read-only ones, with the behaviour of Linux's overlayfs: names
 * deleted below are covered by whiteouts, what is changed is copied up first, directories of an
 * image cannot be renamed (EXDEV).
 *
 * The upper file system's root holds two directories: `upper`, the changed tree, and `work`, where
 * objects are prepared before one rename puts them in place. Marks: a character device 0:0 is a
 * whiteout; the attribute occlum.union.opaque hides what lies below a directory;
 * occlum.union.origin keeps the number of the object that a copy was made from.
 */
#pragma once

#include "kernel/vfs/vnode.h"

#define UNION_LOWER_MAX 3

/* `lowers`: topmost first. All file systems are consumed on success: shut down with the union. */
int __must_check unionfs_new(struct filesystem *upper, struct filesystem **lowers, u32 lower_count,
			     struct filesystem **ret);
