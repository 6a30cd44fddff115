/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Into enclave mode and out of it: EENTER, ERESUME, EEXIT and the asynchronous exit, by editing the
 * registers of a signal frame. The extended state moves between the frame's XSAVE image and the SSA
 * in the standard format.
 *
 * While a thread is inside, its alternate stack is not the one that a handler of the PAL may be
 * running on: an entry from within a handler (for an exception) gets what is left below that
 * handler's frames, so that signals inside do not overwrite them. Signal stacks of enclave threads
 * are SS_AUTODISARM for this; the kernel takes the next one from the frame.
 */
#include "host/pal/inner/gpr.h"
#include "lib/base/string.h"
#include "tests/emu/emu_priv.h"

#define SS_DISABLE_    2
#define SS_AUTODISARM_ (1 << 31)
#define FLAG_TF_       0x100ull
#define FLAGS_CLEARED  0x108d5ull /* CF PF AF ZF SF OF RF: what an AEX clears */
#define XSAVE_SOFTWARE 464	  /* bytes of the legacy area that are the kernel's in a frame */
#define XSAVE_HEADER   512
#define MXCSR_AT       24
#define MXCSR_RESERVED 0xffff0000u
#define STACK_MIN      16384
#define ENCLU_SIZE     3

static bool gp(struct emu_fault *ret)
{
	*ret = (struct emu_fault){.vector = SGX_VECTOR_GP};
	return false;
}

static struct sgx_tcs *tcs_of(struct emu_enclave *e, u64 offset)
{
	return (struct sgx_tcs *)(e->epc + offset);
}

static struct emu_tcs_state *tcs_state(struct emu_enclave *e, u64 offset)
{
	return (struct emu_tcs_state *)(e->epc + offset + EMU_TCS_STATE);
}

static bool is_canonical(u64 address)
{
	return (u64)((s64)(address << 16) >> 16) == address;
}

/* Offset of SSA[n], all of whose pages are there. */
static bool ssa_frame(struct emu_enclave *e, const struct sgx_tcs *tcs, u32 n, u64 *ret_offset,
		      struct emu_fault *ret)
{
	u64 size = e->secs.ssa_frame_pages * PAGE_SIZE, at = tcs->ossa + n * size;

	if (at >= e->size || size > e->size - at)
		return gp(ret);
	for (u64 i = 0; i < size; i += PAGE_SIZE) {
		if (!emu_may_access(e, e->secs.base + at + i, EMU_READ | EMU_WRITE, ret))
			return false;
	}
	*ret_offset = at;
	return true;
}

static struct sgx_gpr *gpr_of(struct emu_enclave *e, u64 frame)
{
	return (struct sgx_gpr *)(e->epc + frame + SGX_SSA_GPR_OFFSET(e->secs.ssa_frame_pages));
}

/* What EENTER and ERESUME have in common: *ret_tcs may be entered. */
static bool check_tcs(const struct linux_ucontext *uc, struct emu_enclave **ret_enclave,
		      struct sgx_tcs **ret_tcs, struct emu_fault *ret)
{
	struct emu_enclave *e = emu_enclave_at(uc->rbx);
	const struct emu_page *page;
	const struct emu_vma *vma;
	struct sgx_tcs *tcs;
	u64 offset;

	if (!IS_ALIGNED(uc->rbx, PAGE_SIZE) || !is_canonical(uc->rcx))
		return gp(ret);
	*ret = (struct emu_fault){SGX_VECTOR_PF, PF_USER, uc->rbx};
	if (!e)
		return false;
	offset = uc->rbx - e->secs.base;
	vma = emu_vma_find(e, offset);
	page = emu_page_of(e, offset);
	if (!vma || (vma->rights & (EMU_READ | EMU_WRITE)) != (EMU_READ | EMU_WRITE))
		return false;
	if (!(page->flags & EMU_PAGE_VALID))
		return false;
	ret->error |= PF_PRESENT | PF_SGX;
	if (page->type != EMU_TYPE_TCS || page->flags & (EMU_PAGE_PENDING | EMU_PAGE_MODIFIED))
		return false;
	tcs = tcs_of(e, offset);
	if (!e->is_initialised || tcs->state || tcs->flags & ~1ull ||
	    !IS_ALIGNED(tcs->ossa, PAGE_SIZE) || !IS_ALIGNED(tcs->ofsbase, PAGE_SIZE) ||
	    !IS_ALIGNED(tcs->ogsbase, PAGE_SIZE) || tcs->oentry >= e->size)
		return gp(ret);
	*ret_enclave = e;
	*ret_tcs = tcs;
	return true;
}

/*
 * The alternate stack and the mask of signals for the time inside. While the host's idea of an
 * exception is under way (a scenario) the PAL knows nothing of it, so its kicks wait.
 */
