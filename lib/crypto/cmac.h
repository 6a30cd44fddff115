/* SPDX-License-Identifier: Apache-2.0 */
/* AES-128-CMAC (RFC 4493): the CPU's report MAC and the key derivations of SGX. */
#pragma once

#include "lib/base/types.h"

#define AES_CMAC_SIZE 16

void aes128_cmac(const u8 key[16], const void *bytes, size_t size, u8 mac[AES_CMAC_SIZE]);

/* One block of AES-128 in ECB: what CMAC and DRBGs are made of. */
void aes128_block(const u8 key[16], const u8 in[16], u8 out[16]);
