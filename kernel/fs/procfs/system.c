/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc tells about the instance. Nothing here is the host's word but the wall clock. */
#include "abi/errno.h"
#include "kernel/arch/arch.h"
#include "kernel/core/kmem.h"
#include "kernel/core/random.h"
#include "kernel/fs/procfs/proc_priv.h"
#include "kernel/fs/secvol/volume.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/turn.h"
#include "kernel/proc/load.h"
#include "kernel/sys/cpus.h"
#include "kernel/sys/hostname.h"
#include "kernel/time/clock.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/inotify.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/pagecache.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

#define NSEC	1000000000ull
#define PID_MAX 32768

static int render_meminfo(struct proc_text *t, struct process *p, struct proc_node *n)
{
	struct kmem_stats heap;
	u64 total, free;

	mm_system_totals(&total, &free);
	kmem_stats(&heap);
	proc_add(t,
		 "MemTotal:       %8llu kB\nMemFree:        %8llu kB\nMemAvailable:   %8llu kB\n",
		 (unsigned long long)total / 1024, (unsigned long long)free / 1024,
		 (unsigned long long)free / 1024);
	proc_add(t,
		 "Buffers:               0 kB\nCached:         %8llu kB\nSwapCached:            0 "
		 "kB\n",
		 (unsigned long long)page_cache_used() / 1024);
	proc_add(t, "SwapTotal:             0 kB\nSwapFree:              0 kB\nShmem:              "
		    "   0 kB\n");
	proc_add(
		t,
		"KernelHeapTotal:%8llu kB\nKernelHeapPeakUsed:%5llu kB\nKernelHeapInUse:%8llu kB\n",
		(unsigned long long)heap.total / 1024, (unsigned long long)heap.peak / 1024,
		(unsigned long long)heap.used / 1024);
	return 0;
}

/* The flags that programs look for, by register and bit. */
static const struct {
	u32 leaf;
	u8 reg, bit;
	const char *name;
} cpu_flags[] = {
	{1, 3, 0, "fpu"},
	{1, 3, 4, "tsc"},
	{1, 3, 8, "cx8"},
	{1, 3, 15, "cmov"},
	{1, 3, 19, "clflush"},
	{1, 3, 23, "mmx"},
	{1, 3, 24, "fxsr"},
	{1, 3, 25, "sse"},
	{1, 3, 26, "sse2"},
	{0x80000001, 3, 11, "syscall"},
	{0x80000001, 3, 20, "nx"},
	{0x80000001, 3, 29, "lm"},
	{1, 2, 0, "pni"},
	{1, 2, 1, "pclmulqdq"},
	{1, 2, 9, "ssse3"},
	{1, 2, 12, "fma"},
	{1, 2, 13, "cx16"},
	{1, 2, 19, "sse4_1"},
	{1, 2, 20, "sse4_2"},
	{1, 2, 22, "movbe"},
	{1, 2, 23, "popcnt"},
	{1, 2, 25, "aes"},
	{1, 2, 26, "xsave"},
	{1, 2, 28, "avx"},
	{1, 2, 29, "f16c"},
	{1, 2, 30, "rdrand"},
	{7, 1, 0, "fsgsbase"},
	{7, 1, 3, "bmi1"},
	{7, 1, 5, "avx2"},
	{7, 1, 8, "bmi2"},
	{7, 1, 9, "erms"},
	{7, 1, 16, "avx512f"},
	{7, 1, 18, "rdseed"},
	{7, 1, 19, "adx"},
	{7, 1, 17, "avx512dq"},
	{7, 1, 21, "avx512ifma"},
	{7, 1, 23, "clflushopt"},
	{7, 1, 24, "clwb"},
	{7, 1, 28, "avx512cd"},
	{7, 1, 29, "sha_ni"},
	{7, 1, 30, "avx512bw"},
	{7, 1, 31, "avx512vl"},
	{7, 2, 1, "avx512vbmi"},
	{7, 2, 6, "avx512_vbmi2"},
	{7, 2, 8, "gfni"},
	{7, 2, 9, "vaes"},
	{7, 2, 10, "vpclmulqdq"},
	{7, 2, 11, "avx512_vnni"},
	{7, 2, 12, "avx512_bitalg"},
	{7, 2, 14, "avx512_vpopcntdq"},
	{7, 2, 27, "movdiri"},
	{7, 2, 28, "movdir64b"},
	{7, 3, 4, "fsrm"},
	{7, 3, 14, "serialize"},
};

