// SPDX-License-Identifier: Apache-2.0
/*
 * The periodic commit of the kernel (kernel/fs/secvol/commit_timer.c) on threads of the host: what
 * was written without fsync becomes durable about five seconds later.
 */
#include <pthread.h>
#include <time.h>

#include "abi/errno.h"
#include "kernel/fs/secvol/volume_priv.h"

#define INTERVAL_S 5

static pthread_mutex_t rounds = PTHREAD_MUTEX_INITIALIZER;
static struct list_node volumes = LIST_INIT(volumes); /* rounds */
static pthread_mutex_t wake_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static bool is_wanted; /* wake_lock */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void commit_marked(void)
{
	struct volume *vol;

	pthread_mutex_lock(&rounds);
	list_for_each_entry (vol, &volumes, commit_node) {
		int err;

		if (!__atomic_exchange_n(&vol->is_marked, false, __ATOMIC_ACQ_REL) ||
		    !secvol_is_dirty(vol->sv))
			continue;
		err = secvol_commit(vol->sv);
		if (!err) {
			vol->commit_failed = false;
			continue;
		}
		volume_say_uncommitted(vol, err);
		if (err == -ENOSPC || err == -ENOMEM)
			volume_changed(vol); /* it may find room later */
	}
	pthread_mutex_unlock(&rounds);
}

static void *run_forever(void *arg)
{
	struct timespec interval = {.tv_sec = INTERVAL_S};

	for (;;) {
		pthread_mutex_lock(&wake_lock);
		while (!is_wanted)
			pthread_cond_wait(&wake, &wake_lock);
		is_wanted = false;
		pthread_mutex_unlock(&wake_lock);
		nanosleep(&interval, NULL);
		commit_marked();
	}
	return NULL;
}

static void start(void)
{
	pthread_t thread;

	/* Without it fsync and the clean end commit nevertheless. */
	if (pthread_create(&thread, NULL, run_forever, NULL) == 0)
		pthread_detach(thread);
}

void volume_changed(struct volume *vol)
{
	if (__atomic_exchange_n(&vol->is_marked, true, __ATOMIC_ACQ_REL))
		return;
	pthread_once(&once, start);
	pthread_mutex_lock(&wake_lock);
	is_wanted = true;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&wake_lock);
}

void commit_timer_add(struct volume *vol)
{
	pthread_mutex_lock(&rounds);
	list_add_tail(&volumes, &vol->commit_node);
	pthread_mutex_unlock(&rounds);
}

void commit_timer_remove(struct volume *vol)
{
	pthread_mutex_lock(&rounds);
	list_del(&vol->commit_node);
	pthread_mutex_unlock(&rounds);
}
