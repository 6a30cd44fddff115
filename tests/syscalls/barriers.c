/* SPDX-License-Identifier: Apache-2.0 */
/* membarrier: what is registered, and that it orders what other threads do; mlock's checks. */
#include "check.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
	QUERY = 0,
	GLOBAL = 1,
	GLOBAL_EXPEDITED = 2,
	REGISTER_GLOBAL = 4,
	PRIVATE = 8,
	REGISTER = 16
};
#define ROUNDS 3000

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

static void registration(void)
{
	long offered = membarrier(QUERY);
	int status;

	CHECK((offered & 31) == 31);
	CHECK_EQ(membarrier(GLOBAL), 0);
	CHECK_EQ(membarrier(GLOBAL_EXPEDITED), 0);
	CHECK_ERRNO(membarrier(PRIVATE), EPERM);
	CHECK_ERRNO(membarrier(3), EINVAL);
	CHECK_ERRNO(membarrier(1 << 20), EINVAL);
	CHECK_ERRNO(syscall(SYS_membarrier, QUERY, 2, 0), EINVAL);
	CHECK_EQ(membarrier(REGISTER_GLOBAL), 0);
	CHECK_EQ(membarrier(REGISTER), 0);
	CHECK_EQ(membarrier(PRIVATE), 0);
	CHECK_EQ(membarrier(GLOBAL_EXPEDITED), 0);
	if (fork() == 0)
		_exit(membarrier(PRIVATE) != 0);
	CHECK(wait(&status) > 0 && status == 0);
}

/*
 * Dekker's meeting with a fence on one side only: the other thread just writes and reads. Without
 * the barrier both may find the other's word as it was.
 */
static volatile int turn, ours, theirs, they_saw, done;

static void *light(void *unused)
{
	for (int i = 1; i <= ROUNDS; i++) {
		while (turn != i)
			;
		theirs = i;
		__asm__ volatile("" ::: "memory");
		they_saw = ours;
		__atomic_store_n(&done, i, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void order(void)
{
	pthread_t thread;
	int missed = 0;

	CHECK_EQ(pthread_create(&thread, NULL, light, NULL), 0);
	for (int i = 1; i <= ROUNDS; i++) {
		int we_saw;

		__atomic_store_n(&turn, i, __ATOMIC_RELEASE);
		ours = i;
		CHECK_EQ(membarrier(PRIVATE), 0);
		we_saw = theirs;
		while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) != i)
			;
		missed += we_saw != i && they_saw != i;
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(missed, 0);
}

/* Some spin, one sleeps in the kernel: neither holds it up. */
static int ends[2];
static volatile int stop;

static void *spin(void *unused)
{
	while (!stop)
		;
	return NULL;
}

static void *sleep_in_read(void *unused)
{
	char byte;

	return (void *)read(ends[0], &byte, 1);
}

static void with_others(void)
{
	pthread_t spinner, sleeper;
	void *got;

	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(pthread_create(&spinner, NULL, spin, NULL), 0);
	CHECK_EQ(pthread_create(&sleeper, NULL, sleep_in_read, NULL), 0);
	for (int i = 0; i < 50; i++) {
		CHECK_EQ(membarrier(PRIVATE), 0);
		CHECK_EQ(membarrier(GLOBAL_EXPEDITED), 0);
	}
	stop = 1;
	CHECK_EQ(write(ends[1], "x", 1), 1);
	CHECK_EQ(pthread_join(spinner, NULL), 0);
	CHECK(!pthread_join(sleeper, &got) && got == (void *)1);
}

static int as_user(void (*what)(void))
{
	int status;

	if (fork() == 0) {
		if (setuid(1000))
			_exit(1);
		check_failures = 0;
		what();
		_exit(check_failures != 0);
	}
	return wait(&status) > 0 ? status : -1;
}

static char *at;

static void limited(void)
{
	struct rlimit limit = {8192, 65536};

	CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	CHECK_EQ(mlock(at, 8192), 0);
	CHECK_EQ(munlock(at, 8192), 0);
	CHECK_ERRNO(mlock(at, 12288), ENOMEM);
	CHECK_ERRNO(mlockall(MCL_CURRENT), ENOMEM);
	limit.rlim_cur = 0;
	CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	CHECK_ERRNO(mlock(at, 1), EPERM);
	CHECK_ERRNO(mlockall(MCL_FUTURE), EPERM);
	CHECK_EQ(munlockall(), 0);
}

static void locking(void)
{
	at = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(at != MAP_FAILED && !munmap(at + 12288, 4096));
	CHECK_EQ(mlock(at + 100, 5000), 0);
	CHECK_EQ(munlock(at, 12288), 0);
	CHECK_EQ(mlock(at, 0), 0);
	CHECK_ERRNO(mlock(at, 12289), ENOMEM);
	CHECK_ERRNO(munlock(at + 12288, 1), ENOMEM);
	CHECK_ERRNO(mlock(at, -8192ul), EINVAL);
	CHECK_EQ(syscall(SYS_mlock2, at, 4096, 1), 0);
	CHECK_ERRNO(syscall(SYS_mlock2, at, 4096, 2), EINVAL);
	CHECK_EQ(mlockall(MCL_CURRENT | MCL_FUTURE), 0);
	CHECK_ERRNO(mlockall(0), EINVAL);
	CHECK_ERRNO(mlockall(8), EINVAL);
	CHECK_ERRNO(mlockall(4), EINVAL);
	CHECK_EQ(munlockall(), 0);
	if (getuid() == 0)
		CHECK_EQ(as_user(limited), 0);
}

CHECK_MAIN(registration, order, with_others, locking)
