// SPDX-License-Identifier: Apache-2.0
/* Processes and user mode of the explorer. */
#include "tests/explore/world.h"

#include <elf.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/fs.h"
#include "abi/mman.h"
#include "abi/resource.h"
#include "abi/sched.h"
#include "abi/signal.h"
#include "kernel/arch/arch.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/pipefs/pipe.h"
#include "kernel/futex/futex.h"
#include "kernel/mm/family_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/exec.h"
#include "kernel/proc/proc_priv.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/restart.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/names.h"
#include "tests/explore/machine.h"
#include "tests/explore/scheduler.h"

#define MEMORIES     48
#define PROGRAMS     8
#define ENTRY_OFFSET 0x1000
#define DATA_OFFSET  0x2000
#define CELLS	     3
#define EVENTS	     4

/* What an address space must hold. */
struct memory {
	struct mm *mm;
	u64 base;
	u64 value[DATA_PAGES]; /* 0: not mapped (or nothing is known) */
	u64 shared;
};

static struct {
	struct waitq queue;
	u32 is_set;
} events[EVENTS];
static struct memory memories[MEMORIES];
static u32 memory_count;
static program programs[PROGRAMS];
static u32 program_count;
static u64 values; /* never the same twice */

static struct mm *own_mm(void)
{
	return current_process()->mm;
}

static struct memory *memory_of(struct mm *mm)
{
	for (u32 i = 0; i < memory_count; i++)
		if (memories[i].mm == mm)
			return &memories[i];
	if (memory_count == MEMORIES)
		explore_fail("too many address spaces for the explorer");
	memories[memory_count] = (struct memory){.mm = mm};
	return &memories[memory_count++];
}

static struct mm *copying; /* the address space that is being copied, all of whose threads wait */

/* --- fork: what the child must hold is what its parent held when its pages were copied --- */

static struct memory copied[SLOTS + 1];

void __real_turn_resume_siblings(struct mm *mm);
void __wrap_turn_resume_siblings(struct mm *mm);
void __wrap_turn_resume_siblings(struct mm *mm)
{
	copied[current_thread()->slot] = *memory_of(mm);
	copying = NULL;
	__real_turn_resume_siblings(mm);
}

void world_copies(struct mm *mm)
{
	copying = mm;
}

int __real_mm_fork(struct mm *mm, struct mm **ret);
int __wrap_mm_fork(struct mm *mm, struct mm **ret);
int __wrap_mm_fork(struct mm *mm, struct mm **ret)
{
	int err = __real_mm_fork(mm, ret);

	if (!err) {
		copied[current_thread()->slot].mm = *ret;
		*memory_of(*ret) = copied[current_thread()->slot];
	}
	return err;
}

/* --- user mode --- */

static void exit_work(void)
{
	struct thread *t = current_thread();

	for (;;) {
		if (thread_has_work(t))
			signal_deliver(current_regs());
		else if (__atomic_load_n(&t->work, __ATOMIC_ACQUIRE) & WORK_TURN)
			turn_checkpoint();
		else
			break;
	}
	__atomic_fetch_and(&t->work, ~(u32)WORK_RESTORE, __ATOMIC_ACQ_REL);
}

/* An instruction. A signal of the host comes before it or, if others run first, a later one. */
static void step(void)
{
	struct mm *mm = own_mm();

	exit_work();
	if (!mm || mm != current_thread()->turn_mm)
		explore_fail("a program runs that is not attached to its memory");
	if (!mm->inside)
		explore_fail("a program runs and does not count");
	if (mm->family && (mm->family->resident != mm || mm->family->is_switching))
		explore_fail("a program runs although it is not its turn");
	if (mm == copying)
		explore_fail("a program runs while its sibling copies its pages");
}

static u64 page_address(const struct memory *m, u32 page)
{
	return m->base + page * PAGE_SIZE;
}

static volatile u64 *cell(u64 page, u32 index)
{
	static const u32 offsets[CELLS] = {0, PAGE_SIZE / 2, PAGE_SIZE - 8};

	return (volatile u64 *)(page + offsets[index]);
}

/* As the CPU and the fault path do it. */
static void reach(u64 at, u32 access)
{
	/* A step, where others may run, comes before everything that reads. */
	explore_point((const void *)at,
		      access & PAGE_WRITE ? POINT_WRITE : POINT_READ | POINT_QUIET);
	while (!pages_accessible(at, 8, access)) {
		int err = mm_handle_fault(own_mm(), at, access);

		exit_work();
		if (err)
			explore_fail("a fault at a page that is mapped: %d", err);
	}
}

