// SPDX-License-Identifier: Apache-2.0
/*
 * Starting a program is mostly mapping the same few files again: the program, its loader, its
 * libraries. When a process unmaps such an image (usually by ending), it is not taken apart: it
 * goes to a pool as it lies, with its addresses, its text patched and executable, its constants
 * read-only. Who maps the same file in the same way next gets it whole. Only its writable parts are
 * filled anew, from the file, and its bss is zeroed. No protection changes, no site is patched
 * again, no page faults.
 *
 *	process A					pool	      process B
 *	mmap of the whole (kept_begin)
 *	  segments over it (kept_record)
 *	...
 *	unmapped, still as recorded (kept_unmap)  --->	kept   --->   mmap of the whole (kept_take,
 *							      |	      kept_attach): all parts appear
 *							      v	      segments over it: are there
 *						     memory or these  already (kept_expects)
 *						     addresses short
 *						     (kept_evict)
 *
 * What may be kept: private mappings of files whose contents never change (file_identity.cacheable:
 * the measured image), known by the numbers the kernel gave them. Parts that are not writable must
 * be as the loader of this kernel made them: each mapping carries the image's number, and loses it
 * once it is made writable or its text is patched later. So the text of one process is never
 * what another could have written. Writable parts are never passed on: they are overwritten whole
 * before the next process has them mapped. With `strict` nothing is kept, because kept pages stay
 * accessible; members of a family leave nothing either, because what lies in place may be a
 * relative's.
 *
 * A dynamic loader maps a library whole and then its segments over that. The first mapping
 * brings all of them at once, so for an instant the file is not seen as it is on disk; only loaders
 * ask with MAP_DENYWRITE, and for others the image is that of plain reading (KEPT_PLAIN).
 *
 * Locks: records of an address space by its mm->lock; the pool's list by its own spinlock. An
 * image in nobody's list belongs to the thread that holds the pointer. In the pool each range of
 * addresses has its reservation of zone bookkeeping, `nodes`.
 */
#include "kernel/mm/kept.h"

#include "abi/errno.h"
#include "abi/mman.h"
#include "kernel/arch/patch.h"
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/mm/family_priv.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "kernel/sync/spinlock.h"
#include "kernel/vfs/file.h"

#define PARTS_MAX 12

struct kept_key {
	u64 device, object, version;
	u64 size;
	enum kept_how how;
};

/* A segment; addresses are relative to the image's base. */
struct part {
	u64 start, end, offset;
	u8 kind, prot, may;    /* as in struct vma */
	u64 stubs, stubs_size; /* where its text jumps to; size 0: nowhere */
};

struct kept {
	struct list_node node; /* mm->kept or pool.images */
	struct kept_key key;
	u64 id;
	u64 base;
	u8 cover_may;
	u32 nodes;	  /* zone bookkeeping */
	bool is_attached; /* its parts were there before they were asked for */
	u32 pending;	  /* then: those that nobody has asked for yet */
	u32 part_count;
	struct part parts[PARTS_MAX]; /* in order, without overlap */
};

static struct {
	struct spinlock lock;
	struct list_node images; /* last used first */
	u64 size, size_max;	 /* bytes of addresses */
} pool;

static u64 ids; /* atomic */

void kept_init(u64 size_max)
{
	spin_init(&pool.lock, LOCK_KEPT);
	list_init(&pool.images);
	pool.size = 0;
	pool.size_max = size_max;
}

/* --- parts --- */

static bool is_writable(const struct part *p)
{
	return p->prot & PROT_WRITE;
}

/* Its pages are passed on as they are. */
static bool is_constant(const struct part *p)
{
	return p->kind == VMA_FILE && !is_writable(p);
}

/* Between the parts: a plain mapping of the file, or addresses that exec has reserved. */
static bool cover_is_file(const struct kept *k)
{
	return k->key.how != KEPT_PROGRAM;
}

/*
 * The pieces of an image in order, the cover between the parts among them. False: there are no
 * more. Start with *at = 0 and *index = 0. *ret_part is NULL for the cover.
 */
