// SPDX-License-Identifier: Apache-2.0
/*
 * The search over the ways in which fibers can be interleaved.
 *
 * It is Musuvathi's and Qadeer's: without a preemption a fiber runs until it waits or ends,
 * every choice of who goes on then is tried, and so is every placing of up to N preemptions. Where
 * two ways part the process forks: the child takes the other way to its end, the parent waits and
 * then goes on with its own. What the runs have in common lies in shared memory.
 *
 * Two reductions, neither of which loses a state:
 *   - A place that only one fiber ever touches is none. Which are shared is learnt from runs at random
 *     first; when the search finds another, it starts over with it.
 *   - A run's history is the order in which fibers touched each shared place, not the order of all
 *     touches. Its hash names the state; where a run comes into one that was left before with as many
 *     preemptions to spend, it ends.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/explore/scheduler_priv.h"

#define PLACES	      (1u << 13)
#define VISITED	      (1u << 23)
#define LEARNING_RUNS 200

struct place {
	u64 address;
	u32 fibers; /* bits */
	u32 index;
};

/* Between all runs of a search. */
static struct shared {
	u64 schedules, same, points, preempted;
	u32 place_count;
	bool has_grown, is_full;
	struct failure failure;
	struct place places[PLACES];
	u64 visited_count;
	__attribute__((aligned(4096)))
	u64 visited[VISITED]; /* hash, in the lowest two bits preemptions left + 1 */
} * shared;

/* Of this run. */
static struct search search;
static void (*finish)(void);
static u64 points, random_state;
static u32 budget;
static bool learning;
/* Of each shared place: what was written last, and who has read it since. */
static u64 written[PLACES], read_since[PLACES];

static u64 random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* --- forking --- */

/* True in the child, which explores another way; false in the parent, when that is done. */
static bool fork_way(void)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		explore_fail("fork");
	if (!child) {
		failure_watch_process();
		return true;
	}
	while (waitpid(child, &status, 0) != child)
		;
	if (WIFSIGNALED(status))
		explore_fail("killed by signal %d on a way from here", WTERMSIG(status));
	if (WEXITSTATUS(status))
		_exit(1);
	if (search.schedules_max && shared->schedules >= search.schedules_max) {
		shared->is_full = true;
		_exit(0);
	}
	return false;
}

static void end_run(bool is_same) __noreturn;
static void end_run(bool is_same)
{
	if (is_same)
		shared->same++;
	else
		shared->schedules++;
	shared->points = MAX(shared->points, points);
	_exit(0);
}

/* --- states --- */

/*
 * The state in which `next` goes on was left before with as much to spend. Else it counts from now.
 */
static bool was_visited(u32 next, bool remember)
{
	u64 hash = hash_mix(state_of_all(), next) & ~3ull, i = hash >> 8;

	for (u32 tries = 0; tries < 64; tries++, i++) {
		u64 *slot = &shared->visited[i % VISITED];

		if (!*slot) {
			if (remember && shared->visited_count < VISITED / 2) {
				*slot = hash | (budget + 1);
				shared->visited_count++;
			}
			return false;
		}
		if ((*slot & ~3ull) != hash)
			continue;
		if ((*slot & 3) >= budget + 1)
			return true;
		if (remember)
			*slot = hash | (budget + 1);
		return false;
	}
	return false;
}

/* --- who goes on --- */

static void go(struct fiber *f, bool timed, bool is_deviation)
{
	if (is_deviation)
		schedule_note(f->id, timed);
	if (timed)
		time_passes(f);
	fiber_switch_to(f);
}

/* Replaying: the choice that the schedule has for this step, or NULL. */
static struct candidate *replay(struct candidate *c, u32 count)
{
	static struct {
		u64 step;
		u32 fiber;
		bool timed;
	} next;
	static const char *at;
	char *end;

	if (!at) {
		at = search.schedule;
		next.step = UINT64_MAX;
	}
	if (next.step == UINT64_MAX && *at) {
		next.step = strtoull(at, &end, 10);
		next.fiber = *end == ':' ? (u32)strtoul(end + 1, &end, 10) : 0;
		next.timed = *end == 't';
		at = end + next.timed;
		at += *at == ',';
	}
	if (next.step != steps)
		return NULL;
	next.step = UINT64_MAX;
	for (u32 i = 0; i < count; i++)
		if (c[i].f->id == next.fiber && c[i].timed == next.timed)
			return &c[i];
	explore_fail("the schedule does not fit: at step %llu fiber %u cannot run",
		     (unsigned long long)steps, next.fiber);
}

