// SPDX-License-Identifier: Apache-2.0
/*
 * The small services of kernel/arch: the current slot's block, leaving to user mode and to the
 * host, time stamps, hardware random numbers, and the SGX leaves that make keys and reports.
 */
#include "kernel/arch/arch.h"

#include "abi/errno.h"
#include "edge/hostcall_gen.h"
#include "kernel/arch/arch_priv.h"
#include "kernel/arch/commit_priv.h"
#include "kernel/arch/enclu.h"
#include "kernel/core/ecall.h"
#include "kernel/core/panic.h"
#include "kernel/host/host_call.h"
#include "kernel/sched/thread.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

#define RANDOM_RETRIES 64
#define TRACE_DEPTH    16

static bool tsc_is_usable; /* tried at boot: SGX1 and some settings of the host refuse RDTSC */

int arch_init(const struct cpuid_hint *hints, size_t count)
{
	int err;

	/* The relocation is done. A host that does not obey takes nothing but this safety net. */
	err = xstate_init();
	if (!err)
		err = commit_seal((u64)relro_start, (u64)relro_end);
	if (err)
		return err;
	tsc_is_usable = arch_try_rdtsc();
	return cpuid_init(hints, count);
}

struct user_regs *current_regs(void)
{
	return thread_block_regs(thread_block());
}

u64 arch_get_user_fs(void)
{
	u64 fs;

	__asm__ volatile("rdfsbase %0" : "=r"(fs));
	return fs;
}

void arch_set_user_fs(u64 fs)
{
	__asm__ volatile("wrfsbase %0" : : "r"(fs));
}

void arch_enter_user(const struct user_regs *regs)
{
	struct user_regs *at = current_regs();

	memmove(at, regs, sizeof(*at));
	at->orig_rax = (u64)-1;
	enter_user(at);
}

/* Puts `t` on the slot that this code runs on. */
void arch_attach_thread(struct thread *t)
{
	struct thread_block *b = thread_block();

	t->slot = b->slot;
	__atomic_store_n(&t->block, b, __ATOMIC_RELEASE);
	b->thread = t;
}

void arch_detach_thread(void)
{
	struct thread_block *b = thread_block();
	struct thread *t = b->thread;

	b->thread = &b->kernel_thread;
	__atomic_store_n(&t->block, NULL, __ATOMIC_RELEASE);
}

void arch_return_to_host(s64 result)
{
	register s64 rsi __asm__("rsi") = result;

	__asm__ volatile("jmp ecall_return" : : "r"(rsi));
	__builtin_unreachable();
}

/*
 * Without a cookie no slot is one of ours, and boot, which would make a new one, happens once:
 * every entry is refused from now on, returns from host calls and exceptions included.
 */
void arch_die(void)
{
	__atomic_store_n(&slot_cookie, 0, __ATOMIC_SEQ_CST);
	arch_abort(ABORT_PANIC);
}

struct thread_arena __host *host_arena(void)
{
	return thread_block()->arena;
}

/* Each ecall but ECALL_THREAD runs on a thread of the kernel itself, kept in the slot. */
s64 ecall_dispatch(u64 number, u64 argument, u64 arena)
{
	struct thread_block *b = thread_block();
	struct thread *t = &b->kernel_thread;

	if (!b->arena) {
		if (!IS_ALIGNED(arena, 64) || !host_range_is_outside(arena, ARENA_SIZE))
			arch_abort(ABORT_BAD_ENTRY);
		b->arena = (struct thread_arena *)arena;
	}
	thread_init_kernel(t);
	arch_attach_thread(t);
	return ecall_run(number, argument);
}

