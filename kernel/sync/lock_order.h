/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of all locks: a lock may be taken while locks of lower rank are held. Locks of one rank
 * are not nested unless the list says so. Every lock is initialised with its rank; host builds
 * (unit tests, sanitizers, fuzzing) keep a list of what each thread holds and end the test at the
 * first lock that is taken out of order, whether or not a deadlock came of it. In the enclave
 * ranks cost nothing: they are not even stored.
 */
#pragma once

#include "lib/base/types.h"

enum lock_nesting {
	LOCK_ALONE, /* never two of this rank */
	LOCK_NESTS, /* an order among them is described at the rank */
};

/* X(rank, what it guards, nesting) from the outermost to the innermost. */
#define LOCK_RANKS(X)                                                                                \
	/* Sleeping locks. */                                                                        \
	X(LOCK_EXEC, "process.exec_lock", LOCK_ALONE)                                                \
	X(LOCK_TIMER_SET, "the timers of a process", LOCK_ALONE)                                     \
	X(LOCK_TIMERFD, "a timerfd", LOCK_ALONE)                                                     \
	X(LOCK_EPOLL, "all epoll sets", LOCK_ALONE)                                                  \
	X(LOCK_VFS_RENAME, "renames between folders", LOCK_ALONE)                                    \
	X(LOCK_FILE_POSITION, "an open file's position", LOCK_ALONE)                                 \
	X(LOCK_PROC_TEXT, "the text of an open file of /proc", LOCK_ALONE)                           \
	/* Parent before child, two parents by address; a unionfs before its layers. */              \
	X(LOCK_VNODE_UNION, "vnode.lock of a unionfs", LOCK_NESTS)                                   \
	X(LOCK_UNION_COPY, "copying up in one unionfs", LOCK_ALONE)                                  \
	X(LOCK_VNODE, "vnode.lock", LOCK_NESTS)                                                      \
	/* Two pipes by address. */                                                                  \
	X(LOCK_PIPE, "a pipe", LOCK_NESTS)                                                           \
	X(LOCK_TTY, "a pair of pseudo terminals", LOCK_ALONE)                                        \
	X(LOCK_UNIX, "all AF_UNIX sockets", LOCK_ALONE)                                              \
	X(LOCK_UNIX_CHANNEL, "one direction of an AF_UNIX connection", LOCK_NESTS)                   \
	X(LOCK_MEMFD, "the file system of memfds", LOCK_ALONE)                                       \
	X(LOCK_SHM, "System V shared memory", LOCK_ALONE)                                            \
	X(LOCK_SEMAPHORES, "System V semaphores", LOCK_ALONE)                                        \
	X(LOCK_MESSAGES, "System V message queues", LOCK_ALONE)                                      \
	X(LOCK_MM, "mm.lock", LOCK_ALONE)                                                            \
	X(LOCK_MEM_OBJECT, "mem_object.lock", LOCK_ALONE)                                            \
	/*                                                                                         \
	 * LOCK_VNODE of a layer whose file's object is filled or written back. Nobody holds it      \
	 * while waiting for the object: the object exists only while no write goes past it.         \
	 */ \
	X(LOCK_VNODE_BACKING, "vnode.lock of a layer below an object", LOCK_NESTS)                   \
	X(LOCK_FILE_LOCKS, "all locks of files", LOCK_ALONE)                                         \
	X(LOCK_MOUNTS, "the list of mounts", LOCK_ALONE)                                             \
	X(LOCK_VOLUME_ROUNDS, "the list of volumes to commit", LOCK_ALONE)                           \
	X(LOCK_FS, "one file system", LOCK_ALONE)                                                    \
	/* lib/secvol takes them in its own order, described there. */                               \
	X(LOCK_VOLUME, "a lock inside a volume", LOCK_NESTS)                                         \
	X(LOCK_STORE, "a volume's block store", LOCK_ALONE)                                          \
	X(LOCK_THREAD_MAKER, "starting a kernel thread once", LOCK_ALONE)                            \
	X(LOCK_PAGES_WINDOW, "the window where pages are filled", LOCK_ALONE)                        \
	X(LOCK_PAGES_TRIM, "giving free pages back", LOCK_ALONE)                                     \
	/* Spinlocks: nothing below them may sleep. */                                               \
	X(LOCK_SPIN_FIRST, "no lock", LOCK_ALONE)                                                    \
	X(LOCK_PROCESS_TREE, "process_tree_lock", LOCK_ALONE)                                        \
	X(LOCK_CREATED, "the instance's first processes", LOCK_ALONE)                                \
	X(LOCK_PROCESS_TIMERS, "process_timers.lock", LOCK_ALONE)                                    \
	X(LOCK_PROCESS, "process.lock", LOCK_NESTS)                                                  \
	X(LOCK_IDS, "the table of ids", LOCK_ALONE)                                                  \
	X(LOCK_TTY_TABLE, "names of pseudo terminals", LOCK_ALONE)                                   \
	X(LOCK_FUTEX_BUCKET, "a bucket of futexes", LOCK_NESTS)                                      \
	X(LOCK_FS_LIST, "the list of file systems", LOCK_ALONE)                                      \
	X(LOCK_FS_CONTEXT, "fs_context.lock", LOCK_ALONE)                                            \
	X(LOCK_ROOT, "the first root", LOCK_ALONE)                                                   \
	X(LOCK_FD_TABLE, "fd_table.lock", LOCK_ALONE)                                                \
	X(LOCK_VNODE_ATTR, "vnode.attr_lock", LOCK_ALONE)                                            \
	X(LOCK_VNODE_TABLE, "filesystem.table_lock", LOCK_ALONE)                                     \
	X(LOCK_DENTRY, "all names", LOCK_ALONE)                                                      \
	X(LOCK_PAGE_CACHE, "the page cache", LOCK_ALONE)                                             \
	X(LOCK_READ_AHEAD, "what is to be read ahead", LOCK_ALONE)                                   \
	X(LOCK_RAMFS_NODE, "ramfs_node.meta_lock", LOCK_ALONE)                                       \
	X(LOCK_INOTIFY, "all watches of inotify", LOCK_ALONE)                                        \
	X(LOCK_ANON_FILE, "an eventfd or timerfd", LOCK_ALONE)                                       \
	X(LOCK_FILE_WATCH, "file.watch_lock", LOCK_ALONE)                                            \
	X(LOCK_POLL_DETACH, "who watches which poll queue", LOCK_ALONE)                              \
	/* A file's, then those of the epoll sets that watch it. */                                  \
	X(LOCK_POLL, "poll_queue.lock", LOCK_NESTS)                                                  \
	X(LOCK_EPOLL_READY, "epoll.ready_lock", LOCK_ALONE)                                          \
	X(LOCK_UNIX_DROP, "descriptors in flight that go", LOCK_ALONE)                               \
	X(LOCK_STATISTICS, "figures of /proc", LOCK_ALONE)                                           \
	X(LOCK_KEPT, "the pool of kept images", LOCK_ALONE)                                          \
	X(LOCK_ZONE, "addresses of programs", LOCK_ALONE)                                            \
	X(LOCK_TIMER, "the queue of timers", LOCK_ALONE)                                             \
	X(LOCK_FAMILY, "whose turn it is in a family", LOCK_ALONE)                                   \
	X(LOCK_WAITQ, "waitq.lock", LOCK_ALONE)                                                      \
	X(LOCK_MUTEX_GUARD, "the waiters of a mutex", LOCK_ALONE)                                    \
	X(LOCK_PATCH, "the table of call sites", LOCK_ALONE)                                         \
	X(LOCK_THREAD_START, "threads about to start", LOCK_ALONE)                                   \
	/* A size class, then the runs. */                                                           \
	X(LOCK_KMEM, "a class of kmalloc", LOCK_ALONE)                                               \
	X(LOCK_KMEM_RUNS, "runs of kernel pages", LOCK_ALONE)                                        \
	X(LOCK_RANDOM, "random numbers", LOCK_ALONE)                                                 \
	/* Tests' own locks: no order. */                                                            \
	X(LOCK_TEST, "a test's lock", LOCK_NESTS)

