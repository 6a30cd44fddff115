// SPDX-License-Identifier: Apache-2.0
/* Address spaces: single behaviours. Random runs against a model are in random_test.c. */
#include "tests/fakes/space.h"

#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "kernel/core/log.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/turn.h"
#include "kernel/mm/zone.h"
#include "kernel/vfs/file.h"

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

/* Another thread took the access and gave it back before the fault was looked at, many times. */
static void faults_that_others_undo_are_no_fault_of_the_host(void **state)
{
	long at = map(0, PAGE_SIZE, RW, ANON);

	write_word(at, 7);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(mm_mprotect(p->mm, at, PAGE_SIZE, PROT_READ), 0);
		assert_int_equal(mm_mprotect(p->mm, at, PAGE_SIZE, RW), 0);
		assert_int_equal(mm_handle_fault(p->mm, at, MM_WRITE), 0);
	}
	assert_int_equal(read_word(at), 7);
}

static void advice_after_a_refused_mprotect(void **state)
{
	long at = map(0, KIB(16), RW, ANON);

	write_word(at, 7);
	write_word(at + PAGE_SIZE, 8);
	fake_memory_fail_call(1);
	assert_int_equal(mm_mprotect(p->mm, at, KIB(16), PROT_READ), -ENOMEM);
	fake_memory_host_protect(at, PROT_READ); /* so far it had got */
	assert_int_equal(mm_madvise(p->mm, at, KIB(16), MADV_DONTNEED), 0);
	assert_int_equal(read_word(at), 0);
	assert_int_equal(read_word(at + PAGE_SIZE), 0);
	write_word(at, 9);
	assert_int_equal(read_word(at), 9);
}

/* What the host refuses meanwhile, for it has no room for mappings, is an error of fork alone. */
static void fork_after_a_refused_mprotect(void **state)
{
	struct mm *child = NULL;
	long at = map(0, KIB(16), RW, ANON), n = 0;
	int err;

	write_word(at, 7);
	fake_memory_fail_call(1);
	assert_int_equal(mm_mprotect(p->mm, at, KIB(16), PROT_READ), -ENOMEM);
	turn_attach(p->mm);
	do {
		assert_true(++n < 100);
		fake_memory_fail_call(n);
		err = mm_fork(p->mm, &child);
		assert_true(!err || err == -ENOMEM);
	} while (err);
	assert_true(n > 2); /* to read each page, and to have it as before */
	fake_memory_fail_call(0);
	mm_retire_member(child);
	mm_put(child);
	turn_detach();
	assert_int_equal(read_word(at), 7);
	write_word(at, 8);
	assert_int_equal(read_word(at), 8);
}

/* Each gets less than it may have when all together are more than there is; none is refused. */
static void heaps_share_the_addresses(void **state)
{
	enum { COUNT = 24 };
	struct mm *others[COUNT];
	u64 each = ALIGN_DOWN(zone_free_bytes() / 8, PAGE_SIZE);
	long start;

	for (int i = 0; i < COUNT; i++) {
		others[i] = mm_new();
		assert_non_null(others[i]);
		assert_int_equal(mm_set_brk(others[i], 0, each), 0);
		if (i == COUNT / 2)
			assert_int_equal(mm_set_brk(p->mm, 0, each), 0);
	}
	mm_set_limits(p->mm, &(struct mm_limits){each, UINT64_MAX, UINT64_MAX, true});
	start = mm_brk(p->mm, 0);
	assert_int_equal(mm_brk(p->mm, start + 5000), start + 5000);
	fake_last_log();
	log_set_level(LOG_INFO);
	assert_int_equal(mm_brk(p->mm, start + (long)each), start + 5000);
	assert_non_null(strstr(fake_last_log(), "process.default_heap_size"));
	log_set_level(LOG_ERROR);
	for (int i = 0; i < COUNT; i++)
		mm_put(others[i]);
}

static void heap_grows_and_shrinks(void **state)
{
	long start, at;

	assert_int_equal(mm_set_brk(p->mm, 0, MIB(2)), 0);
	mm_set_limits(p->mm, &(struct mm_limits){MIB(2), UINT64_MAX, UINT64_MAX, true});
	start = mm_brk(p->mm, 0);
	assert_true(start > 0);
	assert_int_equal(mm_brk(p->mm, start + 5000), start + 5000);
	write_word(start + 4096, 77);
	assert_int_equal(mm_brk(p->mm, start + MIB(2)), start + MIB(2));
	assert_int_equal(read_word(start + 4096), 77);
	write_word(start + MIB(2) - 8, 1);
	fake_last_log();
	log_set_level(LOG_INFO);
	assert_int_equal(mm_brk(p->mm, start + MIB(2) + 1), start + MIB(2));
	assert_non_null(strstr(fake_last_log(), "process.default_heap_size"));
	log_set_level(LOG_ERROR);
	assert_int_equal(mm_brk(p->mm, start + 100), start + 100);
	assert_int_equal(put_user_u32((void *)(start + 4096), 1), -EFAULT);
	assert_int_equal(mm_brk(p->mm, start + 8192), start + 8192);
	assert_int_equal(read_word(start + 4096), 0);
	/* Nothing else comes to lie in the reservation; the program itself may put it there. */
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
	mm_set_limits(p->mm, &(struct mm_limits){UINT64_MAX, UINT64_MAX, MIB(1), false});
	assert_int_equal(map(0, MIB(1) + 1, RW, ANON), -ENOMEM);
	assert_true(map(0, KIB(512), RW, ANON) > 0);
	assert_int_equal(map(0, KIB(516), RW, ANON), -ENOMEM);
}

