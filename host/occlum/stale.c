// SPDX-License-Identifier: Apache-2.0
/*
 * Says when the enclave is not made of what lies in the instance now. That takes a look at every
 * file of image/, since a file written in place leaves no trace in its folder: tens of milliseconds
 * for ten thousand files, seconds where the disk has to be asked. So a thread looks, and the
 * enclave starts meanwhile. Nothing but the warning hangs on it: the enclave itself knows what it
 * is made of.
 */
#include "host/occlum/stale.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/occlum/build.h"
#include "host/occlum/file.h"
#include "host/occlum/instance.h"
#include "host/occlum/report.h"
#include "lib/crypto/sha256.h"

/* Usual images are done within it, and then the warning comes before the program's first word. */
#define START_WAIT_NS (2 * 1000 * 1000)
#define END_WAIT_S    1

static pthread_t watcher;
static bool watching;

static void add_word(char *list, size_t size, const char *word)
{
	size_t len = strlen(list);

	snprintf(list + len, size - len, "%s%s", len ? ", " : "", word);
}

static void warn_if_stale(void)
{
	struct build_stamp stamp;
	char list[64] = "";
	u8 digest[32];
	char *text;
	size_t size;

	if (!stamp_read(&stamp, INSTANCE_STAMP))
		return;
	if (file_read(INSTANCE_SETTINGS, INSTANCE_SETTINGS_MAX, &text, &size) == 0) {
		sha256(text, size, digest);
		free(text);
		if (memcmp(digest, stamp.settings, 32) != 0)
			add_word(list, sizeof(list), INSTANCE_SETTINGS);
	}
	/* A packed instance has no image/ any more; that is no change. */
	if (dir_exists("image") && tree_look("image", digest) == 0 &&
	    memcmp(digest, stamp.image_look, 32) != 0)
		add_word(list, sizeof(list), "image");
	if (dir_exists("initfs") && tree_look("initfs", digest) == 0 &&
	    memcmp(digest, stamp.initfs_look, 32) != 0)
		add_word(list, sizeof(list), "initfs");
	if (list[0])
		warn("changed since the last `occlum build`: %s; running what was built then",
		     list);
}

static void *watcher_main(void *unused)
{
	warn_if_stale();
	return NULL;
}

/* The thread is done, or the time is over. */
static void wait_for_watcher(time_t seconds, long nanoseconds)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	until.tv_nsec += nanoseconds;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	if (pthread_clockjoin_np(watcher, NULL, CLOCK_MONOTONIC, &until) == 0)
		watching = false;
}

void stale_watch(void)
{
	sigset_t all, old;

	/* Signals belong to the program. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	watching = pthread_create(&watcher, NULL, watcher_main, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (watching)
		wait_for_watcher(0, START_WAIT_NS);
	else
		warn_if_stale();
}

void stale_watch_finish(void)
{
	if (watching)
		wait_for_watcher(END_WAIT_S, 0);
}
