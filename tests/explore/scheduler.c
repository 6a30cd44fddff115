// SPDX-License-Identifier: Apache-2.0
/*
 * Fibers, and the search over the ways in which they can be interleaved.
 *
 * The search is Musuvathi's and Qadeer's: without a preemption a fiber runs until it waits or ends,
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
 *
 * Time is virtual and stands still; it passes when nobody can run otherwise (which most cases count
 * as a lost wake-up), or early, for one that waits for it, at the price of a preemption: the host
 * may let any time pass between two steps.
 */
#define _GNU_SOURCE /* names of registers */
#include "tests/explore/scheduler.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_SIZE	 KIB(128)
#define DEVIATIONS_MAX	 4096
#define DEVIATIONS_SHOWN 60
#define STEPS_MAX	 400000
#define PLACES		 (1u << 13)
#define VISITED		 (1u << 23)
#define LEARNING_RUNS	 200
#define RUN_SECONDS	 20

enum state {
	FREE,
	READY,
	WAITING,
	YIELDED,
	ENDED,
};

struct fiber {
	u32 id;
	enum state state;
	bool (*can_go)(void *arg);
	void *arg;
	void (*main)(void *arg);
	void *main_arg;
	u64 deadline;
	bool timed_out;
	u64 yielded_at; /* progress */
	u64 history;
	ucontext_t context;
};

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
	bool has_failed;
	char failure[2048];
	struct place places[PLACES];
	u64 visited_count;
	__attribute__((aligned(4096)))
	u64 visited[VISITED]; /* hash, in the lowest two bits preemptions left + 1 */
} * shared;

struct choice {
	u64 step;
	u32 fiber;
	bool timed;
};

/* Of this run. */
static struct fiber fibers[FIBERS_MAX];
static struct fiber *current;
static ucontext_t outside;
static struct search search;
static void (*finish)(void);
static u64 steps, points, progress, now, random_state;
static u32 budget;
static bool learning;
static struct choice deviations[DEVIATIONS_MAX];
static u32 deviation_count, replayed;
/* Of each shared place: what was written last, and who has read it since. */
static u64 written[PLACES], read_since[PLACES];

static u64 mix(u64 a, u64 b)
{
	a ^= b + 0x9e3779b97f4a7c15ull + (a << 6) + (a >> 2);
	a ^= a >> 32;
	a *= 0xd6e8feb86659fd93ull;
	a ^= a >> 29;
	return a;
}

static u64 random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* --- failures --- */

static void print_schedule(char *to, size_t size)
{
	size_t len = 0;
	u32 shown = MIN(deviation_count, (u32)DEVIATIONS_SHOWN);

	to[0] = '\0';
	for (u32 i = 0; i < shown && len + 32 < size; i++)
		len += (size_t)snprintf(to + len, size - len, "%s%llu:%u%s", i ? "," : "",
					(unsigned long long)deviations[i].step, deviations[i].fiber,
					deviations[i].timed ? "t" : "");
	if (shown < deviation_count && len + 4 < size)
		snprintf(to + len, size - len, "...");
}

void explore_fail(const char *format, ...)
{
	char schedule[1024], what[768];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	print_schedule(schedule, sizeof(schedule));
	if (!shared->has_failed)
		snprintf(shared->failure, sizeof(shared->failure),
			 "%s; fiber %d, step %llu; schedule '%s'", what,
			 current ? (int)current->id : -1, (unsigned long long)steps, schedule);
	shared->has_failed = true;
	_exit(1);
}

static bool (*fault_handler)(u64 rip, u64 *ret_resume);

void explore_on_fault(bool (*handler)(u64 rip, u64 *ret_resume))
{
	fault_handler = handler;
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	greg_t *at = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP], rip = *at;
	u64 resume;

	if (signal == SIGSEGV && fault_handler && fault_handler((u64)rip, &resume)) {
		*at = (greg_t)resume;
		return;
	}
	if (signal == SIGVTALRM)
		explore_fail("a run of more than %d s, at %p", RUN_SECONDS, (void *)rip);
	explore_fail("signal %d for %p at %p", signal, info->si_addr, (void *)rip);
}

static void begin_process(void)
{
	const struct itimerval limit = {.it_value.tv_sec = RUN_SECONDS};

	setitimer(ITIMER_VIRTUAL, &limit, NULL);
}

