// SPDX-License-Identifier: Apache-2.0
/*
 * Signal frames on the user's stack, byte for byte those of x86-64 Linux: libcs, unwinders and
 * language runtimes read and change them.
 *
 *   high   ...interrupted stack, 128 bytes of red zone skipped (not on the alternate stack)
 *          FP_XSTATE_MAGIC2
 *   fpstate: XSAVE area, standard format, 64-byte aligned; struct abi_fpx_software in its
 *          bytes 464-511
 *   struct abi_rt_sigframe: siginfo, ucontext, return address   <- rsp, 8 mod 16
 *
 * On the way back everything is copied once and then checked: flags and MXCSR are masked, the
 * XSAVE header must be one the CPU takes, CS, SS and PKRU of the frame are not used at all.
 */
#include "abi/errno.h"
#include "abi/signal.h"
#include "kernel/arch/arch.h"
#include "kernel/core/kmem.h"
#include "kernel/mm/uaccess.h"
#include "kernel/signal/signal_priv.h"
#include "lib/base/string.h"

#define RED_ZONE	  128
#define USER_CS		  0x33
#define USER_SS		  0x2b
#define RFLAGS_OF_PROGRAM 0x40cd5ull /* CF PF AF ZF SF DF OF AC */
#define RFLAGS_ALWAYS	  0x202ull   /* IF and the bit that is always one */
#define RFLAGS_DF	  0x400ull
#define RFLAGS_TF_RF	  0x10100ull
#define MXCSR_MASK	  0xffffu
#define XFEATURE_PKRU	  (1ull << 9)
#define XFEATURES_LEGACY  3ull
#define CANONICAL_END	  (1ull << 47)
#define XSTATE_ALIGNMENT  64

/* Kernel memory for one XSAVE area, aligned within a larger block. */
struct xstate_buffer {
	void *block;
	u8 *area;
};

static int xstate_buffer_new(struct xstate_buffer *ret)
{
	ret->block = kzalloc(arch_xstate_size() + XSTATE_ALIGNMENT);
	if (!ret->block)
		return -ENOMEM;
	ret->area = (u8 *)ALIGN_UP((uintptr_t)ret->block, (uintptr_t)XSTATE_ALIGNMENT);
	return 0;
}

static bool is_on_altstack(const struct thread *t, u64 sp)
{
	if (t->altstack_flags & SS_AUTODISARM)
		return false;
	return sp > t->altstack_sp && sp - t->altstack_sp <= t->altstack_size;
}

/* Where the frame may end (its high end), or 0 when the alternate stack has overflowed. */
static u64 frame_top(const struct thread *t, u64 sp, u64 flags)
{
	bool nested = is_on_altstack(t, sp);

	sp -= RED_ZONE;
	if ((flags & SA_ONSTACK) && t->altstack_size && !nested)
		return t->altstack_sp + t->altstack_size;
	if (nested && !is_on_altstack(t, sp))
		return 0;
	return sp;
}

static int push_xstate(u64 at)
{
	struct xstate_buffer xstate;
	struct abi_fpx_software software = {
		.magic1 = FP_XSTATE_MAGIC1,
		.extended_size = (u32)arch_xstate_size() + FP_XSTATE_MAGIC2_SIZE,
		.xfeatures = arch_xstate_mask(),
		.xstate_size = (u32)arch_xstate_size(),
	};
	u64 header;
	int err = xstate_buffer_new(&xstate);

	if (err)
		return err;
	arch_xstate_save(xstate.area);
	/* Legacy state is always meant: debuggers and fxsave users look at it unconditionally. */
	memcpy(&header, xstate.area + XSAVE_HEADER_OFFSET, sizeof(header));
	header |= XFEATURES_LEGACY;
	memcpy(xstate.area + XSAVE_HEADER_OFFSET, &header, sizeof(header));
	memcpy(xstate.area + FXSAVE_SOFTWARE_OFFSET, &software, sizeof(software));
	err = copy_to_user((void __user *)at, xstate.area, arch_xstate_size());
	if (!err)
		err = put_user_u32((void __user *)(at + arch_xstate_size()), FP_XSTATE_MAGIC2);
	kfree(xstate.block);
	return err;
}