static struct candidate *pick_at_random(struct candidate *c, u32 count)
{
	struct candidate *picked = &c[random_next() % count];

	/* Time that passes early is one thing among many. */
	return picked->timed && random_next() % 4 ? NULL : picked;
}

/* A point that others could take the current fiber's place at. */
static void maybe_preempt(void)
{
	struct candidate c[2 * FIBERS_MAX], *picked = NULL;
	u32 count;

	points++;
	if (learning || search.seed) {
		if (random_next() % 16)
			return;
		count = candidates(c, true);
		if (count)
			picked = pick_at_random(c, count);
		if (picked)
			go(picked->f, picked->timed, true);
		return;
	}
	if (search.schedule) {
		count = candidates(c, true);
		picked = replay(c, count);
		if (picked)
			go(picked->f, picked->timed, true);
		return;
	}
	/*
	 * With nothing to spend a state is only looked up to end sooner, and what two runs have in
	 * common they have at all later points: a few are enough.
	 */
	if ((budget || state_of_all() % 4 == 0) && was_visited(current->id, true))
		end_run(true);
	count = budget ? candidates(c, true) : 0;
	for (u32 i = 0; i < count; i++) {
		budget--;
		if (was_visited(c[i].f->id, false) && !c[i].timed) {
			budget++;
			continue;
		}
		if (fork_way()) {
			shared->preempted++;
			go(c[i].f, c[i].timed, true);
			return;
		}
		budget++;
	}
}

/* The current fiber cannot go on (unless it can by now). */
void search_reschedule(void)
{
	struct candidate c[2 * FIBERS_MAX], *picked = &c[0];
	u32 count, free_count;

	steps++;
	if (steps > STEPS_MAX)
		explore_fail("does not end");
	free_count = candidates(c, false);
	if (fiber_is_ready(current))
		c[free_count++] = (struct candidate){current, false};
	if (!free_count) {
		struct fiber *f = next_deadline(search.time_may_pass);

		go(f, true, false);
		return;
	}
	if (search.schedule) {
		count = candidates(c, true);
		if (fiber_is_ready(current))
			c[count++] = (struct candidate){current, false};
		picked = replay(c, count);
		if (!picked)
			picked = &c[0];
		go(picked->f, picked->timed, picked != &c[0]);
		return;
	}
	if (learning || search.seed) {
		picked = &c[random_next() % free_count];
		go(picked->f, false, picked != &c[0]);
		return;
	}
	for (u32 i = 1; i < free_count; i++) {
		if (was_visited(c[i].f->id, false))
			continue;
		if (fork_way()) {
			go(c[i].f, false, true);
			return;
		}
	}
	/* The time of another one may be over just as well. */
	count = budget ? candidates(c, true) : 0;
	for (u32 i = 0; i < count; i++) {
		if (!c[i].timed)
			continue;
		budget--;
		if (fork_way()) {
			shared->preempted++;
			go(c[i].f, true, true);
			return;
		}
		budget++;
	}
	go(c[0].f, false, false);
}

/* --- places --- */

static struct place *place_of(u64 address)
{
	u32 i = (u32)(hash_mix(address, 1) >> 20);

	for (;; i++) {
		struct place *p = &shared->places[i % PLACES];

		if (p->address == address)
			return p;
		if (p->address)
			continue;
		if (shared->place_count == PLACES / 2)
			explore_fail("too many places");
		p->address = address;
		p->index = shared->place_count++;
		return p;
	}
}

