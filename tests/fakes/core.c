// SPDX-License-Identifier: Apache-2.0
/*
 * kernel/core for unit tests: the heap is malloc() (so that the sanitizers see every block) and
 * can fail on demand, the log goes to a buffer, panic aborts the test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "kernel/core/config.h"
#include "kernel/core/kmem.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/random.h"
#include "tests/fakes/fakes.h"

enum log_level log_level = LOG_ERROR;

static long fail_countdown;
static bool fail_forever;
static long live;
static char last_log[512];
static bool random_fails;
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

void fake_fail_allocation(long n, bool forever)
{
	fail_countdown = n;
	fail_forever = forever;
}

long fake_allocations_live(void)
{
	return __atomic_load_n(&live, __ATOMIC_RELAXED);
}

static bool allocation_fails(void)
{
	if (!fail_countdown)
		return false;
	if (fail_countdown > 1) {
		fail_countdown--;
		return false;
	}
	if (!fail_forever)
		fail_countdown = 0;
	return true;
}

static void *counted(void *p)
{
	if (p)
		__atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
	return p;
}

void *kmalloc(size_t size)
{
	void *p;

	if (allocation_fails())
		return NULL;
	p = counted(malloc(size ? size : 1));
	if (p)
		memset(p, 0xcc, size);
	return p;
}

void *kzalloc(size_t size)
{
	return allocation_fails() ? NULL : counted(calloc(1, size ? size : 1));
}

void *kcalloc(size_t count, size_t size)
{
	return allocation_fails() ? NULL : counted(calloc(count ? count : 1, size ? size : 1));
}

void *krealloc(void *p, size_t size)
{
	if (!p)
		return kmalloc(size);
	return allocation_fails() ? NULL : realloc(p, size ? size : 1);
}

void kfree(void *p)
{
	if (p)
		__atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
	free(p);
}

char *kstrdup(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = kmalloc(size);

	return copy ? memcpy(copy, s, size) : NULL;
}

void *kpages_alloc(size_t count)
{
	void *p;

	if (allocation_fails())
		return NULL;
	p = counted(aligned_alloc(PAGE_SIZE, count * PAGE_SIZE));
	if (p)
		memset(p, 0, count * PAGE_SIZE);
	return p;
}

void kpages_free(void *p, size_t count)
{
	(void)count;
	kfree(p);
}

void kmem_stats(struct kmem_stats *ret)
{
	memset(ret, 0, sizeof(*ret));
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

void fake_fail_random(bool fail)
{
	random_fails = fail;
}

int random_bytes(void *bytes, size_t size)
{
	static u64 state = 0x243f6a8885a308d3ull;
	u8 *p = bytes;

	if (random_fails)
		return -EIO;
	for (size_t i = 0; i < size; i++) {
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		p[i] = (u8)(state >> 56);
	}
	return 0;
}
