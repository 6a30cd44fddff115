/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directory tree to secvol image (`occlum build`). The image is a `dir` block store and a function
 * of the tree's names, modes, links and bytes (and of the owners of set-id files, see
 * mkimage_set_ids_clear()) and of the parameters below, of nothing else. It is
 * built beside its place and moved there when complete: an interrupted build leaves the old one as
 * it was.
 */
#pragma once

#include <limits.h>

#include "lib/secvol/secvol.h"

struct mkimage_params {
	const char *source;	 /* the tree */
	const char *output;	 /* directory that becomes the image; replaced as a whole */
	const char *digest_path; /* gets the digest as 64 hex digits and a newline; may be NULL */
	const char *cache_path;	 /* what is remembered between builds; NULL: nothing */
	enum secvol_role role;
	const u8 *image_key; /* NULL: an integrity-only image in the clear */
	u32 image_key_size;  /* 16 or 32 */
	u32 uid, gid;	     /* owner of everything */
	s64 time;	     /* all times: 0, or SOURCE_DATE_EPOCH */
	const char *label;   /* up to 63 bytes, or NULL */
	u32 jobs;	     /* threads; 0: one per CPU */
	bool force;	     /* build even when nothing seems to have changed */
	/* Called now and then from the calling thread; may be NULL. */
	void (*progress)(void *arg, u64 done, u64 total);
	void *progress_arg;
	u32 shuffle;			  /* tests: read directories in another order */
	const struct secvol_hooks *hooks; /* tests: nonce audit */
};

struct mkimage_result {
	u8 sha256[32];	  /* of the root slot: what the configuration pins */
	bool unchanged;	  /* the image that was there is up to date; nothing was written */
	u64 files;	  /* objects of all kinds */
	u64 bytes;	  /* of all files */
	u64 hashed_bytes; /* that were not known from the cache */
	u64 image_blocks;
	u64 sites;
	u64 set_ids_cleared;   /* files that lost setuid or setgid bits, as their owner changed */
	char set_id[PATH_MAX]; /* the first of them, from the top of the tree */
	char error[PATH_MAX + 512]; /* on failure: what and why, one sentence */
};

/* 0 or a negative errno with result->error. */
int __must_check mkimage_build(const struct mkimage_params *params, struct mkimage_result *result);

/*
 * A progress function that draws a bar on stderr, if that is a terminal. `arg` points to a
 * struct mkimage_bar; call with done == total at the end to clear it.
 */
struct mkimage_bar {
	const char *what;
	int last;
};
void mkimage_bar(void *arg, u64 done, u64 total);
