/* SPDX-License-Identifier: Apache-2.0 */
/* RSA with 3072 bits and exponent 3 as EINIT verifies it: by the two quotients of a SIGSTRUCT. */
#pragma once

#include "lib/sgx/sgx.h"

/*
 * S^3 mod M, by multiplications alone: Q1 and Q2 must be the quotients of S*S and of S*(S*S mod M)
 * by M. All numbers little endian, 384 bytes. False when M has fewer bits, S is not below M, or a
 * quotient is wrong.
 */
bool __must_check sgx_rsa_cube(const struct sgx_sigstruct *sig, u8 ret_cube[SGX_RSA_SIZE]);
