/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers, masks, alternate stacks, faults, timers, restarts. */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

static volatile int count, last, last_code, order[8], order_count;
static volatile siginfo_t seen;

static void handler(int signal, siginfo_t *info, void *context)
{
	(void)context;
	count++;
	last = signal;
	last_code = info->si_code;
	memcpy((void *)&seen, info, sizeof(seen));
	if (order_count < 8)
		order[order_count++] = signal;
}

static void catch_signal(int signal, int flags)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

	sigemptyset(&action.sa_mask);
	CHECK_EQ(sigaction(signal, &action, NULL), 0);
	count = order_count = 0;
}

static void delivery(void)
{
	struct sigaction old;

	catch_signal(SIGUSR1, 0);
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK(count == 1 && last == SIGUSR1 && last_code == SI_TKILL);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK(count == 2 && last_code == SI_USER && seen.si_pid == getpid());
	CHECK_EQ(sigaction(SIGUSR1, NULL, &old), 0);
	CHECK(old.sa_sigaction == handler && (old.sa_flags & SA_SIGINFO));
	CHECK_EQ(kill(getpid(), 0), 0);
	CHECK_ERRNO(kill(getpid(), 99), EINVAL);
	CHECK_ERRNO(kill(999999, SIGTERM), ESRCH);
	CHECK_ERRNO(sigaction(SIGKILL, &old, NULL), EINVAL);
	CHECK_ERRNO(sigaction(99, NULL, &old), EINVAL);
	catch_signal(SIGUSR1, SA_RESETHAND);
	raise(SIGUSR1);
	CHECK_EQ(sigaction(SIGUSR1, NULL, &old), 0);
	CHECK(old.sa_handler == SIG_DFL);
	signal(SIGUSR1, SIG_IGN);
	CHECK_EQ(raise(SIGUSR1), 0);
}

static void masks(void)
{
	sigset_t set, old, pending;
	struct timespec zero = {0, 0};
	siginfo_t info;

	catch_signal(SIGUSR1, 0);
	catch_signal(SIGUSR2, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &set, &old), 0);
	raise(SIGUSR2);
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK_EQ(count, 0);
	CHECK_EQ(sigpending(&pending), 0);
	CHECK(sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGUSR2));
	sigdelset(&set, SIGUSR2);
	CHECK_EQ(sigtimedwait(&set, &info, &zero), SIGUSR1);
	CHECK_ERRNO(sigtimedwait(&set, &info, &zero), EAGAIN);
	CHECK_EQ(count, 0);
	CHECK_ERRNO(sigsuspend(&old), EINTR);
	CHECK(count == 1 && last == SIGUSR2);
	CHECK_EQ(sigprocmask(SIG_SETMASK, &old, NULL), 0);
	CHECK_EQ(count, 1);
}

static void realtime_queue(void)
{
	union sigval value;
	sigset_t set, old;

	catch_signal(SIGRTMIN + 1, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, &old);
	for (int i = 0; i < 3; i++) {
		value.sival_int = 10 + i;
		CHECK_EQ(sigqueue(getpid(), SIGRTMIN + 1, value), 0);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK_EQ(count, 3);
	CHECK(last_code == SI_QUEUE && seen.si_value.sival_int == 12);
}

static char alt[65536];
static volatile int on_alt;

static void alt_handler(int signal)
{
	char here;

	(void)signal;
	on_alt = &here >= alt && &here < alt + sizeof(alt);
}

static void alternate_stack(void)
{
	stack_t stack = {.ss_sp = alt, .ss_size = sizeof(alt)}, old;
	struct sigaction action = {.sa_handler = alt_handler, .sa_flags = SA_ONSTACK};

	CHECK_EQ(sigaltstack(&stack, NULL), 0);
	CHECK_EQ(sigaltstack(NULL, &old), 0);
	CHECK(old.ss_sp == alt && old.ss_size == sizeof(alt) && old.ss_flags == 0);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	CHECK(on_alt);
	stack.ss_size = 100;
	CHECK_ERRNO(sigaltstack(&stack, NULL), ENOMEM);
	stack.ss_flags = SS_DISABLE;
	CHECK_EQ(sigaltstack(&stack, NULL), 0);
	raise(SIGUSR1);
	CHECK(!on_alt);
}

static sigjmp_buf back;

static void fault_handler(int signal, siginfo_t *info, void *context)
{
	(void)context;
	last = signal;
	last_code = info->si_code;
	seen.si_addr = info->si_addr;
	siglongjmp(back, 1);
}

static void faults(void)
{
	struct sigaction action = {.sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO};
	volatile int zero = 0;

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	sigaction(SIGTRAP, &action, NULL);
	if (!sigsetjmp(back, 1))
		*(volatile int *)0x1234 = 1;
	CHECK(last == SIGSEGV && last_code == SEGV_MAPERR && seen.si_addr == (void *)0x1234);
	if (!sigsetjmp(back, 1))
		__asm__ volatile("xor %%edx, %%edx; idivl %0" : : "r"(zero), "a"(1) : "edx");
	CHECK(last == SIGFPE && last_code == FPE_INTDIV);
	if (!sigsetjmp(back, 1))
		__asm__ volatile("ud2");
	CHECK(last == SIGILL);
	if (!sigsetjmp(back, 1))
		__asm__ volatile("int3");
	CHECK(last == SIGTRAP);
	if (!sigsetjmp(back, 1)) /* not canonical */
		*(volatile int *)0x8000000000000000ul = 1;
	CHECK(last == SIGSEGV);
}

static void skip_handler(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)signal;
	(void)info;
	count++;
	uc->uc_mcontext.gregs[REG_RIP] += 2;
	uc->uc_mcontext.gregs[REG_RBX] = 0x1234567;
}

