/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc tells about one process. exec_lock keeps its memory and program still meanwhile. */
#include "abi/errno.h"
#include "abi/process.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/procfs/proc_priv.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/tty.h"
#include "kernel/sched/park.h"
#include "kernel/sys/cpus.h"
#include "kernel/time/clock.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/fd_table.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/walk.h"
#include "lib/base/string.h"

#define AREA_MAX	  MIB(2) /* of argv or envp */
#define OOM_SCORE_ADJ_MAX 1000
#define TICK_NS		  10000000ull

static struct mm *mm_of(struct process *p)
{
	struct mm *mm;

	mutex_lock(&p->exec_lock);
	mm = p->mm ? mm_get(p->mm) : NULL;
	mutex_unlock(&p->exec_lock);
	return mm;
}

int proc_lock_private(struct process *p)
{
	mutex_lock(&p->exec_lock);
	if (process_may_inspect_by_files(p))
		return 0;
	mutex_unlock(&p->exec_lock);
	return -EACCES;
}

/* Likewise, for those who may look into it. *ret is NULL where there is none any more. */
static int private_mm_of(struct process *p, struct mm **ret)
{
	int err = proc_lock_private(p);

	if (err)
		return err;
	*ret = p->mm ? mm_get(p->mm) : NULL;
	mutex_unlock(&p->exec_lock);
	return 0;
}

/* --- links --------------------------------------------------------------------------------- */

static int exe_dentry(struct process *p, struct dentry **ret)
{
	int err = proc_lock_private(p);

	if (err)
		return err;
	*ret = p->exe ? dentry_get(p->exe->dentry) : NULL;
	mutex_unlock(&p->exec_lock);
	return *ret ? 0 : -ENOENT;
}

static int cwd_dentry(struct process *p, struct dentry **ret)
{
	int err = proc_lock_private(p);

	if (err)
		return err;
	*ret = p->fs ? fs_context_cwd(p->fs) : NULL;
	mutex_unlock(&p->exec_lock);
	return *ret ? 0 : -ENOENT;
}

static int root_dentry(struct process *p, struct dentry **ret)
{
	int err = proc_lock_private(p);

	if (err)
		return err;
	*ret = p->fs ? fs_context_root(p->fs) : NULL;
	mutex_unlock(&p->exec_lock);
	return *ret ? 0 : -ENOENT;
}

static long show(int (*find)(struct process *p, struct dentry **ret), struct process *p, char *buf,
		 size_t size)
{
	struct process *me = current_process();
	struct dentry *d, *root;
	char *path;
	long len = find(p, &d);

	if (len)
		return len;
	path = kmalloc(PATH_MAX_SIZE + 16);
	if (!path) {
		dentry_put(d);
		return -ENOMEM;
	}
	root = me->fs ? fs_context_root(me->fs) : fs_context_system_root();
	len = dentry_path(d, root, path, PATH_MAX_SIZE + 16);
	if (len > 0) {
		len = MIN((size_t)len, size);
		memcpy(buf, path, len);
	}
	kfree(path);
	dentry_put(root);
	dentry_put(d);
	return len;
}

static long exe_link(struct process *p, struct proc_node *n, char *buf, size_t size)
{
	return show(exe_dentry, p, buf, size);
}
static int exe_jump(struct process *p, struct proc_node *n, struct dentry **ret)
{
	return exe_dentry(p, ret);
}
static long cwd_link(struct process *p, struct proc_node *n, char *buf, size_t size)
{
	return show(cwd_dentry, p, buf, size);
}
static int cwd_jump(struct process *p, struct proc_node *n, struct dentry **ret)
{
	return cwd_dentry(p, ret);
}
static long root_link(struct process *p, struct proc_node *n, char *buf, size_t size)
{
	return show(root_dentry, p, buf, size);
}
static int root_jump(struct process *p, struct proc_node *n, struct dentry **ret)
{
	return root_dentry(p, ret);
}

/* --- memory -------------------------------------------------------------------------------- */

struct map_text {
	struct proc_text *t;
	struct dentry *root;
	char *path;
	bool is_detailed; /* smaps */
};

