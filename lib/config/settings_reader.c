// SPDX-License-Identifier: Apache-2.0
/* The small words of the Occlum.json reader: values by type, walking objects, messages. */
#include "lib/config/settings_priv.h"

#include "abi/errno.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

#define VALUE_SHOWN_MAX 60

/* Nothing of a configuration may steer the terminal that shows the message. */
static void make_printable(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			*text = '?';
	}
}

int reader_fail(struct reader *r, const struct json_token *at, const char *name, const char *format,
		...)
{
	struct settings_error *e = r->error;
	size_t len = 0;
	va_list args;

	e->line = at ? at->line : 0;
	e->text[0] = '\0';
	if (name)
		fmt_append(e->text, sizeof(e->text), &len, "%s: ", name);
	va_start(args, format);
	fmt_vsnprintf(e->text + len, sizeof(e->text) - len, format, args);
	va_end(args);
	make_printable(e->text);
	return -EINVAL;
}

int reader_fail_value(struct reader *r, const struct json_token *at, const char *name,
		      const char *expected)
{
	u32 size = at->end - at->start;
	int shown = (int)MIN(size, (u32)VALUE_SHOWN_MAX);
	const char *quote = at->type == JSON_STRING ? "\"" : "";
	const char *more = size > VALUE_SHOWN_MAX ? "..." : "";

	if (at->type == JSON_ARRAY && at->count == 0)
		return reader_fail(r, at, name, "expected %s, found an empty list", expected);
	if (at->type == JSON_OBJECT || at->type == JSON_ARRAY)
		return reader_fail(r, at, name, "expected %s, found %s", expected,
				   json_type_name(at->type));
	return reader_fail(r, at, name, "expected %s, found %s%.*s%s%s", expected, quote, shown,
			   r->json.text + at->start, more, quote);
}

int reader_unsupported(struct reader *r, const struct json_token *at, const char *name)
{
	return reader_fail(r, at, name, "not yet supported; remove the field or leave it off");
}

int reader_string(struct reader *r, const struct json_token *at, const char *name,
		  const char *expected, const char **ret)
{
	struct settings_memory *m = r->memory;
	long len;

	if (at->type != JSON_STRING)
		return reader_fail_value(r, at, name, expected);
	len = json_string(&r->json, at, m->strings + m->used, m->size - m->used);
	if (len == -EINVAL)
		return reader_fail(r, at, name,
				   "a string must not hold \\u0000 or half a surrogate pair");
	if (len < 0)
		return reader_fail(r, at, name, "no memory left for strings");
	if (len == 0 || len > CONFIG_STRING_MAX)
		return reader_fail(r, at, name, "expected %s of 1 to %d bytes, found %ld", expected,
				   CONFIG_STRING_MAX, len);
	*ret = m->strings + m->used;
	m->used += (size_t)len + 1;
	return 0;
}

int settings_size(const char *text, u64 *ret)
{
	static const struct {
		const char *name;
		int shift;
	} units[] = {{"B", 0}, {"KB", 10}, {"MB", 20}, {"GB", 30}, {"TB", 40}};
	u64 value = 0;
	size_t digits = 0;

	while (*text == ' ')
		text++;
	for (; *text >= '0' && *text <= '9'; text++, digits++) {
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (u64)(*text - '0'), &value))
			return -ERANGE;
	}
	while (*text == ' ')
		text++;
	for (size_t i = 0; digits > 0 && i < ARRAY_SIZE(units); i++) {
		size_t len = strlen(units[i].name);
		const char *end = text + len;

		if (strncmp(text, units[i].name, len) != 0)
			continue;
		while (*end == ' ')
			end++;
		if (*end != '\0')
			continue;
		if (value > UINT64_MAX >> units[i].shift)
			return -ERANGE;
		*ret = value << units[i].shift;
		return 0;
	}
	return -EINVAL;
}

static void append_size(char *text, size_t size, u64 bytes)
{
	static const char units[][3] = {"B", "KB", "MB", "GB", "TB"};
	unsigned unit = 0;

	while (unit + 1 < ARRAY_SIZE(units) && bytes != 0 && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	fmt_snprintf(text, size, "%llu%s", (unsigned long long)bytes, units[unit]);
}

int reader_size(struct reader *r, const struct json_token *at, const char *name, u64 min, u64 max,
		u64 *ret)
{
	char expected[96], low[24], high[24];
	const char *text;
	u64 bytes;
	int err;

	append_size(low, sizeof(low), min);
	append_size(high, sizeof(high), max);
	if (min == max)
		fmt_snprintf(expected, sizeof(expected), "\"%s\" only", low);
	else
		fmt_snprintf(expected, sizeof(expected),
			     "a size from \"%s\" to \"%s\" (units B, KB, MB, GB, TB)", low, high);
	if (at->type != JSON_STRING)
		return reader_fail_value(r, at, name, expected);
	err = reader_string(r, at, name, expected, &text);
	if (err < 0)
		return err;
	if (settings_size(text, &bytes) < 0 || bytes > max || bytes < min)
		return reader_fail_value(r, at, name, expected);
	*ret = ALIGN_UP(bytes, PAGE_SIZE);
	return 0;
}

int reader_bool(struct reader *r, const struct json_token *at, const char *name, bool *ret)
{
	if (at->type != JSON_TRUE && at->type != JSON_FALSE)
		return reader_fail_value(r, at, name, "true or false");
	*ret = at->type == JSON_TRUE;
	return 0;
}

struct member member_first(const struct json *json, const struct json_token *object)
{
	struct member m = {.left = object->count};

	if (m.left > 0) {
		m.key = object + 1;
		m.value = object + 2;
	}
	return m;
}

void member_next(const struct json *json, struct member *m)
{
	m->left--;
	if (m->left > 0) {
		m->key = &json->tokens[m->value->next];
		m->value = m->key + 1;
	}
}

struct element element_first(const struct json *json, const struct json_token *list)
{
	return (struct element){.value = list + 1, .left = list->count};
}

void element_next(const struct json *json, struct element *e)
{
	e->left--;
	if (e->left > 0)
		e->value = &json->tokens[e->value->next];
}

bool reader_key_is(const struct reader *r, const struct json_token *key, const char *name)
{
	size_t len = strlen(name);

	return key->end - key->start == len && memcmp(r->json.text + key->start, name, len) == 0;
}

int reader_key_index(struct reader *r, const struct json_token *key, const char *where,
		     const char *const *names)
{
	char list[640] = "";
	size_t len = 0;

	for (int i = 0; names[i]; i++) {
		if (reader_key_is(r, key, names[i]))
			return i;
		fmt_append(list, sizeof(list), &len, "%s%s", i ? ", " : "", names[i]);
	}
	return reader_fail(r, key, NULL, "unknown field '%.*s'%s%s; accepted are: %s",
			   (int)MIN(key->end - key->start, (u32)VALUE_SHOWN_MAX),
			   r->json.text + key->start, where[0] ? " in " : "", where, list);
}
