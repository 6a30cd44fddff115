// SPDX-License-Identifier: Apache-2.0
/*
 * The turn moves: the pages in place become those of another member. What both have is compared and,
 * where it differs, exchanged with its copy; what only one has is saved or put back, or stays where
 * nobody else wants the address. An exchange turns the chunks of the new resident into those of
 * the old one. Nobody is inside the family meanwhile.
 *
 * A member that ends gives its pages straight to the next, where that is known: most are the same,
 * and none has to be taken out of reach and back.
 */
#include "kernel/mm/family_priv.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "lib/base/string.h"

/* --- the turn moves --- */

static void forget_all(struct mm *mm)
{
	/* Its process is killed; until it notices, pages that are missing read as zeroes. */
	for (struct vma *v = vma_of(rb_first(&mm->vmas)); v; v = vma_next(v))
		v->lazy = true;
	mm_changed(mm);
}

static void hide(u64 start, u64 end)
{
	if (pages_hide(start, end))
		panic("the host refuses to take access away");
}

/*
 * What lies in place is about to change. A member that counts on it gets a copy; without memory for
 * that the page is lost to it, so that it never sees another's in its place, and it is killed.
 */
static void preserve(struct family *f, struct mm *from, struct mm *to, u64 at)
{
	struct mm *m;

	if (!family_preserve_page(f, from, to, at))
		return;
	list_for_each_entry (m, &f->members, member_node) {
		struct chunk *c = m == from || m == to ? NULL : image_in_place(m, at);

		if (!c)
			continue;
		c->state[chunk_index(at)] = 0;
		forget_all(m);
		m->is_lost = true;
	}
}

/* Notes in the image that is becoming that of `from` which pages it has. -ENOMEM: it lost some. */
static int note_live(struct family *f, struct mm *from, struct mm *to)
{
	struct chunk *c = NULL;
	int err = 0;

	for (struct vma *v = vma_of(rb_first(&from->vmas)); v; v = vma_next(v)) {
		u64 at = v->start;

		if (!vma_is_private(v))
			continue;
		while (at < v->end) {
			u8 present;
			u64 until = pages_run(at, v->end, PAGE_PRESENT, &present);

			for (; present && at < until; at += PAGE_SIZE) {
				if (!c || c->base != ALIGN_DOWN(at, CHUNK_SIZE))
					c = image_get(to, at);
				if (c) {
					c->live[chunk_index(at)] = pages_state(at);
					continue;
				}
				err = -ENOMEM; /* `to` has no entry here, and must not see it */
				preserve(f, from, to, at);
				pages_release(at, at + PAGE_SIZE);
				hide(at, at + PAGE_SIZE);
			}
			at = until;
		}
	}
	return err;
}

struct exchange {
	struct family *f;
	struct mm *from, *to;
	bool ends; /* `from` does: nothing of it is kept */
	/* To be hidden: a call to the host for each page would be most of an exchange. */
	u64 gone_start, gone_end;
	u64 count;
	int err;
};

static bool page_is_equal(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	for (size_t i = 0; i < PAGE_SIZE / 8; i += 4)
		if ((x[i] ^ y[i]) | (x[i + 1] ^ y[i + 1]) | (x[i + 2] ^ y[i + 2]) |
		    (x[i + 3] ^ y[i + 3]))
			return false;
	return true;
}

/* Both have it. Afterwards the copy, if there is one, is that of `from`. */
static void exchange_both(struct exchange *x, u64 at, u8 state, u64 copy)
{
	void *page = (void *)at;

	if (copy) {
		page_make_accessible(at, PAGE_READ);
		if (!page_is_equal(page, (const void *)copy)) {
			preserve(x->f, x->from, x->to, at);
			page_make_accessible(at, PAGE_READ | PAGE_WRITE);
			if (!x->ends)
				memcpy(x->f->scratch, page, PAGE_SIZE);
			memcpy(page, (const void *)copy, PAGE_SIZE);
			if (!x->ends)
				memcpy((void *)copy, x->f->scratch, PAGE_SIZE);
			x->count++;
		}
	}
	page_set_prot(at, state);
}

static void hide_gone(struct exchange *x)
{
	if (x->gone_start < x->gone_end)
		hide(x->gone_start, x->gone_end);
	x->gone_start = x->gone_end = 0;
}

/* What lies in place goes. The page is absent now, and out of reach when the exchange is over. */
static void vacate(struct exchange *x, u64 at)
{
	pages_release(at, at + PAGE_SIZE);
	if (x->gone_end != at) {
		hide_gone(x);
		x->gone_start = at;
	}
	x->gone_end = at + PAGE_SIZE;
}

/* Only the old resident has it: it may stay where nobody else wants the address. */
static u64 exchange_leave(struct exchange *x, u64 at, u8 *state)
{
	u64 until, copy;

	if (!family_covers(x->from, at, at + PAGE_SIZE, &until))
		return 0;
	if (!family_member_covers(x->to, at, &until) &&
	    family_is_in_place(x->f, x->from, x->to, at))
		return 0;
	preserve(x->f, x->from, x->to, at);
	copy = x->ends ? 0 : image_copy_page(x->f, at);
	if (!copy && !x->ends) {
		x->err = -ENOMEM;
		*state = 0;
	}
	vacate(x, at);
	x->count++;
	return copy;
}

/* Only the new resident has it. */
static void exchange_enter(struct exchange *x, u64 at, u8 state, u64 copy)
{
	if (!copy) {
		page_set_prot(at, state);
		return;
	}
	preserve(x->f, x->from, x->to, at);
	if (pages_put_back(at, (const void *)copy, state & PAGE_PROT))
		panic("the host refuses memory that programs have already");
	image_copy_free(x->f, copy);
	x->count++;
}

static bool comes_back(const struct chunk *c, u32 i)
{
	return i < CHUNK_PAGES && !c->live[i] && c->state[i] && c->copy[i];
}

/* Those from `first` on: a call to the host for each would cost more than all else. Where they end. */
static u32 expect_back(const struct chunk *c, u32 first)
{
	u32 end = first;

	while (comes_back(c, end))
		end++;
	if (pages_expect_back(c->base + (u64)first * PAGE_SIZE, c->base + (u64)end * PAGE_SIZE))
		panic("the host refuses memory that programs have already");
	return end;
}

static void exchange_chunk(struct exchange *x, struct chunk *c)
{
	u32 expected = 0; /* pages before it have been expected back */

	for (u32 i = 0; i < CHUNK_PAGES; i++) {
		u8 mine = c->live[i], theirs = c->state[i];
		u64 at = c->base + (u64)i * PAGE_SIZE, copy = c->copy[i];

		if (!(mine | theirs))
			continue;
		if (i >= expected && comes_back(c, i))
			expected = expect_back(c, i);
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

static void exchange_all(struct exchange *x)
{
	if (x->from)
		x->err = note_live(x->f, x->from, x->to);
	for (struct rb_node *n = rb_first(&x->to->image); n; n = rb_next(n))
		exchange_chunk(x, chunk_of(n));
	hide_gone(x);
	turn_count_exchanged(x->count);
}

void family_bequeath(struct family *f, struct mm *from, struct mm *to)
{
	struct exchange x = {.f = f, .from = from, .to = to, .ends = true};

	exchange_all(&x);
	image_free(f, to);
}

int family_exchange(struct family *f, struct mm *from, struct mm *to)
{
	struct exchange x = {.f = f, .from = from, .to = to};

	exchange_all(&x);
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
