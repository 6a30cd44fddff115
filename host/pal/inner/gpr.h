/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers between a signal frame and the GPRSGX of an SSA frame, as an asynchronous exit and
 * ERESUME move them: for the simulation, and for the machine of tests/emu.
 */
#pragma once

#include "host/pal/inner/linux.h"
#include "lib/sgx/sgx.h"

static inline u64 base_of_fs(void)
{
	u64 base;

	__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

static inline u64 base_of_gs(void)
{
	u64 base;

	__asm__ volatile("rdgsbase %0" : "=r"(base));
	return base;
}

static inline void set_bases(u64 fs, u64 gs)
{
	__asm__ volatile("wrfsbase %0\n\twrgsbase %1" : : "r"(fs), "r"(gs));
}

/* The names are the same on both sides. */
#define GPR_EACH(move)                                                                             \
	move(rax) move(rcx) move(rdx) move(rbx) move(rsp) move(rbp) move(rsi) move(rdi) move(r8)   \
		move(r9) move(r10) move(r11) move(r12) move(r13) move(r14) move(r15) move(rflags)  \
			move(rip)

static inline void gpr_save(struct sgx_gpr *g, const struct linux_ucontext *uc)
{
#define GPR_SAVE(r) g->r = uc->r;
	GPR_EACH(GPR_SAVE)
#undef GPR_SAVE
	g->fsbase = base_of_fs();
	g->gsbase = base_of_gs();
}

static inline void gpr_load(const struct sgx_gpr *g, struct linux_ucontext *uc)
{
#define GPR_LOAD(r) uc->r = g->r;
	GPR_EACH(GPR_LOAD)
#undef GPR_LOAD
	set_bases(g->fsbase, g->gsbase);
}
