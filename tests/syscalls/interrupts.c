/* SPDX-License-Identifier: Apache-2.0 */
/* Which sleeping calls a signal ends, restarts or leaves alone; stopping and continuing. */
#include "check.h"

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

static volatile int handled;
static int ends[2];

static void count(int signal)
{
	(void)signal;
	handled++;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* SIGALRM in 50 ms. */
static void alarm_soon(int flags)
{
	const struct itimerval soon = {{0, 0}, {0, 50000}};
	struct sigaction action = {.sa_handler = count, .sa_flags = flags};

	sigaction(SIGALRM, &action, NULL);
	handled = 0;
	setitimer(ITIMER_REAL, &soon, NULL);
}

static void ended(void)
{
	struct pollfd pipe_end = {.events = POLLIN};
	sigset_t none;
	double start;
	char byte;

	REQUIRE(pipe(ends) == 0);
	pipe_end.fd = ends[0];
	alarm_soon(0);
	CHECK_ERRNO(read(ends[0], &byte, 1), EINTR);
	alarm_soon(SA_RESTART); /* never restarted, whatever the handler asks */
	CHECK_ERRNO(poll(&pipe_end, 1, 2000), EINTR);
	alarm_soon(SA_RESTART);
	start = now();
	CHECK_ERRNO(usleep(900000), EINTR);
	CHECK(now() - start < 0.8 && handled == 1);
	sigemptyset(&none);
	alarm_soon(SA_RESTART);
	CHECK_ERRNO(sigsuspend(&none), EINTR);
	CHECK_EQ(handled, 1);
}

static void left_alone(void)
{
	const struct itimerval often = {{0, 10000}, {0, 10000}}, never = {{0, 0}, {0, 0}};
	struct pollfd pipe_end = {.fd = ends[0], .events = POLLIN};
	double start = now();

	signal(SIGALRM, SIG_IGN);
	setitimer(ITIMER_REAL, &often, NULL);
	CHECK_EQ(poll(&pipe_end, 1, 200), 0);
	CHECK_EQ(usleep(200000), 0);
	CHECK(now() - start >= 0.4);
	setitimer(ITIMER_REAL, &never, NULL);
}

static void with_a_mask(void)
{
	struct pollfd pipe_end = {.fd = ends[0], .events = POLLIN};
	struct timespec second = {1, 0}, moment = {0, 200000000};
	sigset_t alarm_only, old, after;

	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm_only, &old);
	alarm_soon(0);
	CHECK_ERRNO(ppoll(&pipe_end, 1, &second, &old), EINTR);
	CHECK_EQ(handled, 1);
	sigprocmask(SIG_SETMASK, NULL, &after);
	CHECK(sigismember(&after, SIGALRM));
	alarm_soon(0);
	CHECK_EQ(sigtimedwait(&alarm_only, NULL, &moment), SIGALRM);
	CHECK_EQ(handled, 0);
	CHECK_ERRNO(sigtimedwait(&alarm_only, NULL, &moment), EAGAIN);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

/* Only a timer can continue a process whose threads are all stopped. */
static void stopped(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCONT};
	const struct itimerspec later = {{0, 0}, {0, 200000000}};
	double start = now();
	timer_t timer;

	REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	CHECK_EQ(timer_settime(timer, 0, &later, NULL), 0);
	kill(getpid(), SIGSTOP);
	CHECK(now() - start >= 0.19);
	CHECK_EQ(timer_delete(timer), 0);
	CHECK_ERRNO(syscall(SYS_timer_delete, 77), EINVAL);
	CHECK_ERRNO(syscall(SYS_timer_getoverrun, 77), EINVAL);
}

/* A first expiry in the past: the periods since then are its overrun. */
static void begun_in_the_past(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec setting = {{0, 100000000}, {0}};
	const struct timespec moment = {10, 0};
	sigset_t only;
	siginfo_t info;
	timer_t timer;

	sigemptyset(&only);
	sigaddset(&only, SIGUSR1);
	sigprocmask(SIG_BLOCK, &only, NULL);
	REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	clock_gettime(CLOCK_MONOTONIC, &setting.it_value);
	setting.it_value.tv_sec--;
	CHECK_EQ(timer_settime(timer, TIMER_ABSTIME, &setting, NULL), 0);
	CHECK_EQ(sigtimedwait(&only, &info, &moment), SIGUSR1);
	CHECK(info.si_overrun >= 9 && info.si_overrun < 1000);
	CHECK(timer_getoverrun(timer) >= 0);
	CHECK_EQ(timer_delete(timer), 0);

	/* Another signal: that one may be pending again, on a busy machine. */
	event.sigev_signo = SIGUSR2;
	sigemptyset(&only);
	sigaddset(&only, SIGUSR2);
	sigprocmask(SIG_BLOCK, &only, NULL);
	REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	setting = (struct itimerspec){{0, 1}, {0, 1}};
	CHECK_EQ(timer_settime(timer, TIMER_ABSTIME, &setting, NULL), 0);
	CHECK_EQ(sigtimedwait(&only, &info, &moment), SIGUSR2);
	CHECK_EQ(info.si_overrun, 0x7fffffff);
	CHECK_EQ(timer_delete(timer), 0);
}

/* Once now, and then not for ages: for the process that asked, and for the timers of all others. */
static void ages_later(void)
{
	const struct itimerval setting = {{INT64_MAX / 2, 0}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	const struct itimerspec ages = {{INT64_MAX / 2, 0}, {0, 1000}};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
	struct sigaction action = {.sa_handler = count};
	struct itimerval left;
	timer_t timer;

	sigaction(SIGALRM, &action, NULL);
	handled = 0;
	CHECK_EQ(setitimer(ITIMER_REAL, &setting, NULL), 0);
	while (!handled)
		usleep(1000);
	usleep(50000); /* a timer's end, too */
	CHECK_EQ(handled, 1);
	CHECK_EQ(getitimer(ITIMER_REAL, &left), 0);
	CHECK(left.it_value.tv_sec > 1000000);
	setitimer(ITIMER_REAL, &never, NULL);
	handled = 0;
	REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	CHECK_EQ(timer_settime(timer, 0, &ages, NULL), 0);
	while (!handled)
		usleep(1000);
	usleep(50000);
	CHECK_EQ(handled, 1);
	CHECK_EQ(timer_delete(timer), 0);
}

CHECK_MAIN(ended, left_alone, with_a_mask, stopped, begun_in_the_past, ages_later)