static bool next_piece(const struct kept *k, u64 *at, u32 *index, const struct part **ret_part,
		       u64 *ret_start, u64 *ret_end)
{
	const struct part *p = *index < k->part_count ? &k->parts[*index] : NULL;

	if (*at >= k->key.size)
		return false;
	*ret_start = k->base + *at;
	if (p && p->start == *at) {
		*ret_part = p;
		*at = p->end;
		(*index)++;
	} else {
		*ret_part = NULL;
		*at = p ? p->start : k->key.size;
	}
	*ret_end = k->base + *at;
	return true;
}

/* --- coming and going --- */

static int add_node(struct kept *k)
{
	int err = zone_reserve_node();

	if (!err)
		k->nodes++;
	return err;
}

static void record_free(struct kept *k)
{
	for (; k->nodes; k->nodes--)
		zone_unreserve_node();
	kfree(k);
}

/* Not in any list, its addresses its own. */
static void discard(struct kept *k)
{
	u64 end = k->base + k->key.size;

	patch_forget(k->base, k->key.size);
	pages_release(k->base, end);
	zone_free(k->base, end);
	for (u32 i = 0; i < k->part_count; i++) {
		const struct part *p = &k->parts[i];

		if (!p->stubs_size)
			continue;
		patch_forget(p->stubs, p->stubs_size);
		pages_release(p->stubs, p->stubs + p->stubs_size);
		zone_free(p->stubs, p->stubs + p->stubs_size);
	}
	record_free(k);
}

static bool lies_in(const struct kept *k, u64 start, u64 end)
{
	if (k->base < end && start < k->base + k->key.size)
		return true;
	for (u32 i = 0; i < k->part_count; i++) {
		const struct part *p = &k->parts[i];

		if (p->stubs_size && p->stubs < end && start < p->stubs + p->stubs_size)
			return true;
	}
	return false;
}

/* Takes the image of the range that was used least recently, once more than `spare` is kept. */
static struct kept *pick_victim(u64 start, u64 end, u64 spare)
{
	struct kept *k, *victim = NULL;

	spin_lock(&pool.lock);
	if (pool.size > spare) {
		list_for_each_entry (k, &pool.images, node)
			if (lies_in(k, start, end))
				victim = k;
	}
	if (victim) {
		list_del(&victim->node);
		pool.size -= victim->key.size;
	}
	spin_unlock(&pool.lock);
	return victim;
}

bool kept_evict(u64 start, u64 end)
{
	struct kept *k;
	bool any = false;

	while ((k = pick_victim(start, end, 0))) {
		discard(k);
		any = true;
	}
	return any;
}

void kept_fini(void)
{
	(void)kept_evict(zone_start(), zone_end());
}

static void pool_put(struct kept *k)
{
	spin_lock(&pool.lock);
	list_add_head(&pool.images, &k->node);
	pool.size += k->key.size;
	spin_unlock(&pool.lock);
	while ((k = pick_victim(zone_start(), zone_end(), pool.size_max)))
		discard(k);
}

static bool key_of(const struct kept_request *r, struct kept_key *ret)
{
	struct file_identity id;

	file_identity(r->file, &id);
	if (!id.cacheable || id.is_noexec || r->size > pool.size_max)
		return false;
	*ret = (struct kept_key){.device = id.device,
				 .object = id.object,
				 .version = id.version,
				 .size = r->size,
				 .how = r->how};
	return true;
}

static bool key_is_equal(const struct kept_key *a, const struct kept_key *b)
{
	return a->device == b->device && a->object == b->object && a->version == b->version &&
	       a->size == b->size && a->how == b->how;
}

static struct kept *pool_get(const struct kept_key *key, u64 address)
{
	struct kept *k, *found = NULL;

	spin_lock(&pool.lock);
	list_for_each_entry (k, &pool.images, node) {
		if (!key_is_equal(&k->key, key) || (address && k->base != address))
			continue;
		found = k;
		list_del(&k->node);
		pool.size -= k->key.size;
		break;
	}
	spin_unlock(&pool.lock);
	return found;
}

/* --- taking --- */