static void look_at(const struct memory *m, u32 page)
{
	u64 at = page_address(m, page);

	reach(at, PAGE_READ);
	for (u32 i = 0; i < CELLS; i++)
		if (*cell(at, i) != m->value[page])
			explore_fail("process %d finds %llx in page %u where it has written %llx",
				     current_process()->pid, (unsigned long long)*cell(at, i), page,
				     (unsigned long long)m->value[page]);
}

void u_look(void)
{
	struct memory *m = memory_of(own_mm());

	step();
	for (u32 i = 0; i < DATA_PAGES; i++)
		if (m->value[i])
			look_at(m, i);
}

static void set(struct memory *m, u32 page)
{
	u64 at = page_address(m, page);

	reach(at, PAGE_WRITE);
	m->value[page] = ++values << 16 | (u64)current_process()->pid;
	for (u32 i = 0; i < CELLS; i++)
		*cell(at, i) = m->value[page];
}

void u_write(u32 page)
{
	u_look();
	set(memory_of(own_mm()), page);
}

static u64 map(u64 at, u64 size, u32 flags)
{
	long ret;

	step();
	ret = mm_mmap(own_mm(), at, size, PROT_READ | PROT_WRITE,
		      flags | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), NULL, 0);
	if (ret < 0)
		explore_fail("mmap: %ld", ret);
	step();
	return (u64)ret;
}

void u_map(u32 pages)
{
	struct memory *m = memory_of(own_mm());

	m->base = map(0, pages * PAGE_SIZE, MAP_PRIVATE);
	for (u32 i = 0; i < pages; i++)
		set(m, i);
}

void u_adopt_data(void)
{
	struct memory *m = memory_of(own_mm());

	m->base = current_regs()->rip - ENTRY_OFFSET + DATA_OFFSET;
	m->base = ALIGN_DOWN(m->base, PAGE_SIZE);
	step();
	set(m, 0);
}

void u_unmap(u32 page, u32 count)
{
	struct memory *m = memory_of(own_mm());

	u_look();
	for (u32 i = page; i < page + count; i++)
		m->value[i] = 0;
	if (mm_munmap(own_mm(), page_address(m, page), count * PAGE_SIZE))
		explore_fail("munmap fails");
	u_look();
}

void u_remap(u32 page)
{
	struct memory *m = memory_of(own_mm());

	u_look();
	m->value[page] = 0;
	if (map(page_address(m, page), PAGE_SIZE, MAP_PRIVATE) != page_address(m, page))
		explore_fail("a fixed mapping lies elsewhere");
	reach(page_address(m, page), PAGE_READ);
	if (*cell(page_address(m, page), 0))
		explore_fail("a new page is not zero");
	set(m, page);
}

void u_protect(u32 page, bool writable)
{
	struct memory *m = memory_of(own_mm());

	u_look();
	if (mm_mprotect(own_mm(), page_address(m, page), PAGE_SIZE,
			PROT_READ | (writable ? PROT_WRITE : 0)))
		explore_fail("mprotect fails");
	u_look();
}

/* --- processes and threads --- */

void world_enter_user(const struct user_regs *regs)
{
	u64 rip = regs->rip;
	program main = (program)rip;

	if (rip - machine_zone() < ZONE_SIZE)
		main = programs[(rip & PAGE_MASK_LOW) / 16];
	step();
	main();
	u_exit(0);
}

static s32 clone(u64 flags, int signal, program main)
{
	struct clone_request r = {.flags = flags, .exit_signal = (u32)signal};
	long ret;

	step();
	current_regs()->rip = (u64)main;
	ret = process_clone(&r);
	exit_work();
	return (s32)ret;
}

s32 u_fork(program child)
{
	s32 pid = clone(0, SIGCHLD, child);

	u_look();
	return pid;
}

s32 u_vfork(program child)
{
	s32 pid = clone(CLONE_VM | CLONE_VFORK, SIGCHLD, child);

	u_look();
	return pid;
}

s32 u_spawn_in_memory(program child)
{
	s32 pid = clone(CLONE_VM, SIGCHLD, child);

	u_look();
	return pid;
}

s32 u_thread(program main)
{
	return clone(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, 0, main);
}

void u_exit(int status)
{
	u_look();
	process_exit_group((status & 0xff) << 8);
}

void u_thread_exit(void)
{
	u_look();
	thread_exit(0);
}

s32 u_wait(s32 pid)
{
	const struct wait_request request = {
		.which = pid < 0 ? ABI_P_ALL : ABI_P_PID, .id = pid, .options = WEXITED};
	struct wait_result result;
	int ret;

	u_look();
	do {
		ret = process_wait(&request, &result);
		exit_work();
	} while (ret == -ERESTARTSYS);
	u_look();
	return ret ? ret : wait_status(&result);
}

void u_kill(s32 pid, int signo)
{
	const struct signal_info info = {.signo = signo, .code = SI_USER};
	struct process *p;

	step();
	p = process_lookup(pid);
	if (p)
		(void)signal_send_process(p, &info);
	process_put(p);
	exit_work();
}

