// SPDX-License-Identifier: Apache-2.0
/*
 * kernel/arch, the host and the kernel heap for the explorer. Each fiber is a thread slot with its
 * arena. The host does what it is asked and no more: it never wakes without cause, so that a
 * wake-up that the kernel forgets is a deadlock.
 *
 * The heap gives each slot a region of its own and gives nothing out twice: addresses depend on
 * what a fiber does and not on others, and what is used after it was freed shows.
 */
#include "tests/explore/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/errno.h"
#include "abi/resource.h"
#include "edge/enclave.h"
#include "edge/hostcall_gen.h"
#include "kernel/arch/arch.h"
#include "kernel/core/boot.h"
#include "kernel/core/config.h"
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/fs/ramfs/ramfs.h"
#include "kernel/host/host_call.h"
#include "kernel/mm/kept.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "kernel/proc/process.h"
#include "kernel/sched/park.h"
#include "kernel/sched/sched_priv.h"
#include "kernel/sched/thread.h"
#include "kernel/sync/lock_order.h"
#include "kernel/sync/spinlock.h"
#include "kernel/time/clock.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/file_ops.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/names.h"
#include "tests/explore/scheduler.h"

struct slot {
	struct thread own; /* between programs, and of the kernel's threads */
	struct thread *thread;
	struct thread_arena arena;
	struct user_regs regs;
	u64 user_fs;
	bool is_kicked; /* a signal of the host is pending for it */
	struct held_locks held;
	u64 token;
	void (*main)(void *arg);
	void *arg;
};

static struct slot slots[SLOTS + 1]; /* the last one: setup and finish */
struct process kernel_process;
static struct occlum_config config = {
	.user_space_size = MEMORY_LIMIT,
	.kernel_heap_size = MIB(32),
	.kernel_stack_size = KIB(64),
	.max_threads = SLOTS,
	.default_stack_size = KIB(64),
	.default_heap_size = KIB(256),
	.default_mmap_size = MIB(32),
	.debuggable = true,
	.enable_posix_shm = true,
};
static u8 *zone_memory;

static struct slot *slot(void)
{
	struct fiber *f = fiber_current();

	return f ? &slots[fiber_id(f)] : &slots[SLOTS];
}

struct held_locks *lock_order_held(void)
{
	return &slot()->held;
}

u64 machine_zone(void)
{
	return (u64)zone_memory;
}

const struct occlum_config *kernel_config(void)
{
	return &config;
}

void machine_limit_threads(u32 most)
{
	config.max_threads = most;
}

/* --- kernel/arch --- */

struct thread *current_thread(void)
{
	return slot()->thread;
}

struct user_regs *current_regs(void)
{
	return &slot()->regs;
}

void arch_attach_thread(struct thread *t)
{
	struct slot *s = slot();

	t->slot = (u32)(s - slots);
	__atomic_store_n(&t->block, (struct thread_block *)s, __ATOMIC_RELEASE);
	s->thread = t;
}

void arch_detach_thread(void)
{
	struct slot *s = slot();

	__atomic_store_n(&s->thread->block, NULL, __ATOMIC_RELEASE);
	s->thread = &s->own;
}

void arch_enter_user(const struct user_regs *regs)
{
	slot()->regs = *regs;
	world_enter_user(&slot()->regs);
}

void arch_return_to_host(s64 result)
{
	if (slot()->held.count)
		explore_fail("a thread ends with a lock held");
	if (slot()->own.turn_mm)
		explore_fail("a thread ends inside an address space");
	fiber_end();
}

u64 arch_get_user_fs(void)
{
	return slot()->user_fs;
}

void arch_set_user_fs(u64 base)
{
	slot()->user_fs = base;
}

void panic(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	explore_fail("panic: %s", text);
}

static bool lock_is_free(void *arg)
{
	return !*(volatile u32 *)arg;
}

void spin_lock_slow(struct spinlock *lock)
{
	do
		(void)fiber_wait(lock_is_free, &lock->locked, NO_DEADLINE);
	while (!spin_try(lock));
}

/* Looking for a wake-up before sleeping is sleeping that takes less time: there is none here. */
void look_count_awake(const struct thread *t, s32 change)
{
}

s32 look_awake(void)
{
	return 0;
}

bool look_may_begin(struct thread *t)
{
	return false;
}

void look_for_token(struct thread *t, u64 deadline, bool interruptible)
{
}

/* A copy may meet anything between two of its bytes. */
size_t __real_arch_user_copy(void *to, const void *from, size_t size);
size_t __wrap_arch_user_copy(void *to, const void *from, size_t size);
size_t __wrap_arch_user_copy(void *to, const void *from, size_t size)
{
	size_t half = size > 64 ? size / 2 : size, left;
	u64 user = (u64)to - machine_zone() < ZONE_SIZE ? (u64)to : (u64)from;

	explore_point((const void *)ALIGN_DOWN(user, PAGE_SIZE), POINT_WRITE);
	left = __real_arch_user_copy(to, from, half);
	if (left || half == size)
		return left + (size - half);
	explore_point((const void *)ALIGN_DOWN(user, PAGE_SIZE), POINT_WRITE);
	return __real_arch_user_copy((u8 *)to + half, (const u8 *)from + half, size - half);
}

