// SPDX-License-Identifier: Apache-2.0
/*
 * Address spaces: birth, death, the heap that brk() moves, and what /proc wants to know.
 *
 * The heap's addresses are reserved when a program starts, up to its limit, because nothing keeps
 * other processes from placing mappings behind it later. Within the reservation brk only makes
 * and removes ordinary mappings.
 */
#include "kernel/mm/mm.h"

#include "abi/errno.h"
#include "abi/mman.h"
#include "edge/enclave.h"
#include "kernel/arch/arch.h"
#include "kernel/core/config.h"
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/mm/family_priv.h"
#include "kernel/mm/kept.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "kernel/vfs/file.h"

#define LOG_TAG "mm"
#include "kernel/core/log.h"

#define HEAP_RESERVE_MAX GIB(1) /* a larger limit grows its reservation when needed */
/*
 * One program's heap reserves at most this part of the free addresses: when many have begun, those
 * that come reserve less than their limit, and grow into what is free behind them then.
 */
#define HEAP_SHARE	 128
#define HEAP_SHARE_MIN	 MIB(1)
/* Programs linked at fixed addresses mostly end below. */
#define FIXED_IMAGES_END MIB(256)

static u64 generations; /* atomic; each mm counts within its own 2^32 */

int mm_init_range(u64 start, u64 end, u64 movable, u64 limit, bool strict, u32 slots)
{
	int err = zone_init(start, end, movable);

	if (!err)
		err = pages_init(start, end, limit, strict);
	kept_init(err || strict ? 0 : limit / 2);
	return err ? err : uaccess_init(slots);
}

void mm_fini(void)
{
	kept_fini();
	fixed_fini();
	uaccess_fini();
	pages_fini();
	zone_fini();
}

void mm_init(void)
{
	const struct occlum_config *config = kernel_config();
	u64 start = user_range_start(), end = user_range_end();

	if (mm_init_range(start, end, enclave_base() + USER_FIXED_END, config->user_space_size,
			  config->strict_memory, config->max_threads + RESERVED_SLOTS))
		panic("the kernel heap is too small for the tables of user memory; raise "
		      "resource_limits.kernel_space_heap_size");
}

struct mm *mm_new(void)
{
	struct mm *mm = kzalloc(sizeof(*mm));

	if (!mm)
		return NULL;
	mm->refs = 1;
	mm->generation = __atomic_add_fetch(&generations, 1, __ATOMIC_RELAXED) << 32;
	mm->limits = (struct mm_limits){UINT64_MAX, UINT64_MAX, UINT64_MAX, false};
	mutex_init(&mm->lock, LOCK_MM);
	list_init(&mm->dead_vmas);
	list_init(&mm->member_node);
	list_init(&mm->limbo);
	list_init(&mm->kept);
	list_init(&mm->dead_patches);
	return mm;
}

struct mm *mm_get(struct mm *mm)
{
	__atomic_add_fetch(&mm->refs, 1, __ATOMIC_RELAXED);
	return mm;
}

void mm_enter(struct mm *mm)
{
	__atomic_add_fetch(&mm->processes, 1, __ATOMIC_ACQ_REL);
}

bool mm_leave(struct mm *mm)
{
	return !__atomic_sub_fetch(&mm->processes, 1, __ATOMIC_ACQ_REL);
}

bool mm_is_shared(struct mm *mm)
{
	return __atomic_load_n(&mm->processes, __ATOMIC_ACQUIRE) > 1;
}

bool mm_is_entered(struct mm *mm)
{
	return __atomic_load_n(&mm->processes, __ATOMIC_ACQUIRE);
}

void mm_release_heap(struct mm *mm)
{
	u64 start = mm->brk_start, end = mm->brk_end;

	if (!end)
		return;
	mm->brk_start = 0;
	mm->brk_end = 0;
	mm->brk = 0;
	mm_free_addresses(mm, start, end);
	zone_unreserve_node();
}

void mm_put(struct mm *mm)
{
	if (!mm || __atomic_sub_fetch(&mm->refs, 1, __ATOMIC_ACQ_REL))
		return;
	mutex_lock(&mm->lock);
	/* Shared mappings may have been made several times over. */
	while (mm->vmas.node) {
		int err = mm_unmap_locked(mm, zone_start(), zone_end(), false);

		BUG_ON(err); /* nothing is cut, so nothing can fail */
	}
	/* No thread uses the mm any more, but a reader of /proc may be about to leave. */
	while (!list_is_empty(&mm->limbo))
		mm_drain_limbo(mm);
	mm_release_heap(mm);
	mm_unlock(mm);
	if (mm->family)
		family_forget(mm);
	kfree(mm);
}

int mm_munmap(struct mm *mm, u64 address, u64 size)
{
	u64 end;
	int err;

	if (!IS_ALIGNED(address, PAGE_SIZE) || size == 0 || size > zone_end() ||
	    address > zone_end() - size)
		return -EINVAL;
	end = address + ALIGN_UP(size, PAGE_SIZE);
	mutex_lock(&mm->lock);
	err = mm_unmap_locked(mm, address, end, false);
	mm_unlock(mm);
	return err;
}

