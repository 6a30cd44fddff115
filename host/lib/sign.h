/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making the signed kernel image of an instance. Three steps, the middle one replaceable:
 *
 *   prepare   the unsigned image with its measured page filled in
 *   sign      T sign -key K -config XML -enclave IN -out OUT: OUT is IN with a SIGSTRUCT. T is
 *             occlum-sign or the owner's tool (docs/sign-tool.md)
 *   check     OUT differs from IN in the SIGSTRUCT alone, which is valid for the recomputed
 *             MRENCLAVE and says what the configuration says
 *
 * All outputs appear whole or not at all.
 */
#pragma once

#include "host/lib/enclave_image.h"
#include "host/lib/sigstruct.h"

struct sign_params {
	const char *image_path;	 /* unsigned kernel image */
	const char *output_path; /* libocclum-libos.signed.so */
	const char *work_dir;	 /* for the files handed to the tool; must exist */
	const char *key_path;	 /* PEM; handed to the tool as it is */
	const char *tool_path;	 /* occlum-sign or the owner's */
	const struct occlum_config *config;
	u8 config_sha256[CONFIG_DIGEST_SIZE];
	bool simulation; /* SIM image: always signed with DEBUG */
};

/* What a signed image is; also for `occlum print`. */
struct sign_info {
	u8 mrenclave[SGX_HASH_SIZE];
	u8 mrsigner[SGX_HASH_SIZE];
	struct measured_params params;
	struct sgx_sigstruct sigstruct;
};

/* All three steps. 0 or -errno with `error` set. */
int __must_check sign_kernel_image(const struct sign_params *params, struct sign_info *ret_info,
				   struct enclave_error *error);

/* The standard tool's part: `xml_path` as sign_kernel_image() wrote it. */
int __must_check sign_with_key(const char *key_path, const char *xml_path, const char *enclave_path,
			       const char *output_path, struct enclave_error *error);

/*
 * Two steps for keys that never leave their module: writes the 256 bytes to be signed by
 * RSASSA-PKCS1-v1_5 with SHA-256; takes the signature (384 bytes) and the public key (PEM).
 */
int __must_check sign_digest(const char *xml_path, const char *enclave_path,
			     const char *output_path, struct enclave_error *error);
int __must_check sign_attach(const char *public_key_path, const char *signature_path,
			     const char *xml_path, const char *enclave_path,
			     const char *output_path, struct enclave_error *error);

/*
 * Recomputes MRENCLAVE of a signed image and verifies its SIGSTRUCT against it (never just reads
 * it). -EBADMSG or -EUCLEAN with `error` set.
 */
int __must_check sign_image_verify(const char *path, struct sign_info *ret_info,
				   struct enclave_error *error);

/* Creates an RSA-3072 key with exponent 3 (PEM, 0600). -EEXIST when the file exists. */
int __must_check sign_key_generate(const char *path, struct enclave_error *error);
