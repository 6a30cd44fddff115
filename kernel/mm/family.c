// SPDX-License-Identifier: Apache-2.0
/*
 * Families of address spaces: who belongs to one, whose the addresses are, and what has to happen
 * before a page that several members have in place is changed or goes.
 *
 * fork() (fork.c) copies the writable pages that are present and notes the others; when the turn
 * moves (exchange.c), pages that differ are exchanged with their copies (image.c), page by page and
 * in place, so that moving it back and forth needs no memory.
 *
 * Programs at fixed addresses (fixed.c) come to it with pages of their own instead.
 *
 * Read-only pages, mostly text, have no copies: they are the same for all until somebody wants
 * to change them, family_preserve(). Shared objects are not touched at all.
 */
#include "kernel/mm/family_priv.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "kernel/proc/process.h"

/* --- fork --- */

struct family *family_new(void)
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
	return f;
}

int family_join(struct family *f, struct mm *mm)
{
	if (f->member_count >= FAMILY_MEMBERS_MAX)
		return -EAGAIN;
	spin_lock(&f->lock);
	list_add_tail(&f->members, &mm->member_node);
	f->member_count++;
	spin_unlock(&f->lock);
	return 0;
}

struct family *family_get(struct family *f)
{
	__atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
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

/* Somebody who is neither resident nor `but` has this page in place. */
bool family_is_in_place(struct family *f, const struct mm *resident, const struct mm *but, u64 at)
{
	struct mm *m;

	list_for_each_entry (m, &f->members, member_node)
		if (m != resident && m != but && image_in_place(m, at))
			return true;
	return false;
}

/* All those get copies. */
int family_preserve_page(struct family *f, const struct mm *resident, const struct mm *but, u64 at)
{
	struct mm *m;

	list_for_each_entry (m, &f->members, member_node) {
		struct chunk *c;

		if (m == resident || m == but)
			continue;
		c = image_in_place(m, at);
		if (!c)
			continue;
		c->copy[chunk_index(at)] = image_copy_page(f, at);
		if (!c->copy[chunk_index(at)])
			return -ENOMEM;
	}
	return 0;
}

bool family_is_own(struct mm *mm, u64 start, u64 end)
{
	if (!mm_has_relatives(mm))
		return true;
	for (u64 at = ALIGN_DOWN(start, PAGE_SIZE); at < end; at += PAGE_SIZE)
		if (family_is_in_place(mm->family, mm, NULL, at))
			return false;
	return true;
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
		err = family_preserve_page(f, mm, NULL, at);
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
		while (at < until && family_is_in_place(mm->family, mm, NULL, at))
			at += PAGE_SIZE;
		start = at;
		while (at < until && !family_is_in_place(mm->family, mm, NULL, at))
			at += PAGE_SIZE;
		/* Others' pages, absent or in copies: they must not be reachable. */
		pages_release(start, at);
		if (pages_hide(start, at))
			panic("the host refuses to take access away");
	}
}

/* --- whose addresses --- */

/* [*ret_until is lowered] `m` has something private at `at`. */
bool family_member_covers(struct mm *m, u64 at, u64 *ret_until)
{
	struct vma *v;

	if (at >= m->brk_start && at < m->brk_end) {
		*ret_until = MIN(*ret_until, m->brk_end);
		return true;
	}
	if (m->brk_start > at)
		*ret_until = MIN(*ret_until, m->brk_start);
	for (v = vma_find(m, at); v && !vma_is_private(v); v = vma_next(v))
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
			covers |= family_member_covers(m, at, ret_until);
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

/* --- the end of a member --- */

/* Unmaps what a member has that is not resident; a relative's turn or nobody's. */
static void drop_mappings(struct mm *mm)
{
	struct vma *v;

	while ((v = vma_of(rb_first(&mm->vmas)))) {
		u64 at = v->start, end = v->end;

		vma_remove(v);
		text_unmapped(v);
		while (vma_is_private(v) && at < end) {
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

/*
 * Of a member that ends: its mappings of shared objects, whose locks others may hold. To wait for
 * one gives the turn away, so this comes before anything that needs to keep it.
 */
static void drop_objects(struct mm *mm)
{
	struct vma *next;

	for (struct vma *v = vma_of(rb_first(&mm->vmas)); v; v = next) {
		next = vma_next(v);
		if (v->kind != VMA_OBJECT)
			continue;
		vma_remove(v);
		text_unmapped(v);
		mm_wait_for_uaccess(mm, uaccess_advance());
		vma_free(v);
	}
}

/* The pages in place become those of `heir` at once. */
static void hand_over(struct family *f, struct mm *mm, struct mm *heir)
{
	/* What it might leave behind as a whole, a relative may have changed. */
	if (!list_is_empty(&mm->kept))
		kept_unmap(mm, zone_start(), zone_end());
	/* A reader of /proc that is past its check; the next one finds no mapping. */
	mm_wait_for_uaccess(mm, uaccess_advance());
	family_bequeath(f, mm, heir);
	drop_mappings(mm);
	mm_drain_limbo(mm);
}

static void leave(struct family *f, struct mm *mm)
{
	spin_lock(&f->lock);
	if (!list_is_empty(&mm->member_node)) {
		list_del(&mm->member_node);
		f->member_count--;
	}
	spin_unlock(&f->lock);
}

void mm_retire_member(struct mm *mm)
{
	struct family *f = mm->family;
	struct mm *own = current_thread()->turn_mm, *heir;

	if (!f)
		return;
	if (own == mm) {
		mutex_lock(&mm->lock);
		drop_objects(mm);
		current_thread()->keeps_turn = true;
		heir = turn_heir(mm);
		if (heir)
			hand_over(f, mm, heir);
		while (mm->vmas.node)
			BUG_ON(mm_unmap_locked(mm, zone_start(), zone_end(), false));
		mm_release_heap(mm);
		leave(f, mm);
		/* Before files are closed, which may wait: what lies in place is no longer ours. */
		turn_give_up(mm, heir);
		current_thread()->keeps_turn = false;
		mm_unlock(mm);
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