/* As the file has it, whatever its last owner has made of it. */
static int fill_writable(const struct part *p, struct file *file, u64 start, u64 end)
{
	size_t valid;
	int err;

	if (p->kind == VMA_ANON)
		return end - start <= COMMIT_AT_ONCE_MAX ? pages_commit(start, end, p->prot)
							 : pages_hide(start, end);
	err = pages_open(start, end);
	if (!err)
		err = read_file(file, (void *)start, end - start, p->offset, &valid);
	return err ? err : pages_close(start, end, p->prot);
}

static int fill(struct kept *k, struct file *file)
{
	const struct part *p;
	u64 at = 0, start, end;
	u32 index = 0;
	int err = 0;

	while (!err && next_piece(k, &at, &index, &p, &start, &end)) {
		if (p ? is_constant(p) : cover_is_file(k))
			err = pages_adopt(start, end);
		else if (p)
			err = fill_writable(p, file, start, end);
		else
			err = pages_hide(start, end);
		if (!err && p && p->stubs_size)
			err = pages_adopt(p->stubs, p->stubs + p->stubs_size);
	}
	return err;
}

bool kept_is_possible(const struct kept_request *r)
{
	struct kept_key key;

	return pool.size_max && key_of(r, &key);
}

struct kept *kept_take(const struct kept_request *r)
{
	struct kept_key key;
	struct kept *k;

	if (!pool.size_max || !key_of(r, &key))
		return NULL;
	k = pool_get(&key, r->address);
	if (k && fill(k, r->file)) {
		discard(k); /* with its pages uncharged, whatever of it was paid for */
		return NULL;
	}
	return k;
}

static struct vma *attach_piece(struct mm *mm, const struct kept *k, const struct part *p,
				struct file *file, u64 start, u64 end)
{
	struct vma *v = vma_new(mm, start, end);

	if (!v)
		return NULL;
	if (p ? p->kind == VMA_FILE : cover_is_file(k)) {
		v->kind = VMA_FILE;
		v->file = file_get(file);
		v->offset = p ? p->offset : start - k->base;
		if (!p || is_constant(p))
			v->kept = k->id;
	}
	v->prot = p ? p->prot : cover_is_file(k) ? PROT_READ : PROT_NONE;
	v->may = p ? p->may : k->cover_may;
	v->lazy = !p || pages_count_present(start, end) < (end - start) >> PAGE_SHIFT;
	return v;
}

static struct vma *attach_stubs(struct mm *mm, const struct kept *k, const struct part *p)
{
	struct vma *v = vma_new(mm, p->stubs, p->stubs + p->stubs_size);

	if (!v)
		return NULL;
	v->prot = PROT_READ | PROT_EXEC;
	v->may = PROT_READ | PROT_EXEC;
	v->name = VMA_STUBS;
	v->kept = k->id;
	return v;
}

/* Mappings for all of it, in a list by object_node. */
static int make_mappings(struct mm *mm, const struct kept *k, struct file *file,
			 struct list_node *list)
{
	const struct part *p;
	u64 at = 0, start, end;
	u32 index = 0;

	while (next_piece(k, &at, &index, &p, &start, &end)) {
		struct vma *v = attach_piece(mm, k, p, file, start, end);

		if (!v)
			return -ENOMEM;
		list_add_tail(list, &v->object_node);
		if (!p || !p->stubs_size)
			continue;
		v->patch = text_patch_new(mm, p->stubs);
		if (!v->patch)
			return -ENOMEM;
		v = attach_stubs(mm, k, p);
		if (!v)
			return -ENOMEM;
		list_add_tail(list, &v->object_node);
	}
	return 0;
}

long kept_attach(struct mm *mm, struct kept *k, struct file *file)
{
	struct list_node list = LIST_INIT(list);
	struct vma *v, *next;
	bool fits =
		mm->vma_count + 3 * PARTS_MAX < MAPPINGS_MAX && !mm_exceeds_space(mm, k->key.size);
	int err = fits ? make_mappings(mm, k, file, &list) : -ENOMEM;

	list_for_each_entry_safe (v, next, &list, object_node) {
		list_del(&v->object_node);
		list_init(&v->object_node);
		if (!err) {
			vma_insert(v);
			continue;
		}
		if (v->patch)
			text_patch_keep_stubs(v->patch);
		vma_free(v);
	}
	if (err) {
		text_collect(mm);
		discard(k);
		return err;
	}
	mm->recording = k;
	k->is_attached = true;
	k->pending = (1u << k->part_count) - 1;
	list_add_tail(&mm->kept, &k->node);
	return (long)k->base;
}

