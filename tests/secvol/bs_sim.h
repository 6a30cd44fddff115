/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block store that remembers everything done to it, for crash and tamper tests: each request is
 * logged with its payload, so that every state a power cut could have left can be made afterwards.
 */
#pragma once

#include "lib/secvol/blockstore.h"

struct sim_op {
	enum bs_op op;
	u32 count;
	u64 block;
	const u8 *payload; /* WRITE: count * BS_BLOCK bytes, owned by the sim's arena */
};

/* What is on the platter: one pointer per block, NULL for never written. */
struct sim_state {
	const u8 **block;
	u64 count;
};

struct bs_sim {
	struct bs bs;
	struct sim_state now; /* what reads see */
	struct sim_op *log;
	u32 log_count, log_room;
	bool logging;
	struct sim_buf *arena;
	/* Faults. */
	u32 requests;	/* so far */
	u32 fail_at;	/* request number that fails with fail_err; 0: none */
	u32 fail_count; /* that many from there on */
	int fail_err;
	/* Called for each block read, may change the bytes handed out. */
	void (*on_read)(void *arg, u64 block, u8 *bytes);
	void *on_read_arg;
	/* Called before each flush: what others do meanwhile. */
	void (*on_flush)(void *arg);
	void *on_flush_arg;
};

struct bs_sim *bs_sim_new(u64 blocks);
/* A store that starts with the given content, which stays the giver's and unchanged. */
struct bs_sim *bs_sim_from(const struct sim_state *state);
void bs_sim_free(struct bs_sim *sim);

/* Memory that lives as long as the sim. */
u8 *bs_sim_keep(struct bs_sim *sim, const void *bytes, size_t size);

/* For tampering: replaces a block's visible content by a private copy that may be changed. */
u8 *bs_sim_edit(struct bs_sim *sim, u64 block);

struct sim_state sim_state_copy(const struct sim_state *from);
void sim_state_free(struct sim_state *state);
