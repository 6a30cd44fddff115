/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For programs that test system calls. The same binary runs natively and inside; a check that
 * fails is printed with its line and counted, and CHECK_MAIN's exit status says it. Programs start
 * in an empty writable folder natively and may use /tmp everywhere.
 */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int check_failures;

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			int _errno = errno;                                                        \
			printf("%s:%d: %s (errno %d, %s)\n", __FILE__, __LINE__, #condition,       \
			       _errno, strerror(_errno));                                          \
			check_failures++;                                                          \
		}                                                                                  \
	} while (0)

#define CHECK_EQ(a, b)                                                                             \
	do {                                                                                       \
		long long _a = (long long)(a), _b = (long long)(b);                                \
		if (_a != _b) {                                                                    \
			printf("%s:%d: %s is %lld, not %lld (%s)\n", __FILE__, __LINE__, #a, _a,   \
			       _b, strerror(errno));                                               \
			check_failures++;                                                          \
		}                                                                                  \
	} while (0)

/* The call fails with this errno. */
#define CHECK_ERRNO(call, expected)                                                                \
	do {                                                                                       \
		errno = 0;                                                                         \
		long long _r = (long long)(call);                                                  \
		if (_r != -1 || errno != (expected)) {                                             \
			printf("%s:%d: %s gave %lld errno %d (%s), not %s\n", __FILE__, __LINE__,  \
			       #call, _r, errno, strerror(errno), #expected);                      \
			check_failures++;                                                          \
		}                                                                                  \
	} while (0)

/* Ends the program when going on makes no sense. */
#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		CHECK(condition);                                                                  \
		if (check_failures)                                                                \
			exit(1);                                                                   \
	} while (0)

#define CHECK_MAIN(...)                                                                            \
	int main(void)                                                                             \
	{                                                                                          \
		void (*_tests[])(void) = {__VA_ARGS__};                                            \
		for (size_t _i = 0; _i < sizeof(_tests) / sizeof(_tests[0]); _i++)                 \
			_tests[_i]();                                                              \
		if (check_failures)                                                                \
			printf("%d checks failed\n", check_failures);                              \
		return check_failures != 0;                                                        \
	}

static inline void until_state_is_asleep(const char *stat)
{
	char state = 0;

	while (state != 'S') {
		FILE *f = fopen(stat, "r");

		REQUIRE(f && fscanf(f, "%*d (%*[^)]) %c", &state) == 1);
		fclose(f);
		sched_yield();
	}
}

/* Waits until that process sleeps. */
static inline void until_asleep(pid_t pid)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	until_state_is_asleep(path);
}

/* Waits until that thread of this process does. */
static inline void until_thread_asleep(pid_t tid)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	until_state_is_asleep(path);
}

/*
 * A fresh folder below `base`, made current. What runs the test natively says where it may leave
 * files: CHECK_TMP instead of /tmp, CHECK_ROOT instead of /root.
 */
static inline void enter_fresh_folder(const char *base)
{
	const char *given = getenv(strcmp(base, "/tmp") == 0 ? "CHECK_TMP" : "CHECK_ROOT");
	char path[200];

	snprintf(path, sizeof(path), "%s/check-XXXXXX", given ? given : base);
	if (!mkdtemp(path) || chdir(path)) {
		perror(path);
		exit(1);
	}
}
