/* SPDX-License-Identifier: Apache-2.0 */
/* execve: what goes on and what does not. The program replaces itself, step by step. */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

static char **self;
static const char *program; /* argv[0] may be a bare name */

static void replace(const char *step, const char *pid)
{
	char *argv[] = {self[0], (char *)step, (char *)pid, NULL};
	char *envp[] = {"ONLY=this", NULL};

	execve(program, argv, envp);
	perror("execve");
	exit(1);
}

static void handler(int signal)
{
	(void)signal;
}

static void *from_thread(void *arg)
{
	replace("second", arg);
	return NULL;
}

static void *spin(void *arg)
{
	for (;;)
		;
	return arg;
}

static void *sleep_long(void *arg)
{
	sleep(1000);
	return arg;
}

static void first(void)
{
	char pid[20], *bad[] = {NULL};
	sigset_t set;
	int kept, gone;
	pthread_t thread;

	CHECK_ERRNO(execve("/does/not/exist", self, environ), ENOENT);
	CHECK_ERRNO(execve("/", self, environ), EACCES);
	CHECK_ERRNO(execve((char *)8, self, environ), EFAULT);
	CHECK_ERRNO(execve(program, (char **)8, environ), EFAULT);
	CHECK_ERRNO(execve("", bad, bad), ENOENT);
	kept = open("/dev/null", O_RDONLY);
	gone = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CHECK(kept == 3 && gone == 4);
	signal(SIGUSR1, handler);
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_SETMASK, &set, NULL);
	kill(getpid(), SIGHUP); /* stays pending for the process */
	prctl(PR_SET_NAME, "old name");
	REQUIRE(check_failures == 0);
	snprintf(pid, sizeof(pid), "%d", getpid());
	/* Others that run, and one that sleeps, end; the one that calls takes the process over. */
	pthread_create(&thread, NULL, spin, NULL);
	pthread_create(&thread, NULL, sleep_long, NULL);
	usleep(10000);
	pthread_create(&thread, NULL, from_thread, pid);
	sleep(100);
	exit(1);
}

static void second(const char *pid)
{
	struct sigaction action;
	sigset_t set;
	char name[16] = "";

	CHECK_EQ(atoi(pid), getpid());
	CHECK_EQ(syscall(SYS_gettid), getpid());
	CHECK(getenv("ONLY") && !strcmp(getenv("ONLY"), "this") && !environ[1]);
	CHECK_EQ(fcntl(3, F_GETFD), 0);
	CHECK_ERRNO(fcntl(4, F_GETFD), EBADF);
	sigaction(SIGUSR1, NULL, &action);
	CHECK(action.sa_handler == SIG_DFL);
	sigaction(SIGUSR2, NULL, &action);
	CHECK(action.sa_handler == SIG_IGN);
	sigprocmask(SIG_SETMASK, NULL, &set);
	CHECK(sigismember(&set, SIGHUP) && !sigismember(&set, SIGINT));
	sigpending(&set);
	CHECK(sigismember(&set, SIGHUP));
	prctl(PR_GET_NAME, name);
	CHECK(strcmp(name, "old name"));
	close(3);
	REQUIRE(check_failures == 0);
	replace("third", pid);
}

int main(int argc, char **argv)
{
	self = argv;
	program = (const char *)getauxval(AT_EXECFN);
	if (argc < 3)
		first();
	if (!strcmp(argv[1], "second"))
		second(argv[2]);
	CHECK_EQ(atoi(argv[2]), getpid());
	return check_failures != 0;
}