/* --- the heap --- */

/* Free addresses, those of images linked at fixed ones not counted. */
static u64 movable_bytes(void)
{
	u64 free = zone_free_bytes(), low = zone_movable() - zone_start();

	return free > low ? free - low : 0;
}

/*
 * A program linked at fixed addresses, which end at `near`, has its heap in reach of 32 bits like
 * its image if possible. Not right behind it: there it would lie over the images of larger
 * programs, and be exchanged with them whenever the turn moves. (Linux too leaves a gap.)
 */
static int reserve_heap(struct mm *mm, u64 near, u64 size)
{
	u64 start = 0;

	size = MIN(size, MAX(movable_bytes() / HEAP_SHARE, (u64)HEAP_SHARE_MIN));
	size = ALIGN_UP(MIN(MAX(size, PAGE_SIZE), HEAP_RESERVE_MAX), PAGE_SIZE);
	if (near)
		start = zone_alloc_within(size, PAGE_SIZE,
					  MAX(ALIGN_UP(near, PAGE_SIZE), FIXED_IMAGES_END),
					  zone_movable());
	if (!start)
		start = zone_alloc(size, PAGE_SIZE, ZONE_LARGE);
	if (!start)
		return -ENOMEM;
	mm->brk_start = start;
	mm->brk_end = start + size;
	return 0;
}

int mm_set_brk(struct mm *mm, u64 near, u64 room)
{
	int err;

	mutex_lock(&mm->lock);
	BUG_ON(mm->brk_end);
	err = zone_reserve_node();
	if (!err) {
		err = reserve_heap(mm, near, room);
		if (err)
			zone_unreserve_node();
	}
	mm->brk = mm->brk_start;
	mm_unlock(mm);
	return err;
}

/* Most allocators go on with mmap: at the level info, that is for who looks for the reason. */
static void log_heap_limit(struct mm *mm)
{
	if (mm->limit_logged || !mm->limits.heap_is_configured)
		return;
	mm->limit_logged = true;
	log_info("a program's heap may not grow beyond %llu KiB; raise process.default_heap_size",
		 (unsigned long long)(mm->limits.heap >> 10));
}

/* Below its limit: what follows its reservation is taken. */
static void log_heap_room(struct mm *mm)
{
	if (mm->limit_logged)
		return;
	mm->limit_logged = true;
	log_info("a program's heap cannot grow beyond %llu KiB, for other programs have the "
		 "addresses behind it; run fewer at once, or lower process.default_heap_size",
		 (unsigned long long)((mm->brk_end - mm->brk_start) >> 10));
}

static int grow_heap(struct mm *mm, u64 new_break)
{
	struct map_request r = {.prot = PROT_READ | PROT_WRITE,
				.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				.may = PROT_READ | PROT_WRITE | PROT_EXEC,
				.name = VMA_HEAP};
	u64 end = ALIGN_UP(new_break, PAGE_SIZE);
	struct vma *v;
	long ret;

	if (new_break - mm->brk_start > mm->limits.heap) {
		log_heap_limit(mm);
		return -ENOMEM;
	}
	r.address = ALIGN_UP(mm->brk, PAGE_SIZE);
	if (end <= r.address)
		return 0;
	if (end > mm->brk_end) {
		/* The limit was raised, or the reservation was short. */
		if (end > zone_end() || !zone_take(mm->brk_end, end)) {
			log_heap_room(mm);
			return -ENOMEM; /* relatives that have it as well keep it */
		}
		mm->brk_end = end;
	}
	v = vma_find(mm, r.address);
	if (v && v->start < end)
		return -ENOMEM; /* the program has mapped something there */
	r.size = end - r.address;
	ret = mm_map_locked(mm, &r);
	return ret < 0 ? (int)ret : 0;
}

long mm_brk(struct mm *mm, u64 new_break)
{
	u64 old_end, new_end;
	int err = 0;
	long ret;

	mutex_lock(&mm->lock);
	if (new_break >= mm->brk_start && mm->brk_end) {
		old_end = ALIGN_UP(mm->brk, PAGE_SIZE);
		new_end = ALIGN_UP(new_break, PAGE_SIZE);
		if (new_break > mm->brk)
			err = new_break > zone_end() ? -ENOMEM : grow_heap(mm, new_break);
		else if (new_end < old_end)
			err = mm_unmap_locked(mm, new_end, old_end, false);
		if (!err)
			mm->brk = new_break;
	}
	ret = (long)mm->brk;
	mm_unlock(mm);
	return ret;
}

/* --- questions --- */

bool mm_is_private_at(struct mm *mm, u64 address)
{
	struct vma *v;
	bool is_private;

	if (likely(!__atomic_load_n(&mm->family, __ATOMIC_ACQUIRE)))
		return false;
	mutex_lock(&mm->lock);
	v = vma_find(mm, address);
	is_private = v && v->start <= address && v->kind != VMA_OBJECT;
	mm_unlock(mm);
	return is_private;
}

