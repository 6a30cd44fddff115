/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hardware leaves to the host at an entry is filled with the worst, and what the enclave
 * leaves at an exit is looked at.
 *
 * Entry: RFLAGS with AC and DF (NT cannot be set from a signal frame), MXCSR and the x87 control
 * word with exceptions unmasked, pending x87 exceptions, a full x87 stack, random vector registers
 * and general registers but for the three that carry arguments, stack and frame pointers that point
 * to nothing, into the enclave or between words. Stack and frame pointer are given back at the
 * exit. Exit: registers without anything of the enclave, flags clean, extended state as after
 * reset.
 */
#include "edge/enclave.h"
#include "host/pal/inner/inner.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"
#include "tests/emu/emu_priv.h"

#define XSAVE_SOFTWARE 464
#define XSAVE_HEADER   512
#define XSAVE_EXTENDED 576
#define XSAVE_MAGIC    0x46505853u
#define MXCSR_AT       24
#define MXCSR_INITIAL  0x1f80u
#define X87_REGISTERS  32
#define SSE_REGISTERS  160
#define SSE_END	       416
#define FLAG_AC_       0x40000ull
#define FLAG_DF_       0x400ull
#define FLAG_TF_       0x100ull
#define FLAGS_STATUS   0x8d5ull

char emu_dirty_text[160] __attribute__((visibility("default")));

u8 *emu_xstate(struct linux_ucontext *uc, u64 *ret_features, u32 *ret_size)
{
	u8 *at = uc->fpstate;
	u32 magic, size;

	memcpy(&magic, at + XSAVE_SOFTWARE, sizeof(magic));
	if (magic != XSAVE_MAGIC)
		emu_die("signal frames of this machine hold no XSAVE image");
	memcpy(ret_features, at + XSAVE_SOFTWARE + 8, sizeof(*ret_features));
	memcpy(&size, at + XSAVE_SOFTWARE + 16, sizeof(size));
	*ret_size = size;
	return at;
}

void emu_init_xstate(struct linux_ucontext *uc)
{
	u64 features;
	u32 size, mxcsr = MXCSR_INITIAL;
	u8 *x = emu_xstate(uc, &features, &size);

	memset(x, 0, XSAVE_SOFTWARE);
	memset(x + XSAVE_HEADER, 0, size - XSAVE_HEADER);
	x[0] = 0x7f;
	x[1] = 0x03;
	memcpy(x + MXCSR_AT, &mxcsr, sizeof(mxcsr));
}

static void fill(struct emu_thread *t, u8 *at, u64 size)
{
	for (u64 i = 0; i < size; i += sizeof(u64)) {
		u64 value = emu_random(t);

		memcpy(at + i, &value, MIN(sizeof(value), size - i));
	}
}

static void poison_xstate(struct emu_thread *t, struct linux_ucontext *uc)
{
	static const u32 mxcsrs[] = {0, 0x9fc0, 0x7f80, 0x6040, 0xffff, 0x1f80};
	u64 features, header;
	u32 size, mxcsr;
	u16 status = 0xb8ff; /* busy, error summary, all exceptions, stack top 7 */
	u8 *x = emu_xstate(uc, &features, &size);

	mxcsr = mxcsrs[emu_random(t) % ARRAY_SIZE(mxcsrs)];
	memset(x, 0, X87_REGISTERS); /* control word: nothing masked, single precision */
	memcpy(x + 2, &status, sizeof(status));
	x[4] = 0xff; /* every register in use */
	memcpy(x + MXCSR_AT, &mxcsr, sizeof(mxcsr));
	fill(t, x + X87_REGISTERS, SSE_END - X87_REGISTERS);
	header = SGX_XFRM_LEGACY;
	if (features & SGX_XFRM_AVX) {
		header |= SGX_XFRM_AVX;
		fill(t, x + XSAVE_EXTENDED, 256);
	}
	memcpy(x + XSAVE_HEADER, &header, sizeof(header));
}

static u64 bad_pointer(struct emu_thread *t, u64 good)
{
	switch (emu_random(t) % 6) {
	case 0: return 0;
	case 1: return 0xdead0000beef0000ull;				   /* not canonical */
	case 2: return t->enclave->secs.base + t->tcs + PAGE_SIZE + 0x800; /* its own SSA */
	case 3: return t->enclave->secs.base + t->enclave->size - 16;
	case 4: return good | 5;
	default: return good;
	}
}

