/* SPDX-License-Identifier: Apache-2.0 */
/* A sealing key of this machine's CPU, out of an enclave that is signed for this one purpose. */
#pragma once

#include "host/lib/sign.h"

struct enclave_key_params {
	const char *key_path; /* as for sign_kernel_image() */
	const char *tool_path;
	const struct occlum_config *config; /* of the instance: product, versions, attributes */
	const struct sign_info *instance;   /* the helper's signer must be this one's */
};

/*
 * What EGETKEY answers to the request (512 bytes) in an enclave of the instance's signer, product
 * id and attributes. `secret` (32 bytes, random, wiped) and `key` (16 bytes) lie where no child
 * inherits them. Says what is wrong; 0 or 1.
 */
int __must_check enclave_key_get(const struct enclave_key_params *p, const void *request,
				 u8 *secret, u8 *key);
