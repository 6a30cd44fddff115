/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and hashing a tree's files on several threads, handed out in order: what keeps the image
 * builder's single writer busy. A chunk is up to 1 MiB of one file; chunks come in the order of the
 * tree's objects and of the file. A bounded number of buffers is ahead of the consumer.
 */
#pragma once

#include "host/lib/sites.h"
#include "host/lib/tree_scan.h"
#include "lib/secvol/blockstore.h"

enum { CHUNK_BLOCKS = BS_MAX_BLOCKS, CHUNK_SIZE = CHUNK_BLOCKS * BS_BLOCK };

struct chunk {
	u32 entry; /* of the tree */
	u64 block; /* first file block */
	u32 count; /* blocks; the last is padded with zeros */
	u8 *bytes;
	u8 (*digests)[32]; /* of blocks that are not all zero; unless no hashing was asked for */
	bool *zero;
	struct sites_table sites; /* with a file's first chunk; the taker frees it */
};

/* What is already known about a file: its digests (a zero digest: a hole), or NULL. */
typedef const u8 (*chunk_known_fn(void *arg, u32 entry))[32];

struct chunk_pipe;

struct chunk_pipe_params {
	const struct tree *tree;
	u32 jobs;
	bool hash;	 /* fill digests */
	bool find_sites; /* for files that `known` does not know */
	chunk_known_fn *known;
	void *known_arg;
};

int __must_check chunk_pipe_new(const struct chunk_pipe_params *p, struct chunk_pipe **ret_pipe);
void chunk_pipe_free(struct chunk_pipe *pipe);

/*
 * The next chunk; give it back with chunk_pipe_put() before the next call. 0, -ENOENT at the end,
 * or what went wrong, with a sentence in `error`: -ESTALE when a file changed since the scan.
 */
int __must_check chunk_pipe_next(struct chunk_pipe *pipe, struct chunk **ret_chunk, char *error,
				 size_t error_size);
void chunk_pipe_put(struct chunk_pipe *pipe, struct chunk *chunk);
