// SPDX-License-Identifier: Apache-2.0
/*
 * A JSON tokenizer. Nesting is kept in the token list itself: while a container is open its `next`
 * holds the index of the container around it, so depth costs no stack and is bounded by
 * JSON_DEPTH_MAX. Offsets are 32-bit, which JSON_TEXT_MAX guarantees to suffice.
 */
#include "lib/config/json.h"

#include "abi/errno.h"
#include "lib/base/string.h"

#define NO_PARENT UINT32_MAX

enum expectation {
	EXPECT_VALUE,		 /* after ':' or at the start */
	EXPECT_ELEMENT_OR_CLOSE, /* after '[' */
	EXPECT_ELEMENT,		 /* after ',' in an array */
	EXPECT_KEY_OR_CLOSE,	 /* after '{' */
	EXPECT_KEY,		 /* after ',' in an object */
	EXPECT_COMMA_OR_CLOSE,	 /* after a value in a container */
	EXPECT_END,		 /* after the whole value */
};

struct parser {
	const char *text;
	u32 size;
	u32 at;
	u32 line;
	struct json_token *tokens;
	u32 max;
	u32 count;
	u32 parent;
	u32 depth;
	const char *error;
	u32 error_line;
};

static int fail(struct parser *p, u32 line, const char *error)
{
	p->error = error;
	p->error_line = line;
	return -EINVAL;
}

static char peek(const struct parser *p)
{
	return p->at < p->size ? p->text[p->at] : '\0';
}

static int skip_block_comment(struct parser *p)
{
	u32 line = p->line;

	for (p->at += 2; p->at + 1 < p->size; p->at++) {
		if (p->text[p->at] == '*' && p->text[p->at + 1] == '/') {
			p->at += 2;
			return 0;
		}
		if (p->text[p->at] == '\n')
			p->line++;
	}
	return fail(p, line, "a comment that starts here does not end");
}

/* White space and comments. */
static int skip_blank(struct parser *p)
{
	while (p->at < p->size) {
		char c = p->text[p->at];
		char d = p->at + 1 < p->size ? p->text[p->at + 1] : '\0';

		if (c == '\n') {
			p->line++;
			p->at++;
		} else if (c == ' ' || c == '\t' || c == '\r') {
			p->at++;
		} else if (c == '/' && d == '/') {
			while (p->at < p->size && p->text[p->at] != '\n')
				p->at++;
		} else if (c == '/' && d == '*') {
			int err = skip_block_comment(p);

			if (err < 0)
				return err;
		} else {
			break;
		}
	}
	return 0;
}

static struct json_token *new_token(struct parser *p, enum json_type type)
{
	struct json_token *t;

	if (p->count == p->max) {
		fail(p, p->line, "the file has too many values");
		return NULL;
	}
	t = &p->tokens[p->count++];
	*t = (struct json_token){
		.type = type, .line = p->line, .start = p->at, .end = p->at, .next = p->count};
	return t;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* At the backslash; leaves the position behind the escape. */
static int scan_escape(struct parser *p)
{
	char c = p->at + 1 < p->size ? p->text[p->at + 1] : '\0';

	p->at += 2;
	if (c != '\0' && strchr("\"\\/bfnrt", c))
		return 0;
	if (c != 'u')
		return fail(p, p->line, "unknown escape in a string");
	for (int i = 0; i < 4; i++, p->at++) {
		if (!is_hex(peek(p)))
			return fail(p, p->line, "\\u needs four hexadecimal digits");
	}
	return 0;
}

static int scan_string(struct parser *p)
{
	struct json_token *t = new_token(p, JSON_STRING);

	if (!t)
		return -EINVAL;
	t->start = ++p->at;
	while (p->at < p->size) {
		char c = p->text[p->at];

		if (c == '"') {
			t->end = p->at++;
			return 0;
		}
		if (c == '\\') {
			int err = scan_escape(p);

			if (err < 0)
				return err;
		} else if (c == '\n' || c == '\r') {
			break;
		} else if ((unsigned char)c < 0x20) {
			return fail(
				p, t->line,
				"a string must not hold control characters; \\t stands for a tab");
		} else {
			p->at++;
		}
	}
	return fail(p, t->line, "a string that starts here does not end on its line");
}

static u32 scan_digits(struct parser *p)
{
	u32 from = p->at;

	while (peek(p) >= '0' && peek(p) <= '9')
		p->at++;
	return p->at - from;
}

static int scan_number(struct parser *p)
{
	struct json_token *t = new_token(p, JSON_NUMBER);
	u32 from;
	bool ok;

	if (!t)
		return -EINVAL;
	if (peek(p) == '-')
		p->at++;
	from = p->at;
	ok = scan_digits(p) > 0 && (p->text[from] != '0' || p->at - from == 1);
	if (ok && peek(p) == '.') {
		p->at++;
		ok = scan_digits(p) > 0;
	}
	if (ok && (peek(p) == 'e' || peek(p) == 'E')) {
		p->at++;
		if (peek(p) == '+' || peek(p) == '-')
			p->at++;
		ok = scan_digits(p) > 0;
	}
	t->end = p->at;
	return ok ? 0 : fail(p, t->line, "malformed number");
}

static int scan_word(struct parser *p)
{
	static const struct {
		const char *word;
		enum json_type type;
	} words[] = {{"true", JSON_TRUE}, {"false", JSON_FALSE}, {"null", JSON_NULL}};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		u32 len = (u32)strlen(words[i].word);
		struct json_token *t;

		if (p->size - p->at < len || memcmp(p->text + p->at, words[i].word, len) != 0)
			continue;
		t = new_token(p, words[i].type);
		if (!t)
			return -EINVAL;
		p->at += len;
		t->end = p->at;
		return 0;
	}
	return fail(p, p->line, "expected a value: a string, number, true, false, '{' or '['");
}

