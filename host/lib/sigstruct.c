/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The enclave's signature. RSASSA-PKCS1-v1_5 with SHA-256, 3072 bits, e = 3; Q1 and Q2 spare the
 * CPU two divisions:  Q1 = S*S / M,  Q2 = S * (S*S mod M) / M. Verification works as the CPU's
 * (lib/sgx/rsa.h) and compares the padded message byte by byte, so that there is nothing to parse.
 */
#include "host/lib/sigstruct.h"

#include <errno.h>
#include <string.h>

#include "lib/base/string.h"
#include "lib/crypto/sha256.h"
#include "lib/sgx/rsa.h"

const u8 sigstruct_sample_mrsigner[SGX_HASH_SIZE] = {
	0x83, 0xd7, 0x19, 0xe7, 0x7d, 0xea, 0xca, 0x14, 0x70, 0xf6, 0xba,
	0xf6, 0x2a, 0x4d, 0x77, 0x43, 0x03, 0xc8, 0x99, 0xdb, 0x69, 0x02,
	0x0f, 0x9c, 0x70, 0xee, 0x1d, 0xfc, 0x08, 0xc7, 0xce, 0x9e,
};

static const u8 header[16] = SGX_SIGSTRUCT_HEADER;
static const u8 header2[16] = SGX_SIGSTRUCT_HEADER2;

void sigstruct_fill(struct sgx_sigstruct *sig, const struct sigstruct_identity *identity,
		    const u8 mrenclave[SGX_HASH_SIZE])
{
	memset(sig, 0, sizeof(*sig));
	memcpy(sig->header, header, sizeof(header));
	memcpy(sig->header2, header2, sizeof(header2));
	sig->date = identity->date;
	sig->exponent = 3;
	sig->miscselect = SGX_MISC_EXINFO;
	sig->miscmask = ~0u;
	sig->attributes.flags = SGX_ATTR_MODE64 | (identity->debug ? SGX_ATTR_DEBUG : 0) |
				(identity->provision_key ? SGX_ATTR_PROVISIONKEY : 0) |
				(identity->kss ? SGX_ATTR_KSS : 0);
	sig->attributes.xfrm = SGX_XFRM_LEGACY;
	/* Every flag is fixed, DEBUG above all; AVX and AVX-512 are the machine's choice. */
	sig->attributemask.flags = ~0ull;
	sig->attributemask.xfrm = ~(SGX_XFRM_AVX | SGX_XFRM_AVX512);
	memcpy(sig->enclavehash, mrenclave, SGX_HASH_SIZE);
	sig->isvprodid = identity->product_id;
	sig->isvsvn = identity->security_version;
	if (identity->kss) {
		memcpy(sig->isvfamilyid, identity->family_id, sizeof(sig->isvfamilyid));
		memcpy(sig->isvextprodid, identity->ext_product_id, sizeof(sig->isvextprodid));
	}
}

void sigstruct_digest(const struct sgx_sigstruct *sig, u8 digest[SHA256_SIZE])
{
	const u8 *bytes = (const u8 *)sig;
	struct sha256 h;

	sha256_init(&h);
	sha256_update(&h, bytes, SGX_SIGSTRUCT_PART1_SIZE);
	sha256_update(&h, bytes + SGX_SIGSTRUCT_PART2_OFFSET, SGX_SIGSTRUCT_PART2_SIZE);
	sha256_final(&h, digest);
}

/* 00 01 ff.. 00 DigestInfo digest, as a little-endian number: from the last byte to the first. */
void sigstruct_message(const struct sgx_sigstruct *sig, u8 message[SGX_RSA_SIZE])
{
	static const u8 digest_info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
					 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
	size_t tail = sizeof(digest_info) + SHA256_SIZE;
	u8 padded[SGX_RSA_SIZE];

	memset(padded, 0xff, SGX_RSA_SIZE);
	padded[0] = 0;
	padded[1] = 1;
	padded[SGX_RSA_SIZE - tail - 1] = 0;
	memcpy(padded + SGX_RSA_SIZE - tail, digest_info, sizeof(digest_info));
	sigstruct_digest(sig, padded + SGX_RSA_SIZE - SHA256_SIZE);
	for (size_t i = 0; i < SGX_RSA_SIZE; i++)
		message[i] = padded[SGX_RSA_SIZE - 1 - i];
}

bool sigstruct_has_constants(const struct sgx_sigstruct *sig)
{
	return memcmp(sig->header, header, 16) == 0 && memcmp(sig->header2, header2, 16) == 0 &&
	       (sig->vendor == 0 || sig->vendor == SGX_VENDOR_INTEL) && sig->exponent == 3 &&
	       !sig->cet_attributes && !sig->cet_mask &&
	       mem_is_zero(sig->rsv44, sizeof(sig->rsv44)) &&
	       mem_is_zero(sig->rsv910, sizeof(sig->rsv910)) &&
	       mem_is_zero(sig->rsv992, sizeof(sig->rsv992)) &&
	       mem_is_zero(sig->rsv1028, sizeof(sig->rsv1028));
}

int sigstruct_verify(const struct sgx_sigstruct *sig, struct enclave_error *error)
{
	u8 message[SGX_RSA_SIZE], cube[SGX_RSA_SIZE];

	if (!sigstruct_has_constants(sig)) {
		enclave_error_set(error, "the enclave's signature (SIGSTRUCT) is missing or "
					 "malformed");
		return -EBADMSG;
	}
	sigstruct_message(sig, message);
	if (!sgx_rsa_cube(sig, cube) || memcmp(cube, message, sizeof(cube)) != 0) {
		enclave_error_set(error, "the enclave's signature (SIGSTRUCT) is wrong");
		return -EBADMSG;
	}
	return 0;
}

void sigstruct_mrsigner(const struct sgx_sigstruct *sig, u8 ret_mrsigner[SGX_HASH_SIZE])
{
	sha256(sig->modulus, sizeof(sig->modulus), ret_mrsigner);
}

int sigstruct_einit(const struct sgx_sigstruct *sig, struct sgx_secs *secs,
		    struct enclave_error *error)
{
	const struct sgx_attributes *mask = &sig->attributemask;
	int err = sigstruct_verify(sig, error);

	if (err < 0)
		return err;
	if ((sig->attributes.flags & mask->flags) != (secs->attributes.flags & mask->flags) ||
	    (sig->attributes.xfrm & mask->xfrm) != (secs->attributes.xfrm & mask->xfrm)) {
		enclave_error_set(error,
				  "the enclave is signed for other attributes (DEBUG, KSS or "
				  "XFRM) than it is started with");
		return -EBADMSG;
	}
	if ((sig->miscselect & sig->miscmask) != (secs->miscselect & sig->miscmask)) {
		enclave_error_set(error, "the enclave is signed for another MISCSELECT");
		return -EBADMSG;
	}
	if (memcmp(sig->enclavehash, secs->mrenclave, SGX_HASH_SIZE) != 0) {
		enclave_error_set(error, "the kernel image was changed after it was signed: "
					 "MRENCLAVE differs; if Occlum was upgraded, run `occlum "
					 "build` again");
		return -EBADMSG;
	}
	sigstruct_mrsigner(sig, secs->mrsigner);
	secs->isvprodid = sig->isvprodid;
	secs->isvsvn = sig->isvsvn;
	memcpy(secs->isvfamilyid, sig->isvfamilyid, sizeof(secs->isvfamilyid));
	memcpy(secs->isvextprodid, sig->isvextprodid, sizeof(secs->isvextprodid));
	secs->attributes.flags |= SGX_ATTR_INIT;
	return 0;
}
