// SPDX-License-Identifier: Apache-2.0
/*
 * Kept images: what the next process finds of the last one, and what it must never find. The image
 * is laid out as exec and dynamic loaders do it:
 *
 *	0	constants	r--	file at 0
 *	2	text		r-x	file at 2, with a call site
 *	4	data		rw-	file at 3 (the loader makes its first page read-only later)
 *	6	bss		rw-
 *	8	hole
 */
#include "kernel/mm/kept.h"

#include <string.h>

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

#define PAGES(n) ((u64)(n) << PAGE_SHIFT)
#define IMAGE	 PAGES(10)
#define SITE_AT	 0x20
#define RW	 (PROT_READ | PROT_WRITE)
#define RX	 (PROT_READ | PROT_EXEC)
#define OVER	 (MAP_PRIVATE | MAP_FIXED)

static struct process *p;
static u8 bytes[PAGES(5)];
static struct file *file;

static struct file *file_new(bool is_cacheable)
{
	/* mov $39, %eax; syscall: file offset 6, kind A, 5 bytes before it */
	static const u8 site[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05},
			table[] = {0x25, 0x20, 0, 0, 0, 0, 1, 5};
	struct fake_file_options options = {
		.sites = table, .sites_size = sizeof(table), .is_cacheable = is_cacheable};

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (u8)(1 + i / PAGE_SIZE * 16 + i % 7);
	memcpy(bytes + PAGES(2) + SITE_AT, site, sizeof(site));
	return fake_file_new(bytes, sizeof(bytes), &options);
}

static int start(void **state)
{
	(void)state;
	p = fake_memory_start(MIB(64), false);
	file = file_new(true);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fake_fail_allocation(0, false);
	file_put(file);
	return fake_memory_stop() ? 0 : -1;
}

static void restart(void)
{
	mm_put(p->mm);
	p->mm = mm_new();
	assert_non_null(p->mm);
}

static int map_over(u64 at, u64 size, u32 prot, u64 offset)
{
	struct file *from = offset == UINT64_MAX ? NULL : file;
	long ret = mm_mmap(p->mm, at, size, prot, OVER | (from ? 0 : MAP_ANONYMOUS), from,
			   from ? offset : 0);

	if (ret < 0)
		return (int)ret;
	assert_int_equal(ret, at);
	return 0;
}

static int map_segments(u64 base, bool constants)
{
	int err = constants ? map_over(base, PAGES(2), PROT_READ, 0) : 0;

	if (!err)
		err = map_over(base + PAGES(2), PAGES(2), RX, PAGES(2));
	if (!err)
		err = map_over(base + PAGES(4), PAGES(2), RW, PAGES(3));
	if (!err)
		err = map_over(base + PAGES(6), PAGES(2), RW, UINT64_MAX);
	return err;
}

static long load_program(void)
{
	long base = mm_reserve_image(p->mm, file, 0, IMAGE, PAGE_SIZE);
	int err = base < 0 ? (int)base : map_segments(base, true);

	return err ? err : base;
}

static long load_library(void)
{
	long base = mm_mmap(p->mm, 0, IMAGE, PROT_READ, MAP_PRIVATE | MAP_DENYWRITE, file, 0);
	int err = base < 0 ? (int)base : map_segments(base, false);

	return err ? err : base;
}

static u8 byte_at(u64 at)
{
	u8 b = 0;

	assert_int_equal(copy_from_user(&b, (void *)at, 1), 0);
	return b;
}

