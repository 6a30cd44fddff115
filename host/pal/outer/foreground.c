/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals of the terminal and of the host's users, for the programs inside. They are blocked in
 * every thread; one thread takes them and passes each to the processes that are being executed.
 * While none is, a signal does to the whole host process what it would have done.
 *
 * To the host's shell the instance is one job. The stop key is a signal for the programs inside:
 * when the one that the host started stops by it, the kernel says so (host_job_stopped()) and the
 * whole process stops. What somebody sends with kill is for the instance itself, as are SIGTTIN and
 * SIGTTOU, which the terminal sends while we are in its background: they stop it wherever they
 * arrive. SIGCONT continues all, and is passed on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/pal/outer/pal.h"
#include "include/occlum/occlum_pal_api.h"

#define FOREGROUND_MAX 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int pids[FOREGROUND_MAX]; /* 0: free */
static sigset_t forwarded;	 /* empty: nobody asked for it */

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

struct family {
	int parent, group, session;
};

static bool read_family(int pid, struct family *ret)
{
	char path[40], text[256], *end;
	size_t size;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	size = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[size] = '\0';
	end = strrchr(text, ')'); /* the name in parentheses may hold anything */
	return end && sscanf(end, ") %*c %d %d %d", &ret->parent, &ret->group, &ret->session) == 3;
}

/*
 * The group is not orphaned if one of its members, which we look for among our forebears, has a
 * parent in another group of the session.
 */
bool foreground_has_shell(void)
{
	struct family own, next;
	bool is_near;

	if (!sigismember(&forwarded, SIGTSTP) || !read_family(getpid(), &own))
		return false;
	for (next = own; next.parent > 0 && read_family(next.parent, &next);) {
		is_near = next.session == own.session;
		if (!is_near || next.group != own.group)
			return is_near;
	}
	return false;
}

u64 foreground_stop_signals(void)
{
	static const int signals[] = {SIGTTIN, SIGTTOU};
	struct sigaction action;
	u64 set = 0;

	if (sigisemptyset(&forwarded))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler == SIG_DFL)
			set |= 1ull << (signals[i] - 1);
	}
	return set;
}

int foreground_stop(int sig)
{
	sigset_t one;

	if (sigisemptyset(&forwarded) ||
	    (sig != SIGSTOP && sig != SIGTSTP && sig != SIGTTIN && sig != SIGTTOU))
		return -EINVAL;
	sigemptyset(&one);
	sigaddset(&one, sig);
	raise(sig);
	pthread_sigmask(SIG_UNBLOCK, &one, NULL); /* here we stop */
	pthread_sigmask(SIG_BLOCK, &one, NULL);
	return 0;
}

/* True when that was all. */
static bool control_jobs(int sig, bool is_key)
{
	if (sig == SIGTSTP && !(is_key && forward(sig)))
		foreground_stop(sig);
	if (sig == SIGCONT)
		forward(sig);
	return sig == SIGTSTP || sig == SIGCONT;
}

static void *forwarder_main(void *unused)
{
	siginfo_t info;
	sigset_t one;
	int sig;

	for (;;) {
		sig = sigwaitinfo(&forwarded, &info);
		if (sig < 0 || control_jobs(sig, info.si_code == SI_KERNEL))
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

/*
 * All but those that are about this process: nobody takes KILL and STOP, faults are the enclave's,
 * TTIN and TTOU stop us, CHLD is about our children, and the last real-time signal fetches threads
 * out of the enclave.
 */
static bool is_passed_on(int sig)
{
	switch (sig) {
	case SIGKILL:
	case SIGSTOP:
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGTRAP:
	case SIGSYS:
	case SIGTTIN:
	case SIGTTOU:
	case SIGCHLD: return false;
	default: return sig < SIGSYS || (sig >= SIGRTMIN && sig < SIGRTMAX);
	}
}

int occlum_pal_forward_signals(void)
{
	struct sigaction action;
	sigset_t all, old;
	pthread_t thread;
	int err;

	sigemptyset(&forwarded);
	for (int sig = 1; sig < SIGRTMAX; sig++) {
		/* What our caller ignores (nohup, background jobs) stays ignored. */
		if (is_passed_on(sig) && sigaction(sig, NULL, &action) == 0 &&
		    action.sa_handler != SIG_IGN)
			sigaddset(&forwarded, sig);
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
