// SPDX-License-Identifier: Apache-2.0
/*
 * The pages of a family of address spaces. fork() copies the writable pages that are present and
 * notes the others; when the turn moves, pages that differ are exchanged with their copies, page by
 * page and in place, so that moving it back and forth needs no memory. Copies are pages of
 * the user zone that nobody has mapped, and are charged like any others.
 *
 * Read-only pages, mostly text, have no copies: they are the same for all until somebody wants
 * to change them, family_preserve(). Shared objects are not touched at all.
 *
 * An image is a tree of chunks with an entry per page. An exchange turns the chunks of the new
 * resident into those of the old one.
 */
#include "kernel/mm/family_priv.h"

#include "abi/errno.h"
#include "kernel/arch/patch.h"
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "kernel/proc/process.h"
#include "kernel/vfs/file.h"
#include "lib/base/string.h"

#define CHUNK_PAGES  64
#define CHUNK_SIZE   (CHUNK_PAGES * PAGE_SIZE)
#define EXTENT_PAGES 64
#define EXTENT_SIZE  (EXTENT_PAGES * PAGE_SIZE)

struct chunk {
	struct rb_node node;
	u64 base;
	u8 state[CHUNK_PAGES]; /* of pages.h; not PAGE_PRESENT: no entry */
	u8 live[CHUNK_PAGES];  /* during an exchange: states of the old resident's pages */
	u64 copy[CHUNK_PAGES]; /* address, or 0: what lies in place */
};

/* Room for copies; a bit that is set is a free page. */
struct extent {
	struct list_node node;
	u64 base, free;
};

static bool is_private(const struct vma *v)
{
	return v->kind != VMA_OBJECT;
}

/* --- copies --- */

static struct extent *extent_new(struct family *f)
{
	struct extent *e = kmalloc(sizeof(*e));

	if (!e)
		return NULL;
	if (zone_reserve_node())
		goto free;
	e->base = zone_alloc(EXTENT_SIZE, PAGE_SIZE, ZONE_SMALL);
	if (!e->base)
		goto unreserve;
	if (pages_open(e->base, e->base + EXTENT_SIZE))
		goto release;
	e->free = UINT64_MAX;
	list_add_head(&f->extents, &e->node);
	return e;
release:
	zone_free(e->base, e->base + EXTENT_SIZE);
unreserve:
	zone_unreserve_node();
free:
	kfree(e);
	return NULL;
}

static void extent_free(struct extent *e)
{
	list_del(&e->node);
	pages_release(e->base, e->base + EXTENT_SIZE);
	zone_free(e->base, e->base + EXTENT_SIZE);
	zone_unreserve_node();
	kfree(e);
}

/* A page for a copy, or 0. Extents with room come first. */
static u64 copy_new(struct family *f)
{
	struct extent *e = NULL;
	u32 i;

	if (!list_is_empty(&f->extents))
		e = list_first_entry(&f->extents, struct extent, node);
	if (!e || !e->free)
		e = extent_new(f);
	if (!e)
		return 0;
	i = (u32)__builtin_ctzll(e->free);
	e->free &= ~(1ull << i);
	if (!e->free) {
		list_del(&e->node);
		list_add_tail(&f->extents, &e->node);
	}
	turn_count_held(1);
	return e->base + (u64)i * PAGE_SIZE;
}

static void copy_free(struct family *f, u64 copy)
{
	struct extent *e;

	if (!copy)
		return;
	turn_count_held(-1);
	list_for_each_entry (e, &f->extents, node) {
		if (copy < e->base || copy >= e->base + EXTENT_SIZE)
			continue;
		e->free |= 1ull << ((copy - e->base) / PAGE_SIZE);
		if (e->free == UINT64_MAX) {
			extent_free(e);
		} else {
			list_del(&e->node);
			list_add_head(&f->extents, &e->node);
		}
		return;
	}
	BUG_ON(true);
}

/* --- images --- */

static struct chunk *chunk_of(struct rb_node *n)
{
	return n ? rb_entry(n, struct chunk, node) : NULL;
}

static struct chunk *chunk_find(struct mm *mm, u64 at)
{
	u64 base = ALIGN_DOWN(at, CHUNK_SIZE);
	struct rb_node *n = mm->image.node;

