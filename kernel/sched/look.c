// SPDX-License-Identifier: Apache-2.0
/*
 * Looking for a wake-up before asking the host to sleep. Two threads that talk to each other answer
 * within microseconds, and sleep costs more than that: the way to the host, its futex, an
 * idle CPU that has to be interrupted, and the same again for the waker. So a thread that is about
 * to park looks at its own word for LOOK_NS first, when that harms nobody:
 *
 * - Somebody who could wake it is awake: at least one other thread is neither parked nor looking. A
 *   thread that has been woken counts from then on, before the host lets it run.
 * - There is a CPU for each that is awake or looks. That is asked again all the time: a looker
 *   leaves as soon as there is one thread too many.
 *
 * That other work of the host needs the CPUs is not seen here. So a thread that looked in vain
 * leaves out the next looks, 1, 3, 7 ... LOOKS_OMITTED_MAX of them, until it looks with success.
 *
 * All numbers, that of the CPUs included, which the host chose, are hints: wrong ones make a thread
 * look in vain, or sleep at once.
 */
#include "kernel/arch/arch.h"
#include "kernel/sched/sched_priv.h"
#include "kernel/sched/thread.h"
#include "kernel/sys/cpus.h"
#include "kernel/time/clock.h"

#define LOOK_NS		     20000ull
#define LOOKS_WITHOUT_CLOCK  256
#define LOOKS_OMITTED_MAX    63
#define LOOKS_BETWEEN_CHECKS 8

/* On lines of their own: whoever parks changes them. */
static struct {
	s32 awake;   /* atomic */
	s32 looking; /* atomic */
} counts __attribute__((aligned(64)));

static s32 known_cpus(void)
{
	static s32 known; /* atomic; never changes once it is there */
	s32 cpus = __atomic_load_n(&known, __ATOMIC_RELAXED);

	if (unlikely(!cpus)) {
		cpus = (s32)cpu_count();
		__atomic_store_n(&known, cpus, __ATOMIC_RELAXED);
	}
	return cpus;
}

s32 look_awake(void)
{
	return __atomic_load_n(&counts.awake, __ATOMIC_RELAXED);
}

static s32 looking(void)
{
	return __atomic_load_n(&counts.looking, __ATOMIC_RELAXED);
}

/* Ecalls of the host mostly wait for a program's end: they are not counted, and do not look. */
void look_count_awake(const struct thread *t, s32 change)
{
	if (likely(t->is_scheduled))
		__atomic_add_fetch(&counts.awake, change, __ATOMIC_RELAXED);
}

bool look_may_begin(struct thread *t)
{
	if (t->looks_omitted) {
		t->looks_omitted--;
		return false;
	}
	/* The caller is one of those that are awake. */
	return t->is_scheduled && look_awake() > 1 && look_awake() + looking() <= known_cpus();
}

/* The caller looks, and is not counted as awake. */
static bool is_worth_while(struct thread *t, bool interruptible)
{
	s32 now = look_awake();

	return now > 0 && now + looking() <= known_cpus() && !(interruptible && thread_has_work(t));
}

static void was_in_vain(struct thread *t)
{
	t->looks_failed = MIN(t->looks_failed * 2 + 1, LOOKS_OMITTED_MAX);
	t->looks_omitted = t->looks_failed;
}

static bool has_token(const struct thread *t)
{
	for (u32 i = 0; i < LOOKS_BETWEEN_CHECKS; i++) {
		if (__atomic_load_n(&t->park_state, __ATOMIC_RELAXED) == PARK_TOKEN)
			return true;
		cpu_relax();
	}
	return false;
}

void look_for_token(struct thread *t, u64 deadline, bool interruptible)
{
	bool has_clock = arch_tsc_is_usable();
	u64 until = has_clock ? MIN(clock_monotonic_ns() + LOOK_NS, deadline) : 0;
	u32 rounds = 0;

	__atomic_add_fetch(&counts.looking, 1, __ATOMIC_RELAXED);
	while (!has_token(t)) {
		if (!is_worth_while(t, interruptible))
			goto out;
		rounds += LOOKS_BETWEEN_CHECKS;
		if (has_clock ? clock_monotonic_ns() >= until : rounds >= LOOKS_WITHOUT_CLOCK) {
			if (until != deadline)
				was_in_vain(t);
			goto out;
		}
	}
	t->looks_failed = 0;
out:
	__atomic_sub_fetch(&counts.looking, 1, __ATOMIC_RELAXED);
}
