/* SPDX-License-Identifier: Apache-2.0 */
/* SIGSTRUCT and enclave layout for reviewers: fields by name, checks by what they mean. */
#pragma once

#include "host/lib/sgxs.h"
#include "host/lib/sigstruct.h"

/* Every field, its value and, where it has one, its meaning. */
void sigstruct_print(const struct sgx_sigstruct *sig, FILE *to);

/* The rows of pages and what is measured of them. */
void sgxs_print(const struct sgxs_info *info, FILE *to);

/*
 * One line for each check, "ok" or "WRONG", then notes on what the signature allows. `mrenclave` is
 * what the enclave measures, NULL when there is only the SIGSTRUCT. Returns the number of wrong
 * ones.
 */
int __must_check sigstruct_review(const struct sgx_sigstruct *sig, const u8 *mrenclave, FILE *to);
