/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 1 of an exception against any content of the SSA: what the host arranged before a slot was
 * used, what it made happen when, and what a program left in its registers.
 *
 *   byte 0      bit 0: the kernel was interrupted; bits 1-3: thread.work; bits 4-7: how often in a row
 *   byte 1-2    where: 0 as in the SSA, else that far into the kernel's text
 *   then        EXINFO and GPRSGX
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/arch/arch.h"
#include "kernel/arch/arch_priv.h"
#include "tests/fakes/entry_shape.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static u8 stack[PAGE_SIZE] __attribute__((aligned(4096)));
static struct {
	struct ssa_misc misc;
	struct ssa_gpr gpr;
} ssa;
static struct thread_block block, before;
static struct thread thread;

static bool is_allowed(u64 ip, u64 was)
{
	return ip == was || ip == (u64)trap_entry || ip == (u64)syscall_exit ||
	       ip == (u64)full_exit || ip == (u64)kernel_fault_entry ||
	       ip == (u64)user_access_fault || ip == (u64)may_fault_resume;
}

/* Besides what stage 1 is there to note, the block is as it was. */
static void check_block(void)
{
	struct thread_block b = block;

	b.in_kernel = before.in_kernel;
	b.trap_vector = before.trap_vector;
	b.trap_error = before.trap_error;
	b.trap_address = before.trap_address;
	b.panic_ip = before.panic_ip;
	b.panic_sp = before.panic_sp;
	REQUIRE(!memcmp(&b, &before, sizeof(b)));
}

static void check_target(u64 was, bool in_kernel)
{
	u64 regs = (u64)thread_block_regs(&block);

	REQUIRE(is_allowed(ssa.gpr.rip, was));
	if (ssa.gpr.rip == was)
		return;
	REQUIRE(ssa.gpr.rip == (u64)user_access_fault || ssa.gpr.rip == (u64)may_fault_resume ||
		!(ssa.gpr.rflags & FLAGS_ODD));
	if (ssa.gpr.rip == (u64)trap_entry) {
		REQUIRE(!in_kernel && block.in_kernel == 1);
		REQUIRE(ssa.gpr.rsp == regs && ssa.gpr.gs_base == block.self);
		REQUIRE(block.trap_vector < 32 || block.trap_vector == TRAP_ASYNC);
	} else {
		REQUIRE(in_kernel);
	}
	if (ssa.gpr.rip == (u64)syscall_exit || ssa.gpr.rip == (u64)full_exit)
		REQUIRE(ssa.gpr.rsp == regs);
	if (ssa.gpr.rip == (u64)kernel_fault_entry)
		REQUIRE(ssa.gpr.rsp == block.exception_sp - STAGE1_STACK);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u32 where;

	if (size < 3)
		return 0;
	memset(&ssa, 0, sizeof(ssa));
	memcpy(&ssa, data + 3, MIN(size - 3, sizeof(ssa)));
	where = data[1] | (u32)data[2] << 8;
	if (where)
		ssa.gpr.rip = (u64)text_start + where % (u64)(text_end - text_start);
	memset(stack, 0xaa, sizeof(stack));
	memset(&block, 0, sizeof(block));
	thread.work = data[0] >> 1 & 7;
	block.self = (u64)&block;
	block.thread = &thread;
	block.ssa = &ssa.gpr;
	block.in_kernel = data[0] & 1;
	block.kernel_sp = (u64)stack + PAGE_SIZE - 8;
	block.exception_sp = (u64)stack + PAGE_SIZE / 2;
	block.user_ip = 0x900900;
	for (u32 i = 0; i <= data[0] >> 4; i++) {
		u64 was = ssa.gpr.rip;
		bool in_kernel = block.in_kernel;

		before = block;
		exception_stage1(&block);
		check_block();
		check_target(was, in_kernel);
		if (in_kernel) /* no program's registers to save: the frame is in use */
			REQUIRE(i || stack[PAGE_SIZE - 8 - REGS_SIZE] == 0xaa);
	}
	for (u32 i = 0; i < PAGE_SIZE - 8 - REGS_SIZE; i++)
		REQUIRE(stack[i] == 0xaa);
	return 0;
}
