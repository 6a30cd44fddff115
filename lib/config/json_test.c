// SPDX-License-Identifier: Apache-2.0
/* Unit tests of the JSON tokenizer. */
#include "tests/unit.h"

#include "abi/errno.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"
#include "lib/config/json.h"

#include <stdlib.h>

static struct json json;
static struct json_token tokens[64];

/* The text is copied to memory of its exact size, so that the sanitizer sees each read past it. */
static char *exact;

static int parse(const char *text)
{
	size_t size = strlen(text);

	free(exact);
	exact = malloc(size ? size : 1);
	memcpy(exact, text, size);
	return json_parse(&json, exact, size, tokens, ARRAY_SIZE(tokens));
}

static int release(void **state)
{
	free(exact);
	exact = NULL;
	return 0;
}

static void values_and_positions(void **state)
{
	assert_int_equal(
		parse("// top\n{ \"a\": [1, -2.5e3, {}],\n /* x\n */ \"b\": \"t\\u00e9\" }\n"), 0);
	assert_int_equal(tokens[0].type, JSON_OBJECT);
	assert_int_equal(tokens[0].count, 2);
	assert_int_equal(tokens[0].next, json.token_count);
	assert_int_equal(tokens[2].type, JSON_ARRAY);
	assert_int_equal(tokens[2].count, 3);
	assert_int_equal(tokens[2].line, 2);
	assert_int_equal(tokens[2].next, 6);
	assert_int_equal(tokens[6].type, JSON_STRING);
	assert_int_equal(tokens[6].line, 4);
}

static void strings_are_decoded(void **state)
{
	char text[32];

	assert_int_equal(parse("\"a\\n\\\"\\u00e9\\ud83d\\ude00\""), 0);
	assert_int_equal(json_string(&json, tokens, text, sizeof(text)), 9);
	assert_string_equal(text, "a\n\"\xc3\xa9\xf0\x9f\x98\x80");
	for (size_t n = 0; n < 10; n++)
		assert_int_equal(json_string(&json, tokens, text, n), -ENOSPC);
	assert_int_equal(json_string(&json, tokens, text, 10), 9);
	assert_int_equal(parse("\"\\u0000\""), 0);
	assert_int_equal(json_string(&json, tokens, text, sizeof(text)), -EINVAL);
	assert_int_equal(parse("\"\\ud83d\""), 0);
	assert_int_equal(json_string(&json, tokens, text, sizeof(text)), -EINVAL);
	assert_int_equal(parse("\"\\ud83d\\u0041\""), 0);
	assert_int_equal(json_string(&json, tokens, text, sizeof(text)), -EINVAL);
}

static void numbers_are_whole_and_bounded(void **state)
{
	u64 value;

	assert_int_equal(parse("18446744073709551615"), 0);
	assert_int_equal(json_u64(&json, tokens, &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(parse("18446744073709551616"), 0);
	assert_int_equal(json_u64(&json, tokens, &value), -ERANGE);
	assert_int_equal(parse("1.0"), 0);
	assert_int_equal(json_u64(&json, tokens, &value), -ERANGE);
	assert_int_equal(parse("-1"), 0);
	assert_int_equal(json_u64(&json, tokens, &value), -ERANGE);
}

static void malformed_texts_are_refused_with_their_line(void **state)
{
	static const struct {
		const char *text;
		u32 line;
	} cases[] = {
		{"", 1},
		{"\n\n", 3},
		{"{", 1},
		{"[1,\n]", 2},
		{"{\"a\":1,}", 1},
		{"{\"a\" 1}", 1},
		{"{a:1}", 1},
		{"[1 2]", 1},
		{"[1]\n2", 2},
		{"\"a\nb\"", 1},
		{"\"abc", 1},
		{"\"\\x\"", 1},
		{"\"\\u12g4\"", 1},
		{"01", 1},
		{"-", 1},
		{"1.", 1},
		{"1e", 1},
		{"tru", 1},
		{"\n/* no end", 2},
		{"/", 1},
		{"[}", 1},
		{"{]", 1},
		{"]", 1},
		{"{\"a\":}", 1},
		{"[,1]", 1},
		{"\"\\", 1},
		{"nul", 1},
		{"\xff", 1},
		{"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (parse(cases[i].text) != -EINVAL)
			fail_msg("accepted: %s", cases[i].text);
		assert_non_null(json.error);
		if (json.error_line != cases[i].line)
			fail_msg("line %u for: %s", json.error_line, cases[i].text);
	}
}

static void bounds_are_kept(void **state)
{
	char many[400];
	size_t len = 0;

	fmt_append(many, sizeof(many), &len, "[");
	for (int i = 0; i < 70; i++)
		fmt_append(many, sizeof(many), &len, "1,");
	fmt_append(many, sizeof(many), &len, "1]");
	assert_int_equal(parse(many), -EINVAL);
	assert_string_equal(json.error, "the file has too many values");
	assert_int_equal(json_parse(&json, "[1\0]", 4, tokens, 4), -EINVAL);
	assert_int_equal(json_parse(&json, "", JSON_TEXT_MAX + 1, tokens, 4), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_and_positions),
		cmocka_unit_test(strings_are_decoded),
		cmocka_unit_test(numbers_are_whole_and_bounded),
		cmocka_unit_test(malformed_texts_are_refused_with_their_line),
		cmocka_unit_test(bounds_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, release);
}