/* As stage 1 of an exception does it: a fault in user_access.S goes on at its end. */
static bool on_fault(u64 rip, u64 *ret_resume)
{
	*ret_resume = (u64)user_access_fault;
	return rip >= (u64)user_access_start && rip < (u64)user_access_end;
}

/* --- time --- */

u64 clock_monotonic_ns(void)
{
	return 1000000000ull + explore_now();
}

u64 clock_realtime_ns(void)
{
	return clock_monotonic_ns();
}

/* --- the host --- */

struct thread_arena __host *host_arena(void)
{
	return &slot()->arena;
}

static bool may_stop_waiting(void *arg)
{
	const struct slot *s = arg;

	return s->arena.wait_word || s->is_kicked;
}

static s64 wait(struct slot *s, u64 timeout)
{
	u64 deadline = timeout == UINT64_MAX ? NO_DEADLINE : explore_now() + timeout;
	bool timed_out = false;

	if (!s->arena.wait_word && !s->is_kicked)
		timed_out = fiber_wait(may_stop_waiting, s, deadline);
	explore_point(&s->arena.wait_word, POINT_READ | POINT_QUIET);
	if (timed_out)
		return -ETIMEDOUT;
	if (s->arena.wait_word)
		return 0;
	s->is_kicked = false;
	return -EINTR;
}

/* Only what the kernel may ask for; each page is a place. */
static void check_range(u64 address, u64 size)
{
	u64 start = machine_zone();

	if (!IS_ALIGNED(address | size, PAGE_SIZE) || !size || address < start ||
	    size > ZONE_SIZE || address - start > ZONE_SIZE - size)
		explore_fail("a host call for memory at %llx", (unsigned long long)address);
	explore_point((const void *)address, POINT_WRITE);
	for (u64 at = address + PAGE_SIZE; at < address + MIN(size, KIB(128)); at += PAGE_SIZE)
		explore_point((const void *)at, POINT_WRITE | POINT_QUIET);
}

static s64 move(void *to, void *from, u64 size, int prot)
{
	if (mprotect(to, size, PROT_READ | PROT_WRITE) ||
	    mprotect(from, size, PROT_READ | PROT_WRITE))
		return -ENOMEM;
	memcpy(to, from, size);
	memset(from, 0, size);
	return mprotect(to, size, prot) ? -EACCES : 0;
}

static void run_slot(void *arg)
{
	struct slot *s = arg;

	thread_init_kernel(&s->own);
	s->own.slot = (u32)(s - slots);
	if (s->main)
		s->main(s->arg);
	else if (thread_run(s->token))
		explore_fail("the kernel refuses a thread it asked for");
}

static s64 start(u64 token, void (*main)(void *arg), void *arg)
{
	struct fiber *f = fiber_new(run_slot, NULL);
	struct slot *s = &slots[fiber_id(f)];

	/* Not the arena's 64 KiB: each page written is one that a fork has to copy. */
	memset(&s->own, 0, sizeof(s->own));
	s->arena.wait_word = 0;
	s->is_kicked = false;
	s->user_fs = 0;
	s->held.count = 0;
	s->token = token;
	s->main = main;
	s->arg = arg;
	s->thread = &s->own;
	fiber_set_arg(f, s);
	return 0;
}

static s64 answer(struct slot *s, u64 number, u64 *args)
{
	switch (number) {
	case HOSTCALL_WAIT: return wait(s, args[0]);
	case HOSTCALL_WAKE:
		explore_point(&slots[args[0]].arena.wait_word, POINT_WRITE);
		slots[args[0]].arena.wait_word = 1;
		return 0;
	case HOSTCALL_THREAD_KICK:
		explore_point(&slots[args[0]].arena.wait_word, POINT_WRITE);
		slots[args[0]].is_kicked = true;
		return 0;
	case HOSTCALL_THREAD_START: return start(args[0], NULL, NULL);
	case HOSTCALL_YIELD: fiber_yield(); return 0;
	case HOSTCALL_LOG: return 0;
	case HOSTCALL_MEM_PROTECT:
		check_range(args[0], args[1]);
		return mprotect((void *)args[0], args[1], (int)args[2]) ? -ENOMEM : 0;
	case HOSTCALL_MEM_DISCARD:
		check_range(args[0], args[1]);
		return madvise((void *)args[0], args[1], MADV_DONTNEED) ? -EINVAL : 0;
	case HOSTCALL_MEM_MOVE:
		check_range(args[0], args[2]);
		check_range(args[1], args[2]);
		return move((void *)args[0], (void *)args[1], args[2], (int)args[3]);
	default: return -ENOSYS;
	}
}

