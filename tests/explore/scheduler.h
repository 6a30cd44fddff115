/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A deterministic scheduler: threads of the kernel are fibers of one host thread, and one of them
 * runs until it comes to a point where another could run instead (points.h, host calls, steps of
 * programs). What happens there is chosen by a search, at random, or by a schedule that was
 * printed.
 */
#pragma once

#include "lib/base/types.h"
#include "tests/explore/points.h"

#define FIBERS_MAX  16
#define NO_DEADLINE UINT64_MAX

struct fiber;

/* How the choices of a run are made. */
struct search {
	u32 preemptions;      /* at most so many switches away from a fiber that could go on */
	u64 seed;	      /* not 0: at random instead of all */
	const char *schedule; /* not NULL: these and nothing else */
	bool time_may_pass;   /* it is no error that nobody can run before some time is over */
	u64 schedules_max;    /* 0: all */
};

struct search_result {
	u64 schedules; /* that came to an end */
	u64 same;      /* given up where an earlier one had been in the same state */
	u64 points;    /* of the longest run at which somebody else might have run */
	u64 preempted;
	bool is_complete;
	char failure[2048]; /* empty: none; says what, and the schedule */
};

/*
 * setup() makes the first fibers; when all have ended, finish() looks at what is left. Each run is
 * a process of its own, forked where two ways part, so nothing is carried over.
 */
void search_run(const struct search *s, void (*setup)(void), void (*finish)(void),
		struct search_result *ret);

/* --- of a run --- */

/* This run has shown a fault. Ends it. */
void explore_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

struct fiber *fiber_new(void (*main)(void *arg), void *arg);
struct fiber *fiber_current(void); /* NULL: setup or finish */
void fiber_set_arg(struct fiber *f, void *arg);
u32 fiber_id(const struct fiber *f);
void fiber_end(void) __noreturn;
/* Waits until can_go(arg), or virtual time reaches the deadline: true. */
bool fiber_wait(bool (*can_go)(void *arg), void *arg, u64 deadline);
/* Nothing to do before somebody else has done something. */
void fiber_yield(void);

/* A fault at `rip` is none when this says so: it goes on elsewhere. */
void explore_on_fault(bool (*handler)(u64 rip, u64 *ret_resume));

u64 explore_now(void); /* virtual nanoseconds */
