/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory and string functions. `rep movsb/stosb` are as fast as vector code on the CPUs that have
 * SGX2 (FSRM) and use no vector registers, which kernel code must leave alone.
 */
#include "lib/base/string.h"
#include "abi/errno.h"

#ifdef OCCLUM_FREESTANDING

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
	void *ret = to;

	if (size < 64) {
		u8 *d = to;
		const u8 *s = from;

		for (; size >= 8; size -= 8, d += 8, s += 8)
			__builtin_memcpy(d, s, 8);
		while (size--) {
			*d++ = *s++;
			__asm__ volatile(""
					 :
					 :
					 : "memory"); /* no loop idiom: it would call memcpy */
		}
		return ret;
	}
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
	return ret;
}

void *memmove(void *to, const void *from, size_t size)
{
	u8 *d = to;
	const u8 *s = from;

	if (d <= s || d >= s + size) {
		__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(size) : : "memory");
		return to;
	}
	d += size;
	s += size;
	for (; size >= 8; size -= 8) {
		u64 word;

		d -= 8;
		s -= 8;
		__builtin_memcpy(&word, s, 8);
		__builtin_memcpy(d, &word, 8);
	}
	while (size--) {
		*--d = *--s;
		__asm__ volatile("" : : : "memory");
	}
	return to;
}

void *memset(void *to, int byte, size_t size)
{
	void *ret = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
	return ret;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const u8 *x = a, *y = b;

	for (; size >= 8; size -= 8, x += 8, y += 8) {
		u64 p, q;

		__builtin_memcpy(&p, x, 8);
		__builtin_memcpy(&q, y, 8);
		if (p != q)
			return __builtin_bswap64(p) < __builtin_bswap64(q) ? -1 : 1;
	}
	for (; size; size--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

void *memchr(const void *bytes, int byte, size_t size)
{
	const u8 *p = bytes;

	for (; size; size--, p++) {
		if (*p == (u8)byte)
			return (void *)p;
	}
	return NULL;
}

size_t strlen(const char *s)
{
	size_t len = 0;

	while (s[len]) {
		len++;
		__asm__ volatile("");
	}
	return len;
}

size_t strnlen(const char *s, size_t max)
{
	size_t len = 0;

	while (len < max && s[len])
		len++;
	return len;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t max)
{
	for (; max; max--, a++, b++) {
		if (*a != *b)
			return (u8)*a - (u8)*b;
		if (!*a)
			break;
	}
	return 0;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *found = NULL;

	for (;; s++) {
		if (*s == (char)c)
			found = s;
		if (!*s)
			return (char *)found;
	}
}

char *strstr(const char *s, const char *what)
{
	size_t len = strlen(what);

	for (;; s++) {
		if (strncmp(s, what, len) == 0)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

#endif /* OCCLUM_FREESTANDING */

long str_copy(char *to, const char *from, size_t size)
{
	size_t len;

	if (!size)
		return -E2BIG;
	len = strnlen(from, size);
	if (len == size) {
		memcpy(to, from, size - 1);
		to[size - 1] = '\0';
		return -E2BIG;
	}
	memcpy(to, from, len + 1);
	return (long)len;
}

bool mem_is_zero(const void *bytes, size_t size)
{
	const u8 *p = bytes;
	u64 all = 0;

	for (; size >= 8; size -= 8, p += 8) {
		u64 word;

		__builtin_memcpy(&word, p, 8);
		all |= word;
	}
	while (size--)
		all |= *p++;
	return all == 0;
}

void mem_wipe(void *bytes, size_t size)
{
	memset(bytes, 0, size);
	__asm__ volatile("" : : "r"(bytes) : "memory");
}
