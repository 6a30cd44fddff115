/* SPDX-License-Identifier: Apache-2.0 */
/* What the scheduler's parts share: the fibers, one run's clock, and the choices it has made. */
#pragma once

#include <ucontext.h>

#include "tests/explore/scheduler.h"

#define STEPS_MAX 400000

enum fiber_state {
	FREE,
	READY,
	WAITING,
	YIELDED,
	ENDED,
};

struct fiber {
	u32 id;
	enum fiber_state state;
	bool (*can_go)(void *arg);
	void *arg;
	void (*main)(void *arg);
	void *main_arg;
	u64 deadline;
	bool timed_out;
	u64 yielded_at; /* progress */
	u64 history;	/* hash of what it has done and seen */
	ucontext_t context;
};

/* --- scheduler.c --- */

/* Of this run. */
extern struct fiber *current;
extern u64 steps;    /* taken so far: names a point of a schedule */
extern u64 progress; /* changes whenever a fiber has done something */

u64 hash_mix(u64 a, u64 b);
/* The state that all fibers are in, as far as their histories tell. */
u64 state_of_all(void);

bool fiber_is_ready(struct fiber *f);
/* From the current fiber, or from outside; returns when somebody switches back. */
void fiber_switch_to(struct fiber *f);
/* It is `f`'s deadline now. */
void time_passes(struct fiber *f);
/* The one whose deadline is first, when nobody is ready. All have ended: does not return. */
struct fiber *next_deadline(bool time_may_pass);

struct candidate {
	struct fiber *f;
	bool timed;
};

/* Who could run now instead of the current fiber; those first for whom no time has to pass. */
u32 candidates(struct candidate ret[2 * FIBERS_MAX], bool with_time);

/* --- search.c --- */

/* The current fiber cannot go on (unless it can by now): chooses who does. */
void search_reschedule(void);

/* --- failure.c --- */

/* At this step the run went another way than the first one at hand. */
void schedule_note(u32 fiber, bool timed);

/* Where this run's failure is put down, in shared memory: the first one stays. */
struct failure {
	bool is_there;
	char text[2048];
};

void failure_begin(struct failure *f);
/* In each process of a search: a bound on its time. */
void failure_watch_process(void);
