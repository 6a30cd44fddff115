/* SPDX-License-Identifier: Apache-2.0 */
/* Where the keys of volumes come from: the enclave's seal key, the image key, randomness. */
#pragma once

#include "lib/secvol/secvol.h"

/*
 * The autokey: EGETKEY(SEAL, MRSIGNER), which also covers product id and the machine, and with KSS
 * the configuration id, family id and extended product id. Key slots made under a lower security
 * version than min_isvsvn, or for an older key epoch, are not opened; is_too_old remembers that one
 * was met. New slots are made under the image key where there is one.
 */
struct auto_key {
	u16 min_isvsvn, min_epoch;
	bool is_too_old;
	const struct secvol_fixed_key *image_key; /* NULL */
};
void auto_key_source(struct secvol_key_source *src, struct auto_key *key);

/* The key of the record that a file anchor keeps for the volume `id`: this signer's and product's
 * on this machine, whatever the version. */
int __must_check auto_key_anchor(const u8 id[32], u8 key[32]);
