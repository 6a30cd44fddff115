// SPDX-License-Identifier: Apache-2.0
/*
 * kernel/arch for unit tests: threads are pthreads with a thread-local `current`, registers are
 * plain memory, extended state is a byte array.
 */
#include "kernel/arch/arch.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/arch/patch.h"
#include "kernel/sched/thread.h"
#include "tests/fakes/fakes.h"

static __thread struct thread *attached;
static __thread struct thread automatic;
static __thread struct user_regs regs;
static __thread u64 user_fs;
static __thread u8 xstate[832];
static struct process *automatic_process;
static u64 outside_start, outside_size;

struct thread *current_thread(void)
{
	if (attached)
		return attached;
	if (!__atomic_load_n(&automatic.refs, __ATOMIC_RELAXED)) {
		__atomic_store_n(&automatic.refs, 1, __ATOMIC_RELAXED);
		list_init(&automatic.process_node);
		list_init(&automatic.start_node);
		list_init(&automatic.pending);
	}
	automatic.process = automatic_process;
	return &automatic;
}

void fake_attach_thread(struct thread *t)
{
	attached = t;
}

void fake_set_process(struct process *p)
{
	automatic_process = p;
}

struct user_regs *current_regs(void)
{
	return &regs;
}

u64 arch_get_user_fs(void)
{
	return user_fs;
}

void arch_set_user_fs(u64 base)
{
	user_fs = base;
}

void arch_enter_user(const struct user_regs *r)
{
	(void)r;
	abort(); /* there is no user mode in a unit test */
}

size_t arch_xstate_size(void)
{
	return sizeof(xstate);
}

u64 arch_xstate_mask(void)
{
	return 7;
}

void arch_xstate_save(void *area)
{
	memcpy(area, xstate, sizeof(xstate));
}

void arch_xstate_restore(const void *area)
{
	memcpy(xstate, area, sizeof(xstate));
}

void arch_xstate_reset(void)
{
	memset(xstate, 0, sizeof(xstate));
}

bool arch_xstate_is_valid(const void *area, size_t size)
{
	u64 header[8];

	if (size != sizeof(xstate))
		return false;
	memcpy(header, (const u8 *)area + 512, sizeof(header));
	return !(header[0] & ~7ull) && !header[1] && !header[2];
}

u64 arch_tsc(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000ull + (u64)now.tv_nsec;
}

bool arch_tsc_is_usable(void)
{
	return true;
}

static bool entropy_is_fixed;
static u64 entropy_value;

void fake_fix_entropy(bool fixed, u64 value)
{
	entropy_is_fixed = fixed;
	entropy_value = value;
}

bool arch_rdrand(u64 *ret)
{
	static u64 state = 1;

	if (entropy_is_fixed) {
		*ret = entropy_value;
		return true;
	}
	*ret = __atomic_add_fetch(&state, 0x9e3779b97f4a7c15ull, __ATOMIC_RELAXED);
	return true;
}

bool arch_rdseed(u64 *ret)
{
	return arch_rdrand(ret);
}

void arch_cpuid(u32 leaf, u32 subleaf, u32 ret_regs[4])
{
	(void)leaf;
	(void)subleaf;
	memset(ret_regs, 0, 16);
}

int arch_egetkey(const void *key_request, u8 ret_key[16])
{
	(void)key_request;
	memset(ret_key, 0x5a, 16);
	return 0;
}

int arch_ereport(const void *target_info, const void *report_data, void *ret_report)
{
	(void)target_info;
	(void)report_data;
	memset(ret_report, 0, 432);
	return 0;
}

u64 enclave_base(void)
{
	return 0;
}

u64 enclave_size(void)
{
	return 1ull << 47;
}

bool host_range_is_outside(u64 address, u64 size)
{
	return outside_size && address >= outside_start && size <= outside_size &&
	       address - outside_start <= outside_size - size;
}

void fake_set_outside(u64 start, u64 size)
{
	outside_start = start;
	outside_size = size;
}

/* Text is never patched here; patch_test.c and mm_test.c bring what they need. */
size_t patch_area_size(const struct patch_site *sites, size_t count)
{
	(void)sites;
	(void)count;
	return 0;
}

size_t patch_apply(const struct patch_site *sites, size_t count, u64 text, size_t size, u64 area,
		   size_t area_size)
{
	(void)sites;
	(void)count;
	(void)text;
	(void)size;
	(void)area;
	(void)area_size;
	return 0;
}

void patch_forget(u64 start, u64 size)
{
	(void)start;
	(void)size;
}

u64 arch_syscall_entry(void)
{
	return 0x1000;
}