static void enter_signals(struct emu_thread *t, struct linux_ucontext *uc)
{
	u64 base = t->stack_base, here = ALIGN_DOWN(uc->rsp - 256, 64ul);

	t->host_mask = uc->sigmask;
	t->host_stack = uc->stack;
	uc->sigmask &= ~emu_signals;
	if (t->storms)
		uc->sigmask |= ~(SYNC_SIGNALS | emu_signals);
	if (!(uc->stack.flags & SS_DISABLE_) || here - base >= t->stack_size)
		return;
	if (here - base < STACK_MIN)
		emu_die("signal handlers are nested too deep");
	uc->stack = (struct linux_stack){
		.sp = (void *)base, .flags = SS_AUTODISARM_, .size = here - base};
}

static void enter(struct emu_thread *t, struct linux_ucontext *uc, struct emu_enclave *e,
		  struct sgx_tcs *tcs)
{
	t->host_fs = base_of_fs();
	t->host_gs = base_of_gs();
	t->tcs = uc->rbx - e->secs.base;
	tcs->state = 1;
	tcs->aep = uc->rcx;
	t->enclave = e;
	enter_signals(t, uc);
	uc->cs = 0x33;
	uc->ss = 0x2b;
}

static void leave(struct emu_thread *t, struct linux_ucontext *uc)
{
	tcs_of(t->enclave, t->tcs)->state = 0;
	emu_inject_left(t, uc);
	set_bases(t->host_fs, t->host_gs);
	uc->sigmask = t->host_mask;
	uc->stack = t->host_stack;
	uc->cs = 0x33;
	uc->ss = 0x2b;
	t->enclave = NULL;
}

bool emu_eenter(struct emu_thread *t, struct linux_ucontext *uc, struct emu_fault *ret_fault)
{
	struct emu_enclave *e;
	struct emu_tcs_state *state;
	struct sgx_tcs *tcs;
	struct sgx_gpr *gpr;
	u64 frame;
	u32 cssa;

	if (!check_tcs(uc, &e, &tcs, ret_fault))
		return false;
	cssa = tcs->cssa;
	if (cssa >= tcs->nssa || cssa >= ARRAY_SIZE(state->level))
		return gp(ret_fault);
	if (!ssa_frame(e, tcs, cssa, &frame, ret_fault))
		return false;
	enter(t, uc, e, tcs);
	gpr = gpr_of(e, frame);
	gpr->ursp = uc->rsp;
	gpr->urbp = uc->rbp;
	state = tcs_state(e, t->tcs);
	state->level[cssa].host_sp = state->level[cssa].shown_sp = uc->rsp;
	state->level[cssa].host_bp = state->level[cssa].shown_bp = uc->rbp;
	set_bases(e->secs.base + tcs->ofsbase, e->secs.base + tcs->ogsbase);
	uc->rax = cssa;
	uc->rcx = uc->rip + ENCLU_SIZE;
	uc->rip = e->secs.base + tcs->oentry;
	if (!emu_config.tame)
		emu_poison(t, uc, state, cssa);
	emu_count(cssa ? &emu_stats.eenter_nested : &emu_stats.eenter);
	emu_inject_entered(t, uc);
	return true;
}

void emu_eexit(struct emu_thread *t, struct linux_ucontext *uc)
{
	struct sgx_tcs *tcs = tcs_of(t->enclave, t->tcs);
	struct emu_tcs_state *state = tcs_state(t->enclave, t->tcs);
	u32 cssa = MIN(tcs->cssa, (u32)ARRAY_SIZE(state->level) - 1);

	emu_check_exit(t, uc);
	if (uc->rsp == state->level[cssa].shown_sp)
		uc->rsp = state->level[cssa].host_sp;
	if (uc->rbp == state->level[cssa].shown_bp)
		uc->rbp = state->level[cssa].host_bp;
	uc->rip = uc->rbx;
	uc->rcx = tcs->aep;
	state->exits++;
	leave(t, uc);
	emu_count(&emu_stats.eexit);
}

/* XSAVE of the enclave's components to the SSA. */
static void xstate_save(const struct emu_enclave *e, struct linux_ucontext *uc, u8 *to)
{
	u64 features, header;
	u32 size;
	const u8 *from = emu_xstate(uc, &features, &size);

	memcpy(to, from, XSAVE_SOFTWARE);
	memset(to + XSAVE_SOFTWARE, 0, XSAVE_HEADER - XSAVE_SOFTWARE);
	memcpy(&header, from + XSAVE_HEADER, sizeof(header));
	header &= e->secs.attributes.xfrm;
	memset(to + XSAVE_HEADER, 0, 64);
	memcpy(to + XSAVE_HEADER, &header, sizeof(header));
	size = MIN(size, (u32)SGX_SSA_EXINFO_OFFSET(e->secs.ssa_frame_pages));
	if (header & ~SGX_XFRM_LEGACY)
		memcpy(to + XSAVE_HEADER + 64, from + XSAVE_HEADER + 64, size - XSAVE_HEADER - 64);
}

