// SPDX-License-Identifier: Apache-2.0
/*
 * Address spaces: a random run against an array of pages, with real protections (a page that the
 * model calls readable is read, and the processor is the judge), and single behaviours.
 */
#include "kernel/mm/mm.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/errno.h"
#include "abi/mman.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/uaccess.h"
#include "kernel/mm/zone.h"
#include "kernel/vfs/file.h"
#include "tests/fakes/fakes.h"
#include "tests/fakes/memory.h"
#include "tests/unit.h"

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW   (PROT_READ | PROT_WRITE)

static struct process *p;

static int start(void **state)
{
	p = fake_memory_start(MIB(64), false);
	return 0;
}

static int stop(void **state)
{
	fake_fail_allocation(0, false);
	return fake_memory_stop() ? 0 : -1;
}

static long map(u64 address, u64 size, u32 prot, u32 flags)
{
	return mm_mmap(p->mm, address, size, prot, flags, NULL, 0);
}

static void write_word(u64 at, u64 value)
{
	assert_int_equal(put_user_u64((void *)at, value), 0);
}

static u64 read_word(u64 at)
{
	u64 value = 0;

	assert_int_equal(get_user_u64(&value, (void *)at), 0);
	return value;
}

/* --- the model --- */

#define MODEL_PAGES 8192

struct model_page {
	int owner; /* 0: none, else 1 + index of the mm */
	u32 prot;
	u64 word; /* first bytes of the page */
};
static struct model_page model[MODEL_PAGES];
static struct mm *mms[2];

static size_t page_of(u64 address)
{
	return (address - fake_zone_movable()) >> PAGE_SHIFT;
}

static u64 address_of(size_t page)
{
	return fake_zone_movable() + (page << PAGE_SHIFT);
}

static bool model_owned(size_t from, size_t count, int owner)
{
	for (size_t i = from; i < from + count; i++)
		if (model[i].owner != owner)
			return false;
	return true;
}

static void model_set(size_t from, size_t count, int owner, u32 prot)
{
	for (size_t i = from; i < from + count; i++)
		model[i] = (struct model_page){.owner = owner, .prot = prot};
}

static size_t random_count(void)
{
	return rand() % 8 ? 1 + rand() % 40 : 257 + rand() % 400;
}

static void model_mmap(int who, bool fixed)
{
	static const u32 prots[] = {PROT_NONE, PROT_READ, RW, RW, RW, PROT_READ | PROT_EXEC};
	size_t count = random_count(), page = (size_t)rand() % (MODEL_PAGES - count);
	u32 prot = prots[rand() % ARRAY_SIZE(prots)];
	u32 flags = ANON | (fixed ? MAP_FIXED : 0);
	long at = mm_mmap(mms[who], fixed ? address_of(page) : 0, count << PAGE_SHIFT, prot, flags,
			  NULL, 0);

	if (fixed) {
		bool possible = true;

		for (size_t i = page; i < page + count; i++)
			possible &= !model[i].owner || model[i].owner == who + 1;
		assert_int_equal(at, possible ? (long)address_of(page) : -ENOMEM);
		if (!possible)
			return;
	} else {
		assert_true(at > 0);
		/* Outside the modelled part: given back at once. */
		if (page_of(at) + count > MODEL_PAGES) {
			assert_int_equal(mm_munmap(mms[who], at, count << PAGE_SHIFT), 0);
			return;
		}
		page = page_of(at);
		assert_true(model_owned(page, count, 0));
	}
	model_set(page, count, who + 1, prot);
}

static void model_munmap(int who)
{
	size_t count = random_count(), page = (size_t)rand() % (MODEL_PAGES - count);

	assert_int_equal(mm_munmap(mms[who], address_of(page), count << PAGE_SHIFT), 0);
	for (size_t i = page; i < page + count; i++)
		if (model[i].owner == who + 1)
			model[i].owner = 0;
}

static void model_mprotect(int who)
{
	static const u32 prots[] = {PROT_NONE, PROT_READ, RW};
	size_t count = random_count(), page = (size_t)rand() % (MODEL_PAGES - count);
	u32 prot = prots[rand() % ARRAY_SIZE(prots)];
	int ret = mm_mprotect(mms[who], address_of(page), count << PAGE_SHIFT, prot);

	if (!model_owned(page, count, who + 1)) {
		assert_int_equal(ret, -ENOMEM);
		return;
	}
	assert_int_equal(ret, 0);
	for (size_t i = page; i < page + count; i++)
		model[i].prot = prot;
}

static void model_mremap(int who)
{
	size_t count = 1 + rand() % 60, page = (size_t)rand() % (MODEL_PAGES - 400);
	size_t new_count = 1 + rand() % 300;
	long at = mm_mremap(mms[who], address_of(page), count << PAGE_SHIFT,
			    new_count << PAGE_SHIFT, MREMAP_MAYMOVE, 0);
	struct model_page copy[64];

	if (at == -EFAULT) {
		bool whole = model_owned(page, count, who + 1);

		/* Only a range within one mapping moves. */
		for (size_t i = page + 1; whole && i < page + count; i++)
			whole = model[i].prot == model[page].prot;
		assert_false(whole);
		return;
	}
	assert_true(at > 0);
	assert_true(model_owned(page, count, who + 1));
	memcpy(copy, &model[page], count * sizeof(copy[0]));
	model_set(page, count, 0, 0);
	if (page_of(at) + new_count > MODEL_PAGES) {
		assert_int_equal(mm_munmap(mms[who], at, new_count << PAGE_SHIFT), 0);
		return;
	}
	assert_true(model_owned(page_of(at), new_count, 0));
	model_set(page_of(at), new_count, who + 1, copy[0].prot);
	memcpy(&model[page_of(at)], copy, MIN(count, new_count) * sizeof(copy[0]));
}

