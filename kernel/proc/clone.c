// SPDX-License-Identifier: Apache-2.0
/*
 * New threads. What pthread_create() asks for is here; what would make a process (fork, vfork,
 * clone without CLONE_THREAD) is refused with ENOSYS and one line per process, so that a user of a
 * shell sees why its pipeline does not run.
 *
 * The child starts where the parent's call returns, with the parent's registers but for rax and
 * the stack pointer, and with a copy of its extended state, as on Linux.
 */
#include "abi/errno.h"
#include "abi/sched.h"
#include "kernel/arch/arch.h"
#include "kernel/core/kmem.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/proc_priv.h"

#define LOG_TAG "proc"
#include "kernel/core/log.h"

#define CLONE_OF_THREADS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
/* Accepted without effect: they change nothing for threads of one process, or nothing at all. */
#define CLONE_WITHOUT_EFFECT                                                                       \
	(CLONE_SYSVSEM | CLONE_DETACHED | CLONE_PTRACE | CLONE_UNTRACED | CLONE_IO | CLONE_PARENT)
#define CLONE_SUPPORTED                                                                            \
	(CLONE_OF_THREADS | CLONE_WITHOUT_EFFECT | CLONE_SETTLS | CLONE_PARENT_SETTID |            \
	 CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)
#define USER_ADDRESS_END (1ull << 47)
#define XSTATE_ALIGNMENT 64

void process_tell_enosys(const char *call)
{
	struct process *p = current_process();

	if (__atomic_exchange_n(&p->enosys_told, true, __ATOMIC_RELAXED))
		return;
	log_always("%s (process %d) called %s, which this version does not support yet: it fails "
		   "with ENOSYS.",
		   p->comm, p->pid, call);
}

static int check(const struct clone_request *r)
{
	if ((r->flags & CLONE_SIGHAND) && !(r->flags & CLONE_VM))
		return -EINVAL;
	if ((r->flags & CLONE_THREAD) && !(r->flags & CLONE_SIGHAND))
		return -EINVAL;
	if (!(r->flags & CLONE_THREAD)) {
		process_tell_enosys(r->flags & CLONE_VFORK ? "vfork" : "fork");
		return -ENOSYS;
	}
	if ((r->flags & CLONE_OF_THREADS) != CLONE_OF_THREADS || (r->flags & ~CLONE_SUPPORTED)) {
		log_warn("clone with flags 0x%llx is not supported.", (unsigned long long)r->flags);
		return -EINVAL;
	}
	if ((r->flags & CLONE_SETTLS) && r->tls >= USER_ADDRESS_END)
		return -EPERM;
	return 0;
}

static int copy_xstate(struct thread *t)
{
	void *block = kmalloc(arch_xstate_size() + XSTATE_ALIGNMENT);

	if (!block)
		return -ENOMEM;
	t->start_xstate_block = block;
	t->start_xstate = (void *)ALIGN_UP((uintptr_t)block, (uintptr_t)XSTATE_ALIGNMENT);
	arch_xstate_save(t->start_xstate);
	return 0;
}

static void copy_state(struct thread *t, const struct clone_request *r)
{
	struct thread *self = current_thread();

	t->start_regs = *current_regs();
	t->start_regs.rax = 0;
	t->start_regs.orig_rax = UINT64_MAX;
	if (r->stack)
		t->start_regs.rsp = r->stack;
	t->start_fs = r->flags & CLONE_SETTLS ? r->tls : arch_get_user_fs();
	t->blocked = self->blocked;
	for (size_t i = 0; i < sizeof(t->name); i++)
		t->name[i] = self->name[i];
	if (r->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = r->child_tid;
}

static int store_tids(const struct clone_request *r, s32 tid)
{
	if ((r->flags & CLONE_PARENT_SETTID) &&
	    put_user_u32((void __user *)r->parent_tid, (u32)tid))
		return -EFAULT;
	/* The child shares our memory: storing for it here is the same, and can still fail. */
	if ((r->flags & CLONE_CHILD_SETTID) && put_user_u32((void __user *)r->child_tid, (u32)tid))
		return -EFAULT;
	return 0;
}

long process_clone(const struct clone_request *request)
{
	struct process *p = current_process();
	struct thread *t;
	long err = check(request);
	s32 tid;

	if (err)
		return err;
	t = thread_new(p);
	if (!t)
		return -ENOMEM;
	err = copy_xstate(t);
	if (err)
		goto put;
	copy_state(t, request);
	tid = id_alloc();
	if (tid < 0) {
		err = tid;
		goto put;
	}
	t->tid = tid;
	err = store_tids(request, tid);
	if (err)
		goto release;
	err = thread_attach(t);
	if (err)
		goto release;
	err = thread_start(t);
	if (err) {
		thread_detach(t);
		goto release;
	}
	thread_put(t);
	return tid;
release:
	id_release(tid);
put:
	thread_put(t);
	return err;
}
