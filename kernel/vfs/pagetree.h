/* SPDX-License-Identifier: Apache-2.0 */
/* A sparse array of pointers indexed by page number: 64 per node, as high as the largest index. */
#pragma once

#include "lib/base/types.h"

#define PAGETREE_MAX_INDEX (1ull << 52)

struct pagetree_node;

struct pagetree {
	struct pagetree_node *root;
	u32 height; /* levels; 0: empty */
};

void *pagetree_get(const struct pagetree *t, u64 index);
/* -ENOMEM, -EFBIG; value NULL removes (and never fails). */
int __must_check pagetree_set(struct pagetree *t, u64 index, void *value);
void pagetree_remove(struct pagetree *t, u64 index);
/* The first present entry at or after *index, which is moved to it; NULL at the end. */
void *pagetree_next(const struct pagetree *t, u64 *index);
void pagetree_free(struct pagetree *t); /* nodes only; values are the caller's */
