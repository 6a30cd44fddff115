/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advisory locks: POSIX record locks (owner: the descriptor table), open file description locks
 * and flock (owner: the file). A blocked request looks for a cycle of waiting POSIX owners first:
 * -EDEADLK.
 */
#pragma once

#include "kernel/vfs/vnode.h"

enum file_lock_kind {
	LOCK_POSIX,
	LOCK_OFD,
	LOCK_FLOCK, /* conflicts only with its own kind */
};

struct file_lock {
	struct list_node node; /* file_locks.held */
	enum file_lock_kind kind;
	u16 type;	/* F_RDLCK, F_WRLCK, F_UNLCK */
	u64 start, end; /* end included; UINT64_MAX: to the end of the file */
	const void *owner;
	s32 pid; /* for F_GETLK; -1 for OFD locks */
};

/* Sets, changes or clears. -EAGAIN (wait false), -EDEADLK, -EINTR, -ENOMEM, -ENOLCK. */
int __must_check file_lock_set(struct vnode *v, const struct file_lock *request, bool wait);
/* Turns *lock into the first that conflicts, or its type into F_UNLCK. */
void file_lock_test(struct vnode *v, struct file_lock *lock);
/* All locks of an owner, at close. */
void file_locks_release(struct vnode *v, const void *owner);
void file_locks_free(struct file_locks *l);
