// SPDX-License-Identifier: Apache-2.0
/*
 * What a run tells when it has shown a fault: the reason, and the schedule that leads there again.
 * A signal that the kernel under test did not expect is one, and so is a run that takes too long.
 */
#define _GNU_SOURCE /* names of registers */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/explore/scheduler_priv.h"

#define DEVIATIONS_MAX	 4096
#define DEVIATIONS_SHOWN 60
#define RUN_SECONDS	 20

static struct failure *failure;
static struct {
	u64 step;
	u32 fiber;
	bool timed;
} deviations[DEVIATIONS_MAX]; /* of this run */
static u32 deviation_count;

void schedule_note(u32 fiber, bool timed)
{
	if (deviation_count == DEVIATIONS_MAX)
		explore_fail("too many choices");
	deviations[deviation_count].step = steps;
	deviations[deviation_count].fiber = fiber;
	deviations[deviation_count++].timed = timed;
}

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
	if (!failure->is_there)
		snprintf(failure->text, sizeof(failure->text),
			 "%s; fiber %d, step %llu; schedule '%s'", what,
			 current ? (int)current->id : -1, (unsigned long long)steps, schedule);
	failure->is_there = true;
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

void failure_watch_process(void)
{
	const struct itimerval limit = {.it_value.tv_sec = RUN_SECONDS};

	setitimer(ITIMER_VIRTUAL, &limit, NULL);
}

void failure_begin(struct failure *f)
{
	static u8 stack[32768];
	const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	const struct sigaction act = {.sa_sigaction = on_signal,
				      .sa_flags = SA_SIGINFO | SA_ONSTACK};

	failure = f;
	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
	sigaction(SIGILL, &act, NULL);
	sigaction(SIGFPE, &act, NULL);
	sigaction(SIGABRT, &act, NULL);
	sigaction(SIGVTALRM, &act, NULL);
}
