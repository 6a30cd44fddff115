// SPDX-License-Identifier: Apache-2.0
/*
 * The reader's half of the line discipline and its modes. The typed bytes lie in a ring of fixed
 * size, as on Linux: a line has at most 4095 bytes, its newline among them. In canonical mode the
 * bytes up to `canon` are lines, each ending at a mark, and those behind it can still be edited;
 * in the other mode `canon` and the marks mean nothing.
 */
#include "kernel/tty/ldisc.h"

#include "abi/errno.h"
#include "kernel/tty/ldisc_priv.h"
#include "lib/base/string.h"

#define MASK (LDISC_INPUT_SIZE - 1)

bool ldisc_is_canonical(const struct ldisc *ld)
{
	return has_lflag(ld, ICANON) && !has_lflag(ld, EXTPROC);
}

static bool is_marked(const struct ldisc *ld, u32 at)
{
	return ld->marks[(at & MASK) / 64] >> (at & 63) & 1;
}

static u8 byte_at(const struct ldisc *ld, u32 at)
{
	return ld->input[at & MASK];
}

void ldisc_init(struct ldisc *ld)
{
	static const struct abi_termios fresh = {
		.iflag = ICRNL | IXON,
		.oflag = OPOST | ONLCR,
		.cflag = B38400 | CS8 | CREAD,
		.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
		.cc = {[VINTR] = 3,
		       [VQUIT] = 28,
		       [VERASE] = 127,
		       [VKILL] = 21,
		       [VEOF] = 4,
		       [VMIN] = 1,
		       [VSTART] = 17,
		       [VSTOP] = 19,
		       [VSUSP] = 26,
		       [VREPRINT] = 18,
		       [VWERASE] = 23,
		       [VLNEXT] = 22,
		       [13] = 15 /* VDISCARD: as Linux, which does nothing with it */},
	};

	ld->termios = fresh;
}

void ldisc_fini(struct ldisc *ld)
{
	byte_ring_fini(&ld->output);
	byte_ring_fini(&ld->held);
}

static void forget_marks(struct ldisc *ld)
{
	memset(ld->marks, 0, sizeof(ld->marks));
}

/* What was typed in one mode, seen in the other: one line, or a handful of bytes. */
static void change_mode(struct ldisc *ld)
{
	forget_marks(ld);
	ld->is_erasing = ld->is_literal = false;
	ld->canon = ld->tail;
	if (ldisc_is_canonical(ld) && ld->head != ld->tail) {
		u32 last = ld->head - 1;

		ld->marks[(last & MASK) / 64] |= 1ull << (last & 63);
		ld->canon = ld->head;
	}
}

/* Whether ^S and ^Q stop and start the screen is what a master in packet mode wants to know. */
static bool flow_is_usual(const struct ldisc *ld)
{
	return has_iflag(ld, IXON) && ld->termios.cc[VSTOP] == 19 && ld->termios.cc[VSTART] == 17;
}

void ldisc_set_termios(struct ldisc *ld, const struct abi_termios *termios)
{
	bool was_canonical = ldisc_is_canonical(ld), was_usual = flow_is_usual(ld);
	u32 had_ixon = ld->termios.iflag & IXON;

	ld->termios = *termios;
	/* The size of a byte is fixed where there is no wire. */
	ld->termios.cflag = (ld->termios.cflag & ~(CSIZE | PARENB)) | CS8 | CREAD;
	if (ldisc_is_canonical(ld) != was_canonical)
		change_mode(ld);
	if (had_ixon && !has_iflag(ld, IXON))
		ldisc_start(ld);
	if (flow_is_usual(ld) != was_usual)
		ld->news = (u8)((ld->news & ~(TIOCPKT_DOSTOP | TIOCPKT_NOSTOP)) |
				(was_usual ? TIOCPKT_NOSTOP : TIOCPKT_DOSTOP));
}

void ldisc_flush_input(struct ldisc *ld)
{
	ld->head = ld->canon = ld->tail = 0;
	ld->is_literal = ld->is_erasing = false;
	forget_marks(ld);
	ld->news |= TIOCPKT_FLUSHREAD;
}

bool ldisc_has_input(const struct ldisc *ld, bool for_poll)
{
	u32 least = 1;

	if (ldisc_is_canonical(ld))
		return ld->canon != ld->tail;
	if (for_poll && !ld->termios.cc[VTIME] && ld->termios.cc[VMIN])
		least = ld->termios.cc[VMIN];
	return ld->head - ld->tail >= least;
}

u32 ldisc_input_size(const struct ldisc *ld)
{
	u32 size = 0;

	if (!ldisc_is_canonical(ld))
		return ld->head - ld->tail;
	for (u32 at = ld->tail; at != ld->canon; at++)
		size += !(is_marked(ld, at) && byte_at(ld, at) == LDISC_EOF);
	return size;
}

/* Hands `count` bytes over; tail moves on. */
static long take(struct ldisc *ld, struct uio *uio, u32 count)
{
	u32 done = 0;

	while (done < count) {
		u32 from = ld->tail & MASK;
		u32 part = MIN(count - done, LDISC_INPUT_SIZE - from);

		if (uio_copy_out(uio, ld->input + from, part))
			return done ? (long)done : -EFAULT;
		ld->tail += part;
		done += part;
	}
	return done;
}

static long read_line(struct ldisc *ld, struct uio *uio)
{
	u32 end = ld->tail, len, count;
	long ret;

	while (end != ld->canon && !is_marked(ld, end))
		end++;
	if (end == ld->canon)
		return 0;
	len = end - ld->tail + (byte_at(ld, end) != LDISC_EOF);
	count = (u32)MIN(uio->left, (size_t)len);
	ret = take(ld, uio, count);
	if (ret == (long)len) {
		ld->tail = end + 1;
		ld->marks[(end & MASK) / 64] &= ~(1ull << (end & 63));
	}
	return ret;
}

long ldisc_read(struct ldisc *ld, struct uio *uio)
{
	if (ldisc_is_canonical(ld))
		return read_line(ld, uio);
	return take(ld, uio, (u32)MIN(uio->left, (size_t)(ld->head - ld->tail)));
}

u32 ldisc_room(const struct ldisc *ld)
{
	u32 room = LDISC_INPUT_SIZE - 1 - (ld->head - ld->tail);

	if (has_iflag(ld, PARMRK))
		room /= 2; /* a byte may need two */
	/* A line too long loses bytes rather than its end. */
	if (!room && ldisc_is_canonical(ld) && ld->canon == ld->tail)
		room = 1;
	return room;
}
