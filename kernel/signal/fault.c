// SPDX-License-Identifier: Apache-2.0
/*
 * Faults of programs: the signal is forced, so that a program that blocks or ignores it dies of
 * it, and when it will die, one line says where: registers, and the module and offset, which
 * is what addr2line needs. Only debuggable instances log that: registers may hold secrets.
 */
#include "abi/errno.h"
#include "abi/signal.h"
#include "kernel/core/config.h"
#include "kernel/mm/mm.h"
#include "kernel/signal/signal_priv.h"
#include "kernel/vfs/file.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

#define LOG_TAG "signal"
#include "kernel/core/log.h"

struct module_search {
	u64 address;
	char name[128];
	u64 offset; /* in the file */
};

static int find_module(const struct vma_info *v, void *arg)
{
	struct module_search *search = arg;
	char path[512];

	if (search->address < v->start || search->address >= v->end)
		return 0;
	search->offset = search->address - v->start;
	if (v->file && file_path(v->file, path, sizeof(path)) > 0) {
		const char *slash = strrchr(path, '/');

		(void)str_copy(search->name, slash ? slash + 1 : path, sizeof(search->name));
		search->offset += v->offset;
	} else {
		(void)str_copy(search->name, v->name ? v->name : "[anonymous]",
			       sizeof(search->name));
	}
	return 1;
}

static const char *signal_name(int signo)
{
	switch (signo) {
	case SIGILL: return "SIGILL";
	case SIGTRAP: return "SIGTRAP";
	case SIGBUS: return "SIGBUS";
	case SIGFPE: return "SIGFPE";
	case SIGSEGV: return "SIGSEGV";
	case SIGSYS: return "SIGSYS";
	default: return "a signal";
	}
}

static void log_death(const struct process *p, const struct signal_info *info,
		      const struct user_regs *r)
{
	struct module_search search = {.address = r->rip};

	if (log_level < LOG_ERROR || !kernel_config()->debuggable)
		return;
	if (!mm_for_each(p->mm, find_module, &search))
		(void)str_copy(search.name, "[unmapped]", sizeof(search.name));
	log_err("%s (process %d, thread %d) dies of %s code %d at address 0x%llx in %s+0x%llx: "
		"rip 0x%llx rsp 0x%llx rax 0x%llx rbx 0x%llx rcx 0x%llx rdx 0x%llx rsi 0x%llx "
		"rdi 0x%llx rbp 0x%llx r8 0x%llx r9 0x%llx r10 0x%llx r11 0x%llx r12 0x%llx "
		"r13 0x%llx r14 0x%llx r15 0x%llx flags 0x%llx",
		p->comm, p->pid, current_thread()->tid, signal_name(info->signo), info->code,
		(unsigned long long)info->address, search.name, (unsigned long long)search.offset,
		(unsigned long long)r->rip, (unsigned long long)r->rsp, (unsigned long long)r->rax,
		(unsigned long long)r->rbx, (unsigned long long)r->rcx, (unsigned long long)r->rdx,
		(unsigned long long)r->rsi, (unsigned long long)r->rdi, (unsigned long long)r->rbp,
		(unsigned long long)r->r8, (unsigned long long)r->r9, (unsigned long long)r->r10,
		(unsigned long long)r->r11, (unsigned long long)r->r12, (unsigned long long)r->r13,
		(unsigned long long)r->r14, (unsigned long long)r->r15,
		(unsigned long long)r->rflags);
}

void signal_fault(const struct signal_info *info, struct user_regs *regs)
{
	struct thread *t = current_thread();
	struct process *p = t->process;
	struct sigaction_k *action = &p->actions[info->signo - 1];
	bool dies;

	t->fault_trap = info->trap;
	t->fault_code = info->trap_code;
	t->fault_address = info->address;
	regs->orig_rax = UINT64_MAX;

	process_lock(p);
	if ((t->blocked & SIG_BIT(info->signo)) || action->handler == SIG_IGN_ADDRESS) {
		*action = (struct sigaction_k){0};
		t->blocked &= ~SIG_BIT(info->signo);
	}
	dies = action->handler == SIG_DFL_ADDRESS;
	(void)signal_queue_thread(t, info);
	__atomic_or_fetch(&t->work, WORK_SIGNAL, __ATOMIC_SEQ_CST);
	process_unlock(p);
	if (dies)
		log_death(p, info, regs);
}
