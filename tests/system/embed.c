/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that embeds libocclum-pal.so without standard streams: embed RESULT CLOSE. CLOSE is
 * "before" or "after" occlum_pal_init(). Writes the exit status of each program that it ran into
 * RESULT.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "include/occlum/occlum_pal_api.h"

static void close_streams(void)
{
	for (int fd = 0; fd < 3; fd++)
		close(fd);
}

/* -1: it could not be run. */
static int run(const char *const *argv)
{
	int pid = 0, status = -1;
	struct occlum_pal_create_process_args create = {
		.path = "/bin/busybox", .argv = (const char **)argv, .pid = &pid};
	struct occlum_pal_exec_args exec = {.pid = 0, .exit_value = &status};

	if (occlum_pal_create_process(&create) < 0)
		return -1;
	exec.pid = pid;
	if (occlum_pal_exec(&exec) < 0)
		return -1;
	return status >> 8 & 0xff;
}

int main(int argc, char **argv)
{
	static const char *const programs[][6] = {
		{"busybox", "true"},
		{"busybox", "cat"},		   /* nothing is to be read */
		{"busybox", "echo", "into what?"}, /* nor written */
		{"busybox", "cat", "/host/shown"}, /* a file that is opened now is no stream */
		{"busybox", "cp", "/host/shown", "/host/copied"},
	};
	struct occlum_pal_attr attr = OCCLUM_PAL_ATTR_INITVAL;
	FILE *result;
	int fd;

	if (argc != 3)
		return 2;
	fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	result = fd < 0 ? NULL : fdopen(fcntl(fd, F_DUPFD_CLOEXEC, 10), "w");
	if (!result)
		return 2;
	close(fd);
	if (strcmp(argv[2], "before") == 0)
		close_streams();
	if (occlum_pal_init(&attr) < 0)
		return 3;
	close_streams();
	for (unsigned i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		fprintf(result, "%d\n", run(programs[i]));
	if (fclose(result) != 0)
		return 2;
	return occlum_pal_destroy() < 0 ? 4 : 0;
}