static void model_touch(int who)
{
	size_t page = (size_t)rand() % MODEL_PAGES;
	struct model_page *m = &model[page];
	u64 at = address_of(page), value = 0;
	bool is_ours = m->owner == who + 1;
	bool may_read = is_ours && m->prot, may_write = is_ours && (m->prot & PROT_WRITE);
	int expected = is_ours ? -EACCES : -EFAULT;

	p->mm = mms[who];
	/* Through the kernel, and as the program would: a fault, then the instruction. */
	assert_int_equal(get_user_u64(&value, (void *)at), may_read ? 0 : -EFAULT);
	assert_int_equal(mm_handle_fault(mms[who], at, MM_READ), may_read ? 0 : expected);
	if (may_read) {
		assert_int_equal(value, m->word);
		assert_int_equal(*(volatile u64 *)at, m->word);
	}
	assert_int_equal(mm_handle_fault(mms[who], at + 8, MM_WRITE), may_write ? 0 : expected);
	if (may_write) {
		m->word = (u64)rand();
		if (rand() % 2)
			*(volatile u64 *)at = m->word;
		else
			write_word(at, m->word);
	} else {
		assert_int_equal(put_user_u64((void *)at, 1), -EFAULT);
	}
}

static void model_dontneed(int who)
{
	size_t count = random_count(), page = (size_t)rand() % (MODEL_PAGES - count);
	int ret = mm_madvise(mms[who], address_of(page), count << PAGE_SHIFT, MADV_DONTNEED);

	assert_int_equal(ret, model_owned(page, count, who + 1) ? 0 : -ENOMEM);
	for (size_t i = page; i < page + count; i++)
		if (model[i].owner == who + 1)
			model[i].word = 0;
}

static int count_visit(const struct vma_info *v, void *arg)
{
	*(u64 *)arg += v->end - v->start;
	return 0;
}

static void model_check(void)
{
	for (int who = 0; who < 2; who++) {
		u64 bytes = 0, expected = 0;

		mm_for_each(mms[who], count_visit, &bytes);
		for (size_t i = 0; i < MODEL_PAGES; i++)
			expected += model[i].owner == who + 1 ? PAGE_SIZE : 0;
		assert_int_equal(bytes, expected);
		assert_int_equal(mms[who]->mapped, expected);
	}
}

static void random_run(unsigned seed, bool strict)
{
	p = fake_memory_start(MIB(64), strict);
	memset(model, 0, sizeof(model));
	mms[0] = p->mm;
	mms[1] = mm_new();
	srand(seed);
	for (int step = 0; step < 12000; step++) {
		int who = rand() % 2;

		switch (rand() % 16) {
		case 0: model_mmap(who, false); break;
		case 1:
		case 2: model_mmap(who, true); break;
		case 3: model_munmap(who); break;
		case 4: model_mprotect(who); break;
		case 5: model_mremap(who); break;
		case 6: model_dontneed(who); break;
		default: model_touch(who); break;
		}
		if (step % 1000 == 0)
			model_check();
	}
	model_check();
	p->mm = mms[0];
	mm_put(mms[1]);
	assert_true(fake_memory_stop());
}

static void random_operations(void **state)
{
	random_run(1, false);
	random_run(2, true);
	random_run(3, false);
}

/* --- single behaviours --- */

static void recycling_needs_no_host_call(void **state)
{
	u64 calls;
	long at = 0, again;

	for (int i = 0; i < 3; i++) {
		at = map(0, KIB(64), RW, ANON);
		assert_true(at > 0);
		memset((void *)at, 0xa5, KIB(64));
		assert_int_equal(mm_munmap(p->mm, at, KIB(64)), 0);
	}
	calls = fake_memory_calls();
	again = map(0, KIB(64), RW, ANON);
	assert_int_equal(again, at);
	for (u64 i = 0; i < KIB(64); i++)
		assert_int_equal(((u8 *)at)[i], 0);
	assert_int_equal(mm_munmap(p->mm, at, KIB(64)), 0);
	assert_int_equal(fake_memory_calls(), calls);
}

