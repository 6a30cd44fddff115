/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of a few hundred bytes in plain C: a program has no use of the kernel's, which needs its brackets. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32

/* Of at most 119 bytes: two blocks with their padding. */
#define MESSAGE_MAX 119
void sha256_short(const uint8_t *message, size_t size, uint8_t digest[DIGEST_SIZE]);
