/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing an image from front to end: the deterministic volumes of `occlum build`. Blocks are given
 * out in ascending order, nodes are filled completely and written as they fill, the root slot comes
 * last. The same calls in the same order give the same bytes on any machine.
 *
 * The caller walks the objects in ascending number, from SECVOL_ROOT_OBJ on without gaps, and for
 * each object the items in the order of the functions below. Not thread-safe.
 */
#pragma once

#include "lib/secvol/secvol.h"

struct secvol_build;

struct secvol_build_params {
	const struct secvol_env *env; /* its clock and random numbers are not used */
	struct bs *bs;		      /* empty; borrowed until secvol_build_free() */
	enum secvol_mode mode;	      /* SECVOL_HASH or SECVOL_PINNED */
	enum secvol_suite suite;
	enum secvol_role role;
	const struct secvol_key_source *keys; /* PINNED */
	u8 salt[32];			      /* PINNED: a function of the whole content */
	u8 uuid[16];
	u8 node_log2; /* 0: 14 */
	u8 ag_log2;   /* 0: 30 */
	s64 time;     /* all times of the image */
	u32 uid, gid;
	u32 sites_version;
	char label[64];
	const struct secvol_hooks *hooks; /* tests: nonce audit */
};

struct secvol_build_name {
	u64 obj;
	u8 type; /* DT_* */
	u8 len;
	const char *name;
};

/* What a name adds to its directory's size. */
static inline u64 secvol_build_name_size(const struct secvol_build_name *n)
{
	return 10u + n->len;
}

int __must_check secvol_build_new(const struct secvol_build_params *p,
				  struct secvol_build **ret_build);
void secvol_build_free(struct secvol_build *b);

/* `a->blocks` is the number of blocks with data; `parent` counts for directories only. */
int __must_check secvol_build_inode(struct secvol_build *b, const struct secvol_attr *a,
				    u64 parent);
/* All names of a directory, in any order. Sorts `names`. */
int __must_check secvol_build_names(struct secvol_build *b, u64 dir,
				    struct secvol_build_name *names, u32 count);
int __must_check secvol_build_symlink(struct secvol_build *b, u64 obj, const char *target,
				      size_t len);
int __must_check secvol_build_inline(struct secvol_build *b, u64 obj, const void *bytes,
				     size_t size);
/* `digests`: SHA-256 of each block as it was written (secvol_build_write). */
int __must_check secvol_build_extent(struct secvol_build *b, u64 obj, u64 block, u64 addr,
				     u32 count, const u8 (*digests)[32]);
int __must_check secvol_build_sites(struct secvol_build *b, u64 obj, u16 version,
				    const struct secvol_site *sites, u32 count);

/* The next free blocks, at most `want`, contiguous. May be called at any time. */
int __must_check secvol_build_alloc(struct secvol_build *b, u32 want, u64 *ret_addr,
				    u32 *ret_count);
/*
 * Writes file blocks. HASH: `bytes` (transfer memory of the store) as they are, and `digests` has
 * their SHA-256 already. PINNED: seals them as blocks `block`... of `obj` and fills `digests`.
 */
int __must_check secvol_build_write(struct secvol_build *b, u64 obj, u64 block, u64 addr, u32 count,
				    u8 *bytes, u8 (*digests)[32]);

/* Writes what is left, the bitmaps and the root slot, and flushes. */
int __must_check secvol_build_finish(struct secvol_build *b, u8 root_sha256[32]);

/* Longest file kept in its leaf. */
#define SECVOL_BUILD_INLINE_MAX 2048u