	while (n) {
		struct chunk *c = chunk_of(n);

		if (c->base == base)
			return c;
		n = base < c->base ? n->left : n->right;
	}
	return NULL;
}

static struct chunk *chunk_get(struct mm *mm, u64 at)
{
	u64 base = ALIGN_DOWN(at, CHUNK_SIZE);
	struct rb_node **link = &mm->image.node, *parent = NULL;
	struct chunk *c;

	while (*link) {
		c = chunk_of(*link);
		if (c->base == base)
			return c;
		parent = *link;
		link = base < c->base ? &parent->left : &parent->right;
	}
	c = kzalloc(sizeof(*c));
	if (!c)
		return NULL;
	c->base = base;
	rb_insert(&mm->image, parent, link, &c->node);
	return c;
}

static u32 index_of(u64 at)
{
	return (u32)((at & (CHUNK_SIZE - 1)) >> PAGE_SHIFT);
}

static void image_free(struct family *f, struct mm *mm)
{
	while (mm->image.node) {
		struct chunk *c = chunk_of(rb_first(&mm->image));

		for (u32 i = 0; i < CHUNK_PAGES; i++)
			copy_free(f, c->copy[i]);
		rb_erase(&mm->image, &c->node);
		kfree(c);
	}
}

/* --- one page --- */

static bool page_is_equal(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	for (size_t i = 0; i < PAGE_SIZE / 8; i += 4)
		if ((x[i] ^ y[i]) | (x[i + 1] ^ y[i + 1]) | (x[i + 2] ^ y[i + 2]) |
		    (x[i + 3] ^ y[i + 3]))
			return false;
	return true;
}

/* A page in place as the kernel needs it. The host must: it gave the same before. */
static void make_accessible(u64 at, u32 prot)
{
	if ((pages_state(at) & prot) == prot)
		return;
	if (pages_protect(at, at + PAGE_SIZE, prot))
		panic("the host refuses memory that programs have already");
}

static void set_prot(u64 at, u8 state)
{
	if ((pages_state(at) & PAGE_PROT) == (state & PAGE_PROT))
		return;
	if (pages_protect(at, at + PAGE_SIZE, state & PAGE_PROT))
		panic("the host refuses memory that programs have already");
}

/* Keeps what lies in place at `at` in a new copy; 0: no memory. */
static u64 copy_of_page(struct family *f, u64 at)
{
	u64 copy = copy_new(f);
	u8 state = pages_state(at);

	if (!copy)
		return 0;
	make_accessible(at, PAGE_READ);
	memcpy((void *)copy, (const void *)at, PAGE_SIZE);
	set_prot(at, state);
	return copy;
}

static struct chunk *entry_in_place(struct mm *mm, u64 at)
{
	struct chunk *c = chunk_find(mm, at);

	return c && (c->state[index_of(at)] & PAGE_PRESENT) && !c->copy[index_of(at)] ? c : NULL;
}

/* Somebody who is neither resident nor `but` has this page in place. */
static bool is_in_place(struct family *f, const struct mm *resident, const struct mm *but, u64 at)
{
	struct mm *m;

	list_for_each_entry (m, &f->members, member_node)
		if (m != resident && m != but && entry_in_place(m, at))
			return true;
	return false;
}

/* All those get copies. */
static int preserve_page(struct family *f, const struct mm *resident, const struct mm *but, u64 at)
{
	struct mm *m;

	list_for_each_entry (m, &f->members, member_node) {
		struct chunk *c;

		if (m == resident || m == but)
			continue;
		c = entry_in_place(m, at);
		if (!c)
			continue;
		c->copy[index_of(at)] = copy_of_page(f, at);
		if (!c->copy[index_of(at)])
			return -ENOMEM;
	}
	return 0;
}

int family_preserve(struct mm *mm, u64 start, u64 end)
{
	struct family *f = mm->family;

	for (u64 at = start; at < end; at += PAGE_SIZE) {
		u64 until = end;
		int err;

		/* Large reservations are mostly nobody else's. */
		if (!family_covers(mm, at, end, &until)) {
			at = until - PAGE_SIZE;
			continue;
		}
		err = preserve_page(f, mm, NULL, at);
		if (err)
			return err;
	}
	return 0;
}

