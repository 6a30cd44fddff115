/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocking and waking of threads. Threads are 1:1 with host threads; a parked thread sleeps in
 * host_wait() (or host_poll()), and the host can only delay it or wake it without cause.
 */
#pragma once

#include "lib/base/types.h"

struct thread;

#define DEADLINE_NEVER UINT64_MAX

/*
 * Blocks the current thread until thread_unpark(), until `deadline` (monotonic ns as
 * clock_monotonic_ns()), or, when interruptible, until it has a deliverable signal or must die.
 * An unpark that came first makes the next park return at once (one token). Returns 0 (also
 * without cause), -ETIMEDOUT or -EINTR. Called with no spinlock held.
 */
int thread_park(u64 deadline, bool interruptible);

/* Wakes `t`, which may be running, parked or just about to park. Never sleeps. */
void thread_unpark(struct thread *t);

struct host_pollfd {
	s32 fd; /* a host descriptor */
	s16 events;
	s16 revents;
};

/* The same for those that wait for the turn itself. */
int thread_park_raw(u64 deadline, bool interruptible);

/*
 * Like thread_park(), and also returns when the host says that one of its descriptors is ready
 * (count of ready ones, revents masked by events|POLLERR|POLLHUP|POLLNVAL). At most 512.
 */
int thread_park_poll(struct host_pollfd *fds, size_t count, u64 deadline, bool interruptible);

/* It sleeps, or is about to: what /proc calls S. */
bool thread_is_parked(const struct thread *t);

/* Gives the rest of the time slice back to the host; allowed with a spinlock held by others. */
void thread_yield(void);

/*
 * Makes `t` notice its pending work (enum thread_work) soon, also while it spins in user code or
 * blocks in an interruptible host call: a kick through the host, which may be delayed.
 */
void thread_kick(struct thread *t);
