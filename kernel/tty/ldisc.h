/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line discipline of a terminal: what happens to a byte between the one who types (the master
 * of a pseudo terminal) and the program that reads, and between the program and the screen. Bytes
 * in, bytes and wishes out: no locks, no processes, no waiting.
 */
#pragma once

#include "abi/termios.h"
#include "kernel/vfs/byte_ring.h"

#define LDISC_INPUT_SIZE 4096u /* one byte of it stays free */
#define LDISC_OUTPUT_MAX 8192u /* of what programs write */
#define LDISC_ECHO_MAX	 4096u /* echo may go so far beyond that */

struct ldisc {
	struct abi_termios termios;

	/*
	 * Typed bytes. Counters that only grow: tail <= canon <= head < tail + LDISC_INPUT_SIZE. A
	 * mark is the end of a line; where the marked byte is LDISC_EOF it is no byte of the line.
	 */
	u8 input[LDISC_INPUT_SIZE];
	u64 marks[LDISC_INPUT_SIZE / 64];
	u32 tail, canon, head;

	struct byte_ring output; /* to the screen */
	struct byte_ring held;	 /* echo, while output is stopped */
	u32 column;		 /* of the cursor */
	u32 line_column;	 /* where the line under edit began */
	bool is_literal;	 /* the next byte means nothing special: VLNEXT */
	bool is_erasing;	 /* within the \.../ of ECHOPRT */
	bool is_stopped;	 /* by VSTOP or TCOOFF */
	bool is_stopped_by_call; /* TCOOFF: only TCOON ends it */

	/* For the caller, who clears them: signals as bits 1 << number, TIOCPKT_* in packet mode */
	u32 signals;
	u8 news;
};

#define LDISC_EOF 0 /* as a marked byte */

void ldisc_init(struct ldisc *ld); /* zeroed memory */
bool ldisc_is_canonical(const struct ldisc *ld);
void ldisc_fini(struct ldisc *ld);

/* New modes. Typed bytes stay. */
void ldisc_set_termios(struct ldisc *ld, const struct abi_termios *termios);

/* How many typed bytes it takes now, and taking them (not more than that). */
u32 ldisc_room(const struct ldisc *ld);
void ldisc_receive(struct ldisc *ld, const u8 *bytes, u32 count);

/*
 * Is there something for a read: a line, or bytes? For poll in non-canonical mode it takes VMIN
 * bytes, unless VTIME is set.
 */
bool ldisc_has_input(const struct ldisc *ld, bool for_poll);
u32 ldisc_input_size(const struct ldisc *ld); /* FIONREAD */
/* One line, or what is there. Count (0: end of file was typed), or -EFAULT. */
long ldisc_read(struct ldisc *ld, struct uio *uio);

/* A program's output. Bytes taken (0: wait for ldisc_can_write), -ENOMEM, -EFAULT. */
bool ldisc_can_write(const struct ldisc *ld);
long ldisc_write(struct ldisc *ld, struct uio *uio);

void ldisc_flush_input(struct ldisc *ld);
void ldisc_flush_output(struct ldisc *ld);
void ldisc_stop(struct ldisc *ld);
void ldisc_start(struct ldisc *ld);
/* A byte straight to the screen (TCIOFF and TCION). */
void ldisc_put_raw(struct ldisc *ld, u8 byte);
