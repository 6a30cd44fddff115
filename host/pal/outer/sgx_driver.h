/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam below the hardware backend: everything by which the loader and the host calls reach the
 * SGX driver, the CPU's feature words and the kernel's way into an enclave. There is one table,
 * `sgx_driver`, and the linker chooses it:
 *
 *   libocclum-pal.so     sgx_driver_linux.c: the host kernel and the CPU
 *   unit tests           a script that plays the driver (sgx_test.c)
 *   tests/emu            an emulated driver and emulated ENCLU
 *
 * No product holds a second table, a pointer to one or a switch, so nothing that a user sets can
 * select an emulation.
 *
 * All functions return -errno, never -1. The embedder's threads call them; enclave threads make
 * system calls of their own instead, but in the test build they too use ioctl, mprotect, munmap and
 * touch of the table. They run with foreign FS and GS bases and with Syscall User Dispatch on, so
 * these four of an emulation use no libc, no thread-local storage, no vector registers, and make
 * system calls through raw_syscall() of host/pal/inner/entry.S alone.
 *
 *
 * What an emulation has to do beside (compiled in by -DOCCLUM_EMU; the product has no trace of it).
 * It links the PAL's outer objects without sgx_driver_linux.c, the inner object made for it
 * (`pal_inner_emu_object`) and its own table, and defines the functions at the end of this file.
 *
 * An enclave thread is a raw host thread. Every signal that it gets first goes to emu_signal(),
 * on its alternate stack, with all signals blocked but the synchronous ones. There the emulation is
 * the CPU and the kernel:
 *
 *   ENCLU outside       RIP at ENCLU outside of the enclave (SIGILL or SIGSEGV) with EAX = EENTER or
 *                       ERESUME: do it by editing the frame; true.
 *   ENCLU inside        the leaves of enclave code: edit the frame; true. EEXIT gives back the FS and
 *                       GS bases of the host.
 *   any other signal    with RIP inside, or with the thread inside and RIP nowhere: an AEX. Save to
 *                       the SSA, make the synthetic state (RIP = AEP, RAX = 3, RBX = TCS, RCX = AEP,
 *                       RSP and RBP from URSP and URBP, FS and GS of the host), then as a kernel
 *                       would:
 *                         - a fault that the driver resolves (EAUG): true, ERESUME follows by itself
 *                         - another fault, AEP in the function of `entry_function`: RIP to its fixup
 *                           with RAX = 3, RDI = vector, RSI = error code, RDX = address; true
 *                         - another fault, AEP in the PAL's own stub: false. The PAL handles the
 *                           signal as it does on hardware: a nested EENTER with CSSA = 1 from the
 *                           handler, and ERESUME after the handler has returned
 *                         - an interrupt of the emulation's own (emu_signals): true
 *                         - a signal of somebody else, such as the kick: false, with the edited frame
 *   faults of ENCLU     outside: EENTER on a busy TCS, lost EPC and their like: as faults above, RIP
 *                       at the ENCLU, RAX = the leaf.
 *
 * A SIGSYS with RIP inside is what hardware shows as #UD of `syscall`, at the instruction.
 * Nested EENTERs come from within signal handlers: SIGILL and SIGSEGV are open there (SA_NODEFER).
 */
#pragma once

#include "lib/base/types.h"

/* ---- asm/sgx.h, in own words ----------------------------------------------------------------- */

#define SGX_IOC_CREATE		     0x4008a400ul
#define SGX_IOC_ADD_PAGES	     0xc030a401ul
#define SGX_IOC_INIT		     0x4008a402ul
#define SGX_IOC_PROVISION	     0x4008a403ul
#define SGX_IOC_RESTRICT_PERMISSIONS 0xc028a405ul
#define SGX_IOC_MODIFY_TYPES	     0xc028a406ul
#define SGX_IOC_REMOVE_PAGES	     0xc018a407ul

#define SGX_PAGE_TYPE_TRIM	     4ul
#define SGX_ADD_MEASURE		     0x1ul /* flags of ADD_PAGES */

struct sgx_ioc_create {
	u64 secs;
};

struct sgx_ioc_add_pages {
	u64 source, offset, length, secinfo, flags;
	u64 count; /* bytes done */
};
static_assert(sizeof(struct sgx_ioc_add_pages) == 48, "sgx_ioc_add_pages");

struct sgx_ioc_init {
	u64 sigstruct;
};

struct sgx_ioc_provision {
	u64 fd; /* of /dev/sgx_provision */
};

struct sgx_ioc_restrict_permissions {
	u64 offset, length, permissions;
	u64 result; /* of the instruction */
	u64 count;  /* bytes done */
};
static_assert(sizeof(struct sgx_ioc_restrict_permissions) == 40, "sgx_ioc_restrict_permissions");

struct sgx_ioc_modify_types {
	u64 offset, length, page_type;
	u64 result;
	u64 count;
};
static_assert(sizeof(struct sgx_ioc_modify_types) == 40, "sgx_ioc_modify_types");

struct sgx_ioc_remove_pages {
	u64 offset, length;
	u64 count;
};
static_assert(sizeof(struct sgx_ioc_remove_pages) == 24, "sgx_ioc_remove_pages");

/* What __vdso_sgx_enter_enclave() takes and gives. */
struct sgx_enclave_run {
	u64 tcs;
	u32 function; /* 4: EEXIT; 3: exception inside, or of ERESUME; 2: exception of EENTER */
	u16 exception_vector;
	u16 exception_error_code;
	u64 exception_addr;
	u64 user_handler;
	u64 user_data;
	u8 rsv[216];
};
static_assert(sizeof(struct sgx_enclave_run) == 256, "sgx_enclave_run");

/* ---- the table ------------------------------------------------------------------------------- */

/*
 * The kernel's function to enter an enclave: __vdso_sgx_enter_enclave() or one that behaves alike,
 * with exactly one ENCLU in it. address 0: there is none, and the PAL uses its own.
 */
struct sgx_entry_function {
	u64 address, size;
};

struct sgx_driver {
	s64 (*open)(const char *path, u32 flags);
	s64 (*ioctl)(s32 fd, u64 command, void *argument);
	/* The address or -errno. */
	s64 (*mmap)(void *at, u64 size, u32 prot, u32 flags, s32 fd, u64 offset);
	s64 (*mprotect)(void *at, u64 size, u32 prot);
	s64 (*munmap)(void *at, u64 size); /* of all that was mapped, and what lies between */
	/* Enclave threads, test build alone: adds missing pages (EAUG), as a host's faults do. */
	s64 (*touch)(void *at, u64 size);
	s64 (*close)(s32 fd);
	void (*cpuid)(u32 leaf, u32 subleaf, u32 ret[4]); /* EAX, EBX, ECX, EDX */
	u64 (*xgetbv)(void);				  /* XCR0 */
	struct sgx_entry_function (*entry_function)(void);
};

extern const struct sgx_driver sgx_driver;

/* ---- of an emulation, freestanding like the inner part --------------------------------------- */

#ifdef OCCLUM_EMU
struct inner_thread;
struct linux_siginfo;
struct linux_ucontext;

/* True: done, back to what the frame says. False: the frame is what a kernel would have shown. */
bool emu_signal(struct inner_thread *thread, int sig, struct linux_siginfo *info,
		struct linux_ucontext *uc);

/* Signals of the emulation (bit n - 1): open in enclave threads, and go to emu_signal() alone. */
extern const u64 emu_signals;

/* An enclave thread begins; on itself, ready for signals. */
void emu_thread_start(struct inner_thread *thread);
#endif
