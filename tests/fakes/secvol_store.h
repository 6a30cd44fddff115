/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block store above another one, without its mappings: each batch is carried out below, one at a
 * time, and then a test may look at each request and change what came of it.
 */
#pragma once

#include <pthread.h>
#include <stdlib.h>

#include "lib/secvol/blockstore.h"

struct store_above {
	struct bs bs;
	struct bs *below;
	pthread_mutex_t lock;
	void (*after)(struct store_above *s, struct bs_req *r); /* or NULL */
};

static inline int store_above_submit(struct bs *bs, struct bs_batch *batch)
{
	struct store_above *s = (struct store_above *)bs;
	int err;

	pthread_mutex_lock(&s->lock);
	err = s->below->ops->submit(s->below, batch);
	pthread_mutex_unlock(&s->lock);
	for (u32 i = 0; !err && s->after && i < batch->count; i++)
		s->after(s, &batch->reqs[i]);
	return err;
}

static inline int store_above_reap(struct bs *bs, struct bs_batch *batch)
{
	return 0;
}

static inline u64 store_above_size(struct bs *bs)
{
	struct store_above *s = (struct store_above *)bs;

	return s->below->ops->size(s->below);
}

static inline void *store_above_alloc(struct bs *bs, size_t size)
{
	return malloc(size);
}

static inline void store_above_free(struct bs *bs, void *p, size_t size)
{
	free(p);
}

static inline void store_above_init(struct store_above *s, struct bs *below,
				    void (*after)(struct store_above *s, struct bs_req *r))
{
	static const struct bs_ops ops = {.submit = store_above_submit,
					  .reap = store_above_reap,
					  .size = store_above_size,
					  .buf_alloc = store_above_alloc,
					  .buf_free = store_above_free};

	*s = (struct store_above){.bs = {.ops = &ops, .max_blocks = BS_MAX_BLOCKS},
				  .below = below,
				  .lock = PTHREAD_MUTEX_INITIALIZER,
				  .after = after};
}