void family_release(struct mm *mm, u64 start, u64 end)
{
	u64 at = start;

	while (at < end) {
		u64 until = end;

		if (!family_covers(mm, at, end, &until)) {
			pages_release(at, until);
			at = until;
			continue;
		}
		if (!is_in_place(mm->family, mm, NULL, at)) {
			pages_release(at, at + PAGE_SIZE);
			/* Another's page, absent or in a copy: it must not be reachable. */
			if (pages_hide(at, at + PAGE_SIZE))
				panic("the host refuses to take access away");
		}
		at += PAGE_SIZE;
	}
}

/* --- whose addresses --- */

/* [*ret_until is lowered] `m` has something private at `at`. */
static bool member_covers(struct mm *m, u64 at, u64 *ret_until)
{
	struct vma *v;

	if (at >= m->brk_start && at < m->brk_end) {
		*ret_until = MIN(*ret_until, m->brk_end);
		return true;
	}
	if (m->brk_start > at)
		*ret_until = MIN(*ret_until, m->brk_start);
	for (v = vma_find(m, at); v && !is_private(v); v = vma_next(v))
		;
	if (!v)
		return false;
	*ret_until = MIN(*ret_until, v->start > at ? v->start : v->end);
	return v->start <= at;
}

bool family_covers(struct mm *mm, u64 at, u64 end, u64 *ret_until)
{
	struct mm *m;
	bool covers = false;

	*ret_until = end;
	list_for_each_entry (m, &mm->family->members, member_node)
		if (m != mm)
			covers |= member_covers(m, at, ret_until);
	return covers;
}

bool family_covers_any(struct mm *mm, u64 start, u64 end)
{
	u64 at = start;

	while (at < end)
		if (family_covers(mm, at, end, &at))
			return true;
	return false;
}

/* --- the turn moves --- */

/* Notes in the image that is becoming that of `from` which pages it has. */
static int note_live(struct mm *from, struct mm *to)
{
	struct chunk *c = NULL;

	for (struct vma *v = vma_of(rb_first(&from->vmas)); v; v = vma_next(v)) {
		u64 at = v->start;

		if (!is_private(v))
			continue;
		while (at < v->end) {
			u8 present;
			u64 until = pages_run(at, v->end, PAGE_PRESENT, &present);

			for (; present && at < until; at += PAGE_SIZE) {
				if (!c || c->base != ALIGN_DOWN(at, CHUNK_SIZE))
					c = chunk_get(to, at);
				if (!c)
					return -ENOMEM;
				c->live[index_of(at)] = pages_state(at);
			}
			at = until;
		}
	}
	return 0;
}

struct exchange {
	struct family *f;
	struct mm *from, *to;
	u64 count;
	int err;
};

/* What lies in place goes. Afterwards the page is absent and out of reach. */
static void vacate(u64 at)
{
	pages_release(at, at + PAGE_SIZE);
	if (pages_hide(at, at + PAGE_SIZE))
		panic("the host refuses to take access away");
}

/* Both have it. Afterwards the copy, if there is one, is that of `from`. */
static void exchange_both(struct exchange *x, u64 at, u8 state, u64 copy)
{
	void *page = (void *)at;

	if (copy) {
		make_accessible(at, PAGE_READ);
		if (!page_is_equal(page, (const void *)copy)) {
			x->err = preserve_page(x->f, x->from, x->to, at) ? -ENOMEM : x->err;
			make_accessible(at, PAGE_READ | PAGE_WRITE);
			memcpy(x->f->scratch, page, PAGE_SIZE);
			memcpy(page, (const void *)copy, PAGE_SIZE);
			memcpy((void *)copy, x->f->scratch, PAGE_SIZE);
			x->count++;
		}
	}
	set_prot(at, state);
}

/* Only the old resident has it: it may stay where nobody else wants the address. */
static u64 exchange_leave(struct exchange *x, u64 at, u8 *state)
{
	u64 until, copy;

	if (!family_covers(x->from, at, at + PAGE_SIZE, &until))
		return 0;
	if (!member_covers(x->to, at, &until) && is_in_place(x->f, x->from, x->to, at))
		return 0;
	if (preserve_page(x->f, x->from, x->to, at))
		x->err = -ENOMEM;
	copy = copy_of_page(x->f, at);
	if (!copy) {
		x->err = -ENOMEM;
		*state = 0;
	}
	vacate(at);
	x->count++;
	return copy;
}

