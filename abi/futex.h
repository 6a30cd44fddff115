/* SPDX-License-Identifier: Apache-2.0 */
/* Futex operations and the layout of robust lists. */
#pragma once

#include <stdint.h>

#define FUTEX_WAIT	       0
#define FUTEX_WAKE	       1
#define FUTEX_FD	       2
#define FUTEX_REQUEUE	       3
#define FUTEX_CMP_REQUEUE      4
#define FUTEX_WAKE_OP	       5
#define FUTEX_LOCK_PI	       6
#define FUTEX_UNLOCK_PI	       7
#define FUTEX_TRYLOCK_PI       8
#define FUTEX_WAIT_BITSET      9
#define FUTEX_WAKE_BITSET      10
#define FUTEX_WAIT_REQUEUE_PI  11
#define FUTEX_CMP_REQUEUE_PI   12
#define FUTEX_LOCK_PI2	       13

#define FUTEX_PRIVATE_FLAG     128
#define FUTEX_CLOCK_REALTIME   256

#define FUTEX_WAITERS	       0x80000000u
#define FUTEX_OWNER_DIED       0x40000000u
#define FUTEX_TID_MASK	       0x3fffffffu

#define FUTEX_BITSET_MATCH_ANY 0xffffffffu

/* FUTEX_WAKE_OP's third value: op(4) cmp(4) oparg(12) cmparg(12) */
#define FUTEX_OP_SET	       0
#define FUTEX_OP_ADD	       1
#define FUTEX_OP_OR	       2
#define FUTEX_OP_ANDN	       3
#define FUTEX_OP_XOR	       4
#define FUTEX_OP_OPARG_SHIFT   8
#define FUTEX_OP_CMP_EQ	       0
#define FUTEX_OP_CMP_NE	       1
#define FUTEX_OP_CMP_LT	       2
#define FUTEX_OP_CMP_LE	       3
#define FUTEX_OP_CMP_GT	       4
#define FUTEX_OP_CMP_GE	       5

struct abi_robust_list_head {
	uint64_t list;	      /* first entry; bit 0: a PI futex */
	int64_t futex_offset; /* from an entry to its futex word */
	uint64_t list_op_pending;
};
_Static_assert(sizeof(struct abi_robust_list_head) == 24, "robust_list_head");
#define ROBUST_LIST_LIMIT 2048
