/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's log: whole sentences to the host's stderr, never keys, never raw addresses. The
 * measured configuration clamps what the host may ask for. Each file that logs defines LOG_TAG
 * before including this.
 */
#pragma once

#include "lib/base/types.h"

enum log_level {
	LOG_OFF = 0,
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
	LOG_TRACE,
};

extern enum log_level log_level; /* set once at boot */

void log_set_level(enum log_level level);
void log_write(enum log_level level, const char *tag, const char *format, ...) __printf(3, 4);

/* For what an operator must see even with the log off: refusal to boot, exhausted limits. */
void log_always(const char *format, ...) __printf(1, 2);

#define log_at(level, ...)                                                                         \
	do {                                                                                       \
		if (unlikely((level) <= log_level))                                                \
			log_write(level, LOG_TAG, __VA_ARGS__);                                    \
	} while (0)
#define log_err(...)   log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_trace(...) log_at(LOG_TRACE, __VA_ARGS__)
