// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel heap, two layers over one range of pages.
 *
 *   heap:  page descriptors | page 0 | page 1 | ... | high water | never touched
 *
 * Runs of pages: free runs lie in bins by the logarithm of their length, merge with free
 * neighbours (the first and the last descriptor of a run know its length), and are taken lowest
 * fitting bin first. When none fits, the high water mark moves up. What lies above it was never
 * touched: the pages came unmeasured, so they are zeroed as the mark passes them, and an idle
 * instance has no more resident than it needs.
 *
 * Small objects: each page of a size class is cut into objects of one size; free ones form a
 * list inside the page. Pages with free objects are listed per class; an empty page goes back.
 *
 * One spinlock per class and one for the runs; the order is class, then runs.
 */
#include "kernel/core/kmem.h"

#include "kernel/core/kmem_priv.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/sync/spinlock.h"
#include "lib/base/overflow.h"
#include "lib/base/string.h"

#define NONE	    UINT32_MAX
#define BIN_COUNT   20
#define SMALL_MAX   2048u
#define RUN_TRIES   8u
#define OBJECT_NONE 0xffffu

enum page_kind {
	PAGE_UNUSED = 0,
	PAGE_FREE_RUN, /* first and last page of a free run; `run` is its length */
	PAGE_RUN,      /* first page of an allocated run */
	PAGE_SLAB,
};

struct page_info {
	u32 next, prev; /* bin (free run) or class list (slab) */
	union {
		u32 run;
		struct {
			u16 free_head; /* index of the first free object */
			u16 used_count;
		};
	};
	u8 kind;
	u8 class;
	u16 rsv;
};
static_assert(sizeof(struct page_info) == 16, "page_info");

static const u16 class_sizes[] = {16,  32,  48,	 64,  80,  96,	 128,  160, 192,
				  256, 320, 384, 512, 768, 1024, 1344, 2048};
#define CLASS_COUNT ARRAY_SIZE(class_sizes)

struct size_class {
	struct spinlock lock;
	u32 partial; /* pages with a free object; lock */
};

static struct size_class classes[CLASS_COUNT];
static u8 class_of_size[SMALL_MAX / 16 + 1]; /* by size / 16 rounded up */

static struct spinlock run_lock = SPINLOCK_INIT(LOCK_KMEM_RUNS);
static u32 bins[BIN_COUNT]; /* run_lock, as all below */
static struct page_info *pages;
static u8 *page_zero; /* address of page 0 */
static u32 page_count;
static u32 high_water;
static u32 pages_used, pages_peak;
static bool exhaustion_told;

static void *page_address(u32 page)
{
	return page_zero + (u64)page * PAGE_SIZE;
}

static u32 page_of(const void *p)
{
	u64 offset = (u64)p - (u64)page_zero;

	BUG_ON(offset >= (u64)high_water * PAGE_SIZE);
	return (u32)(offset / PAGE_SIZE);
}

void kmem_init(void *heap, size_t size)
{
	u32 total = (u32)(size / PAGE_SIZE);
	u32 table_pages = (u32)((total * sizeof(struct page_info) + PAGE_SIZE - 1) / PAGE_SIZE);
	u32 class = 0;

	pages = heap;
	page_zero = (u8 *)heap + (u64)table_pages * PAGE_SIZE;
	page_count = total - table_pages;
	high_water = pages_used = pages_peak = 0;
	for (u32 i = 0; i < BIN_COUNT; i++)
		bins[i] = NONE;
	for (u32 i = 0; i < CLASS_COUNT; i++) {
		spin_init(&classes[i].lock, LOCK_KMEM);
		classes[i].partial = NONE;
	}
	for (u32 i = 0; i <= SMALL_MAX / 16; i++) {
		if (i * 16 > class_sizes[class])
			class ++;
		class_of_size[i] = (u8) class;
	}
}

/* ---- runs of pages: run_lock is held ---- */

static u32 bin_of(u32 run)
{
	return MIN((u32)(31 - __builtin_clz(run)), BIN_COUNT - 1u);
}

static void free_run_insert(u32 first, u32 run)
{
	u32 bin = bin_of(run), next = bins[bin];

	pages[first] =
		(struct page_info){.next = next, .prev = NONE, .run = run, .kind = PAGE_FREE_RUN};
	if (run > 1)
		pages[first + run - 1] = (struct page_info){.run = run, .kind = PAGE_FREE_RUN};
	if (next != NONE)
		pages[next].prev = first;
	bins[bin] = first;
}

