// SPDX-License-Identifier: Apache-2.0
/*
 * explore: runs cases and prints how many schedules there were.
 *
 *   explore                        all cases, as ./check does it; then each seeded fault
 *   explore --long                 all of them with two preemptions, and more at random
 *   explore --long --case NAME     the same of one case
 *   explore --case NAME            one case; with
 *     --preemptions N              at most N (0 to 2)
 *     --seed N, --schedule S       one run, at random or as a failure has printed it
 *     --fault NAME                 the kernel with this fault put in
 *     --max N                      no more than about N schedules
 *   explore --faults               only the seeded faults
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/explore/cases.h"
#include "tests/explore/faults.h"
#include "tests/explore/machine.h"

#define PREEMPTIONS	 2
#define RANDOM_RUNS	 100
#define RANDOM_RUNS_LONG 5000
#define SCHEDULES_LONG	 200000 /* of one case */
#define SCHEDULES_FEW	 1000

static const struct test_case *current_case;

static void setup(void)
{
	machine_init();
	machine_start_kernel_thread(current_case->boot, NULL);
}

static const struct test_case *find_case(const char *name)
{
	for (u32 i = 0; i < test_case_count; i++)
		if (strcmp(test_cases[i].name, name) == 0)
			return &test_cases[i];
	fprintf(stderr, "explore: there is no case '%s'\n", name);
	exit(2);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Returns whether all is well. */
static bool explore_case(const struct test_case *c, struct search search)
{
	struct search_result r;
	double begin = seconds();

	current_case = c;
	search.time_may_pass = c->time_may_pass;
	search_run(&search, setup, machine_check_clean, &r);
	printf("%-28s %8llu schedules, %8llu led to known states, up to %llu points%s (%.1f s)\n",
	       c->name, (unsigned long long)r.schedules, (unsigned long long)r.same,
	       (unsigned long long)r.points,
	       search.seed || search.schedule ? ""
	       : r.is_complete		      ? ", all"
					      : ", NOT all",
	       seconds() - begin);
	if (r.failure[0])
		printf("FAILED %s: %s\n", c->name, r.failure);
	fflush(stdout);
	return !r.failure[0];
}

static bool explore_at_random(const struct test_case *c, u32 runs)
{
	struct search search = {.time_may_pass = c->time_may_pass};
	struct search_result r;
	double begin = seconds();

	current_case = c;
	for (u32 seed = 1; seed <= runs; seed++) {
		search.seed = seed;
		search_run(&search, setup, machine_check_clean, &r);
		if (r.failure[0]) {
			printf("FAILED %s, --seed %u: %s\n", c->name, seed, r.failure);
			return false;
		}
	}
	printf("%-28s %8u schedules at random (%.1f s)\n", c->name, runs, seconds() - begin);
	fflush(stdout);
	return true;
}

/* The explorer finds what is broken on purpose. */
static bool find_fault(const struct fault *f)
{
	struct search_result r = {0};
	double begin = seconds();

	current_case = find_case(f->in_case);
	fault_set(f->name);
	for (u32 n = 0; n <= PREEMPTIONS && !r.failure[0]; n++) {
		struct search search = {.preemptions = n,
					.time_may_pass = current_case->time_may_pass};

		search_run(&search, setup, machine_check_clean, &r);
	}
	fault_set(NULL);
	if (r.failure[0] && strstr(r.failure, f->shows))
		printf("found: %s, in %s (%.1f s): %s\n", f->name, f->in_case, seconds() - begin,
		       r.failure);
	else
		printf("FAILED: the fault %s is not found in %s (%llu schedules) %s\n", f->name,
		       f->in_case, (unsigned long long)r.schedules, r.failure);
	fflush(stdout);
	return r.failure[0] && strstr(r.failure, f->shows);
}

/* --- all of them, as many at a time as there are processors --- */

struct job {
	const struct test_case *c; /* NULL: a fault */
	const struct fault *fault;
	struct search search;
	u32 random_runs; /* instead of the search */
};

#define JOBS_MAX 128

static struct job jobs[JOBS_MAX];
static u32 job_count;

static void add_job(struct job job)
{
	if (job_count == JOBS_MAX)
		abort();
	jobs[job_count++] = job;
}

static bool run_job(const struct job *j)
{
	if (j->fault)
		return find_fault(j->fault);
	return j->random_runs ? explore_at_random(j->c, j->random_runs)
			      : explore_case(j->c, j->search);
}

static bool wait_for_one(void)
{
	int status;

	return wait(&status) > 0 && !status;
}

static int run_jobs(void)
{
	long at_once = MAX(sysconf(_SC_NPROCESSORS_ONLN), 1l), running = 0;
	bool ok = true;

	for (u32 i = 0; i < job_count; i++) {
		pid_t child = fork();

		if (child < 0)
			return 1;
		if (!child)
			exit(run_job(&jobs[i]) ? 0 : 1);
		if (++running < at_once)
			continue;
		ok &= wait_for_one();
		running--;
	}
	for (; running; running--)
		ok &= wait_for_one();
	printf("explore: %s\n", ok ? "ok" : "FAILED");
	return ok ? 0 : 1;
}

/* Of `only`, unless that is NULL. */
static void add_all(bool is_long, const struct test_case *only)
{
	const struct search all = {.preemptions = PREEMPTIONS,
				   .schedules_max = is_long ? SCHEDULES_LONG : 0},
			    fewer = {.preemptions = 1, .schedules_max = SCHEDULES_FEW};

	for (u32 i = 0; i < test_case_count; i++) {
		const struct test_case *c = &test_cases[i];

		if (only && c != only)
			continue;
		if (!c->is_large)
			add_job((struct job){.c = c,
					     .search = is_long || !c->only_long ? all : fewer});
		if (c->is_large || is_long)
			add_job((struct job){
				.c = c, .random_runs = is_long ? RANDOM_RUNS_LONG : RANDOM_RUNS});
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"case", required_argument, NULL, 'c'},
						{"preemptions", required_argument, NULL, 'p'},
						{"seed", required_argument, NULL, 's'},
						{"schedule", required_argument, NULL, 'r'},
						{"fault", required_argument, NULL, 'f'},
						{"long", no_argument, NULL, 'l'},
						{"faults", no_argument, NULL, 'F'},
						{"max", required_argument, NULL, 'm'},
						{0}};
	struct search search = {.preemptions = PREEMPTIONS};
	const struct test_case *c = NULL;
	bool is_long = false, faults_only = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c': c = find_case(optarg); break;
		case 'p': search.preemptions = MIN((u32)strtoul(optarg, NULL, 10), 2u); break;
		case 's': search.seed = strtoull(optarg, NULL, 10); break;
		case 'r': search.schedule = optarg; break;
		case 'f': fault_set(optarg); break;
		case 'F': faults_only = true; break;
		case 'l': is_long = true; break;
		case 'm': search.schedules_max = strtoull(optarg, NULL, 10); break;
		default: return 2;
		}
	}
	if (c && !is_long)
		return explore_case(c, search) ? 0 : 1;
	if (!faults_only)
		add_all(is_long, c);
	for (u32 i = 0; !c && i < fault_count; i++)
		add_job((struct job){.fault = &faults[i]});
	return run_jobs();
}
