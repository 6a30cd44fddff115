/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal text of keys and digests. */
#pragma once

#include "lib/base/types.h"

/* Writes 2 * size lower-case digits and a NUL. */
void hex_encode(char *text, const void *bytes, size_t size);

/*
 * Reads exactly 2 * size digits (either case) from `text`, whose length is `len`.
 * 0, or -EINVAL when the length or a digit is wrong.
 */
int __must_check hex_decode(void *bytes, size_t size, const char *text, size_t len);
