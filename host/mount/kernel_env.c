// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel's file systems stand on inside the enclave, here for an ordinary process: heap,
 * locks, clock, randomness, log. The file systems themselves are the kernel's own sources, so that
 * a volume and a union of volumes mean on the host exactly what they mean inside.
 *
 * The heap is one mapping that a fork does not inherit (MADV_WIPEONFORK) and that no core dump
 * holds: all keys lie in it.
 */
#include "host/mount/kernel_env.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host/occlum/report.h"
#include "kernel/core/kmem_priv.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/random.h"
#include "kernel/sync/mutex.h"
#include "kernel/time/clock.h"

#define HEAP_SIZE GIB(8) /* of addresses; memory comes with use */

enum log_level log_level = LOG_ERROR;
static bool is_quiet;

int kernel_env_init(void)
{
	void *heap = mmap(NULL, HEAP_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (heap == MAP_FAILED)
		return complain_errno(errno, "cannot reserve memory");
	if (madvise(heap, HEAP_SIZE, MADV_WIPEONFORK) < 0 ||
	    madvise(heap, HEAP_SIZE, MADV_DONTDUMP) < 0)
		return complain_errno(errno, "cannot protect the memory for keys");
	kmem_init(heap, HEAP_SIZE);
	return 0;
}

void kernel_env_quiet(bool quiet)
{
	is_quiet = quiet;
}

/* ---- log ---- */

static void say(const char *format, va_list args)
{
	char text[512];

	if (is_quiet)
		return;
	vsnprintf(text, sizeof(text), format, args);
	complain("%s", text);
}

void log_write(enum log_level level, const char *tag, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

void log_always(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

void panic(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

/* ---- locks: the state is a futex (0 free, 1 held, 2 held with waiters) ---- */

void mutex_init(struct mutex *m, enum lock_rank rank)
{
	m->state = 0;
	m->rank = rank;
	spin_init(&m->guard, LOCK_MUTEX_GUARD);
	list_init(&m->waiters);
}

void mutex_lock(struct mutex *m)
{
	u32 free = 0;

	if (__atomic_compare_exchange_n(&m->state, &free, 1, false, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(&m->state, 2, __ATOMIC_ACQUIRE) != 0)
		syscall(SYS_futex, &m->state, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

bool mutex_trylock(struct mutex *m)
{
	u32 free = 0;

	return __atomic_compare_exchange_n(&m->state, &free, 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

void mutex_unlock(struct mutex *m)
{
	if (__atomic_exchange_n(&m->state, 0, __ATOMIC_RELEASE) == 2)
		syscall(SYS_futex, &m->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void spin_lock_slow(struct spinlock *lock)
{
	do
		sched_yield();
	while (__atomic_load_n(&lock->locked, __ATOMIC_RELAXED) || !spin_try(lock));
}

/* The order of locks is checked where the kernel's own tests run. */
void lock_order_check(enum lock_rank rank)
{
}

void lock_order_push(enum lock_rank rank, const void *lock)
{
}

void lock_order_pop(const void *lock)
{
}

/* ---- clock and randomness ---- */

static u64 clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

u64 clock_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

u64 clock_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int random_bytes(void *bytes, size_t size)
{
	u8 *at = bytes;

	while (size) {
		ssize_t n = getrandom(at, size, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}