static int open_container(struct parser *p, enum json_type type)
{
	struct json_token *t;

	if (p->depth == JSON_DEPTH_MAX)
		return fail(p, p->line, "nested too deeply");
	t = new_token(p, type);
	if (!t)
		return -EINVAL;
	t->next = p->parent;
	p->parent = p->count - 1;
	p->depth++;
	p->at++;
	return 0;
}

static enum expectation after_value(const struct parser *p)
{
	return p->parent == NO_PARENT ? EXPECT_END : EXPECT_COMMA_OR_CLOSE;
}

static enum expectation close_container(struct parser *p)
{
	struct json_token *t = &p->tokens[p->parent];

	p->at++;
	t->end = p->at;
	p->parent = t->next;
	t->next = p->count;
	p->depth--;
	return after_value(p);
}

static bool is_in_object(const struct parser *p)
{
	return p->parent != NO_PARENT && p->tokens[p->parent].type == JSON_OBJECT;
}

static int parse_value(struct parser *p, enum expectation *next)
{
	char c = peek(p);
	int err;

	if (p->parent != NO_PARENT && !is_in_object(p))
		p->tokens[p->parent].count++;
	if (c == '{' || c == '[') {
		*next = c == '{' ? EXPECT_KEY_OR_CLOSE : EXPECT_ELEMENT_OR_CLOSE;
		return open_container(p, c == '{' ? JSON_OBJECT : JSON_ARRAY);
	}
	if (c == '"')
		err = scan_string(p);
	else if (c == '-' || (c >= '0' && c <= '9'))
		err = scan_number(p);
	else
		err = scan_word(p);
	*next = after_value(p);
	return err;
}

static int parse_key(struct parser *p, enum expectation *next)
{
	int err;

	if (peek(p) != '"')
		return fail(p, p->line, "expected a field name in double quotes");
	p->tokens[p->parent].count++;
	err = scan_string(p);
	if (err < 0)
		return err;
	err = skip_blank(p);
	if (err < 0)
		return err;
	if (peek(p) != ':')
		return fail(p, p->line, "expected ':' after a field name");
	p->at++;
	*next = EXPECT_VALUE;
	return 0;
}

static int parse_step(struct parser *p, enum expectation *next)
{
	char c = peek(p);
	char close = is_in_object(p) ? '}' : ']';

	switch (*next) {
	case EXPECT_KEY_OR_CLOSE:
	case EXPECT_ELEMENT_OR_CLOSE:
		if (c == close) {
			*next = close_container(p);
			return 0;
		}
		return *next == EXPECT_KEY_OR_CLOSE ? parse_key(p, next) : parse_value(p, next);
	case EXPECT_KEY:
	case EXPECT_ELEMENT:
		if (c == close)
			return fail(p, p->line, "a comma must not stand before a closing bracket");
		return *next == EXPECT_KEY ? parse_key(p, next) : parse_value(p, next);
	case EXPECT_VALUE: return parse_value(p, next);
	case EXPECT_COMMA_OR_CLOSE:
		if (c == close) {
			*next = close_container(p);
			return 0;
		}
		if (c != ',')
			return fail(p, p->line,
				    is_in_object(p) ? "expected ',' or '}'"
						    : "expected ',' or ']'");
		p->at++;
		*next = is_in_object(p) ? EXPECT_KEY : EXPECT_ELEMENT;
		return 0;
	case EXPECT_END: break;
	}
	return fail(p, p->line, "unexpected text after the end of the configuration");
}