static void data_is_limited(void **state)
{
	long a, b;

	mm_set_limits(p->mm, &(struct mm_limits){UINT64_MAX, MIB(1), UINT64_MAX, false});
	assert_int_equal(map(0, MIB(1) + 1, RW, ANON), -ENOMEM);
	a = map(0, MIB(2), PROT_READ, ANON);
	assert_true(a > 0);
	assert_int_equal(mm_mprotect(p->mm, a, MIB(2), RW), -ENOMEM);
	assert_int_equal(mm_mprotect(p->mm, a, KIB(768), RW), 0);
	assert_int_equal(mm_mprotect(p->mm, a, KIB(768), RW), 0);
	assert_int_equal(map(0, KIB(260), RW, ANON), -ENOMEM);
	/* What a mapping takes the place of does not count beside it. */
	assert_int_equal(map(a, KIB(768), RW, ANON | MAP_FIXED), a);
	b = mm_mremap(p->mm, a, KIB(768), KIB(800), MREMAP_MAYMOVE, 0);
	assert_true(b > 0 && b != a);
	assert_int_equal(mm_munmap(p->mm, b, KIB(800)), 0);
	assert_true(map(0, MIB(1), RW, ANON) > 0);
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
	long at = mm_map_object(first, 0, o, RW, RW, MAP_SHARED);

	assert_true(at > 0);
	assert_int_equal(mm_map_object(other, 0, o, PROT_READ, PROT_READ, MAP_SHARED), at);
	write_word(at + 8192, 42);
	p->mm = other;
	assert_int_equal(read_word(at + 8192), 42);
	assert_int_equal(put_user_u32((void *)at, 1), -EFAULT);
	assert_int_equal(mm_handle_fault(other, at, MM_WRITE), -EACCES);
	p->mm = first;
	/* A second mapping in one process lies on the first; both must go. */
	assert_int_equal(mm_map_object(first, 0, o, RW, RW, MAP_SHARED), at);
	assert_int_equal(mm_munmap(first, at, KIB(40)), 0);
	assert_int_equal(read_word(at + 8192), 42);
	assert_int_equal(mm_munmap(first, at, KIB(40)), 0);
	assert_int_equal(get_user_u32(&(u32){0}, (void *)at), -EFAULT);
	assert_int_equal(mm_map_object(first, at + KIB(64), o, RW, RW, MAP_SHARED | MAP_FIXED),
			 -ENOMEM);
	/* Other memory cannot lie there while somebody has it. */
	assert_int_equal(map(at, PAGE_SIZE, RW, ANON | MAP_FIXED), -ENOMEM);
	mm_put(other);
	mem_object_put(o);
	assert_int_equal(map(at, PAGE_SIZE, RW, ANON | MAP_FIXED), at);
}

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

/* Wherever the mapping lies among the steps in which files are filled. */
static void beyond_the_end_of_a_file_is_an_error(void **state)
{
	for (int pages = 1; pages < 10; pages++) {
		struct mem_object *o = mem_object_new_backed(pages * PAGE_SIZE, &disk_ops, NULL);
		struct fake_file_options options = {.object = o};
		struct file *f = fake_file_new("", 0, &options);
		long at;

		assert_true(map(0, PAGE_SIZE, RW, ANON) > 0); /* moves what comes next */
		at = mm_mmap(p->mm, 0, KIB(40), RW, MAP_SHARED, f, 0);
		assert_true(at > 0);
		for (int page = 9; page >= 0; page--) {
			u64 address = at + page * PAGE_SIZE;

			assert_int_equal(mm_handle_fault(p->mm, address, MM_READ),
					 page < pages ? 0 : -EIO);
			assert_int_equal(mm_handle_fault(p->mm, address, MM_WRITE),
					 page < pages ? 0 : -EIO);
		}
		assert_int_equal(mm_munmap(p->mm, at, KIB(40)), 0);
		file_put(f);
		mem_object_put(o);
	}
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
	at = mm_map_object(p->mm, 0, o, RW, RW, MAP_SHARED);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_ZONE(recycling_needs_no_host_call),
		WITH_ZONE(bad_arguments),
		WITH_ZONE(user_space_is_limited_and_named),
		WITH_ZONE(faults_that_others_undo_are_no_fault_of_the_host),
		WITH_ZONE(advice_after_a_refused_mprotect),
		WITH_ZONE(fork_after_a_refused_mprotect),
		WITH_ZONE(heap_grows_and_shrinks),
		WITH_ZONE(heaps_share_the_addresses),
		WITH_ZONE(address_space_is_limited),
		WITH_ZONE(data_is_limited),
		WITH_ZONE(file_is_filled_on_touch),
		WITH_ZONE(file_access_is_checked),
		WITH_ZONE(text_is_patched_before_it_shows),
		WITH_ZONE(shared_memory_has_one_address),
		WITH_ZONE(shared_file_is_written_back),
		WITH_ZONE(beyond_the_end_of_a_file_is_an_error),
		WITH_ZONE(object_grows),
		WITH_ZONE(failures_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
