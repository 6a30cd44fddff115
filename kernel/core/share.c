// SPDX-License-Identifier: Apache-2.0
/* The heap's size is asked for once; what is in use of it, whenever something is to be taken. */
#include "kernel/core/share.h"

#include "kernel/core/kmem.h"

static u64 limit_of(struct heap_share *s)
{
	u64 known = __atomic_load_n(&s->limit, __ATOMIC_RELAXED);
	struct kmem_stats heap;

	if (known)
		return known;
	kmem_stats(&heap);
	known = MAX((u64)heap.total / s->divisor, 1ull);
	__atomic_store_n(&s->limit, known, __ATOMIC_RELAXED);
	return known;
}

static bool leaves_reserve(size_t size)
{
	struct kmem_stats heap;

	kmem_stats(&heap);
	return heap.used + size <= heap.total / 8 * 7;
}

bool heap_share_take(struct heap_share *s, size_t size, u32 times)
{
	u64 limit = limit_of(s) * times;

	if (__atomic_add_fetch(&s->used, size, __ATOMIC_RELAXED) <= limit && leaves_reserve(size))
		return true;
	heap_share_give(s, size);
	return false;
}

void heap_share_charge(struct heap_share *s, size_t size)
{
	(void)limit_of(s);
	__atomic_add_fetch(&s->used, size, __ATOMIC_RELAXED);
}

void heap_share_give(struct heap_share *s, size_t size)
{
	__atomic_sub_fetch(&s->used, size, __ATOMIC_RELAXED);
}

void *heap_share_alloc(struct heap_share *s, size_t size, u32 times)
{
	void *p;

	if (!heap_share_take(s, size, times))
		return NULL;
	p = kzalloc(size);
	if (!p)
		heap_share_give(s, size);
	return p;
}

void heap_share_free(struct heap_share *s, void *p, size_t size)
{
	if (!p)
		return;
	heap_share_give(s, size);
	kfree(p);
}