void u_exec(const char *path)
{
	struct exec_args args = {0};
	int err;

	u_look();
	err = exec_args_add(&args, path, strlen(path), false);
	if (!err)
		err = process_exec(path, NULL, &args);
	exit_work();
	if (err)
		explore_fail("exec: %d", err);
	world_enter_user(current_regs());
}

u32 u_random(u32 below)
{
	u64 x = ++values * 0x9e3779b97f4a7c15ull;

	return (u32)((x ^ x >> 31) >> 8) % below;
}

s32 u_pid(void)
{
	return current_process()->pid;
}

struct process *world_start(program main)
{
	struct process *p = process_new();
	struct thread *t;

	for (u32 i = 0; i < EVENTS && !events[i].queue.entries.next; i++)
		waitq_init(&events[i].queue);
	p->files = fd_table_new();
	p->fs = fs_context_new();
	p->mm = mm_new();
	p->exe_path = kstrdup("/program");
	if (vfs_open(p->fs, p->exe_path, O_RDWR | O_CREAT, 0755, &p->exe))
		explore_fail("no file for the first program");
	mm_enter(p->mm);
	p->limits[ABI_RLIMIT_AS].soft = p->limits[ABI_RLIMIT_NOFILE].soft = UINT64_MAX;
	t = thread_new(p);
	t->tid = p->pid;
	id_hold(t->tid);
	t->start_regs.rip = (u64)main;
	if (thread_attach(t) || thread_start(t))
		explore_fail("the first thread does not start");
	thread_put(t);
	return process_get(p);
}

s32 world_wait(struct process *p)
{
	s32 status = process_wait_exit(p);

	process_put(p);
	return status;
}

/* --- shared memory --- */

static u64 word_address(u32 word)
{
	return memory_of(own_mm())->shared + word * 8;
}

void u_map_shared(void)
{
	struct memory *m = memory_of(own_mm());

	m->shared = map(0, PAGE_SIZE, MAP_SHARED);
	reach(m->shared, PAGE_WRITE);
}

u64 u_map_file(void)
{
	long ret;

	step();
	ret = mm_mmap(own_mm(), 0, PAGE_SIZE, PROT_READ, MAP_SHARED, current_process()->exe, 0);
	exit_work();
	if (ret < 0)
		explore_fail("mmap of a file: %ld", ret);
	u_look();
	return (u64)ret;
}

static u32 shared_word(u32 word)
{
	reach(word_address(word), PAGE_READ);
	return *(volatile u32 *)word_address(word);
}

void u_shared_store_and_wake(u32 word, u32 value)
{
	u_look();
	reach(word_address(word), PAGE_WRITE);
	*(volatile u32 *)word_address(word) = value;
	(void)futex_wake(word_address(word), 1000, false, UINT32_MAX);
	exit_work();
	u_look();
}

void u_shared_wait(u32 word, u32 value)
{
	u_look();
	for (;;) {
		u32 seen = shared_word(word);

		if (seen == value)
			break;
		(void)futex_wait(word_address(word), seen, false, UINT32_MAX, UINT64_MAX);
		exit_work();
		u_look();
	}
	u_look();
}

static bool has_work(void *arg)
{
	return ((struct thread *)arg)->work;
}

/* Nothing happens while it spins, but time passes. */
void u_shared_spin(u32 word, u32 value)
{
	while (shared_word(word) != value) {
		(void)fiber_wait(has_work, current_thread(), NO_DEADLINE);
		explore_point(&current_thread()->work, POINT_READ);
		u_look();
	}
	u_look();
}

/* --- events --- */

void u_event_set(u32 event)
{
	step();
	__atomic_store_n(&events[event].is_set, 1, __ATOMIC_SEQ_CST);
	waitq_wake_all(&events[event].queue);
	exit_work();
	u_look();
}

void u_event_wait(u32 event)
{
	u_look();
	while (wait_event(&events[event].queue,
			  __atomic_load_n(&events[event].is_set, __ATOMIC_SEQ_CST), DEADLINE_NEVER,
			  true))
		exit_work();
	u_look();
}

/* --- a pipe --- */

void u_pipe(void)
{
	struct file *ends[2];

	step();
	if (pipe_new(0, &ends[0], &ends[1]))
		explore_fail("no pipe");
	if (pipe_set_size(ends[1], PAGE_SIZE) != PAGE_SIZE)
		explore_fail("a pipe does not hold one page");
	for (int i = 0; i < 2; i++)
		if (fd_publish(ends[i], false) != i)
			explore_fail("an end of a pipe is not descriptor %d", i);
	exit_work();
}

