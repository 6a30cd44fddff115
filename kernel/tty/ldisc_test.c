// SPDX-License-Identifier: Apache-2.0
/* The line discipline by itself: typed bytes in, read and shown bytes out. */
#include "kernel/tty/ldisc.h"

#include "abi/signal.h"
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>

static struct ldisc *fresh(void)
{
	struct ldisc *ld = calloc(1, sizeof(*ld));

	ldisc_init(ld);
	return ld;
}

static void done(struct ldisc *ld)
{
	ldisc_fini(ld);
	free(ld);
}

static void type(struct ldisc *ld, const char *text)
{
	ldisc_receive(ld, (const u8 *)text, (u32)strlen(text));
}

static const char *shown(struct ldisc *ld)
{
	static char text[20000];
	struct uio uio = uio_kernel(text, sizeof(text) - 1);
	long n = byte_ring_get(&ld->output, &uio, UINT32_MAX);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static long get(struct ldisc *ld, char *buf, size_t size)
{
	struct uio uio = uio_kernel(buf, size);
	long n = ldisc_read(ld, &uio);

	if (n >= 0 && (size_t)n < size)
		buf[n] = 0;
	return n;
}

static void write_text(struct ldisc *ld, const char *text)
{
	struct uio uio = uio_kernel((void *)text, strlen(text));

	assert_int_equal(ldisc_write(ld, &uio), strlen(text));
}

static void change(struct ldisc *ld, u32 iflag_off, u32 lflag_off, u32 iflag_on, u32 lflag_on)
{
	struct abi_termios t = ld->termios;

	t.iflag = (t.iflag & ~iflag_off) | iflag_on;
	t.lflag = (t.lflag & ~lflag_off) | lflag_on;
	ldisc_set_termios(ld, &t);
}

static void lines_are_given_one_by_one(void **state)
{
	struct ldisc *ld = fresh();
	char buf[100];

	type(ld, "one\rtw");
	assert_string_equal(shown(ld), "one\r\ntw");
	assert_true(ldisc_has_input(ld, true));
	type(ld, "o\nthree");
	assert_int_equal(ldisc_input_size(ld), 8);
	assert_int_equal(get(ld, buf, sizeof(buf)), 4);
	assert_string_equal(buf, "one\n");
	assert_int_equal(get(ld, buf, 2), 2);
	assert_int_equal(get(ld, buf, sizeof(buf)), 2);
	assert_string_equal(buf, "o\n");
	assert_false(ldisc_has_input(ld, false));
	type(ld, "\n");
	assert_int_equal(get(ld, buf, sizeof(buf)), 6);
	done(ld);
}

static void end_of_file_is_a_key(void **state)
{
	struct ldisc *ld = fresh();
	char buf[100];

	type(ld, "ab\x04\x04");
	assert_int_equal(ldisc_input_size(ld), 2);
	assert_int_equal(get(ld, buf, sizeof(buf)), 2);
	assert_true(ldisc_has_input(ld, false));
	assert_int_equal(get(ld, buf, sizeof(buf)), 0);
	assert_false(ldisc_has_input(ld, false));
	/* A read of just the line's size takes the end of file with it. */
	type(ld, "xy\x04");
	assert_int_equal(get(ld, buf, 2), 2);
	assert_false(ldisc_has_input(ld, false));
	assert_string_equal(shown(ld), "abxy");
	done(ld);
}

static void keys_edit_the_line(void **state)
{
	struct ldisc *ld = fresh();
	char buf[100];

	type(ld, "ab\x7f");
	assert_string_equal(shown(ld), "ab\b \b");
	type(ld, "\x01");
	assert_string_equal(shown(ld), "^A");
	type(ld, "\x7f\x7f\x7f\x7f");
	assert_string_equal(shown(ld), "\b \b\b \b\b \b");
	type(ld, "one two  \x17");
	assert_string_equal(shown(ld), "one two  \b \b\b \b\b \b\b \b\b \b");
	type(ld, "x\x15");
	assert_string_equal(shown(ld), "x\b \b\b \b\b \b\b \b\b \b");
	type(ld, "a\tb\x7f\x7f");
	assert_string_equal(shown(ld), "a\tb\b \b\b\b\b\b\b\b\b");
	type(ld, "\x16\x03\n");
	assert_string_equal(shown(ld), "^\b^C\r\n");
	assert_int_equal(ld->signals, 0);
	assert_int_equal(get(ld, buf, sizeof(buf)), 3);
	assert_string_equal(buf, "a\x03\n");
	type(ld, "re\x12");
	assert_string_equal(shown(ld), "re^R\r\nre");
	done(ld);
}

static void utf8_is_erased_whole(void **state)
{
	struct ldisc *ld = fresh();
	char buf[10];

	change(ld, 0, 0, IUTF8, 0);
	type(ld, "a\xc3\xa4\xe2\x82\xac\x7f\x7f");
	assert_string_equal(shown(ld), "a\xc3\xa4\xe2\x82\xac\b \b\b \b");
	type(ld, "\n");
	assert_int_equal(get(ld, buf, sizeof(buf)), 2);
	done(ld);
}

static void keys_make_signals_and_flush(void **state)
{
	struct ldisc *ld = fresh();
	char buf[10];

	write_text(ld, "gone");
	type(ld, "typed\x03");
	assert_int_equal(ld->signals, 1u << SIGINT);
	assert_string_equal(shown(ld), "^C");
	assert_false(ldisc_has_input(ld, false));
	type(ld, "\n");
	assert_int_equal(get(ld, buf, sizeof(buf)), 1);
	ld->signals = 0;
	change(ld, 0, 0, 0, NOFLSH);
	type(ld, "k\x1a\x1c\n");
	assert_int_equal(ld->signals, 1u << SIGTSTP | 1u << SIGQUIT);
	assert_int_equal(get(ld, buf, sizeof(buf)), 2);
	ld->signals = 0;
	change(ld, 0, ISIG, 0, 0);
	type(ld, "\x03\n");
	assert_int_equal(ld->signals, 0);
	assert_int_equal(get(ld, buf, sizeof(buf)), 2);
	done(ld);
}

static void output_is_processed(void **state)
{
	struct ldisc *ld = fresh();
	struct abi_termios t = ld->termios;

	write_text(ld, "a\nb");
	assert_string_equal(shown(ld), "a\r\nb");
	t.oflag |= TABDLY;
	ldisc_set_termios(ld, &t);
	write_text(ld, "\t|");
	assert_string_equal(shown(ld), "       |");
	t.oflag = 0;
	ldisc_set_termios(ld, &t);
	write_text(ld, "\ta\n");
	assert_string_equal(shown(ld), "\ta\n");
	done(ld);
}

static void stopped_output_waits_and_echo_with_it(void **state)
{
	struct ldisc *ld = fresh();
	struct uio uio = uio_kernel("more", 4);

	type(ld, "\x13");
	assert_false(ldisc_can_write(ld));
	assert_int_equal(ldisc_write(ld, &uio), 0);
	type(ld, "x");
	assert_string_equal(shown(ld), "");
	type(ld, "\x11");
	assert_string_equal(shown(ld), "x");
	assert_true(ldisc_can_write(ld));
	assert_int_equal(ld->news, TIOCPKT_START);
	done(ld);
}

static void raw_mode_gives_bytes(void **state)
{
	struct ldisc *ld = fresh();
	char buf[10];

	change(ld, ICRNL | IXON, ICANON | ECHO | ISIG, 0, 0);
	type(ld, "\x03\r\x13");
	assert_int_equal(get(ld, buf, sizeof(buf)), 3);
	assert_string_equal(buf, "\x03\r\x13");
	assert_string_equal(shown(ld), "");
	ld->termios.cc[VMIN] = 3;
	type(ld, "ab");
	assert_true(ldisc_has_input(ld, false));
	assert_false(ldisc_has_input(ld, true));
	type(ld, "c");
	assert_true(ldisc_has_input(ld, true));
	done(ld);
}

static void modes_change_over_typed_bytes(void **state)
{
	struct ldisc *ld = fresh();
	char buf[10];

	type(ld, "half");
	assert_false(ldisc_has_input(ld, false));
	change(ld, 0, ICANON, 0, 0);
	assert_int_equal(get(ld, buf, 2), 2);
	change(ld, 0, 0, 0, ICANON);
	assert_int_equal(get(ld, buf, sizeof(buf)), 2);
	assert_string_equal(buf, "lf");
	done(ld);
}

static void a_line_too_long_keeps_its_end(void **state)
{
	struct ldisc *ld = fresh();
	char *buf = malloc(8192);
	u32 sent = 0;

	while (sent < 5000 && ldisc_room(ld)) {
		type(ld, "x");
		sent++;
	}
	assert_int_equal(sent, 5000);
	type(ld, "\n");
	assert_int_equal(ldisc_room(ld), 0);
	assert_int_equal(get(ld, buf, 8192), 4095);
	assert_int_equal(buf[4094], '\n');
	free(buf);
	done(ld);
}

static void the_rings_wrap(void **state)
{
	struct ldisc *ld = fresh();
	char line[1001], buf[2000];

	memset(line, 'y', 999);
	line[999] = '\n';
	line[1000] = 0;
	for (int i = 0; i < 50; i++) {
		type(ld, line);
		assert_int_equal(get(ld, buf, sizeof(buf)), 1000);
		assert_memory_equal(buf, line, 1000);
		assert_int_equal(strlen(shown(ld)), 1001);
	}
	done(ld);
}

static void output_has_a_limit(void **state)
{
	struct ldisc *ld = fresh();
	char text[20000];
	struct uio uio = uio_kernel(text, sizeof(text));
	long n;

	memset(text, '\n', sizeof(text));
	n = ldisc_write(ld, &uio);
	assert_true(n > 0 && ld->output.fill <= LDISC_OUTPUT_MAX && ld->output.fill == 2 * n);
	assert_false(ldisc_can_write(ld));
	for (int i = 0; i < 10000; i++)
		ldisc_put_raw(ld, 'z');
	assert_true(ld->output.fill <= LDISC_OUTPUT_MAX + LDISC_ECHO_MAX);
	done(ld);
}

UNIT_TESTS(lines_are_given_one_by_one, end_of_file_is_a_key, keys_edit_the_line,
	   utf8_is_erased_whole, keys_make_signals_and_flush, output_is_processed,
	   stopped_output_waits_and_echo_with_it, raw_mode_gives_bytes,
	   modes_change_over_typed_bytes, a_line_too_long_keeps_its_end, the_rings_wrap,
	   output_has_a_limit)
