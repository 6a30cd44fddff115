// SPDX-License-Identifier: Apache-2.0
/*
 * Log, panic and configuration for unit tests: the log goes to a buffer, panic aborts the test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/core/config.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "tests/fakes/fakes.h"

enum log_level log_level = LOG_ERROR;

static char last_log[512];
static struct occlum_config config = {
	.user_space_size = 1ull << 30,
	.kernel_heap_size = 32ull << 20,
	.kernel_stack_size = 64ull << 10,
	.max_threads = 64,
	.default_stack_size = 8ull << 20,
	.default_heap_size = 32ull << 20,
	.default_mmap_size = 512ull << 20,
	.debuggable = true,
	.enable_posix_shm = true,
};

const struct occlum_config *kernel_config(void)
{
	return &config;
}

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_write(enum log_level level, const char *tag, const char *format, ...)
{
	va_list args;

	(void)level;
	(void)tag;
	va_start(args, format);
	vsnprintf(last_log, sizeof(last_log), format, args);
	va_end(args);
}

void log_always(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(last_log, sizeof(last_log), format, args);
	va_end(args);
}

const char *fake_last_log(void)
{
	static char copy[sizeof(last_log)];

	memcpy(copy, last_log, sizeof(copy));
	last_log[0] = '\0';
	return copy;
}

void panic(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "panic: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	abort();
}
