/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a signal on an enclave thread means: an ENCLU, an exception or an interrupt of the enclave,
 * or nothing of ours. The contract is in host/pal/outer/sgx_driver.h.
 *
 * Not shown, because nothing traps here: CPUID inside where the machine has no CPUID faulting,
 * reads of enclave memory from outside (the abort page), jumps out of the enclave to code that
 * exists, far jumps.
 */
#include "edge/enclave.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"
#include "tests/emu/emu_priv.h"

#define LEAF_EENTER   2
#define LEAF_ERESUME  3
#define LEAF_EEXIT    4
#define TRAP_TRACE_   2 /* si_code of a single step */
#define NR_exit_group 231
#define EXIT_EMULATOR 99

struct emu_config emu_config __attribute__((visibility("default")));
struct emu_stats emu_stats __attribute__((visibility("default")));

void emu_die(const char *format, ...)
{
	char text[256];
	va_list args;
	int len;

	va_start(args, format);
	len = fmt_snprintf(text, sizeof(text), "emulated SGX: ");
	len += fmt_vsnprintf(text + len, sizeof(text) - (size_t)len, format, args);
	va_end(args);
	len = MIN(len, (int)sizeof(text) - 2);
	text[len++] = '\n';
	emu_call(NR_write, 2, text, len, 0, 0, 0);
	for (;;)
		emu_call(NR_exit_group, EXIT_EMULATOR, 0, 0, 0, 0, 0);
}

static bool is_enclu(const u8 *code)
{
	return code[0] == 0x0f && code[1] == 0x01 && code[2] == 0xd7;
}

/* The kernel's part: a fault at `rip`, which is an ENCLU outside. True: nothing is left to do. */
static bool show_fault(struct linux_ucontext *uc, struct linux_siginfo *info,
		       const struct emu_fault *fault)
{
	bool is_signal = fault->vector == SGX_VECTOR_DB || fault->vector == SGX_VECTOR_BP;

	if (uc->rip == (u64)emu_enter_enclu && !is_signal && !emu_config.no_entry_function) {
		uc->rip = (u64)emu_enter_fixup;
		uc->rdi = fault->vector;
		uc->rsi = fault->error;
		uc->rdx = ALIGN_DOWN(fault->address, PAGE_SIZE);
		return true;
	}
	uc->trapno = fault->vector;
	uc->err = fault->error;
	uc->cr2 = ALIGN_DOWN(fault->address, PAGE_SIZE);
	info->fault.address = uc->cr2;
	return false;
}

/* ENCLU outside. */
static bool outside_leaf(struct emu_thread *t, struct linux_ucontext *uc,
			 struct linux_siginfo *info)
{
	struct emu_fault fault = {.vector = SGX_VECTOR_GP};
	bool ok = false;

	if ((u32)uc->rax == LEAF_EENTER) {
		emu_scenario_at_entry(t, uc);
		ok = emu_eenter(t, uc, &fault);
	} else if ((u32)uc->rax == LEAF_ERESUME) {
		ok = emu_eresume(t, uc, &fault);
	}
	if (ok)
		return true;
	emu_count(&emu_stats.host_faults);
	return show_fault(uc, info, &fault);
}

/*
 * An interrupt has been handled by the kernel: back to the AEP, where ERESUME waits. It is not
 * always worth the trap to get there.
 */
static void resume(struct emu_thread *t, struct linux_ucontext *uc)
{
	struct emu_fault ignored;

	if (t->storms || !emu_chance(t, emu_config.long_way_permille))
		(void)emu_eresume(t, uc, &ignored);
}

static void interrupt(struct emu_thread *t, struct linux_ucontext *uc)
{
	struct emu_fault ignored;

	emu_aex(t, uc, 0, NULL);
	if (!emu_scenario_storms(t, uc)) {
		resume(t, uc);
		return;
	}
	/* Instead of ERESUME: the host enters for an exception that did not happen. */
	uc->rdi = uc->rsi = uc->rdx = emu_random(t);
	t->storms++;
	if (!emu_eenter(t, uc, &ignored)) {
		t->storms--;
		resume(t, uc);
	}
}

static void exit_inside(struct emu_thread *t, struct linux_ucontext *uc)
{
	struct emu_fault ignored;
	u64 tcs = t->enclave->secs.base + t->tcs;

	emu_eexit(t, uc);
	if (!t->storms)
		return;
	t->storms--;
	if (uc->rdi != EXIT_EXCEPTION_DONE)
		return;
	uc->rbx = tcs;
	if (!emu_eresume(t, uc, &ignored))
		emu_die("no way back after an exception");
}

/* An exception of the enclave. */
static bool exception(struct emu_thread *t, struct linux_ucontext *uc, struct linux_siginfo *info,
		      const struct emu_fault *fault)
{
	u32 type = fault->vector == SGX_VECTOR_BP ? SGX_EXIT_SOFTWARE : SGX_EXIT_HARDWARE;
	struct emu_enclave *e = t->enclave;
	bool shows_all = e->secs.miscselect & SGX_MISC_EXINFO;
	u32 exitinfo = SGX_EXIT_VALID | type | fault->vector;

	if (!shows_all && (fault->vector == SGX_VECTOR_PF || fault->vector == SGX_VECTOR_GP))
		exitinfo = 0;
	emu_aex(t, uc, exitinfo, fault);
	if (fault->vector == SGX_VECTOR_PF && emu_resolve(e, fault)) {
		resume(t, uc);
		return true;
	}
	emu_scenario_at_fault(e, fault);
	return show_fault(uc, info, fault);
}

