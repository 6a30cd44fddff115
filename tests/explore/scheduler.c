// SPDX-License-Identifier: Apache-2.0
/*
 * Fibers: threads of the kernel that take turns on one host thread, and who of them could go on.
 * Which one does is the search's choice.
 *
 * Time is virtual and stands still; it passes when nobody can run otherwise (which most cases count
 * as a lost wake-up), or early, for one that waits for it, at the price of a preemption: the host
 * may let any time pass between two steps.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/explore/scheduler_priv.h"

#define STACK_SIZE KIB(128)

struct fiber *current;
u64 steps, progress;
static struct fiber fibers[FIBERS_MAX];
static ucontext_t outside;
static u64 now;

u64 hash_mix(u64 a, u64 b)
{
	a ^= b + 0x9e3779b97f4a7c15ull + (a << 6) + (a >> 2);
	a ^= a >> 32;
	a *= 0xd6e8feb86659fd93ull;
	a ^= a >> 29;
	return a;
}

/* --- who may run --- */

u64 state_of_all(void)
{
	u64 hash = now;

	for (u32 i = 0; i < FIBERS_MAX; i++)
		if (fibers[i].state)
			hash += hash_mix(i + 1, fibers[i].history);
	return hash;
}

bool fiber_is_ready(struct fiber *f)
{
	switch (f->state) {
	case READY: return true;
	case WAITING: return f->can_go(f->arg);
	case YIELDED: return f->yielded_at != progress;
	default: return false;
	}
}

void fiber_switch_to(struct fiber *f)
{
	struct fiber *from = current;

	f->state = READY;
	current = f;
	if (from == f)
		return;
	if (from)
		swapcontext(&from->context, &f->context);
	else
		swapcontext(&outside, &f->context);
}

void time_passes(struct fiber *f)
{
	f->timed_out = true;
	now = MAX(now, f->deadline);
	f->history = hash_mix(f->history, now);
}

/* Who could run now instead of the current fiber; those first for whom no time has to pass. */
u32 candidates(struct candidate ret[2 * FIBERS_MAX], bool with_time)
{
	u32 count = 0, first = current ? current->id : 0;

	for (u32 i = 1; i <= FIBERS_MAX; i++) {
		struct fiber *f = &fibers[(first + i) % FIBERS_MAX];

		if (f != current && fiber_is_ready(f))
			ret[count++] = (struct candidate){f, false};
	}
	for (u32 i = 1; with_time && i <= FIBERS_MAX; i++) {
		struct fiber *f = &fibers[(first + i) % FIBERS_MAX];

		if (f != current && f->state == WAITING && f->deadline != NO_DEADLINE &&
		    !fiber_is_ready(f))
			ret[count++] = (struct candidate){f, true};
	}
	return count;
}

static void all_have_ended(void) __noreturn;
static void all_have_ended(void)
{
	current = NULL;
	setcontext(&outside);
	abort();
}

/* Nobody can run. Time passes for the first that waits for it. */
struct fiber *next_deadline(bool time_may_pass)
{
	struct fiber *first = NULL;
	bool any = false;

	for (u32 i = 0; i < FIBERS_MAX; i++) {
		struct fiber *f = &fibers[i];

		any |= f->state == WAITING || f->state == YIELDED;
		if (f->state == WAITING && f->deadline != NO_DEADLINE &&
		    (!first || f->deadline < first->deadline))
			first = f;
	}
	if (!any)
		all_have_ended();
	if (!first)
		explore_fail("deadlock: nobody can run");
	if (!time_may_pass)
		explore_fail("a wake-up is lost: nobody can run before time has passed");
	return first;
}

/* --- their lives --- */

static void fiber_main(void)
{
	current->main(current->main_arg);
	fiber_end();
}

struct fiber *fiber_new(void (*main)(void *arg), void *arg)
{
	struct fiber *f = fibers;
	u8 *stack;

	while (f < fibers + FIBERS_MAX && f->state != FREE)
		f++;
	/* An ended one's place, where there is no other: its past stays in what it has touched. */
	for (u32 i = 0; f == fibers + FIBERS_MAX && i < FIBERS_MAX; i++) {
		if (fibers[i].state == ENDED && &fibers[i] != current)
			f = &fibers[i];
	}
	if (f == fibers + FIBERS_MAX)
		explore_fail("too many threads");
	stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED || mprotect(stack, PAGE_SIZE, PROT_NONE))
		abort();
	*f = (struct fiber){.id = (u32)(f - fibers),
			    .state = READY,
			    .main = main,
			    .main_arg = arg,
			    .deadline = NO_DEADLINE,
			    .history = current ? hash_mix(current->history, 3) : 0};
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = stack;
	f->context.uc_stack.ss_size = STACK_SIZE;
	f->context.uc_link = NULL;
	makecontext(&f->context, fiber_main, 0);
	return f;
}

struct fiber *fiber_current(void)
{
	return current;
}

void fiber_set_arg(struct fiber *f, void *arg)
{
	f->main_arg = arg;
}

u32 fiber_id(const struct fiber *f)
{
	return f->id;
}

void fiber_end(void)
{
	current->state = ENDED;
	progress++;
	search_reschedule();
	abort();
}

bool fiber_wait(bool (*can_go)(void *arg), void *arg, u64 deadline)
{
	current->can_go = can_go;
	current->arg = arg;
	current->deadline = deadline;
	current->timed_out = false;
	current->state = WAITING;
	search_reschedule();
	current->deadline = NO_DEADLINE;
	return current->timed_out;
}

void fiber_yield(void)
{
	current->yielded_at = progress;
	current->state = YIELDED;
	search_reschedule();
}

u64 explore_now(void)
{
	return now;
}