/* Only the new resident has it. */
static void exchange_enter(struct exchange *x, u64 at, u8 state, u64 copy)
{
	if (!copy) {
		set_prot(at, state);
		return;
	}
	if (preserve_page(x->f, x->from, x->to, at))
		x->err = -ENOMEM;
	if (pages_put_back(at, (const void *)copy, state & PAGE_PROT))
		panic("the host refuses memory that programs have already");
	copy_free(x->f, copy);
	x->count++;
}

static void exchange_chunk(struct exchange *x, struct chunk *c)
{
	for (u32 i = 0; i < CHUNK_PAGES; i++) {
		u8 mine = c->live[i], theirs = c->state[i];
		u64 at = c->base + (u64)i * PAGE_SIZE, copy = c->copy[i];

		if (!(mine | theirs))
			continue;
		c->live[i] = 0;
		c->state[i] = mine;
		if (mine && theirs) {
			exchange_both(x, at, theirs, copy);
		} else if (mine) {
			c->copy[i] = exchange_leave(x, at, &c->state[i]);
		} else {
			c->copy[i] = 0;
			exchange_enter(x, at, theirs, copy);
		}
	}
}

static void forget_all(struct mm *mm)
{
	/* Its process is killed; until it notices, pages that are missing read as zeroes. */
	for (struct vma *v = vma_of(rb_first(&mm->vmas)); v; v = vma_next(v))
		v->lazy = true;
	mm_changed(mm);
}

int family_exchange(struct family *f, struct mm *from, struct mm *to)
{
	struct exchange x = {.f = f, .from = from, .to = to};

	if (from)
		x.err = note_live(from, to);
	for (struct rb_node *n = rb_first(&to->image); n; n = rb_next(n))
		exchange_chunk(&x, chunk_of(n));
	turn_count_exchanged(x.count);
	if (!from) {
		image_free(f, to);
		return 0;
	}
	from->image = to->image;
	to->image = (struct rb_root){0};
	if (x.err)
		forget_all(from);
	return x.err;
}

/* --- fork --- */

struct family *family_new(struct mm *mm)
{
	struct family *f = kzalloc(sizeof(*f));

	if (!f)
		return NULL;
	f->scratch = kpages_alloc(1);
	if (!f->scratch) {
		kfree(f);
		return NULL;
	}
	f->refs = 1;
	spin_init(&f->lock, LOCK_FAMILY);
	list_init(&f->waiters);
	list_init(&f->members);
	list_init(&f->extents);
	f->resident = mm;
	list_add_tail(&f->members, &mm->member_node);
	f->member_count = 1;
	return f;
}

void family_put(struct family *f)
{
	if (!f || __atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL))
		return;
	BUG_ON(!list_is_empty(&f->extents));
	kpages_free(f->scratch, 1);
	kfree(f);
}

void family_forget(struct mm *mm)
{
	struct family *f = mm->family;

	/* A reader of /proc may have made it resident after its end. */
	spin_lock(&f->lock);
	if (f->resident == mm)
		f->resident = NULL;
	spin_unlock(&f->lock);
	family_put(f);
}

static int copy_mapping(struct mm *child, struct vma *v)
{
	struct vma *n = vma_new(child, v->start, v->end);

	if (!n)
		return -ENOMEM;
	n->offset = v->offset;
	n->prot = v->prot;
	n->may = v->may;
	n->kind = v->kind;
	n->name = v->name;
	n->lazy = v->lazy;
	n->extra_views = v->extra_views;
	if (v->file)
		n->file = file_get(v->file);
	if (v->object)
		n->object = mem_object_get(v->object);
	if (v->patch && text_patch_copy(child, v->patch, &n->patch)) {
		vma_free(n);
		return -ENOMEM;
	}
	vma_insert(n);
	return 0;
}

static int copy_mappings(struct mm *child, struct mm *mm)
{
	int err = 0;

	if (mm->brk_end) {
		err = zone_reserve_node();
		if (err)
			return err;
		child->brk_start = mm->brk_start;
		child->brk = mm->brk;
		child->brk_end = mm->brk_end;
	}
	child->limit_data = mm->limit_data;
	child->limit_as = mm->limit_as;
	for (struct vma *v = vma_of(rb_first(&mm->vmas)); v && !err; v = vma_next(v))
		err = copy_mapping(child, v);
	return err;
}

