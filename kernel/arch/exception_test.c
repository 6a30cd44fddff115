/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 1 against every place where an exception can meet a thread, and against random states:
 * whatever the host or a program arranges, the thread goes on at one of a handful of addresses.
 */
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/arch/arch.h"
#include "kernel/arch/arch_priv.h"
#include "tests/fakes/entry_shape.h"

#define USER_IP	    0x400123ul
#define VECTOR_UD   6
#define VECTOR_PF   14
#define FLAGS_CLEAN 0x202ul

static u8 ssa_page[PAGE_SIZE] __attribute__((aligned(4096)));
static u8 stack[PAGE_SIZE] __attribute__((aligned(4096)));
static struct thread_block block;
static struct thread thread;
static struct ssa_gpr *g;
static struct user_regs *regs;

static void arrange(u64 ip, bool in_kernel, u32 vector)
{
	struct ssa_misc *misc;

	memset(&block, 0, sizeof(block));
	memset(ssa_page, 0, sizeof(ssa_page));
	memset(stack, 0xaa, sizeof(stack));
	g = (struct ssa_gpr *)(ssa_page + PAGE_SIZE - sizeof(*g));
	misc = (struct ssa_misc *)g - 1;
	misc->address = 0x7777;
	misc->error_code = 2;
	block.self = (u64)&block;
	block.thread = &thread;
	thread.work = WORK_SIGNAL;
	block.ssa = g;
	block.in_kernel = in_kernel;
	block.kernel_sp = (u64)stack + PAGE_SIZE - 8;
	block.exception_sp = 0x5000;
	block.user_ip = 0x900900;
	regs = thread_block_regs(&block);
	g->rip = ip;
	g->rsp = 0x123456;
	g->rcx = 0x400777;
	g->r15 = 15;
	g->gs_base = 0xbad;
	g->rflags = FLAGS_CLEAN | FLAGS_ODD;
	g->exit_info =
		vector == TRAP_ASYNC ? 0 : EXIT_INFO_VALID | (vector == 3 ? 6u : 3u) << 8 | vector;
	exception_stage1(&block);
}

static void assert_redirected(const void *to, u64 sp)
{
	assert_int_equal(g->rip, (u64)to);
	assert_int_equal(g->rsp, sp);
	assert_int_equal(g->rflags & FLAGS_ODD, 0);
}

static void assert_program_saved(u64 ip)
{
	assert_redirected((const void *)trap_entry, (u64)regs);
	assert_int_equal(block.in_kernel, 1);
	assert_int_equal(g->gs_base, (u64)&block);
	assert_int_equal(regs->rip, ip);
	assert_int_equal(regs->rsp, 0x123456);
	assert_int_equal(regs->r15, 15);
	assert_int_equal(regs->orig_rax, (u64)-1);
}

static void assert_nothing_changed(u64 ip)
{
	assert_int_equal(g->rip, ip);
	assert_int_equal(g->rsp, 0x123456);
	assert_int_equal(((u8 *)regs)[0], 0xaa);
}

static void test_program(void **state)
{
	arrange(USER_IP, false, VECTOR_PF);
	assert_program_saved(USER_IP);
	assert_int_equal(block.trap_vector, VECTOR_PF);
	assert_int_equal(block.trap_address, 0x7777);
	assert_int_equal(block.trap_error, 2);
	arrange(USER_IP, false, TRAP_ASYNC);
	assert_program_saved(USER_IP);
	assert_int_equal(block.trap_vector, TRAP_ASYNC);
	assert_int_equal(block.trap_address, 0);
	/* A program that jumped into the kernel's text is a program all the same. */
	arrange((u64)text_start + 1, false, VECTOR_UD);
	assert_program_saved((u64)text_start + 1);
	arrange((u64)syscall_exit + 1, false, TRAP_ASYNC);
	assert_program_saved((u64)syscall_exit + 1);
}

static void test_way_in(void **state)
{
	arrange((u64)syscall_entry + 3, false, TRAP_ASYNC);
	assert_nothing_changed((u64)syscall_entry + 3);
	arrange((u64)syscall_entry_bad_gs, false, VECTOR_UD);
	assert_program_saved(0x400777);
	arrange((u64)syscall_entry + 3, false, VECTOR_PF);
	assert_program_saved(0x400777);
	arrange((u64)syscall_entry + 3, false, 1); /* single step */
	assert_nothing_changed((u64)syscall_entry + 3);
	assert_int_equal(g->rflags & FLAG_TF, 0);
}

static void test_way_out(void **state)
{
	arrange((u64)syscall_exit + 5, true, TRAP_ASYNC);
	assert_redirected(syscall_exit, (u64)regs);
	arrange((u64)full_exit, true, TRAP_ASYNC);
	assert_redirected(full_exit, (u64)regs);
	arrange((u64)syscall_exit_jump, false, TRAP_ASYNC);
	assert_program_saved(0x400777);
	arrange((u64)full_exit_jump, false, TRAP_ASYNC);
	assert_program_saved(0x900900);
}

