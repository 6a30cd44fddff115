// SPDX-License-Identifier: Apache-2.0
/*
 * Address spaces: a random run against an array of pages, with real protections: a page that the
 * model calls readable is read, and the processor is the judge.
 */
#include "tests/fakes/space.h"

#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "kernel/vfs/file.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