bool kept_expects(struct mm *mm, const struct map_request *r)
{
	u64 start = r->address, end = start + r->size;
	struct kept *k = mm->recording;

	for (u32 i = 0; k && k->is_attached && i < k->part_count; i++) {
		const struct part *p = &k->parts[i];
		struct vma *v;

		if (k->base + p->start != start || !(k->pending & 1u << i))
			continue;
		k->pending &= ~(1u << i);
		v = vma_find(mm, start);
		return v && v->start == start && v->end == end && v->prot == r->prot &&
		       v->prot == p->prot && v->kind == p->kind && v->file == r->file &&
		       (!r->file || v->offset == r->offset);
	}
	return false;
}

/* --- recording --- */

static void forget(struct mm *mm, struct kept *k)
{
	if (mm->recording == k)
		mm->recording = NULL;
	list_del(&k->node);
	record_free(k);
}

void kept_begin(struct mm *mm, const struct kept_request *r, u64 base)
{
	struct vma *v = vma_find(mm, base);
	struct kept_key key;
	struct kept *k;

	/* Merged with a neighbour: it would not be found again. */
	if (mm_has_relatives(mm) || v->start != base || vma_size(v) != r->size || !key_of(r, &key))
		return;
	k = kzalloc(sizeof(*k));
	if (!k)
		return;
	if (add_node(k)) {
		kfree(k);
		return;
	}
	k->key = key;
	k->id = __atomic_add_fetch(&ids, 1, __ATOMIC_RELAXED);
	k->base = base;
	k->cover_may = v->may;
	if (cover_is_file(k))
		v->kept = k->id;
	list_add_tail(&mm->kept, &k->node);
	mm->recording = r->how == KEPT_PLAIN ? NULL : k;
}

/* The stubs of a text belong to its part. */
static bool record_stubs(struct mm *mm, struct kept *k, const struct vma *text, struct part *p)
{
	u64 at = text->patch ? text_patch_stubs(text->patch) : 0;
	struct vma *v = at ? vma_find(mm, at) : NULL;

	if (!at)
		return true;
	if (!v || v->start != at || v->name != VMA_STUBS || add_node(k))
		return false;
	p->stubs = at;
	p->stubs_size = vma_size(v);
	v->kept = k->id;
	return true;
}

/* The mapping is one that can be made again from the file alone. */
static bool record_part(struct mm *mm, struct kept *k, const struct map_request *r)
{
	u64 start = r->address - k->base, end = start + r->size;
	u64 last = k->part_count ? k->parts[k->part_count - 1].end : 0;
	struct vma *v = vma_find(mm, r->address);
	struct part p = {.start = start,
			 .end = end,
			 .offset = r->offset,
			 .kind = r->file ? VMA_FILE : VMA_ANON,
			 .prot = (u8)r->prot,
			 .may = r->may};
	struct kept_key key;

	if (k->part_count == PARTS_MAX || start < last || v->start != r->address ||
	    vma_size(v) != r->size || v->name || v->kind != p.kind || v->prot != r->prot)
		return false;
	if (r->file) {
		struct kept_request again = {
			.file = r->file, .size = k->key.size, .how = k->key.how};

		/* Of the same file, and all of it within: no page of it is an error to touch. */
		if (!key_of(&again, &key) || !key_is_equal(&key, &k->key) ||
		    r->offset + r->size > ALIGN_UP(r->file_end, PAGE_SIZE) ||
		    (is_writable(&p) && (r->prot & PROT_EXEC)))
			return false;
	} else if (r->prot & PROT_EXEC) {
		return false;
	}
	if (is_constant(&p)) {
		if (!record_stubs(mm, k, v, &p))
			return false;
		v->kept = k->id;
	}
	k->parts[k->part_count++] = p;
	return true;
}