/* The host's clock in the place of the counter: what it says counts when it is later. */
static u64 substitute_tsc(void)
{
	static u64 latest;
	u64 time[2], now = 0, seen = __atomic_load_n(&latest, __ATOMIC_ACQUIRE);

	if (!host_clock_read(1, time, sizeof(time)) && time[0] < 1ull << 32 &&
	    time[1] < ARCH_TSC_SUBSTITUTE_HZ)
		now = time[0] * ARCH_TSC_SUBSTITUTE_HZ + time[1];
	while (now > seen && !__atomic_compare_exchange_n(&latest, &seen, now, false,
							  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	return MAX(now, seen);
}

u64 arch_tsc(void)
{
	u32 low, high;

	if (unlikely(!tsc_is_usable))
		return substitute_tsc();
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

bool arch_tsc_is_usable(void)
{
	return tsc_is_usable;
}

bool arch_rdrand(u64 *ret)
{
	bool ok;
	u64 value;

	for (u32 i = 0; i < RANDOM_RETRIES; i++) {
		__asm__ volatile("rdrand %0; setc %1" : "=r"(value), "=qm"(ok) : : "cc");
		if (ok) {
			*ret = value;
			return true;
		}
		cpu_relax();
	}
	return false;
}

bool arch_rdseed(u64 *ret)
{
	bool ok;
	u64 value;

	for (u32 i = 0; i < RANDOM_RETRIES; i++) {
		__asm__ volatile("rdseed %0; setc %1" : "=r"(value), "=qm"(ok) : : "cc");
		if (ok) {
			*ret = value;
			return true;
		}
		cpu_relax();
	}
	return false;
}

#ifdef OCCLUM_SIM

int arch_egetkey(const void *key_request, u8 ret_key[16])
{
	return (int)host_sim_getkey(key_request, 512, ret_key, 16);
}

int arch_ereport(const void *target_info, const void *report_data, void *ret_report)
{
	return host_sim_report(target_info, 512, report_data, 64, ret_report, 432);
}

#else

int arch_egetkey(const void *key_request, u8 ret_key[16])
{
	alignas(512) u8 request[512];
	alignas(16) u8 key[16];
	u32 code;

	memcpy(request, key_request, sizeof(request));
	code = enclu_leaf(ENCLU_EGETKEY, request, (u64)key, 0);
	if (code == ENCLU_FAULT)
		return -EINVAL; /* reserved bits */
	if (!code)
		memcpy(ret_key, key, sizeof(key));
	mem_wipe(key, sizeof(key));
	return (int)code;
}

int arch_ereport(const void *target_info, const void *report_data, void *ret_report)
{
	alignas(512) u8 target[512], report[512];
	alignas(128) u8 data[64];

	memcpy(target, target_info, sizeof(target));
	memcpy(data, report_data, sizeof(data));
	memset(report, 0, sizeof(report));
	if (enclu_leaf(ENCLU_EREPORT, target, (u64)data, (u64)report) == ENCLU_FAULT)
		return -EINVAL;
	memcpy(ret_report, report, 432);
	return 0;
}

#endif

/*
 * What looks like return addresses on the kernel stack, as offsets in the image: they say where,
 * without telling where the enclave lies. For the line of a debuggable instance.
 */
static void trace_stack(const struct thread_block *b, char *text, size_t size)
{
	u64 top = b->kernel_sp, at = ALIGN_UP(b->panic_sp, 8ul);
	size_t len = 0;

	text[0] = '\0';
	if (at > top || top - at > arch_measured()->stack_size)
		return;
	for (u32 n = 0; at < top && n < TRACE_DEPTH; at += 8) {
		u64 word = *(const u64 *)at;

		if (word <= (u64)text_start || word >= (u64)text_end)
			continue;
		fmt_append(text, size, &len, " 0x%lx", word - (u64)image_start);
		n++;
	}
}

void kernel_fault(struct thread_block *b)
{
	char trace[160];

	trace_stack(b, trace, sizeof(trace));
	panic("exception %u in the kernel at image offset 0x%lx (error %lx), called from%s",
	      b->trap_vector, b->panic_ip - (u64)image_start, b->trap_error, trace);
}
