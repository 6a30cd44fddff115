// SPDX-License-Identifier: Apache-2.0
/*
 * The holders of keys, in a table without a lock. A slot is claimed by its function and valid once
 * its argument is there too; it is run by whoever takes the function out, so a holder that is
 * being removed meanwhile runs at most beside its own end.
 */
#include "kernel/core/wipe.h"

typedef void (*wipe_fn)(void *arg);

static struct {
	wipe_fn wipe; /* atomic; NULL: free */
	void *arg;    /* atomic; NULL: being filled */
} wipers[WIPERS_MAX];

bool wiper_add(wipe_fn wipe, void *arg)
{
	for (u32 i = 0; i < WIPERS_MAX; i++) {
		wipe_fn none = NULL;

		if (!__atomic_compare_exchange_n(&wipers[i].wipe, &none, wipe, false,
						 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			continue;
		__atomic_store_n(&wipers[i].arg, arg, __ATOMIC_RELEASE);
		return true;
	}
	return false;
}

void wiper_remove(wipe_fn wipe, void *arg)
{
	for (u32 i = 0; i < WIPERS_MAX; i++) {
		if (__atomic_load_n(&wipers[i].wipe, __ATOMIC_RELAXED) != wipe ||
		    __atomic_load_n(&wipers[i].arg, __ATOMIC_RELAXED) != arg)
			continue;
		__atomic_store_n(&wipers[i].arg, NULL, __ATOMIC_RELAXED);
		__atomic_store_n(&wipers[i].wipe, NULL, __ATOMIC_RELEASE);
		return;
	}
}

void wipers_run(void)
{
	for (u32 i = 0; i < WIPERS_MAX; i++) {
		wipe_fn wipe = __atomic_load_n(&wipers[i].wipe, __ATOMIC_ACQUIRE);
		void *arg = __atomic_load_n(&wipers[i].arg, __ATOMIC_ACQUIRE);

		if (wipe && arg)
			wipe(arg);
	}
}
