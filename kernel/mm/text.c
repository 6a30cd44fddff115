// SPDX-License-Identifier: Apache-2.0
/*
 * Text with known call sites. `occlum build` has written down where the `syscall` and `cpuid`
 * instructions of a file are; here an executable mapping of such a file is filled as a whole,
 * its sites are rewritten into jumps to stubs (kernel/arch/patch.h), and only then does it become
 * executable and part of the address space. So no thread ever sees text that changes.
 *
 * The stubs are a mapping of their own near the text. They live as long as any piece of it:
 * pieces share a struct text_patch; when the last one goes, the stubs are unmapped too, by
 * text_collect() because that happens in the middle of a walk over the mappings.
 *
 * Files without a table (written later, or on another file system) work as well: their sites trap.
 */
#include "abi/errno.h"
#include "abi/mman.h"
#include "kernel/arch/commit.h"
#include "kernel/arch/patch.h"
#include "kernel/core/kmem.h"
#include "kernel/mm/family_priv.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "kernel/vfs/file.h"
#include "lib/base/cursor.h"
#include "lib/base/overflow.h"
#include "lib/base/string.h"
#include "lib/secvol/sites_format.h"

#define LOG_TAG "mm"
#include "kernel/core/log.h"

#define STUB_REACH	   GIB(1)
#define SITE_ITEM_SIZE	   8
#define SITES_PER_FILE_MAX (1u << 20)

struct text_patch {
	u32 refs;	       /* mm->lock */
	struct list_node node; /* mm->dead_patches */
	struct mm *mm;
	u64 stubs; /* address of the mapping of stubs */
	/* During fork: the child's, and the child. Not looked at later. */
	struct text_patch *copy;
	u64 copy_of; /* what is unique in its generation */
};

/* --- the table --- */

static void plan_add(struct text_plan *plan, u64 at, u8 kind, u8 len)
{
	struct patch_site s = {.address = at};

	switch (kind) {
	case SITE_SYSCALL_A:
		s.class = PATCH_A;
		s.head = len;
		break;
	case SITE_SYSCALL_P:
	case SITE_SYSCALL_P_ONCE:
		/* A signal inside the moved bytes goes on in the stub: nothing runs twice. */
		s.class = PATCH_P;
		s.head = len;
		break;
	case SITE_SYSCALL_B:
		s.class = PATCH_B;
		s.pad = (s8)((s8)len + 2);
		break;
	case SITE_SYSCALL_C:
		s.class = PATCH_C;
		s.tail = len;
		break;
	case SITE_SYSCALL_J:
		s.class = PATCH_J;
		s.head = len;
		break;
	case SITE_CPUID:
		s.class = len && len <= SITE_RELOCATE_MAX_CPUID ? PATCH_CPUID_C : PATCH_CPUID_INT3;
		s.tail = s.class == PATCH_CPUID_C ? len : 0;
		break;
	case SITE_CPUID_P:
		s.class = PATCH_CPUID_P;
		s.head = len;
		break;
	default: return; /* traps; rdtsc needs no patch where the program may use it */
	}
	plan->sites[plan->count++] = s;
}

/* The bytes a patch of this site covers lie within the mapping: [0, size). */
static bool site_is_inside(u64 at, u8 kind, u8 len, u64 size)
{
	u64 before = 0, after = 2;

	switch (kind) {
	case SITE_SYSCALL_A:
	case SITE_SYSCALL_P:
	case SITE_SYSCALL_P_ONCE:
	case SITE_CPUID_P: before = len; break;
	case SITE_SYSCALL_B:
		if ((s8)len > 120)
			return false;
		before = (s8)len < 0 ? (u64)(-(s8)len) : 0;
		after = (s8)len < 0 ? 2 : (u64)len + 2 + 5;
		break;
	case SITE_CPUID:
	case SITE_SYSCALL_C: after = 2 + len; break;
	case SITE_SYSCALL_J:
		before = len;
		after = 4; /* a short jump at least; patch_apply() looks at it */
		break;
	default: break;
	}
	return at >= before && range_within(at, after, size);
}