static int add_mapping(const struct vma_info *v, void *arg)
{
	struct map_text *m = arg;
	struct vattr a = {0};
	size_t before = m->t->len;

	if (v->file && vnode_getattr(v->file->vnode, &a))
		a = (struct vattr){0};
	proc_add(m->t, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ",
		 (unsigned long long)v->start, (unsigned long long)v->end,
		 v->prot & MM_READ ? 'r' : '-', v->prot & MM_WRITE ? 'w' : '-',
		 v->prot & MM_EXEC ? 'x' : '-', v->flags & 1 ? 's' : 'p',
		 (unsigned long long)v->offset, DEV_MAJOR(a.dev), DEV_MINOR(a.dev),
		 (unsigned long long)a.ino);
	if (v->file || v->name) {
		size_t width = m->t->len - before;

		proc_add(m->t, "%*s", width < 73 ? (int)(73 - width) : 0, "");
		if (v->name)
			proc_add(m->t, "%s", v->name);
		else if (dentry_path(v->file->dentry, m->root, m->path, PATH_MAX_SIZE + 16) > 0)
			proc_add_bytes(m->t, m->path, strlen(m->path));
	}
	proc_add(m->t, "\n");
	if (m->is_detailed)
		proc_add(m->t, "Size:%15llu kB\nRss:%16llu kB\nPss:%16llu kB\n",
			 (unsigned long long)(v->end - v->start) / 1024,
			 (unsigned long long)v->committed / 1024,
			 (unsigned long long)v->committed / 1024);
	return m->t->failed;
}

static int render_any_maps(struct proc_text *t, struct process *p, bool is_detailed)
{
	struct map_text m = {.t = t, .is_detailed = is_detailed};
	struct mm *mm;
	int err = private_mm_of(p, &mm);

	if (err || !mm)
		return err;
	m.path = kmalloc(PATH_MAX_SIZE + 16);
	m.root = fs_context_system_root();
	if (m.path && mm_for_each(mm, add_mapping, &m))
		t->failed = true;
	t->failed |= !m.path;
	dentry_put(m.root);
	kfree(m.path);
	mm_put(mm);
	return 0;
}

static int render_maps(struct proc_text *t, struct process *p, struct proc_node *n)
{
	return render_any_maps(t, p, false);
}

static int render_smaps(struct proc_text *t, struct process *p, struct proc_node *n)
{
	return render_any_maps(t, p, true);
}

/* argv and envp as the program has them now. Consumes the reference. */
static int render_area(struct proc_text *t, struct mm *mm, u64 start, u64 end)
{
	char *buf = kmalloc(PAGE_SIZE);

	end = end > start ? MIN(end, start + AREA_MAX) : start;
	while (mm && buf && start < end) {
		long n = mm_read_foreign(mm, buf, start, MIN(end - start, PAGE_SIZE));

		if (n <= 0)
			break;
		proc_add_bytes(t, buf, n);
		start += n;
	}
	kfree(buf);
	if (mm)
		mm_put(mm);
	return buf ? 0 : -ENOMEM;
}

static int render_cmdline(struct proc_text *t, struct process *p, struct proc_node *n)
{
	return render_area(t, mm_of(p), p->arg_start, p->arg_end);
}

static int render_environ(struct proc_text *t, struct process *p, struct proc_node *n)
{
	struct mm *mm;
	int err = private_mm_of(p, &mm);

	return err ? err : render_area(t, mm, p->env_start, p->env_end);
}

/* --- state --------------------------------------------------------------------------------- */

struct summary {
	struct mm_totals mem;
	u64 utime_ns, stime_ns, parks;
	s32 ppid, tty, foreground;
	u32 threads;
	char state;
	char comm[16];
};

static char state_of(const struct thread *t)
{
	if (t->process->stopped)
		return 'T';
	return thread_is_parked(t) && !__atomic_load_n(&t->awaits_turn, __ATOMIC_RELAXED) ? 'S'
											  : 'R';
}

static void summarise(struct process *p, const struct proc_node *n, struct summary *s)
{
	struct mm *mm = mm_of(p);
	struct thread *t;

	memset(s, 0, sizeof(*s));
	if (mm) {
		mm_totals(mm, &s->mem);
		mm_put(mm);
	}
	process_tty_numbers(p, &s->tty, &s->foreground);
	s->ppid = __atomic_load_n(&p->parent_pid, __ATOMIC_RELAXED);
	process_lock(p);
	memcpy(s->comm, p->comm, sizeof(s->comm));
	s->threads = p->thread_count;
	s->state = 'Z'; /* its first thread may be over before the others */
	s->utime_ns = n->number ? 0 : p->cpu_ns_of_dead_threads;
	list_for_each_entry (t, &p->threads, process_node) {
		bool is_meant = !n->number || t->tid == n->number;

		if (is_meant)
			s->utime_ns += thread_cpu_ns(t);
		if (is_meant)
			s->parks += thread_parks(t);
		if (t->tid == (n->number ? n->number : p->pid) && !p->zombie)
			s->state = state_of(t);
		if (n->number && t->tid == n->number)
			memcpy(s->comm, t->name, sizeof(s->comm));
	}
	process_unlock(p);
	s->comm[15] = 0;
}

