// SPDX-License-Identifier: Apache-2.0
/*
 * Making mappings: where they go, whether they may, and what their pages are at first.
 *
 * Anonymous mappings up to COMMIT_AT_ONCE_MAX get their pages at once, recycled ones zeroed;
 * larger ones and private file mappings start with unreachable pages that populate.c fills on
 * touch. Shared mappings go where their object lies (object.c).
 *
 * MAP_FIXED works over the process's own mappings and over free addresses. What another process
 * owns cannot be had: -ENOMEM, where Linux would succeed (one address space; CAVEATS.md).
 */
#include "abi/errno.h"
#include "abi/mman.h"
#include "kernel/core/config.h"
#include "kernel/core/panic.h"
#include "kernel/mm/family_priv.h"
#include "kernel/mm/kept.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "kernel/vfs/file.h"
#include "lib/base/overflow.h"

#define LOG_TAG "mm"
#include "kernel/core/log.h"

#define MAP_32BIT_LOW  0x40000000ul
#define MAP_32BIT_HIGH 0x80000000ul

#define PROT_KNOWN     (PROT_READ | PROT_WRITE | PROT_EXEC)

/* The addresses that are the mm's without a mapping: the unused part of the heap's reservation. */
static bool in_heap_reservation(const struct mm *mm, u64 start, u64 end)
{
	return start >= mm->brk_start && end <= mm->brk_end;
}

/* Free addresses inside [start, end) end here; 0 when `start` is neither free nor reserved. */
static u64 free_until(struct mm *mm, u64 start, u64 end)
{
	u64 low, high;

	if (start >= mm->brk_start && start < mm->brk_end)
		return MIN(end, mm->brk_end);
	if (zone_next_free(start, &low, &high) && low <= start)
		return MIN(end, high);
	/* What relatives own we may have as well: it is exchanged with the turn. */
	if (mm_has_relatives(mm) && family_covers(mm, start, end, &high))
		return high;
	return 0;
}

/* Calls `step` for each free or reserved piece between the mm's mappings in [start, end). */
static bool for_each_gap(struct mm *mm, u64 start, u64 end,
			 bool (*step)(struct mm *mm, u64 start, u64 end, u64 *ret_until),
			 u64 *ret_stopped)
{
	struct vma *v = vma_find(mm, start);

	for (u64 at = start; at < end;) {
		u64 gap_end = v ? MIN(MAX(v->start, at), end) : end;

		while (at < gap_end) {
			*ret_stopped = at;
			if (!step(mm, at, gap_end, &at))
				return false;
		}
		if (v) {
			at = MAX(at, v->end);
			v = vma_next(v);
		}
	}
	*ret_stopped = end;
	return true;
}

static bool gap_is_available(struct mm *mm, u64 start, u64 end, u64 *ret_until)
{
	*ret_until = free_until(mm, start, end);
	return *ret_until;
}

static bool is_relatives(struct mm *mm, u64 start, u64 end)
{
	u64 until;

	return mm_has_relatives(mm) && family_covers(mm, start, end, &until) && until >= end;
}

static bool gap_take(struct mm *mm, u64 start, u64 end, u64 *ret_until)
{
	u64 until = free_until(mm, start, end);

	if (!until)
		return false;
	if (!in_heap_reservation(mm, start, until) && !zone_take(start, until) &&
	    !is_relatives(mm, start, until))
		return false;
	*ret_until = until;
	return true;
}

static bool gap_release(struct mm *mm, u64 start, u64 end, u64 *ret_until)
{
	mm_free_addresses(mm, start, end);
	*ret_until = end;
	return true;
}

static bool gaps_are_available(struct mm *mm, u64 start, u64 end)
{
	u64 stopped;

	return for_each_gap(mm, start, end, gap_is_available, &stopped);
}

static bool gaps_try_take(struct mm *mm, u64 start, u64 end)
{
	u64 stopped, ignored;

	if (for_each_gap(mm, start, end, gap_take, &stopped))
		return true;
	for_each_gap(mm, start, stopped, gap_release, &ignored);
	return false;
}

static bool gaps_take(struct mm *mm, u64 start, u64 end)
{
	return gaps_try_take(mm, start, end) ||
	       (kept_evict(start, end) && gaps_try_take(mm, start, end));
}

bool mm_has_addresses(u64 start, u64 end)
{
	return start >= zone_start() && end <= zone_end() && start < end;
}

static void gaps_release(struct mm *mm, u64 start, u64 end)
{
	u64 ignored;

	for_each_gap(mm, start, end, gap_release, &ignored);
}

