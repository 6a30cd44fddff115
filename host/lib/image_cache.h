/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the image builder remembers between builds, in a file beside the image: the digests of each
 * file's blocks and its call sites, by path and identity, and a fingerprint of the whole tree. It
 * only saves work. A file counts as unchanged as for make, but also by inode and change time;
 * one that changed just before it was read is not remembered, because a second change within the
 * same tick of the clock could not be seen.
 */
#pragma once

#include "host/lib/sites.h"
#include "host/lib/tree_scan.h"

struct image_cache;

struct image_fingerprint {
	u8 tree[32];   /* of all entries and the parameters; all zero: do not rely on it */
	u8 image[32];  /* of the image that was made */
	u8 output[32]; /* of the identities of the image's files */
};

/* Reads the cache; a missing, damaged or foreign file gives an empty one. NULL: out of memory. */
struct image_cache *image_cache_load(const char *path);
void image_cache_free(struct image_cache *cache);

const struct image_fingerprint *image_cache_fingerprint(const struct image_cache *cache);

/* Digests of a file's blocks (zeros: a hole) and its sites, borrowed; NULL when not known. */
const u8 (*image_cache_find(const struct image_cache *cache, const char *path,
			    const struct tree_identity *id, const struct secvol_site **ret_sites,
			    u32 *ret_site_count))[32];

/* Whether a file's times are old enough to be trusted, at a scan that began at `now`. */
bool image_cache_settled(const struct tree_identity *id, s64 now_sec, u32 now_nsec);

/* Making the next cache: written to `path` as a whole or not at all. */
struct image_cache_writer;
struct image_cache_writer *image_cache_writer_new(void);
int __must_check image_cache_add(struct image_cache_writer *w, const char *path,
				 const struct tree_identity *id, const u8 (*digests)[32],
				 u64 blocks, const struct secvol_site *sites, u32 site_count);
int __must_check image_cache_save(struct image_cache_writer *w,
				  const struct image_fingerprint *fingerprint, const char *path);
void image_cache_writer_free(struct image_cache_writer *w);
