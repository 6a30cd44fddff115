/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/lib/config_id.h"

static struct enclave_error error;
static u8 id[SGX_CONFIGID_SIZE];

static void config_ids_are_base64_of_up_to_64_bytes(void **state)
{
	static const char full[] =
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4"
		"OTo7PD0+Pw==";
	static const u8 zeros[SGX_CONFIGID_SIZE];

	assert_int_equal(config_id_parse(full, id, &error), 0);
	for (int i = 0; i < SGX_CONFIGID_SIZE; i++)
		assert_int_equal(id[i], i);
	assert_int_equal(config_id_parse("/+8=", id, &error), 0);
	assert_memory_equal(id, "\xff\xef", 2);
	assert_memory_equal(id + 2, zeros, sizeof(id) - 2);
	assert_int_equal(config_id_parse("AA==", id, &error), 0);
	assert_memory_equal(id, zeros, sizeof(id));
}

static void other_config_ids_are_refused(void **state)
{
	static const char *const bad[] = {"",	      "=",    "A",     "AB=",  "AB===",
					  "AB= =",    "A*==", "AA",    "AAA",  "/+8",
					  "AAAA====", "/+9",  "AB\n=", "AAAAA"};
	char long_text[128];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(config_id_parse(bad[i], id, &error), -EINVAL);
	memset(long_text, 'A', sizeof(long_text));
	long_text[88] = 0; /* 66 bytes */
	assert_int_equal(config_id_parse(long_text, id, &error), -EINVAL);
	assert_non_null(strstr(error.text, "base64"));
}

static void config_svns_have_16_bits(void **state)
{
	static const char *const bad[] = {"",	   "-1", "+1", " 1",
					  "65536", "1x", "0x", "99999999999999999999"};
	u16 svn = 0;

	assert_int_equal(config_svn_parse("65535", &svn, &error), 0);
	assert_int_equal(svn, 65535);
	assert_int_equal(config_svn_parse("0x10", &svn, &error), 0);
	assert_int_equal(svn, 16);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(config_svn_parse(bad[i], &svn, &error), -EINVAL);
	assert_int_equal(svn, 16);
}

UNIT_TESTS(config_ids_are_base64_of_up_to_64_bytes, other_config_ids_are_refused,
	   config_svns_have_16_bits)