static bool overlaps_mapping(struct mm *mm, u64 start, u64 end)
{
	struct vma *v = vma_find(mm, start);

	return v && v->start < end;
}

static struct vma *find_object_mapping(struct mm *mm, u64 start, u64 end)
{
	struct vma *v = vma_find(mm, start);

	while (v && v->start < end && v->kind != VMA_OBJECT)
		v = vma_next(v);
	return v && v->start < end ? v : NULL;
}

int mm_clear_objects(struct mm *mm, u64 start, u64 end)
{
	struct vma *v;

	while ((v = find_object_mapping(mm, start, end))) {
		int err = mm_unmap_locked(mm, MAX(v->start, start), MIN(v->end, end), false);

		if (err)
			return err;
		/* Addresses are free when the object is gone, which is when its file is closed. */
		mm_unlock(mm);
		mutex_lock(&mm->lock);
	}
	return 0;
}

/* MAP_FIXED: after this the range is ours and empty. Releases mm->lock and takes it again. */
static int place_fixed(struct mm *mm, u64 start, u64 end, u32 flags)
{
	int err;

	if (start < zone_start() || end > zone_end())
		return start < zone_start() ? -EPERM : -ENOMEM;
	if (flags & MAP_FIXED_NOREPLACE) {
		if (overlaps_mapping(mm, start, end))
			return -EEXIST;
		(void)kept_evict(start, end);
		if (!gaps_are_available(mm, start, end))
			return -EEXIST;
	}
	/*
	 * Objects lie at one address for everyone, so their mappings are not replaced in place:
	 * they go, and if they were the last ones the addresses are free.
	 */
	err = mm_clear_objects(mm, start, end);
	if (err)
		return err;
	if (mm_has_relatives(mm)) {
		err = family_preserve(mm, start, end);
		if (err)
			return err;
	}
	if (!gaps_take(mm, start, end)) {
		log_info(
			"A fixed mapping was refused: another process owns part of its addresses.");
		return -ENOMEM;
	}
	err = mm_unmap_locked(mm, start, end, true);
	if (err)
		gaps_release(mm, start, end);
	else if (mm_has_relatives(mm))
		pages_release(start, end); /* what of relatives lay in place has copies now */
	return err;
}

static u64 try_address(const struct map_request *r)
{
	u64 align = MAX(r->align, PAGE_SIZE);

	if (r->within_high)
		return zone_alloc_within(r->size, align, r->within_low, r->within_high);
	if ((r->flags & MAP_32BIT) && zone_start() < MAP_32BIT_LOW)
		return zone_alloc_within(r->size, align, MAP_32BIT_LOW, MAP_32BIT_HIGH);
	/* A hint is taken when it is free; below the movable part only images are welcome. */
	if (r->address >= zone_movable() && r->address < zone_end() &&
	    r->size <= zone_end() - r->address && IS_ALIGNED(r->address, align) &&
	    zone_take(r->address, r->address + r->size))
		return r->address;
	return zone_alloc(r->size, align, r->size <= ZONE_SMALL_MAX ? ZONE_SMALL : ZONE_LARGE);
}

static u64 choose_address(const struct map_request *r)
{
	u64 at = try_address(r);

	return !at && kept_evict(zone_start(), zone_end()) ? try_address(r) : at;
}

/* The first stack is used at once, from its end: the rest waits for a touch. */
static int prepare_stack(struct vma *v)
{
	u64 used = MAX(v->start, ALIGN_DOWN(v->end - 1, COMMIT_STEP));
	int err = pages_hide(v->start, used);

	v->lazy = true;
	return err ? err : pages_commit(used, v->end, v->prot);
}

/* What the pages are at first. */
static int prepare_pages(struct vma *v, bool absent)
{
	if (v->name == VMA_STACK && !absent && v->prot != PROT_NONE)
		return prepare_stack(v);
	if (v->kind == VMA_ANON && !absent && v->prot != PROT_NONE &&
	    vma_size(v) <= COMMIT_AT_ONCE_MAX) {
		v->lazy = false;
		return pages_commit(v->start, v->end, v->prot);
	}
	/* What a former owner left stays until a touch; populate.c and mprotect deal with it. */
	v->lazy = true;
	return pages_hide(v->start, v->end);
}

