/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EINIT's look at a SIGSTRUCT, by OpenSSL's big numbers: neither the signer's code nor the
 * simulation's, so that a common mistake of theirs is seen. Runs on threads of libc only.
 */
#include <openssl/bn.h>
#include <openssl/sha.h>
#include <string.h>

#include "tests/emu/emu_priv.h"

static bool is_zero(const u8 *bytes, size_t size)
{
	while (size--) {
		if (*bytes++)
			return false;
	}
	return true;
}

static bool header_is_good(const struct sgx_sigstruct *s)
{
	static const u8 header[16] = {6, 0, 0, 0, 0xe1, 0, 0, 0, 0, 0, 1};
	static const u8 header2[16] = {1, 1, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 1};
	const u8 *bytes = (const u8 *)s;

	return memcmp(bytes, header, 16) == 0 && memcmp(bytes + 24, header2, 16) == 0 &&
	       is_zero(bytes + 44, 84) && is_zero(bytes + 908, 4) && is_zero(bytes + 992, 16) &&
	       is_zero(bytes + 1028, 12) && s->exponent == 3;
}

static BIGNUM *number(const u8 bytes[SGX_RSA_SIZE])
{
	return BN_lebin2bn(bytes, SGX_RSA_SIZE, NULL);
}

/* 00 01 ff ... 00 DigestInfo SHA-256, big endian. */
static void expected_message(const struct sgx_sigstruct *s, u8 out[SGX_RSA_SIZE])
{
	static const u8 info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
				  0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
	u8 message[256];
	u8 *at = out + SGX_RSA_SIZE - SHA256_DIGEST_LENGTH;

	memcpy(message, s, 128);
	memcpy(message + 128, (const u8 *)s + 900, 128);
	SHA256(message, sizeof(message), at);
	memset(out, 0xff, SGX_RSA_SIZE - SHA256_DIGEST_LENGTH);
	out[0] = 0;
	out[1] = 1;
	at -= sizeof(info);
	memcpy(at, info, sizeof(info));
	at[-1] = 0;
}

static bool signature_is_good(const struct sgx_sigstruct *s)
{
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *m = number(s->modulus), *sig = number(s->signature);
	BIGNUM *q1 = number(s->q1), *q2 = number(s->q2);
	BIGNUM *q = BN_new(), *r = BN_new(), *x = BN_new();
	u8 expected[SGX_RSA_SIZE], found[SGX_RSA_SIZE];
	bool ok = BN_num_bits(m) == 3072 && BN_is_odd(m) && BN_cmp(sig, m) < 0;

	if (ok) {
		BN_sqr(x, sig, ctx);
		BN_div(q, r, x, m, ctx);
		ok = BN_cmp(q, q1) == 0;
		BN_mul(x, r, sig, ctx);
		BN_div(q, r, x, m, ctx);
		ok = ok && BN_cmp(q, q2) == 0;
		expected_message(s, expected);
		ok = ok && BN_bn2binpad(r, found, sizeof(found)) == sizeof(found) &&
		     memcmp(expected, found, sizeof(found)) == 0;
	}
	BN_free(m);
	BN_free(sig);
	BN_free(q1);
	BN_free(q2);
	BN_free(q);
	BN_free(r);
	BN_free(x);
	BN_CTX_free(ctx);
	return ok;
}

u32 emu_einit_check(const struct sgx_sigstruct *sig, const struct sgx_secs *secs,
		    const u8 mrenclave[SGX_HASH_SIZE])
{
	if (!header_is_good(sig))
		return SGX_INVALID_SIG_STRUCT;
	if (!signature_is_good(sig))
		return SGX_INVALID_SIGNATURE;
	if ((sig->attributes.flags ^ secs->attributes.flags) & sig->attributemask.flags ||
	    (sig->attributes.xfrm ^ secs->attributes.xfrm) & sig->attributemask.xfrm ||
	    (sig->miscselect ^ secs->miscselect) & sig->miscmask)
		return SGX_INVALID_ATTRIBUTE;
	if (memcmp(sig->enclavehash, mrenclave, SGX_HASH_SIZE) != 0)
		return SGX_INVALID_MEASUREMENT;
	return SGX_SUCCESS;
}
