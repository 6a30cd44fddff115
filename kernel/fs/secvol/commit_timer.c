/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The periodic commit: what a program wrote without fsync becomes durable about an interval later,
 * five seconds unless the configuration says another. One kernel thread serves all volumes; it is
 * started with the first change and sleeps without a deadline while nothing has changed. It also
 * carries the scrub (scrub.c).
 *
 * `rounds` is held while volumes are committed, so a volume that is closed leaves the list first
 * and is not looked at any more. A change marks its volume after it was made: a mark that comes
 * while its volume is being committed stays for the next round.
 */
#include "kernel/fs/secvol/volume_priv.h"

#include "abi/errno.h"
#include "kernel/core/kernel_thread.h"
#include "kernel/core/kmem.h"
#include "kernel/sched/park.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

#define LOG_TAG "secvol"
#include "kernel/core/log.h"

#define SCRUB_BEGINS_NS 5000000000ull

static struct mutex rounds = MUTEX_INIT(rounds, LOCK_VOLUME_ROUNDS);
static struct list_node volumes = LIST_INIT(volumes); /* rounds */
static struct mutex start_lock = MUTEX_INIT(start_lock, LOCK_THREAD_MAKER);
static struct thread *committer; /* set once, under start_lock */

static void commit(struct volume *vol)
{
	int err;

	if (!secvol_is_dirty(vol->sv))
		return;
	err = secvol_commit(vol->sv);
	if (!err) {
		vol->commit_failed = false;
		return;
	}
	volume_say_uncommitted(vol, err);
	if (err == -ENOSPC || err == -ENOMEM) /* it may find room later */
		volume_changed(vol);
}

/* What has been marked for as long as its interval is. Says when the next one is due. */
static u64 commit_marked(void)
{
	u64 next = DEADLINE_NEVER;
	struct volume *vol;

	mutex_lock(&rounds);
	list_for_each_entry (vol, &volumes, commit_node) {
		u64 now = clock_monotonic_ns();

		if (now >= vol->commit_due) {
			vol->commit_due = DEADLINE_NEVER;
			__atomic_store_n(&vol->is_marked, false, __ATOMIC_RELEASE);
			commit(vol);
			now = clock_monotonic_ns();
		}
		if (vol->commit_due == DEADLINE_NEVER &&
		    __atomic_load_n(&vol->is_marked, __ATOMIC_ACQUIRE))
			vol->commit_due = now + vol->commit_interval;
		next = MIN(next, vol->commit_due);
	}
	mutex_unlock(&rounds);
	return next;
}

/* When the next one is due. */
static u64 scrub_all(void)
{
	u64 due = DEADLINE_NEVER;
	struct volume *vol;

	mutex_lock(&rounds);
	list_for_each_entry (vol, &volumes, commit_node) {
		if (vol->scrub)
			due = MIN(due, volume_scrub_step(vol, clock_monotonic_ns()));
	}
	mutex_unlock(&rounds);
	return due;
}

static void run_forever(void *arg)
{
	for (;;) {
		u64 due = commit_marked();

		due = MIN(due, scrub_all());
		if (clock_monotonic_ns() < due)
			(void)thread_park(due, false);
	}
}

static int start(void)
{
	int err = 0;

	if (likely(__atomic_load_n(&committer, __ATOMIC_ACQUIRE)))
		return 0;
	mutex_lock(&start_lock);
	if (!committer) {
		struct thread *t = kernel_thread_new("commits", run_forever);

		err = t ? thread_start(t) : -ENOMEM;
		if (!err)
			__atomic_store_n(&committer, t, __ATOMIC_RELEASE);
		else if (t)
			thread_put(t);
	}
	mutex_unlock(&start_lock);
	return err;
}

void volume_changed(struct volume *vol)
{
	if (vol->is_temporary || vol->commits_explicitly ||
	    __atomic_load_n(&vol->is_marked, __ATOMIC_RELAXED))
		return;
	if (start()) /* the next change tries again; fsync and the clean end commit anyway */
		return;
	if (!__atomic_exchange_n(&vol->is_marked, true, __ATOMIC_ACQ_REL))
		thread_unpark(committer);
}

void commit_timer_add(struct volume *vol)
{
	if (vol->scrub_rate)
		vol->scrub = kzalloc(sizeof(*vol->scrub));
	if (vol->scrub)
		vol->scrub->due = clock_monotonic_ns() + SCRUB_BEGINS_NS;
	vol->commit_due = DEADLINE_NEVER;
	mutex_lock(&rounds);
	list_add_tail(&volumes, &vol->commit_node);
	mutex_unlock(&rounds);
	if (vol->scrub)
		(void)start(); /* else the first change does it */
}

void commit_timer_remove(struct volume *vol)
{
	mutex_lock(&rounds);
	list_del(&vol->commit_node);
	mutex_unlock(&rounds);
	kfree(vol->scrub);
	vol->scrub = NULL;
}

void volume_each_scrubbed(void (*fn)(void *arg, const struct volume_scrubbed *s), void *arg)
{
	struct volume *vol;

	mutex_lock(&rounds);
	list_for_each_entry (vol, &volumes, commit_node) {
		struct volume_scrubbed s = {.source = vol->source, .rate = vol->scrub_rate};

		if (!vol->scrub)
			continue;
		s.bytes = vol->scrub->at.blocks * BS_BLOCK;
		s.damaged = vol->scrub->at.damaged;
		s.passes = vol->scrub->at.passes;
		fn(arg, &s);
	}
	mutex_unlock(&rounds);
}
