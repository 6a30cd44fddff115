/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block stores of the kernel: where volumes keep their (sealed or pinned) blocks on the host. What
 * comes back is copied into the enclave by the host call and believed in nothing.
 */
#pragma once

#include "lib/secvol/blockstore.h"

#define STORE_NAME_SIZE 24

enum store_flags {
	STORE_READ_ONLY = 1 << 0,
	STORE_CREATE = 1 << 1, /* make the directory and files that are missing */
	STORE_FRESH = 1 << 2,  /* whatever lies there is deleted first (temporary volumes) */
};

/*
 * A directory of segments (lib/secvol/segment.h), relative to the instance. On failure there may
 * be a store too, which can only be asked for its fault and closed; else *ret stays.
 */
int __must_check store_dir_open(const char *path, u32 flags, struct bs **ret);
/* One file. */
int __must_check store_file_open(const char *path, u32 flags, struct bs **ret);

/* Whether the host had no room for a write, so that a message can say so. */
bool store_was_full(struct bs *bs);

/* What the host refused last; the volume above only learns that it was an I/O error. */
struct store_fault {
	int error;	  /* errno, 0 for none */
	const char *what; /* could not be done with the file: "opened", "read", "written" */
	char name[STORE_NAME_SIZE]; /* of the file below the store's path; empty: the path itself */
};
struct store_fault store_fault(struct bs *bs);
