/* SPDX-License-Identifier: Apache-2.0 */
/* A small printf. No floating point, no %n, no locale. */
#include "lib/base/fmt.h"
#include "lib/base/string.h"

struct sink {
	char *buf;
	size_t size;
	size_t len;
};

struct spec {
	bool left;
	bool zero;
	int width;
	int precision; /* -1: not given */
	int length;    /* sizeof the integer argument */
};

static void put(struct sink *s, char c)
{
	if (s->len + 1 < s->size)
		s->buf[s->len] = c;
	s->len++;
}

static void put_padded(struct sink *s, const struct spec *spec, const char *sign, const char *text,
		       size_t len, size_t zeros)
{
	size_t sign_len = strlen(sign);
	size_t total = sign_len + zeros + len;
	size_t pad = spec->width > 0 && (size_t)spec->width > total ? spec->width - total : 0;

	if (!spec->left)
		for (; pad; pad--)
			put(s, ' ');
	while (*sign)
		put(s, *sign++);
	while (zeros--)
		put(s, '0');
	while (len--)
		put(s, *text++);
	for (; pad; pad--)
		put(s, ' ');
}

static void put_number(struct sink *s, const struct spec *spec, u64 value, unsigned base,
		       bool upper, const char *sign)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[24];
	size_t at = sizeof(text), len, zeros = 0;

	while (value) {
		text[--at] = digits[value % base];
		value /= base;
	}
	if (at == sizeof(text) && spec->precision != 0)
		text[--at] = '0';
	len = sizeof(text) - at;
	if (spec->precision >= 0)
		zeros = (size_t)spec->precision > len ? spec->precision - len : 0;
	else if (spec->zero && !spec->left && (size_t)MAX(spec->width, 0) > len + strlen(sign))
		zeros = spec->width - len - strlen(sign);
	put_padded(s, spec, sign, text + at, len, zeros);
}

static const char *parse_number(const char *f, int *ret)
{
	int value = 0;

	while (*f >= '0' && *f <= '9' && value < 100000)
		value = value * 10 + (*f++ - '0');
	*ret = value;
	return f;
}

static const char *parse_length(const char *f, struct spec *spec)
{
	spec->length = sizeof(int);
	if (*f == 'h') {
		f++;
		spec->length = sizeof(short);
		if (*f == 'h') {
			f++;
			spec->length = sizeof(char);
		}
	} else if (*f == 'l' || *f == 'z' || *f == 'j' || *f == 't') {
		char c = *f++;

		if (c == 'l' && *f == 'l')
			f++;
		spec->length = sizeof(long);
	}
	return f;
}

int fmt_vsnprintf(char *buf, size_t size, const char *format, va_list args)
{
	struct sink s = {buf, size, 0};
	const char *f = format;

	for (; *f; f++) {
		struct spec spec = {.precision = -1};

		if (*f != '%') {
			put(&s, *f);
			continue;
		}
		for (f++; *f == '-' || *f == '0' || *f == '+' || *f == ' ' || *f == '#'; f++) {
			spec.left |= *f == '-';
			spec.zero |= *f == '0';
		}
		if (*f == '*') {
			spec.width = va_arg(args, int);
			if (spec.width < 0) {
				spec.left = true;
				spec.width = -spec.width;
			}
			f++;
		} else {
			f = parse_number(f, &spec.width);
		}
		if (*f == '.') {
			f++;
			if (*f == '*') {
				spec.precision = va_arg(args, int);
				f++;
			} else {
				f = parse_number(f, &spec.precision);
			}
		}
		f = parse_length(f, &spec);
		switch (*f) {
		case 'd':
		case 'i': {
			s64 v = spec.length == sizeof(long) ? va_arg(args, long)
							    : va_arg(args, int);

			if (spec.length == sizeof(short))
				v = (short)v;
			else if (spec.length == sizeof(char))
				v = (signed char)v;
			put_number(&s, &spec, v < 0 ? -(u64)v : (u64)v, 10, false,
				   v < 0 ? "-" : "");
			break;
		}
		case 'u':
		case 'x':
		case 'X':
		case 'o': {
			u64 v = spec.length == sizeof(long) ? va_arg(args, unsigned long)
							    : va_arg(args, unsigned int);

			if (spec.length < (int)sizeof(int))
				v &= (1ull << (8 * spec.length)) - 1;
			put_number(&s, &spec, v,
				   *f == 'u'   ? 10
				   : *f == 'o' ? 8
					       : 16,
				   *f == 'X', "");
			break;
		}
		case 'p':
			put_number(&s, &spec, (u64)(uintptr_t)va_arg(args, void *), 16, false,
				   "0x");
			break;
		case 'c': {
			char c = (char)va_arg(args, int);

			put_padded(&s, &spec, "", &c, 1, 0);
			break;
		}
		case 's': {
			const char *text = va_arg(args, const char *);

			if (!text)
				text = "(null)";
			put_padded(&s, &spec, "", text,
				   spec.precision >= 0 ? strnlen(text, spec.precision)
						       : strlen(text),
				   0);
			break;
		}
		case '%': put(&s, '%'); break;
		case '\0': f--; break;
		default: put(&s, *f); break;
		}
	}
	if (size)
		buf[MIN(s.len, size - 1)] = '\0';
	return (int)s.len;
}

int fmt_snprintf(char *buf, size_t size, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = fmt_vsnprintf(buf, size, format, args);
	va_end(args);
	return len;
}

void fmt_append(char *buf, size_t size, size_t *len, const char *format, ...)
{
	va_list args;
	int more;

	if (*len >= size)
		return;
	va_start(args, format);
	more = fmt_vsnprintf(buf + *len, size - *len, format, args);
	va_end(args);
	*len = MIN(*len + (size_t)more, size - 1);
}
