// SPDX-License-Identifier: Apache-2.0
/*
 * Giving up mappings. A thread of the same process may be inside uaccess, past its check, when a
 * mapping goes: its copy must not hit what comes to lie there next. So addresses are handed to
 * the zone only when every thread that was inside has left; until then they wait in limbo, a list
 * in the mm that is looked at whenever the mm changes again.
 */
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/mm/family_priv.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "kernel/sched/park.h"

#include "abi/errno.h"

struct limbo {
	struct list_node node;
	u64 start, end;
	u64 epoch;
	struct vma *vma; /* keeps the zone bookkeeping; already dropped from the tree */
};

/* What relatives have mapped as well stays theirs. */
static void free_part(struct mm *mm, u64 start, u64 end)
{
	if (likely(!mm_has_relatives(mm))) {
		zone_free(start, end);
		return;
	}
	for (u64 at = start, until; at < end; at = until)
		if (!family_covers(mm, at, end, &until))
			zone_free(at, until);
}

/* The heap's reserved addresses stay the process's own. */
void mm_free_addresses(struct mm *mm, u64 start, u64 end)
{
	u64 low = MAX(start, mm->brk_start), high = MIN(end, mm->brk_end);

	if (low >= high) {
		free_part(mm, start, end);
		return;
	}
	free_part(mm, start, low);
	free_part(mm, high, end);
}

void mm_drain_limbo(struct mm *mm)
{
	struct limbo *l, *next;

	list_for_each_entry_safe (l, next, &mm->limbo, node) {
		if (uaccess_is_busy(mm, l->epoch))
			break; /* later ones have later epochs */
		list_del(&l->node);
		mm_free_addresses(mm, l->start, l->end);
		vma_free(l->vma);
		kfree(l);
	}
}

/* Waits for the threads inside: they only copy, so this is short. */
void mm_wait_for_uaccess(struct mm *mm, u64 epoch)
{
	while (uaccess_is_busy(mm, epoch))
		thread_yield();
}

void mm_retire(struct vma *v)
{
	u64 epoch = uaccess_advance();
	struct mm *mm = v->mm;
	struct limbo *l;

	/* In a family nothing waits in limbo: whose those addresses are can change. */
	if (unlikely(mm->family))
		mm_wait_for_uaccess(mm, epoch);
	if (likely(!uaccess_is_busy(mm, epoch))) {
		mm_free_addresses(mm, v->start, v->end);
		vma_free(v);
		return;
	}
	l = kmalloc(sizeof(*l));
	if (!l) {
		mm_wait_for_uaccess(mm, epoch);
		mm_free_addresses(mm, v->start, v->end);
		vma_free(v);
		return;
	}
	*l = (struct limbo){.start = v->start, .end = v->end, .epoch = epoch, .vma = v};
	list_add_tail(&mm->limbo, &l->node);
}

int mm_unmap_locked(struct mm *mm, u64 start, u64 end, bool keep)
{
	struct vma *v, *next;
	int err;

	if (!keep && !list_is_empty(&mm->kept))
		kept_unmap(mm, start, end);
	err = vma_split_at(mm, start, end);
	if (err)
		return err;
	for (v = vma_find(mm, start); v && v->start < end; v = next) {
		next = vma_next(v);
		if (v->extra_views && !keep) {
			v->extra_views--;
			continue;
		}
		vma_remove(v);
		text_unmapped(v);
		if (v->kind == VMA_OBJECT) {
			/* The pages are the object's; the last reference frees them. */
			mm_wait_for_uaccess(mm, uaccess_advance());
			vma_free(v);
			continue;
		}
		if (mm_has_relatives(mm))
			family_release(mm, v->start, v->end);
		else
			pages_release(v->start, v->end);
		if (keep)
			vma_free(v);
		else
			mm_retire(v);
	}
	text_collect(mm);
	if (!list_is_empty(&mm->limbo))
		mm_drain_limbo(mm);
	return 0;
}