static const char *name_of(const struct vma *v)
{
	switch (v->name) {
	case VMA_HEAP: return "[heap]";
	case VMA_STACK: return "[stack]";
	default: return NULL;
	}
}

int mm_for_each(struct mm *mm, int (*visit)(const struct vma_info *v, void *arg), void *arg)
{
	int ret = 0;

	mutex_lock(&mm->lock);
	for (struct vma *v = vma_of(rb_first(&mm->vmas)); v && !ret; v = vma_next(v)) {
		struct vma_info info = {
			.start = v->start,
			.end = v->end,
			.offset = v->kind == VMA_ANON ? 0 : v->offset,
			.prot = v->prot,
			.flags = v->kind == VMA_OBJECT ? MAP_SHARED : MAP_PRIVATE,
			.file = v->file,
			.name = name_of(v),
			.committed = pages_count_present(v->start, v->end) << PAGE_SHIFT,
		};

		if (!v->file)
			info.flags |= MAP_ANONYMOUS;
		ret = visit(&info, arg);
	}
	mm_unlock(mm);
	return ret;
}

void mm_totals(struct mm *mm, struct mm_totals *ret)
{
	struct mm_totals t = {0};

	mutex_lock(&mm->lock);
	for (struct vma *v = vma_of(rb_first(&mm->vmas)); v; v = vma_next(v)) {
		t.committed += pages_count_present(v->start, v->end) << PAGE_SHIFT;
		if (v->name == VMA_STACK)
			t.stack += vma_size(v);
		if (v->kind == VMA_FILE && (v->prot & PROT_EXEC))
			t.text += vma_size(v);
	}
	t.mapped = mm->mapped;
	t.heap_start = mm->brk_start;
	t.heap_end = mm->brk;
	mm_unlock(mm);
	*ret = t;
}

void mm_system_totals(u64 *ret_total, u64 *ret_free)
{
	u64 used = pages_charged();

	*ret_total = pages_limit();
	*ret_free = used < *ret_total ? *ret_total - used : 0;
}

long mm_read_foreign(struct mm *mm, void *to, u64 address, size_t size)
{
	struct mm *own;
	bool borrowed = turn_borrow(mm, &own);
	size_t done = uaccess_read(mm, to, address, size);

	if (borrowed)
		turn_return(own);
	return done || !size ? (long)done : -EFAULT;
}

static int write_foreign(struct mm *mm, u64 address, const void *from, size_t size)
{
	/* First, because a copy only knows -EFAULT. */
	int err = mm_populate(mm, address, address + size, PAGE_WRITE);

	if (err)
		return err == -EACCES ? -EFAULT : err;
	return uaccess_write(mm, address, from, size);
}

int mm_write_foreign(struct mm *mm, u64 address, const void *from, size_t size)
{
	struct mm *own;
	bool borrowed;
	int err;

	if (address + size < address)
		return -EFAULT;
	borrowed = turn_borrow(mm, &own);
	err = write_foreign(mm, address, from, size);
	if (borrowed)
		turn_return(own);
	return err;
}

/* --- exec --- */

void mm_set_loading(struct mm *mm, bool is_loading)
{
	mm->is_loading = is_loading;
}

long mm_reserve(struct mm *mm, u64 size, u64 align)
{
	struct map_request r = {.size = ALIGN_UP(size, PAGE_SIZE),
				.prot = PROT_NONE,
				.flags = MAP_PRIVATE | MAP_ANONYMOUS,
				.align = align,
				.may = PROT_READ | PROT_WRITE | PROT_EXEC};
	long ret;

	if (size == 0 || size > zone_end())
		return -ENOMEM;
	mutex_lock(&mm->lock);
	ret = mm_map_locked(mm, &r);
	mm_unlock(mm);
	return ret;
}

long mm_map_stack(struct mm *mm, u64 size, u32 prot)
{
	struct map_request all = {.size = ALIGN_UP(size, PAGE_SIZE) + STACK_GUARD,
				  .prot = PROT_NONE,
				  .flags = MAP_PRIVATE | MAP_ANONYMOUS,
				  .may = PROT_READ | PROT_WRITE | PROT_EXEC,
				  .is_bare = true};
	struct map_request r = {.size = ALIGN_UP(size, PAGE_SIZE),
				.prot = prot,
				.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				.may = PROT_READ | PROT_WRITE | PROT_EXEC,
				.name = VMA_STACK};
	long base, ret;
	int err;

	if (size == 0 || size > zone_end() - STACK_GUARD)
		return -ENOMEM;
	mutex_lock(&mm->lock);
	ret = base = mm_map_locked(mm, &all);
	if (base > 0) {
		r.address = (u64)base + STACK_GUARD;
		ret = mm_map_locked(mm, &r);
		/* Only now, so that the pages of the last stack here serve again as they are. */
		err = pages_hide((u64)base, ret > 0 ? r.address : r.address + r.size);
		ret = err ? err : ret;
	}
	mm_unlock(mm);
	return ret < 0 ? ret : ret + (long)r.size;
}
