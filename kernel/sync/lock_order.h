/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of all locks: a lock may be taken while locks of lower rank are held. A list for
 * people; what host builds check is that nothing sleeps below a spinlock (spinlock.h). Locks of
 * the same rank are never nested unless the rank says so.
 */
#pragma once

enum lock_rank {
	LOCK_RANK_NONE = 0, /* not checked */

	/* Sleeping locks. */
	LOCK_EXEC,	    /* process.exec_lock */
	LOCK_VFS_RENAME,    /* one rename at a time per file system */
	LOCK_FILE_POSITION, /* an open file's position */
	/*
	 * Vnodes: parent before child, union before layer. A layer's vnode is also taken below
	 * LOCK_MEM_OBJECT when an object is written back; its file is then never being written
	 * directly, because the object exists only while nobody is inside such a write.
	 */
	LOCK_VNODE,
	LOCK_FS,	 /* inside one file system: secvol, unionfs, ramfs */
	LOCK_MM,	 /* one address space */
	LOCK_MEM_OBJECT, /* pages of a shared object */
	LOCK_MM_ZONE,	 /* the zone that all address spaces share */

	/* Spinlocks: nothing below them may sleep. */
	LOCK_SPIN_FIRST,
	LOCK_PROCESS_TREE, /* parents and children, pid table */
	LOCK_PROCESS,	   /* process.lock */
	LOCK_FUTEX_BUCKET,
	LOCK_FD_TABLE,
	LOCK_TIMER,
	LOCK_WAITQ,
	LOCK_MUTEX_GUARD,
	LOCK_PATCH,
	LOCK_THREAD_START,
	LOCK_KMEM,
	LOCK_RANDOM,
};