static void add_brand(struct proc_text *t)
{
	u32 text[13] = {0};

	for (u32 i = 0; i < 3; i++)
		arch_cpuid(0x80000002 + i, 0, text + 4 * i);
	proc_add(t, "model name\t: %s\n", (char *)text);
}

static int render_cpuinfo(struct proc_text *t, struct process *p, struct proc_node *n)
{
	u32 id[4], vendor[4], sizes[4], family, model;

	arch_cpuid(0, 0, vendor);
	arch_cpuid(1, 0, id);
	arch_cpuid(0x80000008, 0, sizes);
	family = (id[0] >> 8) & 15;
	model = (id[0] >> 4) & 15;
	if (family == 15)
		family += (id[0] >> 20) & 255;
	if (family >= 6)
		model |= (id[0] >> 12) & 0xf0;
	for (u32 cpu = 0; cpu < cpu_count(); cpu++) {
		proc_add(t, "processor\t: %u\nvendor_id\t: %.4s%.4s%.4s\n", cpu, (char *)&vendor[1],
			 (char *)&vendor[3], (char *)&vendor[2]);
		proc_add(t, "cpu family\t: %u\nmodel\t\t: %u\n", family, model);
		add_brand(t);
		proc_add(t,
			 "stepping\t: %u\nphysical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\n"
			 "cpu cores\t: %u\nfpu\t\t: yes\nflags\t\t:",
			 id[0] & 15, cpu_count(), cpu, cpu_count());
		for (u32 i = 0; i < ARRAY_SIZE(cpu_flags); i++) {
			u32 regs[4];

			arch_cpuid(cpu_flags[i].leaf, 0, regs);
			if (regs[cpu_flags[i].reg] >> cpu_flags[i].bit & 1)
				proc_add(t, " %s", cpu_flags[i].name);
		}
		proc_add(t,
			 "\nclflush size\t: 64\ncache_alignment\t: 64\n"
			 "address sizes\t: %u bits physical, %u bits virtual\n\n",
			 sizes[0] & 255, (sizes[0] >> 8) & 255);
	}
	return 0;
}

static int render_uptime(struct proc_text *t, struct process *p, struct proc_node *n)
{
	u64 up = (clock_monotonic_ns() - clock_boot_ns()) / (NSEC / 100);

	proc_add(t, "%llu.%02llu 0.00\n", (unsigned long long)up / 100,
		 (unsigned long long)up % 100);
	return 0;
}

static void render_scrubbed(void *arg, const struct volume_scrubbed *s)
{
	proc_add(arg, "%s rate %llu read %llu passes %u damaged %llu\n", s->source,
		 (unsigned long long)s->rate, (unsigned long long)s->bytes, s->passes,
		 (unsigned long long)s->damaged);
}

/* What is read again in the background, in bytes and bytes per second. */
static int render_sefs(struct proc_text *t, struct process *p, struct proc_node *n)
{
	volume_each_scrubbed(render_scrubbed, t);
	return 0;
}

struct counts {
	u32 processes, threads;
	s32 last;
};

static int count_one(struct process *p, void *arg)
{
	struct counts *c = arg;

	c->processes++;
	c->threads += p->thread_count;
	c->last = MAX(c->last, p->pid);
	return 0;
}

static int count_all(struct counts *c)
{
	*c = (struct counts){0};
	return process_for_each(count_one, c);
}

static int render_loadavg(struct proc_text *t, struct process *p, struct proc_node *n)
{
	struct load_totals sum;
	struct counts c;
	u64 average[3];
	int err = count_all(&c);

	load_totals(&sum);
	load_averages(average);
	for (u32 i = 0; i < 3; i++) {
		u64 hundredths = (average[i] * 100 + (1 << (LOAD_SHIFT - 1))) >> LOAD_SHIFT;

		proc_add(t, "%llu.%02llu ", (unsigned long long)hundredths / 100,
			 (unsigned long long)hundredths % 100);
	}
	proc_add(t, "%u/%u %d\n", MIN(sum.running, c.threads), c.threads, c.last);
	return err;
}