static void attach(struct vma *v, const struct map_request *r)
{
	v->prot = r->prot;
	v->may = r->may;
	v->name = r->name;
	v->offset = r->offset;
	if (r->object) {
		v->kind = VMA_OBJECT;
		v->object = mem_object_get(r->object);
		v->lazy = true;
	} else if (r->file) {
		v->kind = VMA_FILE;
	}
	/* An object lasts as long as a file that was asked for it is open: kernel/vfs/shared.c. */
	if (r->file)
		v->file = file_get(r->file);
}

static int map_view(struct mm *mm, const struct map_request *r, u64 start, u64 end, u64 offset)
{
	struct vma *v = vma_new(mm, start, end);
	int err;

	if (!v)
		return -ENOMEM;
	attach(v, r);
	v->offset = offset;
	vma_insert(v);
	err = object_protect(v, start, end);
	if (!err)
		return 0;
	vma_remove(v);
	vma_free(v);
	return err;
}

/*
 * Where the process has mapped these pages already, the mappings share the address: one more
 * munmap is then needed until they go.
 */
static int map_views(struct mm *mm, const struct map_request *r, u64 start, u64 end)
{
	u64 at = start;
	int err = vma_split_at(mm, start, end);

	while (!err && at < end) {
		struct vma *v = vma_find(mm, at);
		u64 until = v ? MIN(MAX(v->start, at), end) : end;

		if (at < until) {
			err = map_view(mm, r, at, until, r->offset + (at - start));
		} else {
			until = v->end;
			if (v->extra_views == UINT32_MAX)
				return -ENOMEM;
			v->extra_views++;
			v->prot |= r->prot;
			v->may |= r->may;
			mm_changed(mm);
			err = object_protect(v, at, until);
		}
		if (!err)
			at = until;
	}
	if (err && at > start && mm_unmap_locked(mm, start, at, false))
		log_warn("Part of a shared mapping stays after it failed.");
	return err;
}

static long map_object(struct mm *mm, const struct map_request *r)
{
	bool fixed = r->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	u64 want = 0, base, start, end;
	int err;

	if (fixed && r->address > r->offset)
		want = r->address - r->offset;
	if (check_add_overflow(r->offset, r->size, &end))
		return -EOVERFLOW;
	err = object_place(r->object, want, end, &base);
	if (err)
		return err;
	start = base + r->offset;
	end = start + r->size;
	if (fixed && start != r->address) {
		log_info("A shared mapping was refused: its object lies at another address.");
		return -ENOMEM;
	}
	if (fixed && overlaps_mapping(mm, start, end)) {
		if (r->flags & MAP_FIXED_NOREPLACE)
			return -EEXIST;
		err = mm_unmap_locked(mm, start, end, false);
		if (err)
			return err;
	}
	err = map_views(mm, r, start, end);
	return err ? err : (long)start;
}

long mm_map_locked(struct mm *mm, const struct map_request *r)
{
	bool fixed = r->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	u64 start = r->address;
	struct vma *v, *stubs = NULL;
	int err = 0;

	if (mm_exceeds_limits(mm, r))
		return -ENOMEM;
	if (!r->file && !r->object && (r->prot & PROT_WRITE) && !(r->flags & MAP_NORESERVE) &&
	    r->name != VMA_STACK && pages_can_never_pay(r->size))
		return -ENOMEM;
	if (!list_is_empty(&mm->limbo))
		mm_drain_limbo(mm);
	if (r->object)
		return map_object(mm, r);
	v = vma_new(mm, 0, 0);
	if (!v)
		return -ENOMEM;
	if (fixed)
		err = place_fixed(mm, start, start + r->size, r->flags);
	else
		start = choose_address(r);
	if (err || !start) {
		if (!err)
			pages_log_exhaustion(true, r->size); /* the range grows with the field */
		vma_free(v);
		return err ? err : -ENOMEM;
	}
	v->start = start;
	v->end = start + r->size;
	/* From here on a failure gives the addresses back. */
	attach(v, r);
	if (r->plan && mm->is_loading && mm_is_contested(mm, v->start)) {
		err = text_load_shown(v, r->plan);
		if (!err)
			vma_merge_around(v);
		return err ? err : (long)start;
	}
	/* text_load() waits for the file with pages that no mapping shows: not among relatives. */
	if (r->plan && !in_heap_reservation(mm, v->start, v->end) &&
	    !mm_is_contested(mm, v->start) &&
	    !(mm_has_relatives(mm) && family_covers_any(mm, v->start, v->end)))
		err = text_load(v, r->plan, &stubs);
	else if (r->is_bare)
		v->lazy = true;
	else
		err = prepare_pages(v, r->absent);
	if (err) {
		pages_release(v->start, v->end);
		if (mm_has_relatives(mm) && pages_hide(v->start, v->end))
			panic("the host refuses to take access away");
		mm_free_addresses(mm, v->start, v->end);
		vma_free(v);
		return err;
	}
	if (stubs)
		vma_insert(stubs);
	vma_insert(v);
	vma_merge_around(v);
	kept_record(mm, r, start);
	return start;
}

