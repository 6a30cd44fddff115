/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns which addresses of the user zone. One allocator for all processes: what is not free
 * here belongs to exactly one mapping, reservation or object.
 *
 *   start        fixed: images linked at fixed addresses take exact ranges here
 *   movable      small: mappings up to ZONE_SMALL_MAX, reused lowest address first to stay warm
 *   large        large mappings and reservations
 *   end
 */
#pragma once

#include "lib/base/types.h"

#define ZONE_SMALL_MAX MIB(1)

enum zone_part {
	ZONE_SMALL,
	ZONE_LARGE,
};

/* [start, end) page aligned; below `movable` nothing is placed unless asked for by address. */
int __must_check zone_init(u64 start, u64 end, u64 movable);
void zone_fini(void); /* tests */

u64 zone_start(void);
u64 zone_end(void);
u64 zone_movable(void);

/* An address, or 0. `align` is a power of two, at least a page. */
u64 zone_alloc(u64 size, u64 align, enum zone_part part) __must_check;
/* Lowest fit within [low, high). */
u64 zone_alloc_within(u64 size, u64 align, u64 low, u64 high) __must_check;
/* Exactly this range, if all of it is free. */
bool zone_take(u64 start, u64 end) __must_check;
bool zone_is_free(u64 start, u64 end);
void zone_free(u64 start, u64 end);

/* The next free range that ends after `address`; false: none. */
bool zone_next_free(u64 address, u64 *ret_start, u64 *ret_end);
u64 zone_free_bytes(void);

/*
 * Freeing must not fail, so each owner of a range reserves the bookkeeping first: one
 * reservation per owned range, kept until after it is freed.
 */
int __must_check zone_reserve_node(void);
void zone_unreserve_node(void);
