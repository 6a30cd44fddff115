/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals of the terminal and of the host's users, for the programs inside. The five signals are
 * blocked in every thread; one thread takes them and passes each to the processes that are being
 * executed. While none is, a signal does to the whole host process what it would have done.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "host/pal/outer/pal.h"
#include "include/occlum/occlum_pal_api.h"

#define FOREGROUND_MAX 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int pids[FOREGROUND_MAX]; /* 0: free */
static sigset_t forwarded;

void foreground_add(int pid)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < FOREGROUND_MAX; i++) {
		if (pids[i] == 0) {
			pids[i] = pid;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
}

void foreground_remove(int pid)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < FOREGROUND_MAX; i++) {
		if (pids[i] == pid)
			pids[i] = 0;
	}
	pthread_mutex_unlock(&lock);
}

/* True when somebody got it. */
static bool forward(int sig)
{
	int copy[FOREGROUND_MAX];
	bool sent = false;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < FOREGROUND_MAX; i++)
		copy[i] = pids[i];
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < FOREGROUND_MAX; i++) {
		if (copy[i] && pal_send_signal(copy[i], sig) == 0)
			sent = true;
	}
	return sent;
}

static void *forwarder_main(void *unused)
{
	sigset_t one;
	int sig;

	for (;;) {
		if (sigwait(&forwarded, &sig) != 0)
			continue;
		if (forward(sig) || sig == SIGWINCH)
			continue;
		sigemptyset(&one);
		sigaddset(&one, sig);
		signal(sig, SIG_DFL);
		raise(sig);
		pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	}
	return NULL;
}

int occlum_pal_forward_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};
	struct sigaction action;
	sigset_t all, old;
	pthread_t thread;
	int err;

	sigemptyset(&forwarded);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		/* What our caller ignores (nohup, background jobs) stays ignored. */
		if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(&forwarded, signals[i]);
	}
	pthread_sigmask(SIG_BLOCK, &forwarded, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&thread, NULL, forwarder_main, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		errno = err;
		return -1;
	}
	pthread_detach(thread);
	return 0;
}
