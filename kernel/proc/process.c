// SPDX-License-Identifier: Apache-2.0
/*
 * Processes from their making to their last reference. A process is in the id table from
 * process_new() until it is reaped; the table's entry owns one reference, each thread another.
 * What a process holds (memory, files) goes when its last thread ends, the struct itself when
 * nobody can ask for its status any more.
 */
#include "kernel/proc/process.h"

#include "abi/errno.h"
#include "abi/resource.h"
#include "abi/signal.h"
#include "kernel/core/config.h"
#include "kernel/core/kmem.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/turn.h"
#include "kernel/proc/proc_priv.h"
#include "kernel/time/clock.h"
#include "kernel/vfs/file.h"
#include "lib/base/string.h"

#define LOG_TAG "proc"
#include "kernel/core/log.h"

#define SIGPENDING_DEFAULT 4096
#define NOFILE_SOFT	   1024
#define NOFILE_HARD	   4096
#define MEMLOCK_DEFAULT	   MIB(8)
#define MSGQUEUE_DEFAULT   819200

struct spinlock process_tree_lock = SPINLOCK_INIT(LOCK_PROCESS_TREE);
static u32 processes, threads; /* atomic */

static void set_limit(struct process *p, u32 resource, u64 soft, u64 hard)
{
	p->limits[resource].soft = soft;
	p->limits[resource].hard = hard;
}

static void set_default_limits(struct process *p)
{
	const struct occlum_config *config = kernel_config();

	for (u32 i = 0; i < RLIMIT_COUNT; i++)
		set_limit(p, i, ABI_RLIM_INFINITY, ABI_RLIM_INFINITY);
	set_limit(p, ABI_RLIMIT_STACK, config->default_stack_size, ABI_RLIM_INFINITY);
	p->heap_limit = config->default_heap_size;
	set_limit(p, ABI_RLIMIT_CORE, 0, ABI_RLIM_INFINITY);
	set_limit(p, ABI_RLIMIT_NPROC, config->max_threads, config->max_threads);
	set_limit(p, ABI_RLIMIT_NOFILE, NOFILE_SOFT, NOFILE_HARD);
	set_limit(p, ABI_RLIMIT_MEMLOCK, MEMLOCK_DEFAULT, MEMLOCK_DEFAULT);
	set_limit(p, ABI_RLIMIT_SIGPENDING, SIGPENDING_DEFAULT, SIGPENDING_DEFAULT);
	set_limit(p, ABI_RLIMIT_MSGQUEUE, MSGQUEUE_DEFAULT, MSGQUEUE_DEFAULT);
	set_limit(p, ABI_RLIMIT_NICE, 0, 0);
	set_limit(p, ABI_RLIMIT_RTPRIO, 0, 0);
}

struct mm_limits process_memory_limits(const struct process *p)
{
	u64 soft = p->limits[ABI_RLIMIT_DATA].soft;

	return (struct mm_limits){
		.heap = MIN(p->heap_limit, soft),
		/* As on Linux, 0 forbids a heap and nothing else: tools set it to that end. */
		.data = soft ? soft : p->limits[ABI_RLIMIT_DATA].hard,
		.address_space = p->limits[ABI_RLIMIT_AS].soft,
		.heap_is_configured = p->heap_limit < soft,
	};
}

struct process *process_new(void)
{
	struct process *p = kzalloc(sizeof(*p));
	s32 pid;

	if (!p)
		return NULL;
	pid = id_alloc();
	if (pid < 0) {
		kfree(p);
		return NULL;
	}
	p->refs = 1;
	p->pid = p->pgid = p->sid = pid;
	id_hold(pid);
	id_hold(pid);
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->table_node);
	list_init(&p->threads);
	list_init(&p->pending);
	spin_init(&p->lock, LOCK_PROCESS);
	mutex_init(&p->exec_lock, LOCK_EXEC);
	waitq_init(&p->exit_wait);
	waitq_init(&p->stop_wait);
	pollq_init(&p->exit_poll);
	pollq_init(&p->signal_poll);
	p->exit_signal = SIGCHLD;
	credentials_init(&p->cred, 0, 0);
	p->start_ns = clock_monotonic_ns();
	set_default_limits(p);
	__atomic_add_fetch(&processes, 1, __ATOMIC_RELAXED);
	id_set_process(pid, p);
	return p;
}

struct process *process_get(struct process *p)
{
	__atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}

void process_put(struct process *p)
{
	if (!p || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL))
		return;
	pollq_fini(&p->exit_poll);
	pollq_fini(&p->signal_poll);
	tty_put(p->tty);
	kfree(p);
}

bool process_is_reaped(struct process *p)
{
	return __atomic_load_n(&p->is_reaped, __ATOMIC_ACQUIRE);
}

void process_reap(struct process *p)
{
	spin_lock(&process_tree_lock);
	list_del(&p->sibling);
	p->parent = NULL;
	__atomic_store_n(&p->is_reaped, true, __ATOMIC_RELEASE);
	/* With the lock: from here on nobody gives p another group. */
	id_set_process(p->pid, NULL);
	id_release(p->sid);
	id_release(p->pgid);
	id_release(p->pid);
	spin_unlock(&process_tree_lock);
	__atomic_sub_fetch(&processes, 1, __ATOMIC_RELAXED);
	process_put(p);
}

