/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts a program COUNT times in turn and tells what the instance uses before and after:
 *
 *     spawner COUNT PROGRAM [argument...]
 *
 * Exits 1 when memory, threads or descriptors are not where they were after the first hundred.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

extern char **environ;

static int count_entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

struct usage {
	long memory, kernel, processes, descriptors;
};

static long kernel_heap(void)
{
	char line[200];
	long kib = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "KernelHeapInUse: %ld", &kib);
	if (f)
		fclose(f);
	return kib;
}

static void measure(struct usage *u)
{
	struct sysinfo info;

	sysinfo(&info);
	u->memory = (long)((info.totalram - info.freeram) * info.mem_unit >> 10);
	u->kernel = kernel_heap();
	u->processes = info.procs;
	u->descriptors = count_entries("/proc/self/fd");
}

static void spawn_all(int count, char **args)
{
	for (int i = 0; i < count; i++) {
		int status;
		pid_t pid;
		int err = posix_spawn(&pid, args[0], NULL, NULL, args, environ);

		if (err || waitpid(pid, &status, 0) != pid || status) {
			printf("spawn %d failed: %s, status %d\n", i, strerror(err),
			       err ? 0 : status);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	int count = argc > 2 ? atoi(argv[1]) : 0;
	struct usage before, after;

	if (count <= 0)
		return 3;
	spawn_all(count < 100 ? count : 100, argv + 2);
	measure(&before); /* makes what measuring itself needs */
	measure(&before);
	spawn_all(count, argv + 2);
	measure(&after);
	fprintf(stderr,
		"memory %ld %ld KiB, kernel heap %ld %ld KiB, processes %ld %ld, descriptors %ld "
		"%ld\n",
		before.memory, after.memory, before.kernel, after.kernel, before.processes,
		after.processes, before.descriptors, after.descriptors);
	return before.memory != after.memory || before.processes != after.processes ||
	       before.descriptors != after.descriptors;
}
