/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verification without division. From  S*S = Q1*M + R  with 0 <= R < M  follows that R is the
 * remainder, and likewise for  S*R = Q2*M + C.  Nothing here is secret, so nothing needs to take
 * constant time.
 */
#include "lib/sgx/rsa.h"

#include "lib/base/string.h"

#define LIMBS (SGX_RSA_SIZE / 8)

struct number {
	u64 limb[LIMBS];
};

struct product {
	u64 limb[2 * LIMBS];
};

static void load(struct number *n, const u8 bytes[SGX_RSA_SIZE])
{
	memcpy(n->limb, bytes, SGX_RSA_SIZE);
}

static bool is_below(const struct number *a, const struct number *b)
{
	for (int i = LIMBS - 1; i >= 0; i--) {
		if (a->limb[i] != b->limb[i])
			return a->limb[i] < b->limb[i];
	}
	return false;
}

static void multiply(struct product *ret, const struct number *a, const struct number *b)
{
	memset(ret, 0, sizeof(*ret));
	for (int i = 0; i < LIMBS; i++) {
		u64 carry = 0;

		for (int k = 0; k < LIMBS; k++) {
			unsigned __int128 t = (unsigned __int128)a->limb[i] * b->limb[k] +
					      ret->limb[i + k] + carry;

			ret->limb[i + k] = (u64)t;
			carry = (u64)(t >> 64);
		}
		ret->limb[i + LIMBS] = carry;
	}
}

/* a*b - q*m when that lies in [0, m), else false. */
static bool reduced_product(struct number *ret, const struct number *a, const struct number *b,
			    const struct number *q, const struct number *m)
{
	struct product x, y;
	u64 borrow = 0;

	multiply(&x, a, b);
	multiply(&y, q, m);
	for (int i = 0; i < 2 * LIMBS; i++) {
		unsigned __int128 t = (unsigned __int128)x.limb[i] - y.limb[i] - borrow;

		x.limb[i] = (u64)t;
		borrow = (u64)(t >> 64) & 1;
	}
	if (borrow || !mem_is_zero(&x.limb[LIMBS], LIMBS * 8))
		return false;
	memcpy(ret->limb, x.limb, sizeof(ret->limb));
	return is_below(ret, m);
}

bool sgx_rsa_cube(const struct sgx_sigstruct *sig, u8 ret_cube[SGX_RSA_SIZE])
{
	struct number s, m, q, r, cube;

	load(&s, sig->signature);
	load(&m, sig->modulus);
	if (!(m.limb[LIMBS - 1] >> 63) || !is_below(&s, &m))
		return false;
	load(&q, sig->q1);
	if (!reduced_product(&r, &s, &s, &q, &m))
		return false;
	load(&q, sig->q2);
	if (!reduced_product(&cube, &s, &r, &q, &m))
		return false;
	memcpy(ret_cube, cube.limb, SGX_RSA_SIZE);
	return true;
}