static int plan_read(const struct file_sites *table, u64 offset, u64 size, struct text_plan *plan)
{
	struct cursor c = cursor_of(table->bytes, table->size);
	u64 last = 0;

	while (cursor_left(&c)) {
		u64 at = (u64)cursor_le16(&c) | (u64)cursor_le32(&c) << 16;
		u8 kind = cursor_u8(&c), len = cursor_u8(&c);

		if (!cursor_is_ok(&c) || (at <= last && last) || !site_insn_size(kind) ||
		    !site_is_possible(at, kind, len))
			return -EUCLEAN;
		last = at;
		if (at < offset || at - offset >= size ||
		    !site_is_inside(at - offset, kind, len, size))
			continue;
		plan_add(plan, at - offset, kind, len);
	}
	return cursor_is_done(&c) ? 0 : -EUCLEAN;
}

int text_plan_new(struct file *file, u64 offset, u64 size, struct text_plan **ret)
{
	struct file_sites table = {0};
	struct text_plan *plan = NULL;
	size_t count;
	int err = file_sites(file, &table);

	if (err)
		return err;
	if (!table.bytes || !table.size) {
		kfree(table.bytes);
		return -ENOENT;
	}
	count = table.size / SITE_ITEM_SIZE;
	if (count <= SITES_PER_FILE_MAX)
		plan = kzalloc(sizeof(*plan));
	if (plan)
		plan->sites = kcalloc(count, sizeof(*plan->sites));
	if (plan && plan->sites)
		err = plan_read(&table, offset, size, plan);
	else
		err = -ENOENT; /* no memory for it: sites trap */
	kfree(table.bytes);
	if (!err && !plan->count)
		err = -ENOENT;
	if (err) {
		text_plan_free(plan);
		return err;
	}
	plan->area_size = patch_area_size(plan->sites, plan->count);
	*ret = plan;
	return 0;
}

void text_plan_free(struct text_plan *plan)
{
	if (!plan)
		return;
	kfree(plan->sites);
	kfree(plan);
}

/* --- stubs --- */

static u64 place_stubs(u64 start, u64 end, u64 size)
{
	u64 low = end > STUB_REACH + zone_start() ? end - STUB_REACH : zone_start();
	u64 high = MIN(start + STUB_REACH, zone_end());
	u64 at;

	/* Behind the text if possible, so that the fixed part stays free for images. */
	at = zone_alloc_within(size, PAGE_SIZE, end, high);
	if (!at && start >= zone_movable())
		low = MAX(low, zone_movable());
	return at ? at : zone_alloc_within(size, PAGE_SIZE, low, high);
}

/* A mapping of stubs near [start, end), writable and not in the tree yet. */
static int stubs_new(struct mm *mm, u64 start, u64 end, u64 size, struct vma **ret)
{
	struct vma *v = vma_new(mm, 0, 0);
	int err;

	if (!v)
		return -ENOMEM;
	v->start = place_stubs(start, end, size);
	if (!v->start) {
		vma_free(v);
		return -ENOMEM;
	}
	v->end = v->start + size;
	v->prot = PROT_READ | PROT_EXEC;
	v->may = PROT_READ | PROT_EXEC;
	v->name = VMA_STUBS;
	err = pages_commit(v->start, v->end, PROT_READ | PROT_WRITE);
	if (err) {
		zone_free(v->start, v->end);
		vma_free(v);
		return err;
	}
	*ret = v;
	return 0;
}

static void stubs_drop(struct vma *v)
{
	pages_release(v->start, v->end);
	zone_free(v->start, v->end);
	vma_free(v);
}

int mm_stub_area(struct mm *mm, u64 near_start, u64 near_end, u64 size, u64 *ret_address)
{
	struct vma *v;
	int err;

	size = ALIGN_UP(size, PAGE_SIZE);
	mutex_lock(&mm->lock);
	/* Relatives that run the same text in place would have no stubs: it goes on trapping. */
	if (family_is_own(mm, near_start, near_end))
		err = stubs_new(mm, near_start, near_end, size, &v);
	else
		err = -ENOMEM;
	if (!err) {
		err = pages_protect(v->start, v->end, v->prot);
		if (err) {
			stubs_drop(v);
		} else {
			vma_insert(v);
			*ret_address = v->start;
		}
	}
	mm_unlock(mm);
	return err;
}