static int check_flags(u32 flags, const struct file *file)
{
	u32 type = flags & MAP_TYPE;

	if (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (type == MAP_SHARED_VALIDATE && (flags & ~MAP_OF_OLD))
		return -EOPNOTSUPP;
	if (flags & MAP_HUGETLB)
		return -ENOMEM; /* as on a machine that has set none aside */
	if (!file && !(flags & MAP_ANONYMOUS))
		return -EBADF;
	return 0;
}

/* Access of the descriptor and of the mount bound what a mapping may do. */
static int check_file(struct file *file, struct map_request *r)
{
	bool shared = (r->flags & MAP_TYPE) != MAP_PRIVATE;
	struct file_identity id;

	if (!file_is_readable(file))
		return -EACCES;
	r->may = PROT_KNOWN;
	if (shared && !file_is_writable(file))
		r->may &= ~PROT_WRITE;
	file_identity(file, &id);
	if (!id.is_mappable)
		return -ENODEV;
	if (id.is_noexec)
		r->may &= ~PROT_EXEC;
	if (r->prot & ~r->may)
		return (r->prot & ~r->may) & PROT_EXEC ? -EPERM : -EACCES;
	return 0;
}

static int shared_object(struct mm *mm, struct map_request *r, struct mem_object **ret)
{
	u64 end;
	int err;

	if (!r->file) {
		*ret = mem_object_new(r->size);
		r->offset = 0;
		return *ret ? 0 : -ENOMEM;
	}
	if (__builtin_add_overflow(r->offset, r->size, &end))
		return -EOVERFLOW;
	err = file_shared_object(r->file, ret);
	if (!err && !kernel_config()->enable_posix_shm &&
	    object_is_mapped_by_others(*ret, mm, r->prot & PROT_WRITE)) {
		mem_object_put(*ret);
		return -ENODEV;
	}
	/* Asked once the object is held: from then on nobody can seal it against writing. */
	if (err || !file_is_sealed(r->file))
		return err;
	r->may &= ~PROT_WRITE;
	if (!(r->prot & PROT_WRITE))
		return 0;
	mem_object_put(*ret);
	return -EPERM;
}

static long populate_asked(struct mm *mm, const struct map_request *r, long at)
{
	u32 access = r->prot & PROT_WRITE ? PAGE_WRITE : PAGE_READ;

	/* As on Linux, what cannot be filled now is no failure of mmap. */
	if (at > 0 && (r->flags & (MAP_POPULATE | MAP_LOCKED)) && r->prot != PROT_NONE &&
	    mm_populate(mm, at, at + r->size, access))
		log_debug("A mapping could not be filled ahead.");
	return at;
}

/*
 * A private mapping of a file that was kept from the last time. Address, or 0: map it. *ret_begin:
 * and keep it.
 */
static long map_kept(struct mm *mm, const struct map_request *r, struct kept_request *ret_begin)
{
	bool fixed = r->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	struct kept *k;
	long ret = 0;

	*ret_begin = (struct kept_request){0};
	if (fixed) {
		mutex_lock(&mm->lock);
		if (kept_expects(mm, r))
			ret = (long)r->address;
		mm_unlock(mm);
		return ret;
	}
	if (!r->file || r->address || r->offset || r->prot != PROT_READ || (r->flags & MAP_32BIT) ||
	    mm_has_relatives(mm))
		return 0;
	*ret_begin = (struct kept_request){
		.file = r->file,
		.size = r->size,
		.how = r->flags & MAP_DENYWRITE ? KEPT_LOADER : KEPT_PLAIN,
	};
	if (!kept_is_possible(ret_begin)) {
		ret_begin->file = NULL;
		return 0;
	}
	k = kept_take(ret_begin);
	if (!k)
		return 0;
	mutex_lock(&mm->lock);
	ret = kept_attach(mm, k, r->file);
	mm_unlock(mm);
	return ret < 0 ? 0 : ret;
}

/* As it is known which files come and go in the same way, their pages wait for the next time. */
static long map_and_keep(struct mm *mm, const struct map_request *r, const struct kept_request *k)
{
	long ret;

	mutex_lock(&mm->lock);
	ret = mm_map_locked(mm, r);
	if (ret > 0 && k->file)
		kept_begin(mm, k, (u64)ret);
	mm_unlock(mm);
	return ret;
}

long mm_reserve_image(struct mm *mm, struct file *file, u64 address, u64 size, u64 align)
{
	struct kept_request k = {.file = file,
				 .size = ALIGN_UP(size, PAGE_SIZE),
				 .address = address,
				 .how = KEPT_PROGRAM};
	struct map_request r = {.address = address,
				.size = k.size,
				.prot = PROT_NONE,
				.flags = MAP_PRIVATE | MAP_ANONYMOUS |
					 (address ? MAP_FIXED_NOREPLACE : 0),
				.align = align,
				.may = PROT_KNOWN};
	struct kept *image;
	long ret;

	if (size == 0 || size > zone_end() || address > zone_end() - size ||
	    !IS_ALIGNED(address, PAGE_SIZE))
		return -ENOMEM;
	/* Contested addresses are nobody's between two owners. */
	if (!kept_is_possible(&k) || (address && mm_is_contested(mm, address)))
		k.file = NULL;
	image = k.file ? kept_take(&k) : NULL;
	if (!image)
		return map_and_keep(mm, &r, &k);
	mutex_lock(&mm->lock);
	ret = kept_attach(mm, image, file);
	mm_unlock(mm);
	return ret > 0 ? ret : map_and_keep(mm, &r, &k);
}

long mm_mmap(struct mm *mm, u64 address, u64 size, u32 prot, u32 flags, struct file *file,
	     u64 offset)
{
	struct map_request r = {.address = address,
				.prot = prot & PROT_KNOWN,
				.flags = flags,
				.offset = offset,
				.may = PROT_KNOWN};
	struct mem_object *object = NULL;
	struct kept_request keep = {0};
	bool fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	long ret = check_flags(flags, file);

	if (ret)
		return ret;
	if (flags & MAP_ANONYMOUS)
		file = NULL;
	if (size == 0 || !IS_ALIGNED(offset, PAGE_SIZE))
		return -EINVAL;
	if (size > zone_end())
		return -ENOMEM;
	r.size = ALIGN_UP(size, PAGE_SIZE);
	if (file && (offset + r.size < offset || offset + r.size > INT64_MAX))
		return -EOVERFLOW;
	if (fixed && !IS_ALIGNED(address, PAGE_SIZE))
		return -EINVAL;
	if (fixed && (address > zone_end() || r.size > zone_end() - address))
		return -ENOMEM;
	if (!fixed)
		r.address = ALIGN_DOWN(address, PAGE_SIZE);
	r.file = file;
	if (!file)
		r.offset = 0;
	if (file) {
		ret = check_file(file, &r);
		if (ret)
			return ret;
	}
	if ((flags & MAP_TYPE) != MAP_PRIVATE) {
		ret = shared_object(mm, &r, &object);
		if (ret)
			return ret;
		r.object = object;
	} else {
		ret = map_kept(mm, &r, &keep);
		if (ret)
			return populate_asked(mm, &r, ret);
	}
	if (!object && r.file && (r.prot & (PROT_EXEC | PROT_WRITE)) == PROT_EXEC) {
		ret = text_plan_new(r.file, r.offset, r.size, &r.plan);
		/* Without a table sites trap, and work all the same. */
		if (ret && ret != -ENOENT)
			return ret;
	}
	if (r.file && __atomic_load_n(&mm->recording, __ATOMIC_RELAXED))
		r.file_end = file_size(r.file);
	ret = map_and_keep(mm, &r, &keep);
	text_plan_free(r.plan);
	if (object)
		mem_object_put(object);
	return populate_asked(mm, &r, ret);
}

long mm_map_object(struct mm *mm, u64 address, struct mem_object *o, u32 prot, u32 may, u32 flags)
{
	struct map_request r = {.address = address,
				.size = ALIGN_UP(mem_object_size(o), PAGE_SIZE),
				.prot = prot & PROT_KNOWN,
				.flags = flags,
				.may = may & PROT_KNOWN,
				.object = o};
	long ret;

	if (r.size == 0 || ((flags & MAP_FIXED) && !IS_ALIGNED(address, PAGE_SIZE)))
		return -EINVAL;
	mutex_lock(&mm->lock);
	ret = mm_map_locked(mm, &r);
	mm_unlock(mm);
	return ret;
}
