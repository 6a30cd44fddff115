// SPDX-License-Identifier: Apache-2.0
/*
 * Following user pointers. A copy is one section: the thread says which address space it is in,
 * then checks the range, copies, and leaves. Whoever removes a mapping does so in the other
 * order, removes and then looks who is inside, so either the check fails or the addresses are not
 * handed on before the copy is done (unmap.c).
 *
 * Each thread slot has one cache line of its own: the section word and the last mapping that was
 * checked, valid while the address space's generation stands still. The common copy therefore
 * costs one exchange, a few compares and the bytes; no lock.
 *
 * Pages that are not there yet are filled outside of the section (populate.c), then the check
 * starts over. A fault in spite of the check (a sibling changes protections at the same time)
 * lands in kernel/arch/user_access.S and counts as a reason to check again, a few times.
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

#define RETRIES_MAX	  8
/* Siblings that map and unmap without pause may spoil many checks; each of them got on by it. */
#define ENTER_RETRIES_MAX 100000

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

static inline struct section *enter(struct mm *mm)
{
	u32 slot = current_thread()->slot;
	struct section *s;

	if (unlikely(slot >= __atomic_load_n(&section_top, __ATOMIC_RELAXED)))
		raise_top(slot);
	s = &sections[slot];
	__atomic_store_n(&s->epoch, __atomic_load_n(&epoch, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
	(void)__atomic_exchange_n(&s->inside, mm, __ATOMIC_SEQ_CST);
	return s;
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

/* Remembers the mapping at `at`. */
static int remember(struct section *s, struct mm *mm, u64 at, u32 access)
{
	struct vma *v;
	int err = -EFAULT;

	mutex_lock(&mm->lock);
	v = vma_find(mm, at);
	s->mm = NULL;
	if (v && v->start <= at && (pages_effective(v->prot) & access) == access) {
		s->mm = mm;
		s->generation = __atomic_load_n(&mm->generation, __ATOMIC_RELAXED);
		s->start = v->start;
		s->end = v->end;
		s->prot = pages_effective(v->prot);
		s->lazy = v->lazy;
		err = 0;
	}
	mm_unlock(mm);
	return err;
}

/*
 * Enters a section in which [at, at + *size) may be touched; *size is cut to what lies in one
 * mapping. -EFAULT: no such memory.
 */
static __noinline int enter_slowly(struct mm *mm, u64 at, size_t *size, u32 access,
				   struct section **ret)
{
	for (int i = 0; i < ENTER_RETRIES_MAX; i++) {
		struct section *s = &sections[current_thread()->slot];
		int err;

		if (at < zone_start() || at >= zone_end())
			return -EFAULT;
		err = remember(s, mm, at, access);
		if (err)
			return err;
		*size = MIN(*size, s->end - at);
		if (s->lazy) {
			err = mm_populate(mm, at, at + *size, access);
			if (err)
				return -EFAULT;
		}
		s = enter(mm);
		if (check(s, mm, at, *size, access)) {
			*ret = s;
			return 0;
		}
		leave(s);
	}
	return -EFAULT;
}

static inline int enter_checked(struct mm *mm, u64 at, size_t *size, u32 access,
				struct section **ret)
{
	struct section *s;

	if (unlikely(!mm))
		return -EFAULT;
	s = enter(mm);
	if (likely(check(s, mm, at, *size, access))) {
		*ret = s;
		return 0;
	}
	leave(s);
	return enter_slowly(mm, at, size, access, ret);
}

enum transfer {
	FROM_USER,
	TO_USER,
	ZERO_USER,
};

/* *ret_left: bytes not copied. */
static inline int transfer(struct mm *mm, enum transfer how, u64 user, u8 *kernel, size_t size,
			   size_t *ret_left)
{
	u32 access = how == FROM_USER ? PAGE_READ : PAGE_WRITE;
	int faults = 0;

	assert_may_sleep();
	*ret_left = size;
	while (size) {
		size_t part = size, left;
		struct section *s;
		int err = enter_checked(mm, user, &part, access, &s);

		if (unlikely(err))
			return err;
		if (how == FROM_USER)
			left = arch_user_copy(kernel, (const void *)user, part);
		else if (how == TO_USER)
			left = arch_user_copy((void *)user, kernel, part);
		else
			left = arch_user_zero((void *)user, part);
		leave(s);
		if (unlikely(left)) {
			if (++faults > RETRIES_MAX)
				return -EFAULT;
			part -= left;
		}
		user += part;
		if (kernel)
			kernel += part;
		size -= part;
		*ret_left = size;
	}
	return 0;
}

static inline int transfer_current(enum transfer how, u64 user, u8 *kernel, size_t size)
{
	size_t left;

	return transfer(current_process()->mm, how, user, kernel, size, &left);
}

size_t uaccess_read(struct mm *mm, void *to, u64 address, size_t size)
{
	size_t left;

	/* Short is as good as an error here: the count says it. */
	return transfer(mm, FROM_USER, address, to, size, &left) ? size - left : size;
}

int uaccess_write(struct mm *mm, u64 address, const void *from, size_t size)
{
	size_t left;

	return transfer(mm, from ? TO_USER : ZERO_USER, address, (u8 *)(uintptr_t)from, size,
			&left);
}

int copy_from_user(void *to, const void __user *from, size_t size)
{
	return transfer_current(FROM_USER, (u64)from, to, size);
}

int copy_to_user(void __user *to, const void *from, size_t size)
{
	return transfer_current(TO_USER, (u64)to, (u8 *)(uintptr_t)from, size);
}

int clear_user(void __user *to, size_t size)
{
	return transfer_current(ZERO_USER, (u64)to, NULL, size);
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
		err = transfer_current(FROM_USER, at, (u8 *)to + done, part);
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

/* One aligned word in one section, so that it is read or written at once. */
#define WORD(at, width, access, expression)                                                        \
	({                                                                                         \
		struct mm *_mm = current_process()->mm;                                            \
		struct section *_s;                                                                \
		size_t _size = (width), _left = 1;                                                 \
		int _err = 0;                                                                      \
		if (!IS_ALIGNED((u64)(at), (width)))                                               \
			_err = -EFAULT;                                                            \
		for (int _i = 0; !_err && _left && _i < RETRIES_MAX; _i++) {                       \
			_err = enter_checked(_mm, (u64)(at), &_size, access, &_s);                 \
			if (!_err) {                                                               \
				_left = (expression);                                              \
				leave(_s);                                                         \
			}                                                                          \
		}                                                                                  \
		_err ? _err : _left ? -EFAULT : 0;                                                 \
	})

int get_user_u32(u32 *ret, const void __user *from)
{
	u32 value = 0;
	int err = WORD(from, 4, PAGE_READ, arch_user_load_u32(&value, (const u32 *)(u64)from));

	if (!err)
		*ret = value;
	return err;
}

int put_user_u32(void __user *to, u32 value)
{
	return WORD(to, 4, PAGE_WRITE, arch_user_store_u32((u32 *)(u64)to, value));
}

int get_user_u64(u64 *ret, const void __user *from)
{
	/* Aligned words are read at once; others may as well lie in two mappings. */
	if (IS_ALIGNED((u64)from, 8)) {
		u64 value = 0;
		int err = WORD(from, 8, PAGE_READ,
			       arch_user_load_u64(&value, (const u64 *)(u64)from));

		if (!err)
			*ret = value;
		return err;
	}
	return copy_from_user(ret, from, sizeof(*ret));
}

int put_user_u64(void __user *to, u64 value)
{
	if (IS_ALIGNED((u64)to, 8))
		return WORD(to, 8, PAGE_WRITE, arch_user_store_u64((u64 *)(u64)to, value));
	return copy_to_user(to, &value, sizeof(value));
}

int cmpxchg_user_u32(void __user *at, u32 old_value, u32 new_value, u32 *ret_old)
{
	u32 old = old_value;
	int err = WORD(at, 4, PAGE_WRITE, arch_user_cmpxchg_u32((u32 *)(u64)at, &old, new_value));

	if (!err)
		*ret_old = old;
	return err;
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
