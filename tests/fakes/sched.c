// SPDX-License-Identifier: Apache-2.0
/*
 * Parking for unit tests: each thread that parks has a token under one mutex and condition
 * variable for all; slow and simple. thread_kick() is an unpark, as there is no user mode.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "kernel/arch/arch.h"
#include "kernel/core/kernel_thread.h"
#include "kernel/sched/park.h"
#include "kernel/sched/thread.h"
#include "kernel/sync/spinlock.h"
#include "kernel/time/clock.h"
#include "tests/fakes/fakes.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000ull + (u64)now.tv_nsec;
}

/* The condition variable runs on the wall clock; a monotonic deadline becomes a short wait. */
static void wait_changed(u64 deadline)
{
	struct timespec until;
	u64 now = now_ns(), ns = 20000000;

	if (deadline != DEADLINE_NEVER)
		ns = deadline > now ? MIN(ns, deadline - now) : 0;
	clock_gettime(CLOCK_REALTIME, &until);
	ns += (u64)until.tv_nsec;
	until.tv_sec += ns / 1000000000ull;
	until.tv_nsec = ns % 1000000000ull;
	pthread_cond_timedwait(&changed, &lock, &until);
}

int thread_park(u64 deadline, bool interruptible)
{
	struct thread *t = current_thread();
	int ret = 0;

	assert_may_sleep();
	pthread_mutex_lock(&lock);
	while (!t->park_state) {
		if (interruptible && thread_has_work(t)) {
			ret = -EINTR;
			break;
		}
		if (deadline != DEADLINE_NEVER && now_ns() >= deadline) {
			ret = -ETIMEDOUT;
			break;
		}
		wait_changed(deadline);
	}
	if (!ret)
		t->park_state = 0;
	pthread_mutex_unlock(&lock);
	return ret;
}

int thread_park_raw(u64 deadline, bool interruptible)
{
	return thread_park(deadline, interruptible);
}

void thread_unpark(struct thread *t)
{
	pthread_mutex_lock(&lock);
	t->park_state = 1;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

bool thread_is_parked(const struct thread *t)
{
	(void)t;
	return true;
}

void thread_yield(void)
{
	sched_yield();
}

void thread_kick(struct thread *t)
{
	thread_unpark(t);
}

int thread_park_poll(struct host_pollfd *fds, size_t count, u64 deadline, bool interruptible)
{
	(void)fds;
	(void)count;
	return thread_park(deadline, interruptible);
}

u64 clock_monotonic_ns(void)
{
	return now_ns();
}

u64 clock_realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (u64)now.tv_sec * 1000000000ull + (u64)now.tv_nsec;
}

u64 clock_boot_ns(void)
{
	return 1;
}

struct thread *thread_get(struct thread *t)
{
	__atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
	return t;
}

/* Threads of unit tests belong to the test. */
void thread_put(struct thread *t)
{
	__atomic_fetch_sub(&t->refs, 1, __ATOMIC_RELAXED);
}

/* No test runs programs; those that need kernel threads bring their own. */
int thread_start(struct thread *t)
{
	(void)t;
	return -EAGAIN;
}

void thread_leave(void)
{
	abort(); /* there is no host thread to end */
}

struct thread *kernel_thread_new(const char *name, void (*main)(void *arg))
{
	(void)name;
	(void)main;
	return NULL;
}
