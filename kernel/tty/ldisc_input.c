// SPDX-License-Identifier: Apache-2.0
/*
 * Typing: special characters, editing of the line, echo, signals. Written along termios(3) and
 * what Linux does where that leaves a choice; each special character is off when its cc[] is 0.
 */
#include "abi/signal.h"
#include "kernel/tty/ldisc_priv.h"

#define MASK (LDISC_INPUT_SIZE - 1)

static bool is_special(const struct ldisc *ld, u8 c, u32 which)
{
	return c && ld->termios.cc[which] == c;
}

static void store(struct ldisc *ld, u8 c)
{
	if (ld->head - ld->tail >= LDISC_INPUT_SIZE - 1) {
		if (!has_lflag(ld, ICANON) || ld->head == ld->canon)
			return; /* the caller asked ldisc_room(): never a byte of a finished line */
		ld->head--;
	}
	ld->input[ld->head++ & MASK] = c;
}

static void finish_erasing(struct ldisc *ld)
{
	if (ld->is_erasing)
		ldisc_echo(ld, '/');
	ld->is_erasing = false;
}

/* The line under edit is done: `c` is its last byte, or LDISC_EOF for none. */
static void end_line(struct ldisc *ld, u8 c)
{
	u32 last;

	store(ld, c);
	last = ld->head - 1;
	ld->marks[(last & MASK) / 64] |= 1ull << (last & 63);
	ld->canon = ld->head;
}

static void type_plain(struct ldisc *ld, u8 c)
{
	finish_erasing(ld);
	if (has_lflag(ld, ECHO)) {
		if (ld->head == ld->canon)
			ld->line_column = ld->column;
		if (c == '\n')
			ldisc_echo(ld, c);
		else
			ldisc_echo_visible(ld, c);
	}
	if (c == 0377 && has_iflag(ld, PARMRK) && !has_iflag(ld, ISTRIP))
		store(ld, c);
	store(ld, c);
}

static void type_signal(struct ldisc *ld, u8 c, int signo)
{
	if (!has_lflag(ld, NOFLSH)) {
		ldisc_flush_output(ld);
		ldisc_flush_input(ld);
	}
	if (has_iflag(ld, IXON))
		ldisc_start(ld);
	if (has_lflag(ld, ECHO))
		ldisc_echo_visible(ld, c);
	ld->signals |= 1u << signo;
}

/* --- editing ------------------------------------------------------------------------------- */

enum erase_kind {
	ERASE_BYTE,
	ERASE_WORD,
	ERASE_LINE,
};

/* The cursor goes back over a tab that was just taken off the end of the line. */
static void unshow_tab(struct ldisc *ld)
{
	u32 columns = 0, at = ld->head;
	bool after_tab = false;

	while (at != ld->canon && !after_tab) {
		u8 c = ld->input[--at & MASK];

		after_tab = c == '\t';
		if (is_control(c))
			columns += !after_tab && has_lflag(ld, ECHOCTL) ? 2 : 0;
		else if (!is_continuation(ld, c))
			columns++;
	}
	if (!after_tab)
		columns += ld->line_column;
	for (u32 n = 8 - (columns & 7); n; n--)
		ldisc_echo(ld, '\b');
}

static void unshow_one(struct ldisc *ld)
{
	ldisc_echo(ld, '\b');
	ldisc_echo(ld, ' ');
	ldisc_echo(ld, '\b');
}

/* The character of `count` bytes at the head has been taken off. */
static void unshow(struct ldisc *ld, enum erase_kind kind, u32 count)
{
	u8 c = ld->input[ld->head & MASK];

	if (has_lflag(ld, ECHOPRT)) {
		if (!ld->is_erasing)
			ldisc_echo(ld, '\\');
		ld->is_erasing = true;
		ldisc_echo_visible(ld, c);
		for (u32 i = 1; i < count; i++)
			ldisc_echo(ld, ld->input[(ld->head + i) & MASK]);
	} else if (kind == ERASE_BYTE && !has_lflag(ld, ECHOE)) {
		ldisc_echo_visible(ld, ld->termios.cc[VERASE]);
	} else if (c == '\t') {
		unshow_tab(ld);
	} else {
		if (is_control(c) && has_lflag(ld, ECHOCTL))
			unshow_one(ld);
		if (!is_control(c) || has_lflag(ld, ECHOCTL))
			unshow_one(ld);
	}
}

/* Takes the last character off the line, a whole one. Its bytes; 0: the rest is no character. */
static u32 take_character(struct ldisc *ld, u8 *ret_first)
{
	u32 at = ld->head, count;

	do {
		*ret_first = ld->input[--at & MASK];
	} while (is_continuation(ld, *ret_first) && at != ld->canon);
	if (is_continuation(ld, *ret_first))
		return 0;
	count = ld->head - at;
	return count;
}

static bool is_word(u8 c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_' || c >= 0x80;
}

