// SPDX-License-Identifier: Apache-2.0
/*
 * Filling pages on touch: page faults, and uaccess before it copies. Anonymous memory is
 * committed in steps of COMMIT_STEP; private file mappings are read FILL_STEP around the touched
 * page and made visible only then. Text whose call sites are known is filled as a whole, text.c.
 *
 * A file is read into a kernel buffer with no lock of ours held; afterwards the mapping is looked
 * up again, and what changed meanwhile makes the caller start over. Two threads that touch the
 * same page may both read; the second finds it present and drops its copy.
 *
 * Progress: a step that succeeds leaves the touched page accessible, and mm->lock is not released
 * between that and mm_populate_locked()'s return. The one step that may achieve nothing is the
 * reading of a file whose mapping another thread replaced meanwhile: each such turn of the loop is
 * a completed mmap or munmap of that thread, which can be killed like any other.
 */
#include "abi/errno.h"
#include "abi/mman.h"
#include "kernel/core/config.h"
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/mm/family_priv.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "kernel/proc/process.h"
#include "kernel/vfs/file.h"
#include "lib/base/string.h"

#define LOG_TAG "mm"
#include "kernel/core/log.h"

/* A fault that nothing explains, so many times in a row at one place, is the program's. */
#define SPURIOUS_FAULTS_MAX 64

/* The aligned step around `at`, within [low, high). */
static void step_around(u64 at, u64 step, u64 low, u64 high, u64 *ret_start, u64 *ret_end)
{
	*ret_start = MAX(ALIGN_DOWN(at, step), low);
	*ret_end = MIN(ALIGN_DOWN(at, step) + step, high);
}

static int populate_anon(struct vma *v, u64 start, u64 end)
{
	bool shared = mm_has_siblings(v->mm);

	while (start < end) {
		u8 present;
		u64 until = pages_run(start, end, PAGE_PRESENT, &present);
		int err = 0;

		/* Alone, zeroing in place is cheaper than new pages from the host. */
		if (!present && shared)
			err = pages_clean(start, until);
		if (!err && !present)
			err = pages_commit(start, until, v->prot);
		if (err)
			return err;
		start = until;
	}
	return 0;
}

int read_file(struct file *file, void *buf, size_t size, u64 offset, size_t *ret_valid)
{
	struct uio uio = uio_kernel(buf, size);
	size_t done = 0;

	while (done < size) {
		long n = file_pread(file, &uio, offset + done);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return n == -ENOMEM ? -ENOMEM : -EIO;
		if (n == 0)
			break;
		done += n;
	}
	memset((u8 *)buf + done, 0, size - done);
	*ret_valid = done;
	return 0;
}

/* What a file mapping needs after mm->lock was released and taken again. */
struct fill {
	struct file *file;
	u64 start, end, offset;
	u64 touched; /* in [start, end) */
};

/* The mapping of the touched page, if it still shows the same. */
static struct vma *find_again(struct mm *mm, const struct fill *f)
{
	struct vma *v = vma_find(mm, f->touched);

	if (v && v->start <= f->touched && v->kind == VMA_FILE && v->file == f->file &&
	    v->offset + (f->touched - v->start) == f->offset + (f->touched - f->start))
		return v;
	return NULL;
}

static int publish(struct vma *v, const struct fill *f, const u8 *bytes)
{
	u64 at = MAX(f->start, v->start), end = MIN(f->end, v->end);
	int err = 0;

	while (!err && at < end) {
		u8 present;
		u64 until = pages_run(at, end, PAGE_PRESENT, &present);

		if (!present)
			err = pages_fill(at, until, bytes + (at - f->start), v->prot,
					 mm_has_siblings(v->mm));
		at = until;
	}
	return err;
}

/*
 * Releases mm->lock and takes it again; afterwards either the pages are there, and the lock has
 * been held since, or the mapping is another one.
 */
static int populate_file(struct vma *v, u64 touched, u64 start, u64 end)
{
	struct mm *mm = v->mm;
	struct fill f = {.start = start,
			 .end = end,
			 .offset = v->offset + (start - v->start),
			 .touched = touched};
	size_t size = end - start, valid = 0;
	u8 *buf;
	int err = 0;

	f.file = file_get(v->file);
	mm_unlock(mm);

	buf = kmalloc(size);
	if (!buf)
		err = -ENOMEM;
	if (!err)
		err = read_file(f.file, buf, size, f.offset, &valid);
	f.end = start + ALIGN_UP(valid, PAGE_SIZE);
	if (!err && touched >= f.end)
		err = -EIO; /* behind the end of the file */

	mutex_lock(&mm->lock);
	v = find_again(mm, &f);
	if (!err && v)
		err = publish(v, &f, buf);
	kfree(buf);
	if (v) {
		file_put(f.file); /* not the last: the mapping has one */
		return err;
	}
	mm_unlock(mm);
	file_put(f.file);
	mutex_lock(&mm->lock);
	return 0; /* whatever became of the reading, nobody asks for it any more */
}

