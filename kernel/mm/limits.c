// SPDX-License-Identifier: Apache-2.0
/*
 * What a program may map at most: RLIMIT_AS counts all mappings, RLIMIT_DATA private writable ones
 * without the stack, and the heap has the configured size as well until a program sets RLIMIT_DATA.
 * Bytes of data are counted when somebody asks and a limit is set, which is rare: mappings change
 * their protection in many places, and none of these has to keep a sum. All under mm->lock.
 */
#include "abi/mman.h"
#include "kernel/mm/mm_priv.h"

static bool is_data(const struct vma *v)
{
	return (v->prot & PROT_WRITE) && v->kind != VMA_OBJECT && v->name != VMA_STACK;
}

static u64 overlap(const struct vma *v, u64 start, u64 end)
{
	return MIN(v->end, end) - MAX(v->start, start);
}

/* Data when `data`, else what mprotect() could turn into data. */
static u64 bytes_of(struct mm *mm, u64 start, u64 end, bool data)
{
	u64 sum = 0;

	for (struct vma *v = vma_find(mm, start); v && v->start < end; v = vma_next(v)) {
		if (is_data(v) == data && v->kind != VMA_OBJECT && v->name != VMA_STACK)
			sum += overlap(v, start, end);
	}
	return sum;
}

static bool exceeds_data(struct mm *mm, u64 size)
{
	u64 now;

	if (mm->limits.data == UINT64_MAX)
		return false;
	now = bytes_of(mm, 0, UINT64_MAX, true);
	return now > mm->limits.data || size > mm->limits.data - now;
}

static bool exceeds(struct mm *mm, const struct map_request *r, u64 size)
{
	bool data = (r->prot & PROT_WRITE) && !r->object && r->name != VMA_STACK;

	return mm_exceeds_space(mm, size) || (data && exceeds_data(mm, size));
}

bool mm_exceeds_space(struct mm *mm, u64 size)
{
	return mm->mapped > mm->limits.address_space ||
	       size > mm->limits.address_space - mm->mapped;
}

bool mm_exceeds_limits(struct mm *mm, const struct map_request *r)
{
	u64 end = r->address + r->size, going = r->replaces;

	if (mm->vma_count >= MAPPINGS_MAX)
		return true;
	if (!exceeds(mm, r, r->size))
		return false;
	if (r->flags & MAP_FIXED) {
		for (struct vma *v = vma_find(mm, r->address); v && v->start < end; v = vma_next(v))
			going += overlap(v, r->address, end);
	}
	return exceeds(mm, r, r->size - MIN(going, r->size));
}

bool mm_exceeds_data_when_writable(struct mm *mm, u64 start, u64 end)
{
	u64 more;

	if (mm->limits.data == UINT64_MAX)
		return false;
	more = bytes_of(mm, start, end, false);
	return more && exceeds_data(mm, more);
}

void mm_set_limits(struct mm *mm, const struct mm_limits *limits)
{
	mutex_lock(&mm->lock);
	mm->limits = *limits;
	mm_unlock(mm);
}