static int render_stat(struct proc_text *t, struct process *p, struct proc_node *n)
{
	struct turn_counts turns;
	u64 up = clock_monotonic_ns() - clock_boot_ns(), used, all;
	u32 cpus = cpu_count();
	struct load_totals sum;
	struct counts c;
	int err = count_all(&c);

	/*
	 * Which CPU of the host ran a thread is the host's affair: each has its share. More than
	 * there is: threads waited for a CPU outside.
	 */
	load_totals(&sum);
	all = up / (NSEC / 100);
	used = MIN(sum.cpu_ns / (NSEC / 100) / cpus, all);
	proc_add(t, "cpu  %llu 0 0 %llu 0 0 0 0 0 0\n", (unsigned long long)used * cpus,
		 (unsigned long long)(all - used) * cpus);
	for (u32 cpu = 0; cpu < cpus; cpu++)
		proc_add(t, "cpu%u %llu 0 0 %llu 0 0 0 0 0 0\n", cpu, (unsigned long long)used,
			 (unsigned long long)(all - used));
	proc_add(t,
		 "intr 0\nctxt %llu\nbtime %llu\nprocesses %d\nprocs_running %u\n"
		 "procs_blocked 0\n",
		 (unsigned long long)sum.parks,
		 (unsigned long long)((clock_realtime_ns() - up) / NSEC), c.last,
		 MAX(sum.running, 1u));
	/* docs/fork.md: whose memory was where. */
	turn_counts(&turns);
	proc_add(t,
		 "fork_count %llu\nfork_switches %llu\nfork_pages_exchanged %llu\n"
		 "fork_pages_held %llu\n",
		 (unsigned long long)turns.forks, (unsigned long long)turns.switches,
		 (unsigned long long)turns.pages_exchanged, (unsigned long long)turns.pages_held);
	return err;
}

static int render_version(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "Linux version %s (occlum) #1 Occlum %s\n", UNAME_RELEASE, OCCLUM_VERSION);
	return 0;
}

static int render_filesystems(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "nodev\tproc\nnodev\ttmpfs\nnodev\tdevtmpfs\nnodev\toverlay\nnodev\tsefs\n"
		    "nodev\thostfs\n");
	return 0;
}

/* There are neither block devices nor swap; what else Linux counts nobody counts here. */
static int render_vmstat(struct proc_text *t, struct process *p, struct proc_node *n)
{
	u64 total, free;

	mm_system_totals(&total, &free);
	proc_add(t, "nr_free_pages %llu\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n",
		 (unsigned long long)free / PAGE_SIZE);
	return 0;
}

static int render_swaps(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	return 0;
}

static int render_nothing(struct proc_text *t, struct process *p, struct proc_node *n)
{
	return 0;
}

/* --- mounts -------------------------------------------------------------------------------- */

struct mount_text {
	struct proc_text *t;
	struct dentry *root;
	bool is_info;
};

static void add_options(struct proc_text *t, u32 flags)
{
	proc_add(t, "%s%s%s%s", flags & FS_READ_ONLY ? "ro" : "rw",
		 flags & FS_NOSUID ? ",nosuid" : "", flags & FS_NODEV ? ",nodev" : "",
		 flags & FS_NOEXEC ? ",noexec" : "");
}

