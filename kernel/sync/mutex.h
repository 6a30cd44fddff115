/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleeping locks. Not recursive. A waiter sleeps in the host (uninterruptibly: kills wait). The
 * order of locks is one list: kernel/sync/lock_order.h.
 */
#pragma once

#include "kernel/sync/spinlock.h"
#include "lib/base/list.h"

struct thread;

struct mutex {
	u32 state; /* 0 free, 1 held, 2 held with waiters */
#ifndef OCCLUM_FREESTANDING
	enum lock_rank rank;
#endif
	struct spinlock guard;
	struct list_node waiters; /* guard */
};

#ifdef OCCLUM_FREESTANDING
#define MUTEX_RANK(r)
#else
#define MUTEX_RANK(r) .rank = (r),
#endif

/* Of the static mutex `name`. */
#define MUTEX_INIT(name, r)                                                                        \
	{                                                                                          \
		MUTEX_RANK(r).guard = SPINLOCK_INIT(LOCK_MUTEX_GUARD),                             \
		.waiters = LIST_INIT((name).waiters)                                               \
	}

void mutex_init(struct mutex *m, enum lock_rank rank);
void mutex_lock(struct mutex *m);
/*
 * The same without giving up the turn of the address space (kernel/mm/turn.h): for a lock whose
 * holders wait for nothing while they have it, taken in the middle of a change that relatives
 * must not find half done.
 */
void mutex_lock_inside(struct mutex *m);
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);

/* Many readers or one writer; writers are preferred. */
struct rwlock {
#ifndef OCCLUM_FREESTANDING
	enum lock_rank rank;
#endif
	struct spinlock guard;
	u32 readers;		  /* guard */
	bool writer;		  /* guard */
	u32 writers_waiting;	  /* guard */
	struct list_node waiters; /* guard */
};

void rwlock_init(struct rwlock *l, enum lock_rank rank);
void rwlock_read_lock(struct rwlock *l);
void rwlock_read_unlock(struct rwlock *l);
void rwlock_write_lock(struct rwlock *l);
void rwlock_write_unlock(struct rwlock *l);