static void catch_signals(void)
{
	static u8 stack[32768];
	const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	const struct sigaction act = {.sa_sigaction = on_signal,
				      .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
	sigaction(SIGILL, &act, NULL);
	sigaction(SIGFPE, &act, NULL);
	sigaction(SIGABRT, &act, NULL);
	sigaction(SIGVTALRM, &act, NULL);
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
		begin_process();
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

static u64 state_of_all(void)
{
	u64 hash = now;

	for (u32 i = 0; i < FIBERS_MAX; i++)
		if (fibers[i].state)
			hash += mix(i + 1, fibers[i].history);
	return hash;
}

/*
 * The state in which `next` goes on was left before with as much to spend. Else it counts from now.
 */
static bool was_visited(u32 next, bool remember)
{
	u64 hash = mix(state_of_all(), next) & ~3ull, i = hash >> 8;

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

/* --- who may run --- */

static bool is_ready(struct fiber *f)
{
	switch (f->state) {
	case READY: return true;
	case WAITING: return f->can_go(f->arg);
	case YIELDED: return f->yielded_at != progress;
	default: return false;
	}
}

static void switch_to(struct fiber *f)
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

static void deviate(struct fiber *f, bool timed)
{
	if (deviation_count == DEVIATIONS_MAX)
		explore_fail("too many choices");
	deviations[deviation_count++] =
		(struct choice){.step = steps, .fiber = f->id, .timed = timed};
}

static void time_passes(struct fiber *f)
{
	f->timed_out = true;
	now = MAX(now, f->deadline);
	f->history = mix(f->history, now);
}

static void go(struct fiber *f, bool timed, bool is_deviation)
{
	if (is_deviation)
		deviate(f, timed);
	if (timed)
		time_passes(f);
	switch_to(f);
}

struct candidate {
	struct fiber *f;
	bool timed;
};

/* Who could run now instead of the current fiber; those first for whom no time has to pass. */
static u32 candidates(struct candidate ret[2 * FIBERS_MAX], bool with_time)
{
	u32 count = 0, first = current ? current->id : 0;

	for (u32 i = 1; i <= FIBERS_MAX; i++) {
		struct fiber *f = &fibers[(first + i) % FIBERS_MAX];

		if (f != current && is_ready(f))
			ret[count++] = (struct candidate){f, false};
	}
	for (u32 i = 1; with_time && i <= FIBERS_MAX; i++) {
		struct fiber *f = &fibers[(first + i) % FIBERS_MAX];

		if (f != current && f->state == WAITING && f->deadline != NO_DEADLINE &&
		    !is_ready(f))
			ret[count++] = (struct candidate){f, true};
	}
	return count;
}

/* Replaying: the choice that the schedule has for this step, or NULL. */
static struct candidate *replay(struct candidate *c, u32 count)
{
	static struct choice next;
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
		replayed++;
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

static void all_have_ended(void) __noreturn;
static void all_have_ended(void)
{
	current = NULL;
	setcontext(&outside);
	abort();
}

/* Nobody can run. Time passes for the first that waits for it. */
static struct fiber *next_deadline(void)
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
	if (!search.time_may_pass)
		explore_fail("a wake-up is lost: nobody can run before time has passed");
	return first;
}

/* The current fiber cannot go on (unless it can by now). */
static void reschedule(void)
{
	struct candidate c[2 * FIBERS_MAX], *picked = &c[0];
	u32 count, free_count;

	steps++;
	if (steps > STEPS_MAX)
		explore_fail("does not end");
	free_count = candidates(c, false);
	if (is_ready(current))
		c[free_count++] = (struct candidate){current, false};
	if (!free_count) {
		struct fiber *f = next_deadline();

		go(f, true, false);
		return;
	}
	if (search.schedule) {
		count = candidates(c, true);
		if (is_ready(current))
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
	u32 i = (u32)(mix(address, 1) >> 20);

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
		current->history = mix(mix(current->history, written[p->index]),
				       read_since[p->index] ^ (u64)at);
		written[p->index] = current->history;
		read_since[p->index] = 0;
	} else {
		current->history = mix(mix(current->history, written[p->index]), (u64)at);
		read_since[p->index] += mix(current->history, 2);
	}
}

/* --- fibers --- */

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
			    .history = current ? mix(current->history, 3) : 0};
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
	reschedule();
	abort();
}

bool fiber_wait(bool (*can_go)(void *arg), void *arg, u64 deadline)
{
	current->can_go = can_go;
	current->arg = arg;
	current->deadline = deadline;
	current->timed_out = false;
	current->state = WAITING;
	reschedule();
	current->deadline = NO_DEADLINE;
	return current->timed_out;
}

void fiber_yield(void)
{
	current->yielded_at = progress;
	current->state = YIELDED;
	reschedule();
}

u64 explore_now(void)
{
	return now;
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
		switch_to(c[0].f);
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
		begin_process();
		run();
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		abort();
	if (WIFSIGNALED(status) && !shared->has_failed) {
		shared->has_failed = true;
		snprintf(shared->failure, sizeof(shared->failure), "killed by signal %d",
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
		random_state = mix(search.seed, 77) | 1;
		(void)run_in_child(run_all);
		return;
	}
	learning = true;
	for (u32 i = 1; i <= LEARNING_RUNS && !shared->has_failed; i++) {
		random_state = mix(i, 5) | 1;
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
	catch_signals();
	leave_files();
	(void)run_in_child(set_up_and_search);
	*ret = (struct search_result){.schedules = shared->schedules,
				      .same = shared->same,
				      .points = shared->points,
				      .preempted = shared->preempted,
				      .is_complete = !shared->is_full && !shared->has_failed};
	if (shared->has_failed)
		memcpy(ret->failure, shared->failure, sizeof(ret->failure));
	munmap(shared, sizeof(*shared));
}
