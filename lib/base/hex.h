/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal text of keys and digests. */
#pragma once

#include "lib/base/types.h"

/* The value of one digit (either case), or -1. */
int hex_digit(char c);

/* Writes 2 * size lower-case digits and a NUL. */
void hex_encode(char *text, const void *bytes, size_t size);

/*
 * Reads exactly 2 * size digits (either case) from `text`, whose length is `len`.
 * 0, or -EINVAL when the length or a digit is wrong.
 */
int __must_check hex_decode(void *bytes, size_t size, const char *text, size_t len);

/*
 * Image keys are written "c7-32-...-61": pairs of digits joined by `join`. Writes 3 * size
 * characters, the last one a NUL.
 */
void hex_encode_pairs(char *text, const void *bytes, size_t size, char join);

/* Reads exactly that, 3 * size - 1 characters without a NUL; a newline may follow. 0 or -EINVAL. */
int __must_check hex_decode_pairs(void *bytes, size_t size, const char *text, size_t len,
				  char join);
