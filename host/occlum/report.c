// SPDX-License-Identifier: Apache-2.0
/* Messages of the tools: formatted into one buffer, made harmless, written at once. */
#include "host/occlum/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_SIZE 8192
#define PREFIX_SIZE   96

const char *report_command;
static bool incomplete;

bool report_is_incomplete(void)
{
	return incomplete;
}

static void write_line(int fd, char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		if (c < 0x20 || c == 0x7f)
			line[i] = '?';
	}
	line[len] = '\n';
	if (write(fd, line, len + 1) != (ssize_t)(len + 1) && fd == STDOUT_FILENO)
		incomplete = true;
}

static void say(int fd, const char *prefix, int error, const char *format, va_list args)
{
	char line[LINE_MAX_SIZE];
	size_t room = sizeof(line) - 1, len;
	int n = snprintf(line, room, "%s", prefix);

	len = (size_t)n;
	n = vsnprintf(line + len, room - len, format, args);
	if (n > 0)
		len = MIN(len + (size_t)n, room - 1);
	if (error != 0) {
		n = snprintf(line + len, room - len, ": %s", strerror(error < 0 ? -error : error));
		if (n > 0)
			len = MIN(len + (size_t)n, room - 1);
	}
	write_line(fd, line, len);
}

/* The caller's buffer: threads complain too. */
static const char *prefix_of(const char *kind, char prefix[PREFIX_SIZE])
{
	if (report_command)
		snprintf(prefix, PREFIX_SIZE, "occlum: %s: %s", report_command, kind);
	else
		snprintf(prefix, PREFIX_SIZE, "occlum: %s", kind);
	return prefix;
}

int complain(const char *format, ...)
{
	char prefix[PREFIX_SIZE];
	va_list args;

	va_start(args, format);
	say(STDERR_FILENO, prefix_of("", prefix), 0, format, args);
	va_end(args);
	return 1;
}

int complain_errno(int error, const char *format, ...)
{
	char prefix[PREFIX_SIZE];
	va_list args;

	va_start(args, format);
	say(STDERR_FILENO, prefix_of("", prefix), error, format, args);
	va_end(args);
	return 1;
}

int complain_known(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(STDERR_FILENO, "Error: ", 0, format, args);
	va_end(args);
	return 1;
}

void warn(const char *format, ...)
{
	char prefix[PREFIX_SIZE];
	va_list args;

	va_start(args, format);
	say(STDERR_FILENO, prefix_of("warning: ", prefix), 0, format, args);
	va_end(args);
}

void inform(const char *format, ...)
{
	va_list args;

	/* Lines already in the stream's buffer come first. */
	fflush(stdout);
	va_start(args, format);
	say(STDOUT_FILENO, "", 0, format, args);
	va_end(args);
}
