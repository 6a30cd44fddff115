// SPDX-License-Identifier: Apache-2.0
/* The line discipline under any modes, any typing and any output, in any order. */
#include <stdlib.h>
#include <string.h>

#include "kernel/tty/ldisc.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

static void check(const struct ldisc *ld)
{
	if (ld->head - ld->tail > LDISC_INPUT_SIZE - 1)
		abort();
	if (ldisc_is_canonical(ld) && (ld->canon - ld->tail > ld->head - ld->tail))
		abort();
	if (ld->output.fill > LDISC_OUTPUT_MAX + LDISC_ECHO_MAX || ld->held.fill > LDISC_ECHO_MAX)
		abort();
	if (ldisc_input_size(ld) > LDISC_INPUT_SIZE - 1)
		abort();
}

static void drain(struct byte_ring *r, u8 *room, size_t size)
{
	struct uio uio = uio_kernel(room, size);

	if (byte_ring_get(r, &uio, UINT32_MAX) < 0)
		abort();
}

static void type(struct ldisc *ld, const u8 *bytes, u32 count)
{
	while (count) {
		u32 part = MIN(count, ldisc_room(ld));

		if (!part)
			return;
		ldisc_receive(ld, bytes, part);
		bytes += part;
		count -= part;
	}
}

/* A read never promises what it does not give. */
static void read_some(struct ldisc *ld, u8 *room, size_t size)
{
	bool has = ldisc_has_input(ld, false);
	u32 before = ld->head - ld->tail;
	struct uio uio = uio_kernel(room, size);
	long n = ldisc_read(ld, &uio);

	if (n < 0 || (size_t)n > size || (!has && n))
		abort();
	if (has && size && ld->head - ld->tail == before)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	struct ldisc *ld = calloc(1, sizeof(*ld));
	static u8 room[20000];
	size_t at = 0;

	if (!ld)
		return 0;
	ldisc_init(ld);
	while (at + 2 <= size) {
		u32 count = bytes[at + 1];
		u32 there = (u32)MIN((size_t)count, size - at - 2);
		const u8 *data = bytes + at + 2;
		struct uio uio = uio_kernel((void *)data, there);
		struct abi_termios t;

		switch (bytes[at] % 9) {
		case 0:
			for (u32 i = 0; i < 20; i++)
				type(ld, data, there);
			break;
		case 1: type(ld, data, there); break;
		case 2:
			if (ldisc_write(ld, &uio) < 0)
				abort();
			break;
		case 3: read_some(ld, room, count); break;
		case 4: read_some(ld, room, sizeof(room)); break;
		case 5: drain(&ld->output, room, sizeof(room)); break;
		case 6:
			t = ld->termios;
			memcpy(&t, data, MIN((size_t)there, sizeof(t)));
			ldisc_set_termios(ld, &t);
			break;
		case 7: count & 1 ? ldisc_stop(ld) : ldisc_start(ld); break;
		default: count & 1 ? ldisc_flush_input(ld) : ldisc_flush_output(ld);
		}
		check(ld);
		at += 2 + there;
	}
	ldisc_fini(ld);
	free(ld);
	return 0;
}
