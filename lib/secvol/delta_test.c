/* SPDX-License-Identifier: Apache-2.0 */
/* The table of changes when memory runs out: a change is there whole or not at all. */
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>

#include "lib/secvol/secvol_priv.h"

static u32 allowed; /* allocations that still succeed */

static void *take(void *arg, size_t size)
{
	return allowed && allowed-- ? aligned_alloc(16, ALIGN_UP(size, (size_t)16)) : NULL;
}

static void give(void *arg, void *p, size_t size)
{
	free(p);
}

/* Changes of `size` bytes until there is no room; then every key has its value, or is not there. */
static void fill(u32 size)
{
	struct secvol *v = calloc(1, sizeof(*v));
	u8 value[SV_ITEM_MAX];
	u64 count = 0;

	v->env = (struct secvol_env){.alloc = take, .free = give};
	sv_delta_init(&v->delta);
	allowed = 1;
	for (;; count++) {
		struct sv_key key = sv_key(count + 1, SV_INODE, 0);

		memset(value, (int)count, size);
		if (sv_delta_put(v, &key, value, size))
			break;
	}
	assert_true(count > 10);
	for (u64 i = 0; i <= count; i++) {
		struct sv_key key = sv_key(i + 1, SV_INODE, 0);
		struct sv_delta_entry *e = sv_delta_find(&v->delta, &key);

		if (i == count) {
			assert_null(e);
			break;
		}
		assert_non_null(e);
		assert_int_equal(e->key.obj, i + 1);
		assert_int_equal(e->size, size);
		assert_int_equal(e->val[0], (u8)i);
	}
	sv_delta_free(v);
	free(v);
}

static void a_change_without_memory_leaves_nothing(void **state)
{
	for (u32 size = 16; size <= SV_ITEM_MAX; size += 40)
		fill(size);
}

UNIT_TESTS(a_change_without_memory_leaves_nothing)
