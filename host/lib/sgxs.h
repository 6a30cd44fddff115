/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measured stream of an enclave as a file (.sgxs): one record for ECREATE, for each EADD and
 * for each EEXTEND, the latter with its 256 bytes. SHA-256 of the file is MRENCLAVE, so `sha256sum`
 * and the tools of others can check what is signed.
 */
#pragma once

#include <stdio.h>

#include "host/lib/enclave_image.h"

#define SGXS_CHUNKS (PAGE_SIZE / SGX_CHUNK_SIZE)

/* A row of pages that are alike and lie one behind the other. */
struct sgxs_pages {
	u64 offset; /* from BASE */
	u64 count;
	u64 secinfo;
	u32 chunks; /* of 256 bytes that are measured, of SGXS_CHUNKS each; the host chooses the rest */
};

struct sgxs_info {
	u64 enclave_size;
	u32 ssa_frame_pages;
	u8 mrenclave[SGX_HASH_SIZE];
	struct sgxs_pages *rows; /* malloc'ed; in the order in which they are added */
	u32 row_count;
};

/* Writes the stream of an image. -errno with `error` set when the file cannot be written. */
int __must_check sgxs_write(const struct enclave_image *image, FILE *to,
			    struct enclave_error *error);

/* What the stream of an image says. */
int __must_check sgxs_of_image(const struct enclave_image *image, struct sgxs_info *ret,
			       struct enclave_error *error);

/*
 * Reads a stream and checks that a CPU could have made it: known records, pages within the enclave
 * and added once, chunks of added pages only, each once. -EUCLEAN with `error` set.
 */
int __must_check sgxs_read(FILE *from, struct sgxs_info *ret, struct enclave_error *error);

void sgxs_info_fini(struct sgxs_info *info);
