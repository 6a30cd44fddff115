/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal text of keys and digests. */
#include "lib/base/hex.h"
#include "abi/errno.h"

void hex_encode(char *text, const void *bytes, size_t size)
{
	const u8 *p = bytes;

	for (size_t i = 0; i < size; i++) {
		text[2 * i] = "0123456789abcdef"[p[i] >> 4];
		text[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
	}
	text[2 * size] = '\0';
}

int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_decode(void *bytes, size_t size, const char *text, size_t len)
{
	u8 *p = bytes;

	if (len != 2 * size)
		return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		p[i] = (u8)(high << 4 | low);
	}
	return 0;
}

void hex_encode_pairs(char *text, const void *bytes, size_t size, char join)
{
	for (size_t i = 0; i < size; i++) {
		hex_encode(text + 3 * i, (const u8 *)bytes + i, 1);
		text[3 * i + 2] = i + 1 < size ? join : '\0';
	}
}

int hex_decode_pairs(void *bytes, size_t size, const char *text, size_t len, char join)
{
	if (len == 3 * size && text[len - 1] == '\n')
		len--;
	if (len != 3 * size - 1)
		return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		if (hex_decode((u8 *)bytes + i, 1, text + 3 * i, 2) < 0 ||
		    (i + 1 < size && text[3 * i + 2] != join))
			return -EINVAL;
	}
	return 0;
}
