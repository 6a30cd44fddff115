// SPDX-License-Identifier: Apache-2.0
/*
 * The way to the screen: output processing (OPOST) and echo. The ring gets its full size with the
 * first byte, so that nothing fails half way through a character's expansion.
 */
#include "abi/errno.h"
#include "kernel/tty/ldisc_priv.h"

#define RING_ROOM     16384u
#define EXPANSION_MAX 8u /* of one byte: a tab */
#define CHUNK	      512u
static_assert(LDISC_OUTPUT_MAX + LDISC_ECHO_MAX <= RING_ROOM, "echo fits behind output");

struct expansion {
	u8 bytes[EXPANSION_MAX];
	u32 count;
};

static bool ring_ready(struct byte_ring *r)
{
	return r->room >= RING_ROOM || !byte_ring_resize(r, RING_ROOM);
}

static void put(struct byte_ring *r, const u8 *bytes, u32 count, u32 limit)
{
	struct uio uio = uio_kernel((void *)bytes, count);

	if (r->fill + count <= limit)
		(void)byte_ring_put(r, &uio, limit);
}

static void put_newline(struct ldisc *ld, struct expansion *e)
{
	if (has_oflag(ld, ONLCR))
		e->bytes[e->count++] = '\r';
	if (has_oflag(ld, ONLCR | ONLRET))
		ld->column = 0;
	e->bytes[e->count++] = '\n';
}

static void put_tab(struct ldisc *ld, struct expansion *e)
{
	u32 spaces = 8 - (ld->column & 7);

	ld->column += spaces;
	if ((ld->termios.oflag & TABDLY) != TABDLY) {
		e->bytes[e->count++] = '\t';
		return;
	}
	while (spaces--)
		e->bytes[e->count++] = ' ';
}

static void put_return(struct ldisc *ld, struct expansion *e)
{
	if (has_oflag(ld, ONOCR) && !ld->column)
		return;
	if (has_oflag(ld, OCRNL)) {
		if (has_oflag(ld, ONLRET))
			ld->column = 0;
		e->bytes[e->count++] = '\n';
		return;
	}
	ld->column = 0;
	e->bytes[e->count++] = '\r';
}

/* What the screen gets for one byte; moves the column along. */
static struct expansion process(struct ldisc *ld, u8 c)
{
	struct expansion e = {.count = 0};

	if (!has_oflag(ld, OPOST)) {
		e.bytes[e.count++] = c;
		return e;
	}
	switch (c) {
	case '\n': put_newline(ld, &e); return e;
	case '\r': put_return(ld, &e); return e;
	case '\t': put_tab(ld, &e); return e;
	case '\b': ld->column -= ld->column > 0; break;
	default:
		if (has_oflag(ld, OLCUC) && c >= 'a' && c <= 'z')
			c -= 'a' - 'A';
		if (!is_control(c) && !is_continuation(ld, c))
			ld->column++;
	}
	e.bytes[e.count++] = c;
	return e;
}

bool ldisc_can_write(const struct ldisc *ld)
{
	return !ld->is_stopped && ld->output.fill + CHUNK <= LDISC_OUTPUT_MAX;
}

long ldisc_write(struct ldisc *ld, struct uio *uio)
{
	u8 bytes[CHUNK];
	long done = 0;

	if (!ring_ready(&ld->output))
		return -ENOMEM;
	while (uio->left && ldisc_can_write(ld)) {
		/* So many that all of them fit, whatever they become. */
		u32 room = (LDISC_OUTPUT_MAX - ld->output.fill) /
			   (has_oflag(ld, OPOST) ? EXPANSION_MAX : 1);
		u32 count = (u32)MIN(uio->left, (size_t)MIN(room, CHUNK));

		if (uio_copy_in(uio, bytes, count))
			return done ? done : -EFAULT;
		for (u32 i = 0; i < count; i++) {
			struct expansion e = process(ld, bytes[i]);

			put(&ld->output, e.bytes, e.count, LDISC_OUTPUT_MAX);
		}
		done += count;
	}
	return done;
}

static void echo_bytes(struct ldisc *ld, const u8 *bytes, u32 count)
{
	struct byte_ring *r = ld->is_stopped ? &ld->held : &ld->output;

	if (!ring_ready(&ld->output))
		return;
	put(r, bytes, count, ld->is_stopped ? LDISC_ECHO_MAX : LDISC_OUTPUT_MAX + LDISC_ECHO_MAX);
}

bool ldisc_echo_fits(const struct ldisc *ld)
{
	return ld->is_stopped ? ld->held.fill < LDISC_ECHO_MAX
			      : ld->output.fill < LDISC_OUTPUT_MAX + LDISC_ECHO_MAX;
}

void ldisc_echo(struct ldisc *ld, u8 c)
{
	struct expansion e = process(ld, c);

	echo_bytes(ld, e.bytes, e.count);
}

void ldisc_echo_raw(struct ldisc *ld, u8 c)
{
	echo_bytes(ld, &c, 1);
}

void ldisc_echo_visible(struct ldisc *ld, u8 c)
{
	if (has_lflag(ld, ECHOCTL) && is_control(c) && c != '\t') {
		ldisc_echo(ld, '^');
		c ^= 0100;
	}
	ldisc_echo(ld, c);
}

void ldisc_put_raw(struct ldisc *ld, u8 byte)
{
	if (ring_ready(&ld->output))
		put(&ld->output, &byte, 1, LDISC_OUTPUT_MAX + LDISC_ECHO_MAX);
}

void ldisc_flush_output(struct ldisc *ld)
{
	ld->output.fill = 0;
	ld->held.fill = 0;
	ld->news |= TIOCPKT_FLUSHWRITE;
}

void ldisc_stop(struct ldisc *ld)
{
	if (ld->is_stopped)
		return;
	ld->is_stopped = true;
	ld->news = (u8)((ld->news & ~TIOCPKT_START) | TIOCPKT_STOP);
}

void ldisc_start(struct ldisc *ld)
{
	u8 bytes[64];

	if (!ld->is_stopped || ld->is_stopped_by_call)
		return;
	ld->is_stopped = false;
	ld->news = (u8)((ld->news & ~TIOCPKT_STOP) | TIOCPKT_START);
	while (ld->held.fill) {
		struct uio uio = uio_kernel(bytes, sizeof(bytes));
		long count = byte_ring_get(&ld->held, &uio, sizeof(bytes));

		if (count <= 0)
			break;
		put(&ld->output, bytes, (u32)count, LDISC_OUTPUT_MAX + LDISC_ECHO_MAX);
	}
}
