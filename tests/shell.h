/* SPDX-License-Identifier: Apache-2.0 */
/* Running a line of shell from a test; the text is always the test's own. */
#pragma once

#include <sys/wait.h>
#include <unistd.h>

/* The exit status, or -1. */
static inline int shell_run(const char *line)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", line, (char *)0);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}
