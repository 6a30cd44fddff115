/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the portable kernel needs from the machine. kernel/arch implements it for enclaves,
 * tests/fakes for the host library.
 */
#pragma once

#include "kernel/arch/regs.h"

struct thread;
struct process;

/* The thread that runs; never NULL once boot has attached the first one. */
#ifdef OCCLUM_FREESTANDING
static inline struct thread *current_thread(void)
{
	struct thread *t;

	__asm__("movq %%gs:8, %0" : "=r"(t)); /* thread_block.thread */
	return t;
}
#else
struct thread *current_thread(void);
#endif

/* The registers with which `current` will go back to its program. */
struct user_regs *current_regs(void);

/* FS base of the running program (its thread pointer). */
u64 arch_get_user_fs(void);
void arch_set_user_fs(u64 base);

/* Leaves the kernel for user mode with *regs; does not return. For new threads and exec. */
void arch_enter_user(const struct user_regs *regs) __noreturn;

/*
 * Extended (x87, SSE, AVX, ...) state of the running program, XSAVE standard format. It stays in
 * the CPU while the kernel runs; these copy it for signal frames. arch_xstate_size() is constant
 * after boot; buffers are 64-byte aligned kernel memory. Restore checks nothing: the caller has
 * validated the header (signal frames: arch_xstate_is_valid()).
 */
size_t arch_xstate_size(void);
u64 arch_xstate_mask(void); /* XFRM: components that exist */
void arch_xstate_save(void *area);
void arch_xstate_restore(const void *area);
void arch_xstate_reset(void); /* the initial state of a new program: MXCSR 0x1f80, x87 CW 0x37f */
bool arch_xstate_is_valid(const void *area, size_t size);

u64 arch_tsc(void); /* may be read ahead of earlier loads: the clock orders what it gives out */
/*
 * Whether that is the CPU's counter. Where RDTSC is refused (SGX1, or the host's choice) arch_tsc()
 * counts nanoseconds of the host's clock, never backwards.
 */
bool arch_tsc_is_usable(void);
#define ARCH_TSC_SUBSTITUTE_HZ 1000000000ull

/* Hardware entropy; false after the retry limit. */
bool arch_rdrand(u64 *ret);
bool arch_rdseed(u64 *ret);

/* The table that programs see and that /proc/cpuinfo is made of. */
void arch_cpuid(u32 leaf, u32 subleaf, u32 ret_regs[4]); /* eax ebx ecx edx */

/* SGX leaves (or, in the simulation image, the backend's model). Structures: lib/sgx. */
/* 0, an SGX error code (> 0), or -EINVAL where the CPU raises #GP. */
int __must_check arch_egetkey(const void *key_request, u8 ret_key[16]);
int __must_check arch_ereport(const void *target_info, const void *report_data, void *ret_report);

/*
 * The only instructions that may fault in the kernel (kernel/arch/user_access.S);
 * kernel/mm/uaccess.c alone calls them. A #PF or #GP with rip in [user_access_start,
 * user_access_end) resumes at user_access_fault with all other registers as they were. Result:
 * bytes left over, 0 when done.
 */
size_t arch_user_copy(void *to, const void *from, size_t size);
size_t arch_user_zero(void *to, size_t size);
size_t arch_user_load_u32(u32 *ret, const u32 *at);
size_t arch_user_load_u64(u64 *ret, const u64 *at);
size_t arch_user_store_u32(u32 *at, u32 value);
size_t arch_user_store_u64(u64 *at, u64 value);
/* *old: in the expected value, out what was there. */
size_t arch_user_cmpxchg_u32(u32 *at, u32 *old, u32 new_value);
extern const char user_access_start[], user_access_end[], user_access_fault[];

/* Where things lie. */
u64 enclave_base(void);
u64 enclave_size(void);
static inline u64 user_range_start(void)
{
	return enclave_base() + 0x10000ul;
}
static inline u64 user_range_end(void)
{
	return enclave_base() + enclave_size() - (4ul << 30);
}

/* The page that the signer filled and MRENCLAVE covers. */
struct measured_params;
const struct measured_params *arch_measured(void);

/* Boot: cpuid hints of the host, sanitised here. -EOPNOTSUPP when the CPU lacks what is needed. */
struct cpuid_hint;
int __must_check arch_init(const struct cpuid_hint *hints, size_t count);

/* Ends the instance for good: no slot can be entered any more. */
void arch_die(void) __noreturn;

/* The current thread's ecall ends now with `result`; its kernel stack is given up. */
void arch_return_to_host(s64 result) __noreturn;

/* [p, p + size) lies outside the enclave and does not wrap. */
bool host_range_is_outside(u64 address, u64 size);

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}
