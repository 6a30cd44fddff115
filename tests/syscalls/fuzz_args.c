/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls every system call number with arguments that a hostile or broken program might pass:
 * addresses of the kernel, of nothing, of read-only and half-mapped memory, extreme sizes. It may
 * die of what it does to itself; the kernel may not, nor may memory change that no call was given.
 *
 *   fuzz_args SEED SECONDS     exit 0: went through; 3: a canary was overwritten; 77: not inside
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define PATH_STEP    64
#define SCRATCH_SIZE (64 * 1024)
#define CANARY_SIZE  (64 * 1024)
#define CANARY	     0xa5
#define NUMBER_MAX   470
#define KERNEL_ZONE  (4ull << 30)

int main(int argc, char **argv);

static uint64_t state;
static unsigned char *scratch, *edge, *read_only, *canary;
static sigjmp_buf after_fault;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* The enclave's size is a power of two; its top 4 GiB are the kernel's. */
static uint64_t kernel_address(void)
{
	uint64_t size = (64ull << 30) << (next() % 3);

	return size - KERNEL_ZONE + next() % KERNEL_ZONE;
}

static uint64_t address(void)
{
	static const uint64_t fixed[] = {
		0,
		1,
		0xfff,
		0x1000,
		0x10000,
		0x7ffffffff000,
		0x7fffffffffff,
		0x800000000000,
		0xffff800000000000,
		(uint64_t)-1,
		(uint64_t)-4096,
		(uint64_t)-8,
		60ull << 30,
		(64ull << 30) - 8,
	};

	switch (next() % 10) {
	case 0: return fixed[next() % (sizeof(fixed) / sizeof(fixed[0]))];
	case 1:
	case 2: return kernel_address();
	case 3: return (uint64_t)edge + 4096 - next() % 64; /* the next page is not mapped */
	case 4: return (uint64_t)read_only + next() % 4096;
	case 5: return (uint64_t)main + next() % 4096;
	case 6: return next() & 0x7fffffffffff; /* the host's memory, if anything */
	case 7: return (uint64_t)scratch + next() % 10 * PATH_STEP;
	default: return (uint64_t)scratch + (next() % SCRATCH_SIZE & (next() & 1 ? ~7ull : ~0ull));
	}
}

static uint64_t number(void)
{
	switch (next() % 8) {
	case 0: return next();
	case 1: return 1ull << next() % 64;
	case 2: return -(next() % 64);
	case 3: return next() % 65536;
	case 4: return (uint32_t)next();
	default: return next() % 16;
	}
}

static uint64_t argument(void)
{
	return next() & 1 ? address() : number();
}

/* Calls that would only end the run: the program's end, and signals that nothing can catch. */
static int is_skipped(long nr)
{
	return nr == SYS_exit || nr == SYS_exit_group || nr == SYS_rt_sigreturn;
}

/* Replacing or unmapping the canary is allowed, and would look like a foreign write. */
static int covers_canary(uint64_t start, uint64_t size)
{
	uint64_t end = start + size < start ? ~0ull : start + size;

	return start < (uint64_t)canary + CANARY_SIZE && end > (uint64_t)canary;
}

static int is_about_canary(long nr, const uint64_t a[6])
{
	switch (nr) {
	case SYS_mmap:
	case SYS_munmap:
	case SYS_mprotect:
	case SYS_pkey_mprotect:
	case SYS_madvise:
	case SYS_remap_file_pages: return covers_canary(a[0], a[1] + 4096);
	case SYS_mremap:
		return covers_canary(a[0], a[1] + 4096) || covers_canary(a[4], a[2] + 4096);
	case SYS_shmat: return covers_canary(a[1], 1 << 20);
	default: return 0;
	}
}

static void spare_myself(long nr, uint64_t a[6])
{
	switch (nr) {
	case SYS_kill:
	case SYS_tkill:
	case SYS_rt_sigqueueinfo: a[1] = next() & 1 ? 0 : 200 + next() % 100; break;
	case SYS_tgkill:
	case SYS_rt_tgsigqueueinfo: a[2] = next() & 1 ? 0 : 200 + next() % 100; break;
	case SYS_nanosleep:
	case SYS_clock_nanosleep: memset(scratch, 0, 64); break;
	case SYS_munmap:
	case SYS_mprotect:
	case SYS_mremap:
	case SYS_madvise:
	case SYS_pkey_mprotect:
		if (next() % 4)
			a[1] &= 0xffff; /* mostly not everything at once */
		break;
	}
}

static void on_fault(int signal)
{
	(void)signal;
	siglongjmp(after_fault, 1);
}

static void on_tick(int signal)
{
	(void)signal;
}