static bool is_text_locked(struct mm *mm, u64 address, u64 size)
{
	struct vma *v = vma_find(mm, address);

	return v && v->start <= address && range_within(address - v->start, size, vma_size(v)) &&
	       (v->prot & PROT_EXEC) && !(v->prot & PROT_WRITE) &&
	       (v->kind == VMA_FILE || v->name == VMA_STUBS);
}

bool mm_is_text(struct mm *mm, u64 address, u64 size)
{
	bool is_text;

	mutex_lock(&mm->lock);
	is_text = is_text_locked(mm, address, size);
	mm_unlock(mm);
	return is_text;
}

int mm_patch_text(struct mm *mm, u64 address, const void *old, const void *bytes, size_t size)
{
	int err = -EFAULT;

	mutex_lock(&mm->lock);
	if (family_is_own(mm, address, address + size) && is_text_locked(mm, address, size) &&
	    pages_accessible(address, size, PAGE_READ) &&
	    (!old || memcmp((const void *)address, old, size) == 0)) {
		vma_find(mm, address)->kept = 0;
		err = commit_patch(address, bytes, size);
	}
	mm_unlock(mm);
	return err;
}

/* --- loading --- */

/* The pages of [start, end) that the file has, patched and executable. */
static int fill_text(struct vma *v, struct text_plan *plan, struct vma *stubs)
{
	u64 size = vma_size(v), full;
	size_t valid, patched;
	int err = pages_open(v->start, v->end);

	if (err)
		return err;
	err = read_file(v->file, (void *)v->start, size, v->offset, &valid);
	if (err)
		return err;
	for (size_t i = 0; i < plan->count; i++)
		plan->sites[i].address += v->start;
	patched = patch_apply(plan->sites, plan->count, v->start, valid, stubs ? stubs->start : 0,
			      stubs ? vma_size(stubs) : 0);
	log_debug("Patched %zu of %zu call sites.", patched, plan->count);
	if (stubs) {
		err = pages_protect(stubs->start, stubs->end, stubs->prot);
		if (err)
			return err;
	}
	/* Pages behind the end of the file stay absent: touching them is an error. */
	full = v->start + ALIGN_UP(valid, PAGE_SIZE);
	v->lazy = full < v->end;
	if (v->lazy) {
		pages_release(full, v->end);
		err = pages_clean(full, v->end);
		if (err)
			return err;
	}
	return full > v->start ? pages_close(v->start, full, v->prot) : 0;
}

int text_load(struct vma *v, struct text_plan *plan, struct vma **ret_stubs)
{
	struct mm *mm = v->mm;
	struct vma *stubs = NULL;
	struct text_patch *patch = NULL;
	int err;

	if (plan->area_size) {
		patch = kzalloc(sizeof(*patch));
		if (!patch || stubs_new(mm, v->start, v->end, plan->area_size, &stubs))
			log_info("No room for stubs beside a program's text: its calls trap.");
	}
	mm_unlock(mm);
	err = fill_text(v, plan, stubs);
	mutex_lock(&mm->lock);
	if (err) {
		patch_forget(v->start, vma_size(v));
		if (stubs)
			stubs_drop(stubs);
		kfree(patch);
		return err;
	}
	if (stubs) {
		*patch = (struct text_patch){.refs = 1, .mm = mm, .stubs = stubs->start};
		v->patch = patch;
		*ret_stubs = stubs;
	} else {
		kfree(patch);
	}
	return 0;
}

/* The thread's turn may pass while the file is read, so nothing reads right into the pages. */
static int read_shown(struct vma *v, size_t *ret_valid)
{
	u64 size = vma_size(v);
	u8 *buf = kmalloc(FILL_STEP);
	size_t part = 0;
	int err = buf ? 0 : -ENOMEM;

	*ret_valid = 0;
	for (u64 at = 0; !err && at < size && *ret_valid == at; at += FILL_STEP) {
		err = read_file(v->file, buf, MIN(size - at, FILL_STEP), v->offset + at, &part);
		if (err)
			break;
		memcpy((void *)(v->start + at), buf, part);
		*ret_valid += part;
	}
	kfree(buf);
	return err;
}