/* XRSTOR from there; false: what lies there would fault. */
static bool xstate_load(const struct emu_enclave *e, struct linux_ucontext *uc, const u8 *from)
{
	u64 features, header[8];
	u32 size, mxcsr;
	u8 *to = emu_xstate(uc, &features, &size);

	memcpy(header, from + XSAVE_HEADER, sizeof(header));
	memcpy(&mxcsr, from + MXCSR_AT, sizeof(mxcsr));
	if (header[0] & ~e->secs.attributes.xfrm || !mem_is_zero(&header[1], 56) ||
	    mxcsr & MXCSR_RESERVED)
		return false;
	size = MIN(size, (u32)SGX_SSA_EXINFO_OFFSET(e->secs.ssa_frame_pages));
	memcpy(to, from, XSAVE_SOFTWARE);
	memcpy(to + XSAVE_HEADER, from + XSAVE_HEADER, size - XSAVE_HEADER);
	return true;
}

void emu_aex(struct emu_thread *t, struct linux_ucontext *uc, u32 exitinfo,
	     const struct emu_fault *fault)
{
	struct emu_enclave *e = t->enclave;
	struct sgx_tcs *tcs = tcs_of(e, t->tcs);
	struct sgx_exinfo *exinfo;
	struct emu_fault lost;
	struct sgx_gpr *gpr;
	u64 frame, aep = tcs->aep, at = uc->rip - e->secs.base;

	if (!ssa_frame(e, tcs, tcs->cssa, &frame, &lost))
		emu_die("the SSA of a running thread was taken away");
	for (size_t i = 0; i < ARRAY_SIZE(emu_config.ranges); i++) {
		if (at >= emu_config.ranges[i].start && at < emu_config.ranges[i].end)
			emu_count(&emu_stats.aex_in_range[i]);
	}
	if (tcs->cssa)
		emu_count(&emu_stats.aex_nested);
	emu_count(exitinfo & SGX_EXIT_VALID ? &emu_stats.aex_fault[exitinfo & 31]
					    : &emu_stats.aex_interrupt);
	emu_inject_left(t, uc);
	gpr = gpr_of(e, frame);
	gpr_save(gpr, uc);
	gpr->exitinfo = exitinfo;
	memset(gpr->rsv, 0, sizeof(gpr->rsv));
	if (e->secs.miscselect & SGX_MISC_EXINFO) {
		u32 vector = SGX_EXIT_VECTOR(exitinfo);

		exinfo = (struct sgx_exinfo *)gpr - 1;
		*exinfo = (struct sgx_exinfo){0};
		if (exitinfo && (vector == SGX_VECTOR_PF || vector == SGX_VECTOR_GP)) {
			exinfo->maddr = fault->address;
			exinfo->errcd = fault->error;
		}
	}
	xstate_save(e, uc, e->epc + frame);
	tcs->cssa++;
	leave(t, uc);
	/* The synthetic state: nothing of the enclave. */
	uc->rax = 3;
	uc->rbx = e->secs.base + t->tcs;
	uc->rcx = aep;
	uc->rip = aep;
	uc->rsp = gpr->ursp;
	uc->rbp = gpr->urbp;
	uc->rdx = uc->rsi = uc->rdi = uc->r8 = uc->r9 = uc->r10 = uc->r11 = 0;
	uc->r12 = uc->r13 = uc->r14 = uc->r15 = 0;
	uc->rflags = (uc->rflags & ~(FLAGS_CLEARED | FLAG_TF_)) | 2;
	emu_init_xstate(uc);
}

bool emu_eresume(struct emu_thread *t, struct linux_ucontext *uc, struct emu_fault *ret_fault)
{
	struct emu_enclave *e;
	struct sgx_tcs *tcs;
	struct sgx_gpr *gpr;
	u64 frame, host_sp = uc->rsp, host_bp = uc->rbp;

	if (!check_tcs(uc, &e, &tcs, ret_fault))
		return false;
	if (!tcs->cssa)
		return gp(ret_fault);
	if (!ssa_frame(e, tcs, tcs->cssa - 1, &frame, ret_fault))
		return false;
	gpr = gpr_of(e, frame);
	if (!is_canonical(gpr->rip) || !is_canonical(gpr->fsbase) || !is_canonical(gpr->gsbase) ||
	    !xstate_load(e, uc, e->epc + frame))
		return gp(ret_fault);
	enter(t, uc, e, tcs);
	tcs->cssa--;
	gpr_load(gpr, uc);
	gpr->ursp = host_sp;
	gpr->urbp = host_bp;
	emu_count(&emu_stats.eresume);
	emu_inject_entered(t, uc);
	return true;
}