u32 process_count(void)
{
	return __atomic_load_n(&processes, __ATOMIC_RELAXED);
}

u32 thread_total(void)
{
	return __atomic_load_n(&threads, __ATOMIC_RELAXED);
}

int process_for_each(int (*visit)(struct process *p, void *arg), void *arg)
{
	int ret = 0;

	for (s32 pid = id_next_process(0); pid && !ret; pid = id_next_process(pid)) {
		struct process *p = process_lookup(pid);

		if (!p)
			continue;
		ret = visit(p, arg);
		process_put(p);
	}
	return ret;
}

struct thread *thread_new(struct process *p)
{
	struct thread *t = kzalloc(sizeof(*t));

	if (!t)
		return NULL;
	t->refs = 1;
	t->process = process_get(p);
	list_init(&t->process_node);
	list_init(&t->start_node);
	list_init(&t->pending);
	t->altstack_flags = SS_DISABLE;
	memcpy(t->name, p->comm, sizeof(t->name));
	t->start_ns = clock_monotonic_ns();
	return t;
}

int thread_attach(struct thread *t)
{
	struct process *p = t->process;
	u32 limit = kernel_config()->max_threads;
	static bool told;
	int err = 0;

	if (__atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED) > limit) {
		__atomic_sub_fetch(&threads, 1, __ATOMIC_RELAXED);
		if (!__atomic_exchange_n(&told, true, __ATOMIC_RELAXED))
			log_always("A program needs more than %u threads: raise "
				   "resource_limits.max_num_of_threads.",
				   limit);
		return -EAGAIN;
	}
	process_lock(p);
	if (p->exiting || p->zombie || p->exec_thread) {
		err = -EAGAIN;
	} else {
		thread_get(t);
		list_add_tail(&p->threads, &t->process_node);
		__atomic_add_fetch(&p->thread_count, 1, __ATOMIC_RELAXED);
	}
	process_unlock(p);
	if (err)
		__atomic_sub_fetch(&threads, 1, __ATOMIC_RELAXED);
	else
		id_set_thread(t->tid, t);
	return err;
}

void thread_count_down(void)
{
	__atomic_sub_fetch(&threads, 1, __ATOMIC_RELAXED);
}

void thread_detach(struct thread *t)
{
	struct process *p = t->process;

	id_set_thread(t->tid, NULL);
	process_lock(p);
	list_del(&t->process_node);
	__atomic_sub_fetch(&p->thread_count, 1, __ATOMIC_RELEASE);
	process_unlock(p);
	thread_count_down();
	thread_put(t);
}

void process_leave_memory(struct process *p, struct mm *mm)
{
	struct mm_totals totals;

	/* After vfork() it is the parent's, and counts there. */
	if (!mm_is_shared(mm)) {
		mm_totals(mm, &totals);
		p->max_rss = MAX(p->max_rss, totals.committed);
	}
	if (mm_leave(mm))
		mm_retire_member(mm);
	/* Not for a child that is given up before it ran: it may share the memory we go on with. */
	if (p == current_process() && current_thread()->turn_mm == mm) {
		if (__atomic_load_n(&p->is_awaited, __ATOMIC_RELAXED))
			turn_leave_to_sibling();
		turn_detach();
	}
	mm_put(mm);
}

void process_release_resources(struct process *p)
{
	if (p->files)
		fd_table_put(p->files);
	if (p->fs)
		fs_context_put(p->fs);
	if (p->exe)
		file_put(p->exe);
	if (p->mm)
		process_leave_memory(p, p->mm);
	kfree(p->exe_path);
	p->files = NULL;
	p->fs = NULL;
	p->exe = NULL;
	p->mm = NULL;
	p->exe_path = NULL;
}

s32 process_wait_exit(struct process *p)
{
	s32 status;

	(void)wait_event(&p->exit_wait, __atomic_load_n(&p->zombie, __ATOMIC_ACQUIRE),
			 DEADLINE_NEVER, false);
	status = p->exit_status;
	process_reap(p);
	return status;
}

u64 thread_cpu_ns(const struct thread *t)
{
	u64 now, parked, since, alive;
	u32 count;

	do {
		count = __atomic_load_n(&t->park_count, __ATOMIC_ACQUIRE);
		now = clock_monotonic_ns();
		parked = __atomic_load_n(&t->parked_ns, __ATOMIC_RELAXED);
		since = __atomic_load_n(&t->parked_since, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while ((count & 1) || count != __atomic_load_n(&t->park_count, __ATOMIC_RELAXED));
	if (since && now > since)
		parked += now - since;
	alive = now > t->start_ns ? now - t->start_ns : 0;
	return alive > parked ? alive - parked : 0;
}

/* The count moves twice when it falls asleep and twice when it wakes. */
u64 thread_parks(const struct thread *t)
{
	return __atomic_load_n(&t->park_count, __ATOMIC_RELAXED) / 4;
}

u64 process_cpu_ns(struct process *p)
{
	struct thread *t;
	u64 sum;

	process_lock(p);
	sum = p->cpu_ns_of_dead_threads;
	list_for_each_entry (t, &p->threads, process_node)
		sum += thread_cpu_ns(t);
	process_unlock(p);
	return sum;
}
