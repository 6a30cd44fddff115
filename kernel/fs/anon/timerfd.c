// SPDX-License-Identifier: Apache-2.0
/*
 * timerfd. All times are those of the file's own clock: a wall clock that the host moves makes a
 * timer late or has it look again, and never changes what is counted. A periodic timer that has
 * expired is not started again until somebody reads it or asks for it; the periods that passed
 * meanwhile are counted then. So a forgotten timer costs one wake-up, not one per period.
 *
 * The mutex orders settime, gettime and read; the spinlock is between them and the callback on
 * the timer thread. Nobody starts a timer or wakes a thread under the spinlock.
 */
#include "kernel/fs/anon/timerfd.h"

#include "abi/errno.h"
#include "abi/poll.h"
#include "abi/time.h"
#include "kernel/core/kmem.h"
#include "kernel/sys/restart.h"
#include "kernel/time/timer.h"
#include "kernel/time/timespec.h"
#include "kernel/vfs/file_ops.h"
#include "lib/base/fmt.h"

/* A program that reads as fast as it can gets no more wake-ups than this. */
#define LOOK_AGAIN_MIN 20000ull

struct timerfd {
	struct timer timer;
	int clock;
	struct mutex mutex;
	struct spinlock lock;
	bool is_armed;	   /* lock; it will expire at `next` */
	bool must_restart; /* lock; periodic, expired at `next`, the periods since not counted yet */
	u64 next, interval; /* lock; ns of `clock` */
	u64 ticks;	    /* lock; expiries that nobody has read */
	struct pollq queue;
};

static u64 now_of(const struct timerfd *t)
{
	u64 now = 0;

	return clock_get(t->clock, &now) ? 0 : now;
}

static void expire(struct timer *timer)
{
	struct timerfd *t = container_of(timer, struct timerfd, timer);
	bool due, early = false;
	u64 next;

	spin_lock(&t->lock);
	next = t->next;
	due = t->is_armed && now_of(t) >= next;
	if (due) {
		t->ticks++;
		t->is_armed = false;
		t->must_restart = t->interval != 0;
	} else {
		early = t->is_armed; /* the wall clock went back */
	}
	spin_unlock(&t->lock);
	if (due)
		pollq_wake(&t->queue, POLLIN | POLLRDNORM);
	else if (early)
		(void)!timer_start(
			timer, MAX(deadline_at(t->clock, next), deadline_after(LOOK_AGAIN_MIN)));
}

/* Mutex held. Counts the periods since the last expiry and starts the timer for the next. */
static void catch_up(struct timerfd *t)
{
	u64 passed, deadline;
	bool restart;

	spin_lock(&t->lock);
	restart = t->must_restart;
	if (restart) {
		u64 now = now_of(t);

		passed = now > t->next ? (now - t->next) / t->interval : 0;
		t->ticks += passed;
		t->next += passed * t->interval; /* not after now */
		t->next = deadline_add(t->next, t->interval);
		t->must_restart = false;
		t->is_armed = true;
	}
	deadline = t->next;
	spin_unlock(&t->lock);
	if (restart)
		(void)!timer_start(&t->timer, MAX(deadline_at(t->clock, deadline),
						  deadline_after(LOOK_AGAIN_MIN)));
}

/* Mutex held, after catch_up(). */
static void read_setting(struct timerfd *t, struct timer_setting *ret)
{
	u64 now = now_of(t);

	spin_lock(&t->lock);
	ret->interval = t->interval;
	ret->value = t->is_armed ? (t->next > now ? t->next - now : 1) : 0;
	spin_unlock(&t->lock);
}

static u64 take_ticks(struct timerfd *t)
{
	u64 ticks;

	mutex_lock(&t->mutex);
	catch_up(t);
	spin_lock(&t->lock);
	ticks = t->ticks;
	t->ticks = 0;
	spin_unlock(&t->lock);
	mutex_unlock(&t->mutex);
	return ticks;
}