void host_leave(void)
{
	struct slot *s = slot();
	u64 args[HOST_CALL_ARGS];

	memcpy(args, s->arena.call.args, sizeof(args));
	s->arena.call.result = answer(s, s->arena.call.number, args);
}

void machine_start_kernel_thread(void (*main)(void *arg), void *arg)
{
	(void)start(0, main, arg);
}

/* --- the heap --- */

#define REGION_SIZE MIB(4)
#define HEAP_LIVE   0x6c697665u
#define HEAP_FREED  0x66726565u
#define POISON	    0xdd

struct block {
	u64 size;
	u32 state;
	u32 rsv;
};

static u8 *heap;
static u64 heap_used[SLOTS + 1];
static long heap_live;

static void *heap_alloc(size_t size, size_t align)
{
	u32 region = (u32)(slot() - slots);
	u64 at = ALIGN_UP((u64)heap + region * REGION_SIZE + heap_used[region] +
				  sizeof(struct block),
			  (u64)align);
	struct block *b = (struct block *)at - 1;

	if (at + size > (u64)heap + (region + 1) * REGION_SIZE)
		explore_fail("the heap of a slot is too small");
	heap_used[region] = ALIGN_UP(at + size, 16ul) - (u64)heap - region * REGION_SIZE;
	*b = (struct block){.size = size, .state = HEAP_LIVE};
	heap_live++;
	return (void *)at; /* zeroes: nobody has had it */
}

void *kzalloc(size_t size)
{
	return heap_alloc(size ? size : 1, 16);
}

void *kmalloc(size_t size)
{
	return kzalloc(size);
}

void *kcalloc(size_t count, size_t size)
{
	return kzalloc(count * size);
}

void kfree(void *p)
{
	struct block *b = (struct block *)p - 1;

	if (!p)
		return;
	if (b->state != HEAP_LIVE)
		explore_fail("kfree() of what is no block, or is free");
	b->state = HEAP_FREED;
	heap_live--;
	memset(p, POISON, MIN(b->size, KIB(1)));
}

void *krealloc(void *p, size_t size)
{
	void *n = kzalloc(size);

	if (p)
		memcpy(n, p, MIN(((struct block *)p - 1)->size, size));
	kfree(p);
	return n;
}

char *kstrdup(const char *s)
{
	size_t size = strlen(s) + 1;

	return memcpy(kmalloc(size), s, size);
}

void *kpages_alloc(size_t count)
{
	return heap_alloc(count * PAGE_SIZE, PAGE_SIZE);
}

void kpages_free(void *p, size_t count)
{
	kfree(p);
}

/* --- beginning and end --- */

static void init_kernel_process(void)
{
	struct process *p = &kernel_process;

	p->refs = 1;
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->table_node);
	list_init(&p->threads);
	list_init(&p->pending);
	waitq_init(&p->exit_wait);
	waitq_init(&p->stop_wait);
	pollq_init(&p->exit_poll);
	pollq_init(&p->signal_poll);
	spin_init(&p->lock, LOCK_PROCESS);
	mutex_init(&p->exec_lock, LOCK_EXEC);
	for (u32 i = 0; i < RLIMIT_COUNT; i++)
		p->limits[i].soft = p->limits[i].hard = ABI_RLIM_INFINITY;
}

static void *reserve(u64 size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

static struct {
	long heap;
	u64 zone, charged;
} before;

void machine_init(void)
{
	struct filesystem *fs;
	struct dentry *root;

	explore_on_fault(on_fault);
	heap = reserve((SLOTS + 1) * REGION_SIZE);
	zone_memory = reserve(ZONE_SIZE);
	init_kernel_process();
	thread_init_kernel(&slots[SLOTS].own);
	slots[SLOTS].thread = &slots[SLOTS].own;
	slots[SLOTS].own.slot = SLOTS;
	if (mprotect(zone_memory, ZONE_SIZE, PROT_NONE) ||
	    mm_init_range(machine_zone(), machine_zone() + ZONE_SIZE, machine_zone() + ZONE_MOVABLE,
			  MEMORY_LIMIT, false, SLOTS + 1))
		abort();
	dentry_cache_init();
	if (ramfs_new("tmpfs", 0755, 0, &fs) || mount_root(fs, &root) || anon_fs_init())
		abort();
	fs_context_set_system_root(root);
	before.heap = heap_live;
	before.zone = zone_free_bytes();
	before.charged = pages_charged();
}

void machine_check_clean(void)
{
	(void)kept_evict(zone_start(), zone_end());
	if (before.zone - zone_free_bytes() > KIB(64))
		explore_fail("%llu bytes of addresses are left behind",
			     (unsigned long long)(before.zone - zone_free_bytes()));
	if (pages_charged() - before.charged > KIB(64))
		explore_fail("%llu bytes of memory are left behind",
			     (unsigned long long)(pages_charged() - before.charged));
	if (process_count() || thread_total())
		explore_fail("%u processes and %u threads are left behind", process_count(),
			     thread_total());
}
