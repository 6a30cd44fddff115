/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of kernel/mm: families of address spaces that use the same addresses, after fork() or
 * because their programs are linked there.
 * turn.c decides whose pages are in place, exchange.c puts them there, image.c keeps the others.
 *
 * What holds for the private pages of a family:
 *   - The live pages and their state bytes are the resident's, and those of pages that only one
 *     member has mapped stay in place whoever is resident.
 *   - A member that is not resident has an image: an entry for each page present in it. An entry
 *     with a copy holds the page; one without says that what lies in place is the same.
 *   - So before a page in place is changed, dropped or made writable, every entry without a copy
 *     gets one: family_preserve().
 *   - Mappings of a member change only by threads that are inside it: while it is resident. So the
 *     resident may look at the mappings of all others.
 */
#pragma once

#include "kernel/mm/mm_priv.h"
#include "kernel/mm/turn.h"
#include "kernel/mm/zone.h"
#include "kernel/sync/spinlock.h"

#define FAMILY_MEMBERS_MAX 4096 /* processes that share addresses since fork() */

struct turn_waiter;

struct family {
	u32 refs; /* atomic: address spaces that have ever belonged to it; fixed.c's has one more */

	/* Who is resident, and who wants to be; turn.c. */
	struct spinlock lock;
	struct mm *resident;	  /* lock; NULL: it ended */
	struct thread *stopper;	  /* lock; forks: it alone may be inside the resident */
	bool closing;		  /* lock; the resident admits nobody until the turn has moved */
	bool is_expected;	  /* lock; the resident was given the turn and is on its way in */
	bool is_switching;	  /* lock; one thread exchanges pages, nobody is inside */
	struct list_node waiters; /* lock; struct turn_waiter, in order of arrival */
	u64 since;		  /* lock; when the turn moved last */
	u64 stretch;		  /* lock; ns that it stays longer for what moving it costs */

	/* Of whoever is inside the resident with its mm->lock, or exchanges pages. */
	struct list_node members; /* struct mm.member_node; also lock */
	u32 member_count;
	struct list_node extents; /* room for copies */
	void *scratch;		  /* a page */
};

/* --- image.c --- */

#define CHUNK_PAGES 64
#define CHUNK_SIZE  (CHUNK_PAGES * PAGE_SIZE)

/* A piece of an image. */
struct chunk {
	struct rb_node node;
	u64 base;
	u8 state[CHUNK_PAGES]; /* of pages.h; not PAGE_PRESENT: no entry */
	u8 live[CHUNK_PAGES];  /* during an exchange: states of the old resident's pages */
	u64 copy[CHUNK_PAGES]; /* address, or 0: what lies in place */
};

static inline struct chunk *chunk_of(struct rb_node *n)
{
	return n ? rb_entry(n, struct chunk, node) : NULL;
}

static inline u32 chunk_index(u64 at)
{
	return (u32)((at & (CHUNK_SIZE - 1)) >> PAGE_SHIFT);
}

static inline u64 chunk_page(const struct chunk *c, u32 index)
{
	return c->base + (u64)index * PAGE_SIZE;
}

/* The chunk around `at`, NULL if there is none; image_get() makes it, NULL without memory. */
struct chunk *image_find(struct mm *mm, u64 at);
struct chunk *image_get(struct mm *mm, u64 at) __must_check;
/* The same if it says that mm has what lies in place at `at`. */
struct chunk *image_in_place(struct mm *mm, u64 at);
void image_free(struct family *f, struct mm *mm);

/* Keeps what lies in place at `at` in a new copy; 0: no memory. */
u64 image_copy_page(struct family *f, u64 at) __must_check;
void image_copy_free(struct family *f, u64 copy); /* 0: nothing */

/* --- family.c --- */

static inline bool vma_is_private(const struct vma *v)
{
	return v->kind != VMA_OBJECT;
}

struct family *family_new(void) __must_check; /* without members */
struct family *family_get(struct family *f);
void family_put(struct family *f);
/* By who is inside the resident with its mm->lock, or alone. mm->family is the caller's to set. */
int __must_check family_join(struct family *f, struct mm *mm);
void family_forget(struct mm *mm); /* mm is about to be freed */

/* More than one address space uses these addresses: what follows matters. */
static inline bool mm_has_relatives(const struct mm *mm)
{
	return unlikely(mm->family) && mm->family->member_count > 1;
}

/* Other programs may come to use `address` as well at any time, without a fork of this one. */
static inline bool mm_is_contested(const struct mm *mm, u64 address)
{
	return unlikely(mm->family) && address < zone_movable();
}

/* No relative has any of these pages in place: mm may change what they hold. */
bool family_is_own(struct mm *mm, u64 start, u64 end);

/* Another member has private mappings or heap at `at`; that is so (or not so) up to *ret_until. */
bool family_covers(struct mm *mm, u64 at, u64 end, u64 *ret_until);
bool family_covers_any(struct mm *mm, u64 start, u64 end);

/* mm is resident, its lock held. What lies in place there may be changed afterwards. */
int __must_check family_preserve(struct mm *mm, u64 start, u64 end);
/* mm unmaps these pages: they go unless another member has them in place too. */
void family_release(struct mm *mm, u64 start, u64 end);

/* Somebody who is neither resident nor `but` has the page at `at` in place; they get copies. */
bool family_is_in_place(struct family *f, const struct mm *resident, const struct mm *but, u64 at);
int __must_check family_preserve_page(struct family *f, const struct mm *resident,
				      const struct mm *but, u64 at);
/* m has something private at `at`; that is so (or not so) up to *ret_until, which is lowered. */
bool family_member_covers(struct mm *m, u64 at, u64 *ret_until);

/* --- exchange.c --- */

/*
 * The pages in place become those of `to` instead of `from` (NULL: nobody's). -ENOMEM: some of the
 * pages of `from` could not be kept and are lost; what is in place is right. Nobody is inside.
 */
int __must_check family_exchange(struct family *f, struct mm *from, struct mm *to);

/*
 * The same by the last thread of `from`, which is inside and ends: nothing of it is kept. Its
 * mappings are still to be dropped.
 */
void family_bequeath(struct family *f, struct mm *from, struct mm *to);

/* --- turn.c --- */

/* Nobody else is inside the current address space until turn_resume_siblings(). */
void turn_stop_siblings(struct mm *mm);
void turn_resume_siblings(struct mm *mm);
/* Who comes after the resident, which ends: NULL when that is unknown. The caller is inside it. */
struct mm *turn_heir(struct mm *mm);
/*
 * The resident is no member any more, and the current thread no longer inside it. The pages in
 * place are those of `heir`, or nobody's (NULL).
 */
void turn_give_up(struct mm *mm, struct mm *heir);
void turn_count_fork(void);
void turn_count_held(s64 pages);
void turn_count_exchanged(u64 pages);