/* Something to work on: descriptors of every kind below 16, paths at known places. */
static void open_files(void)
{
	static const char *const paths[] = {
		"/tmp/a",	   "/tmp/d",	"/tmp/d/b", "/root/c", "/proc/self/maps",
		"/proc/self/fd/3", "/dev/zero", "/tmp",	    "user.x",  "."};
	int fd[16], n = 0, ends[2];

	for (int i = 3; i < 16; i++)
		close(i);
	mkdir("/tmp/d", 0700);
	if (!pipe2(ends, O_NONBLOCK)) {
		fd[n++] = ends[0];
		fd[n++] = ends[1];
	}
	fd[n++] = open("/tmp/a", O_RDWR | O_CREAT, 0600);
	fd[n++] = open("/root/c", O_RDWR | O_CREAT, 0600);
	fd[n++] = open("/tmp", O_RDONLY | O_DIRECTORY);
	fd[n++] = open("/proc/self/maps", O_RDONLY);
	fd[n++] = open("/dev/null", O_RDWR);
	fd[n++] = epoll_create1(0);
	fd[n++] = epoll_create1(0);
	fd[n++] = eventfd(1, EFD_NONBLOCK);
	fd[n++] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	fd[n++] = memfd_create("m", MFD_ALLOW_SEALING);
	for (int i = 0; i < n; i++) {
		if (fd[i] >= 16)
			close(fd[i]);
	}
	if (sigsetjmp(after_fault, 1))
		return; /* the scratch was unmapped */
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		strcpy((char *)scratch + i * PATH_STEP, paths[i]);
}

static void settle(void)
{
	static char altstack[65536];
	const stack_t stack = {.ss_sp = altstack, .ss_size = sizeof(altstack)};
	const struct itimerval tick = {{0, 20000}, {0, 20000}};
	struct sigaction fault = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK | SA_NODEFER};
	struct sigaction interrupt = {.sa_handler = on_tick, .sa_flags = SA_ONSTACK};
	sigset_t none;

	sigaltstack(&stack, NULL);
	for (int signal = 1; signal < 32; signal++)
		sigaction(signal, &interrupt, NULL);
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGBUS, &fault, NULL);
	sigaction(SIGILL, &fault, NULL);
	sigaction(SIGFPE, &fault, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setitimer(ITIMER_REAL, &tick, NULL);
}

static void map_memory(void)
{
	int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;

	scratch = mmap(NULL, SCRATCH_SIZE, prot, flags | (scratch ? MAP_FIXED : 0), -1, 0);
	edge = mmap(NULL, 8192, prot, flags, -1, 0);
	munmap(edge + 4096, 4096);
	read_only = mmap(NULL, 4096, PROT_READ, flags, -1, 0);
	memset(scratch, (int)next(), SCRATCH_SIZE);
}

static void *watchdog(void *seconds)
{
	struct timespec end, now;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (long)seconds + 2;
	do {
		usleep(200000);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
	syscall(SYS_exit_group, 0);
	return NULL;
}

static void check_canary(long nr)
{
	for (size_t i = 0; i < CANARY_SIZE; i++) {
		if (canary[i] != CANARY) {
			dprintf(2, "fuzz_args: call %ld changed memory it was not given\n", nr);
			_exit(3);
		}
	}
}

static void one_call(void)
{
	long nr = (long)(next() % NUMBER_MAX);
	uint64_t a[6];

	if (is_skipped(nr))
		return;
	for (int i = 0; i < 6; i++)
		a[i] = argument();
	spare_myself(nr, a);
	if (is_about_canary(nr, a))
		return;
	syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int main(int argc, char **argv)
{
	long seconds = argc > 2 ? atol(argv[2]) : 5;
	struct timespec start, now;
	struct utsname name;
	pthread_t thread;

	/* Natively this would be as harmful as it looks. */
	if (uname(&name) || !strstr(name.version, "Occlum"))
		return 77;
	state = argc > 1 ? strtoull(argv[1], NULL, 0) * 0x9e3779b97f4a7c15ull + 1 : 1;
	canary =
		mmap(NULL, CANARY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(canary, CANARY, CANARY_SIZE);
	pthread_create(&thread, NULL, watchdog, (void *)seconds);
	map_memory();
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (volatile long round = 0;; round++) {
		if (round % 200 == 0) {
			settle();
			open_files();
			clock_gettime(CLOCK_MONOTONIC, &now);
			if (now.tv_sec - start.tv_sec >= seconds)
				break;
		}
		if (!sigsetjmp(after_fault, 1))
			one_call();
		if (round % 1000 == 0)
			check_canary(round);
	}
	check_canary(-1);
	_exit(0);
}
