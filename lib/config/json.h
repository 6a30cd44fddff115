/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON with comments, as a flat list of tokens with positions. The one tokenizer of the tree:
 * every JSON text that a tool or the kernel reads goes through it. No allocation, no recursion.
 */
#pragma once

#include "lib/base/types.h"

#define JSON_DEPTH_MAX 16
#define JSON_TEXT_MAX  MIB(1)

enum json_type {
	JSON_OBJECT = 1, /* children alternate: key (a string), value */
	JSON_ARRAY,
	JSON_STRING,
	JSON_NUMBER,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NULL,
};

struct json_token {
	enum json_type type;
	u32 line;  /* from 1 */
	u32 start; /* of its bytes in the text; of a string without the quotes */
	u32 end;
	u32 count; /* elements of an array, members of an object */
	u32 next;  /* index behind this value and everything in it */
};

struct json {
	const char *text;
	u32 size;
	const struct json_token *tokens; /* [0] is the whole value */
	u32 token_count;

	/* Where and why parsing failed. */
	u32 error_line;
	const char *error;
};

/*
 * Splits `text` (borrowed; `size` bytes, no NUL needed) into `tokens` (caller's, room for `max`).
 * Accepts RFC 8259 plus comments (two slashes to the end of the line, or slash-star to star-slash).
 * 0, or -EINVAL with json->error and json->error_line set.
 */
int __must_check json_parse(struct json *json, const char *text, size_t size,
			    struct json_token *tokens, u32 max);

/*
 * Copies a string token's value, escapes resolved, with a NUL. Returns its length, -ENOSPC when
 * `size` does not suffice (token's end - start + 1 always does), -EINVAL for a value with a NUL in
 * it or an unpaired surrogate.
 */
long __must_check json_string(const struct json *json, const struct json_token *token, char *to,
			      size_t size);

/* A number token that is a whole number of at most 64 bits; -ERANGE otherwise. */
int __must_check json_u64(const struct json *json, const struct json_token *token, u64 *ret);

/* "an object", "a string", ... for messages. */
const char *json_type_name(enum json_type type);
