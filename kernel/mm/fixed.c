// SPDX-License-Identifier: Apache-2.0
/*
 * Programs linked at fixed addresses. Nearly all of them begin at 4 MiB, so two that run at the
 * same time want the same addresses. They are one family, whether they overlap or not, and take
 * turns as a program and what it forks do (docs/fork.md): a program joins before its image is
 * mapped, maps it in its own turn, over pages of others that are saved first, and leaves when it
 * ends.
 *
 * There is one such family, so that no two ever have to become one. It stays when it has no
 * members; alone in it, a program pays a spinlock per parking of a thread.
 */
#include "abi/errno.h"
#include "kernel/mm/family_priv.h"
#include "kernel/proc/process.h"

static struct family *fixed; /* atomic; holds a reference */

static struct family *family_of_fixed(void)
{
	struct family *f = __atomic_load_n(&fixed, __ATOMIC_ACQUIRE), *none = NULL;

	if (f)
		return f;
	f = family_new();
	if (!f || __atomic_compare_exchange_n(&fixed, &none, f, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE))
		return f;
	family_put(f);
	return none;
}

int mm_join_fixed(struct mm *mm)
{
	struct family *f = family_of_fixed();
	int err;

	if (!f)
		return -ENOMEM;
	/* What it has mapped so far lies at addresses of its own. */
	turn_detach();
	__atomic_store_n(&mm->family, family_get(f), __ATOMIC_SEQ_CST);
	turn_attach(mm);
	mutex_lock(&mm->lock);
	err = family_join(f, mm);
	mm_unlock(mm);
	return err;
}

void fixed_fini(void)
{
	family_put(fixed);
	fixed = NULL;
}