static int add_mount(struct mount *m, void *arg)
{
	struct mount_text *mt = arg;
	char path[512];

	if (!dentry_is_above(mt->root, m->root) ||
	    dentry_path(m->root, mt->root, path, sizeof(path)) < 0)
		return 0; /* of another root: init's */
	if (mt->is_info) {
		proc_add(mt->t, "%u %u %u:%u / %s ", m->id, m->point ? m->point->mount->id : 0,
			 DEV_MAJOR(m->fs->dev), DEV_MINOR(m->fs->dev), path);
		add_options(mt->t, m->fs->flags);
		/* Then what the file system says itself: readers put the two lists together. */
		proc_add(mt->t, ",noatime - %s %s %s\n", m->fs->type, m->fs->source,
			 m->fs->flags & FS_READ_ONLY ? "ro" : "rw");
		return 0;
	}
	proc_add(mt->t, "%s %s %s ", m->fs->source, path, m->fs->type);
	add_options(mt->t, m->fs->flags);
	proc_add(mt->t, ",noatime 0 0\n");
	return 0;
}

static int render_any_mounts(struct proc_text *t, bool is_info)
{
	struct mount_text mt = {t, fs_context_root(current_process()->fs), is_info};
	int err = mount_for_each(add_mount, &mt);

	dentry_put(mt.root);
	return err;
}

int proc_render_mounts(struct proc_text *t, struct process *p, struct proc_node *n)
{
	return render_any_mounts(t, false);
}

int proc_render_mountinfo(struct proc_text *t, struct process *p, struct proc_node *n)
{
	return render_any_mounts(t, true);
}

/* --- /proc/sys ----------------------------------------------------------------------------- */

#define FIXED(fn, ...)                                                                             \
	static int fn(struct proc_text *t, struct process *p, struct proc_node *n)                 \
	{                                                                                          \
		proc_add(t, __VA_ARGS__);                                                          \
		return 0;                                                                          \
	}
FIXED(render_ostype, "Linux\n")
FIXED(render_osrelease, "%s\n", UNAME_RELEASE)
FIXED(render_osversion, "#1 Occlum %s\n", OCCLUM_VERSION)
FIXED(render_hostname, "%s\n", hostname_get())
FIXED(render_pid_max, "%d\n", PID_MAX)
FIXED(render_threads_max, "4096\n")
FIXED(render_cap_last, "40\n")
FIXED(render_ngroups, "65536\n")
FIXED(render_tainted, "0\n")
FIXED(render_entropy, "256\n")
FIXED(render_overcommit, "0\n")
FIXED(render_map_count, "65530\n")
FIXED(render_mmap_min, "65536\n")
FIXED(render_file_max, "65536\n")
FIXED(render_pipe_max, "1048576\n")
FIXED(render_watch_events, "%u\n", INOTIFY_EVENTS_MAX)
FIXED(render_watch_sets, "%u\n", INOTIFY_SETS_MAX)
FIXED(render_watches, "%u\n", INOTIFY_WATCHES_MAX)

