/* SPDX-License-Identifier: Apache-2.0 */
/* Pseudo terminals: pairs of a master, opened by /dev/ptmx, and a slave with a name in devpts. */
#pragma once

#include "lib/base/types.h"

struct file;
struct tty;

#define PTY_MAX	   1024
#define PTY_DEVICE 136 /* major number of the first 256 */

struct pty;

/* vnode_ops.open of ptmx: makes a pair, `f` is its master. -ENOSPC, -ENOMEM. */
int __must_check pty_open_master(struct file *f);

/*
 * Opens the slave. Without O_NOCTTY it becomes the terminal of a session leader that has none.
 * -EIO: locked, or its master is gone. -EBUSY: TIOCEXCL.
 */
int __must_check pty_open_slave(struct pty *p, struct file *f);
/* /dev/tty: the slave that is the controlling terminal `t`. */
int __must_check pty_open_controlling(struct tty *t, struct file *f);

/* The pair whose slave has that name: counted, or NULL. */
struct pty *pty_lookup(u32 index);
void pty_put(struct pty *p);
/* The next name from `index` on, or -1. */
s32 pty_next(u32 index);

/* What its name shows. */
struct pty_attributes {
	u32 index, mode, uid, gid;
	s64 created, read, written; /* seconds */
};
void pty_attributes(struct pty *p, struct pty_attributes *ret);
void pty_set_attributes(struct pty *p, u32 mode, u32 uid, u32 gid);
u64 pty_device(u32 index);
