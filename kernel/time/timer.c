// SPDX-License-Identifier: Apache-2.0
/*
 * The timer queue: a tree by deadline and one kernel thread that sleeps until the first. The
 * thread is started with the first timer, so an instance without timers has none.
 *
 * A callback runs without the queue's lock, so it may start timers and send signals. `running`
 * names the timer whose callback runs: timer_cancel_sync() waits for it to change.
 */
#include "kernel/time/timer.h"

#include "abi/errno.h"
#include "kernel/proc/process.h"
#include "kernel/sched/park.h"
#include "kernel/sync/waitq.h"
#include "kernel/time/clock.h"
#include "kernel/time/timer_thread.h"

static struct spinlock lock = SPINLOCK_INIT(LOCK_TIMER);
static struct rb_root queue;  /* lock */
static struct timer *running; /* lock */
static struct thread *runner; /* set once, under start_lock */
static struct mutex start_lock;
static struct waitq idle; /* woken after each callback */
static bool initialised;  /* lock */

void timer_init(struct timer *t, void (*expire)(struct timer *t))
{
	*t = (struct timer){.expire = expire};
}

static bool comes_before(const struct timer *a, const struct timer *b)
{
	return a->deadline < b->deadline;
}

/* Lock held. True when it is now the first. */
static bool enqueue(struct timer *t)
{
	struct rb_node **link = &queue.node, *parent = NULL;
	bool is_first = true;

	while (*link) {
		parent = *link;
		if (comes_before(t, rb_entry(parent, struct timer, node))) {
			link = &parent->left;
		} else {
			link = &parent->right;
			is_first = false;
		}
	}
	rb_insert(&queue, parent, link, &t->node);
	t->is_queued = true;
	return is_first;
}

static void dequeue(struct timer *t)
{
	rb_erase(&queue, &t->node);
	t->is_queued = false;
}

/* Lock held: the first timer when it is due, else NULL and when it will be. */
static struct timer *take_due(u64 *ret_deadline)
{
	struct rb_node *first = rb_first(&queue);
	struct timer *t;

	*ret_deadline = DEADLINE_NEVER;
	if (!first)
		return NULL;
	t = rb_entry(first, struct timer, node);
	*ret_deadline = t->deadline;
	if (t->deadline > clock_monotonic_ns())
		return NULL;
	dequeue(t);
	return t;
}

u64 timers_run_due(void)
{
	struct timer *t;
	u64 deadline;

	for (;;) {
		spin_lock(&lock);
		t = take_due(&deadline);
		running = t;
		spin_unlock(&lock);
		if (!t)
			return deadline;
		t->expire(t);
		spin_lock(&lock);
		running = NULL;
		spin_unlock(&lock);
		waitq_wake_all(&idle);
	}
}

static void run_forever(void *arg)
{
	for (;;)
		(void)thread_park(timers_run_due(), false);
}

static void initialise(void)
{
	spin_lock(&lock);
	if (!initialised) {
		mutex_init(&start_lock, LOCK_THREAD_MAKER);
		waitq_init(&idle);
		initialised = true;
	}
	spin_unlock(&lock);
}

static int start_runner(void)
{
	int err = 0;

	initialise();
	if (__atomic_load_n(&runner, __ATOMIC_ACQUIRE))
		return 0;
	mutex_lock(&start_lock);
	if (!runner) {
		struct thread *t = timer_thread_new(run_forever);

		err = t ? thread_start(t) : -EAGAIN;
		if (!err)
			__atomic_store_n(&runner, t, __ATOMIC_RELEASE);
		else if (t)
			thread_put(t);
	}
	mutex_unlock(&start_lock);
	return err;
}

int timer_start(struct timer *t, u64 deadline)
{
	bool is_first;
	int err = start_runner();

	if (err)
		return err;
	spin_lock(&lock);
	if (t->is_queued)
		dequeue(t);
	t->deadline = deadline;
	is_first = enqueue(t);
	spin_unlock(&lock);
	if (is_first)
		thread_unpark(runner);
	return 0;
}

bool timer_cancel(struct timer *t)
{
	bool was_queued;

	spin_lock(&lock);
	was_queued = t->is_queued;
	if (was_queued)
		dequeue(t);
	spin_unlock(&lock);
	return was_queued;
}

static bool is_running(const struct timer *t)
{
	bool ret;

	spin_lock(&lock);
	ret = running == t;
	spin_unlock(&lock);
	return ret;
}

void timer_cancel_sync(struct timer *t)
{
	initialise();
	/* The callback may have started it again: cancel until both are false. */
	do {
		(void)timer_cancel(t);
		(void)wait_event(&idle, !is_running(t), DEADLINE_NEVER, false);
	} while (timer_cancel(t));
}
