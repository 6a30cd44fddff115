/* SPDX-License-Identifier: Apache-2.0 */
/* Terminal modes and window sizes, and the packet mode of pseudo terminals. Data only. */
#pragma once

#include "lib/base/types.h"

#define ABI_NCCS 19

struct abi_termios {
	u32 iflag, oflag, cflag, lflag;
	u8 line;
	u8 cc[ABI_NCCS];
};
static_assert(sizeof(struct abi_termios) == 36, "as TCGETS has it");

struct abi_termios2 {
	struct abi_termios termios;
	u32 ispeed, ospeed;
};
static_assert(sizeof(struct abi_termios2) == 44, "as TCGETS2 has it");

struct abi_winsize {
	u16 rows, columns, x_pixels, y_pixels;
};
static_assert(sizeof(struct abi_winsize) == 8, "as TIOCGWINSZ has it");

/* cc[] */
#define VINTR		   0
#define VQUIT		   1
#define VERASE		   2
#define VKILL		   3
#define VEOF		   4
#define VTIME		   5
#define VMIN		   6
#define VSTART		   8
#define VSTOP		   9
#define VSUSP		   10
#define VEOL		   11
#define VREPRINT	   12
#define VWERASE		   14
#define VLNEXT		   15
#define VEOL2		   16

/* iflag */
#define PARMRK		   0000010u
#define ISTRIP		   0000040u
#define INLCR		   0000100u
#define IGNCR		   0000200u
#define ICRNL		   0000400u
#define IUCLC		   0001000u
#define IXON		   0002000u
#define IXANY		   0004000u
#define IMAXBEL		   0020000u
#define IUTF8		   0040000u

/* oflag */
#define OPOST		   0000001u
#define OLCUC		   0000002u
#define ONLCR		   0000004u
#define OCRNL		   0000010u
#define ONOCR		   0000020u
#define ONLRET		   0000040u
#define TABDLY		   0014000u /* all of it set: tabs become spaces */

/* cflag */
#define CBAUD		   0010017u
#define CSIZE		   0000060u
#define CS8		   0000060u
#define CREAD		   0000200u
#define PARENB		   0000400u
#define B38400		   0000017u

/* lflag */
#define ISIG		   0000001u
#define ICANON		   0000002u
#define ECHO		   0000010u
#define ECHOE		   0000020u
#define ECHOK		   0000040u
#define ECHONL		   0000100u
#define NOFLSH		   0000200u
#define TOSTOP		   0000400u
#define ECHOCTL		   0001000u
#define ECHOPRT		   0002000u
#define ECHOKE		   0004000u
#define EXTPROC		   0200000u
#define IEXTEN		   0100000u

/* The first byte that a master in packet mode reads: 0 and data, or what happened. */
#define TIOCPKT_FLUSHREAD  1
#define TIOCPKT_FLUSHWRITE 2
#define TIOCPKT_STOP	   4
#define TIOCPKT_START	   8
#define TIOCPKT_NOSTOP	   16
#define TIOCPKT_DOSTOP	   32

/* TCFLSH, TCXONC */
#define TCIFLUSH	   0
#define TCOFLUSH	   1
#define TCIOFLUSH	   2
#define TCOOFF		   0
#define TCOON		   1
#define TCIOFF		   2
#define TCION		   3
