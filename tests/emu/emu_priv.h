/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the emulator's files share. All of them are freestanding: they run in signal handlers of
 * threads whose FS and GS bases belong to an enclave, and on the PAL's enclave threads. No libc, no
 * thread-local storage, system calls by emu_syscall() alone. emu_outer.c and emu_setup.c are
 * ordinary code.
 *
 * One spin lock covers EPCM, mappings and TCSs of all enclaves. Its holders cannot be interrupted
 * by somebody who wants it: handlers run with signals blocked, and the driver's functions, which
 * do not, are interrupted on threads that are outside, where handlers do not take it.
 */
#pragma once

#include "host/pal/inner/linux.h"
#include "host/pal/outer/sgx_driver.h"
#include "lib/sgx/measure.h"
#include "lib/sgx/sim_key.h"
#include "tests/emu/emu.h"

#define EMU_ENCLAVES 4
#define EMU_THREADS  1024
#define EMU_VMAS     65536

/* ---- EPC ------------------------------------------------------------------------------------- */

enum emu_page_flags {
	EMU_PAGE_VALID = 1,
	EMU_PAGE_PENDING = 2,
	EMU_PAGE_MODIFIED = 4,
	EMU_PAGE_PR = 8,
};

enum emu_page_type {
	EMU_TYPE_SECS = 0,
	EMU_TYPE_TCS = 1,
	EMU_TYPE_REG = 2,
	EMU_TYPE_TRIM = 4,
};

#define EMU_READ  1
#define EMU_WRITE 2
#define EMU_EXEC  4

/* An entry of the EPCM. All zero: no page. */
struct emu_page {
	u8 flags : 4; /* enum emu_page_flags */
	u8 type : 4;
	u8 rights;  /* EMU_READ ... of the EPCM */
	u8 maximum; /* the driver's: what a mapping may allow */
	u8 shown;   /* what the host's page tables allow just now */
};

/* A mapping of the enclave's file. Sorted, disjoint. */
struct emu_vma {
	u64 start, end;
	u64 rights;
};

struct emu_enclave {
	bool is_used;
	bool is_created, is_initialised, may_provision;
	s32 fd;	      /* what the caller has; -1 after its close() */
	s32 epc_file; /* the same memory, ours */
	u32 is_in_ioctl;
	u8 *epc; /* all of it, readable and writable */
	struct emu_page *pages;
	u8 *has_pages; /* per 512 pages */
	struct emu_vma *vmas;
	u64 vma_count;
	u64 size;
	u64 hidden_start, hidden_end; /* a scenario: mapped, but not there */
	struct sgx_secs secs;
	struct sgx_measure measure;
};

/* What an access found. */
struct emu_fault {
	u32 vector; /* SGX_VECTOR_PF, SGX_VECTOR_GP */
	u32 error;
	u64 address;
};
#define PF_PRESENT 0x1u
#define PF_WRITE   0x2u
#define PF_USER	   0x4u
#define PF_FETCH   0x10u
#define PF_SGX	   0x8000u

void emu_lock(void);
void emu_unlock(void);

struct emu_enclave *emu_enclave_new(s32 fd);
struct emu_enclave *emu_enclave_of_fd(s32 fd);
struct emu_enclave *emu_enclave_at(u64 address); /* created ones; NULL */
s64 emu_enclave_create(struct emu_enclave *e, u64 size);
void emu_enclave_put(struct emu_enclave *e); /* frees it when nothing refers to it any more */

static inline struct emu_page *emu_page_of(struct emu_enclave *e, u64 offset)
{
	return &e->pages[offset / PAGE_SIZE];
}
/* Fills the entry in and lets mappings show it. The bytes are the caller's. */
void emu_page_set(struct emu_enclave *e, u64 offset, struct emu_page page);
void emu_page_remove(struct emu_enclave *e, u64 offset);
/* The next offset in [offset, end) with a page, or end. */
u64 emu_page_next(struct emu_enclave *e, u64 offset, u64 end);

/* Mappings. Offsets are of the enclave; sizes and places are whole pages within it. */
s64 emu_vma_map(struct emu_enclave *e, u64 offset, u64 size, u32 rights);
s64 emu_vma_protect(struct emu_enclave *e, u64 offset, u64 size, u32 rights);
void emu_vma_unmap(struct emu_enclave *e, u64 offset, u64 size);
/* Brings the host's page tables up to date in [start, end). */
void emu_show(struct emu_enclave *e, u64 start, u64 end);
const struct emu_vma *emu_vma_find(const struct emu_enclave *e, u64 offset); /* or NULL */

