/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a shell does with the terminal, for terminal_test.py: puts jobs into the background and the
 * foreground and tells what happened to them. Ends with "done" when all was as it should be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;
static posix_spawnattr_t job;

static void require(int condition, const char *what)
{
	printf("%s: %s\n", what, condition ? "yes" : "NO");
	if (!condition)
		exit(1);
}

static pid_t start(const char *word)
{
	char *args[] = {"foreground", (char *)word, NULL};
	pid_t pid;

	require(!posix_spawn(&pid, "/proc/self/exe", NULL, &job, args, environ), word);
	return pid;
}

static void prepare(void)
{
	sigset_t handled;

	setvbuf(stdout, NULL, _IONBF, 0);
	signal(SIGTTOU, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	sigemptyset(&handled);
	sigaddset(&handled, SIGINT);
	sigaddset(&handled, SIGTTOU);
	posix_spawnattr_init(&job);
	posix_spawnattr_setflags(&job, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigdefault(&job, &handled);
	posix_spawnattr_setpgroup(&job, 0);
}

static int child(const char *word)
{
	struct termios modes;
	char byte;

	if (!strcmp(word, "reader"))
		return read(0, &byte, 1) != 1;
	if (!strcmp(word, "changer"))
		return tcgetattr(0, &modes) || tcsetattr(0, TCSANOW, &modes);
	printf("waiting for the key\n");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	if (argc > 1)
		return child(argv[1]);
	prepare();
	require(isatty(0) && getpgrp() == tcgetpgrp(0) && getsid(0) == tcgetsid(0), "our terminal");

	pid = start("reader");
	waitpid(pid, &status, WUNTRACED);
	require(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN, "background reader stopped");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);

	pid = start("changer");
	waitpid(pid, &status, WUNTRACED);
	require(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU, "background changer stopped");
	require(!tcsetpgrp(0, pid) && !kill(-pid, SIGCONT), "to the foreground");
	waitpid(pid, &status, 0);
	require(WIFEXITED(status) && !WEXITSTATUS(status), "changer went on");
	require(!tcsetpgrp(0, getpgrp()), "foreground again");

	pid = start("key");
	require(!tcsetpgrp(0, pid) && tcgetpgrp(0) == pid, "job in the foreground");
	waitpid(pid, &status, 0);
	require(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "the key reached the job");
	require(!tcsetpgrp(0, getpgrp()), "the terminal taken back");
	require(tcsetpgrp(0, 999999) == -1 && errno == ESRCH, "no such group");
	printf("done\n");
	return 0;
}