static void fill_ucontext(struct abi_ucontext *uc, const struct thread *t,
			  const struct user_regs *regs, u64 fpstate, sigset_k old_mask)
{
	struct abi_sigcontext *c = &uc->context;

	memset(uc, 0, sizeof(*uc));
	uc->flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	uc->stack.sp = t->altstack_sp;
	uc->stack.size = t->altstack_size;
	uc->stack.flags =
		(s32)((t->altstack_size ? 0 : SS_DISABLE) | (t->altstack_flags & SS_AUTODISARM));
	if (is_on_altstack(t, regs->rsp))
		uc->stack.flags |= SS_ONSTACK;
	uc->mask = old_mask;
	c->r8 = regs->r8;
	c->r9 = regs->r9;
	c->r10 = regs->r10;
	c->r11 = regs->r11;
	c->r12 = regs->r12;
	c->r13 = regs->r13;
	c->r14 = regs->r14;
	c->r15 = regs->r15;
	c->rdi = regs->rdi;
	c->rsi = regs->rsi;
	c->rbp = regs->rbp;
	c->rbx = regs->rbx;
	c->rdx = regs->rdx;
	c->rax = regs->rax;
	c->rcx = regs->rcx;
	c->rsp = regs->rsp;
	c->rip = regs->rip;
	c->rflags = regs->rflags;
	c->cs = USER_CS;
	c->ss = USER_SS;
	c->error_code = t->fault_code;
	c->trap_number = t->fault_trap;
	c->cr2 = t->fault_address;
	c->old_mask = old_mask;
	c->fpstate = fpstate;
}

int signal_frame_push(struct user_regs *regs, const struct signal_info *info,
		      const struct sigaction_k *action, sigset_k old_mask)
{
	struct thread *t = current_thread();
	struct abi_rt_sigframe frame;
	u64 top = frame_top(t, regs->rsp, action->flags);
	u64 fpstate, at;

	if (!top || !(action->flags & SA_RESTORER))
		return -EFAULT;
	fpstate =
		ALIGN_DOWN(top - arch_xstate_size() - FP_XSTATE_MAGIC2_SIZE, (u64)XSTATE_ALIGNMENT);
	at = ALIGN_DOWN(fpstate - sizeof(frame), 16ull) - 8;
	if (at >= CANONICAL_END || (is_on_altstack(t, top) && !is_on_altstack(t, at)))
		return -EFAULT;

	fill_ucontext(&frame.uc, t, regs, fpstate, old_mask);
	frame.return_address = action->restorer;
	signal_info_to_abi(&frame.info, info);
	if (push_xstate(fpstate) || copy_to_user((void __user *)at, &frame, sizeof(frame)))
		return -EFAULT;

	if (t->altstack_flags & SS_AUTODISARM) {
		t->altstack_sp = 0;
		t->altstack_size = 0;
		t->altstack_flags = SS_DISABLE;
	}
	regs->rdi = (u64)info->signo;
	regs->rsi = at + offsetof(struct abi_rt_sigframe, info);
	regs->rdx = at + offsetof(struct abi_rt_sigframe, uc);
	regs->rax = 0;
	regs->rsp = at;
	regs->rip = action->handler;
	regs->rflags &= ~(RFLAGS_DF | RFLAGS_TF_RF);
	regs->orig_rax = UINT64_MAX;
	__atomic_or_fetch(&t->work, WORK_RESTORE, __ATOMIC_RELAXED);
	return 0;
}

/* A frame without our marks: the 512 bytes of FXSAVE alone, the rest in its initial state. */
static bool is_extended(const struct abi_fpx_software *software, u64 at)
{
	u32 magic2;

	return software->magic1 == FP_XSTATE_MAGIC1 &&
	       software->xstate_size == arch_xstate_size() &&
	       software->extended_size == arch_xstate_size() + FP_XSTATE_MAGIC2_SIZE &&
	       !get_user_u32(&magic2, (const void __user *)(at + arch_xstate_size())) &&
	       magic2 == FP_XSTATE_MAGIC2;
}

