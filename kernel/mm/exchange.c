// SPDX-License-Identifier: Apache-2.0
/*
 * The turn moves: the pages in place become those of another member. What both have is compared
 * and, where it differs, exchanged with its copy; what only one has is saved or put back, or stays
 * where nobody else wants the address. An exchange turns the chunks of the new resident into those
 * of the old one. Nobody is inside the family meanwhile.
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

/* Pages in place as they are to be. The host must: it gave the same before. */
static void set_prot(u64 start, u64 end, u32 prot)
{
	if (pages_protect(start, end, prot))
		panic("the host refuses memory that programs have already");
}

/* Pages of a chunk that both members have, from `first` on, each with a copy: where they end. */
static u32 both_until(const struct chunk *c, u32 first)
{
	u32 end = first;

	while (end < CHUNK_PAGES && c->live[end] && c->state[end] && c->copy[end])
		end++;
	return end;
}

/*
 * Both have it. Afterwards the copy, if there is one, is that of `from`. What is not writable, as
 * text is, becomes so for all that follows: a call to the host for each would be most of it.
 */
static void exchange_both(struct exchange *x, struct chunk *c, u32 i)
{
	u64 at = chunk_page(c, i);
	void *page = (void *)at, *copy = (void *)c->copy[i];

	if (!copy)
		return;
	if (!(pages_state(at) & PAGE_READ))
		set_prot(at, at + PAGE_SIZE, PAGE_READ);
	if (page_is_equal(page, copy))
		return;
	preserve(x->f, x->from, x->to, at);
	if (!(pages_state(at) & PAGE_WRITE))
		set_prot(at, chunk_page(c, both_until(c, i)), PAGE_READ | PAGE_WRITE);
	if (!x->ends)
		memcpy(x->f->scratch, page, PAGE_SIZE);
	memcpy(page, copy, PAGE_SIZE);
	if (!x->ends)
		memcpy(copy, x->f->scratch, PAGE_SIZE);
	x->count++;
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

static bool comes_back(const struct chunk *c, u32 i)
{
	return i < CHUNK_PAGES && !c->live[i] && c->state[i] && c->copy[i];
}

/* Only the new resident has them, from `first` on, and not in place. Where they end. */
static u32 enter_run(struct exchange *x, struct chunk *c, u32 first)
{
	u32 end = first;

	while (comes_back(c, end))
		end++;
	if (pages_expect_back(chunk_page(c, first), chunk_page(c, end)))
		panic("the host refuses memory that programs have already");
	for (u32 i = first; i < end; i++) {
		preserve(x->f, x->from, x->to, chunk_page(c, i));
		pages_put_back(chunk_page(c, i), (const void *)c->copy[i]);
		image_copy_free(x->f, c->copy[i]);
		c->copy[i] = 0;
	}
	x->count += end - first;
	return end;
}

/* The pages in place are those of the new resident; so becomes what it may do with them. */
static void protect_chunk(const struct chunk *c, const u8 *states)
{
	for (u32 i = 0, end; i < CHUNK_PAGES; i = end) {
		end = i + 1;
		if (!states[i])
			continue;
		while (end < CHUNK_PAGES && states[end] && !((states[end] ^ states[i]) & PAGE_PROT))
			end++;
		set_prot(chunk_page(c, i), chunk_page(c, end), states[i] & PAGE_PROT);
	}
}

static void exchange_chunk(struct exchange *x, struct chunk *c)
{
	u8 states[CHUNK_PAGES];
	u32 entered = 0; /* runs before it have been put back */

	memcpy(states, c->state, sizeof(states));
	for (u32 i = 0; i < CHUNK_PAGES; i++) {
		u8 mine = c->live[i];

		if (mine && states[i])
			exchange_both(x, c, i);
		else if (mine)
			c->copy[i] = exchange_leave(x, chunk_page(c, i), &mine);
		else if (i >= entered && comes_back(c, i))
			entered = enter_run(x, c, i);
		c->live[i] = 0;
		c->state[i] = mine;
	}
	protect_chunk(c, states);
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
