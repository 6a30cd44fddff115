// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's log. Lines go to the host, which shows them on stderr; so they are public. What
 * a caller may write is its own care (no keys, no arguments of programs, no addresses); what is
 * done here: control bytes become escapes, lines are cut at a bound, and the level can only be
 * lowered by the host as far as the measured configuration lets it (boot.c).
 */
#include "kernel/core/log.h"

#include "edge/hostcall_gen.h"
#include "kernel/core/panic.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

#define LINE_MAX 512

enum log_level log_level = LOG_OFF;

void log_set_level(enum log_level level)
{
	log_level = level;
}

/* Escapes in place what could steer a terminal. */
static void clean(char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((u8)line[i] < 0x20 || (u8)line[i] == 0x7f)
			line[i] = '?';
	}
}

static void put(u32 level, char *line, size_t size, int len)
{
	size_t used = MIN((size_t)MAX(len, 0), size - 1);

	clean(line, used);
	host_log(level, line, used);
}

void log_write(enum log_level level, const char *tag, const char *format, ...)
{
	char line[LINE_MAX];
	va_list args;
	int n;

	n = fmt_snprintf(line, sizeof(line), "%s: ", tag);
	va_start(args, format);
	n += fmt_vsnprintf(line + n, sizeof(line) - (size_t)n, format, args);
	va_end(args);
	put(level, line, sizeof(line), n);
}

void log_always(const char *format, ...)
{
	char line[LINE_MAX];
	va_list args;
	int n;

	va_start(args, format);
	n = fmt_vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	put(LOG_OFF, line, sizeof(line), n);
}