void u_close(u32 fd)
{
	step();
	if (sys_close((int)fd))
		explore_fail("close fails");
	exit_work();
}

void u_send(u32 page)
{
	struct memory *m = memory_of(own_mm());
	long sent;

	u_look();
	sent = sys_write(1, (const void __user *)page_address(m, page), PAGE_SIZE);
	exit_work();
	if (sent != PAGE_SIZE)
		explore_fail("%ld bytes of a page are sent", sent);
	u_look();
}

s32 u_receive_page(u32 page)
{
	struct memory *m = memory_of(own_mm());
	u64 at = page_address(m, page), before = m->value[page];
	long got;

	u_look();
	m->value[page] = 0; /* a sibling does not look while it comes */
	got = sys_read(0, (void __user *)at, PAGE_SIZE);
	exit_work();
	if (got != 0 && got != PAGE_SIZE)
		explore_fail("%ld bytes of a page are received", got);
	reach(at, PAGE_READ);
	m->value[page] = got ? *cell(at, 0) : before;
	u_look();
	return got ? (s32)(m->value[page] & 0xffff) : 0;
}

/* --- copies by the kernel --- */

u64 u_map_buffer(void)
{
	u64 at = map(0, PAGE_SIZE, MAP_PRIVATE);

	reach(at, PAGE_WRITE);
	return at;
}

void u_unmap_buffer(u64 at)
{
	step();
	if (mm_munmap(own_mm(), at, PAGE_SIZE))
		explore_fail("munmap fails");
	step();
}

int u_receive(u64 buffer)
{
	u8 bytes[256];
	int err;

	memset(bytes, 0xee, sizeof(bytes));
	step();
	err = copy_to_user((void __user *)buffer, bytes, sizeof(bytes));
	exit_work();
	return err;
}

void u_look_into(struct process *p)
{
	struct mm *mm = NULL;
	struct memory *m;
	u64 value = 0;

	step();
	mutex_lock(&p->exec_lock);
	if (p->mm)
		mm = mm_get(p->mm);
	mutex_unlock(&p->exec_lock);
	if (!mm)
		return;
	m = memory_of(mm);
	if (m->value[0] && mm_read_foreign(mm, &value, m->base, sizeof(value)) == sizeof(value) &&
	    (value & 0xffff) != (m->value[0] & 0xffff))
		explore_fail("of process %d another's bytes are shown: %llx", p->pid,
			     (unsigned long long)value);
	mm_put(mm);
	exit_work();
	u_look();
}

/* --- files --- */

struct image {
	Elf64_Ehdr e;
	Elf64_Phdr p[3];
	u8 rest[0x3000 - sizeof(Elf64_Ehdr) - 3 * sizeof(Elf64_Phdr)];
};

void world_install(const char *path, program main, u64 fixed)
{
	static struct image i;
	struct fs_context *ctx = fs_context_new();
	struct uio uio = uio_kernel(&i, sizeof(i));
	struct file *f;

	if (program_count == PROGRAMS)
		explore_fail("too many programs");
	programs[program_count] = main;
	memset(&i, 0, sizeof(i));
	memcpy(i.e.e_ident, ELFMAG, 4);
	i.e.e_ident[EI_CLASS] = ELFCLASS64;
	i.e.e_ident[EI_DATA] = ELFDATA2LSB;
	i.e.e_ident[EI_VERSION] = EV_CURRENT;
	i.e.e_type = fixed ? ET_EXEC : ET_DYN;
	i.e.e_machine = EM_X86_64;
	i.e.e_version = EV_CURRENT;
	i.e.e_entry = fixed + ENTRY_OFFSET + program_count++ * 16;
	i.e.e_phoff = sizeof(i.e);
	i.e.e_ehsize = sizeof(i.e);
	i.e.e_phentsize = sizeof(i.p[0]);
	i.e.e_phnum = 3;
	i.p[0] = (Elf64_Phdr){.p_type = PT_LOAD,
			      .p_flags = PF_R | PF_X,
			      .p_vaddr = fixed,
			      .p_filesz = 0x2000,
			      .p_memsz = 0x2000,
			      .p_align = 0x1000};
	i.p[1] = (Elf64_Phdr){.p_type = PT_LOAD,
			      .p_flags = PF_R | PF_W,
			      .p_offset = 0x2000,
			      .p_vaddr = fixed + DATA_OFFSET,
			      .p_filesz = 0x1000,
			      .p_memsz = 0x1000,
			      .p_align = 0x1000};
	i.p[2] = (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W};
	if (vfs_open(ctx, path, O_WRONLY | O_CREAT, 0755, &f) ||
	    file_write(f, &uio) != (long)sizeof(i))
		explore_fail("the file of a program cannot be made");
	file_put(f);
	fs_context_put(ctx);
}
