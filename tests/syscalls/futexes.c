/* SPDX-License-Identifier: Apache-2.0 */
/* Futex operations as glibc and musl use them, robust mutexes, cancellation. */
#include "check.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define FUTEX_WAIT		  0 /* <linux/futex.h> */
#define FUTEX_WAKE		  1
#define FUTEX_REQUEUE		  3
#define FUTEX_CMP_REQUEUE	  4
#define FUTEX_WAKE_OP		  5
#define FUTEX_WAKE_BITSET	  10
#define FUTEX_WAIT_PRIVATE	  128 /* not in musl's headers */
#define FUTEX_WAKE_PRIVATE	  129
#define FUTEX_CMP_REQUEUE_PRIVATE 132
#define FUTEX_WAIT_BITSET_PRIVATE 137

static long futex(void *word, int op, uint32_t value, const void *time, void *other, uint32_t v3)
{
	return syscall(SYS_futex, word, op, value, time, other, v3);
}

static _Atomic uint32_t word, other;
static _Atomic int woken;

static void *waiter(void *arg)
{
	long r;

	do {
		r = futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	} while (r == -1 && errno == EINTR);
	woken++;
	return arg;
}

static void wait_until_waiting(int expected)
{
	for (int i = 0; i < 500; i++) {
		/* requeueing nobody tells how many wait, without waking one */
		usleep(1000);
		if (i > 30 * expected)
			return;
	}
}

static void operations(void)
{
	struct timespec t = {0, 10000000}, now;
	pthread_t threads[4];

	CHECK_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0), EAGAIN);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0), ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &now);
	now.tv_nsec += 10000000;
	if (now.tv_nsec >= 1000000000) {
		now.tv_sec++;
		now.tv_nsec -= 1000000000;
	}
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, &now, NULL, 1), ETIMEDOUT);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, &now, NULL, 0), EINVAL);
	CHECK_ERRNO(futex((char *)&word + 1, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(futex((void *)8, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERRNO(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS);
	t.tv_nsec = 1000000000;
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0), EINVAL);
	CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0);

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, waiter, NULL);
	wait_until_waiting(4);
	CHECK_EQ(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2l, &other, 0), 3);
	CHECK_ERRNO(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2l, &other, 5), EAGAIN);
	CHECK_EQ(futex(&other, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 2);
	CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(woken, 4);
}

static pthread_mutex_t robust;

static void *die_with_lock(void *arg)
{
	pthread_mutex_lock(&robust);
	return arg;
}

static void robust_mutex(void)
{
	pthread_mutexattr_t attr;
	pthread_t t;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attr);
	pthread_create(&t, NULL, die_with_lock, NULL);
	pthread_join(t, NULL);
	CHECK_EQ(pthread_mutex_lock(&robust), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(&robust), 0);
	CHECK_EQ(pthread_mutex_unlock(&robust), 0);
	CHECK_EQ(pthread_mutex_lock(&robust), 0);
	CHECK_EQ(pthread_mutex_unlock(&robust), 0);
}

static void *cancelled(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void cancellation(void)
{
	pthread_t t;
	void *result;

	pthread_create(&t, NULL, cancelled, NULL);
	usleep(20000);
	CHECK_EQ(pthread_cancel(t), 0);
	CHECK_EQ(pthread_join(t, &result), 0);
	CHECK(result == PTHREAD_CANCELED);
}

static sem_t sem;

static void *post(void *arg)
{
	for (int i = 0; i < 1000; i++)
		sem_post(&sem);
	return arg;
}

static void semaphores(void)
{
	struct timespec deadline;
	pthread_t t[3];

	sem_init(&sem, 0, 0);
	clock_gettime(CLOCK_REALTIME, &deadline);
	CHECK_ERRNO(sem_timedwait(&sem, &deadline), ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, post, NULL);
	for (int i = 0; i < 3000; i++)
		CHECK_EQ(sem_wait(&sem), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	CHECK_ERRNO(sem_trywait(&sem), EAGAIN);
}

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;

static void timed_condition(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += 20000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&m);
	CHECK_EQ(pthread_cond_timedwait(&c, &m, &t), ETIMEDOUT);
	CHECK_EQ(pthread_mutex_trylock(&m), EBUSY);
	pthread_mutex_unlock(&m);
}

/*
 * Where nothing is mapped nobody waits: a stray address of one process is no matter of another one
 * that sleeps on a word of its own there.
 */
static void stray_addresses(void)
{
	_Atomic uint32_t *page =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status = -1, told[2];
	char byte;
	pid_t pid;

	REQUIRE(page != MAP_FAILED && pipe(told) == 0);
	pid = fork();
	if (!pid) {
		check_failures = 0;
		munmap(page, 4096);
		CHECK_ERRNO(futex(page, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
		CHECK_ERRNO(futex(page, FUTEX_WAKE_BITSET, 1, NULL, NULL, 1), EFAULT);
		CHECK_EQ(futex(page, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0);
		CHECK_ERRNO(futex(page, FUTEX_REQUEUE, 0, (void *)100, &other, 0), EFAULT);
		CHECK_ERRNO(futex(&other, FUTEX_REQUEUE, 0, (void *)100, page, 0), EFAULT);
		CHECK_ERRNO(futex(page, FUTEX_WAKE_OP, 1, (void *)1, &other, 0), EFAULT);
		until_asleep(getppid());
		for (int i = 0; i < 20; i++) {
			CHECK_ERRNO(futex(page, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
			CHECK_ERRNO(futex(page, FUTEX_REQUEUE, 0, (void *)100, &other, 0), EFAULT);
			usleep(1000);
		}
		CHECK_EQ(futex(&other, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
		CHECK_EQ(write(told[1], "x", 1), 1);
		fflush(stdout);
		_exit(check_failures != 0);
	}
	CHECK_ERRNO(futex(page, FUTEX_WAIT_PRIVATE, 0, &(struct timespec){0, 500000000}, NULL, 0),
		    ETIMEDOUT);
	CHECK_EQ(read(told[0], &byte, 1), 1);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK_EQ(munmap(page, 4096), 0);
	close(told[0]);
	close(told[1]);
}

/* Whom a word in shared memory brings together. */
static void shared_words(void)
{
	_Atomic uint32_t *page =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct timespec long_time = {10, 0};
	int status = -1;
	pid_t pid;

	REQUIRE(page != MAP_FAILED);
	pid = fork();
	if (!pid)
		_exit(futex(page, FUTEX_WAIT, 0, &long_time, NULL, 0) != 0);
	until_asleep(pid);
	CHECK_EQ(futex(page, FUTEX_CMP_REQUEUE, 0, (void *)1, page + 1, 0), 1);
	CHECK_EQ(futex(page, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	CHECK_EQ(futex(page + 1, FUTEX_WAKE_OP, 1, (void *)1, page + 2, 0), 1);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK_EQ(munmap(page, 4096), 0);
}

CHECK_MAIN(operations, robust_mutex, cancellation, semaphores, timed_condition, stray_addresses,
	   shared_words)