static void bad_arguments(void **state)
{
	long at = map(0, KIB(16), RW, ANON);

	assert_int_equal(map(0, 0, RW, ANON), -EINVAL);
	assert_int_equal(map(0, PAGE_SIZE, RW, MAP_ANONYMOUS), -EINVAL);
	assert_int_equal(map(0, PAGE_SIZE, RW, MAP_PRIVATE), -EBADF);
	assert_int_equal(map(at + 1, PAGE_SIZE, RW, ANON | MAP_FIXED), -EINVAL);
	assert_int_equal(map(0, UINT64_MAX, RW, ANON), -ENOMEM);
	assert_int_equal(map(0, UINT64_MAX - 8192, RW, ANON), -ENOMEM);
	assert_int_equal(map(0x1000, PAGE_SIZE, RW, ANON | MAP_FIXED), -EPERM);
	assert_int_equal(map(UINT64_MAX & ~0xfffull, PAGE_SIZE, RW, ANON | MAP_FIXED), -ENOMEM);
	assert_int_equal(map(at, PAGE_SIZE, RW, ANON | MAP_FIXED_NOREPLACE), -EEXIST);
	assert_int_equal(mm_munmap(p->mm, at + 1, PAGE_SIZE), -EINVAL);
	assert_int_equal(mm_munmap(p->mm, at, 0), -EINVAL);
	assert_int_equal(mm_munmap(p->mm, at, UINT64_MAX), -EINVAL);
	assert_int_equal(mm_mprotect(p->mm, at + 8, PAGE_SIZE, RW), -EINVAL);
	assert_int_equal(mm_mprotect(p->mm, at, UINT64_MAX, RW), -ENOMEM);
	assert_int_equal(mm_mprotect(p->mm, at, KIB(64), RW), -ENOMEM);
	assert_int_equal(mm_mremap(p->mm, at, PAGE_SIZE, 0, 0, 0), -EINVAL);
	assert_int_equal(mm_mremap(p->mm, at, PAGE_SIZE, KIB(64), 64, 0), -EINVAL);
	assert_int_equal(mm_mremap(p->mm, at, PAGE_SIZE, UINT64_MAX, MREMAP_MAYMOVE, 0), -ENOMEM);
	assert_int_equal(mm_mremap(p->mm, at, KIB(64), KIB(128), MREMAP_MAYMOVE, 0), -EFAULT);
	assert_int_equal(mm_madvise(p->mm, at, PAGE_SIZE, 77), -EINVAL);
	assert_int_equal(mm_madvise(p->mm, at, KIB(64), MADV_DONTNEED), -ENOMEM);
	assert_int_equal(mm_msync(p->mm, at, PAGE_SIZE, MS_SYNC | MS_ASYNC), -EINVAL);
	assert_int_equal(mm_handle_fault(p->mm, 0, MM_READ), -EFAULT);
	assert_int_equal(mm_handle_fault(p->mm, UINT64_MAX, MM_READ), -EFAULT);
}

static void user_space_is_limited_and_named(void **state)
{
	long at, big;

	at = map(0, MIB(60), PROT_NONE, ANON); /* reservations cost nothing */
	assert_true(at > 0);
	assert_int_equal(map(0, MIB(100), RW, ANON), -ENOMEM); /* could never be used */
	assert_non_null(strstr(fake_last_log(), "resource_limits.user_space_size"));
	assert_int_equal(mm_mprotect(p->mm, at, MIB(1), RW), 0);
	assert_int_equal(mm_munmap(p->mm, at, MIB(1)), 0); /* usage falls: it may be said again */
	big = map(0, MIB(100), RW, ANON | MAP_NORESERVE);  /* committed on touch */
	assert_true(big > 0);
	for (u64 i = 0; i < MIB(63); i += KIB(256))
		assert_int_equal(mm_handle_fault(p->mm, big + i, MM_WRITE), 0);
	fake_last_log();
	assert_int_equal(mm_handle_fault(p->mm, big + MIB(65), MM_WRITE), 0);
	assert_int_equal(mm_handle_fault(p->mm, big + MIB(66), MM_WRITE), 0);
	assert_int_equal(mm_handle_fault(p->mm, big + MIB(67), MM_WRITE), 0);
	assert_int_equal(mm_handle_fault(p->mm, big + MIB(68), MM_WRITE), 0);
	assert_int_equal(mm_handle_fault(p->mm, big + MIB(69), MM_WRITE), -ENOMEM);
	assert_non_null(strstr(fake_last_log(), "resource_limits.user_space_size"));
	assert_int_equal(map(0, KIB(256), RW, ANON), -ENOMEM);
	assert_string_equal(fake_last_log(), ""); /* said once */
	assert_int_equal(mm_madvise(p->mm, big, MIB(32), MADV_DONTNEED), 0);
	assert_true(map(0, KIB(64), RW, ANON) > 0);
	assert_int_equal(read_word(big + MIB(1)), 0);
	assert_int_equal(mm_munmap(p->mm, big, MIB(100)), 0);
	assert_int_equal(pages_charged(), KIB(64));
	/* What was freed is given back, so that as much can be had again. */
	assert_int_equal(mm_munmap(p->mm, at, MIB(60)), 0);
	big = map(0, MIB(62), RW, ANON | MAP_POPULATE);
	assert_true(big > 0);
	assert_int_equal(pages_charged(), KIB(64) + MIB(62));
}

static void heap_grows_and_shrinks(void **state)
{
	long start, at;

	assert_int_equal(mm_set_brk(p->mm, 0, MIB(2)), 0);
	start = mm_brk(p->mm, 0);
	assert_true(start > 0);
	assert_int_equal(mm_brk(p->mm, start + 5000), start + 5000);
	write_word(start + 4096, 77);
	assert_int_equal(mm_brk(p->mm, start + MIB(2)), start + MIB(2));
	assert_int_equal(read_word(start + 4096), 77);
	write_word(start + MIB(2) - 8, 1);
	fake_last_log();
	assert_int_equal(mm_brk(p->mm, start + MIB(2) + 1), start + MIB(2));
	assert_non_null(strstr(fake_last_log(), "process.default_heap_size"));
	assert_int_equal(mm_brk(p->mm, start + 100), start + 100);
	assert_int_equal(put_user_u32((void *)(start + 4096), 1), -EFAULT);
	assert_int_equal(mm_brk(p->mm, start + 8192), start + 8192);
	assert_int_equal(read_word(start + 4096), 0);
	/* Nothing else comes to lie in the reservation; the program itself may put something there. */
	at = map(start + MIB(1), PAGE_SIZE, RW, ANON | MAP_FIXED);
	assert_int_equal(at, start + MIB(1));
	assert_int_equal(mm_brk(p->mm, start + MIB(2)), start + 8192);
	assert_int_equal(mm_munmap(p->mm, at, PAGE_SIZE), 0);
	assert_int_equal(mm_brk(p->mm, start + MIB(2)), start + MIB(2));
	assert_int_equal(mm_brk(p->mm, 1), start + MIB(2));
	assert_int_equal(mm_brk(p->mm, UINT64_MAX), start + MIB(2));
}

