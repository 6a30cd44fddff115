/* SPDX-License-Identifier: Apache-2.0 */
/* Local attestation: what one enclave proves to another on the same CPU. */
#pragma once

#include "lib/sgx/sgx.h"

/* Whom a report must be made for so that the enclave `self` describes can verify it. */
void sgx_report_target(const struct sgx_report_body *self, struct sgx_targetinfo *ret);

/*
 * The request for the key that verifies reports made for the caller under `keyid`. The CPU ignores
 * all else in it.
 */
void sgx_report_key_request(const u8 keyid[SGX_KEYID_SIZE], struct sgx_keyrequest *ret);

/*
 * Whether the MAC is right under the verifier's own report key: an enclave on this CPU made it.
 * Which one, and whether it is a debug one, is in the body and the caller's to judge. Reserved
 * bytes must be zero.
 */
bool __must_check sgx_report_is_genuine(const struct sgx_report *report,
					const u8 key[SGX_KEY_SIZE]);
