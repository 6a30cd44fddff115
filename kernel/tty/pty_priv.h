/* SPDX-License-Identifier: Apache-2.0 */
/* A pair, between its files and its ioctls. */
#pragma once

#include "kernel/proc/tty.h"
#include "kernel/sync/mutex.h"
#include "kernel/tty/ldisc.h"
#include "kernel/tty/pty.h"
#include "kernel/vfs/file_ops.h"

/* pty.ready: what blocked calls wait for. */
enum pty_ready {
	PTY_SLAVE_READS = 1 << 0,
	PTY_SLAVE_WRITES = 1 << 1,
	PTY_MASTER_READS = 1 << 2,
	PTY_MASTER_WRITES = 1 << 3,
	PTY_HUNG_UP = 1 << 4, /* the master is closed */
	PTY_ALONE = 1 << 5,   /* the slave was open and no longer is */
};

struct pty {
	struct tty tty; /* first; its count is that of the pair: files, names, processes */
	struct pollq master_queue, slave_queue;
	u32 ready; /* atomic; enum pty_ready, written with the lock held */
	u32 index;
	bool is_named; /* table_lock */

	struct mutex lock; /* LOCK_TTY: all below */
	struct ldisc ld;
	struct byte_ring typed; /* what the discipline had no room for yet */
	struct abi_winsize size;
	u32 slaves; /* open files */
	bool had_slave, is_hung_up, is_locked, is_exclusive, is_packet;
	u8 packet_news;
	u32 mode, uid, gid;
	s64 created, read, written;
};

void pty_lock(struct pty *p);
/*
 * Publishes what changed, wakes those who listen for these events at either end, and sends what
 * signals typing has made.
 */
void pty_unlock(struct pty *p, u32 master_events, u32 slave_events);
void pty_feed(struct pty *p); /* lock held: typed bytes go into the discipline */

long pty_master_ioctl(struct file *f, u32 command, u64 arg);
long pty_slave_ioctl(struct file *f, u32 command, u64 arg);
