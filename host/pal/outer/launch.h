/* SPDX-License-Identifier: Apache-2.0 */
/* What is chosen at an enclave's launch: its attributes and, with KSS, CONFIGID and CONFIGSVN. */
#pragma once

#include "host/lib/enclave_image.h"
#include "lib/sgx/sgx.h"

/* The user's wishes; none of them is measured. */
struct launch_choice {
	bool is_configured; /* CONFIGID or CONFIGSVN was given */
	bool is_release;    /* no DEBUG where the signature leaves it open */
	u16 configsvn;
	u8 configid[SGX_CONFIGID_SIZE];
};

/*
 * From OCCLUM_CONF_ID_BASE64, OCCLUM_CONF_SVN and OCCLUM_RELEASE_ENCLAVE. -EINVAL with `error` set
 * for what cannot be read.
 */
int __must_check launch_choice_read(struct launch_choice *choice, struct enclave_error *error);

/*
 * Fills in attributes, MISCSELECT, CONFIGID and CONFIGSVN of `secs`: what the signature fixes is as
 * it says, what it leaves open as the machine (flags and XFRM that it allows, XFRM in use) and the
 * choice say. -EINVAL with `error` set when these cannot be one enclave.
 */
int __must_check launch_fill(struct sgx_secs *secs, const struct sgx_sigstruct *sig,
			     const struct sgx_attributes *machine,
			     const struct launch_choice *choice, struct enclave_error *error);