/* May the enclave do this? False: *ret says how it fails. One page only. */
bool emu_may_access(struct emu_enclave *e, u64 address, u32 rights, struct emu_fault *ret);
/* A page fault that the driver resolves by EAUG. */
bool emu_resolve(struct emu_enclave *e, const struct emu_fault *fault);
/* Bytes of enclave memory, any number of pages; checked like the enclave's own access. */
bool emu_read(struct emu_enclave *e, u64 address, void *to, u64 size, struct emu_fault *ret);
bool emu_write(struct emu_enclave *e, u64 address, const void *from, u64 size,
	       struct emu_fault *ret);

/* ---- threads --------------------------------------------------------------------------------- */

struct inner_thread;

struct emu_thread {
	struct inner_thread *key;
	struct emu_enclave *enclave; /* in enclave mode; NULL outside */
	u64 tcs;		     /* offset */
	u64 host_fs, host_gs;
	u64 host_mask;
	struct linux_stack host_stack;
	u64 stack_base, stack_size; /* of the thread's alternate stack; 0: it has none */
	u64 random;
	u64 entries;
	u32 is_handling;

	/* interrupts */
	s32 timer;
	bool has_timer, timer_is_armed;
	u32 steps_left;
	bool is_stepping; /* TF is ours */
	bool program_tf;  /* what TF would be without us */
	bool steps_pushf; /* this step pushes flags */
	bool steps_popf;
	u32 storms; /* entries under way that the host made for nothing */
};

/* Kept in the TCS page, where the CPU has room for its own. */
#define EMU_TCS_STATE 2048
struct emu_tcs_state {
	struct {
		u64 host_sp, host_bp;	/* at EENTER */
		u64 shown_sp, shown_bp; /* what the enclave saw */
	} level[8];
	u64 exits; /* the slot is no fresh one */
};

struct emu_thread *emu_thread_of(struct inner_thread *key);
u64 emu_random(struct emu_thread *t);
bool emu_chance(struct emu_thread *t, u32 permille);
u64 emu_random_shared(void); /* under the lock, or in the driver */

/* ---- enclave mode ---------------------------------------------------------------------------- */

/* True: done. False: *ret_fault is what the host sees at its ENCLU. */
bool emu_eenter(struct emu_thread *t, struct linux_ucontext *uc, struct emu_fault *ret_fault);
bool emu_eresume(struct emu_thread *t, struct linux_ucontext *uc, struct emu_fault *ret_fault);
void emu_eexit(struct emu_thread *t, struct linux_ucontext *uc);

/* An asynchronous exit. `exitinfo` 0: an interrupt. */
void emu_aex(struct emu_thread *t, struct linux_ucontext *uc, u32 exitinfo,
	     const struct emu_fault *fault);

/* EREPORT EGETKEY EACCEPT EMODPE EACCEPTCOPY. True: done, RIP is past it. */
bool emu_leaf(struct emu_thread *t, struct linux_ucontext *uc, struct emu_fault *ret_fault);

/* poison.c */
void emu_poison(struct emu_thread *t, struct linux_ucontext *uc, struct emu_tcs_state *state,
		u32 cssa);
void emu_check_exit(struct emu_thread *t, struct linux_ucontext *uc);
void emu_init_xstate(struct linux_ucontext *uc);
u8 *emu_xstate(struct linux_ucontext *uc, u64 *ret_features, u32 *ret_size);

/* inject.c */
void emu_inject_start(struct emu_thread *t);
void emu_inject_entered(struct emu_thread *t, struct linux_ucontext *uc);
void emu_inject_left(struct emu_thread *t, struct linux_ucontext *uc);
/* A leaf was emulated while stepping: it was one instruction. */
void emu_leaf_done(struct emu_thread *t, struct linux_ucontext *uc);
void emu_step_done(struct emu_thread *t, struct linux_ucontext *uc);
#define EMU_TIMER_SIGNAL 42

/* scenario.c: the host has something in mind. */
void emu_scenario_at_entry(struct emu_thread *t, struct linux_ucontext *uc);
void emu_scenario_at_fault(struct emu_enclave *e, const struct emu_fault *fault);
bool emu_scenario_storms(struct emu_thread *t, const struct linux_ucontext *uc);

/* emu_outer.c: EINIT's look at the signature, by OpenSSL. 0 or enum sgx_error. */
u32 emu_einit_check(const struct sgx_sigstruct *sig, const struct sgx_secs *secs,
		    const u8 mrenclave[SGX_HASH_SIZE]);

/* ---- the rest -------------------------------------------------------------------------------- */

extern struct sgx_sim_cpu emu_cpu;

s64 emu_syscall(u64 number, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6);
#define emu_call(n, a, b, c, d, e, f)                                                              \
	emu_syscall(n, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e), (u64)(f))

void emu_die(const char *format, ...) __printf(1, 2) __noreturn;

static inline void emu_count(u64 *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}
