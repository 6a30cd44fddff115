// SPDX-License-Identifier: Apache-2.0
/*
 * Each fault stands at a call between two files of the kernel, which the linker leads here
 * (--wrap): the sources under test stay as they are.
 */
#include "tests/explore/faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/mm/family_priv.h"
#include "kernel/proc/proc_priv.h"
#include "kernel/sched/park.h"
#include "kernel/time/clock.h"
#include "kernel/vfs/poll.h"
#include "tests/explore/world.h"

const struct fault faults[] = {
	/* A thread that blocks keeps the turn. */
	{"blocks-inside", "fork-exit-wait", "nobody can run"},
	/* Who waits for the turn is not told that it is free: in the enclave the slice hides it. */
	{"turn-not-told", "fork-exit-wait", "nobody can run"},
	{"mutex-not-told", "two-threads-fork", "nobody can run"},
	/* The turn waits for a parent that never slept. */
	{"reserved-for-nobody", "fixed-vfork", "nobody can run"},
	/* Siblings run on while pages are copied. */
	{"siblings-not-stopped", "fork-with-sibling", ""},
	{"page-not-copied", "fork-exit-wait", "where it has written"},
	{"page-not-preserved", "fork-and-mappings", "where it has written"},
	/* A child that is given up before it ran takes its parent out of its turn. */
	{"discard-detaches-parent", "child-discarded", "a program runs"},
	/* Addresses are handed on while a thread copies to them. */
	{"copies-not-awaited", "munmap-during-read", "where it has written"},
	/* /proc reads without waiting for the turn. */
	{"no-borrowing", "look-while-forking", "another's bytes"},
	/* Who waits for a pipe is not told that something came, or that nothing will. */
	{"pipe-not-told", "fork-pipe", "nobody can run"},
	{"lock-order", "fork-exit-wait", "lock order"},
};
const u32 fault_count = ARRAY_SIZE(faults);

static const char *chosen = "";

void fault_set(const char *name)
{
	chosen = "";
	for (u32 i = 0; name && i < fault_count; i++)
		if (strcmp(faults[i].name, name) == 0)
			chosen = faults[i].name;
	if (name && !*chosen) {
		fprintf(stderr, "explore: there is no fault '%s'\n", name);
		exit(2);
	}
}

static bool is(const char *name)
{
	return strcmp(chosen, name) == 0;
}

#define WRAP(type, name, ...)                                                                      \
	type __real_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__)

WRAP(void, turn_pause, struct mm *mm)
{
	if (!is("blocks-inside"))
		__real_turn_pause(mm);
}

WRAP(void, turn_resume, struct mm *mm)
{
	if (!is("blocks-inside"))
		__real_turn_resume(mm);
}

WRAP(void, turn_leave_to_sibling, void)
{
	struct family *f = current_thread()->turn_mm->family;

	__real_turn_leave_to_sibling();
	if (is("reserved-for-nobody") && f)
		f->is_expected = true;
}

WRAP(void, thread_unpark, struct thread *t)
{
	struct mm *mm = t->turn_mm;

	if (is("turn-not-told") && mm && mm->family && mm->family->resident != mm)
		return;
	if (is("mutex-not-told") && mm && mm->lock.state == 0 && !list_is_empty(&mm->lock.waiters))
		return;
	__real_thread_unpark(t);
}

WRAP(void, turn_stop_siblings, struct mm *mm)
{
	if (!is("siblings-not-stopped"))
		__real_turn_stop_siblings(mm);
	world_copies(mm);
}

WRAP(u64, image_copy_page, struct family *f, u64 at)
{
	u64 copy = __real_image_copy_page(f, at);

	if (copy && is("page-not-copied"))
		memset((void *)copy, 0, PAGE_SIZE);
	return copy;
}

WRAP(int, family_preserve, struct mm *mm, u64 start, u64 end)
{
	return is("page-not-preserved") ? 0 : __real_family_preserve(mm, start, end);
}

WRAP(void, process_release_resources, struct process *p)
{
	struct mm *mm = p->mm;

	__real_process_release_resources(p);
	if (is("discard-detaches-parent") && mm && current_thread()->turn_mm == mm)
		turn_detach();
}

WRAP(bool, uaccess_is_busy, struct mm *mm, u64 epoch)
{
	return !is("copies-not-awaited") && __real_uaccess_is_busy(mm, epoch);
}

WRAP(bool, turn_borrow, struct mm *mm, struct mm **ret_own)
{
	return !is("no-borrowing") && __real_turn_borrow(mm, ret_own);
}

WRAP(void, pollq_wake, struct pollq *q, u32 events)
{
	if (!is("pipe-not-told"))
		__real_pollq_wake(q, events);
}

/* Of turn.c, below a family's lock. */
WRAP(u64, clock_monotonic_ns, void)
{
	if (is("lock-order")) {
		spin_lock(&process_tree_lock);
		spin_unlock(&process_tree_lock);
	}
	return __real_clock_monotonic_ns();
}