static void test_kernel(void **state)
{
	arrange((u64)text_start + 3, true, TRAP_ASYNC);
	assert_nothing_changed((u64)text_start + 3);
	arrange((u64)user_access_start + 3, true, VECTOR_PF);
	assert_int_equal(g->rip, (u64)user_access_fault);
	assert_int_equal(g->rsp, 0x123456);
	arrange((u64)user_access_start + 3, true, VECTOR_UD);
	assert_redirected((const void *)kernel_fault_entry, 0x5000 - STAGE1_STACK);
	arrange((u64)text_start + 3, true, VECTOR_PF);
	assert_redirected((const void *)kernel_fault_entry, 0x5000 - STAGE1_STACK);
	assert_int_equal(block.panic_ip, (u64)text_start + 3);
	/* Control flow that left the kernel's text while inside: fatal, never a program's fault. */
	arrange(USER_IP, true, VECTOR_PF);
	assert_redirected((const void *)kernel_fault_entry, 0x5000 - STAGE1_STACK);
}

/* Between stage 1 and the first instructions of stage 2. */
static void test_kick_behind_a_fault_keeps_its_cause(void **state)
{
	arrange(USER_IP, false, VECTOR_PF);
	exception_stage1(&block); /* the host enters again without a resume between */
	assert_program_saved(USER_IP);
	assert_int_equal(block.trap_vector, VECTOR_PF);
	g->exit_info = 0; /* a kick at trap_entry */
	exception_stage1(&block);
	assert_program_saved(USER_IP);
	assert_int_equal(block.trap_vector, VECTOR_PF);
	assert_int_equal(block.trap_address, 0x7777);
}

/* The host may kick as often as it likes: without work the program does not notice. */
static void test_kick_without_work(void **state)
{
	arrange(USER_IP, false, TRAP_ASYNC);
	g->rip = USER_IP;
	g->rsp = 0x123456;
	block.in_kernel = 0;
	thread.work = 0;
	memset(stack, 0xaa, sizeof(stack));
	for (u32 i = 0; i < 1000; i++)
		exception_stage1(&block);
	assert_nothing_changed(USER_IP);
	assert_int_equal(((u8 *)regs)[0], 0xaa);
	thread.work = WORK_EXIT;
	exception_stage1(&block);
	assert_program_saved(USER_IP);
}

/* A fault of a program: only with the CPU's word, in its form, for a vector that there is. */
static void test_forms_of_exceptions(void **state)
{
	for (u32 info = 0; info < 1u << 11; info++) {
		u32 vector = info & 0xff, type = info >> 8 & 7;
		bool is_exception =
			type == 6 ? vector == 3
				  : type == 3 && (vector <= 1 || vector == 5 || vector == 6 ||
						  vector == 13 || vector == 14 || vector == 16 ||
						  vector == 17 || vector == 19);

		arrange(USER_IP, false, TRAP_ASYNC);
		g->rip = USER_IP;
		block.in_kernel = 0;
		g->exit_info = info;
		exception_stage1(&block);
		assert_int_equal(block.trap_vector, TRAP_ASYNC);
		g->rip = USER_IP;
		block.in_kernel = 0;
		g->exit_info = EXIT_INFO_VALID | info;
		exception_stage1(&block);
		assert_int_equal(block.trap_vector, is_exception ? vector : TRAP_ASYNC);
		/* EXINFO is of some earlier exception for all others. */
		assert_int_equal(block.trap_address,
				 is_exception && (vector == 13 || vector == 14) ? 0x7777 : 0);
	}
}

static void test_kernel_fault_leaves_stage1_its_stack(void **state)
{
	arrange((u64)trap_entry + 5, true, VECTOR_PF);
	assert_int_equal(g->rip, (u64)kernel_fault_entry);
	assert_int_equal(g->rsp, block.exception_sp - STAGE1_STACK);
}

static void test_random_states(void **state)
{
	static const u32 vectors[] = {0, 1, 3, 6, 13, 14, 16, 17, 19, 31, TRAP_ASYNC};

	srand(1);
	for (u32 i = 0; i < 200000; i++) {
		bool in_kernel = rand() & 1;
		u64 ip = rand() & 1 ? (u64)text_start + (u64)rand() % (u64)(text_end - text_start)
				    : (u64)rand() << 16;
		u32 vector = vectors[(u32)rand() % ARRAY_SIZE(vectors)];

		arrange(ip, in_kernel, vector);
		assert_true(g->rip == ip || g->rip == (u64)trap_entry ||
			    g->rip == (u64)syscall_exit || g->rip == (u64)full_exit ||
			    g->rip == (u64)kernel_fault_entry || g->rip == (u64)user_access_fault ||
			    g->rip == (u64)may_fault_resume);
		/* The program's registers are overwritten only when there was a program. */
		if (in_kernel)
			assert_int_equal(((u8 *)regs)[0], 0xaa);
		if (g->rip == (u64)trap_entry && ip != g->rip)
			assert_int_equal(g->rsp, (u64)regs);
	}
}

UNIT_TESTS(test_program, test_way_in, test_way_out, test_kernel,
	   test_kick_behind_a_fault_keeps_its_cause, test_kick_without_work,
	   test_forms_of_exceptions, test_kernel_fault_leaves_stage1_its_stack, test_random_states)
