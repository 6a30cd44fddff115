/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address-space manager. All processes share one range; each has its own set of mappings
 * (struct mm), and no two private mappings overlap. Pages of a shared object live at one address
 * for every mapper.
 */
#pragma once

#include "lib/base/types.h"

struct file;
struct mm;
struct mem_object;

void mm_init(void); /* at boot, after the configuration is known */

struct mm *mm_new(void) __must_check; /* empty; NULL without memory */
struct mm *mm_get(struct mm *mm);
void mm_put(struct mm *mm); /* the last put unmaps all */

/* The bodies of the system calls: Linux flags and results (address or -errno). */
long mm_mmap(struct mm *mm, u64 address, u64 size, u32 prot, u32 flags, struct file *file, u64 offset);
int mm_munmap(struct mm *mm, u64 address, u64 size);
int mm_mprotect(struct mm *mm, u64 address, u64 size, u32 prot);
long mm_mremap(struct mm *mm, u64 old, u64 old_size, u64 new_size, u32 flags, u64 new_address);
int mm_madvise(struct mm *mm, u64 address, u64 size, u32 advice);
int mm_msync(struct mm *mm, u64 address, u64 size, u32 flags);
int mm_mincore(struct mm *mm, u64 address, u64 size, u8 *vec);
long mm_brk(struct mm *mm, u64 new_break); /* Linux: the break after the call */

/* exec: where brk starts, limits (bytes) for brk, address space. */
void mm_set_brk(struct mm *mm, u64 start, u64 limit);
void mm_set_limits(struct mm *mm, u64 data, u64 address_space);

enum mm_access {
	MM_READ = 1,
	MM_WRITE = 2,
	MM_EXEC = 4,
};

/*
 * A page fault at `address` of the current process. 0: retry the instruction. -EFAULT: not
 * mapped, -EACCES: protection (both SIGSEGV), -ENOMEM or -EIO: SIGBUS.
 */
int mm_handle_fault(struct mm *mm, u64 address, u32 access);

/* Shared memory: System V segments, memfd, MAP_SHARED|MAP_ANONYMOUS, shared file mappings. */
struct mem_object *mem_object_new(u64 size) __must_check;
struct mem_object *mem_object_get(struct mem_object *o);
void mem_object_put(struct mem_object *o);
long mm_map_object(struct mm *mm, u64 address, struct mem_object *o, u32 prot, u32 flags);

struct vma_info {
	u64 start, end, offset;
	u32 prot, flags; /* MAP_SHARED or MAP_PRIVATE, MAP_ANONYMOUS */
	struct file *file; /* borrowed during the call, or NULL */
	const char *name;  /* "[stack]", "[heap]" or NULL */
	u64 committed;
};
/* Calls back in address order under the mm's lock; stops at the first nonzero. */
int mm_for_each(struct mm *mm, int (*visit)(const struct vma_info *v, void *arg), void *arg);

struct mm_totals {
	u64 mapped, committed, stack, heap_start, heap_end, text;
};
void mm_totals(struct mm *mm, struct mm_totals *ret);
void mm_system_totals(u64 *ret_total, u64 *ret_free); /* the user zone of the instance, bytes */