static void address_space_is_limited(void **state)
{
	mm_set_limits(p->mm, UINT64_MAX, MIB(1));
	assert_int_equal(map(0, MIB(1) + 1, RW, ANON), -ENOMEM);
	assert_true(map(0, KIB(512), RW, ANON) > 0);
	assert_int_equal(map(0, KIB(516), RW, ANON), -ENOMEM);
}

static u8 *pattern(size_t size)
{
	u8 *bytes = malloc(size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (u8)(i * 7 + (i >> 12));
	return bytes;
}

static void file_is_filled_on_touch(void **state)
{
	size_t size = MIB(1) + 100;
	u8 *bytes = pattern(size), byte;
	struct file *f = fake_file_new(bytes, size, NULL);
	long at = mm_mmap(p->mm, 0, MIB(2), PROT_READ, MAP_PRIVATE, f, 0);

	assert_true(at > 0);
	assert_int_equal(fake_file_reads(f), 0);
	for (int threads = 1; threads <= 2; threads++) {
		p->thread_count = threads; /* 2: pages appear at once, by mem_move */
		for (u64 i = threads * KIB(256); i < threads * KIB(256) + KIB(200); i += 4096) {
			assert_int_equal(mm_handle_fault(p->mm, at + i, MM_READ), 0);
			assert_memory_equal((void *)(at + i), bytes + i, 4096);
		}
	}
	p->thread_count = 1;
	/* The rest of the last page is zero, behind it is nothing. */
	assert_int_equal(copy_from_user(&byte, (void *)(at + size), 1), 0);
	assert_int_equal(byte, 0);
	assert_int_equal(mm_handle_fault(p->mm, at + MIB(1) + 4096, MM_READ), -EIO);
	assert_int_equal(copy_from_user(&byte, (void *)(at + MIB(1) + 4096), 1), -EFAULT);
	assert_int_equal(mm_handle_fault(p->mm, at, MM_WRITE), -EACCES);
	/* Private: writing changes this process's pages alone. */
	assert_int_equal(mm_mprotect(p->mm, at, MIB(2), RW), 0);
	write_word(at + KIB(300), 5);
	write_word(at + KIB(900), 6);
	assert_int_equal(read_word(at + KIB(300)), 5);
	assert_memory_equal((void *)(at + KIB(900) + 8), bytes + KIB(900) + 8, 100);
	assert_int_equal(mm_madvise(p->mm, at, MIB(1), MADV_DONTNEED), 0);
	assert_int_equal(read_word(at + KIB(300)), *(u64 *)(bytes + KIB(300)));
	file_put(f);
	assert_int_equal(mm_munmap(p->mm, at, MIB(2)), 0);
	assert_int_equal(fake_files_live(), 0);
	free(bytes);
}

static void file_access_is_checked(void **state)
{
	struct fake_file_options noexec = {.is_noexec = true}, readonly = {.is_readonly = true},
				 unreadable = {.is_unreadable = true};
	struct file *f = fake_file_new("x", 1, &noexec), *g = fake_file_new("x", 1, &readonly),
		    *h = fake_file_new("x", 1, &unreadable);
	long at;

	assert_int_equal(mm_mmap(p->mm, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, f, 0), -EPERM);
	at = mm_mmap(p->mm, 0, 4096, PROT_READ, MAP_PRIVATE, f, 0);
	assert_true(at > 0);
	assert_int_equal(mm_mprotect(p->mm, at, 4096, PROT_READ | PROT_EXEC), -EACCES);
	assert_int_equal(mm_mmap(p->mm, 0, 4096, RW, MAP_SHARED, g, 0), -EACCES);
	assert_true(mm_mmap(p->mm, 0, 4096, RW, MAP_PRIVATE, g, 0) > 0);
	assert_int_equal(mm_mmap(p->mm, 0, 4096, PROT_READ, MAP_PRIVATE, h, 0), -EACCES);
	assert_int_equal(mm_mmap(p->mm, 0, 4096, PROT_READ, MAP_PRIVATE, g, 1), -EINVAL);
	assert_int_equal(mm_mmap(p->mm, 0, 4096, PROT_READ, MAP_PRIVATE, g, UINT64_MAX & ~0xfffull),
			 -EOVERFLOW);
	file_put(f);
	file_put(g);
	file_put(h);
}

static void text_is_patched_before_it_shows(void **state)
{
	u8 *bytes = pattern(KIB(128));
	/* class A, mov of 5 bytes, `syscall` at file offset 0x3010; one in another part */
	u8 sites[] = {0x10, 0x30, 0, 0, 0, 0, 1, 5, 0x00, 0x90, 0x01, 0, 0, 0, 1, 5};
	u8 wrong[] = {0x10, 0x30, 0, 0, 0, 0, 99, 5};
	struct fake_file_options options = {.sites = sites, .sites_size = sizeof(sites)};
	struct fake_file_options bad = {.sites = wrong, .sites_size = sizeof(wrong)};
	struct file *f = fake_file_new(bytes, KIB(128), &options),
		    *g = fake_file_new(bytes, KIB(128), &bad);
	static const u8 fresh[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	u8 old[8];
	u64 mapped;
	long at = mm_mmap(p->mm, 0, KIB(32), PROT_READ | PROT_EXEC, MAP_PRIVATE, f, 0x2000);

	assert_true(at > 0);
	assert_int_equal(*(u8 *)(at + 0x100b), 0xe9);
	bytes[0x300b] = 0xe9;
	assert_memory_equal((void *)at, bytes + 0x2000, KIB(32));
	mapped = p->mm->mapped;
	assert_int_equal(mapped, KIB(32) + PAGE_SIZE); /* and stubs */
	assert_true(mm_is_text(p->mm, at, 16));
	assert_false(mm_is_text(p->mm, at + KIB(32) - 1, 16));
	/* Patching reaches text of this process that still reads as the caller saw it, no more. */
	memcpy(old, (const void *)(at + 8), sizeof(old));
	assert_int_equal(mm_patch_text(p->mm, at + 8, "12345678", fresh, 8), -EFAULT);
	assert_int_equal(mm_patch_text(p->mm, at + KIB(32) - 4, NULL, fresh, 8), -EFAULT);
	assert_int_equal(mm_patch_text(p->mm, at - PAGE_SIZE, NULL, fresh, 8), -EFAULT);
	assert_memory_equal((void *)(at + 8), old, sizeof(old));
	assert_int_equal(mm_patch_text(p->mm, at + 8, old, fresh, 8), 0);
	assert_memory_equal((void *)(at + 8), fresh, sizeof(old));
	assert_int_equal(mm_patch_text(p->mm, at + 8, NULL, old, 8), 0);
	/* The stubs go with the last piece of the text. */
	assert_int_equal(mm_munmap(p->mm, at, KIB(16)), 0);
	assert_int_equal(p->mm->mapped, KIB(16) + PAGE_SIZE);
	assert_int_equal(mm_mremap(p->mm, at + KIB(16), KIB(16), MIB(8), MREMAP_MAYMOVE, 0),
			 -ENOMEM);
	assert_int_equal(mm_munmap(p->mm, at + KIB(16), KIB(16)), 0);
	assert_int_equal(p->mm->mapped, 0);
	assert_int_equal(mm_mmap(p->mm, 0, KIB(32), PROT_READ | PROT_EXEC, MAP_PRIVATE, g, 0x2000),
			 -EUCLEAN);
	file_put(f);
	file_put(g);
	free(bytes);
}

static void shared_memory_has_one_address(void **state)
{
	struct mem_object *o = mem_object_new(KIB(40));
	struct mm *other = mm_new(), *first = p->mm;
	long at = mm_map_object(first, 0, o, RW, MAP_SHARED);

	assert_true(at > 0);
	assert_int_equal(mm_map_object(other, 0, o, PROT_READ, MAP_SHARED), at);
	write_word(at + 8192, 42);
	p->mm = other;
	assert_int_equal(read_word(at + 8192), 42);
	assert_int_equal(put_user_u32((void *)at, 1), -EFAULT);
	assert_int_equal(mm_handle_fault(other, at, MM_WRITE), -EACCES);
	p->mm = first;
	/* A second mapping in one process lies on the first; both must go. */
	assert_int_equal(mm_map_object(first, 0, o, RW, MAP_SHARED), at);
	assert_int_equal(mm_munmap(first, at, KIB(40)), 0);
	assert_int_equal(read_word(at + 8192), 42);
	assert_int_equal(mm_munmap(first, at, KIB(40)), 0);
	assert_int_equal(get_user_u32(&(u32){0}, (void *)at), -EFAULT);
	assert_int_equal(mm_map_object(first, at + KIB(64), o, RW, MAP_SHARED | MAP_FIXED),
			 -ENOMEM);
	/* Other memory cannot lie there while somebody has it. */
	assert_int_equal(map(at, PAGE_SIZE, RW, ANON | MAP_FIXED), -ENOMEM);
	mm_put(other);
	mem_object_put(o);
	assert_int_equal(map(at, PAGE_SIZE, RW, ANON | MAP_FIXED), at);
}

/* --- an object over a "file" --- */

static u8 disk[KIB(40)];
static int disk_writes;

static int disk_fill(void *context, void *to, size_t size, u64 offset)
{
	size_t have = offset < sizeof(disk) ? MIN(size, sizeof(disk) - offset) : 0;

	memcpy(to, disk + offset, have);
	memset((u8 *)to + have, 0, size - have);
	return 0;
}

static int disk_write_back(void *context, const void *from, size_t size, u64 offset)
{
	assert_true(offset + size <= sizeof(disk));
	memcpy(disk + offset, from, size);
	disk_writes++;
	return 0;
}

static const struct mem_object_ops disk_ops = {.fill = disk_fill, .write_back = disk_write_back};

static void shared_file_is_written_back(void **state)
{
	struct mem_object *o = mem_object_new_backed(KIB(40) - 100, &disk_ops, NULL);
	struct fake_file_options options = {.object = o};
	struct file *f = fake_file_new("", 0, &options);
	struct uio uio;
	char text[16];
	long at;

	memset(disk, 'd', sizeof(disk));
	disk_writes = 0;
	at = mm_mmap(p->mm, 0, KIB(40), RW, MAP_SHARED, f, 0);
	assert_true(at > 0);
	assert_int_equal(read_word(at + 8), 0x6464646464646464);
	assert_int_equal(mm_msync(p->mm, at, KIB(40), MS_SYNC), 0);
	assert_int_equal(mm_msync(p->mm, at + KIB(4), KIB(8), MS_SYNC), 0); /* a part of it */
	assert_int_equal(disk_writes, 0); /* reading changes nothing */
	write_word(at + 16384, 0x4141414141414141);
	assert_int_equal(disk[16384], 'd');
	uio = uio_kernel(text, 8);
	assert_int_equal(mem_object_read(o, &uio, 16384), 8);
	assert_memory_equal(text, "AAAAAAAA", 8);
	uio = uio_kernel("BBBB", 4);
	assert_int_equal(mem_object_write(o, &uio, 100), 4);
	assert_int_equal(read_word(at + 96), 0x4242424264646464);
	assert_int_equal(mm_msync(p->mm, at, KIB(40), MS_SYNC), 0);
	assert_int_equal(disk_writes, 2);
	assert_memory_equal(disk + 16384, "AAAAAAAA", 8);
	assert_memory_equal(disk + 100, "BBBB", 4);
	/* Written again after the sync: seen again. */
	write_word(at + 16384, 0x4343434343434343);
	assert_int_equal(mem_object_resize(o, KIB(20) + 4), 0);
	assert_int_equal(mm_handle_fault(p->mm, at + KIB(28), MM_READ), -EIO);
	assert_int_equal(mm_munmap(p->mm, at, KIB(40)), 0);
	file_put(f);
	mem_object_put(o);
	assert_memory_equal(disk + 16384, "CCCCCCCC", 8);
}

static void object_grows(void **state)
{
	struct mem_object *o = mem_object_new(0);
	struct uio uio = uio_kernel("hello", 5);
	char text[6] = "";
	long at, block;

	assert_int_equal(mem_object_write(o, &uio, 0), 0);
	assert_int_equal(mem_object_resize(o, 100), 0);
	assert_int_equal(mem_object_write(o, &uio, 50), 5);
	assert_int_equal(mem_object_resize(o, MIB(3)), 0);
	uio = uio_kernel(text, 5);
	assert_int_equal(mem_object_read(o, &uio, 50), 5);
	assert_string_equal(text, "hello");
	at = mm_map_object(p->mm, 0, o, RW, MAP_SHARED);
	assert_true(at > 0);
	assert_int_equal(mem_object_resize(o, MIB(4)), 0);
	block = map(at + MIB(4), PAGE_SIZE, RW, ANON | MAP_FIXED);
	assert_int_equal(block, at + MIB(4));
	assert_int_equal(mem_object_resize(o, MIB(5)), -ENOMEM);
	/* Not mapped any more: it may move. */
	assert_int_equal(mm_munmap(p->mm, at, MIB(3)), 0);
	assert_int_equal(mem_object_resize(o, MIB(5)), 0);
	uio = uio_kernel(text, 5);
	assert_int_equal(mem_object_read(o, &uio, 50), 5);
	assert_string_equal(text, "hello");
	mem_object_put(o);
}

static void failures_leave_nothing(void **state)
{
	long at = map(0, KIB(256), RW, ANON), more = map(0, MIB(4), PROT_NONE, ANON);
	u64 mapped = p->mm->mapped, charged = pages_charged(), free_bytes = zone_free_bytes();

	for (int i = 1; i < 6; i++) {
		fake_fail_allocation(i, true);
		if (map(0, KIB(64), RW, ANON) > 0)
			break;
		assert_int_equal(mm_munmap(p->mm, at + KIB(16), KIB(16)), -ENOMEM);
		fake_fail_allocation(0, false);
		assert_int_equal(p->mm->mapped, mapped);
		assert_int_equal(pages_charged(), charged);
		assert_int_equal(zone_free_bytes(), free_bytes);
	}
	fake_fail_allocation(0, false);
	mapped = p->mm->mapped;
	charged = pages_charged();
	fake_memory_fail_call(1);
	assert_int_equal(mm_mprotect(p->mm, more, KIB(512), RW), -ENOMEM);
	fake_memory_fail_call(1);
	assert_int_equal(map(0, MIB(1), RW, ANON), -ENOMEM);
	assert_int_equal(p->mm->mapped, mapped);
	assert_int_equal(pages_charged(), charged);
}

static void strings_end_at_the_mapping(void **state)
{
	long at = map(0, KIB(8), RW, ANON);
	char text[32];

	assert_int_equal(mm_mprotect(p->mm, at + 4096, 4096, PROT_NONE), 0);
	assert_int_equal(copy_to_user((void *)(at + 4092), "abc", 4), 0);
	assert_int_equal(copy_string_from_user(text, (void *)(at + 4092), sizeof(text)), 3);
	assert_string_equal(text, "abc");
	assert_int_equal(copy_to_user((void *)(at + 4092), "abcd", 4), 0);
	assert_int_equal(copy_string_from_user(text, (void *)(at + 4092), sizeof(text)), -EFAULT);
	assert_int_equal(copy_string_from_user(text, (void *)(at + 4092), 4), -ENAMETOOLONG);
	assert_int_equal(copy_to_user((void *)(at + 4090), "0123456789", 10), -EFAULT);
	assert_int_equal(copy_from_user(text, (void *)(UINT64_MAX - 4), 16), -EFAULT);
	assert_int_equal(copy_from_user(text, (void *)p, 8), -EFAULT); /* the kernel's memory */
	assert_int_equal(get_user_u32(&(u32){0}, (void *)(at + 1)), -EFAULT);
	assert_true(user_range_is_ok((void *)at, 4096, true));
	assert_false(user_range_is_ok((void *)at, 4097, false));
	assert_false(user_range_is_ok((void *)at, UINT64_MAX, false));
	assert_int_equal(mm_read_foreign(p->mm, text, at + 4088, 16), 8);
	assert_int_equal(mm_read_foreign(p->mm, text, at + 4096, 16), -EFAULT);
}

/* The short copies and zeroings are a case each, so all sizes and some alignments are tried. */
static void copies_of_every_size(void **state)
{
	long at = map(0, KIB(8), RW, ANON);
	u8 from[640], to[640];

	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (u8)(i * 31 + 7);
	for (size_t size = 0; size < 600; size++) {
		u64 user = at + PAGE_SIZE - 40 + size % 17;
		u8 *bytes = (u8 *)user;

		memset((void *)at, 0xee, KIB(8));
		assert_int_equal(copy_to_user((void *)user, from + 1, size), 0);
		assert_memory_equal(bytes, from + 1, size);
		assert_true(bytes[-1] == 0xee && bytes[size] == 0xee);
		memset(to, 0xdd, sizeof(to));
		assert_int_equal(copy_from_user(to + 3, (void *)user, size), 0);
		assert_memory_equal(to + 3, from + 1, size);
		assert_true(to[2] == 0xdd && to[3 + size] == 0xdd);
		assert_int_equal(clear_user((void *)user, size), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(bytes[i], 0);
		assert_true(bytes[-1] == 0xee && bytes[size] == 0xee);
	}
}

/* --- a sibling unmaps while another copies (security.md 15) --- */

static bool race_stop;
static u64 race_at;

static void *race_copier(void *arg)
{
	static struct thread threads[3];
	struct thread *self = &threads[(u64)arg];
	u8 buf[3000];

	*self = (struct thread){.refs = 1, .process = p, .slot = (u32)(u64)arg};
	fake_attach_thread(self);
	memset(buf, 0x77, sizeof(buf));
	while (!__atomic_load_n(&race_stop, __ATOMIC_RELAXED)) {
		u64 at = __atomic_load_n(&race_at, __ATOMIC_RELAXED);

		if (at && copy_to_user((void *)(at + 100), buf, sizeof(buf)) == 0)
			continue;
	}
	fake_attach_thread(NULL);
	return NULL;
}

static void copies_never_reach_a_later_owner(void **state)
{
	pthread_t threads[2];
	struct mm *victim = mm_new(), *mine = p->mm;

	p->thread_count = 3;
	race_stop = false;
	for (u64 i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race_copier, (void *)(i + 1)),
				 0);
	for (int i = 0; i < 20000; i++) {
		long at = mm_mmap(mine, 0, KIB(8), RW, ANON, NULL, 0), other;

		assert_true(at > 0);
		__atomic_store_n(&race_at, at, __ATOMIC_RELAXED);
		for (int spin = 0; spin < i % 64; spin++)
			__asm__ volatile("pause");
		assert_int_equal(mm_munmap(mine, at, KIB(8)), 0);
		other = mm_mmap(victim, 0, KIB(8), RW, ANON, NULL, 0);
		assert_true(other > 0);
		for (int spin = 0; spin < 100; spin++)
			__asm__ volatile("pause");
		for (u64 k = 0; k < KIB(8); k += 64)
			assert_int_equal(*(u8 *)(other + k + 37), 0);
		assert_int_equal(mm_munmap(victim, other, KIB(8)), 0);
	}
	__atomic_store_n(&race_stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	race_at = 0;
	p->thread_count = 1;
	mm_put(victim);
}

/* --- siblings that change mappings without pause spoil no copy of memory that stays mapped --- */

enum { SPOIL_ELSEWHERE, SPOIL_BY_SPLITS, SPOIL_BY_DROPPING, SPOIL_BY_SYNC, SPOILERS };

static struct {
	u64 anon, text, object; /* KIB(64) each */
	struct file *file;
	bool stop;
	u64 turns[SPOILERS]; /* atomic */
	int failures;	     /* atomic */
} spoil;

static void spoil_once(u64 kind)
{
	bool ok = true;
	long at;

	switch (kind) {
	case SPOIL_ELSEWHERE:
		at = map(0, KIB(8), RW, ANON);
		ok = at > 0 && !mm_munmap(p->mm, at, KIB(8));
		break;
	case SPOIL_BY_SPLITS:
		ok = !mm_mprotect(p->mm, spoil.anon + KIB(8), KIB(8), RW | PROT_EXEC) &&
		     !mm_mprotect(p->mm, spoil.anon + KIB(8), KIB(8), RW);
		break;
	case SPOIL_BY_DROPPING:
		ok = !mm_madvise(p->mm, spoil.anon, KIB(64), MADV_DONTNEED) &&
		     !mm_madvise(p->mm, spoil.text, KIB(64), MADV_DONTNEED);
		break;
	default: ok = !mm_msync(p->mm, spoil.object, KIB(32), MS_SYNC); break;
	}
	if (!ok)
		__atomic_add_fetch(&spoil.failures, 1, __ATOMIC_RELAXED);
}

static void *spoiler(void *arg)
{
	/* Who wakes it may hold a reference for a moment longer than it runs. */
	static struct thread threads[SPOILERS];
	struct thread *self = &threads[(u64)arg];

	*self = (struct thread){.refs = 1, .process = p, .slot = 1 + (u32)(u64)arg};
	fake_attach_thread(self);
	while (!__atomic_load_n(&spoil.stop, __ATOMIC_RELAXED)) {
		spoil_once((u64)arg);
		__atomic_add_fetch(&spoil.turns[(u64)arg], 1, __ATOMIC_RELAXED);
	}
	fake_attach_thread(NULL);
	return NULL;
}

static void copy_all_kinds(const u8 *expected, int round)
{
	u8 buf[KIB(20)];
	u64 word = 0, offset = (u64)round % 13 * 4096 / 3 & ~7ull;
	u32 old = 0;

	assert_int_equal(copy_from_user(buf, (void *)(spoil.text + offset), sizeof(buf)), 0);
	assert_memory_equal(buf, expected + offset, sizeof(buf));
	memset(buf, 0x33, sizeof(buf));
	assert_int_equal(copy_to_user((void *)(spoil.anon + offset + 1), buf, sizeof(buf)), 0);
	assert_int_equal(clear_user((void *)(spoil.anon + offset + 7), sizeof(buf)), 0);
	assert_int_equal(get_user_u64(&word, (void *)(spoil.text + offset)), 0);
	assert_int_equal(word, *(const u64 *)(expected + offset));
	assert_int_equal(put_user_u64((void *)(spoil.object + offset), round), 0);
	assert_int_equal(read_word(spoil.object + offset), round);
	assert_int_equal(put_user_u32((void *)(spoil.anon + offset), 1), 0);
	assert_int_equal(cmpxchg_user_u32((void *)(spoil.object + offset), (u32)round, 77, &old),
			 0);
	assert_int_equal(old, round);
	assert_int_equal(mm_read_foreign(p->mm, buf, spoil.text + 5, 9000), 9000);
	assert_memory_equal(buf, expected + 5, 9000);
}

static void copies_get_on_beside_spoilers(void **state)
{
	u8 *bytes = pattern(KIB(64));
	struct mem_object *o = mem_object_new_backed(KIB(40), &disk_ops, NULL);
	struct fake_file_options options = {.object = o};
	struct file *shared = fake_file_new("", 0, &options);
	pthread_t threads[SPOILERS];
	bool all_turned = false;

	fake_memory_on_fault(NULL);
	memset(&spoil, 0, sizeof(spoil));
	spoil.file = fake_file_new(bytes, KIB(64), NULL);
	spoil.anon = map(0, MIB(2), RW, ANON);
	spoil.text = mm_mmap(p->mm, 0, KIB(64), PROT_READ, MAP_PRIVATE, spoil.file, 0);
	spoil.object = mm_mmap(p->mm, 0, KIB(40), RW, MAP_SHARED, shared, 0);
	assert_true((long)spoil.anon > 0 && (long)spoil.text > 0 && (long)spoil.object > 0);
	p->thread_count = 1 + SPOILERS;
	for (u64 i = 0; i < SPOILERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, spoiler, (void *)i), 0);
	for (int round = 1; round < 400 || !all_turned; round++) {
		copy_all_kinds(bytes, round);
		all_turned = true;
		for (int i = 0; i < SPOILERS; i++)
			all_turned &= __atomic_load_n(&spoil.turns[i], __ATOMIC_RELAXED) > 50;
	}
	__atomic_store_n(&spoil.stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < SPOILERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(spoil.failures, 0);
	p->thread_count = 1;
	assert_int_equal(mm_munmap(p->mm, spoil.text, KIB(64)), 0);
	assert_int_equal(mm_munmap(p->mm, spoil.object, KIB(40)), 0);
	file_put(spoil.file);
	file_put(shared);
	mem_object_put(o);
	free(bytes);
}

/* --- a host that takes pages away (security.md 20) --- */

static int host_faults, host_gives_back_after;

static void count_host_fault(void *address)
{
	if (++host_faults == host_gives_back_after)
		fake_memory_host_protect((u64)address, RW);
}

static void page_taken_by_the_host(void **state)
{
	long at = map(0, KIB(8), RW, ANON);
	int status;
	pid_t child;

	fake_memory_on_fault(count_host_fault);
	for (host_gives_back_after = 1; host_gives_back_after < 40; host_gives_back_after++) {
		host_faults = 0;
		fake_memory_host_protect(at, PROT_NONE);
		write_word(at + 16, host_gives_back_after);
		assert_int_equal(host_faults, host_gives_back_after);
		assert_int_equal(read_word(at + 16), host_gives_back_after);
	}
	/* For good: never an error that the program would see, but the end. */
	child = fork();
	if (!child) {
		signal(SIGABRT, SIG_DFL);
		host_gives_back_after = 0;
		fake_memory_host_protect(at, PROT_NONE);
		_exit(put_user_u32((void *)at, 1) ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

#define WITH_ZONE(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations),
		WITH_ZONE(recycling_needs_no_host_call),
		WITH_ZONE(bad_arguments),
		WITH_ZONE(user_space_is_limited_and_named),
		WITH_ZONE(heap_grows_and_shrinks),
		WITH_ZONE(address_space_is_limited),
		WITH_ZONE(file_is_filled_on_touch),
		WITH_ZONE(file_access_is_checked),
		WITH_ZONE(text_is_patched_before_it_shows),
		WITH_ZONE(shared_memory_has_one_address),
		WITH_ZONE(shared_file_is_written_back),
		WITH_ZONE(object_grows),
		WITH_ZONE(failures_leave_nothing),
		WITH_ZONE(strings_end_at_the_mapping),
		WITH_ZONE(copies_of_every_size),
		WITH_ZONE(copies_never_reach_a_later_owner),
		WITH_ZONE(copies_get_on_beside_spoilers),
		WITH_ZONE(page_taken_by_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