static int add_uuid(struct proc_text *t, u8 b[16])
{
	b[6] = (b[6] & 15) | 0x40;
	b[8] = (b[8] & 63) | 0x80;
	for (u32 i = 0; i < 16; i++)
		proc_add(t, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
	proc_add(t, "\n");
	return 0;
}

static int render_uuid(struct proc_text *t, struct process *p, struct proc_node *n)
{
	u8 b[16];
	int err = random_bytes(b, sizeof(b));

	return err ? err : add_uuid(t, b);
}

static int render_boot_id(struct proc_text *t, struct process *p, struct proc_node *n)
{
	static struct spinlock lock = SPINLOCK_INIT(LOCK_STATISTICS);
	static u8 id[16];
	static bool is_made;
	u8 b[16];
	int err = random_bytes(b, sizeof(b));

	if (err)
		return err;
	spin_lock(&lock);
	if (!is_made)
		memcpy(id, b, sizeof(id));
	is_made = true;
	memcpy(b, id, sizeof(b));
	spin_unlock(&lock);
	return add_uuid(t, b);
}

/* --- self ---------------------------------------------------------------------------------- */

static long self_link(struct process *p, struct proc_node *n, char *buf, size_t size)
{
	char text[16];
	int len = fmt_snprintf(text, sizeof(text), "%d", current_process()->pid);

	len = MIN((size_t)len, size);
	memcpy(buf, text, len);
	return len;
}

static long thread_self_link(struct process *p, struct proc_node *n, char *buf, size_t size)
{
	char text[40];
	int len = fmt_snprintf(text, sizeof(text), "%d/task/%d", current_process()->pid,
			       current_thread()->tid);

	len = MIN((size_t)len, size);
	memcpy(buf, text, len);
	return len;
}

static long fixed_link(const char *text, char *buf, size_t size)
{
	size_t len = MIN(strlen(text), size);

	memcpy(buf, text, len);
	return len;
}

static long mounts_link(struct process *p, struct proc_node *n, char *buf, size_t size)
{
	return fixed_link("self/mounts", buf, size);
}

static long net_link(struct process *p, struct proc_node *n, char *buf, size_t size)
{
	return fixed_link("self/net", buf, size);
}

#define TEXT(name, fn)                                                                             \
	{                                                                                          \
		name, 0444, PROC_TEXT, .render = fn                                                \
	}
#define DIR(name, children)                                                                        \
	{                                                                                          \
		name, 0555, PROC_DIR, children                                                     \
	}

static const struct proc_entry random_children[] = {TEXT("uuid", render_uuid),
						    TEXT("boot_id", render_boot_id),
						    TEXT("entropy_avail", render_entropy),
						    {NULL}};
static const struct proc_entry kernel_children[] = {
	TEXT("ostype", render_ostype),		 TEXT("osrelease", render_osrelease),
	TEXT("version", render_osversion),	 TEXT("hostname", render_hostname),
	TEXT("pid_max", render_pid_max),	 TEXT("threads-max", render_threads_max),
	TEXT("cap_last_cap", render_cap_last),	 TEXT("ngroups_max", render_ngroups),
	TEXT("tainted", render_tainted),	 TEXT("sem", proc_render_sem_limits),
	TEXT("msgmax", proc_render_msgmax),	 TEXT("msgmnb", proc_render_msgmnb),
	TEXT("msgmni", proc_render_ipc_objects), TEXT("shmmni", proc_render_ipc_objects),
	TEXT("shmmax", proc_render_shm_max),	 TEXT("shmall", proc_render_shm_max),
	DIR("random", random_children),		 {NULL}};
static const struct proc_entry vm_children[] = {TEXT("overcommit_memory", render_overcommit),
						TEXT("max_map_count", render_map_count),
						TEXT("mmap_min_addr", render_mmap_min),
						{NULL}};
static const struct proc_entry inotify_children[] = {TEXT("max_queued_events", render_watch_events),
						     TEXT("max_user_instances", render_watch_sets),
						     TEXT("max_user_watches", render_watches),
						     {NULL}};
static const struct proc_entry fs_children[] = {TEXT("file-max", render_file_max),
						TEXT("nr_open", render_file_max),
						TEXT("pipe-max-size", render_pipe_max),
						DIR("inotify", inotify_children),
						{NULL}};
static const struct proc_entry proc_fs_children[] = {TEXT("sefs", render_sefs), {NULL}};
static const struct proc_entry sys_children[] = {
	DIR("kernel", kernel_children), DIR("vm", vm_children), DIR("fs", fs_children), {NULL}};
static const struct proc_entry root_children[] = {
	{"self", 0777, PROC_LINK, .read_link = self_link},
	{"thread-self", 0777, PROC_LINK, .read_link = thread_self_link},
	{"mounts", 0777, PROC_LINK, .read_link = mounts_link},
	TEXT("meminfo", render_meminfo),
	TEXT("cpuinfo", render_cpuinfo),
	TEXT("uptime", render_uptime),
	TEXT("loadavg", render_loadavg),
	TEXT("stat", render_stat),
	TEXT("version", render_version),
	TEXT("filesystems", render_filesystems),
	TEXT("vmstat", render_vmstat),
	TEXT("swaps", render_swaps),
	TEXT("diskstats", render_nothing),
	{"net", 0777, PROC_LINK, .read_link = net_link},
	DIR("fs", proc_fs_children),
	DIR("sys", sys_children),
	DIR("sysvipc", proc_sysvipc_children),
	{NULL}};
const struct proc_entry proc_root_entry = {
	"", 0555, PROC_DIR, root_children, NUMBERS_PROCESSES, &proc_process_entry};