static int populate_step(struct vma *v, u64 at, u64 limit, u32 access)
{
	u64 start, end;

	switch (v->kind) {
	case VMA_ANON:
		step_around(at, COMMIT_STEP, v->start, v->end, &start, &end);
		return populate_anon(v, start, end);
	case VMA_FILE:
		step_around(at, FILL_STEP, v->start, v->end, &start, &end);
		return populate_file(v, at, start, end);
	default:
		/* Writing marks pages as changed, so no more of them than asked for. */
		step_around(at, FILL_STEP, v->start, v->end, &start, &end);
		if (access & PAGE_WRITE) {
			start = at;
			end = MIN(MAX(limit, at + PAGE_SIZE), end);
		}
		return object_populate(v, at, start, end, access);
	}
}

/* A page that is there, and may not be reachable as the mapping says. */
static int protect_present(struct vma *v, u64 page)
{
	int err = 0;

	if ((v->prot & PROT_WRITE) && mm_has_relatives(v->mm))
		err = family_preserve(v->mm, page, page + PAGE_SIZE);
	return err ? err : pages_protect(page, page + PAGE_SIZE, v->prot);
}

int mm_populate_locked(struct mm *mm, u64 at, u64 end, u32 access, u64 *ret_until,
		       bool *ret_did_something)
{
	u64 page = ALIGN_DOWN(at, PAGE_SIZE);

	for (;;) {
		struct vma *v = vma_find(mm, at);
		u64 until;
		int err;

		if (!v || v->start > at)
			return -EFAULT;
		if ((pages_effective(v->prot) & access) != access)
			return -EACCES;
		until = MIN(end, v->end);
		if (v->lazy)
			until = MIN(pages_first_inaccessible(page, until, access), until);
		if (until > at) {
			*ret_until = until;
			return 0;
		}
		*ret_did_something = true;
		/* Present all the same: an mprotect that the host refused half-way. */
		if (v->kind != VMA_OBJECT && (pages_state(page) & PAGE_PRESENT))
			err = protect_present(v, page);
		else
			err = populate_step(v, page, ALIGN_UP(end, PAGE_SIZE), access);
		if (err)
			return err;
	}
}

static int populate(struct mm *mm, u64 start, u64 end, u32 access, bool *ret_did_something)
{
	int err = 0;

	*ret_did_something = false;
	mutex_lock(&mm->lock);
	while (!err && start < end)
		err = mm_populate_locked(mm, start, end, access, &start, ret_did_something);
	mm_unlock(mm);
	return err;
}

int mm_populate(struct mm *mm, u64 start, u64 end, u32 access)
{
	bool ignored;

	if (start > end || start < zone_start() || end > zone_end())
		return -EFAULT;
	return populate(mm, start, end, access, &ignored);
}

/* A fault in the guard below the first stack: say why the program is about to die. */
static void explain_overflow(struct mm *mm, u64 address)
{
	struct vma *v;

	mutex_lock(&mm->lock);
	v = vma_find(mm, address);
	while (v && v->name != VMA_STACK && v->start <= address + STACK_GUARD)
		v = vma_next(v);
	if (v && v->name == VMA_STACK && v->start > address && v->start - address <= STACK_GUARD &&
	    !mm->stack_logged) {
		mm->stack_logged = true;
		log_always("A program used up its stack of %llu KiB; raise %s.",
			   (unsigned long long)(vma_size(v) >> 10),
			   vma_size(v) < kernel_config()->default_stack_size
				   ? "the limit that it was started with (`ulimit -s`)"
				   : "process.default_stack_size");
	}
	mm_unlock(mm);
}

int mm_handle_fault(struct mm *mm, u64 address, u32 access)
{
	static_assert((int)MM_READ == PAGE_READ && (int)MM_WRITE == PAGE_WRITE &&
			      (int)MM_EXEC == PAGE_EXEC,
		      "access bits");
	struct thread *t = current_thread();
	bool did_something;
	u64 generation;
	int err;

	if (address < zone_start() || address >= zone_end())
		return -EFAULT;
	access = access ? access : PAGE_READ;
	err = populate(mm, address, address + 1, access, &did_something);
	if (err == -EACCES || err == -EFAULT)
		explain_overflow(mm, address);
	if (err || did_something) {
		t->spurious_faults = 0;
		return err;
	}
	/*
	 * Another thread was faster, or the host took away what is ours. Not the host when mappings
	 * changed since the last time: threads that take away and give back again, as collectors of
	 * garbage do, meet each other at one address as often as they like.
	 */
	generation = __atomic_load_n(&mm->generation, __ATOMIC_SEQ_CST);
	if (t->spurious_address != address || t->spurious_generation != generation) {
		t->spurious_address = address;
		t->spurious_generation = generation;
		t->spurious_faults = 0;
	}
	if (++t->spurious_faults > SPURIOUS_FAULTS_MAX)
		panic("the host takes away memory of programs");
	return 0;
}
