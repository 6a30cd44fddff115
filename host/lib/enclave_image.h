/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel image as a list of enclave pages. Signer and loader walk the same list, so that the
 * MRENCLAVE that is signed is the one that is loaded; `occlum print` walks it too.
 */
#pragma once

#include "edge/enclave.h"
#include "lib/config/config.h"
#include "lib/elf/elf.h"
#include "lib/sgx/measure.h"

#define ENCLAVE_IMAGE_SIZE_MAX MIB(64)

/* One line that says what is wrong, without a final stop or newline. */
struct enclave_error {
	char text[384];
};

struct enclave_image {
	const u8 *bytes; /* borrowed: the whole file */
	u64 size;
	struct elf_header header;
	struct elf_layout layout;
	u64 measured_offset;  /* in the file: struct measured_params */
	u64 sigstruct_offset; /* in the file: struct sgx_sigstruct */
	struct measured_params params;
};

/* What the configuration asks of the enclave's shape. */
struct enclave_shape {
	u64 user_space_size;
	u64 heap_size;
	u64 stack_size;
	u32 max_threads;
	u8 config_sha256[CONFIG_DIGEST_SIZE];
};

/*
 * A run of pages that are alike. `content` holds count * PAGE_SIZE bytes, NULL means zeros. It is
 * valid during the call.
 */
struct enclave_run {
	u64 offset; /* from BASE */
	u64 count;
	u64 secinfo; /* enum sgx_secinfo_flags */
	const u8 *content;
	bool measured;
};

typedef int (*enclave_run_fn)(void *ctx, const struct enclave_run *run);

/*
 * Understands the ELF file and its sections, copies the measured page. -ENOEXEC with `error` set
 * when it is no kernel image. Says nothing yet about the measured page's content.
 */
int __must_check enclave_image_open(struct enclave_image *image, const void *bytes, u64 size,
				    struct enclave_error *error);

/* The measured page for `shape`. -EINVAL, with `error` set: it does not fit the address range. */
int __must_check enclave_image_plan(const struct enclave_image *image,
				    const struct enclave_shape *shape,
				    struct measured_params *ret_params,
				    struct enclave_error *error);

/* The measured page is filled in and belongs to this image: sizes, order, no overlap. */
int __must_check enclave_image_check(const struct enclave_image *image,
				     struct enclave_error *error);

/* Calls `fn` for all pages in the order in which they are added; stops when it returns nonzero. */
int __must_check enclave_image_walk(const struct enclave_image *image, enclave_run_fn fn,
				    void *ctx);

/* One run's part of the measurement. */
void enclave_measure_run(struct sgx_measure *m, const struct enclave_run *run);

/* Recomputes MRENCLAVE from the image's bytes. */
int __must_check enclave_image_measure(const struct enclave_image *image,
				       u8 ret_mrenclave[SGX_HASH_SIZE]);

void enclave_error_set(struct enclave_error *error, const char *format, ...) __printf(2, 3);

/* Reads a whole file of at most `max` bytes into malloc'ed memory. */
int __must_check enclave_file_read(const char *path, u64 max, u8 **ret_bytes, u64 *ret_size,
				   struct enclave_error *error);
