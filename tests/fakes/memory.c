// SPDX-License-Identifier: Apache-2.0
/* The user zone, files and one process for tests of kernel/mm and the loader. */
#define _GNU_SOURCE /* mremap */
#include "tests/fakes/memory.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "abi/errno.h"
#include "edge/hostcall_gen.h"
#include "kernel/arch/arch.h"
#include "kernel/arch/patch.h"
#include "kernel/core/kmem.h"
#include "kernel/mm/kept.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "kernel/vfs/file.h"
#include "tests/fakes/fakes.h"

#define PUBLISHED_MAX 8

struct file {
	u32 refs;
	u8 *bytes;
	size_t size;
	u64 reads;
	struct fake_file_options options;
};

static struct process process;
static u8 *zone_memory;
static u64 calls;	    /* atomic */
static long fail_countdown; /* atomic */
static long files_live, allocations_before;
static struct {
	const char *path;
	struct file *file;
} published[PUBLISHED_MAX];

static bool call_fails(void)
{
	__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
	return __atomic_load_n(&fail_countdown, __ATOMIC_RELAXED) &&
	       __atomic_sub_fetch(&fail_countdown, 1, __ATOMIC_RELAXED) == 0;
}

/* Only what the kernel may ask: whole pages inside the zone. */
static void check_range(u64 address, u64 size)
{
	u64 start = (u64)zone_memory;

	if (!IS_ALIGNED(address | size, PAGE_SIZE) || !size || address < start ||
	    size > FAKE_ZONE_SIZE || address - start > FAKE_ZONE_SIZE - size)
		abort();
}

static s64 answer(u64 number, u64 *args, u8 *data, void *context)
{
	void *at = (void *)args[0];

	(void)context;
	switch (number) {
	case HOSTCALL_MEM_PROTECT:
		check_range(args[0], args[1]);
		if (call_fails())
			return -ENOMEM;
		return mprotect(at, args[1], (int)args[2]) ? -ENOMEM : 0;
	case HOSTCALL_MEM_DISCARD:
		check_range(args[0], args[1]);
		if (call_fails())
			return -ENOMEM;
		return madvise(at, args[1], MADV_DONTNEED) ? -EINVAL : 0;
	case HOSTCALL_MEM_PATCH: {
		int fd = open("/proc/self/mem", O_WRONLY | O_CLOEXEC);
		ssize_t done = fd < 0 ? -1 : pwrite(fd, data + args[1], args[2], (off_t)args[0]);

		close(fd);
		return done == (ssize_t)args[2] ? 0 : -EIO;
	}
	case HOSTCALL_MEM_MOVE: {
		void *from = (void *)args[1];

		check_range(args[0], args[2]);
		check_range(args[1], args[2]);
		if (call_fails())
			return -ENOMEM;
		if (mremap(from, args[2], args[2], MREMAP_MAYMOVE | MREMAP_FIXED, at) != at)
			return -EINVAL;
		if (mmap(from, args[2], PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != from)
			return -ENOMEM;
		return mprotect(at, args[2], (int)args[3]) ? -EACCES : 0;
	}
	default: return -ENOSYS;
	}
}

/* As stage 1 of an exception does it: a fault in user_access.S goes on at its end. */
static void (*fault_hook)(void *address);
static struct sigaction old_action;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	greg_t *ip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	if ((u64)*ip < (u64)user_access_start || (u64)*ip >= (u64)user_access_end) {
		sigaction(signal, &old_action, NULL); /* meets it again */
		return;
	}
	if (fault_hook)
		fault_hook(info->si_addr);
	*ip = (greg_t)user_access_fault;
}

void fake_memory_on_fault(void (*hook)(void *address))
{
	fault_hook = hook;
	sigaction(SIGSEGV, &(struct sigaction){.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO},
		  &old_action);
}

void fake_memory_host_protect(u64 address, u32 prot)
{
	if (mprotect((void *)ALIGN_DOWN(address, PAGE_SIZE), PAGE_SIZE, (int)prot))
		abort();
}

struct process *fake_memory_start(u64 limit, bool strict)
{
	u64 start;

	zone_memory = mmap(NULL, FAKE_ZONE_SIZE, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (zone_memory == MAP_FAILED)
		abort();
	start = (u64)zone_memory;
	calls = 0;
	allocations_before = fake_allocations_live();
	fail_countdown = 0;
	files_live = 0;
	memset(published, 0, sizeof(published));
	fake_host_set(answer, NULL);
	if (mm_init_range(start, start + FAKE_ZONE_SIZE, start + FAKE_ZONE_SIZE / 4, limit, strict,
			  64))
		abort();
	memset(&process, 0, sizeof(process));
	process.refs = 1;
	process.thread_count = 1;
	process.mm = mm_new();
	if (!process.mm)
		abort();
	fake_set_process(&process);
	return &process;
}

bool fake_memory_stop(void)
{
	bool clean;

	mm_put(process.mm);
	process.mm = NULL;
	kept_evict(zone_start(), zone_end());
	/* The window of atomic fills may stay; everything else is free and unpaid again. */
	clean = FAKE_ZONE_SIZE - zone_free_bytes() <= KIB(64) && pages_charged() <= KIB(64) &&
		files_live == 0;
	if (!clean)
		fprintf(stderr, "left behind: %llu bytes of addresses, %llu paid for, %ld files\n",
			(unsigned long long)(FAKE_ZONE_SIZE - zone_free_bytes()),
			(unsigned long long)pages_charged(), files_live);
	mm_fini();
	fake_set_process(NULL);
	fake_host_set(NULL, NULL);
	munmap(zone_memory, FAKE_ZONE_SIZE);
	return clean && fake_allocations_live() == allocations_before;
}

u64 fake_zone_start(void)
{
	return (u64)zone_memory;
}

u64 fake_zone_movable(void)
{
	return (u64)zone_memory + FAKE_ZONE_SIZE / 4;
}

u64 fake_memory_calls(void)
{
	return calls;
}

void fake_memory_fail_call(long n)
{
	fail_countdown = n;
}

/* --- files --- */

struct file *fake_file_new(const void *bytes, size_t size, const struct fake_file_options *options)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	f->refs = 1;
	f->size = size;
	f->bytes = malloc(size ? size : 1);
	if (!f->bytes)
		abort();
	if (size)
		memcpy(f->bytes, bytes, size);
	if (options)
		f->options = *options;
	files_live++;
	return f;
}

