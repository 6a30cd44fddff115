/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Occlum.json, the file that users write. Its fields are one table (settings.c); reading it gives
 * a configuration that lacks only what the build knows: the digests of the images.
 */
#pragma once

#include "lib/config/config.h"
#include "lib/config/json.h"

#define SETTINGS_TOKENS_MAX 8192

#define SETTINGS_INIT_IMAGE "build/initfs/__ROOT"
#define SETTINGS_INIT_UPPER "run/initfs/__ROOT"
#define SETTINGS_APP_IMAGE  "build/mount/__ROOT"
#define SETTINGS_APP_UPPER  "run/mount/__ROOT"

struct settings_error {
	u32 line; /* 0: of no line */
	char text[1024];
};

/* Memory of the caller: tokens, and room for strings (twice the size of the text suffices). */
struct settings_memory {
	struct json_token *tokens;
	u32 token_max;
	char *strings;
	size_t size;
	size_t used;
};

/*
 * Reads the text of an Occlum.json. 0 and a complete *ret but for digests and image types, or
 * -EINVAL with *error filled in: the line, the field and what it accepts. Strings of *ret lie in
 * `memory`.
 */
int __must_check settings_read(struct occlum_config *ret, const char *text, size_t size,
			       struct settings_memory *memory, struct settings_error *error);

/* Fills in what the build found out: the digests, and whether the image is encrypted. */
void settings_pin(struct occlum_config *config, const u8 *init_digest, const u8 *app_digest,
		  enum config_image_type app_type);

/* "300MB" and the like: bytes, 1024-based, spaces allowed before the unit. */
int __must_check settings_size(const char *text, u64 *ret);
