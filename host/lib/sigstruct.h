/* SPDX-License-Identifier: Apache-2.0 */
/* SIGSTRUCT: made by the signer, verified as EINIT does by loader and tools. */
#pragma once

#include "host/lib/enclave_image.h"
#include "lib/sgx/sgx.h"

struct evp_pkey_st; /* EVP_PKEY */

/* MRSIGNER of the sample key that everybody has: refused for release. */
extern const u8 sigstruct_sample_mrsigner[SGX_HASH_SIZE];

/* All but key, signature, Q1 and Q2. `release`: a hardware image whose owner forbids debugging. */
struct sigstruct_identity {
	bool debug;
	bool kss;
	bool provision_key;
	u16 product_id;
	u16 security_version;
	u32 date; /* 0xYYYYMMDD */
	u8 family_id[SGX_FAMILYID_SIZE];
	u8 ext_product_id[16];
};

/* The bytes that are signed, without a key yet. */
void sigstruct_fill(struct sgx_sigstruct *sig, const struct sigstruct_identity *identity,
		    const u8 mrenclave[SGX_HASH_SIZE]);

/* Signs by an RSA-3072 key with exponent 3. -EINVAL for another key, -EIO when OpenSSL fails. */
int __must_check sigstruct_sign(struct sgx_sigstruct *sig, struct evp_pkey_st *key,
				struct enclave_error *error);

/* Adds a signature made elsewhere (big endian, as openssl prints) and computes Q1 and Q2. */
int __must_check sigstruct_attach(struct sgx_sigstruct *sig, struct evp_pkey_st *public_key,
				  const u8 signature[SGX_RSA_SIZE], struct enclave_error *error);

/* The SHA-256 that is signed. */
void sigstruct_digest(const struct sgx_sigstruct *sig, u8 digest[SGX_HASH_SIZE]);

/* The padded message that S^3 mod M must be, little endian. */
void sigstruct_message(const struct sgx_sigstruct *sig, u8 message[SGX_RSA_SIZE]);

/*
 * Recomputed with OpenSSL, apart from lib/sgx: S^3 mod M and both quotients, little endian.
 * -EBADMSG when M has fewer than 3072 bits or S is not below it.
 */
struct sigstruct_arithmetic {
	u8 cube[SGX_RSA_SIZE];
	u8 q1[SGX_RSA_SIZE];
	u8 q2[SGX_RSA_SIZE];
};
int __must_check sigstruct_compute(const struct sgx_sigstruct *sig,
				   struct sigstruct_arithmetic *ret);

/* The fields that are the same in every SIGSTRUCT, and those that are reserved. */
bool sigstruct_has_constants(const struct sgx_sigstruct *sig);

/* Constants, RSA signature, Q1 and Q2. -EBADMSG with `error` set. */
int __must_check sigstruct_verify(const struct sgx_sigstruct *sig, struct enclave_error *error);

void sigstruct_mrsigner(const struct sgx_sigstruct *sig, u8 ret_mrsigner[SGX_HASH_SIZE]);

/*
 * EINIT: the signature, and everything it says about the enclave that `secs` describes (MRENCLAVE
 * included). Fills in MRSIGNER, product and versions. -EBADMSG with `error` set.
 */
int __must_check sigstruct_einit(const struct sgx_sigstruct *sig, struct sgx_secs *secs,
				 struct enclave_error *error);