static void assert_fresh(u64 base)
{
	u8 page[PAGE_SIZE], zeroes[PAGE_SIZE] = {0};

	for (int i = 0; i < 2; i++) {
		assert_int_equal(copy_from_user(page, (void *)(base + PAGES(i)), PAGE_SIZE), 0);
		assert_memory_equal(page, bytes + PAGES(i), PAGE_SIZE);
		assert_int_equal(copy_from_user(page, (void *)(base + PAGES(4 + i)), PAGE_SIZE), 0);
		assert_memory_equal(page, bytes + PAGES(3 + i), PAGE_SIZE);
		assert_int_equal(copy_from_user(page, (void *)(base + PAGES(6 + i)), PAGE_SIZE), 0);
		assert_memory_equal(page, zeroes, PAGE_SIZE);
	}
	/* The site is a jump, the syscall behind it is in place. */
	assert_int_equal(byte_at(base + PAGES(2) + SITE_AT), 0xe9);
	assert_int_equal(byte_at(base + PAGES(2) + SITE_AT + 5), 0x0f);
	assert_int_equal(byte_at(base + PAGES(3)), bytes[PAGES(3)]);
	assert_int_equal(put_user_u64((void *)(base + PAGES(2)), 1), -EFAULT);
}

static void use(u64 base)
{
	assert_int_equal(put_user_u64((void *)(base + PAGES(4)), 0x5ec7e7), 0);
	assert_int_equal(put_user_u64((void *)(base + PAGES(5)), 0x5ec7e7), 0);
	assert_int_equal(put_user_u64((void *)(base + PAGES(7)), 0x5ec7e7), 0);
	assert_int_equal(mm_mprotect(p->mm, base + PAGES(4), PAGE_SIZE, PROT_READ), 0);
}

static void keeps(long (*load)(void))
{
	long base = load(), again;
	u64 calls;

	assert_true(base > 0);
	assert_fresh(base);
	use(base);
	restart();
	calls = fake_memory_calls();
	again = load();
	assert_int_equal(again, base);
	/* The page that was made read-only; the first use of it reads all pages of the file. */
	assert_true(fake_memory_calls() - calls <= 2);
	assert_fresh(base);
	use(base);
	/* Two at a time: the second is made from the file. */
	again = load();
	assert_int_not_equal(again, base);
	assert_fresh(again);
}

static void program_is_kept(void **state)
{
	(void)state;
	keeps(load_program);
}

static void library_is_kept(void **state)
{
	(void)state;
	keeps(load_library);
}

/* A loader's image is not what others see of the file, and the other way round. */
static void plain_mapping_is_the_file(void **state)
{
	long base = load_library(), plain;

	(void)state;
	assert_true(base > 0);
	restart();
	for (int i = 0; i < 2; i++) {
		plain = mm_mmap(p->mm, 0, IMAGE, PROT_READ, MAP_PRIVATE, file, 0);
		assert_true(plain > 0);
		for (int n = 0; n < 5; n++)
			assert_int_equal(byte_at(plain + PAGES(n)), bytes[PAGES(n)]);
		assert_int_equal(byte_at(plain + PAGES(2) + SITE_AT), 0xb8);
		assert_int_equal(mm_munmap(p->mm, plain, IMAGE), 0);
	}
	assert_int_equal(load_library(), base);
}

static void written_text_is_not_passed_on(void **state)
{
	long base = load_program();
	u64 text = base + PAGES(3);

	(void)state;
	assert_true(base > 0);
	assert_int_equal(mm_mprotect(p->mm, text, PAGE_SIZE, RW), 0);
	assert_int_equal(put_user_u64((void *)text, 0xbad), 0);
	assert_int_equal(mm_mprotect(p->mm, text, PAGE_SIZE, RX), 0);
	restart();
	base = load_program();
	assert_true(base > 0);
	assert_fresh(base);
}

static void replaced_constants_are_not_passed_on(void **state)
{
	struct file *other = fake_file_new(bytes + 1, PAGES(4), NULL);
	long base = load_program();

	(void)state;
	assert_true(base > 0);
	assert_int_equal(mm_mmap(p->mm, base + PAGE_SIZE, PAGE_SIZE, PROT_READ, OVER, other, 0),
			 base + PAGE_SIZE);
	assert_int_equal(byte_at(base + PAGE_SIZE), bytes[1]);
	restart();
	base = load_program();
	assert_true(base > 0);
	assert_fresh(base);
	file_put(other);
}