/* mm->lock is not held: nobody else maps or unmaps while exec loads. */
static int fill_shown(struct vma *v, struct text_plan *plan, struct vma *stubs)
{
	size_t valid;
	u64 full;
	int err = read_shown(v, &valid);

	if (err)
		return err;
	for (size_t i = 0; i < plan->count; i++)
		plan->sites[i].address += v->start;
	(void)patch_apply(plan->sites, plan->count, v->start, valid, stubs ? stubs->start : 0,
			  stubs ? vma_size(stubs) : 0);
	if (stubs)
		err = pages_protect(stubs->start, stubs->end, stubs->prot);
	full = v->start + ALIGN_UP(valid, PAGE_SIZE);
	v->lazy = full < v->end;
	if (!err && v->lazy)
		err = pages_drop(full, v->end);
	return err ? err : pages_protect(v->start, full, v->prot);
}

int text_load_shown(struct vma *v, struct text_plan *plan)
{
	struct mm *mm = v->mm;
	struct vma *stubs = NULL;
	int err;

	v->lazy = true;
	vma_insert(v);
	err = pages_commit(v->start, v->end, PROT_READ | PROT_WRITE);
	if (err)
		return err;
	if (plan->area_size && stubs_new(mm, v->start, v->end, plan->area_size, &stubs))
		log_info("No room for stubs beside a program's text: its calls trap.");
	if (stubs) {
		v->patch = text_patch_new(mm, stubs->start);
		vma_insert(stubs);
		if (!v->patch)
			return -ENOMEM;
	}
	mm_unlock(mm);
	err = fill_shown(v, plan, stubs);
	mutex_lock(&mm->lock);
	return err;
}

/* --- the end of it --- */

struct text_patch *text_patch_new(struct mm *mm, u64 stubs)
{
	struct text_patch *p = kzalloc(sizeof(*p));

	if (p)
		*p = (struct text_patch){.refs = 1, .mm = mm, .stubs = stubs};
	return p;
}

u64 text_patch_stubs(const struct text_patch *p)
{
	return p->stubs;
}

void text_patch_keep_stubs(struct text_patch *p)
{
	p->stubs = 0;
}

struct text_patch *text_patch_get(struct text_patch *p)
{
	p->refs++;
	return p;
}

void text_patch_put(struct text_patch *p)
{
	if (--p->refs == 0)
		list_add_tail(&p->mm->dead_patches, &p->node);
}

void text_unmapped(struct vma *v)
{
	if (mm_has_relatives(v->mm) && family_covers_any(v->mm, v->start, v->end))
		return; /* relatives run the same text */
	if (v->prot & PROT_EXEC || v->patch)
		patch_forget(v->start, vma_size(v));
}

void text_collect(struct mm *mm)
{
	while (!list_is_empty(&mm->dead_patches)) {
		struct text_patch *p = list_first_entry(&mm->dead_patches, struct text_patch, node);
		struct vma *v = vma_find(mm, p->stubs);

		list_del(&p->node);
		if (v && v->start == p->stubs && v->name == VMA_STUBS) {
			vma_remove(v);
			text_unmapped(v);
			if (mm_has_relatives(mm))
				family_release(mm, v->start, v->end);
			else
				pages_release(v->start, v->end);
			mm_retire(v);
		}
		kfree(p);
	}
}

int text_patch_copy(struct mm *child, struct text_patch *p, struct text_patch **ret)
{
	struct text_patch *copy = p->copy;

	/* Pieces of one text share one here too; what an earlier child had is not looked at. */
	if (!copy || p->copy_of != child->generation >> 32) {
		copy = kzalloc(sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		copy->mm = child;
		copy->stubs = p->stubs;
		p->copy = copy;
		p->copy_of = child->generation >> 32;
	}
	copy->refs++;
	*ret = copy;
	return 0;
}

void text_forget_all(struct mm *mm)
{
	while (!list_is_empty(&mm->dead_patches)) {
		struct text_patch *p = list_first_entry(&mm->dead_patches, struct text_patch, node);

		list_del(&p->node);
		kfree(p);
	}
}