u64 fake_file_reads(const struct file *f)
{
	return f->reads;
}

long fake_files_live(void)
{
	return files_live;
}

void fake_file_publish(const char *path, struct file *f)
{
	for (int i = 0; i < PUBLISHED_MAX; i++) {
		if (published[i].path && strcmp(published[i].path, path) == 0)
			published[i].path = NULL;
	}
	for (int i = 0; f && i < PUBLISHED_MAX; i++) {
		if (published[i].path)
			continue;
		published[i].path = path;
		published[i].file = f;
		return;
	}
}

struct file *file_get(struct file *f)
{
	__atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
	return f;
}

void file_put(struct file *f)
{
	if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL))
		return;
	free(f->bytes);
	free(f);
	files_live--;
}

u64 file_size(struct file *f)
{
	return f->size;
}

long file_pread(struct file *f, struct uio *uio, u64 offset)
{
	size_t size = uio->left;

	__atomic_add_fetch(&f->reads, 1, __ATOMIC_RELAXED);
	if (offset >= f->size)
		return 0;
	size = MIN(size, f->size - offset);
	/* Short now and then: callers loop. */
	size = MIN(size, (size_t)100000);
	if (uio_copy_out(uio, f->bytes + offset, size))
		return -EFAULT;
	return (long)size;
}

int file_read_exact(struct file *f, void *buf, size_t size, u64 offset)
{
	if (offset > f->size || size > f->size - offset)
		return -ENOEXEC;
	memcpy(buf, f->bytes + offset, size);
	return 0;
}

void file_identity(struct file *f, struct file_identity *ret)
{
	*ret = (struct file_identity){.device = 1, .object = (u64)f, .version = 1};
	ret->is_noexec = f->options.is_noexec;
	ret->cacheable = f->options.is_cacheable;
	ret->is_mappable = true;
}

int file_exec_ids(struct file *f, u32 *uid, u32 *gid)
{
	(void)f;
	(void)uid;
	(void)gid;
	return 0;
}

bool file_is_readable(struct file *f)
{
	return !f->options.is_unreadable;
}

bool file_is_sealed(struct file *f)
{
	return false;
}

bool file_is_writable(struct file *f)
{
	return !f->options.is_readonly;
}

long file_path(struct file *f, char *buf, size_t size)
{
	const char *path = f->options.path ? f->options.path : "/file";
	size_t len = strlen(path);

	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(buf, path, len + 1);
	return (long)len;
}

bool file_is_unlinked(struct file *f)
{
	(void)f;
	return false;
}

int file_shared_object(struct file *f, struct mem_object **ret_object)
{
	if (!f->options.object)
		return -ENODEV;
	*ret_object = mem_object_get(f->options.object);
	return 0;
}

int file_sites(struct file *f, struct file_sites *ret)
{
	*ret = (struct file_sites){0};
	if (!f->options.sites_size)
		return 0;
	ret->bytes = kmalloc(f->options.sites_size);
	if (!ret->bytes)
		return -ENOMEM;
	memcpy(ret->bytes, f->options.sites, f->options.sites_size);
	ret->size = f->options.sites_size;
	return 0;
}

int vfs_open_exec(struct fs_context *ctx, const char *path, struct file **ret_file)
{
	(void)ctx;
	for (int i = 0; i < PUBLISHED_MAX; i++) {
		if (!published[i].path || strcmp(published[i].path, path))
			continue;
		if (published[i].file->options.is_noexec)
			return -EACCES;
		*ret_file = file_get(published[i].file);
		return 0;
	}
	return -ENOENT;
}

int uio_copy_out(struct uio *uio, const void *from, size_t size)
{
	if (size > uio->left || uio->is_user)
		return -EFAULT;
	memcpy(uio->kernel, from, size);
	uio->kernel = (u8 *)uio->kernel + size;
	uio->left -= size;
	return 0;
}

int uio_copy_in(struct uio *uio, void *to, size_t size)
{
	if (size > uio->left || uio->is_user)
		return -EFAULT;
	memcpy(to, uio->kernel, size);
	uio->kernel = (u8 *)uio->kernel + size;
	uio->left -= size;
	return 0;
}

/* --- patching: counts, and marks class A sites with a jump opcode --- */

size_t patch_area_size(const struct patch_site *sites, size_t count)
{
	(void)sites;
	return count ? PAGE_SIZE : 0;
}

size_t patch_apply(const struct patch_site *sites, size_t count, u64 text, size_t size, u64 area,
		   size_t area_size)
{
	for (size_t i = 0; i < count; i++) {
		if (sites[i].address < text || sites[i].address - text + 2 > size)
			continue;
		if (sites[i].class == PATCH_A)
			*(u8 *)(sites[i].address - sites[i].head) = 0xe9;
	}
	if (area_size)
		*(u8 *)area = 0x90;
	return count;
}

void patch_forget(u64 start, u64 size)
{
	(void)start;
	(void)size;
}

u64 arch_syscall_entry(void)
{
	return 0x1000;
}