static int render_stat(struct proc_text *t, struct process *p, struct proc_node *n)
{
	struct summary s;

	summarise(p, n, &s);
	proc_add(
		t, "%d (%s) %c %d %d %d %d %d 4194304 0 0 0 0 %llu %llu %llu %llu %d %d %u 0 %llu ",
		n->number ? n->number : p->pid, s.comm, s.state, s.ppid, p->pgid, p->sid, s.tty,
		s.foreground, (unsigned long long)(s.utime_ns / TICK_NS),
		(unsigned long long)(s.stime_ns / TICK_NS),
		(unsigned long long)(p->child_utime_ns / TICK_NS),
		(unsigned long long)(p->child_stime_ns / TICK_NS), 20 + p->nice, p->nice, s.threads,
		(unsigned long long)((p->start_ns - MIN(p->start_ns, clock_boot_ns())) / TICK_NS));
	proc_add(t, "%llu %llu 18446744073709551615 0 0 %llu 0 0 %llu 0 0 0 0 0 0 17 0 0 0 0 0 0 ",
		 (unsigned long long)s.mem.mapped,
		 (unsigned long long)(s.mem.committed / PAGE_SIZE),
		 (unsigned long long)p->stack_start, (unsigned long long)p->pending_set);
	proc_add(t, "0 0 %llu %llu %llu %llu %llu %d\n", (unsigned long long)s.mem.heap_start,
		 (unsigned long long)p->arg_start, (unsigned long long)p->arg_end,
		 (unsigned long long)p->env_start, (unsigned long long)p->env_end, p->exit_status);
	return 0;
}

static int render_statm(struct proc_text *t, struct process *p, struct proc_node *n)
{
	struct summary s;

	summarise(p, n, &s);
	proc_add(t, "%llu %llu 0 %llu 0 %llu 0\n", (unsigned long long)(s.mem.mapped / PAGE_SIZE),
		 (unsigned long long)(s.mem.committed / PAGE_SIZE),
		 (unsigned long long)(s.mem.text / PAGE_SIZE),
		 (unsigned long long)((s.mem.mapped - MIN(s.mem.text, s.mem.mapped)) / PAGE_SIZE));
	return 0;
}

static void add_signals(struct proc_text *t, struct process *p)
{
	u64 ignored = 0, caught = 0, pending, blocked = 0;

	process_lock(p);
	for (u32 i = 0; i < SIGNAL_COUNT; i++) {
		if (p->actions[i].handler == 1)
			ignored |= 1ull << i;
		else if (p->actions[i].handler)
			caught |= 1ull << i;
	}
	pending = p->pending_set;
	if (!list_is_empty(&p->threads))
		blocked = list_first_entry(&p->threads, struct thread, process_node)->blocked;
	process_unlock(p);
	proc_add(t, "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\n", 0ull,
		 (unsigned long long)pending, (unsigned long long)blocked);
	proc_add(t, "SigIgn:\t%016llx\nSigCgt:\t%016llx\n", (unsigned long long)ignored,
		 (unsigned long long)caught);
}

static void add_capabilities(struct proc_text *t, struct process *p)
{
	const struct capabilities *k = &p->cred.caps;

	proc_add(t, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\n",
		 (unsigned long long)k->inheritable, (unsigned long long)k->permitted,
		 (unsigned long long)k->effective);
	proc_add(t, "CapBnd:\t%016llx\nCapAmb:\t%016llx\nNoNewPrivs:\t%d\nSeccomp:\t0\n",
		 (unsigned long long)k->bounding, (unsigned long long)k->ambient, p->no_new_privs);
	proc_add(t, "Cpus_allowed:\t%llx\n", (unsigned long long)((1ull << cpu_count()) - 1));
}

