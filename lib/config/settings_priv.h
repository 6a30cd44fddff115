/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the Occlum.json reader share. */
#pragma once

#include "lib/config/settings.h"

struct reader {
	struct json json;
	struct settings_memory *memory;
	struct settings_error *error;
	struct occlum_config *config;
	bool debuggable;
};

/* Writes "NAME: text" as the error, with the token's line. Always -EINVAL. */
int reader_fail(struct reader *r, const struct json_token *at, const char *name, const char *format,
		...) __printf(4, 5);

/* The same, and what was found there: "NAME: TEXT, not VALUE". */
int reader_fail_value(struct reader *r, const struct json_token *at, const char *name,
		      const char *expected);

/* A string value, copied to the memory. Refuses other types and the empty string. */
int __must_check reader_string(struct reader *r, const struct json_token *at, const char *name,
			       const char *expected, const char **ret);
int __must_check reader_size(struct reader *r, const struct json_token *at, const char *name,
			     u64 min, u64 max, u64 *ret);
int __must_check reader_number(struct reader *r, const struct json_token *at, const char *name,
			       u64 min, u64 max, u64 *ret);
int __must_check reader_bool(struct reader *r, const struct json_token *at, const char *name,
			     bool *ret);
int __must_check reader_unsupported(struct reader *r, const struct json_token *at,
				    const char *name);

/* Members of an object, in the order of the text; there while `left` is not 0. */
struct member {
	const struct json_token *key;
	const struct json_token *value;
	u32 left;
};
struct member member_first(const struct json *json, const struct json_token *object);
void member_next(const struct json *json, struct member *m);

/* Elements of a list; `value` is there while `left` is not 0. */
struct element {
	const struct json_token *value;
	u32 left;
};
struct element element_first(const struct json *json, const struct json_token *list);
void element_next(const struct json *json, struct element *e);

bool reader_key_is(const struct reader *r, const struct json_token *key, const char *name);

/* Looks a key up in a NULL-terminated list of names; fails naming the list when it is not there. */
int __must_check reader_key_index(struct reader *r, const struct json_token *key, const char *where,
				  const char *const *names);

/* The field "mount", or its default when `list` is NULL. */
int __must_check settings_mounts(struct reader *r, const struct json_token *list);