static void free_run_remove(u32 first)
{
	struct page_info *info = &pages[first];
	u32 run = info->run;

	if (info->prev != NONE)
		pages[info->prev].next = info->next;
	else
		bins[bin_of(run)] = info->next;
	if (info->next != NONE)
		pages[info->next].prev = info->prev;
	pages[first + run - 1].kind = PAGE_UNUSED;
	info->kind = PAGE_UNUSED;
}

/* Looks at up to `tries` runs of each bin: in all but the first any will do, which may be long. */
static u32 find_run(u32 count, u32 tries)
{
	for (u32 bin = bin_of(count); bin < BIN_COUNT; bin++) {
		u32 left = tries;

		for (u32 i = bins[bin]; i != NONE && left--; i = pages[i].next) {
			if (pages[i].run >= count)
				return i;
		}
	}
	return NONE;
}

/* Moves the mark up by `count` pages. The pages are zeroed by the caller, outside the lock. */
static u32 extend(u32 count)
{
	u32 first = high_water;

	if (count > page_count - high_water)
		return NONE;
	memset(&pages[first], 0, count * sizeof(pages[0]));
	high_water += count;
	return first;
}

static u32 run_alloc(u32 count, bool *ret_is_new)
{
	u32 first, run;

	spin_lock(&run_lock);
	first = find_run(count, RUN_TRIES);
	*ret_is_new = first == NONE;
	if (first == NONE)
		first = extend(count);
	if (first == NONE) {
		*ret_is_new = false;
		first = find_run(count, UINT32_MAX);
	}
	if (first != NONE && !*ret_is_new) {
		run = pages[first].run;
		free_run_remove(first);
		if (run > count)
			free_run_insert(first + count, run - count);
	}
	if (first != NONE) {
		pages[first].kind = PAGE_RUN;
		pages[first].run = count;
		pages_used += count;
		pages_peak = MAX(pages_peak, pages_used);
	}
	spin_unlock(&run_lock);
	return first;
}

static void run_free(u32 first, u32 count)
{
	spin_lock(&run_lock);
	pages_used -= count;
	if (exhaustion_told && pages_used < page_count / 8 * 7)
		exhaustion_told = false;
	pages[first].kind = PAGE_UNUSED;
	if (first + count < high_water && pages[first + count].kind == PAGE_FREE_RUN) {
		u32 run = pages[first + count].run;

		free_run_remove(first + count);
		count += run;
	}
	if (first > 0 && pages[first - 1].kind == PAGE_FREE_RUN) {
		u32 run = pages[first - 1].run;

		free_run_remove(first - run);
		first -= run;
		count += run;
	}
	free_run_insert(first, count);
	spin_unlock(&run_lock);
}

static void tell_exhaustion(void)
{
	bool told;

	spin_lock(&run_lock);
	told = exhaustion_told;
	exhaustion_told = true;
	spin_unlock(&run_lock);
	if (!told)
		log_always("the kernel's memory is used up; "
			   "raise resource_limits.kernel_space_heap_size in Occlum.json");
}

void *kpages_alloc(size_t count)
{
	bool is_new;
	u32 first;

	if (!count || count > page_count) {
		tell_exhaustion();
		return NULL;
	}
	first = run_alloc((u32)count, &is_new);
	if (first == NONE) {
		tell_exhaustion();
		return NULL;
	}
	memset(page_address(first), 0, count * PAGE_SIZE);
	return page_address(first);
}

void kpages_free(void *p, size_t count)
{
	u32 first;

	if (!p)
		return;
	first = page_of(p);
	BUG_ON(pages[first].kind != PAGE_RUN || pages[first].run != count);
	run_free(first, (u32)count);
}

/* ---- small objects ---- */

static u16 *object_at(u32 page, u32 class, u32 index)
{
	return (u16 *)((u8 *)page_address(page) + index * class_sizes[class]);
}

static u32 objects_per_page(u32 class)
{
	return PAGE_SIZE / class_sizes[class];
}

/* The class lock is held. */
static void partial_insert(u32 class, u32 page)
{
	u32 next = classes[class].partial;

	pages[page].next = next;
	pages[page].prev = NONE;
	if (next != NONE)
		pages[next].prev = page;
	classes[class].partial = page;
}

static void partial_remove(u32 class, u32 page)
{
	struct page_info *info = &pages[page];

	if (info->prev != NONE)
		pages[info->prev].next = info->next;
	else
		classes[class].partial = info->next;
	if (info->next != NONE)
		pages[info->next].prev = info->prev;
}

