// SPDX-License-Identifier: Apache-2.0
/*
 * Following user pointers. A copy is one section: the thread says which address space it is in,
 * then checks the range, copies, and leaves. Whoever removes a mapping does so in the other
 * order, removes and then looks who is inside, so either the check fails or the addresses are not
 * handed on before the copy is done (unmap.c). The only thread of a process need not say so:
 * nobody else removes mappings of its address space.
 *
 * Each thread slot has one cache line of its own: the section word and the last mapping that was
 * checked, valid while the address space's generation stands still. The common copy therefore
 * costs a few compares and the bytes, and one exchange where there are siblings; no lock.
 *
 * Where that does not do, there are two more ways, and siblings that map, unmap and protect without
 * pause cannot keep a copy from getting on:
 *
 *   the mapping is another one, or a page is missing   With mm->lock held the page is filled, the
 *	section entered, and then the lock released (enter_slowly): removers come later and find us
 *	inside. At least up to the end of that page the copy goes on.
 *   the copy faulted in spite of its check, because    One page at a time is copied while everything
 *	protections changed at the same moment		is held that a change of its protection
 *	needs (access_held). A fault even then is the host's doing, and more than a few of them at
 *	one place are the end.
 *
 * So every turn of a loop here moves bytes or ends in an error, except when the reading of a file
 * into its mapping is overtaken by another thread's mmap or munmap there (populate.c); then that
 * thread got on.
 */
#include "kernel/mm/uaccess.h"

#include "abi/errno.h"
#include "kernel/arch/arch.h"
#include "kernel/core/kmem.h"
#include "kernel/core/panic.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "kernel/proc/process.h"
#include "kernel/sched/thread.h"
#include "lib/base/string.h"

/* Faults on memory that our own tables call accessible; the host owes it to us. */
#define HOST_FAULTS_MAX 64

/* Written by the thread on that slot alone; others read `inside` and `epoch`. */
struct section {
	struct mm *inside;   /* atomic: whose memory the thread may be touching, or NULL */
	u64 epoch;	     /* atomic: when it entered */
	const struct mm *mm; /* the mapping checked last, valid for that generation */
	u64 generation;
	u64 start, end;
	u32 prot;
	bool lazy;
} __attribute__((aligned(64)));
static_assert(sizeof(struct section) == 64, "one cache line");

static struct section *sections;
static u32 section_count, section_top; /* slots ever used are below top */
static u64 epoch = 1;

int uaccess_init(u32 slots)
{
	sections = kpages_alloc(ALIGN_UP(slots * sizeof(*sections), PAGE_SIZE) >> PAGE_SHIFT);
	section_count = slots;
	section_top = 0;
	return sections ? 0 : -ENOMEM;
}

void uaccess_fini(void)
{
	kpages_free(sections, ALIGN_UP(section_count * sizeof(*sections), PAGE_SIZE) >> PAGE_SHIFT);
	sections = NULL;
}

u64 uaccess_advance(void)
{
	return __atomic_fetch_add(&epoch, 1, __ATOMIC_SEQ_CST);
}

bool uaccess_is_busy(struct mm *mm, u64 since)
{
	u32 top = __atomic_load_n(&section_top, __ATOMIC_SEQ_CST);

	for (u32 i = 0; i < top; i++) {
		const struct section *s = &sections[i];

		if (__atomic_load_n(&s->inside, __ATOMIC_SEQ_CST) == mm &&
		    __atomic_load_n(&s->epoch, __ATOMIC_ACQUIRE) <= since)
			return true;
	}
	return false;
}

