/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Put before every source of the kernel that the explorer compiles (-include): each atomic
 * operation tells the scheduler first what it is about to touch. Locks and all that threads tell
 * each other are made of these, so nothing in the kernel has to name its yield points, and the
 * images know nothing of this.
 */
#pragma once

enum point_kind {
	POINT_READ = 1,
	POINT_WRITE = 2,
	POINT_QUIET = 4,  /* nobody is preempted here */
	POINT_IGNORE = 8, /* not even noted */
};

void explore_point(const volatile void *at, int kind);

/*
 * Before a spinlock's release nobody else gains anything by running. States of pages are noted but
 * changed by whoever owns the addresses; figures decide nothing.
 */
#define POINT_TEXT_IS(text, what) (__builtin_strcmp(text, what) == 0)
#define POINT_KIND_OF(text)                                                                        \
	(POINT_TEXT_IS(text, "&lock->locked") || __builtin_strncmp(text, "&leaf[", 6) == 0 ||      \
			 POINT_TEXT_IS(text, "state_at(address)")                                  \
		 ? POINT_QUIET                                                                     \
	 : __builtin_strncmp(text, "&pages_index.", 13) == 0 ||                                    \
			 __builtin_strncmp(text, "&pages.", 7) == 0 ||                             \
			 __builtin_strncmp(text, "&counts.", 8) == 0 ||                            \
			 POINT_TEXT_IS(text, "&only_open")                                         \
		 ? POINT_IGNORE                                                                    \
		 : 0)

#define POINT_AT(p, kind) explore_point((const volatile void *)(p), (kind) | POINT_KIND_OF(#p))

#define __atomic_load_n(p, order)                                                                  \
	__extension__({                                                                            \
		POINT_AT(p, POINT_READ);                                                           \
		__atomic_load_n(p, order);                                                         \
	})
#define __atomic_store_n(p, value, order)                                                          \
	__extension__({                                                                            \
		POINT_AT(p, POINT_WRITE);                                                          \
		__atomic_store_n(p, value, order);                                                 \
	})
/* Taking a lock is a point even where giving it back is none. */
#define __atomic_exchange_n(p, value, order)                                                       \
	__extension__({                                                                            \
		explore_point((const volatile void *)(p), POINT_WRITE);                            \
		__atomic_exchange_n(p, value, order);                                              \
	})
#define __atomic_compare_exchange_n(p, expected, value, weak, success, failure)                    \
	__extension__({                                                                            \
		POINT_AT(p, POINT_WRITE);                                                          \
		__atomic_compare_exchange_n(p, expected, value, weak, success, failure);           \
	})
/* One more reference decides nothing; one less may. */
#define POINT_MORE(p) POINT_AT(p, POINT_WRITE | (__builtin_strstr(#p, "refs") ? POINT_QUIET : 0))
#define __atomic_add_fetch(p, value, order)                                                        \
	__extension__({                                                                            \
		POINT_MORE(p);                                                                     \
		__atomic_add_fetch(p, value, order);                                               \
	})
#define __atomic_sub_fetch(p, value, order)                                                        \
	__extension__({                                                                            \
		POINT_AT(p, POINT_WRITE);                                                          \
		__atomic_sub_fetch(p, value, order);                                               \
	})
#define __atomic_fetch_add(p, value, order)                                                        \
	__extension__({                                                                            \
		POINT_MORE(p);                                                                     \
		__atomic_fetch_add(p, value, order);                                               \
	})
#define __atomic_fetch_sub(p, value, order)                                                        \
	__extension__({                                                                            \
		POINT_AT(p, POINT_WRITE);                                                          \
		__atomic_fetch_sub(p, value, order);                                               \
	})
#define __atomic_or_fetch(p, value, order)                                                         \
	__extension__({                                                                            \
		POINT_AT(p, POINT_WRITE);                                                          \
		__atomic_or_fetch(p, value, order);                                                \
	})
#define __atomic_and_fetch(p, value, order)                                                        \
	__extension__({                                                                            \
		POINT_AT(p, POINT_WRITE);                                                          \
		__atomic_and_fetch(p, value, order);                                               \
	})
#define __atomic_fetch_and(p, value, order)                                                        \
	__extension__({                                                                            \
		POINT_AT(p, POINT_WRITE);                                                          \
		__atomic_fetch_and(p, value, order);                                               \
	})
#define __atomic_fetch_or(p, value, order)                                                         \
	__extension__({                                                                            \
		POINT_AT(p, POINT_WRITE);                                                          \
		__atomic_fetch_or(p, value, order);                                                \
	})
