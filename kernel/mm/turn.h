/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking turns. After fork() several address spaces (a family) use the same addresses, and the
 * pages of one of them are in place: it is resident. A thread that runs, in user mode or in the
 * kernel, counts as inside its address space; it is outside while it is parked. Only when nobody
 * is inside the resident one may another become it. docs/fork.md has the whole argument.
 *
 * An address space without a family has the counter and nothing else.
 */
#pragma once

#include "lib/base/types.h"

struct mm;
struct thread;

/* The current thread begins (ends) to run in mm: until turn_detach() it is inside unless parked. */
void turn_attach(struct mm *mm);
void turn_detach(void);

/*
 * The current thread is about to leave its address space and to wake another one there: relatives,
 * of which it may become one, do not have their turn in between.
 */
void turn_leave_to_sibling(void);

/*
 * Of thread_park(): the current thread, attached to mm, waits outside, and comes back in, which may
 * take other members' turns. No spinlock is held; any other lock may be.
 */
void turn_pause(struct mm *mm);
void turn_resume(struct mm *mm);

/*
 * The current thread, of a family, has loaded its program, which it began at `begin` (monotonic
 * ns): that belongs to what its turn costs, and is not part of it.
 */
void turn_image_loaded(u64 begin);

/* Others may want mm's turn: nobody inside spends time on waiting. */
bool turn_is_shared(const struct mm *mm);

/* On the way to user mode, after WORK_TURN: lets others have their turn if they wait for it. */
void turn_checkpoint(void);

/*
 * The current thread is about to read or write memory of mm: if that is not its own, and its pages
 * may be exchanged meanwhile, it is inside that one instead of its own until turn_return(*ret_own).
 * False: nothing to do.
 */
bool turn_borrow(struct mm *mm, struct mm **ret_own) __must_check;
void turn_return(struct mm *own);

/* For /proc: how often a family's turn has moved since boot, pages exchanged, and copies held. */
struct turn_counts {
	u64 forks, switches, pages_exchanged, pages_held;
};
void turn_counts(struct turn_counts *ret);
