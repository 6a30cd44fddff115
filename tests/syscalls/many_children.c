/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thousands of children, by fork and by spawn, leave memory, threads and descriptors where they
 * were. What only the kernel inside counts is compared only there: natively others use the memory
 * too.
 */
#include "check.h"

#include <dirent.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/wait.h>

#ifndef ROUNDS
#define ROUNDS 1000
#endif

enum { WARM_UP = 50, SLACK_KIB = 512 };

extern char **environ;

static unsigned char data[20 * 4096];

/* The number behind `name` in a file of lines; -1: none. */
static long figure(const char *path, const char *name)
{
	char line[256];
	long value = -1;
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			value = strtol(line + strlen(name), NULL, 10);
	if (f)
		fclose(f);
	return value;
}

static int open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int count = 0;

	while (d && readdir(d))
		count++;
	closedir(d);
	return count;
}

static void fork_one(int i)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		for (int k = 0; k < 20; k += 3)
			data[k * 4096 + 1] = i;
		_exit(i & 63);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (i & 63) && !data[1]);
}

static void spawn_one(int i)
{
	char number[16], *argv[] = {"many_children", number, NULL};
	int status;
	pid_t pid;

	snprintf(number, sizeof(number), "%d", i & 63);
	REQUIRE(!posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ));
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (i & 63));
}

static void leave_nothing(void (*one)(int i))
{
	long free_before, held, threads;
	bool inside = figure("/proc/stat", "fork_count ") >= 0;
	int descriptors;

	for (int i = 0; i < WARM_UP; i++)
		one(i);
	free_before = figure("/proc/meminfo", "MemFree:");
	held = figure("/proc/stat", "fork_pages_held ");
	threads = figure("/proc/self/status", "Threads:");
	descriptors = open_descriptors();
	for (int i = 0; i < ROUNDS && !check_failures; i++)
		one(i);
	CHECK_EQ(open_descriptors(), descriptors);
	CHECK_EQ(figure("/proc/self/status", "Threads:"), threads);
	CHECK_EQ(figure("/proc/stat", "fork_pages_held "), held);
	if (inside) {
		CHECK_EQ(held, 0);
		CHECK(figure("/proc/meminfo", "MemFree:") >= free_before - SLACK_KIB);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return atoi(argv[1]);
	leave_nothing(fork_one);
	leave_nothing(spawn_one);
	CHECK_EQ(waitpid(-1, NULL, 0), -1);
	return check_failures ? 1 : 0;
}
