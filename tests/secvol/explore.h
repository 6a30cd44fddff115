/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crash explorer: runs a workload on a recording store, then makes every state that a power cut
 * could have left, recovers each, and compares it with the model's commit points.
 *
 * What a power cut may leave: all writes that a FLUSH covered; of the later ones any subset, in any
 * order, each torn at any 512-byte sector.
 */
#pragma once

#include "tests/secvol/bs_sim.h"
#include "tests/secvol/model.h"

/* What volumes need from their surroundings in these tests. */
struct test_env {
	struct secvol_env env;
	u64 random; /* seed; never the same twice in one run */
	s64 time;
	size_t live;	/* bytes allocated and not freed */
	u32 fail_alloc; /* n-th allocation from now fails; 0: none */
};
void test_env_init(struct test_env *e);

enum { EXPLORE_BLOCKS = 640 };

struct explore {
	struct test_env env;
	struct secvol_hooks hooks; /* faults and the nonce audit, for all volumes */
	u32 exhaustive; /* writes between two flushes of which all subsets are tried, else samples */
	u32 samples;
	u32 torn;	   /* torn variants per write */
	u64 blocks;	   /* of the stores */
	u64 volume_blocks; /* 0: all of them; OP_GROW makes it more */
	bool strict;	   /* anchored at each commit */
	bool discard;	   /* TRIM what is freed */
	bool dup;	   /* metadata is there twice */
	bool goes_back; /* in the end to the root before the newest, and from there to that one */
	bool plain;	/* HASH mode read-write instead of sealed */
	u32 seed;
	/* Done while a commit's flush is on its way, as another thread would; NULL: nothing. */
	const struct op *meanwhile;
	/* Results. */
	u64 log_states; /* of them, recovered with the help of the log */
	u64 states;	/* distinct ones recovered */
	u64 skipped;	/* same as one before */
	u64 recrashed;	/* of them, crashed once more while at work */
	u64 violations;
	char first[256]; /* what the first violation was */
	u64 *seen;	 /* open hash table of fingerprints */
	u64 seen_room;
	struct nonce_audit *audit;
	u64 snaps_checked;
	u64 stale_refused; /* older states, by the anchor */
	/* The anchor: what it holds, and every value it ever had with the place in the log. */
	struct secvol_anchor anchor;
	struct secvol_anchored anchored;
	bool anchor_knows;
	struct anchor_point {
		u32 at;
		struct secvol_anchored value;
	} * anchor_points;
	u32 anchor_count;
	struct bs_sim *anchor_sim; /* whose log is being written; NULL: not recording */
};

void explore_init(struct explore *x);
void explore_fini(struct explore *x);

/*
 * Runs the operations on a fresh volume and on the model, which must agree, then explores every
 * crash point from its first commit on.
 */
void explore_run(struct explore *x, const struct op *ops, u32 count);

struct secvol_params explore_params(struct explore *x, struct bs *bs);

/* Every (key, nonce) seen; counts repetitions. */
struct nonce_audit;
u64 nonce_audit_repeated(const struct explore *x);
u64 nonce_audit_count(const struct explore *x);
