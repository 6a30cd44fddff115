// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel heap for unit tests: malloc(), so that the sanitizers see every block; it counts what
 * is live and fails on demand.
 */
#include "kernel/core/kmem.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fakes/fakes.h"

static long fail_countdown;
static bool fail_forever;
static long live;

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
	*ret = (struct kmem_stats){.total = GIB(1)}; /* nearly empty */
}
