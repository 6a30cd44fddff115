/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key that the instance's enclave would get from its CPU, for whoever proves to hold the key
 * that the enclave is signed with. After machine_key_prove() the kernel's own autokey
 * (kernel/fs/secvol/keys.h) works in this process.
 */
#pragma once

#include "host/lib/sign.h"

struct signer {
	const char *key;  /* NULL: this user's development key */
	const char *tool; /* NULL: occlum-sign */
};

/*
 * Signs something fresh with the given key and tool and takes the signer's identity from that
 * signature alone; `instance` is what the built enclave says. Both outlive the call. Says what is
 * wrong; 0 or 1.
 */
int __must_check machine_key_prove(const struct signer *signer, const struct sign_info *instance,
				   const struct occlum_config *config);