static long timerfd_read(struct file *f, struct uio *uio, u64 offset)
{
	struct timerfd *t = f->priv;
	u64 ticks;

	if (uio->left < sizeof(ticks))
		return -EINVAL;
	while (!(ticks = take_ticks(t))) {
		if (file_is_nonblocking(f))
			return -EAGAIN;
		if (wait_event(&t->queue.threads, __atomic_load_n(&t->ticks, __ATOMIC_ACQUIRE) > 0,
			       DEADLINE_NEVER, true))
			return -ERESTARTSYS;
	}
	return uio_copy_out(uio, &ticks, sizeof(ticks)) ? -EFAULT : (long)sizeof(ticks);
}

static u32 timerfd_poll(struct file *f, struct poll_table *pt)
{
	struct timerfd *t = f->priv;

	poll_listen(pt, &t->queue);
	return __atomic_load_n(&t->ticks, __ATOMIC_ACQUIRE) ? POLLIN | POLLRDNORM : 0;
}

static void timerfd_release(struct file *f)
{
	struct timerfd *t = f->priv;

	timer_cancel_sync(&t->timer);
	pollq_fini(&t->queue);
	kfree(t);
}

static void timerfd_describe(struct file *f, char *buf, size_t size, size_t *len)
{
	struct timerfd *t = f->priv;
	struct abi_timespec value, interval;
	u64 now = now_of(t), ticks;

	spin_lock(&t->lock);
	ticks = t->ticks;
	value = ns_to_timespec(t->is_armed && t->next > now ? t->next - now : 0);
	interval = ns_to_timespec(t->interval);
	spin_unlock(&t->lock);
	fmt_append(buf, size, len, "clockid: %d\nticks: %llu\n", t->clock,
		   (unsigned long long)ticks);
	fmt_append(buf, size, len, "it_value: (%lld, %lld)\nit_interval: (%lld, %lld)\n",
		   (long long)value.sec, (long long)value.nsec, (long long)interval.sec,
		   (long long)interval.nsec);
}

static const struct file_ops timerfd_ops = {
	.no_splice = true,
	.is_stream = true,
	.release = timerfd_release,
	.read = timerfd_read,
	.poll = timerfd_poll,
	.describe = timerfd_describe,
};

bool timerfd_is_clock(int clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME;
}

int timerfd_new(int clock, u32 flags, struct file **ret)
{
	struct timerfd *t = kzalloc(sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	timer_init(&t->timer, expire);
	mutex_init(&t->mutex, LOCK_TIMERFD);
	spin_init(&t->lock, LOCK_ANON_FILE);
	pollq_init(&t->queue);
	t->clock = clock;
	err = file_new_anon(&timerfd_ops, "anon_inode:[timerfd]", 0600,
			    O_RDWR | (flags & TFD_NONBLOCK), t, ret);
	if (err)
		kfree(t);
	return err;
}

/* Mutex held. */
static int arm(struct timerfd *t, bool absolute, const struct timer_setting *setting)
{
	u64 now = now_of(t), next = setting->value;

	if (!absolute)
		next = deadline_add(now, setting->value);
	spin_lock(&t->lock);
	t->is_armed = setting->value != 0;
	t->must_restart = false;
	t->next = next;
	t->interval = setting->interval;
	t->ticks = 0;
	spin_unlock(&t->lock);
	return setting->value ? timer_start(&t->timer, deadline_at(t->clock, next)) : 0;
}

int timerfd_set(struct file *f, bool absolute, const struct timer_setting *setting,
		struct timer_setting *ret_old)
{
	struct timerfd *t = f->priv;
	int err;

	if (f->ops != &timerfd_ops)
		return -EINVAL;
	mutex_lock(&t->mutex);
	timer_cancel_sync(&t->timer);
	catch_up(t);
	read_setting(t, ret_old);
	timer_cancel_sync(&t->timer);
	err = arm(t, absolute, setting);
	mutex_unlock(&t->mutex);
	return err;
}

int timerfd_get(struct file *f, struct timer_setting *ret)
{
	struct timerfd *t = f->priv;

	if (f->ops != &timerfd_ops)
		return -EINVAL;
	mutex_lock(&t->mutex);
	catch_up(t);
	read_setting(t, ret);
	mutex_unlock(&t->mutex);
	return 0;
}
