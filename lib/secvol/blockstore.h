/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block store: the only thing through which a volume touches untrusted storage. Units of 4 KiB,
 * at most BS_MAX_BLOCKS per request.
 *
 * Contract of a backend: requests of a batch, and batches among each other, are unordered; a
 * completed WRITE is visible to later READs; FLUSH makes durable the writes that had *completed*
 * before it was submitted; nothing larger than 512 bytes is atomic. Blocks never written read as
 * zeros. A backend may be called by several threads at once. Nothing it returns is believed.
 */
#pragma once

#include "lib/base/types.h"

#define BS_BLOCK      4096u
#define BS_MAX_BLOCKS 256u /* 1 MiB */

enum bs_op { BS_READ, BS_WRITE, BS_FLUSH, BS_TRIM };

struct bs_req {
	enum bs_op op;
	u32 count;  /* blocks; 0 for FLUSH */
	u64 block;  /* first block; 0 for FLUSH */
	void *buf;  /* count * BS_BLOCK bytes from bs_ops.buf_alloc; NULL for FLUSH and TRIM */
	int result; /* set by the backend: 0 or a negative errno */
};

/* Requests that are submitted and awaited together; lives until reap() has returned. */
struct bs_batch {
	struct bs_req *reqs;
	u32 count;
	void *priv; /* the backend's, from submit to reap */
};

enum bs_caps {
	BS_CAP_TRIM = 1 << 0,	       /* TRIM gives space back */
	BS_CAP_ORDERED_FLUSH = 1 << 1, /* FLUSH also covers writes submitted, not only completed */
	BS_CAP_GROW = 1 << 2,
	/* buf_alloc() gives memory that nobody else can change: the backend copies by itself, and
	   there is no map(). */
	BS_CAP_PRIVATE_BUFFERS = 1 << 3,
};

struct bs;

struct bs_ops {
	/* Starts all requests of the batch. Negative errno: none was started. */
	int (*submit)(struct bs *bs, struct bs_batch *batch);
	/* Waits until all requests of the batch have a `result`. Called once per good submit. */
	int (*reap)(struct bs *bs, struct bs_batch *batch);
	/* Blocks that can be addressed now. */
	u64 (*size)(struct bs *bs);
	/* Makes at least `blocks` addressable. NULL without BS_CAP_GROW. */
	int (*grow)(struct bs *bs, u64 blocks);
	/*
	 * Transfer memory, page aligned: inside an enclave it is *untrusted* memory. The volume
	 * copies ciphertext in before opening it and out after sealing it.
	 */
	void *(*buf_alloc)(struct bs *bs, size_t size);
	void (*buf_free)(struct bs *bs, void *buf, size_t size);
	/*
	 * Optional: the store's own memory of [block, block + count), where it has the blocks in
	 * memory in one piece (mapped files, `mem`), valid until close; NULL: use a request.
	 * Untrusted like transfer memory. With `write` the caller overwrites all of it, which
	 * counts as a completed WRITE.
	 */
	void *(*map)(struct bs *bs, u64 block, u32 count, bool write);
	/* Closes and frees. The volume never calls it: its opener does. */
	void (*close)(struct bs *bs);
};

/* Embedded as first member in each backend's own struct. */
struct bs {
	const struct bs_ops *ops;
	u32 caps;
	u32 max_blocks; /* per request, <= BS_MAX_BLOCKS */
};

/* Submits, waits, and returns the first error of any request. */
int __must_check bs_run(struct bs *bs, struct bs_req *reqs, u32 count);
int __must_check bs_read(struct bs *bs, u64 block, u32 count, void *buf);
int __must_check bs_write(struct bs *bs, u64 block, u32 count, void *buf);
int __must_check bs_flush(struct bs *bs);

static inline void *bs_map(struct bs *bs, u64 block, u32 count, bool write)
{
	return bs->ops->map ? bs->ops->map(bs, block, count, write) : NULL;
}

/* In-memory backend, sparse; grows up to `max_blocks`. Memory comes from the given functions. */
struct bs_mem_env {
	void *(*alloc)(void *arg, size_t size);
	void (*free)(void *arg, void *p, size_t size);
	void *arg;
};

int __must_check bs_mem_new(const struct bs_mem_env *env, u64 max_blocks, struct bs **ret_bs);
/* The stored 4 KiB of a block, or NULL when never written: for tests that tamper. */
u8 *bs_mem_block(struct bs *bs, u64 block);