static int pop_xstate(u64 at)
{
	struct xstate_buffer xstate;
	struct abi_fpx_software software;
	u64 components;
	u32 mxcsr;
	int err;

	if (!at) {
		arch_xstate_reset();
		return 0;
	}
	err = xstate_buffer_new(&xstate);
	if (err)
		return err;
	err = -EFAULT;
	if (copy_from_user(xstate.area, (const void __user *)at, FXSAVE_SIZE))
		goto out;
	memcpy(&software, xstate.area + FXSAVE_SOFTWARE_OFFSET, sizeof(software));
	components = XFEATURES_LEGACY;
	if (is_extended(&software, at)) {
		if (copy_from_user(xstate.area + FXSAVE_SIZE,
				   (const void __user *)(at + FXSAVE_SIZE),
				   arch_xstate_size() - FXSAVE_SIZE))
			goto out;
		memcpy(&components, xstate.area + XSAVE_HEADER_OFFSET, sizeof(components));
		components &= software.xfeatures;
	}
	components &= ~XFEATURE_PKRU;
	memcpy(xstate.area + XSAVE_HEADER_OFFSET, &components, sizeof(components));
	memcpy(&mxcsr, xstate.area + FXSAVE_MXCSR_OFFSET, sizeof(mxcsr));
	mxcsr &= MXCSR_MASK;
	memcpy(xstate.area + FXSAVE_MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
	if (!arch_xstate_is_valid(xstate.area, arch_xstate_size()))
		goto out;
	arch_xstate_restore(xstate.area);
	err = 0;
out:
	kfree(xstate.block);
	return err;
}

static int restore(struct user_regs *regs)
{
	struct thread *t = current_thread();
	struct abi_ucontext uc;
	const struct abi_sigcontext *c = &uc.context;
	u64 at = regs->rsp - 8 + offsetof(struct abi_rt_sigframe, uc);

	if (copy_from_user(&uc, (const void __user *)at, sizeof(uc)))
		return -EFAULT;
	if (c->rip >= CANONICAL_END || pop_xstate(c->fpstate))
		return -EFAULT;
	signal_set_blocked(uc.mask);
	regs->r8 = c->r8;
	regs->r9 = c->r9;
	regs->r10 = c->r10;
	regs->r11 = c->r11;
	regs->r12 = c->r12;
	regs->r13 = c->r13;
	regs->r14 = c->r14;
	regs->r15 = c->r15;
	regs->rdi = c->rdi;
	regs->rsi = c->rsi;
	regs->rbp = c->rbp;
	regs->rbx = c->rbx;
	regs->rdx = c->rdx;
	regs->rax = c->rax;
	regs->rcx = c->rcx;
	regs->rsp = c->rsp;
	regs->rip = c->rip;
	regs->rflags = (c->rflags & RFLAGS_OF_PROGRAM) | RFLAGS_ALWAYS;
	/* As on Linux, a bad alternate stack in the frame is not an error. */
	if (!is_on_altstack(t, regs->rsp)) {
		bool disable = (uc.stack.flags & SS_DISABLE) || uc.stack.size < ABI_MINSIGSTKSZ;

		t->altstack_sp = disable ? 0 : uc.stack.sp;
		t->altstack_size = disable ? 0 : uc.stack.size;
		t->altstack_flags = disable ? SS_DISABLE : (u32)uc.stack.flags & SS_AUTODISARM;
	}
	return 0;
}

long signal_return(struct user_regs *regs)
{
	struct thread *t = current_thread();

	if (restore(regs)) {
		const struct signal_info info = {.signo = SIGSEGV, .code = SI_KERNEL};

		signal_fault(&info, regs);
	}
	regs->orig_rax = UINT64_MAX;
	__atomic_or_fetch(&t->work, WORK_RESTORE, __ATOMIC_RELAXED);
	return (long)regs->rax;
}