/* #GP of the host's CPU where an enclave gets #UD: IN, OUT, INT n and their kind. */
static u32 vector_of_gp(struct emu_thread *t, u64 rip)
{
	struct emu_enclave *e = t->enclave;
	u64 offset = rip - e->secs.base;
	const u8 *code;

	if (offset >= e->size - 16 || !(emu_page_of(e, offset)->flags & EMU_PAGE_VALID))
		return SGX_VECTOR_GP;
	code = e->epc + offset;
	if (code[0] == 0xcd || (code[0] >= 0xe4 && code[0] <= 0xe7) ||
	    (code[0] >= 0xec && code[0] <= 0xef) || (code[0] >= 0x6c && code[0] <= 0x6f))
		return SGX_VECTOR_UD;
	if (code[0] == 0x0f &&
	    (code[1] == 0xa2 || code[1] == 0x31 || (code[1] == 0x01 && code[2] == 0xf9)))
		return SGX_VECTOR_UD; /* CPUID, RDTSC, RDTSCP */
	return SGX_VECTOR_GP;
}

static u32 rights_of_error(u64 error)
{
	if (error & PF_WRITE)
		return EMU_WRITE;
	return error & PF_FETCH ? EMU_EXEC : EMU_READ;
}

/* Which exception the CPU would have raised. False: none, the access works by now. */
static bool find_fault(struct emu_thread *t, int sig, struct linux_ucontext *uc,
		       struct emu_fault *ret)
{
	struct emu_enclave *e = t->enclave;

	*ret = (struct emu_fault){.vector = (u32)uc->trapno};
	if (sig == SIG_SYS) {
		uc->rip -= 2;
		if (t->is_stepping)
			uc->r11 &= ~0x100ull;
		ret->vector = SGX_VECTOR_UD;
		return true;
	}
	switch (ret->vector) {
	case SGX_VECTOR_PF:
		if (uc->cr2 - e->secs.base < e->size)
			return !emu_may_access(e, uc->cr2, rights_of_error(uc->err), ret);
		if (uc->cr2 == uc->rip) {
			ret->vector = SGX_VECTOR_GP; /* a jump out of the enclave */
			return true;
		}
		ret->error = (u32)uc->err;
		ret->address = uc->cr2;
		return true;
	case SGX_VECTOR_GP:
		ret->vector = vector_of_gp(t, uc->rip);
		ret->error = ret->vector == SGX_VECTOR_GP ? (u32)uc->err : 0;
		return true;
	case SGX_VECTOR_DE:
	case SGX_VECTOR_DB:
	case SGX_VECTOR_BP:
	case SGX_VECTOR_BR:
	case SGX_VECTOR_UD:
	case SGX_VECTOR_MF:
	case SGX_VECTOR_AC:
	case SGX_VECTOR_XM: return true;
	default: ret->vector = SGX_VECTOR_GP; return true;
	}
}

static bool inside(struct emu_thread *t, int sig, struct linux_siginfo *info,
		   struct linux_ucontext *uc)
{
	struct emu_enclave *e = t->enclave;
	u64 offset = uc->rip - e->secs.base;
	struct emu_fault fault;

	if (info->code <= 0) {
		if (sig == EMU_TIMER_SIGNAL) {
			interrupt(t, uc);
			return true;
		}
		emu_aex(t, uc, 0, NULL);
		return false;
	}
	if (sig == SIG_TRAP && t->is_stepping && uc->trapno == SGX_VECTOR_DB && !t->program_tf) {
		emu_step_done(t, uc);
		interrupt(t, uc);
		return true;
	}
	if ((uc->trapno == SGX_VECTOR_UD || uc->trapno == SGX_VECTOR_GP) && sig != SIG_SYS &&
	    offset < e->size - 3 && is_enclu(e->epc + offset)) {
		if ((u32)uc->rax == LEAF_EEXIT) {
			exit_inside(t, uc);
			return true;
		}
		if (!emu_leaf(t, uc, &fault))
			return exception(t, uc, info, &fault);
		emu_leaf_done(t, uc);
		return true;
	}
	if (!find_fault(t, sig, uc, &fault))
		return true;
	return exception(t, uc, info, &fault);
}

__attribute__((visibility("default"))) bool
emu_signal(struct inner_thread *key, int sig, struct linux_siginfo *info, struct linux_ucontext *uc)
{
	struct emu_thread *t = emu_thread_of(key);
	bool ret;

	if (t->is_handling)
		emu_die("fault in the emulation: signal %d, rip 0x%lx, address 0x%lx", sig, uc->rip,
			uc->cr2);
	t->is_handling = 1;
	if (sig == EMU_TIMER_SIGNAL)
		t->timer_is_armed = false;
	if (t->enclave) {
		emu_lock();
		ret = inside(t, sig, info, uc);
		emu_unlock();
	} else if (sig == EMU_TIMER_SIGNAL) {
		ret = true;
	} else if (info->code > 0 && (sig == SIG_ILL || sig == SIG_SEGV) &&
		   (uc->trapno == SGX_VECTOR_UD || uc->trapno == SGX_VECTOR_GP) &&
		   is_enclu((const u8 *)uc->rip)) {
		emu_lock();
		ret = outside_leaf(t, uc, info);
		emu_unlock();
	} else {
		ret = false;
	}
	t->is_handling = 0;
	return ret;
}
