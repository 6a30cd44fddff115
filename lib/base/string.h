/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory and string functions. In host builds the C library's serve; in freestanding builds
 * string.c defines the same names.
 */
#pragma once

#include "lib/base/types.h"

#ifndef OCCLUM_FREESTANDING
#include <string.h>
#else
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
void *memchr(const void *bytes, int byte, size_t size);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t max);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *what);
#endif

/*
 * Copies `from` into `to` of `size` bytes and always terminates it. Returns the length, or
 * -E2BIG when it did not fit (`to` then holds what fitted).
 */
long str_copy(char *to, const char *from, size_t size);

static inline bool str_equal(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static inline bool str_has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* True when all `size` bytes are zero. */
bool mem_is_zero(const void *bytes, size_t size);

/* Overwrites memory that held a secret; the compiler may not drop it. */
void mem_wipe(void *bytes, size_t size);
