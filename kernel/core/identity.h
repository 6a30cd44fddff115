/* SPDX-License-Identifier: Apache-2.0 */
/* Who this enclave is, by the CPU's word (in the simulation by the backend's). */
#pragma once

#include "lib/sgx/sgx.h"

/*
 * At boot. -EOPNOTSUPP: the enclave runs without what the kernel relies on (EXINFO) or with more
 * than it knows of.
 */
int __must_check identity_init(void);

/* The body of a report of this enclave; its data is zero. */
const struct sgx_report_body *identity(void);

/* A report for `target` (NULL: for nobody in particular) with `data` (NULL: zeroes). */
int __must_check identity_report(const struct sgx_targetinfo *target,
				 const u8 data[SGX_REPORTDATA_SIZE], struct sgx_report *ret);

/* 0: made on this CPU for this enclave. -EBADMSG: not. */
int __must_check identity_verify(const struct sgx_report *report);

/*
 * EGETKEY for a program: 0, -EPERM (a key that the enclave has no attribute for), -EINVAL (a
 * version that is newer than this one, or a request that the CPU does not know).
 */
int __must_check identity_key(const struct sgx_keyrequest *request, u8 ret_key[SGX_KEY_SIZE]);