void explore_point(const volatile void *at, int kind)
{
	struct place *p;
	u32 bit;

	if (!current || (kind & POINT_IGNORE))
		return;
	steps++;
	progress++;
	if (steps > STEPS_MAX)
		explore_fail("does not end");
	p = place_of((u64)at);
	bit = 1u << current->id;
	if (!(p->fibers & bit)) {
		if (p->fibers && !(p->fibers & (p->fibers - 1)))
			shared->has_grown = true;
		p->fibers |= bit;
	}
	/* A schedule names steps that the search has learnt are shared. */
	if (!(p->fibers & (p->fibers - 1)) && !search.schedule)
		return;
	if (!(kind & POINT_QUIET))
		maybe_preempt();
	if (kind & POINT_WRITE) {
		current->history = hash_mix(hash_mix(current->history, written[p->index]),
					    read_since[p->index] ^ (u64)at);
		written[p->index] = current->history;
		read_since[p->index] = 0;
	} else {
		current->history = hash_mix(hash_mix(current->history, written[p->index]), (u64)at);
		read_since[p->index] += hash_mix(current->history, 2);
	}
}

/* --- the search --- */

/*
 * What is mapped from files is mapped anew, page fault by page fault, in every process that forks;
 * copies of it in plain memory are not. That is half of the time of a short run.
 */
static void leave_files(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	struct {
		u64 start, end;
		int prot;
	} ranges[64];
	char line[512];
	u32 count = 0;

	while (maps && count < 64 && fgets(line, sizeof(line), maps)) {
		unsigned long start, end, inode;
		char prot[5];

		if (sscanf(line, "%lx-%lx %4s %*x %*s %lu", &start, &end, prot, &inode) != 4 ||
		    !inode || prot[0] != 'r' || prot[1] == 'w' || prot[3] != 'p')
			continue;
		ranges[count].start = start;
		ranges[count].end = end;
		ranges[count++].prot = PROT_READ | (prot[2] == 'x' ? PROT_EXEC : 0);
	}
	if (maps)
		fclose(maps);
	for (u32 i = 0; i < count; i++) {
		size_t size = ranges[i].end - ranges[i].start;
		void *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				  -1, 0);

		if (copy == MAP_FAILED)
			return;
		memcpy(copy, (const void *)ranges[i].start, size);
		if (mprotect(copy, size, ranges[i].prot) ||
		    mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
			   (void *)ranges[i].start) == MAP_FAILED)
			munmap(copy, size);
	}
}

static void run_all(void)
{
	struct candidate c[2 * FIBERS_MAX];

	if (candidates(c, false))
		fiber_switch_to(c[0].f);
	current = NULL;
	finish();
	end_run(false);
}

/* From a state of setup()'s, in a process of its own. */
static bool run_in_child(void (*run)(void))
{
	pid_t child = fork();
	int status;

	if (!child) {
		failure_watch_process();
		run();
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		abort();
	if (WIFSIGNALED(status) && !shared->failure.is_there) {
		shared->failure.is_there = true;
		snprintf(shared->failure.text, sizeof(shared->failure.text), "killed by signal %d",
			 WTERMSIG(status));
	}
	return !status;
}

static void reset_counts(void)
{
	shared->schedules = shared->same = shared->points = shared->preempted = 0;
	shared->has_grown = false;
	if (madvise(shared->visited, sizeof(shared->visited), MADV_REMOVE))
		abort();
	shared->visited_count = 0;
}

/* Over a state in which setup() has been called. */
static void search_from_here(void)
{
	if (search.schedule || search.seed) {
		random_state = hash_mix(search.seed, 77) | 1;
		(void)run_in_child(run_all);
		return;
	}
	learning = true;
	for (u32 i = 1; i <= LEARNING_RUNS && !shared->failure.is_there; i++) {
		random_state = hash_mix(i, 5) | 1;
		(void)run_in_child(run_all);
	}
	learning = false;
	budget = search.preemptions;
	do
		reset_counts();
	while (run_in_child(run_all) && shared->has_grown && !shared->is_full);
}

static void (*setup_of_run)(void);

static void set_up_and_search(void)
{
	setup_of_run();
	search_from_here();
}

void search_run(const struct search *s, void (*setup)(void), void (*finish_)(void),
		struct search_result *ret)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	search = *s;
	finish = finish_;
	setup_of_run = setup;
	failure_begin(&shared->failure);
	leave_files();
	(void)run_in_child(set_up_and_search);
	*ret = (struct search_result){.schedules = shared->schedules,
				      .same = shared->same,
				      .points = shared->points,
				      .preempted = shared->preempted,
				      .is_complete = !shared->is_full && !shared->failure.is_there};
	if (shared->failure.is_there)
		memcpy(ret->failure, shared->failure.text, sizeof(ret->failure));
	munmap(shared, sizeof(*shared));
}