static void context_can_be_changed(void)
{
	struct sigaction action = {.sa_sigaction = skip_handler, .sa_flags = SA_SIGINFO};
	long rbx = 1, rcx = 77, r15 = 99;

	count = 0;
	sigaction(SIGILL, &action, NULL);
	__asm__ volatile("mov $77, %%rcx; mov $99, %%r15; ud2" : "=b"(rbx), "=c"(rcx) : : "r15");
	__asm__ volatile("mov $99, %%r15; ud2; mov %%r15, %0" : "=r"(r15), "=b"(rbx) : : "r15");
	CHECK(count == 2 && rbx == 0x1234567 && rcx == 77 && r15 == 99);
	signal(SIGILL, SIG_DFL);
}

static volatile int ticks;

static void on_tick(int signal)
{
	(void)signal;
	ticks++;
}

/* Floating point under a storm of signals keeps its values. */
static void storm(void)
{
	struct itimerval every = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = on_tick};
	struct timespec begin, now;
	double sum = 0, expected = 0;
	long rounds = 0;

	sigaction(SIGALRM, &action, NULL);
	for (int i = 1; i <= 1000; i++)
		expected += 1.0 / i;
	CHECK_EQ(setitimer(ITIMER_REAL, &every, NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		sum = 0;
		for (int i = 1; i <= 1000; i++)
			sum += 1.0 / i;
		if (sum != expected) {
			CHECK(sum == expected);
			break;
		}
		rounds++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 <
		 300);
	setitimer(ITIMER_REAL, &off, NULL);
	CHECK(ticks > 20);
}

static void interruptions(void)
{
	struct sigaction action = {.sa_handler = on_tick};
	struct itimerval once = {{0, 0}, {0, 20000}};
	struct timespec second = {1, 0}, left = {0, 0};
	int fd[2];
	char c;

	CHECK_EQ(pipe(fd), 0);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &once, NULL);
	CHECK_ERRNO(read(fd[0], &c, 1), EINTR);
	setitimer(ITIMER_REAL, &once, NULL);
	CHECK_ERRNO(nanosleep(&second, &left), EINTR);
	CHECK(left.tv_sec == 0 && left.tv_nsec > 500000000);
	setitimer(ITIMER_REAL, &once, NULL);
	CHECK_ERRNO(pause(), EINTR);
	CHECK_EQ(alarm(100), 0);
	CHECK_EQ(alarm(0), 100);
	close(fd[0]);
	close(fd[1]);
}

static int restart_pipe[2];

static void *write_later(void *arg)
{
	struct timespec t = {0, 60000000};

	nanosleep(&t, NULL);
	CHECK_EQ(write(restart_pipe[1], "r", 1), 1);
	return arg;
}

static void restarts(void)
{
	struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
	struct itimerval once = {{0, 0}, {0, 20000}};
	pthread_t t;
	char c = 0;

	CHECK_EQ(pipe(restart_pipe), 0);
	sigaction(SIGALRM, &action, NULL);
	ticks = 0;
	pthread_create(&t, NULL, write_later, NULL);
	setitimer(ITIMER_REAL, &once, NULL);
	CHECK_EQ(read(restart_pipe[0], &c, 1), 1);
	CHECK(c == 'r');
	pthread_join(t, NULL);
	close(restart_pipe[0]);
	close(restart_pipe[1]);
}

static volatile pid_t handled_by;

static void who(int signal)
{
	(void)signal;
	handled_by = (pid_t)syscall(SYS_gettid);
}

static volatile int stop_spinning;

static void *spinner(void *arg)
{
	*(volatile pid_t *)arg = (pid_t)syscall(SYS_gettid);
	while (!stop_spinning)
		__asm__ volatile("");
	return NULL;
}

static void to_a_thread(void)
{
	struct sigaction action = {.sa_handler = who};
	volatile pid_t tid = 0;
	pthread_t t;

	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&t, NULL, spinner, (void *)&tid);
	while (!tid)
		usleep(1000);
	CHECK_EQ(pthread_kill(t, SIGUSR1), 0);
	for (int i = 0; i < 2000 && !handled_by; i++)
		usleep(1000);
	CHECK_EQ(handled_by, tid);
	stop_spinning = 1;
	pthread_join(t, NULL);
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 999999, SIGUSR1), ESRCH);
}

static void posix_timers(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
	struct itimerspec spec = {{0, 5000000}, {0, 5000000}};
	struct timespec t = {0, 60000000};
	timer_t timer;

	catch_signal(SIGUSR2, 0);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer)) {
		CHECK_EQ(errno, ENOSYS);
		return;
	}
	CHECK_EQ(timer_settime(timer, 0, &spec, NULL), 0);
	for (int i = 0; i < 5; i++)
		nanosleep(&t, NULL);
	CHECK(count >= 3 && last_code == SI_TIMER);
	CHECK_EQ(timer_delete(timer), 0);
}

CHECK_MAIN(delivery, masks, realtime_queue, alternate_stack, faults, context_can_be_changed, storm,
	   interruptions, restarts, to_a_thread, posix_timers)
