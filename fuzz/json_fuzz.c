// SPDX-License-Identifier: Apache-2.0
/* The JSON tokenizer: tokens lie within the text, nest, and every string and number can be read. */
#include <stdlib.h>

#include "lib/config/json.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	static struct json_token tokens[1024];
	static char text[65536];
	struct json json;
	u64 number;

	if (json_parse(&json, (const char *)bytes, size, tokens, ARRAY_SIZE(tokens)) < 0) {
		check(json.error != NULL && json.error_line > 0);
		return 0;
	}
	check(json.token_count > 0 && tokens[0].next == json.token_count);
	for (u32 i = 0; i < json.token_count; i++) {
		const struct json_token *t = &tokens[i];

		check(t->start <= t->end && t->end <= size && t->line > 0);
		check(t->next > i && t->next <= json.token_count);
		if (t->type == JSON_STRING && t->end - t->start < sizeof(text)) {
			long len = json_string(&json, t, text, t->end - t->start + 1);

			check(len <= (long)(t->end - t->start) && len != -28 /* ENOSPC */);
		}
		if (t->type == JSON_NUMBER && json_u64(&json, t, &number) == 0)
			check(t->end > t->start);
	}
	return 0;
}
