/* SPDX-License-Identifier: Apache-2.0 */
/* Signals as x86-64 Linux programs see them: numbers, siginfo_t, stack frames. */
#pragma once

#include <stdint.h>

#define SIGHUP		  1
#define SIGINT		  2
#define SIGQUIT		  3
#define SIGILL		  4
#define SIGTRAP		  5
#define SIGABRT		  6
#define SIGBUS		  7
#define SIGFPE		  8
#define SIGKILL		  9
#define SIGUSR1		  10
#define SIGSEGV		  11
#define SIGUSR2		  12
#define SIGPIPE		  13
#define SIGALRM		  14
#define SIGTERM		  15
#define SIGSTKFLT	  16
#define SIGCHLD		  17
#define SIGCONT		  18
#define SIGSTOP		  19
#define SIGTSTP		  20
#define SIGTTIN		  21
#define SIGTTOU		  22
#define SIGURG		  23
#define SIGXCPU		  24
#define SIGXFSZ		  25
#define SIGVTALRM	  26
#define SIGPROF		  27
#define SIGWINCH	  28
#define SIGIO		  29
#define SIGPWR		  30
#define SIGSYS		  31
#define ABI_SIGRTMIN	  32

#define SIG_DFL_ADDRESS	  0
#define SIG_IGN_ADDRESS	  1

#define SIG_BLOCK	  0
#define SIG_UNBLOCK	  1
#define SIG_SETMASK	  2

#define SA_NOCLDSTOP	  0x00000001
#define SA_NOCLDWAIT	  0x00000002
#define SA_SIGINFO	  0x00000004
#define SA_UNSUPPORTED	  0x00000400
#define SA_EXPOSE_TAGBITS 0x00000800
#define SA_RESTORER	  0x04000000
#define SA_ONSTACK	  0x08000000
#define SA_RESTART	  0x10000000
#define SA_NODEFER	  0x40000000
#define SA_RESETHAND	  0x80000000u

#define SS_ONSTACK	  1
#define SS_DISABLE	  2
#define SS_AUTODISARM	  (1u << 31)
#define ABI_MINSIGSTKSZ	  2048

/* si_code */
#define SI_USER		  0
#define SI_KERNEL	  0x80
#define SI_QUEUE	  -1
#define SI_TIMER	  -2
#define SI_MESGQ	  -3
#define SI_ASYNCIO	  -4
#define SI_SIGIO	  -5
#define SI_TKILL	  -6

#define ILL_ILLOPN	  2
#define FPE_INTDIV	  1
#define FPE_INTOVF	  2
#define FPE_FLTDIV	  3
#define FPE_FLTOVF	  4
#define FPE_FLTUND	  5
#define FPE_FLTRES	  6
#define FPE_FLTINV	  7
#define SEGV_MAPERR	  1
#define SEGV_ACCERR	  2
#define BUS_ADRALN	  1
#define BUS_ADRERR	  2
#define TRAP_BRKPT	  1
#define TRAP_TRACE	  2
#define CLD_EXITED	  1
#define CLD_KILLED	  2
#define CLD_DUMPED	  3
#define CLD_TRAPPED	  4
#define CLD_STOPPED	  5
#define CLD_CONTINUED	  6

struct abi_sigaction {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

struct abi_stack {
	uint64_t sp;
	int32_t flags;
	int32_t pad;
	uint64_t size;
};

struct abi_siginfo {
	int32_t signo, error, code, pad;
	union {
		struct {
			int32_t pid;
			uint32_t uid;
			uint64_t value;
		} queue; /* SI_USER (without value), SI_QUEUE, SI_TKILL */
		struct {
			int32_t id, overrun;
			uint64_t value;
		} timer;
		struct {
			int32_t pid;
			uint32_t uid;
			int32_t status, pad;
			int64_t utime, stime;
		} child;
		struct {
			uint64_t address;
			int16_t address_lsb;
		} fault;
		struct {
			int64_t band;
			int32_t fd;
		} poll;
		uint8_t bytes[112];
	};
};
_Static_assert(sizeof(struct abi_siginfo) == 128, "siginfo_t");

struct abi_signalfd_siginfo {
	uint32_t signo;
	int32_t error, code;
	uint32_t pid, uid;
	int32_t fd;
	uint32_t timer_id, band, overrun, trap_number;
	int32_t status, value_int;
	uint64_t value_pointer, utime, stime, address;
	uint16_t address_lsb, pad2;
	int32_t syscall;
	uint64_t call_address;
	uint32_t arch;
	uint8_t pad[28];
};
_Static_assert(sizeof(struct abi_signalfd_siginfo) == 128, "signalfd_siginfo");

#define SFD_NONBLOCK 04000
#define SFD_CLOEXEC  02000000

struct abi_sigcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error_code, trap_number, old_mask, cr2;
	uint64_t fpstate; /* user address of the XSAVE area, or 0 */
	uint64_t reserved[8];
};
_Static_assert(sizeof(struct abi_sigcontext) == 256, "sigcontext");

#define UC_FP_XSTATE	     1
#define UC_SIGCONTEXT_SS     2
#define UC_STRICT_RESTORE_SS 4

struct abi_ucontext {
	uint64_t flags;
	uint64_t link;
	struct abi_stack stack;
	struct abi_sigcontext context;
	uint64_t mask;
};
_Static_assert(sizeof(struct abi_ucontext) == 304, "ucontext_t");

/* What a handler finds at its stack pointer; the XSAVE area lies above, 64-byte aligned. */
struct abi_rt_sigframe {
	uint64_t return_address; /* sa_restorer */
	struct abi_ucontext uc;
	struct abi_siginfo info;
};
_Static_assert(sizeof(struct abi_rt_sigframe) == 440, "rt_sigframe");

/* In bytes 464-511 of the XSAVE area of a frame; the second magic follows the area. */
#define FP_XSTATE_MAGIC1       0x46505853u
#define FP_XSTATE_MAGIC2       0x46505845u
#define FP_XSTATE_MAGIC2_SIZE  4
#define FXSAVE_SIZE	       512
#define FXSAVE_MXCSR_OFFSET    24
#define FXSAVE_SOFTWARE_OFFSET 464
#define XSAVE_HEADER_OFFSET    512
#define XSAVE_HEADER_SIZE      64

struct abi_fpx_software {
	uint32_t magic1;
	uint32_t extended_size; /* with the second magic */
	uint64_t xfeatures;
	uint32_t xstate_size;
	uint32_t padding[7];
};
_Static_assert(sizeof(struct abi_fpx_software) == 48, "_fpx_sw_bytes");

struct abi_sigevent {
	uint64_t value;
	int32_t signo;
	int32_t notify;
	int32_t tid;
	int32_t pad[11];
};
_Static_assert(sizeof(struct abi_sigevent) == 64, "sigevent_t");

#define SIGEV_SIGNAL	0
#define SIGEV_NONE	1
#define SIGEV_THREAD	2
#define SIGEV_THREAD_ID 4