void kept_record(struct mm *mm, const struct map_request *r, u64 address)
{
	struct kept *k = mm->recording;
	struct map_request at = *r;

	if (!k)
		return;
	at.address = address;
	if (k->is_attached || address < k->base || address + r->size > k->base + k->key.size)
		mm->recording = NULL; /* the loader goes on to other things */
	else if (r->object || !record_part(mm, k, &at))
		forget(mm, k);
}

/* --- giving back --- */

/* All of [start, end) are mappings of this kept image, with this protection. */
static bool is_untouched(struct mm *mm, const struct kept *k, u64 start, u64 end, u32 prot)
{
	struct vma *v = vma_find(mm, start);

	while (v && v->start <= start && v->kept == k->id && v->prot == prot) {
		if (v->end >= end)
			return true;
		start = v->end;
		v = vma_next(v);
	}
	return false;
}

static bool is_intact(struct mm *mm, const struct kept *k)
{
	const struct part *p;
	u64 at = 0, start, end;
	u32 index = 0;

	if (!mm_is_covered(mm, k->base, k->base + k->key.size))
		return false;
	while (next_piece(k, &at, &index, &p, &start, &end)) {
		if (p ? is_constant(p) : cover_is_file(k)) {
			u32 prot = p ? p->prot : PROT_READ;

			/* Loaders close the holes between segments. */
			if (!is_untouched(mm, k, start, end, prot) &&
			    (p || !is_untouched(mm, k, start, end, PROT_NONE)))
				return false;
		}
		if (p && p->stubs_size &&
		    !is_untouched(mm, k, p->stubs, p->stubs + p->stubs_size, PROT_READ | PROT_EXEC))
			return false;
	}
	for (struct vma *v = vma_find(mm, k->base); v && v->start < k->base + k->key.size;
	     v = vma_next(v))
		if (v->kind == VMA_OBJECT || v->name)
			return false;
	return true;
}

static void unmap_range(struct mm *mm, u64 start, u64 end)
{
	struct vma *v, *next;

	for (v = vma_find(mm, start); v && v->start < end; v = next) {
		next = vma_next(v);
		vma_remove(v);
		if (v->patch)
			text_patch_keep_stubs(v->patch);
		vma_free(v);
	}
}

/* The mappings go, the pages and their addresses stay with the image. */
static void detach(struct mm *mm, struct kept *k)
{
	const struct part *p;
	u64 at = 0, start, end;
	u32 index = 0;

	unmap_range(mm, k->base, k->base + k->key.size);
	for (u32 i = 0; i < k->part_count; i++)
		if (k->parts[i].stubs_size)
			unmap_range(mm, k->parts[i].stubs,
				    k->parts[i].stubs + k->parts[i].stubs_size);
	/* A thread that passed its check before may still be copying. */
	mm_wait_for_uaccess(mm, uaccess_advance());
	while (next_piece(k, &at, &index, &p, &start, &end)) {
		if (p ? is_constant(p) : cover_is_file(k))
			pages_keep(start, end);
		else
			pages_release(start, end);
		if (p && p->stubs_size)
			pages_keep(p->stubs, p->stubs + p->stubs_size);
	}
}

/* No mapping crosses the image's ends afterwards. */
static bool can_be_kept(struct mm *mm, struct kept *k, u64 start, u64 end)
{
	return !mm_has_relatives(mm) && pool.size_max && k->base >= start &&
	       k->base + k->key.size <= end && !vma_split_at(mm, k->base, k->base + k->key.size) &&
	       is_intact(mm, k);
}

void kept_unmap(struct mm *mm, u64 start, u64 end)
{
	struct kept *k, *next;

	list_for_each_entry_safe (k, next, &mm->kept, node) {
		if (k->base >= end || k->base + k->key.size <= start)
			continue;
		if (!can_be_kept(mm, k, start, end)) {
			forget(mm, k);
			continue;
		}
		if (mm->recording == k)
			mm->recording = NULL;
		list_del(&k->node);
		detach(mm, k);
		pool_put(k);
	}
}
