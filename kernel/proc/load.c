/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums over threads, and the load averages. Nobody samples at intervals: when somebody asks, the
 * CPU time since the last question says how many threads ran in that time on average, and the
 * averages move towards that number in steps of five seconds, as Linux moves them.
 */
#include "kernel/proc/load.h"

#include "kernel/proc/process.h"
#include "kernel/sched/park.h"
#include "kernel/sched/thread.h"
#include "kernel/sync/spinlock.h"
#include "kernel/time/clock.h"

#define STEP_NS	  5000000000ull
#define STEPS_MAX 1000 /* later ones change nothing more */
#define FIXED_1	  2048 /* of Linux's factors */

static u64 ended_cpu_ns, ended_parks; /* atomic */

static struct spinlock lock = SPINLOCK_INIT(LOCK_STATISTICS);
static u64 averages[3];		   /* lock */
static u64 asked_ns, asked_cpu_ns; /* lock; the last step's end */

void load_keep(const struct thread *t)
{
	__atomic_add_fetch(&ended_cpu_ns, thread_cpu_ns(t), __ATOMIC_RELAXED);
	__atomic_add_fetch(&ended_parks, thread_parks(t), __ATOMIC_RELAXED);
}

static int add_process(struct process *p, void *arg)
{
	struct load_totals *sum = arg;
	struct thread *t;

	process_lock(p);
	list_for_each_entry (t, &p->threads, process_node) {
		sum->cpu_ns += thread_cpu_ns(t);
		sum->parks += thread_parks(t);
		sum->running += !thread_is_parked(t);
	}
	process_unlock(p);
	return 0;
}

void load_totals(struct load_totals *ret)
{
	*ret = (struct load_totals){
		.cpu_ns = __atomic_load_n(&ended_cpu_ns, __ATOMIC_RELAXED),
		.parks = __atomic_load_n(&ended_parks, __ATOMIC_RELAXED),
	};
	(void)process_for_each(add_process, ret);
}

/* exp(-5 s / 1, 5, 15 min) */
static void step(u64 active)
{
	static const u64 factors[3] = {1884, 2014, 2037};

	for (u32 i = 0; i < 3; i++)
		averages[i] =
			(averages[i] * factors[i] + active * (FIXED_1 - factors[i])) / FIXED_1;
}

void load_averages(u64 ret[3])
{
	u64 now = clock_monotonic_ns(), begin, cpu, steps, active;
	struct load_totals sum;

	load_totals(&sum);
	spin_lock(&lock);
	begin = asked_ns ? asked_ns : clock_boot_ns();
	steps = now > begin ? (now - begin) / STEP_NS : 0;
	if (steps) {
		/* A thread that ends while others are counted may be missed, or count twice. */
		cpu = sum.cpu_ns > asked_cpu_ns ? sum.cpu_ns - asked_cpu_ns : 0;
		active = cpu / ((now - begin) >> LOAD_SHIFT); /* of five seconds at least */
		for (u64 i = 0; i < MIN(steps, (u64)STEPS_MAX); i++)
			step(active);
		asked_ns = now;
		asked_cpu_ns = MAX(sum.cpu_ns, asked_cpu_ns);
	}
	for (u32 i = 0; i < 3; i++)
		ret[i] = averages[i];
	spin_unlock(&lock);
}
