/* SPDX-License-Identifier: Apache-2.0 */
/* The Linux that the inner PAL talks to: numbers and structures of its few system calls. */
#pragma once

#include "lib/base/types.h"

enum {
	NR_read = 0,
	NR_write = 1,
	NR_close = 3,
	NR_fstat = 5,
	NR_lseek = 8,
	NR_fstatfs = 138,
	NR_mprotect = 10,
	NR_rt_sigaction = 13,
	NR_rt_sigprocmask = 14,
	NR_ioctl = 16,
	NR_pread64 = 17,
	NR_pwrite64 = 18,
	NR_sched_yield = 24,
	NR_mremap = 25,
	NR_madvise = 28,
	NR_getpid = 39,
	NR_socket = 41,
	NR_connect = 42,
	NR_sendto = 44,
	NR_recvmsg = 47,
	NR_shutdown = 48,
	NR_bind = 49,
	NR_listen = 50,
	NR_getsockname = 51,
	NR_getpeername = 52,
	NR_setsockopt = 54,
	NR_getsockopt = 55,
	NR_exit = 60,
	NR_fcntl = 72,
	NR_flock = 73,
	NR_fsync = 74,
	NR_fdatasync = 75,
	NR_ftruncate = 77,
	NR_sigaltstack = 131,
	NR_prctl = 157,
	NR_gettid = 186,
	NR_futex = 202,
	NR_clock_gettime = 228,
	NR_tgkill = 234,
	NR_openat = 257,
	NR_mkdirat = 258,
	NR_unlinkat = 263,
	NR_ppoll = 271,
	NR_getdents64 = 217,
	NR_linkat = 265,
	NR_readlinkat = 267,
	NR_fallocate = 285,
	NR_accept4 = 288,
	NR_renameat2 = 316,
	NR_openat2 = 437,
	NR_fchmod = 91,
};

struct linux_timespec {
	s64 sec;
	s64 nsec;
};

struct linux_sigaction {
	void (*handler)(void);
	u64 flags;
	void (*restorer)(void);
	u64 mask;
};

struct linux_stack {
	void *sp;
	s32 flags;
	u64 size;
};

/* Common beginning of siginfo_t, and the two forms that matter. */
struct linux_siginfo {
	s32 signo, err, code, pad;
	union {
		struct {
			u64 address;
		} fault;
		struct {
			u64 address;
			s32 syscall;
			u32 arch;
		} sys;
		u8 raw[112];
	};
};

struct linux_ucontext {
	u64 flags;
	struct linux_ucontext *link;
	struct linux_stack stack;
	u64 r8, r9, r10, r11, r12, r13, r14, r15;
	u64 rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	u16 cs, gs, fs, ss;
	u64 err, trapno, oldmask, cr2;
	void *fpstate;
	u64 rsv[8];
	u64 sigmask;
};

enum {
	SIG_ILL = 4,
	SIG_TRAP = 5,
	SIG_BUS = 7,
	SIG_FPE = 8,
	SIG_SEGV = 11,
	SIG_SYS = 31,

	SA_SIGINFO_ = 0x4,
	SA_ONSTACK_ = 0x08000000,
	SA_RESTORER_ = 0x04000000,
	SA_NODEFER_ = 0x40000000,

	SIG_BLOCK_ = 0,
	SIG_SETMASK_ = 2,

	FUTEX_WAIT_PRIVATE_ = 128,
	FUTEX_WAKE_PRIVATE_ = 129,
	FUTEX_WAIT_BITSET_PRIVATE_ = 9 | 128,

	PR_SET_SYSCALL_USER_DISPATCH_ = 59,
	PR_SYS_DISPATCH_ON_ = 1,
	SYS_USER_DISPATCH_ = 2, /* si_code */
	AUDIT_ARCH_X86_64_ = 0xc000003e,

	MADV_DONTNEED_ = 4,
	AT_REMOVEDIR_ = 0x200,
	CLOCK_MONOTONIC_ = 1,
};

#define SIGNAL_BIT(n) (1ull << ((n)-1))
#define SYNC_SIGNALS                                                                               \
	(SIGNAL_BIT(SIG_ILL) | SIGNAL_BIT(SIG_TRAP) | SIGNAL_BIT(SIG_BUS) | SIGNAL_BIT(SIG_FPE) |  \
	 SIGNAL_BIT(SIG_SEGV) | SIGNAL_BIT(SIG_SYS))

#define CLONE_FLAGS_THREAD                                                                         \
	(0x100 /* VM */ | 0x200 /* FS */ | 0x400 /* FILES */ | 0x800 /* SIGHAND */ |               \
	 0x10000 /* THREAD */ | 0x40000 /* SYSVSEM */ | 0x100000 /* PARENT_SETTID */ |             \
	 0x200000 /* CHILD_CLEARTID */)