void emu_poison(struct emu_thread *t, struct linux_ucontext *uc, struct emu_tcs_state *state,
		u32 cssa)
{
	u64 *const free_registers[] = {&uc->r8,	 &uc->r9,  &uc->r10, &uc->r11,
				       &uc->r12, &uc->r13, &uc->r14, &uc->r15};

	for (size_t i = 0; i < ARRAY_SIZE(free_registers); i++)
		*free_registers[i] = emu_random(t);
	uc->rflags |= FLAG_AC_ | FLAG_DF_;
	uc->rflags ^= emu_random(t) & FLAGS_STATUS;
	uc->rsp = state->level[cssa].shown_sp = bad_pointer(t, uc->rsp);
	uc->rbp = state->level[cssa].shown_bp = bad_pointer(t, uc->rbp);
	poison_xstate(t, uc);
}

/* ---- exits ----------------------------------------------------------------------------------- */

static void dirty(struct emu_thread *t, const struct linux_ucontext *uc, const char *what,
		  u64 value)
{
	emu_count(&emu_stats.dirty_exits);
	if (!emu_dirty_text[0])
		fmt_snprintf(emu_dirty_text, sizeof(emu_dirty_text),
			     "exit %lu of the enclave, at its offset 0x%lx, shows %s: 0x%lx",
			     emu_stats.eexit, uc->rip - t->enclave->secs.base, what, value);
}

static bool check_registers(struct emu_thread *t, struct linux_ucontext *uc)
{
	const struct {
		const char *name;
		u64 value;
	} unused[] = {
		{"rdx", uc->rdx}, {"r8", uc->r8},   {"r9", uc->r9},
		{"r10", uc->r10}, {"r11", uc->r11}, {"r12", uc->r12},
		{"r13", uc->r13}, {"r14", uc->r14}, {"r15", uc->r15},
	};

	for (size_t i = 0; i < ARRAY_SIZE(unused); i++) {
		if (unused[i].value) {
			dirty(t, uc, unused[i].name, unused[i].value);
			return false;
		}
	}
	if (uc->rsi >> 16 == EMU_MARKER || uc->rdi >> 16 == EMU_MARKER) {
		dirty(t, uc, "a marked value", uc->rsi);
		return false;
	}
	if (uc->rflags & (FLAG_AC_ | FLAG_DF_)) {
		dirty(t, uc, "flags", uc->rflags);
		return false;
	}
	return true;
}

static u64 first_word(const u8 *at, u64 size)
{
	for (u64 i = 0; i < size; i += sizeof(u64)) {
		u64 value;

		memcpy(&value, at + i, sizeof(value));
		if (value)
			return value;
	}
	return 0;
}

static bool check_xstate(struct emu_thread *t, struct linux_ucontext *uc)
{
	u64 features, header, value;
	u32 size, mxcsr;
	u16 control;
	const u8 *x = emu_xstate(uc, &features, &size);

	memcpy(&header, x + XSAVE_HEADER, sizeof(header));
	memcpy(&mxcsr, x + MXCSR_AT, sizeof(mxcsr));
	memcpy(&control, x, sizeof(control));
	if (header & 1 && (control != 0x37f || x[2] || x[3] || x[4])) {
		dirty(t, uc, "x87 control, status or tags", first_word(x, 8));
		return false;
	}
	if (header & 1 && (value = first_word(x + X87_REGISTERS, SSE_REGISTERS - X87_REGISTERS))) {
		dirty(t, uc, "an x87 register", value);
		return false;
	}
	if (header & 2 && (value = first_word(x + SSE_REGISTERS, SSE_END - SSE_REGISTERS))) {
		dirty(t, uc, "an XMM register", value);
		return false;
	}
	if (mxcsr != MXCSR_INITIAL && mxcsr != 0x1fbf) {
		dirty(t, uc, "MXCSR", mxcsr);
		return false;
	}
	if (header & ~SGX_XFRM_LEGACY & t->enclave->secs.attributes.xfrm &&
	    (value = first_word(x + XSAVE_EXTENDED, size - XSAVE_EXTENDED))) {
		dirty(t, uc, "an extended register", value);
		return false;
	}
	return true;
}

static void count_exit(struct emu_thread *t, const struct linux_ucontext *uc)
{
	const struct thread_arena *arena = t->key->arena;
	u64 number;

	switch (uc->rdi) {
	case EXIT_RETURN: emu_count(&emu_stats.exits_return); break;
	case EXIT_EXCEPTION_DONE: emu_count(&emu_stats.exits_exception); break;
	case EXIT_ABORT: emu_count(&emu_stats.exits_abort); break;
	case EXIT_HOST_CALL:
		number = arena ? arena->call.number : 0;
		emu_count(&emu_stats.exits_for[MIN(number, (u64)EMU_HOST_CALLS - 1)]);
		break;
	}
}

void emu_check_exit(struct emu_thread *t, struct linux_ucontext *uc)
{
	count_exit(t, uc);
	if (check_registers(t, uc))
		check_xstate(t, uc);
}
