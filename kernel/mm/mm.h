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
/*
 * A process that runs in it, apart from readers that merely hold a reference: one after vfork()
 * runs in its parent's. Each says so when it begins and, before its put, when it ends.
 */
void mm_enter(struct mm *mm);
bool mm_leave(struct mm *mm);	   /* true: it was the last */
bool mm_is_shared(struct mm *mm);  /* more than one process runs in it */
bool mm_is_entered(struct mm *mm); /* at least one does */
/*
 * fork: a copy of the current address space, at the same addresses; turn.h. mm_retire_member() is
 * the end of it: by its last thread, or by its parent when it never ran. What has no family is left
 * alone. -ENOMEM, or -EAGAIN: too many.
 */
int __must_check mm_fork(struct mm *mm, struct mm **ret);
void mm_retire_member(struct mm *mm);
/* Memory at `address` is private to mm, so that the same address in a relative is another thing. */
bool mm_is_private_at(struct mm *mm, u64 address);

/* The bodies of the system calls: Linux flags and results (address or -errno). */
long mm_mmap(struct mm *mm, u64 address, u64 size, u32 prot, u32 flags, struct file *file,
	     u64 offset);
int mm_munmap(struct mm *mm, u64 address, u64 size);
int mm_mprotect(struct mm *mm, u64 address, u64 size, u32 prot);
long mm_mremap(struct mm *mm, u64 old, u64 old_size, u64 new_size, u32 flags, u64 new_address);
int mm_madvise(struct mm *mm, u64 address, u64 size, u32 advice);
int mm_msync(struct mm *mm, u64 address, u64 size, u32 flags);
int mm_mincore(struct mm *mm, u64 address, u64 size, u8 *vec);
long mm_brk(struct mm *mm, u64 new_break); /* Linux: the break after the call */

/*
 * exec: while an address space is being filled no thread of a program looks at it, so that pages
 * need not appear at once.
 */
void mm_set_loading(struct mm *mm, bool is_loading);
/* Addresses for an image: a PROT_NONE mapping, aligned. Address or -errno. */
long mm_reserve(struct mm *mm, u64 size, u64 align);
/*
 * The same for the segments of `file`, which the caller maps over it: at `address`, or anywhere if
 * that is 0. -EEXIST: not there. What a former process has left of it may be in place already.
 */
long mm_reserve_image(struct mm *mm, struct file *file, u64 address, u64 size, u64 align);
/* Programs may have these addresses, taken or not. */
bool mm_has_addresses(u64 start, u64 end);
/*
 * Before a program is mapped at fixed addresses: from now on it shares them with others that want
 * the same, and they take turns. By the only thread of mm, attached to it (turn.h). -ENOMEM,
 * -EAGAIN.
 */
int __must_check mm_join_fixed(struct mm *mm);
/* The first stack, with a guard below. Its end (exclusive) or -errno. */
long mm_map_stack(struct mm *mm, u64 size, u32 prot);
/* Writes what a process could write itself; from NULL: zeroes. 0, -EFAULT, -ENOMEM, -EIO. */
int __must_check mm_write_foreign(struct mm *mm, u64 address, const void *from, size_t size);

/*
 * exec: reserves room for the heap (near 0: anywhere, else at or after it); brk starts there and
 * grows at once up to `room` bytes, and behind that where nobody else is.
 */
int __must_check mm_set_brk(struct mm *mm, u64 near, u64 room);

/* In bytes; UINT64_MAX: none. */
struct mm_limits {
	u64 heap;		 /* of brk */
	u64 data;		 /* of private writable mappings, the heap among them */
	u64 address_space;	 /* of all mappings */
	bool heap_is_configured; /* by process.default_heap_size: it is said when that is too little */
};
void mm_set_limits(struct mm *mm, const struct mm_limits *limits);

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

/*
 * Reads memory of any process, lazily filled pages included; for /proc. Bytes read (short at the
 * first that is not readable) or -EFAULT.
 */
long mm_read_foreign(struct mm *mm, void *to, u64 address, size_t size);

/*
 * Room for stubs that a rel32 jump from anywhere in [near_start, near_end) can reach: executable
 * pages of the process, written by mm_patch_text(). 0 and the address, or -ENOMEM.
 */
int __must_check mm_stub_area(struct mm *mm, u64 near_start, u64 near_end, u64 size,
			      u64 *ret_address);
/*
 * Executable, not writable and from a file: sites there may be patched. Code that a program makes
 * itself is left alone, because it reads and changes its own bytes again.
 */
bool mm_is_text(struct mm *mm, u64 address, u64 size);
/*
 * Writes up to 16 bytes of such text (or of stubs) where the process may only execute it. The text
 * stays mapped meanwhile, and with `old` it must still read so: nothing else is ever written to,
 * whatever other threads unmap. -EFAULT: it is not, or no longer, that text.
 */
int __must_check mm_patch_text(struct mm *mm, u64 address, const void *old, const void *bytes,
			       size_t size);

/* Shared memory: System V segments, memfd, MAP_SHARED|MAP_ANONYMOUS, shared file mappings. */
struct mem_object *mem_object_new(u64 size) __must_check; /* zeroes; NULL without memory */

/*
 * An object over a file. The functions are called with the object's lock held: they reach the
 * file's own storage and take no lock that a caller of mem_object_*() may hold. fill() gets the
 * bytes of [offset, offset + size), zeroes past the end. write_back() stores bytes that lie
 * within the object's size. 0 or -errno.
 */
struct mem_object_ops {
	int (*fill)(void *context, void *to, size_t size, u64 offset);
	int (*write_back)(void *context, const void *from, size_t size, u64 offset);
	void (*release)(void *context); /* the object is gone; NULL: nothing to do */
};
struct mem_object *mem_object_new_backed(u64 size, const struct mem_object_ops *ops, void *context)
	__must_check;

struct uio;
u64 mem_object_size(struct mem_object *o);
bool mem_object_is_shared(
	struct mem_object *o); /* by anybody beside the caller: each mapping counts */
/* -ENOMEM when a neighbour blocks growth. Shrinking drops pages; later touches are SIGBUS. */
int __must_check mem_object_resize(struct mem_object *o, u64 size);
/* read() and write() on the object's pages, within its size. Bytes moved or -errno. */
long mem_object_read(struct mem_object *o, struct uio *uio, u64 offset);
long mem_object_write(struct mem_object *o, struct uio *uio, u64 offset);
/* Writes changed pages back; first error. */
int __must_check mem_object_sync(struct mem_object *o, u64 offset, u64 size);
struct mem_object *mem_object_get(struct mem_object *o);
void mem_object_put(struct mem_object *o);
/*
 * Maps all of it. `may`: what mprotect() may make of `prot` later. Address or -errno; -ENOMEM when
 * another address than the object's is forced.
 */
long mm_map_object(struct mm *mm, u64 address, struct mem_object *o, u32 prot, u32 may, u32 flags);

struct vma_info {
	u64 start, end, offset;
	u32 prot, flags;   /* MAP_SHARED or MAP_PRIVATE, MAP_ANONYMOUS */
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
