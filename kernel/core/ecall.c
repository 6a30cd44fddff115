// SPDX-License-Identifier: Apache-2.0
/*
 * The order of ecalls that an instance allows, whatever the host tries: boot once; threads while
 * it lives (their tokens are checked by kernel/sched); programs, kills and shutdown only after
 * a successful boot; nothing once it is shut down.
 */
#include "kernel/core/ecall.h"

#include "abi/errno.h"
#include "edge/enclave.h"
#include "kernel/core/boot.h"
#include "kernel/sched/thread.h"

enum phase {
	PHASE_FRESH,
	PHASE_BOOTING,
	PHASE_RUNNING,
	PHASE_ENDED,
};

static u32 phase;

static bool phase_change(u32 from, u32 to)
{
	return __atomic_compare_exchange_n(&phase, &from, to, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

static s64 boot(u64 argument)
{
	s64 ret;

	if (!phase_change(PHASE_FRESH, PHASE_BOOTING))
		return -EBUSY;
	ret = boot_main(argument);
	phase_change(PHASE_BOOTING, ret < 0 ? PHASE_ENDED : PHASE_RUNNING);
	return ret;
}

static void speculation_barrier(void)
{
	__asm__ volatile("lfence" : : : "memory");
}

s64 ecall_run(u64 number, u64 argument)
{
	u32 now = __atomic_load_n(&phase, __ATOMIC_SEQ_CST);

	if (number == ECALL_BOOT)
		return boot(argument);
	if (number == ECALL_THREAD && (now == PHASE_BOOTING || now == PHASE_RUNNING))
		return thread_run(argument);
	if (now != PHASE_RUNNING || number >= ECALL_COUNT)
		return -EPERM;
	speculation_barrier(); /* the number chooses a jump */
	switch (number) {
	case ECALL_NEW_PROCESS: return boot_new_process(argument);
	case ECALL_EXEC: return boot_exec(argument);
	case ECALL_KILL: return boot_kill(argument);
	case ECALL_SHUTDOWN:
		if (!phase_change(PHASE_RUNNING, PHASE_ENDED))
			return -EBUSY;
		return boot_shutdown();
	default: return -EINVAL;
	}
}
