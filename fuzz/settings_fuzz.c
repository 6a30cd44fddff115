// SPDX-License-Identifier: Apache-2.0
/* The reader of Occlum.json: an error has a text, and what is accepted can be built. */
#include <stdlib.h>

#include "lib/config/settings.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	static const u8 digest[CONFIG_DIGEST_SIZE] = {1};
	static struct json_token tokens[1024];
	static struct occlum_config config;
	static u8 encoded[CONFIG_SIZE_MAX];
	struct settings_memory memory = {.tokens = tokens, .token_max = ARRAY_SIZE(tokens)};
	struct settings_error error;
	size_t encoded_size;
	int err;

	if (size > 65536)
		return 0;
	memory.size = 2 * size + 64;
	memory.strings = malloc(memory.size);
	if (!memory.strings)
		return 0;
	err = settings_read(&config, (const char *)bytes, size, &memory, &error);
	if (err < 0 && error.text[0] == '\0')
		abort();
	if (err == 0) {
		settings_pin(&config, digest, digest, CONFIG_IMAGE_INTEGRITY);
		if (config_encode(&config, encoded, sizeof(encoded), &encoded_size) < 0)
			abort();
	}
	free(memory.strings);
	return 0;
}
