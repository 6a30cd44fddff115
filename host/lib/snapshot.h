/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A private copy of a tree's contents, for sealing. The salt of an encrypted image's key is a
 * function of everything in the image (docs/security-rules.md 8), so the contents must be known before the
 * first block is sealed, and must not change between the two passes: they are copied to an unlinked
 * file which no one else can open, and both the salt and the image come from that copy.
 */
#pragma once

#include "host/lib/chunk_pipe.h"
#include "lib/crypto/sha256.h"

struct snapshot;

/*
 * Takes all chunks of `pipe`, feeding names, attributes and contents to `mac`. The file lies in
 * `dir`. On error a sentence is in `error`.
 */
int __must_check snapshot_take(const struct tree *tree, struct chunk_pipe *pipe, const char *dir,
			       struct hmac_sha256 *mac, struct snapshot **ret_snapshot, char *error,
			       size_t error_size);
void snapshot_free(struct snapshot *s);

/* The chunks again, in the same order; as chunk_pipe_next(). */
int __must_check snapshot_next(struct snapshot *s, struct chunk **ret_chunk, char *error,
			       size_t error_size);
