// SPDX-License-Identifier: Apache-2.0
/* Holds kernel/arch/offsets.h to the structures that it describes. */
#include "kernel/arch/offsets.h"

#include "edge/enclave.h"
#include "kernel/arch/thread_block.h"
#include "kernel/sched/thread.h"

#define CHECK(type, field, number) static_assert(offsetof(struct type, field) == (number), #number)

CHECK(thread_block, self, TB_SELF);
CHECK(thread_block, thread, TB_THREAD);
CHECK(thread_block, kernel_sp, TB_KERNEL_SP);
CHECK(thread_block, user_sp, TB_USER_SP);
CHECK(thread_block, user_ip, TB_USER_IP);
CHECK(thread_block, in_kernel, TB_IN_KERNEL);
CHECK(thread_block, state, TB_STATE);
CHECK(thread_block, host_sp, TB_HOST_SP);
CHECK(thread_block, host_bp, TB_HOST_BP);
CHECK(thread_block, host_ip, TB_HOST_IP);
CHECK(thread_block, leave_sp, TB_LEAVE_SP);
CHECK(thread_block, exception_sp, TB_EXCEPTION_SP);
CHECK(thread_block, cookie, TB_COOKIE);

CHECK(thread, work, THREAD_WORK);
CHECK(thread, syscalls, THREAD_SYSCALLS);

CHECK(user_regs, r11, REGS_R11);
CHECK(user_regs, rax, REGS_RAX);
CHECK(user_regs, orig_rax, REGS_ORIG_RAX);
CHECK(user_regs, rip, REGS_RIP);
CHECK(user_regs, rflags, REGS_RFLAGS);
CHECK(user_regs, rsp, REGS_RSP);
static_assert(sizeof(struct user_regs) == REGS_SIZE && REGS_SIZE % 16 == 8, "REGS_SIZE");

CHECK(measured_params, slot_size, MEASURED_SLOT_SIZE);
static_assert(WORK_RESTORE == WORK_RESTORE_BIT, "WORK_RESTORE");
static_assert((FLAG_TF | FLAG_DF | FLAG_NT | FLAG_AC) == FLAGS_ODD, "FLAGS_ODD");
static_assert((int)ECALL_BOOT == ECALL_BOOT_NR, "ecall");
static_assert((int)ECALL_HOST_RETURN == ECALL_HOST_RETURN_NR, "ecall");
static_assert((int)EXIT_RETURN == EXIT_RETURN_NR && (int)EXIT_HOST_CALL == EXIT_HOST_CALL_NR &&
		      (int)EXIT_EXCEPTION_DONE == EXIT_EXCEPTION_DONE_NR &&
		      (int)EXIT_ABORT == EXIT_ABORT_NR,
	      "exit");
