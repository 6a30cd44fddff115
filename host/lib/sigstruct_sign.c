/* SPDX-License-Identifier: Apache-2.0 */
/* Signing, apart from verification: the PAL holds only the latter, and little of OpenSSL. */
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>

#include "host/lib/sigstruct.h"
#include "lib/crypto/sha256.h"

int sigstruct_compute(const struct sgx_sigstruct *sig, struct sigstruct_arithmetic *ret)
{
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *s, *m, *square, *q1, *rem, *cube, *q2;
	int err = -EBADMSG;

	if (!ctx)
		return -ENOMEM;
	BN_CTX_start(ctx);
	s = BN_CTX_get(ctx);
	m = BN_CTX_get(ctx);
	square = BN_CTX_get(ctx);
	q1 = BN_CTX_get(ctx);
	rem = BN_CTX_get(ctx);
	cube = BN_CTX_get(ctx);
	q2 = BN_CTX_get(ctx);
	if (!q2 || !BN_lebin2bn(sig->signature, SGX_RSA_SIZE, s) ||
	    !BN_lebin2bn(sig->modulus, SGX_RSA_SIZE, m))
		goto end;
	if (BN_num_bits(m) != 8 * SGX_RSA_SIZE || BN_cmp(s, m) >= 0)
		goto end;
	if (!BN_sqr(square, s, ctx) || !BN_div(q1, rem, square, m, ctx) ||
	    !BN_mul(cube, s, rem, ctx) || !BN_div(q2, rem, cube, m, ctx))
		goto end;
	if (BN_bn2lebinpad(q1, ret->q1, SGX_RSA_SIZE) < 0 ||
	    BN_bn2lebinpad(q2, ret->q2, SGX_RSA_SIZE) < 0 ||
	    BN_bn2lebinpad(rem, ret->cube, SGX_RSA_SIZE) < 0)
		goto end;
	err = 0;
end:
	BN_CTX_end(ctx);
	BN_CTX_free(ctx);
	return err;
}

static int set_quotients(struct sgx_sigstruct *sig)
{
	struct sigstruct_arithmetic computed;
	int err = sigstruct_compute(sig, &computed);

	if (!err) {
		memcpy(sig->q1, computed.q1, SGX_RSA_SIZE);
		memcpy(sig->q2, computed.q2, SGX_RSA_SIZE);
	}
	return err;
}

static int take_modulus(struct sgx_sigstruct *sig, EVP_PKEY *key, struct enclave_error *error)
{
	BIGNUM *n = NULL, *e = NULL;
	int err = -EINVAL;

	if (!EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bits(key) != 8 * SGX_RSA_SIZE ||
	    !EVP_PKEY_get_bn_param(key, "n", &n) || !EVP_PKEY_get_bn_param(key, "e", &e) ||
	    !BN_is_word(e, 3) || BN_bn2lebinpad(n, sig->modulus, SGX_RSA_SIZE) < 0)
		enclave_error_set(error, "the signing key is no RSA key of 3072 bits with public "
					 "exponent 3");
	else
		err = 0;
	BN_free(n);
	BN_free(e);
	return err;
}

int sigstruct_attach(struct sgx_sigstruct *sig, EVP_PKEY *public_key,
		     const u8 signature[SGX_RSA_SIZE], struct enclave_error *error)
{
	int err = take_modulus(sig, public_key, error);

	if (err < 0)
		return err;
	for (size_t i = 0; i < SGX_RSA_SIZE; i++)
		sig->signature[i] = signature[SGX_RSA_SIZE - 1 - i];
	err = set_quotients(sig);
	if (err < 0) {
		enclave_error_set(error, "the signature does not belong to the key");
		return err;
	}
	return sigstruct_verify(sig, error);
}

int sigstruct_sign(struct sgx_sigstruct *sig, EVP_PKEY *key, struct enclave_error *error)
{
	u8 digest[SHA256_SIZE], signature[SGX_RSA_SIZE];
	size_t size = sizeof(signature);
	EVP_PKEY_CTX *ctx;
	int err = take_modulus(sig, key, error);

	if (err < 0)
		return err;
	sigstruct_digest(sig, digest);
	ctx = EVP_PKEY_CTX_new(key, NULL);
	if (!ctx || EVP_PKEY_sign_init(ctx) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) <= 0 ||
	    EVP_PKEY_sign(ctx, signature, &size, digest, sizeof(digest)) <= 0 ||
	    size != sizeof(signature)) {
		enclave_error_set(error, "signing failed (is this a private key?)");
		err = -EIO;
	}
	EVP_PKEY_CTX_free(ctx);
	return err < 0 ? err : sigstruct_attach(sig, key, signature, error);
}
