/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only code that follows a user pointer. Check and copy are one section: the range lies in
 * the current process's own mappings with the right protection, lazily filled pages are filled
 * before the copy, and pages freed by a sibling are not recycled until every thread inside has
 * left. Never called with a spinlock held. All return 0 or -EFAULT unless said.
 */
#pragma once

#include "lib/base/types.h"

int __must_check copy_from_user(void *to, const void __user *from, size_t size);
int __must_check copy_to_user(void __user *to, const void *from, size_t size);
int __must_check clear_user(void __user *to, size_t size);

/*
 * A struct that grows with versions: `known` bytes of it at `to`, zeros where the program's is
 * shorter. What it has beyond must be zeros: -E2BIG, as for more than a page. -EFAULT.
 */
int __must_check copy_struct_from_user(void *to, size_t known, const void __user *from, u64 size);
/* Copies a terminated string of at most size - 1 bytes. Length, -EFAULT or -ENAMETOOLONG. */
long __must_check copy_string_from_user(char *to, const char __user *from, size_t size);

int __must_check get_user_u32(u32 *ret, const void __user *from); /* atomic, aligned or -EFAULT */
int __must_check put_user_u32(void __user *to, u32 value);
int __must_check get_user_u64(u64 *ret, const void __user *from);
int __must_check put_user_u64(void __user *to, u64 value);

/* *ret_old = *at; if equal to old_value, *at = new_value, atomically. Word must be writable. */
int __must_check cmpxchg_user_u32(void __user *at, u32 old_value, u32 new_value, u32 *ret_old);

/* The range belongs to the current process and may be read (written), without touching it. */
bool user_range_is_ok(const void __user *at, size_t size, bool write);

/*
 * Fills lazily filled pages of the range, as a copy would. A file system that holds a lock of its
 * own while it copies calls this first, because filling a mapping of a file may need that lock.
 */
int __must_check user_range_populate(const void __user *at, size_t size, bool write);
