// SPDX-License-Identifier: Apache-2.0
/*
 * From registers to a system call and back. The common path is: look at the number, one indexed
 * jump into the generated switch, store the result. Everything else (tracing, restart codes,
 * errors that are the kernel's own) is out of line.
 *
 * A restart code never leaves this file as a result: signal_deliver() turns it into -EINTR or,
 * with a handler and SA_RESTART, rewinds the program to its `syscall` instruction; when no
 * handler is to run (spurious wake-up, stop and continue, ignored signal), the call is simply
 * run again from here.
 */
#include "kernel/sys/dispatch.h"

#include "abi/errno.h"
#include "kernel/arch/arch.h"
#include "kernel/proc/process.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/restart.h"
#include "kernel/sys/syscalls_gen.h"
#include "lib/base/fmt.h"

#define LOG_TAG "syscall"
#include "kernel/core/log.h"

static bool is_restart(long result)
{
	return result == -ERESTARTSYS || result == -ERESTARTNOINTR || result == -ERESTARTNOHAND ||
	       result == -ERESTART_RESTARTBLOCK;
}

static __noinline void trace(const struct user_regs *regs, u64 number, long result)
{
	const struct syscall_trace_row *row = syscall_trace_row(number);
	const u64 args[] = {regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9};
	char line[256];
	size_t len = 0;

	if (!row) {
		log_trace("%d: system call %llu = %ld", current_thread()->tid,
			  (unsigned long long)number, result);
		return;
	}
	line[0] = '\0';
	for (size_t i = 0; row->arguments[i]; i++) {
		const char *comma = i ? ", " : "";

		if (row->arguments[i] == 'd')
			fmt_append(line, sizeof(line), &len, "%s%lld", comma, (long long)args[i]);
		else if (row->arguments[i] == 'u')
			fmt_append(line, sizeof(line), &len, "%s%u", comma, (u32)args[i]);
		else
			fmt_append(line, sizeof(line), &len, "%s0x%llx", comma,
				   (unsigned long long)args[i]);
	}
	log_trace("%d: %s(%s) = %ld", current_thread()->tid, row->name, line, result);
}

/* Failures of storage and host edge that Linux programs do not know: an I/O error for them. */
static long translate_internal_error(u64 number, long result)
{
	switch (-result) {
	case EKEYREJECTED:
	case EBADMSG:
	case EUCLEAN:
	case ESTALE:
	case EPROTO: {
		const struct syscall_trace_row *row = syscall_trace_row(number);

		log_err("%s failed with internal error %ld, the program sees EIO.",
			row ? row->name : "a system call", -result);
		return -EIO;
	}
	default: return result;
	}
}

static __noinline long redispatch(struct user_regs *regs, long result)
{
	while (is_restart(result)) {
		regs->rax = result;
		signal_deliver(regs);
		if (regs->orig_rax == UINT64_MAX || !is_restart(regs->rax))
			return regs->rax; /* a handler runs first, or the frame holds the answer */
		if (result == -ERESTART_RESTARTBLOCK)
			regs->orig_rax = SYS_NR_restart_syscall;
		regs->rax = regs->orig_rax;
		result = syscall_invoke(regs->orig_rax, regs);
	}
	return translate_internal_error(regs->orig_rax, result);
}

void syscall_dispatch(struct user_regs *regs)
{
	u64 number = regs->orig_rax;
	long result = syscall_invoke(number, regs);

	/* sigreturn and execve replaced the registers: rax is the program's, not a result. */
	if (unlikely(regs->orig_rax == UINT64_MAX))
		result = regs->rax;
	else if (unlikely(result < 0 && result > -4096)) {
		if (is_restart(result))
			result = redispatch(regs, result);
		else
			result = translate_internal_error(number, result);
	}
	if (unlikely(log_level >= LOG_TRACE))
		trace(regs, number, result);
	regs->rax = result;
}
