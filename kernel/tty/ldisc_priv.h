/* SPDX-License-Identifier: Apache-2.0 */
/* Between the input and the output half of the line discipline. */
#pragma once

#include "kernel/tty/ldisc.h"

static inline bool has_iflag(const struct ldisc *ld, u32 flag)
{
	return ld->termios.iflag & flag;
}
static inline bool has_oflag(const struct ldisc *ld, u32 flag)
{
	return ld->termios.oflag & flag;
}
static inline bool has_lflag(const struct ldisc *ld, u32 flag)
{
	return ld->termios.lflag & flag;
}
static inline bool is_control(u8 c)
{
	return c < 32 || c == 127;
}
/* A byte that moves no cursor because it belongs to the character before. */
static inline bool is_continuation(const struct ldisc *ld, u8 c)
{
	return has_iflag(ld, IUTF8) && (c & 0xc0) == 0x80;
}

/* Echo: through the output rules, or as it is. What does not fit is lost. */
void ldisc_echo(struct ldisc *ld, u8 c);
void ldisc_echo_raw(struct ldisc *ld, u8 c);
/* The same with control characters as ^X where ECHOCTL says so. */
void ldisc_echo_visible(struct ldisc *ld, u8 c);
/* Whether the echo of one more byte is not lost for certain. */
bool ldisc_echo_fits(const struct ldisc *ld);