static void erase(struct ldisc *ld, enum erase_kind kind)
{
	bool seen_word = false;

	if (ld->head == ld->canon)
		return;
	if (kind == ERASE_LINE && !has_lflag(ld, ECHO)) {
		ld->head = ld->canon;
		return;
	}
	if (kind == ERASE_LINE &&
	    (!has_lflag(ld, ECHOK) || !has_lflag(ld, ECHOKE) || !has_lflag(ld, ECHOE))) {
		ld->head = ld->canon;
		finish_erasing(ld);
		ldisc_echo_visible(ld, ld->termios.cc[VKILL]);
		if (has_lflag(ld, ECHOK))
			ldisc_echo(ld, '\n');
		return;
	}
	while (ld->head != ld->canon) {
		u8 c;
		u32 count = take_character(ld, &c);

		if (!count || (kind == ERASE_WORD && seen_word && !is_word(c)))
			break;
		seen_word |= is_word(c);
		ld->head -= count;
		if (has_lflag(ld, ECHO))
			unshow(ld, kind, count);
		if (kind == ERASE_BYTE)
			break;
	}
	if (ld->head == ld->canon && has_lflag(ld, ECHO))
		finish_erasing(ld);
}

static void reprint(struct ldisc *ld, u8 c)
{
	finish_erasing(ld);
	ldisc_echo_visible(ld, c);
	ldisc_echo(ld, '\n');
	ld->line_column = ld->column;
	for (u32 at = ld->canon; at != ld->head && ldisc_echo_fits(ld); at++)
		ldisc_echo_visible(ld, ld->input[at & MASK]);
}

/* Canonical mode: true when the byte meant something. */
static bool edit(struct ldisc *ld, u8 c)
{
	bool extended = has_lflag(ld, IEXTEN);

	if (is_special(ld, c, VERASE)) {
		erase(ld, ERASE_BYTE);
	} else if (is_special(ld, c, VKILL)) {
		erase(ld, ERASE_LINE);
	} else if (extended && is_special(ld, c, VWERASE)) {
		erase(ld, ERASE_WORD);
	} else if (extended && is_special(ld, c, VLNEXT)) {
		ld->is_literal = true;
		finish_erasing(ld);
		if (has_lflag(ld, ECHO) && has_lflag(ld, ECHOCTL)) {
			ldisc_echo(ld, '^');
			ldisc_echo(ld, '\b');
		}
	} else if (extended && has_lflag(ld, ECHO) && is_special(ld, c, VREPRINT)) {
		reprint(ld, c);
	} else if (c == '\n') {
		if (has_lflag(ld, ECHO | ECHONL))
			ldisc_echo(ld, c);
		end_line(ld, c);
	} else if (is_special(ld, c, VEOF)) {
		end_line(ld, LDISC_EOF);
	} else if (is_special(ld, c, VEOL) || (extended && is_special(ld, c, VEOL2))) {
		if (has_lflag(ld, ECHO))
			ldisc_echo_visible(ld, c);
		end_line(ld, c);
	} else {
		return false;
	}
	return true;
}

/* --- one byte ------------------------------------------------------------------------------ */

static bool control_flow(struct ldisc *ld, u8 c)
{
	if (!has_iflag(ld, IXON))
		return false;
	if (is_special(ld, c, VSTART))
		ldisc_start(ld);
	else if (is_special(ld, c, VSTOP))
		ldisc_stop(ld);
	else
		return false;
	return true;
}

static bool make_signal(struct ldisc *ld, u8 c)
{
	if (!has_lflag(ld, ISIG))
		return false;
	if (is_special(ld, c, VINTR))
		type_signal(ld, c, SIGINT);
	else if (is_special(ld, c, VQUIT))
		type_signal(ld, c, SIGQUIT);
	else if (is_special(ld, c, VSUSP))
		type_signal(ld, c, SIGTSTP);
	else
		return false;
	return true;
}

static void receive(struct ldisc *ld, u8 c)
{
	if (has_lflag(ld, EXTPROC)) { /* the master has done all this */
		store(ld, c);
		return;
	}
	if (has_iflag(ld, ISTRIP))
		c &= 0x7f;
	if (has_iflag(ld, IUCLC) && has_lflag(ld, IEXTEN) && c >= 'A' && c <= 'Z')
		c += 'a' - 'A';
	if (ld->is_literal) {
		ld->is_literal = false;
		type_plain(ld, c);
		return;
	}
	if (control_flow(ld, c) || make_signal(ld, c))
		return;
	if (has_iflag(ld, IXON) && has_iflag(ld, IXANY))
		ldisc_start(ld);
	if (c == '\r') {
		if (has_iflag(ld, IGNCR))
			return;
		if (has_iflag(ld, ICRNL))
			c = '\n';
	} else if (c == '\n' && has_iflag(ld, INLCR)) {
		c = '\r';
	}
	if (!has_lflag(ld, ICANON) || !edit(ld, c))
		type_plain(ld, c);
}

void ldisc_receive(struct ldisc *ld, const u8 *bytes, u32 count)
{
	for (u32 i = 0; i < count; i++)
		receive(ld, bytes[i]);
}