static int render_status(struct proc_text *t, struct process *p, struct proc_node *n)
{
	static const char *const states[] = {"R (running)", "S (sleeping)", "Z (zombie)",
					     "T (stopped)"};
	struct summary s;
	u32 fds, umask;

	summarise(p, n, &s);
	mutex_lock(&p->exec_lock);
	fds = p->files ? fd_table_count(p->files) : 0;
	umask = p->fs ? fs_context_umask(p->fs) : 022;
	mutex_unlock(&p->exec_lock);
	proc_add(t, "Name:\t%s\nUmask:\t%04o\nState:\t%s\n", s.comm, umask,
		 states[s.state == 'R'	 ? 0
			: s.state == 'S' ? 1
			: s.state == 'Z' ? 2
					 : 3]);
	proc_add(t, "Tgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n", p->pid,
		 n->number ? n->number : p->pid, s.ppid);
	proc_add(t, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%u\nGroups:\t",
		 p->cred.uid, p->cred.euid, p->cred.suid, p->cred.fsuid, p->cred.gid, p->cred.egid,
		 p->cred.sgid, p->cred.fsgid, MAX(64u, fds));
	for (u32 i = 0; i < p->cred.group_count && i < ARRAY_SIZE(p->cred.groups); i++)
		proc_add(t, "%u ", p->cred.groups[i]);
	proc_add(t, "\n");
	if (s.state != 'Z')
		proc_add(
			t,
			"VmPeak:\t%8llu kB\nVmSize:\t%8llu kB\nVmHWM:\t%8llu kB\n"
			"VmRSS:\t%8llu kB\nVmData:\t%8llu kB\nVmStk:\t%8llu kB\nVmExe:\t%8llu kB\n",
			(unsigned long long)s.mem.mapped / 1024,
			(unsigned long long)s.mem.mapped / 1024,
			(unsigned long long)s.mem.committed / 1024,
			(unsigned long long)s.mem.committed / 1024,
			(unsigned long long)s.mem.mapped / 1024,
			(unsigned long long)s.mem.stack / 1024,
			(unsigned long long)s.mem.text / 1024);
	proc_add(t, "Threads:\t%u\n", s.threads);
	add_signals(t, p);
	add_capabilities(t, p);
	proc_add(t, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t0\n",
		 (unsigned long long)s.parks);
	return 0;
}

static int render_comm(struct proc_text *t, struct process *p, struct proc_node *n)
{
	struct summary s;

	summarise(p, n, &s);
	proc_add(t, "%s\n", s.comm);
	return 0;
}

/* pthread_setname_np of another thread comes here. */
static int store_comm(struct process *p, struct proc_node *n, const char *text)
{
	char name[sizeof(p->comm)] = {0};
	s32 tid = n->number ? n->number : p->pid;
	struct thread *t;
	int err = -ESRCH;

	if (p != current_process())
		return -EINVAL;
	for (size_t i = 0; i < sizeof(name) - 1 && text[i] && text[i] != '\n'; i++)
		name[i] = text[i];
	process_lock(p);
	list_for_each_entry (t, &p->threads, process_node) {
		if (t->tid != tid)
			continue;
		memcpy(t->name, name, sizeof(name));
		if (tid == p->pid)
			memcpy(p->comm, name, sizeof(name));
		err = 0;
	}
	process_unlock(p);
	return err;
}

static int render_oom_score_adj(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "%d\n", __atomic_load_n(&p->oom_score_adj, __ATOMIC_RELAXED));
	return 0;
}

/* Kept and read back: nobody is chosen here when memory runs out. */
static int store_oom_score_adj(struct process *p, struct proc_node *n, const char *text)
{
	s32 value = 0;
	bool is_negative = *text == '-';
	const char *digit = text + is_negative;

	if (*digit < '0' || *digit > '9')
		return -EINVAL;
	for (; *digit >= '0' && *digit <= '9'; digit++) {
		value = value * 10 + (*digit - '0');
		if (value > OOM_SCORE_ADJ_MAX)
			return -EINVAL;
	}
	if (*digit && *digit != '\n')
		return -EINVAL;
	value = is_negative ? -value : value;
	if (value < p->oom_score_adj && !vfs_caller_capable(CAP_SYS_RESOURCE))
		return -EACCES;
	__atomic_store_n(&p->oom_score_adj, (s16)value, __ATOMIC_RELAXED);
	return 0;
}

static void add_limit(struct proc_text *t, u64 value)
{
	if (value == UINT64_MAX)
		proc_add(t, "%-21s", "unlimited");
	else
		proc_add(t, "%-21llu", (unsigned long long)value);
}