#define LOCK_RANK_NAME(rank, name, nesting) rank,
enum lock_rank {
	LOCK_RANK_NONE, /* a lock that nobody initialised */
	LOCK_RANKS(LOCK_RANK_NAME)
};
#undef LOCK_RANK_NAME

#ifdef OCCLUM_FREESTANDING
static inline void lock_order_check(enum lock_rank rank)
{
	(void)rank;
}
static inline void lock_order_push(enum lock_rank rank, const void *lock)
{
	(void)rank;
	(void)lock;
}
static inline void lock_order_pop(const void *lock)
{
	(void)lock;
}
static inline void lock_order_below_object(bool is_below)
{
	(void)is_below;
}
static inline void assert_may_sleep(void)
{
}
#else
#define HELD_MAX 32
struct held_locks {
	u32 count;
	bool is_below_object;
	struct {
		enum lock_rank rank;
		const void *lock;
	} locks[HELD_MAX];
};
/* What the current thread holds. Weak: where a thread of the kernel is none of the host's. */
struct held_locks *lock_order_held(void);

/* The current thread is about to wait for such a lock; has it; gives it up. */
void lock_order_check(enum lock_rank rank);
void lock_order_push(enum lock_rank rank, const void *lock);
void lock_order_pop(const void *lock);
/* From now on the current thread's LOCK_VNODE counts as LOCK_VNODE_BACKING; or no longer. */
void lock_order_below_object(bool is_below);
/* The current thread holds no spinlock. */
void assert_may_sleep(void);
#endif