int json_parse(struct json *json, const char *text, size_t size, struct json_token *tokens, u32 max)
{
	struct parser p = {
		.text = text, .line = 1, .tokens = tokens, .max = max, .parent = NO_PARENT};
	enum expectation next = EXPECT_VALUE;
	int err = 0;

	memset(json, 0, sizeof(*json));
	if (size > JSON_TEXT_MAX) {
		err = fail(&p, 1, "the file is too large");
	} else if (memchr(text, '\0', size)) {
		err = fail(&p, 1, "the file holds a NUL byte");
	} else {
		p.size = (u32)size;
		err = skip_blank(&p);
	}
	while (err == 0 && !(next == EXPECT_END && p.at == p.size)) {
		if (p.at == p.size) {
			err = fail(&p, p.line, "the file ends too early");
			break;
		}
		err = parse_step(&p, &next);
		if (err == 0)
			err = skip_blank(&p);
	}
	json->error = p.error;
	json->error_line = p.error_line;
	if (err < 0)
		return err;
	json->text = text;
	json->size = p.size;
	json->tokens = tokens;
	json->token_count = p.count;
	return 0;
}

static u32 hex4(const char *s)
{
	u32 value = 0;

	for (int i = 0; i < 4; i++) {
		char c = s[i];

		value = value << 4 | (u32)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return value;
}

/* Four bytes at most; `code` is not a surrogate. */
static u32 utf8_put(char *to, u32 code)
{
	if (code < 0x80) {
		to[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		to[0] = (char)(0xc0 | code >> 6);
		to[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		to[0] = (char)(0xe0 | code >> 12);
		to[1] = (char)(0x80 | (code >> 6 & 0x3f));
		to[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | code >> 18);
	to[1] = (char)(0x80 | (code >> 12 & 0x3f));
	to[2] = (char)(0x80 | (code >> 6 & 0x3f));
	to[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* *s points behind "\u"; moves it behind the digits. 0 for what no string may hold. */
static u32 read_code(const char **s, const char *end)
{
	u32 code = hex4(*s), low;

	*s += 4;
	if (code < 0xd800 || code > 0xdfff)
		return code;
	if (code > 0xdbff || end - *s < 6 || (*s)[0] != '\\' || (*s)[1] != 'u')
		return 0;
	low = hex4(*s + 2);
	if (low < 0xdc00 || low > 0xdfff)
		return 0;
	*s += 6;
	return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

long json_string(const struct json *json, const struct json_token *token, char *to, size_t size)
{
	static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
	const char *s = json->text + token->start, *end = json->text + token->end;
	size_t len = 0;

	while (s < end) {
		char piece[4];
		u32 n = 1;

		if (*s != '\\') {
			piece[0] = *s++;
		} else if (s[1] == 'u') {
			u32 code;

			s += 2;
			code = read_code(&s, end);
			if (code == 0)
				return -EINVAL;
			n = utf8_put(piece, code);
		} else {
			piece[0] = into[strchr(from, s[1]) - from];
			s += 2;
		}
		if (size - len <= n) /* len < size always, or size is 0 */
			return -ENOSPC;
		memcpy(to + len, piece, n);
		len += n;
	}
	if (len >= size)
		return -ENOSPC;
	to[len] = '\0';
	return (long)len;
}

int json_u64(const struct json *json, const struct json_token *token, u64 *ret)
{
	u64 value = 0;

	for (u32 i = token->start; i < token->end; i++) {
		char c = json->text[i];

		if (c < '0' || c > '9')
			return -ERANGE;
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (u64)(c - '0'), &value))
			return -ERANGE;
	}
	*ret = value;
	return 0;
}

const char *json_type_name(enum json_type type)
{
	switch (type) {
	case JSON_OBJECT: return "an object";
	case JSON_ARRAY: return "a list";
	case JSON_STRING: return "a string";
	case JSON_NUMBER: return "a number";
	case JSON_TRUE: return "true";
	case JSON_FALSE: return "false";
	case JSON_NULL: return "null";
	}
	return "nothing";
}