static u32 slab_new(u32 class)
{
	u32 count = objects_per_page(class);
	bool is_new;
	u32 page = run_alloc(1, &is_new);

	if (page == NONE)
		return NONE;
	if (is_new)
		memset(page_address(page), 0, PAGE_SIZE);
	for (u32 i = 0; i < count; i++)
		*object_at(page, class, i) = (u16)(i + 1 < count ? i + 1 : OBJECT_NONE);
	pages[page].kind = PAGE_SLAB;
	pages[page].class = (u8) class;
	pages[page].free_head = 0;
	pages[page].used_count = 0;
	return page;
}

static void *small_alloc(u32 class)
{
	struct size_class *c = &classes[class];
	struct page_info *info;
	u16 *object;
	u32 page;

	spin_lock(&c->lock);
	page = c->partial;
	if (page == NONE) {
		page = slab_new(class);
		if (page == NONE) {
			spin_unlock(&c->lock);
			tell_exhaustion();
			return NULL;
		}
		partial_insert(class, page);
	}
	info = &pages[page];
	object = object_at(page, class, info->free_head);
	info->free_head = *object;
	info->used_count++;
	if (info->free_head == OBJECT_NONE)
		partial_remove(class, page);
	spin_unlock(&c->lock);
	return object;
}

static void small_free(u32 page, void *p)
{
	struct page_info *info = &pages[page];
	u32 class = info->class;
	u32 offset = (u32)((u64)p & PAGE_MASK_LOW);
	struct size_class *c = &classes[class];
	bool is_empty;

	BUG_ON(offset % class_sizes[class]);
	spin_lock(&c->lock);
	BUG_ON(!info->used_count);
	*(u16 *)p = info->free_head;
	if (info->free_head == OBJECT_NONE)
		partial_insert(class, page);
	info->free_head = (u16)(offset / class_sizes[class]);
	info->used_count--;
	/* The last page of a class with free objects stays: the next allocation is near. */
	is_empty = !info->used_count && (c->partial != page || info->next != NONE);
	if (is_empty)
		partial_remove(class, page);
	spin_unlock(&c->lock);
	if (is_empty)
		run_free(page, 1);
}

void *kmalloc(size_t size)
{
	bool is_new;
	u32 first;

	if (size <= SMALL_MAX)
		return small_alloc(class_of_size[(size + 15) / 16]);
	if (size > (u64)page_count * PAGE_SIZE) {
		tell_exhaustion();
		return NULL;
	}
	first = run_alloc((u32)((size + PAGE_SIZE - 1) / PAGE_SIZE), &is_new);
	if (first == NONE) {
		tell_exhaustion();
		return NULL;
	}
	if (is_new)
		memset(page_address(first), 0, pages[first].run * PAGE_SIZE);
	return page_address(first);
}

void *kzalloc(size_t size)
{
	void *p = kmalloc(size);

	return p ? memset(p, 0, size) : NULL;
}

void *kcalloc(size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		return NULL;
	return kzalloc(total);
}

/* Bytes that the block at `p` can hold. */
static size_t block_size(const void *p)
{
	const struct page_info *info = &pages[page_of(p)];

	if (info->kind == PAGE_SLAB)
		return class_sizes[info->class];
	BUG_ON(info->kind != PAGE_RUN);
	return (size_t)info->run * PAGE_SIZE;
}

void *krealloc(void *p, size_t size)
{
	size_t old = p ? block_size(p) : 0;
	void *copy;

	if (p && size <= old && (size > old / 2 || old <= 64))
		return p;
	copy = kmalloc(size);
	if (!copy)
		return NULL;
	if (p)
		memcpy(copy, p, MIN(old, size));
	kfree(p);
	return copy;
}

void kfree(void *p)
{
	u32 page;

	if (!p)
		return;
	page = page_of(p);
	if (pages[page].kind == PAGE_SLAB) {
		small_free(page, p);
		return;
	}
	BUG_ON(pages[page].kind != PAGE_RUN || !IS_ALIGNED((u64)p, PAGE_SIZE));
	run_free(page, pages[page].run);
}

char *kstrdup(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = kmalloc(size);

	return copy ? memcpy(copy, s, size) : NULL;
}

void kmem_stats(struct kmem_stats *ret)
{
	spin_lock(&run_lock);
	ret->total = (size_t)page_count * PAGE_SIZE;
	ret->used = (size_t)pages_used * PAGE_SIZE;
	ret->peak = (size_t)pages_peak * PAGE_SIZE;
	spin_unlock(&run_lock);
}