static void unmapped_part_is_not_passed_on(void **state)
{
	long base = load_program(), hole;

	(void)state;
	assert_true(base > 0);
	assert_int_equal(mm_munmap(p->mm, base + PAGE_SIZE, PAGE_SIZE), 0);
	hole = mm_mmap(p->mm, base + PAGE_SIZE, PAGE_SIZE, RW,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
	assert_int_equal(hole, base + PAGE_SIZE);
	restart();
	base = load_program();
	assert_true(base > 0);
	assert_fresh(base);
}

static void files_that_change_are_not_kept(void **state)
{
	long base;
	u64 reads;

	(void)state;
	file_put(file);
	file = file_new(false);
	base = load_program();
	assert_true(base > 0);
	assert_fresh(base);
	restart();
	reads = fake_file_reads(file);
	base = load_program();
	assert_true(base > 0);
	assert_fresh(base);
	assert_true(fake_file_reads(file) > reads + 1);
}

static void strict_keeps_nothing(void **state)
{
	long base;

	file_put(file);
	assert_true(fake_memory_stop());
	p = fake_memory_start(MIB(64), true);
	file = file_new(true);
	(void)state;
	base = load_program();
	assert_true(base > 0);
	restart();
	assert_true(zone_is_free(base, base + IMAGE));
	assert_false(kept_evict(zone_start(), zone_end()));
}

static void kept_addresses_can_be_had(void **state)
{
	long base = load_program(), at;

	(void)state;
	assert_true(base > 0);
	restart();
	assert_false(zone_is_free(base, base + IMAGE));
	assert_int_equal(pages_charged(), 0);
	at = mm_mmap(p->mm, base + PAGE_SIZE, PAGE_SIZE, RW,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
	assert_int_equal(at, base + PAGE_SIZE);
	assert_int_equal(byte_at(at), 0);
	assert_int_equal(mm_munmap(p->mm, at, PAGE_SIZE), 0);
	assert_true(zone_is_free(base, base + IMAGE));
}

static void kept_memory_can_be_had(void **state)
{
	u64 half = pages_limit() / 2;
	long base = load_program(), at;

	(void)state;
	assert_true(base > 0);
	restart();
	for (u64 done = 0; done < pages_limit(); done += half / 64) {
		at = mm_mmap(p->mm, 0, half / 64, RW, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
		assert_true(at > 0);
	}
	assert_false(kept_evict(zone_start(), zone_end()));
}

/* Whatever fails, the next try has all of it, and nothing is left behind. */
static void failures_leave_nothing(void **state)
{
	long (*const loads[])(void) = {load_program, load_library};

	(void)state;
	for (int n = 1; n < 60; n++) {
		for (int i = 0; i < 2; i++) {
			long base;

			assert_true(loads[i]() > 0);
			restart();
			fake_fail_allocation(n, false);
			base = loads[i]();
			fake_fail_allocation(0, false);
			if (base > 0)
				assert_fresh(base);
			restart();
			fake_memory_fail_call(n);
			base = loads[i]();
			fake_memory_fail_call(0);
			if (base > 0)
				assert_fresh(base);
			restart();
			base = loads[i]();
			assert_true(base > 0);
			assert_fresh(base);
			restart();
			if (n % 3 == 0)
				kept_evict(zone_start(), zone_end());
		}
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(program_is_kept, start, stop),
	cmocka_unit_test_setup_teardown(library_is_kept, start, stop),
	cmocka_unit_test_setup_teardown(plain_mapping_is_the_file, start, stop),
	cmocka_unit_test_setup_teardown(written_text_is_not_passed_on, start, stop),
	cmocka_unit_test_setup_teardown(replaced_constants_are_not_passed_on, start, stop),
	cmocka_unit_test_setup_teardown(unmapped_part_is_not_passed_on, start, stop),
	cmocka_unit_test_setup_teardown(files_that_change_are_not_kept, start, stop),
	cmocka_unit_test_setup_teardown(strict_keeps_nothing, start, stop),
	cmocka_unit_test_setup_teardown(kept_addresses_can_be_had, start, stop),
	cmocka_unit_test_setup_teardown(kept_memory_can_be_had, start, stop),
	cmocka_unit_test_setup_teardown(failures_leave_nothing, start, stop),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
