/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `forks N`: processes that share addresses, while the host interrupts them where it likes. N times
 * a family of a parent and two children whose pages at the same addresses differ, who take turns by
 * way of pipes and of time alone, and then programs started by vfork and exec and by posix_spawn.
 * What each of them computes is known.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS	 (8 * 512) /* 8 pages that are written to by all */
#define CHILDREN 2
#define ROUNDS	 3

static uint64_t words[WORDS];
extern char **environ;

static void fail(const char *what)
{
	fprintf(stderr, "forks: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void fill(uint64_t who)
{
	for (uint64_t i = 0; i < WORDS; i += 64)
		words[i] = who * 0x9e3779b97f4a7c15 + i;
}

static int is_filled(uint64_t who)
{
	for (uint64_t i = 0; i < WORDS; i += 64)
		if (words[i] != who * 0x9e3779b97f4a7c15 + i)
			return 0;
	return 1;
}

/* Vector and general registers at work, so that a switch that loses one of them shows. */
static double compute(uint64_t who)
{
	double x = (double)who;

	for (int i = 0; i < 2000; i++)
		x = x * 0.99991 + 1.0 / (i + 1.0);
	return x;
}

static void child(uint64_t who, int in, int out)
{
	double wanted = compute(who);
	char token;

	for (int i = 0; i < ROUNDS; i++) {
		fill(who + (uint64_t)i);
		if (read(in, &token, 1) != 1 || write(out, &token, 1) != 1)
			_exit(2);
		if (compute(who) != wanted || !is_filled(who + (uint64_t)i))
			_exit(3);
	}
	_exit(0);
}

static void family(uint64_t round)
{
	int to[CHILDREN][2], from[CHILDREN][2], status;
	pid_t pids[CHILDREN];
	char token = 't';

	fill(round);
	for (int c = 0; c < CHILDREN; c++) {
		if (pipe(to[c]) || pipe(from[c]))
			fail("pipe");
		pids[c] = fork();
		if (pids[c] < 0)
			fail("fork");
		if (pids[c] == 0)
			child(round * 100 + 10 * (uint64_t)c + 10, to[c][0], from[c][1]);
	}
	for (int i = 0; i < ROUNDS; i++) {
		for (int c = 0; c < CHILDREN; c++)
			if (write(to[c][1], &token, 1) != 1)
				fail("write");
		(void)compute(round);
		for (int c = 0; c < CHILDREN; c++)
			if (read(from[c][0], &token, 1) != 1)
				fail("read");
		if (!is_filled(round))
			fail("the pages are another's");
	}
	for (int c = 0; c < CHILDREN; c++) {
		if (waitpid(pids[c], &status, 0) != pids[c])
			fail("waitpid");
		if (status) {
			fprintf(stderr, "forks: child %d: status %x\n", c, status);
			exit(1);
		}
		close(to[c][0]);
		close(to[c][1]);
		close(from[c][0]);
		close(from[c][1]);
	}
}

static void started(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		fail("a started program");
}

static void programs(void)
{
	char *argv[] = {"hello", "forked", NULL};
	pid_t pid = vfork();

	if (pid == 0) {
		execv("/bin/hello", argv);
		_exit(127);
	}
	started(pid);
	if (posix_spawn(&pid, "/bin/hello", NULL, NULL, argv, environ))
		fail("posix_spawn");
	started(pid);
	pid = fork();
	if (pid == 0) {
		execv("/bin/hello", argv);
		_exit(127);
	}
	started(pid);
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 1;

	for (long i = 0; i < count; i++) {
		family((uint64_t)i + 1);
		programs();
	}
	puts("forked");
	return 0;
}
