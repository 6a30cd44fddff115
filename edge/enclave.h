/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape of the enclave's address range and the words that cross the wall. Shared by the
 * kernel, the loader and the signer; data only.
 *
 *   BASE + 0          never mapped (null pointers)
 *        + 64 KiB     images linked at fixed addresses
 *        + 4 GiB      programs: everything movable
 *        + SIZE-4GiB  kernel image | measured page inside it | thread slots | kernel heap
 *        + SIZE       end (SIZE is a power of two, at least 64 GiB)
 *
 * One thread slot (measured_params.slot_size bytes each):
 *
 *   +0x0000  guard, not added
 *   +0x1000  TCS                      EADD TCS, measured
 *   +0x2000  SSA, 3 frames            EADD rw-, not measured
 *   +...     thread block (GS, FS)    EADD rw-, not measured, one page
 *   +...     exception stack          EADD rw-, two pages (stage 1 of an exception)
 *   +...     guard, not added
 *   +...     kernel stack             EADD rw-, measured_params.stack_size
 */
#pragma once

#include "lib/base/types.h"

#define ENCLAVE_SIZE_MIN     GIB(64)
#define USER_RANGE_START     0x10000ul
#define USER_FIXED_END	     GIB(4)
#define KERNEL_ZONE_SIZE     GIB(4)

#define SSA_FRAME_COUNT	     3 /* NSSA: normal, exception stage 1, one more to fail cleanly */
#define SLOT_TCS_OFFSET	     0x1000
#define SLOT_SSA_OFFSET	     0x2000
#define EXCEPTION_STACK_SIZE 0x2000

/*
 * Threads that exist besides those of programs: the one that boots and then waits in ECALL_EXEC,
 * one for ECALL_KILL, the kernel's own (timers, commits, two that read ahead), and spare ones for
 * parallel ECALL_EXECs of an embedder.
 */
#define RESERVED_SLOTS	     8

#define MEASURED_MAGIC	     0x3153414d4c434f31ull /* "1OCLMAS1" */
#define MEASURED_VERSION     1

/* What a kernel image is made for; nothing but the matching backend takes it. */
enum enclave_mode {
	ENCLAVE_MODE_SIM = 0,
	ENCLAVE_MODE_HW = 1,
};

/*
 * Section .occlum.measured of the kernel image: one page, zero but for magic, version and mode
 * until the signer fills it. The loader builds the enclave by it, MRENCLAVE covers it, the kernel
 * believes it. Offsets are from BASE. All values little endian, all sizes multiples of a page.
 */
struct measured_params {
	u64 magic;
	u32 version;
	u32 ssa_frame_pages;
	u8 config_sha256[32]; /* of the canonical configuration; all zero is refused at boot */
	u64 enclave_size;
	u64 image_offset; /* of the first PT_LOAD: enclave_size - KERNEL_ZONE_SIZE */
	u64 image_size;
	u64 entry_offset; /* OENTRY of every TCS */
	u64 slots_offset;
	u64 slot_size;
	u32 slot_count;
	u32 mode;	/* enum enclave_mode; set when the kernel is compiled */
	u64 stack_size; /* kernel stack of one thread */
	u64 heap_offset;
	u64 heap_size;
	u64 interface; /* EDGE_INTERFACE of the kernel; the loader must have the same */
	/*
	 * Of the image file with the segments' content and the SIGSTRUCT as zeros: what is not
	 * loaded is not measured, and is compared with this before the enclave is built. The kernel
	 * makes no use of it.
	 */
	u8 unloaded_sha256[32];
};
static_assert(sizeof(struct measured_params) == 168, "measured_params");

/* Section .occlum.sigstruct, not loaded: the signer writes the SIGSTRUCT (1808 bytes) here. */

/*
 * Within a slot. TCS.OSSA, OFSBASE and OGSBASE say the same; FS and GS both start at the thread
 * block.
 */
static inline u64 slot_block_offset(u32 ssa_frame_pages)
{
	return SLOT_SSA_OFFSET + (u64)SSA_FRAME_COUNT * ssa_frame_pages * PAGE_SIZE;
}
static inline u64 slot_exception_stack_offset(u32 ssa_frame_pages)
{
	return slot_block_offset(ssa_frame_pages) + PAGE_SIZE;
}
/* After one guard page; the slot ends with the stack. */
static inline u64 slot_stack_offset(u32 ssa_frame_pages)
{
	return slot_exception_stack_offset(ssa_frame_pages) + EXCEPTION_STACK_SIZE + PAGE_SIZE;
}
static inline u64 slot_size_for(u32 ssa_frame_pages, u64 stack_size)
{
	return slot_stack_offset(ssa_frame_pages) + stack_size;
}

