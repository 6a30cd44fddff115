/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads that read ahead. The first is started with the first request, the second when
 * requests wait although the first is at work; both sleep while there is nothing to do. They hold
 * no reference to a vnode: its end takes its requests out of the queue and waits for what is under
 * way, which is one piece.
 */
#include "kernel/vfs/readahead.h"

#include "kernel/core/kernel_thread.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

#define QUEUE_MAX    16u
#define WORKERS	     2u
#define TRY_AGAIN_NS 1000000000ull /* after a thread could not be started */

struct worker {
	struct thread *thread;		/* start_lock */
	const struct page_cache *cache; /* lock: what it is at */
	bool is_idle;			/* lock: sleeps, or is about to */
};

static struct spinlock lock = SPINLOCK_INIT(LOCK_READ_AHEAD);
static struct read_ahead queue[QUEUE_MAX]; /* lock; oldest first */
static u32 queued;			   /* lock */
static u32 worker_count;		   /* lock; grows under start_lock */
static struct worker workers[WORKERS];
static struct waitq done; /* a worker has finished a piece */
static struct mutex start_lock = MUTEX_INIT(start_lock, LOCK_THREAD_MAKER);
static u64 try_again; /* atomic, monotonic ns: no attempt to start a thread before */

void read_ahead_init(void)
{
	waitq_init(&done);
}

/* Lock held. */
static void take_out(u32 i)
{
	queued--;
	for (; i < queued; i++)
		queue[i] = queue[i + 1];
}

static bool next_request(struct worker *w, struct read_ahead *r)
{
	bool got;

	spin_lock(&lock);
	got = queued > 0;
	if (got) {
		*r = queue[0];
		take_out(0);
	}
	w->cache = got ? r->cache : NULL;
	w->is_idle = !got;
	spin_unlock(&lock);
	return got;
}

static void run_forever(void *arg)
{
	struct worker *w = arg;
	struct read_ahead r;

	for (;;) {
		bool got = next_request(w, &r);

		waitq_wake_all(&done);
		if (got)
			page_cache_read_ahead(&r);
		else
			(void)thread_park(DEADLINE_NEVER, false);
	}
}

/* Another worker, if one more is wanted. */
static void start_worker(void)
{
	struct worker *w;
	u64 now = clock_monotonic_ns();

	if (now < __atomic_load_n(&try_again, __ATOMIC_RELAXED))
		return;
	mutex_lock(&start_lock);
	w = &workers[worker_count];
	if (worker_count < WORKERS) {
		w->thread = kernel_thread_new("reads ahead", run_forever);
		if (w->thread)
			w->thread->kernel_arg = w;
		if (w->thread && !thread_start(w->thread)) {
			spin_lock(&lock);
			worker_count++;
			spin_unlock(&lock);
		} else {
			if (w->thread)
				thread_put(w->thread);
			w->thread = NULL;
			__atomic_store_n(&try_again, now + TRY_AGAIN_NS, __ATOMIC_RELAXED);
		}
	}
	mutex_unlock(&start_lock);
}

void read_ahead_queue(const struct read_ahead *r)
{
	struct thread *idle = NULL;
	bool wants_worker;

	spin_lock(&lock);
	if (queued < QUEUE_MAX)
		queue[queued++] = *r;
	for (u32 i = 0; i < WORKERS && !idle; i++) {
		if (workers[i].is_idle) {
			workers[i].is_idle = false;
			idle = workers[i].thread;
		}
	}
	wants_worker = !idle && worker_count < WORKERS && queued > worker_count;
	spin_unlock(&lock);
	if (idle)
		thread_unpark(idle);
	else if (wants_worker)
		start_worker();
}

static bool is_under_way(const struct page_cache *c)
{
	bool found = false;

	spin_lock(&lock);
	for (u32 i = 0; i < WORKERS; i++) /* also one that is just being started */
		found |= workers[i].cache == c;
	spin_unlock(&lock);
	return found;
}

void read_ahead_forget(const struct page_cache *c)
{
	spin_lock(&lock);
	for (u32 i = queued; i-- > 0;) {
		if (queue[i].cache == c)
			take_out(i);
	}
	spin_unlock(&lock);
	if (is_under_way(c))
		(void)wait_event(&done, !is_under_way(c), DEADLINE_NEVER, false);
}
