/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl numbers of terminals and files. Data only. */
#pragma once

#include "lib/base/types.h"

#define TCGETS		 0x5401
#define TCSETS		 0x5402
#define TCSETSW		 0x5403
#define TCSETSF		 0x5404
#define TCSBRK		 0x5409
#define TCXONC		 0x540a
#define TCFLSH		 0x540b
#define TIOCEXCL	 0x540c
#define TIOCNXCL	 0x540d
#define TIOCSCTTY	 0x540e
#define TIOCGPGRP	 0x540f
#define TIOCSPGRP	 0x5410
#define TIOCOUTQ	 0x5411
#define TIOCSTI		 0x5412
#define TIOCGWINSZ	 0x5413
#define TIOCSWINSZ	 0x5414
#define FIONREAD	 0x541b
#define TIOCPKT		 0x5420
#define FIONBIO		 0x5421
#define TIOCNOTTY	 0x5422
#define TIOCSETD	 0x5423
#define TIOCGETD	 0x5424
#define TCSBRKP		 0x5425
#define TIOCGSID	 0x5429
#define TCGETS2		 0x802c542au
#define TCSETS2		 0x402c542bu
#define TCSETSW2	 0x402c542cu
#define TCSETSF2	 0x402c542du
#define TIOCGPTN	 0x80045430u
#define TIOCSPTLCK	 0x40045431u
#define TIOCGDEV	 0x80045432u
#define TIOCSIG		 0x40045436u
#define TIOCGPKT	 0x80045438u
#define TIOCGPTLCK	 0x80045439u
#define TIOCGEXCL	 0x80045440u
#define TIOCGPTPEER	 0x5441
#define FIONCLEX	 0x5450
#define FIOCLEX		 0x5451
#define FIOASYNC	 0x5452

#define ABI_TERMIOS_SIZE 36 /* struct abi_termios */
#define ABI_WINSIZE_SIZE 8  /* struct abi_winsize */
