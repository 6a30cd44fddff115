// SPDX-License-Identifier: Apache-2.0
/* Within the image builder: one build, and what its parts ask of each other. */
#pragma once

#include <limits.h>
#include <time.h>

#include "host/lib/chunk_pipe.h"
#include "host/lib/image_cache.h"
#include "host/lib/mkimage.h"
#include "host/lib/sites.h"
#include "host/lib/snapshot.h"
#include "host/lib/tree_scan.h"
#include "lib/crypto/sha256.h"
#include "lib/secvol/build.h"

enum { NODE_LOG2 = 14 };

struct mkimage_extent {
	u64 block, addr;
	u32 count;
	u64 digest; /* index of the first in digests[] */
};

struct mkimage_job {
	const struct mkimage_params *p;
	struct mkimage_result *r;
	struct tree tree;
	u32 *children;	  /* entry indices, grouped by directory, in path order */
	u32 *child_start; /* per entry; [count] is the end */
	struct timespec begun;
	char temp[PATH_MAX];
	char parent_dir[PATH_MAX];

	struct image_cache *cache;
	struct image_cache_writer *writer;
	struct chunk_pipe *pipe;
	struct snapshot *snapshot;
	struct bs *bs;
	struct secvol_build *build;
	struct secvol_fixed_key key;
	struct secvol_key_source key_source;
	u64 done;

	/* of the file that is being written */
	struct mkimage_extent *extents;
	u32 extent_count, extent_room;
	u8 (*digests)[32];
	u64 digest_count, digest_room;
	struct sites_table sites;
};

/* Sets the result's error text; returns `err`. */
int mkimage_fail(struct mkimage_job *j, int err, const char *format, ...) __printf(3, 4);
int mkimage_fail_memory(struct mkimage_job *j);

/* ---- mkimage_stamp.c ---- */
u8 mkimage_ag_log2(const struct mkimage_job *j);
/* Everything but the tree that the image depends on. */
void mkimage_hash_options(const struct mkimage_job *j, struct sha256 *s);
void mkimage_fingerprint_tree(const struct mkimage_job *j, u8 digest[32]);
bool __must_check mkimage_fingerprint_output(const char *dir, u8 digest[32]);
/* The image in place is what this build would make; then the result is filled in. */
bool mkimage_is_up_to_date(struct mkimage_job *j);

/* ---- mkimage_objects.c ---- */
/*
 * Everything gets one owner, and what becomes another's loses its set-id bits, as on a chown: a
 * file that is setuid for one user must not become setuid for root. The owner's own files are those
 * of root and of whom the top of the tree belongs to, whose place root takes inside.
 */
void mkimage_set_ids_clear(struct mkimage_job *j);
int __must_check mkimage_children_index(struct mkimage_job *j);
/* A file's known digests, for chunks that need not be hashed again. `arg` is the job. */
const u8 (*mkimage_known(void *arg, u32 entry))[32];
/* All objects of the tree, in order. */
int __must_check mkimage_objects_write(struct mkimage_job *j);
