/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts while a thread is inside. Two sources: a timer of the thread that fires after a random
 * time, and, through a window of instructions behind some entries, the trap flag: an interrupt
 * after every single instruction. The trap flag is ours and never the enclave's: it is taken out of
 * every state that is saved, and of flags that the enclave pushes.
 */
#include "host/pal/inner/inner.h"
#include "lib/base/string.h"
#include "tests/emu/emu_priv.h"

#define NR_timer_create	 222
#define NR_timer_settime 223
#define SIGEV_THREAD_ID_ 4
#define NR_arch_prctl	 158
#define ARCH_CPUID_SET	 0x1012
#define PR_SET_TSC_	 26
#define PR_TSC_SIGSEGV_	 2
#define SS_AUTODISARM_	 (1 << 31)
#define FLAG_TF_	 0x100ull
#define OPCODE_PUSHF	 0x9c
#define OPCODE_POPF	 0x9d

__attribute__((visibility("default"))) const u64 emu_signals = 1ull << (EMU_TIMER_SIGNAL - 1);

static struct emu_thread threads[EMU_THREADS];
static u64 shared_random;

static u64 next_random(u64 *state)
{
	u64 x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dull;
}

u64 emu_random(struct emu_thread *t)
{
	return next_random(&t->random);
}

bool emu_chance(struct emu_thread *t, u32 permille)
{
	return permille && emu_random(t) % 1000 < permille;
}

/* Two threads at once only make it more random. */
u64 emu_random_shared(void)
{
	if (!shared_random)
		shared_random = emu_config.seed * 2 + 1;
	return next_random(&shared_random);
}

struct emu_thread *emu_thread_of(struct inner_thread *key)
{
	u64 start = (u64)key / PAGE_SIZE * 0x9e3779b97f4a7c15ull >> 32;

	for (u64 i = 0; i < EMU_THREADS; i++) {
		struct emu_thread *t = &threads[(start + i) % EMU_THREADS];
		struct inner_thread *none = NULL;

		if (__atomic_load_n(&t->key, __ATOMIC_ACQUIRE) == key)
			return t;
		if (!__atomic_compare_exchange_n(&t->key, &none, key, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_ACQUIRE))
			continue;
		t->random = (emu_config.seed + 1) * 0x9e3779b97f4a7c15ull ^ (key->slot + 1);
		return t;
	}
	emu_die("more than %d threads", EMU_THREADS);
}

/* What may differ per thread; a slot can get a second host thread. */
__attribute__((visibility("default"))) void emu_thread_start(struct inner_thread *key)
{
	struct emu_thread *t = emu_thread_of(key);
	struct linux_stack stack = {0};
	struct {
		u64 value;
		s32 signo, notify, tid, rsv[11];
	} event = {.signo = EMU_TIMER_SIGNAL, .notify = SIGEV_THREAD_ID_};

	t->enclave = NULL;
	t->is_handling = t->storms = 0;
	t->has_timer = t->timer_is_armed = false;
	emu_call(NR_sigaltstack, 0, &stack, 0, 0, 0, 0);
	if (stack.size) {
		stack.flags = SS_AUTODISARM_;
		if (emu_call(NR_sigaltstack, &stack, 0, 0, 0, 0, 0) < 0)
			emu_die("this kernel has no SS_AUTODISARM");
		t->stack_base = (u64)stack.sp;
		t->stack_size = stack.size;
	}
	if (emu_config.trap_rdtsc)
		emu_call(NR_prctl, PR_SET_TSC_, PR_TSC_SIGSEGV_, 0, 0, 0, 0);
	emu_call(NR_arch_prctl, ARCH_CPUID_SET, 0, 0, 0, 0, 0); /* where the machine can */
	if (!emu_config.aex_max_ns)
		return;
	event.tid = (s32)emu_call(NR_gettid, 0, 0, 0, 0, 0, 0);
	if (emu_call(NR_timer_create, CLOCK_MONOTONIC_, &event, &t->timer, 0, 0, 0) == 0)
		t->has_timer = true;
}

static void arm_timer(struct emu_thread *t)
{
	u64 span = emu_config.aex_max_ns - emu_config.aex_min_ns + 1;
	struct {
		struct linux_timespec interval, value;
	} when = {.value.nsec = (s64)(emu_config.aex_min_ns + emu_random(t) % span)};

	t->timer_is_armed = true;
	emu_call(NR_timer_settime, t->timer, 0, &when, 0, 0, 0);
}

/* The instruction that runs next, as far as flags are concerned. */
static u8 opcode_at(struct emu_thread *t, u64 rip)
{
	struct emu_enclave *e = t->enclave;
	u64 offset = rip - e->secs.base;

	if (offset >= e->size || !(emu_page_of(e, offset)->flags & EMU_PAGE_VALID))
		return 0;
	return e->epc[offset];
}

void emu_inject_entered(struct emu_thread *t, struct linux_ucontext *uc)
{
	u8 opcode;

	if (t->has_timer && !t->timer_is_armed)
		arm_timer(t);
	if (!t->steps_left && emu_config.step_length && emu_chance(t, emu_config.step_permille))
		t->steps_left = 1 + (u32)(emu_random(t) % emu_config.step_length);
	if (!t->steps_left)
		return;
	opcode = opcode_at(t, uc->rip);
	t->is_stepping = true;
	t->program_tf = uc->rflags & FLAG_TF_;
	t->steps_pushf = opcode == OPCODE_PUSHF;
	t->steps_popf = opcode == OPCODE_POPF;
	uc->rflags |= FLAG_TF_;
}

/* The flags as they are without us. */
void emu_inject_left(struct emu_thread *t, struct linux_ucontext *uc)
{
	if (!t->is_stepping)
		return;
	t->is_stepping = false;
	if (!t->program_tf)
		uc->rflags &= ~FLAG_TF_;
}

/* The next instruction needs its flag looked at again, since no trap came in between. */
void emu_leaf_done(struct emu_thread *t, struct linux_ucontext *uc)
{
	if (!t->is_stepping)
		return;
	emu_inject_left(t, uc);
	emu_inject_entered(t, uc);
}

void emu_step_done(struct emu_thread *t, struct linux_ucontext *uc)
{
	struct emu_enclave *e = t->enclave;
	u64 stack = uc->rsp - e->secs.base, word;

	emu_count(&emu_stats.steps);
	t->steps_left--;
	if (t->steps_popf)
		t->program_tf = uc->rflags & FLAG_TF_;
	if (t->steps_pushf && !t->program_tf && stack < e->size - sizeof(word)) {
		memcpy(&word, e->epc + stack, sizeof(word));
		word &= ~FLAG_TF_;
		memcpy(e->epc + stack, &word, sizeof(word));
	}
}
