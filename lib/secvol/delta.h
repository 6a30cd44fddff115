/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The delta table: changes of the file system tree since the last checkpoint, sorted by key.
 * Lookups see it over the tree; the index log is written from it; the checkpoint streams it into
 * the tree.
 *
 * A skip list whose entries and values come from an arena that is emptied as a whole, so that
 * "prepare" can reserve memory and the change itself cannot fail. A deleted key stays as an entry
 * that hides the tree's item.
 */
#pragma once

#include "lib/secvol/node.h"

#define SV_DELTA_LEVELS 16u
#define SV_DELTA_CHUNK	65536u

struct secvol;

struct sv_delta_entry {
	struct sv_key key;
	struct sv_delta_entry *unlogged_next;
	u8 *val;
	u16 size;
	u16 cap;
	bool deleted;
	bool unlogged; /* changed since the last commit */
	u8 height;
	struct sv_delta_entry *next[]; /* height */
};

struct sv_delta_chunk {
	struct sv_delta_chunk *next;
	u32 used;
	alignas(16) u8 bytes[SV_DELTA_CHUNK];
};

struct sv_delta {
	struct sv_delta_chunk *chunks; /* in use, newest first */
	struct sv_delta_chunk *spares; /* reserved */
	u32 spare_count;
	size_t bytes; /* of the chunks in use */
	u64 payload;  /* about what the entries will occupy in nodes */
	u32 count;
	u32 random;
	struct sv_delta_entry *head[SV_DELTA_LEVELS];
	struct sv_delta_entry *unlogged_first, *unlogged_last;
	u32 mark;  /* stamp of nodes that the checkpoint will have to write */
	u32 nodes; /* how many carry it */
};

void sv_delta_init(struct sv_delta *d);
void sv_delta_free(struct secvol *v);
/* Forgets all entries; keeps one chunk. */
void sv_delta_reset(struct secvol *v);
/* After this, `puts` values of any size and `deletes` deletions cannot fail. */
int __must_check sv_delta_reserve(struct secvol *v, u32 puts, u32 deletes);
/* -ENOMEM only when nothing was reserved. A value NULL deletes. */
int __must_check sv_delta_put(struct secvol *v, const struct sv_key *key, const void *val,
			      u32 size);
/* The first entry at or after key, or NULL; deleted ones too. */
struct sv_delta_entry *sv_delta_find(struct sv_delta *d, const struct sv_key *key);
/* Takes the list of entries changed since the last call. */
struct sv_delta_entry *sv_delta_take_unlogged(struct secvol *v);
