/* SPDX-License-Identifier: Apache-2.0 */
/* What the SGX driver's errors mean, in words. */
#pragma once

#include "host/lib/enclave_image.h"

enum sgx_step {
	SGX_STEP_OPEN,
	SGX_STEP_CREATE,
	SGX_STEP_ADD_PAGES,
	SGX_STEP_OPEN_PROVISION,
	SGX_STEP_PROVISION,
	SGX_STEP_INIT,
	SGX_STEP_PROBE,
	SGX_STEP_MAP,
};

/* One line: what failed, why, and what to do. `err` is a negative errno. Returns `err`. */
int sgx_error_explain(struct enclave_error *error, enum sgx_step step, s64 err);
