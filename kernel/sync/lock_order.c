// SPDX-License-Identifier: Apache-2.0
/*
 * What each thread of a host build holds, and whether the next lock may be taken. An order that is
 * wrong is found the first time that a thread goes through it, alone: no second thread and no
 * unlucky moment are needed.
 */
#include "kernel/sync/lock_order.h"

#ifndef OCCLUM_FREESTANDING
#include "kernel/core/panic.h"

#define NAME_OF(rank, name, nesting)	[rank] = (name),
#define NESTING_OF(rank, name, nesting) [rank] = (nesting),

static const char *const names[] = {[LOCK_RANK_NONE] = "a lock without a rank",
				    LOCK_RANKS(NAME_OF)};
static const u8 nestings[] = {LOCK_RANKS(NESTING_OF)};

__attribute__((weak)) struct held_locks *lock_order_held(void)
{
	static __thread struct held_locks held;

	return &held;
}

static enum lock_rank here(enum lock_rank rank)
{
	return rank == LOCK_VNODE && lock_order_held()->is_below_object ? LOCK_VNODE_BACKING : rank;
}

void lock_order_below_object(bool is_below)
{
	lock_order_held()->is_below_object = is_below;
}

void lock_order_check(enum lock_rank rank)
{
	const struct held_locks *held = lock_order_held();

	rank = here(rank);
	if (rank == LOCK_RANK_NONE)
		panic("lock order: a lock was never initialised");
	if (rank == LOCK_TEST)
		return;
	for (u32 i = 0; i < held->count; i++) {
		enum lock_rank other = held->locks[i].rank;

		if (other > rank && other != LOCK_TEST)
			panic("lock order: '%s' is taken while '%s' is held", names[rank],
			      names[other]);
		if (other == rank && nestings[rank] != LOCK_NESTS)
			panic("lock order: a second '%s' is taken while one is held", names[rank]);
	}
}

void lock_order_push(enum lock_rank rank, const void *lock)
{
	struct held_locks *held = lock_order_held();

	BUG_ON(held->count == HELD_MAX);
	held->locks[held->count].rank = here(rank);
	held->locks[held->count++].lock = lock;
}

void lock_order_pop(const void *lock)
{
	struct held_locks *held = lock_order_held();

	for (u32 i = held->count; i-- > 0;) {
		if (held->locks[i].lock != lock)
			continue;
		for (held->count--; i < held->count; i++)
			held->locks[i] = held->locks[i + 1];
		return;
	}
	panic("lock order: a lock is released by a thread that does not hold it");
}

void assert_may_sleep(void)
{
	const struct held_locks *held = lock_order_held();

	for (u32 i = 0; i < held->count; i++)
		if (held->locks[i].rank > LOCK_SPIN_FIRST && held->locks[i].rank != LOCK_TEST)
			panic("a thread may sleep while it holds the spinlock of '%s'",
			      names[held->locks[i].rank]);
}
#endif
