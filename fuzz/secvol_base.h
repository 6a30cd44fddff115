/* SPDX-License-Identifier: Apache-2.0 */
/* A small volume whose hashes are not checked, for fuzzing what is parsed behind them. */
#pragma once

#include "lib/secvol/secvol_format.h"
#include "tests/secvol/explore.h"

struct fuzz_volume {
	struct explore x;
	struct bs_sim *sim; /* whose blocks `disk` names */
	struct sim_state disk;
	u64 root_block; /* of the newest root slot */
	u64 log_block;	/* where the log begins, empty */
	u64 log_seq;
	u64 snap_block; /* of the snapshot tree's root node, a leaf too */
	u64 node_block; /* of the tree's root node, which is a leaf */
};

/* Made at the first call. */
struct fuzz_volume *fuzz_volume_get(void);

/* Opens the store as it is and uses everything in it; whatever it holds, this returns. */
void fuzz_volume_use(struct fuzz_volume *f, struct bs_sim *sim);

/*
 * The same with one record of the leaf at `block` changed: byte 0 chooses which item is replaced,
 * or with the high bit adds one whose object, type and offset are bytes 1 to 3; the rest is its
 * value.
 */
void fuzz_volume_use_leaf(u8 tree, u64 block, const u8 *bytes, size_t size);