static int render_limits(struct proc_text *t, struct process *p, struct proc_node *n)
{
	static const struct {
		const char *name, *unit;
	} limits[RLIMIT_COUNT] = {
		{"Max cpu time", "seconds"},	 {"Max file size", "bytes"},
		{"Max data size", "bytes"},	 {"Max stack size", "bytes"},
		{"Max core file size", "bytes"}, {"Max resident set", "bytes"},
		{"Max processes", "processes"},	 {"Max open files", "files"},
		{"Max locked memory", "bytes"},	 {"Max address space", "bytes"},
		{"Max file locks", "locks"},	 {"Max pending signals", "signals"},
		{"Max msgqueue size", "bytes"},	 {"Max nice priority", ""},
		{"Max realtime priority", ""},	 {"Max realtime timeout", "us"},
	};

	proc_add(t, "%-26s%-21s%-21s%-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (u32 i = 0; i < RLIMIT_COUNT; i++) {
		proc_add(t, "%-26s", limits[i].name);
		add_limit(t, p->limits[i].soft);
		add_limit(t, p->limits[i].hard);
		proc_add(t, "%-10s\n", limits[i].unit);
	}
	return 0;
}

static int render_cgroup(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "0::/\n");
	return 0;
}

/* Time on a CPU, time that it waited for one (which the host knows), turns on it. */
static int render_schedstat(struct proc_text *t, struct process *p, struct proc_node *n)
{
	struct summary s;

	summarise(p, n, &s);
	proc_add(t, "%llu 0 %llu\n", (unsigned long long)s.utime_ns, (unsigned long long)s.parks);
	return 0;
}

/* The one persona. */
static int render_personality(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "00000000\n");
	return 0;
}

/* As Linux says it where it does not show the place. */
static int render_wchan(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "0");
	return 0;
}

static int render_zero(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "0\n");
	return 0;
}

/* --- tables -------------------------------------------------------------------------------- */

#define TEXT(name, mode, fn)                                                                       \
	{                                                                                          \
		name, mode, PROC_TEXT, .render = fn                                                \
	}
#define PRIVATE_TEXT(name, mode, fn)                                                               \
	{                                                                                          \
		name, mode, PROC_TEXT, .render = fn, .is_private = true                            \
	}
#define LINK(name, fn)                                                                             \
	{                                                                                          \
		name, 0777, PROC_LINK, .read_link = fn##_link, .jump = fn##_jump                   \
	}
#define COMMON                                                                                     \
	LINK("exe", exe), LINK("cwd", cwd), LINK("root", root),                                    \
		PRIVATE_TEXT("maps", 0444, render_maps),                                           \
		PRIVATE_TEXT("smaps", 0444, render_smaps), TEXT("cmdline", 0444, render_cmdline),  \
		PRIVATE_TEXT("environ", 0400, render_environ), TEXT("stat", 0444, render_stat),    \
		TEXT("statm", 0444, render_statm), TEXT("status", 0444, render_status),            \
		{"comm", 0644, PROC_TEXT, .render = render_comm, .store = store_comm},             \
		TEXT("limits", 0444, render_limits), TEXT("mounts", 0444, proc_render_mounts),     \
		TEXT("mountinfo", 0444, proc_render_mountinfo),                                    \
		TEXT("schedstat", 0444, render_schedstat), TEXT("wchan", 0444, render_wchan),      \
		PRIVATE_TEXT("personality", 0400, render_personality),                             \
		{"net", 0555, PROC_DIR, proc_net_children}, TEXT("cgroup", 0444, render_cgroup),   \
		TEXT("oom_score", 0444, render_zero),                                              \
		{"oom_score_adj", 0644, PROC_TEXT, .render = render_oom_score_adj,                 \
		 .store = store_oom_score_adj},                                                    \
		{"fd", 0500, PROC_DIR, .numbers = NUMBERS_FDS, .number_entry = &proc_fd_link},     \
	{                                                                                          \
		"fdinfo", 0500, PROC_DIR, .numbers = NUMBERS_FDS,                                  \
					  .number_entry = &proc_fdinfo_text                        \
	}

static const struct proc_entry thread_children[] = {COMMON, {NULL}};
static const struct proc_entry thread_entry = {NULL, 0555, PROC_DIR, .children = thread_children};
static const struct proc_entry process_children[] = {
	COMMON,
	{"task", 0555, PROC_DIR, .numbers = NUMBERS_THREADS, .number_entry = &thread_entry},
	{NULL}};
const struct proc_entry proc_process_entry = {NULL, 0555, PROC_DIR, .children = process_children};
