/* SPDX-License-Identifier: Apache-2.0 */
/* CONFIGID and CONFIGSVN from text; see config_id.h. */
#include "host/lib/config_id.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int base64_value(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Bits that no byte takes must be zero: there is one text for given bytes. */
static int base64_decode(const char *text, size_t len, u8 *to, size_t room)
{
	u32 bits = 0, count = 0;
	size_t done = 0;

	for (size_t i = 0; i < len; i++) {
		int value = base64_value(text[i]);

		if (value < 0)
			return -EINVAL;
		bits = bits << 6 | (u32)value;
		count += 6;
		if (count < 8)
			continue;
		count -= 8;
		if (done == room)
			return -EINVAL;
		to[done++] = (u8)(bits >> count);
		bits &= (1u << count) - 1;
	}
	return bits || count == 6 ? -EINVAL : 0;
}

int config_id_parse(const char *text, u8 ret_id[SGX_CONFIGID_SIZE], struct enclave_error *error)
{
	size_t len = strlen(text), padded = len;
	u8 id[SGX_CONFIGID_SIZE] = {0};

	while (len > 0 && padded - len < 2 && text[len - 1] == '=')
		len--;
	if (len == 0 || padded % 4 != 0 || base64_decode(text, len, id, sizeof(id)) < 0) {
		enclave_error_set(error,
				  "the config id (--config-id) is not base64 text of 1 to %d bytes",
				  SGX_CONFIGID_SIZE);
		return -EINVAL;
	}
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

int config_svn_parse(const char *text, u16 *ret_svn, struct enclave_error *error)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 0);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value > UINT16_MAX) {
		enclave_error_set(error,
				  "the config svn (--config-svn) is not a number from 0 to 65535");
		return -EINVAL;
	}
	*ret_svn = (u16)value;
	return 0;
}