/* The pages of v as they are now become those of the child: writable ones by copying. */
static int copy_pages(struct family *f, struct mm *child, struct vma *v)
{
	u64 at = v->start;

	while (at < v->end) {
		u8 present;
		u64 until = pages_run(at, v->end, PAGE_PRESENT, &present);

		for (; present && at < until; at += PAGE_SIZE) {
			struct chunk *c = chunk_get(child, at);
			u8 state = pages_state(at);

			if (!c)
				return -ENOMEM;
			if (state & PAGE_WRITE) {
				c->copy[index_of(at)] = copy_of_page(f, at);
				if (!c->copy[index_of(at)])
					return -ENOMEM;
			}
			c->state[index_of(at)] = state;
		}
		at = until;
	}
	return 0;
}

static int join_family(struct mm *mm, struct mm *child)
{
	struct family *f = mm->family;

	if (!f) {
		f = family_new(mm);
		if (!f)
			return -ENOMEM;
		__atomic_store_n(&mm->family, f, __ATOMIC_SEQ_CST);
	}
	if (f->member_count >= FAMILY_MEMBERS_MAX)
		return -EAGAIN;
	__atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
	child->family = f;
	spin_lock(&f->lock);
	list_add_tail(&f->members, &child->member_node);
	f->member_count++;
	spin_unlock(&f->lock);
	return 0;
}

static int fork_pages(struct mm *mm, struct mm *child)
{
	int err = 0;

	/* With siblings stopped nobody is in uaccess; later on the family waits instead. */
	mm_drain_limbo(mm);
	BUG_ON(!list_is_empty(&mm->limbo));
	for (struct vma *v = vma_of(rb_first(&mm->vmas)); v && !err; v = vma_next(v))
		if (is_private(v))
			err = copy_pages(mm->family, child, v);
	return err;
}

int mm_fork(struct mm *mm, struct mm **ret)
{
	struct mm *child = mm_new();
	int err;

	if (!child)
		return -ENOMEM;
	mutex_lock(&mm->lock);
	/* First what may have to wait for other locks; siblings that hold them still run. */
	err = join_family(mm, child);
	if (!err)
		err = copy_mappings(child, mm);
	if (!err) {
		turn_stop_siblings(mm);
		err = fork_pages(mm, child);
		turn_resume_siblings(mm);
	}
	mm_unlock(mm);
	if (err) {
		mm_retire_member(child);
		mm_put(child);
		return err;
	}
	turn_count_fork();
	*ret = child;
	return 0;
}

/* --- the end of a member --- */

/* Unmaps what a member has that is not resident; a relative's turn or nobody's. */
static void drop_mappings(struct mm *mm)
{
	struct vma *v;

	while ((v = vma_of(rb_first(&mm->vmas)))) {
		u64 at = v->start, end = v->end;

		vma_remove(v);
		while (is_private(v) && at < end) {
			u64 until = end;

			if (!family_covers(mm, at, end, &until)) {
				pages_release(at, until);
				mm_free_addresses(mm, at, until);
			}
			at = until;
		}
		vma_free(v);
	}
	text_forget_all(mm);
}

static void leave(struct family *f, struct mm *mm)
{
	spin_lock(&f->lock);
	list_del(&mm->member_node);
	f->member_count--;
	spin_unlock(&f->lock);
}

void mm_retire_member(struct mm *mm)
{
	struct family *f = mm->family;
	struct mm *own = current_thread()->turn_mm;

	if (!f)
		return;
	if (own == mm) {
		mutex_lock(&mm->lock);
		while (mm->vmas.node)
			BUG_ON(mm_unmap_locked(mm, zone_start(), zone_end(), false));
		mm_release_heap(mm);
		mm_unlock(mm);
		leave(f, mm);
		turn_give_up(mm);
		return;
	}
	/* It has never run: we are its parent, inside. */
	BUG_ON(!own || own->family != f);
	mutex_lock(&own->lock);
	image_free(f, mm);
	mm_unlock(own);
	mutex_lock(&mm->lock);
	drop_mappings(mm);
	mm_release_heap(mm);
	mm_unlock(mm);
	leave(f, mm);
}
