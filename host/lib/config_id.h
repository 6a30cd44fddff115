/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the starter of an enclave may add to its identity (KSS): CONFIGID and CONFIGSVN. They are in
 * reports and bind keys where a policy says so; they are neither measured nor signed. `occlum run`
 * hands them to the loader in the environment, as Occlum does.
 */
#pragma once

#include "host/lib/enclave_image.h"
#include "lib/sgx/sgx.h"

#define CONFIG_ID_VARIABLE  "OCCLUM_CONF_ID_BASE64"
#define CONFIG_SVN_VARIABLE "OCCLUM_CONF_SVN"

/*
 * Base64 of 1 to 64 bytes, padded; shorter ones are filled with zeros. -EINVAL with
 * `error` set.
 */
int __must_check config_id_parse(const char *text, u8 ret_id[SGX_CONFIGID_SIZE],
				 struct enclave_error *error);

/* A number up to 65535, decimal, 0x... or 0... -EINVAL with `error` set. */
int __must_check config_svn_parse(const char *text, u16 *ret_svn, struct enclave_error *error);