/*
 * Entry and exit in the simulation, as the instructions do it.
 *
 * EENTER   the host jumps to BASE + OENTRY with RAX = CSSA, RBX = address of the TCS, RCX = where
 *          to leave to, RSP and RBP its own (also in SSA[CSSA].URSP/URBP), FS and GS base from the
 *          TCS. All else is the host's choice: flags and registers included.
 * EEXIT    the enclave jumps to RBX = the RCX of the entry, with RSP and RBP as they were at the
 *          entry, RDI and RSI as enum enclave_exit says, DF and AC clear. FS and GS may hold
 *          anything. The host relies on no other register.
 * AEX      on a host signal while inside: general registers, FS and GS base, EXITINFO and EXINFO
 *          go to SSA[CSSA], CSSA + 1; the XSAVE area stays in the host's signal frame. Then EENTER
 *          with RAX = 1 (stage 1), left by EXIT_EXCEPTION_DONE, then ERESUME: SSA[CSSA - 1] is
 *          loaded as it is now, edited or not (CS and SS are always the 64-bit user ones).
 *            - #PF, #GP, #DE, #MF, #XM, #UD, #BP, #DB, #AC: EXITINFO valid; MADDR and ERRCD for
 *              the first two.
 *            - a `syscall` (or int 0x80) instruction: #UD at that instruction. RAX, RDI... hold the
 *              arguments; RCX and R11 are already overwritten.
 *            - a kick (host_thread_kick): EXITINFO not valid.
 *            - sysenter and other ways into the 32-bit system calls: #GP, ERRCD 0.
 *          A fault in stage 1 ends the instance.
 */

/* --- Entering: RDI = number, RSI = argument, RDX = the host thread's arena (first entry only). */
enum ecall {
	ECALL_BOOT = 0,	  /* RSI = struct boot_info __host *; once; result = init's status */
	ECALL_THREAD = 1, /* RSI = token of host_thread_start(); returns when the thread ended */
	ECALL_NEW_PROCESS = 2, /* RSI = struct new_process __host *; result = pid or -errno */
	ECALL_EXEC = 3,	       /* RSI = pid; runs it, returns its wait status (>= 0) or -errno */
	ECALL_KILL = 4,	       /* RSI = pid (-1: all) | (u64)signal << 32 */
	ECALL_SHUTDOWN = 5,    /* commit and unmount all volumes; nothing may be entered after it */
	ECALL_HOST_RETURN =
		6, /* result in the arena. Back from a host call; valid only for the TCS that left by one */
	ECALL_COUNT,
};

/* --- Leaving: RDI = why, RSI = value. RSP and RBP are the host's own again. */
enum enclave_exit {
	EXIT_RETURN = 0,	 /* the ecall ended, RSI = result (s64) */
	EXIT_HOST_CALL = 1,	 /* a request lies in the arena's frame */
	EXIT_EXCEPTION_DONE = 2, /* stage 1 finished: ERESUME */
	EXIT_ABORT = 3, /* the enclave is dead; RSI = reason; it will not be entered again */
};

/*
 * Each host thread's arena: untrusted memory outside the enclave range, 2 pages of header and a
 * data area. The kernel writes with care and reads each word once.
 */
#define ARENA_HEADER_SIZE 0x2000ul
#define ARENA_DATA_SIZE	  0x10000ul
#define ARENA_SIZE	  (ARENA_HEADER_SIZE + ARENA_DATA_SIZE)
#define HOST_CALL_ARGS	  8

struct host_call_frame {
	u64 number;
	u64 args[HOST_CALL_ARGS]; /* buffers are offsets into the arena's data area */
	s64 result;
};

struct thread_arena {
	struct host_call_frame call;
	u32 wait_word; /* host_wait() sleeps while it is 0; host_wake() sets it to 1 and wakes */
	u32 slot;      /* which TCS the host put this thread on; a hint for its own use */
	u8 rsv[ARENA_HEADER_SIZE - sizeof(struct host_call_frame) - 8];
	u8 data[ARENA_DATA_SIZE];
};
static_assert(sizeof(struct thread_arena) == ARENA_SIZE, "thread_arena");

#define HOST_BLOB_MAX MIB(1)

/* A length-delimited piece of untrusted memory. */
struct host_blob {
	u64 address;
	u64 size;
};

#define BOOT_INFO_VERSION 1
struct boot_info {
	u32 version;
	u32 log_level; /* enum log_level, clamped inside by the measured configuration */
	struct host_blob
		config; /* canonical configuration; its SHA-256 must equal the measured one */
	struct host_blob hosts, resolv_conf, hostname; /* contents of the host's files, advisory */
	struct host_blob host_environ;		       /* NUL-separated NAME=VALUE, for init */
	struct host_blob cpuid;	     /* array of struct cpuid_hint, sanitised inside */
	u64 arena_start, arena_size; /* where all arenas lie: outside the enclave */
	u64 tsc_hz;		     /* 0: unknown */
};

struct cpuid_hint {
	u32 leaf, subleaf;
	u32 eax, ebx, ecx, edx;
};

struct new_process {
	struct host_blob path;	      /* not terminated */
	struct host_blob argv;	      /* NUL-terminated strings, one after the other */
	struct host_blob environment; /* likewise */
	s32 stdio[3];		      /* host descriptors for 0, 1, 2 */
	u32 flags;		      /* enum new_process_flag */
};

enum new_process_flag {
	/* A shell of the host does job control: what stops is continued (host_job_stopped()). */
	NEW_PROCESS_HAS_SHELL = 1 << 0,
};
