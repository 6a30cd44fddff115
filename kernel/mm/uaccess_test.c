// SPDX-License-Identifier: Apache-2.0
/*
 * Copies between the kernel and programs: where they end, all sizes, siblings that change the
 * mappings meanwhile, a host that takes pages away.
 */
#include "tests/fakes/space.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/errno.h"
#include "kernel/mm/mm_priv.h"
#include "kernel/mm/pages.h"
#include "kernel/mm/zone.h"
#include "kernel/vfs/file.h"

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

/* --- a sibling unmaps while another copies (docs/security-rules.md 15) --- */

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

/* --- a host that takes pages away (docs/security-rules.md 20) --- */

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_ZONE(strings_end_at_the_mapping),
		WITH_ZONE(copies_of_every_size),
		WITH_ZONE(copies_never_reach_a_later_owner),
		WITH_ZONE(copies_get_on_beside_spoilers),
		WITH_ZONE(page_taken_by_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
