// SPDX-License-Identifier: Apache-2.0
/*
 * Faults of programs: the signal is forced, so that a program that blocks or ignores it dies of
 * it. Of a death that Linux would dump a core for, by a fault or not, one line says where:
 * registers, and the module and offset, which is what addr2line needs. Only debuggable instances
 * log that: registers may hold secrets.
 */
#include "abi/errno.h"
#include "abi/signal.h"
#include "kernel/core/config.h"
#include "kernel/signal/signal_priv.h"
#include "lib/base/fmt.h"

#define LOG_TAG "signal"
#include "kernel/core/log.h"

static const char *signal_name(int signo)
{
	switch (signo) {
	case SIGQUIT: return "SIGQUIT";
	case SIGILL: return "SIGILL";
	case SIGTRAP: return "SIGTRAP";
	case SIGABRT: return "SIGABRT";
	case SIGBUS: return "SIGBUS";
	case SIGFPE: return "SIGFPE";
	case SIGSEGV: return "SIGSEGV";
	case SIGXCPU: return "SIGXCPU";
	case SIGXFSZ: return "SIGXFSZ";
	case SIGSYS: return "SIGSYS";
	default: return "a signal";
	}
}

void signal_log_death(const struct signal_info *info, const struct user_regs *r)
{
	struct process *p = current_process();
	struct module_place place;
	char why[64];

	if (!(SIG_BIT(info->signo) & SIGNALS_CORE) || log_level < LOG_ERROR ||
	    !kernel_config()->debuggable)
		return;
	if ((SIG_BIT(info->signo) & SIGNALS_SYNCHRONOUS) && info->code > 0)
		fmt_snprintf(why, sizeof(why), "code %d at address 0x%llx", info->code,
			     (unsigned long long)info->address);
	else
		fmt_snprintf(why, sizeof(why), "code %d from process %d", info->code, info->pid);
	process_find_module(p, r->rip, &place);
	log_err("%s (process %d, thread %d) dies of %s %s in %s+0x%llx: "
		"rip 0x%llx rsp 0x%llx rax 0x%llx rbx 0x%llx rcx 0x%llx rdx 0x%llx rsi 0x%llx "
		"rdi 0x%llx rbp 0x%llx r8 0x%llx r9 0x%llx r10 0x%llx r11 0x%llx r12 0x%llx "
		"r13 0x%llx r14 0x%llx r15 0x%llx flags 0x%llx",
		p->comm, p->pid, current_thread()->tid, signal_name(info->signo), why, place.name,
		(unsigned long long)place.offset, (unsigned long long)r->rip,
		(unsigned long long)r->rsp, (unsigned long long)r->rax, (unsigned long long)r->rbx,
		(unsigned long long)r->rcx, (unsigned long long)r->rdx, (unsigned long long)r->rsi,
		(unsigned long long)r->rdi, (unsigned long long)r->rbp, (unsigned long long)r->r8,
		(unsigned long long)r->r9, (unsigned long long)r->r10, (unsigned long long)r->r11,
		(unsigned long long)r->r12, (unsigned long long)r->r13, (unsigned long long)r->r14,
		(unsigned long long)r->r15, (unsigned long long)r->rflags);
}

void signal_fault(const struct signal_info *info, struct user_regs *regs)
{
	struct thread *t = current_thread();
	struct process *p = t->process;
	struct sigaction_k *action = &p->actions[info->signo - 1];

	t->fault_trap = info->trap;
	t->fault_code = info->trap_code;
	t->fault_address = info->address;
	regs->orig_rax = UINT64_MAX;

	process_lock(p);
	if ((t->blocked & SIG_BIT(info->signo)) || action->handler == SIG_IGN_ADDRESS) {
		*action = (struct sigaction_k){0};
		t->blocked &= ~SIG_BIT(info->signo);
	}
	(void)signal_queue_thread(t, info);
	__atomic_or_fetch(&t->work, WORK_SIGNAL, __ATOMIC_SEQ_CST);
	process_unlock(p);
}
