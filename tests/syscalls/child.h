/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Child processes for tests, without fork: the same binary again with a word. A test defines
 * child_main(); what it gets is argv of the child.
 */
#pragma once

#include "check.h"

#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;
static char self[PATH_MAX];

static int child_main(int argc, char **argv);

static inline pid_t spawn_with(const posix_spawnattr_t *attr, const char *what, const char *a,
			       const char *b)
{
	char *args[] = {self, (char *)what, (char *)a, (char *)b, NULL};
	pid_t pid = -1;

	CHECK_EQ(posix_spawn(&pid, self, NULL, attr, args, environ), 0);
	return pid;
}

static inline pid_t spawn(const char *what, const char *a, const char *b)
{
	return spawn_with(NULL, what, a, b);
}

/* In a process group of its own. */
static inline pid_t spawn_group(pid_t group, const char *what, const char *a)
{
	posix_spawnattr_t attr;
	pid_t pid;

	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setpgroup(&attr, group);
	pid = spawn_with(&attr, what, a, NULL);
	posix_spawnattr_destroy(&attr);
	return pid;
}

static inline int wait_status_of(pid_t pid)
{
	int status = -1;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

/* Exit code, or minus the signal. */
static inline int exit_of(pid_t pid)
{
	int status = wait_status_of(pid);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline char *text_of(int n)
{
	static char texts[4][20];
	static int next;

	next = (next + 1) % 4;
	snprintf(texts[next], sizeof(texts[next]), "%d", n);
	return texts[next];
}

#define CHILD_MAIN(...)                                                                            \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		void (*_tests[])(void) = {__VA_ARGS__};                                            \
		readlink("/proc/self/exe", self, sizeof(self) - 1);                                \
		if (argc > 1)                                                                      \
			return child_main(argc, argv);                                             \
		for (size_t _i = 0; _i < sizeof(_tests) / sizeof(_tests[0]); _i++)                 \
			_tests[_i]();                                                              \
		if (check_failures)                                                                \
			printf("%d checks failed\n", check_failures);                              \
		return check_failures != 0;                                                        \
	}
