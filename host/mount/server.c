// SPDX-License-Identifier: Apache-2.0
/*
 * The server's threads: workers that read requests, and one that waits for signals. The kernel
 * holds writes back (write-back cache), so ending is not simply leaving: at a signal it is first
 * made to hand over what it has, while the workers still answer, and then the file system is
 * unmounted. What programs still have open after that gets errors.
 */
#include "host/mount/server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "host/occlum/report.h"

#define WORKERS_MAX 8

static sem_t ended; /* posted by whoever notices the end first, and by everyone after */

struct worker {
	pthread_t thread;
	struct fuse_session *session;
	bool is_done; /* atomic */
};

static void nothing(int number)
{
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct fuse_buf buf = {.mem = NULL};

	while (!fuse_session_exited(w->session)) {
		int n = fuse_session_receive_buf(w->session, &buf);

		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			break;
		fuse_session_process_buf(w->session, &buf);
	}
	fuse_session_exit(w->session);
	sem_post(&ended);
	free(buf.mem);
	__atomic_store_n(&w->is_done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* The kernel's dirty pages come as requests, which the workers answer meanwhile. */
static void hand_over(const struct server *s)
{
	int fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return; /* unmounted by somebody else: it was handed over then */
	if (syncfs(fd) < 0)
		complain_errno(errno, "not everything that was written could be taken over");
	close(fd);
}

static void *wait_for_signal(void *arg)
{
	struct server *s = arg;
	sigset_t set;
	int number;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigwait(&set, &number);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	if (!fuse_session_exited(s->session))
		hand_over(s);
	holes_end(); /* while the workers serve what it waits for */
	fuse_session_exit(s->session);
	sem_post(&ended);
	return NULL;
}

/* A worker may be between its look at the flag and its read: it is woken until it has seen it. */
static void end_workers(struct worker *workers, int count)
{
	struct timespec moment = {.tv_nsec = 2000000};

	for (int i = 0; i < count; i++) {
		while (!__atomic_load_n(&workers[i].is_done, __ATOMIC_ACQUIRE)) {
			pthread_kill(workers[i].thread, SIGUSR1);
			nanosleep(&moment, NULL);
		}
		pthread_join(workers[i].thread, NULL);
	}
}

int server_run(struct server *s)
{
	struct sigaction wake = {.sa_handler = nothing}; /* no SA_RESTART: reads end */
	struct worker workers[WORKERS_MAX] = {0};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int count = (int)MIN(MAX(cpus + 2, 4L), (long)WORKERS_MAX), started = 0;
	pthread_t signals;
	int err;

	sem_init(&ended, 0, 0);
	err = pthread_create(&signals, NULL, wait_for_signal, s);

	if (err)
		return complain_errno(err, "cannot start a thread");
	err = holes_start(s);
	if (err) {
		pthread_cancel(signals);
		pthread_join(signals, NULL);
		return complain_errno(err, "cannot start a thread");
	}
	sigaction(SIGUSR1, &wake, NULL);
	for (; started < count; started++) {
		workers[started].session = s->session;
		err = pthread_create(&workers[started].thread, NULL, work, &workers[started]);
		if (err)
			break;
	}
	if (!started) {
		complain_errno(err, "cannot start a thread");
		fuse_session_exit(s->session);
	} else {
		while (sem_wait(&ended) < 0 && errno == EINTR)
			;
		end_workers(workers, started);
	}
	holes_end(); /* unmounted: whatever it waited for has failed */
	pthread_cancel(signals);
	pthread_join(signals, NULL);
	return started ? 0 : 1;
}
