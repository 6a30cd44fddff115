// SPDX-License-Identifier: Apache-2.0
/*
 * A shell puts its terminal's settings back when a signal has ended a job. The shell that started
 * `occlum run` sees it exit with a status, and leaves the terminal as it is; so this is done here.
 */
#include "host/occlum/terminal.h"

#include <termios.h>
#include <unistd.h>

static struct termios saved;
static int terminal = -1;

void terminal_save(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && terminal < 0; fd++) {
		if (tcgetattr(fd, &saved) == 0)
			terminal = fd;
	}
}

/* In the background they are another job's, and Linux would stop us. */
void terminal_restore(void)
{
	if (terminal >= 0 && tcgetpgrp(terminal) == getpgrp())
		tcsetattr(terminal, TCSADRAIN, &saved);
}