static __noinline void raise_top(u32 slot)
{
	u32 top = __atomic_load_n(&section_top, __ATOMIC_RELAXED);

	BUG_ON(slot >= section_count);
	while (top <= slot && !__atomic_compare_exchange_n(&section_top, &top, slot + 1, false,
							   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
}

/* Another thread could remove mappings of `mm`; false only for `current` alone in its own. */
static inline bool must_mark(const struct mm *mm)
{
	const struct process *p = current_process();

	return !p || p->mm != mm || __atomic_load_n(&p->thread_count, __ATOMIC_ACQUIRE) != 1 ||
	       __atomic_load_n(&mm->refs, __ATOMIC_ACQUIRE) != 1;
}

static inline void mark(struct section *s, struct mm *mm)
{
	u32 slot = s - sections;

	if (unlikely(slot >= __atomic_load_n(&section_top, __ATOMIC_RELAXED)))
		raise_top(slot);
	__atomic_store_n(&s->epoch, __atomic_load_n(&epoch, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
	(void)__atomic_exchange_n(&s->inside, mm, __ATOMIC_SEQ_CST);
}

static inline void leave(struct section *s)
{
	__atomic_store_n(&s->inside, NULL, __ATOMIC_RELEASE);
}

static inline bool check(const struct section *s, struct mm *mm, u64 at, u64 size, u32 access)
{
	if (s->mm != mm || s->generation != __atomic_load_n(&mm->generation, __ATOMIC_SEQ_CST))
		return false;
	if (at < s->start || at >= s->end || size > s->end - at || (s->prot & access) != access)
		return false;
	return !s->lazy || pages_accessible(at, size, access);
}

/* What is done to user memory. Words are aligned: each is read or written at once. */
enum action {
	FROM_USER,
	TO_USER,
	ZERO_USER,
	LOAD_U32,
	LOAD_U64,
	STORE_U32,
	STORE_U64,
	CMPXCHG_U32,
};

struct cmpxchg {
	u32 old, new_value;
};

static inline u32 access_of(enum action action)
{
	return action == FROM_USER || action == LOAD_U32 || action == LOAD_U64 ? PAGE_READ
									       : PAGE_WRITE;
}

/* Bytes left over by a fault. */
static inline size_t act(enum action action, u64 user, void *kernel, size_t size)
{
	struct cmpxchg *c;

	switch (action) {
	case FROM_USER: return arch_user_copy(kernel, (const void *)user, size);
	case TO_USER: return arch_user_copy((void *)user, kernel, size);
	case ZERO_USER: return arch_user_zero((void *)user, size);
	case LOAD_U32: return arch_user_load_u32(kernel, (const u32 *)user);
	case LOAD_U64: return arch_user_load_u64(kernel, (const u64 *)user);
	case STORE_U32: return arch_user_store_u32((u32 *)user, *(const u32 *)kernel);
	case STORE_U64: return arch_user_store_u64((u64 *)user, *(const u64 *)kernel);
	case CMPXCHG_U32:
		c = kernel;
		return arch_user_cmpxchg_u32((u32 *)user, &c->old, c->new_value);
	}
	BUG_ON(true);
	return size;
}

/* mm->lock is held, [at, at + 1) is mapped. For the next fast check. */
static void remember(struct section *s, struct mm *mm, u64 at)
{
	const struct vma *v = vma_find(mm, at);

	s->mm = mm;
	s->generation = __atomic_load_n(&mm->generation, __ATOMIC_RELAXED);
	s->start = v->start;
	s->end = v->end;
	s->prot = pages_effective(v->prot);
	s->lazy = v->lazy;
}

/* Locks mm and fills the page at `at`. 0 and up to where it may be touched, or unlocked -EFAULT. */
static int lock_accessible(struct mm *mm, u64 at, size_t size, u32 access, u64 *ret_until)
{
	bool ignored = false;

	if (at < zone_start() || at >= zone_end())
		return -EFAULT;
	mutex_lock(&mm->lock);
	if (!mm_populate_locked(mm, at, at + MIN(size, zone_end() - at), access, ret_until,
				&ignored))
		return 0;
	mm_unlock(mm);
	return -EFAULT;
}

/* Enters a section in which [at, at + *size) may be touched; *size is cut, not to nothing. */
static int enter_slowly(struct mm *mm, u64 at, size_t *size, u32 access, struct section **ret)
{
	struct section *s = &sections[current_thread()->slot];
	u64 until;
	int err = lock_accessible(mm, at, *size, access, &until);

	if (err)
		return err;
	remember(s, mm, at);
	mark(s, mm);
	mm_unlock(mm);
	*size = until - at;
	*ret = s;
	return 0;
}

/*
 * Acts on what lies in one page while nobody can change the page: its state belongs to mm->lock or
 * to the lock of the object that it is part of.
 */
static int access_held(struct mm *mm, enum action action, u64 user, void *kernel, size_t *size,
		       size_t *ret_left)
{
	u32 access = access_of(action);
	size_t part = MIN(*size, PAGE_SIZE - (user & PAGE_MASK_LOW));
	struct mem_object *o;
	u64 until;

	for (;;) {
		int err = lock_accessible(mm, user, part, access, &until);

		if (err)
			return err;
		o = vma_find(mm, user)->object;
		if (!o)
			break;
		/* Other processes' mappings of the object count here too. */
		object_hold(o);
		if (pages_accessible(user, part, access))
			break;
		object_release(o);
		mm_unlock(mm);
	}
	*size = part;
	*ret_left = act(action, user, kernel, part);
	if (o)
		object_release(o);
	mm_unlock(mm);
	return 0;
}

/* All of it, whatever siblings do meanwhile. *ret_left: bytes that were not reached. */
static __noinline int access_slowly(struct mm *mm, enum action action, u64 user, void *kernel,
				    size_t size, size_t *ret_left)
{
	bool is_held = false;
	u32 host_faults = 0;

	*ret_left = size;
	while (size) {
		struct section *s;
		size_t part = size, left;
		int err;

		if (is_held)
			err = access_held(mm, action, user, kernel, &part, &left);
		else
			err = enter_slowly(mm, user, &part, access_of(action), &s);
		if (err)
			return err;
		if (!is_held) {
			left = act(action, user, kernel, part);
			leave(s);
		}
		host_faults = is_held && left ? host_faults + 1 : 0;
		if (host_faults > HOST_FAULTS_MAX)
			panic("the host takes away memory of programs");
		is_held = left;
		part -= left;
		user += part;
		if (kernel)
			kernel = (u8 *)kernel + part;
		size -= part;
		*ret_left = size;
	}
	return 0;
}

/* With siblings: marked as inside while it lasts. */
static __noinline int access_marked(struct mm *mm, enum action action, u64 user, void *kernel,
				    size_t size)
{
	struct section *s = &sections[current_thread()->slot];
	size_t left = size;

	mark(s, mm);
	if (likely(check(s, mm, user, size, access_of(action))))
		left = act(action, user, kernel, size);
	leave(s);
	return likely(!left) ? 0 : access_slowly(mm, action, user, kernel, size, &left);
}

static __noinline int access_again(struct mm *mm, enum action action, u64 user, void *kernel,
				   size_t size)
{
	size_t left;

	return access_slowly(mm, action, user, kernel, size, &left);
}

/* The common case is inlined for each action: alone, and in the mapping of last time. */
static inline int access_user(enum action action, u64 user, void *kernel, size_t size)
{
	struct mm *mm = current_process()->mm;

	assert_may_sleep();
	if (unlikely(!size || !mm))
		return size ? -EFAULT : 0;
	if (unlikely(must_mark(mm)))
		return access_marked(mm, action, user, kernel, size);
	if (likely(check(&sections[current_thread()->slot], mm, user, size, access_of(action)) &&
		   !act(action, user, kernel, size)))
		return 0;
	return access_again(mm, action, user, kernel, size);
}

size_t uaccess_read(struct mm *mm, void *to, u64 address, size_t size)
{
	size_t left;

	/* Short is as good as an error here: the count says it. */
	return access_slowly(mm, FROM_USER, address, to, size, &left) ? size - left : size;
}

int uaccess_write(struct mm *mm, u64 address, const void *from, size_t size)
{
	size_t left;

	return access_slowly(mm, from ? TO_USER : ZERO_USER, address, (void *)(uintptr_t)from, size,
			     &left);
}

int copy_from_user(void *to, const void __user *from, size_t size)
{
	return access_user(FROM_USER, (u64)from, to, size);
}

int copy_to_user(void __user *to, const void *from, size_t size)
{
	return access_user(TO_USER, (u64)to, (void *)(uintptr_t)from, size);
}

int clear_user(void __user *to, size_t size)
{
	return access_user(ZERO_USER, (u64)to, NULL, size);
}

int copy_struct_from_user(void *to, size_t known, const void __user *from, u64 size)
{
	u8 rest[64];

	if (size > PAGE_SIZE)
		return -E2BIG;
	memset(to, 0, known);
	if (copy_from_user(to, from, MIN(size, (u64)known)))
		return -EFAULT;
	for (u64 at = known; at < size; at += sizeof(rest)) {
		u64 part = MIN(size - at, sizeof(rest));

		if (copy_from_user(rest, (const u8 __user *)from + at, part))
			return -EFAULT;
		if (!mem_is_zero(rest, part))
			return -E2BIG;
	}
	return 0;
}

long copy_string_from_user(char *to, const char __user *from, size_t size)
{
	u64 at = (u64)from;
	size_t done = 0;

	while (done < size) {
		/* A page at a time: what lies behind the string need not be readable. */
		size_t part = MIN(size - done, PAGE_SIZE - (at & PAGE_MASK_LOW));
		const char *nul;
		int err;

		part = MIN(part, (size_t)256);
		err = access_user(FROM_USER, at, to + done, part);
		if (err)
			return err;
		nul = memchr(to + done, 0, part);
		if (nul)
			return nul - to;
		done += part;
		at += part;
	}
	return -ENAMETOOLONG;
}

int get_user_u32(u32 *ret, const void __user *from)
{
	u32 value = 0;

	if (!IS_ALIGNED((u64)from, 4) || access_user(LOAD_U32, (u64)from, &value, 4))
		return -EFAULT;
	*ret = value;
	return 0;
}

int put_user_u32(void __user *to, u32 value)
{
	return IS_ALIGNED((u64)to, 4) ? access_user(STORE_U32, (u64)to, &value, 4) : -EFAULT;
}

int get_user_u64(u64 *ret, const void __user *from)
{
	u64 value = 0;
	/* Aligned words are read at once; others may as well lie in two mappings. */
	int err = IS_ALIGNED((u64)from, 8) ? access_user(LOAD_U64, (u64)from, &value, 8)
					   : copy_from_user(&value, from, 8);

	if (!err)
		*ret = value;
	return err;
}

int put_user_u64(void __user *to, u64 value)
{
	if (IS_ALIGNED((u64)to, 8))
		return access_user(STORE_U64, (u64)to, &value, 8);
	return copy_to_user(to, &value, sizeof(value));
}

int cmpxchg_user_u32(void __user *at, u32 old_value, u32 new_value, u32 *ret_old)
{
	struct cmpxchg c = {.old = old_value, .new_value = new_value};

	if (!IS_ALIGNED((u64)at, 4) || access_user(CMPXCHG_U32, (u64)at, &c, 4))
		return -EFAULT;
	*ret_old = c.old;
	return 0;
}

bool user_range_is_ok(const void __user *at, size_t size, bool write)
{
	struct mm *mm = current_process()->mm;
	u64 start = (u64)at, end = start + size;
	struct vma *v;
	u32 access = write ? PAGE_WRITE : PAGE_READ;

	if (!mm || end < start || start < zone_start() || end > zone_end())
		return false;
	mutex_lock(&mm->lock);
	v = vma_find(mm, start);
	while (start < end && v && v->start <= start &&
	       (pages_effective(v->prot) & access) == access) {
		start = v->end;
		v = vma_next(v);
	}
	mm_unlock(mm);
	return start >= end;
}

int user_range_populate(const void __user *at, size_t size, bool write)
{
	struct mm *mm = current_process()->mm;

	if (size == 0)
		return 0;
	if (!mm || (u64)at + size < (u64)at)
		return -EFAULT;
	return mm_populate(mm, (u64)at, (u64)at + size, write ? PAGE_WRITE : PAGE_READ) ? -EFAULT
											: 0;
}
