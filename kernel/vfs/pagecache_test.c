/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page cache and reading ahead, over a file whose blocks say what they are: many readers,
 * a writer, blocks that cannot be read, and the end of a vnode while pages of it are on their way.
 * The threads that read ahead are real ones.
 */
#include "tests/unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "abi/errno.h"
#include "kernel/core/kernel_thread.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "kernel/vfs/pagecache.h"
#include "kernel/vfs/readahead.h"
#include "tests/fakes/fakes.h"

#define PAGES	 2048u
#define FILES	 3
#define NO_BLOCK UINT64_MAX
#ifdef __SANITIZE_THREAD__
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif

static struct vnode files[FILES];
static u32 versions[FILES][PAGES];			 /* atomic; what the "volume" holds */
static u64 bad_page;					 /* atomic; of every file: cannot be read */
static u32 fills_by_readers, pages_ahead, under_way;	 /* atomic */
static bool refuse;					 /* no thread is to be had */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* held: whoever reads ahead stops */
static __thread bool reads_ahead;

/* ---- threads of the kernel, by the host's ---------------------------------------------------- */

static void *run_kernel_thread(void *arg)
{
	struct thread *t = arg;

	reads_ahead = true;
	fake_attach_thread(t);
	t->kernel_main(t->kernel_arg);
	return NULL;
}

struct thread *kernel_thread_new(const char *name, void (*main)(void *arg))
{
	static struct thread threads[8]; /* the fake thread_put() frees nothing */
	static u32 count;
	struct thread *t = &threads[count++];

	assert_true(count <= ARRAY_SIZE(threads));
	t->refs = 1;
	t->kernel_main = main;
	return t;
}

int thread_start(struct thread *t)
{
	pthread_t id;

	if (refuse || pthread_create(&id, NULL, run_kernel_thread, t))
		return -EAGAIN;
	pthread_detach(id);
	return 0;
}

static u64 skew;

u64 clock_monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000ull + (u64)now.tv_nsec + skew;
}

/* ---- the file -------------------------------------------------------------------------------- */

static u64 content_of(const struct vnode *v, u64 index)
{
	u32 version = __atomic_load_n(&versions[v - files][index], __ATOMIC_ACQUIRE);

	return (u64)(v - files) << 56 | (u64)version << 24 | index;
}

static int fill(struct vnode *v, u64 index, u32 count, u8 *const *to)
{
	u64 bad = __atomic_load_n(&bad_page, __ATOMIC_RELAXED);

	__atomic_fetch_add(reads_ahead ? &pages_ahead : &fills_by_readers, reads_ahead ? count : 1,
			   __ATOMIC_RELAXED);
	if (reads_ahead) {
		__atomic_fetch_add(&under_way, 1, __ATOMIC_RELAXED);
		pthread_mutex_lock(&gate);
		pthread_mutex_unlock(&gate);
		__atomic_fetch_sub(&under_way, 1, __ATOMIC_RELAXED);
	}
	if (bad >= index && bad < index + count)
		return -EIO;
	for (u32 i = 0; i < count; i++) {
		u64 *words = (u64 *)to[i], content = content_of(v, index + i);

		for (u32 k = 0; k < PAGE_SIZE / 8; k++)
			words[k] = content;
	}
	return 0;
}

static long read_pages(struct vnode *v, u64 index, u32 count, u64 *to)
{
	struct uio uio = {.kernel = to, .left = count * PAGE_SIZE};

	return page_cache_read(v, &uio, index * PAGE_SIZE, PAGES * PAGE_SIZE, fill);
}

/* Pages of their own place, none of whose words is older than `least`: a write may be under way. */
static u32 count_wrong(const struct vnode *v, u64 index, u32 count, const u64 *words, u32 least)
{
	u32 wrong = 0;

	for (u64 i = 0; i < count * PAGE_SIZE / 8; i++)
		wrong += words[i] >> 56 != (u64)(v - files) ||
			 (words[i] & 0xffffff) != index + i * 8 / PAGE_SIZE ||
			 (u32)(words[i] >> 24) < least;
	return wrong;
}

static void begin(size_t cache_pages)
{
	static bool was_here;

	if (!was_here) /* the workers go on from test to test */
		page_cache_init(cache_pages * PAGE_SIZE);
	was_here = true;
	memset(files, 0, sizeof(files));
	memset(versions, 0, sizeof(versions));
	fills_by_readers = pages_ahead = 0;
	bad_page = NO_BLOCK;
}

static void end(void)
{
	for (u32 i = 0; i < FILES; i++)
		page_cache_free(files[i].cache);
	assert_int_equal(page_cache_used(), 0);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static u64 buf[64 * PAGE_SIZE / 8];

static void without_a_thread_readers_do_it_themselves(void **state)
{
	begin(4096);
	refuse = true;
	for (u64 i = 0; i < PAGES; i += 16) {
		assert_int_equal(read_pages(&files[0], i, 16, buf), 16 * PAGE_SIZE);
		assert_int_equal(count_wrong(&files[0], i, 16, buf, 0), 0);
	}
	refuse = false;
	assert_int_equal(pages_ahead, 0);
	end();
}

static void what_is_read_in_order_is_read_ahead(void **state)
{
	begin(4096);
	skew += 2000000000; /* after a refusal nobody tries for a while */
	for (u32 round = 0; round < 2; round++) {
		for (u64 i = 0; i < PAGES; i += 16) {
			assert_int_equal(read_pages(&files[0], i, 16, buf), 16 * PAGE_SIZE);
			assert_int_equal(count_wrong(&files[0], i, 16, buf, 0), 0);
			while (i == 32 && !__atomic_load_n(&pages_ahead, __ATOMIC_RELAXED))
				usleep(100); /* asked for by now */
		}
	}
	assert_in_range(pages_ahead, 1, PAGES); /* none of them twice */
	print_message("%u pages ahead, %u fills by the reader\n", pages_ahead, fills_by_readers);
	end();
}

/* Scattered reads ask for nothing else. */
static void scattered_reads_are_left_alone(void **state)
{
	begin(4096);
	for (u64 i = 0; i < PAGES; i += 2)
		assert_int_equal(read_pages(&files[1], i * 769 % PAGES, 1, buf), PAGE_SIZE);
	assert_int_equal(pages_ahead, 0);
	end();
}

/* Only who wants the page hears of it, and gets all others. */
static void a_bad_page_is_met_by_its_reader(void **state)
{
	begin(4096);
	bad_page = 701;
	for (u64 i = 0; i < PAGES; i++) {
		long n = read_pages(&files[2], i, 1, buf);

		assert_int_equal(n, i == bad_page ? -EIO : PAGE_SIZE);
		assert_int_equal(i == bad_page ? 0 : count_wrong(&files[2], i, 1, buf, 0), 0);
	}
	bad_page = NO_BLOCK;
	assert_int_equal(read_pages(&files[2], 701, 1, buf), PAGE_SIZE);
	assert_int_equal(count_wrong(&files[2], 701, 1, buf, 0), 0);
	end();
}

static void *free_file(void *arg)
{
	page_cache_free(files[0].cache);
	files[0].cache = NULL;
	return NULL;
}

/* The end of a vnode waits for what is under way, and nothing of it is begun afterwards. */
static void nothing_is_read_for_who_is_gone(void **state)
{
	pthread_t id;
	u32 before;

	begin(4096);
	pthread_mutex_lock(&gate);
	for (u64 i = 0; i < 32; i += 16) /* what is asked for lies behind that */
		assert_int_equal(read_pages(&files[0], i, 16, buf), 16 * PAGE_SIZE);
	while (!__atomic_load_n(&under_way, __ATOMIC_RELAXED))
		usleep(100);
	assert_int_equal(pthread_create(&id, NULL, free_file, NULL), 0);
	usleep(20000);
	assert_non_null(__atomic_load_n(&files[0].cache, __ATOMIC_RELAXED));
	pthread_mutex_unlock(&gate);
	pthread_join(id, NULL);
	assert_int_equal(__atomic_load_n(&under_way, __ATOMIC_RELAXED), 0);
	before = __atomic_load_n(&pages_ahead, __ATOMIC_RELAXED);
	usleep(20000);
	assert_int_equal(__atomic_load_n(&pages_ahead, __ATOMIC_RELAXED), before);
	end();
}

enum { READERS = 4, ROUNDS = 60 };

static bool stop; /* atomic */

static void *read_in_order(void *arg)
{
	struct vnode *v = &files[(u64)arg % 2];
	u64 *words = malloc(16 * PAGE_SIZE);
	u64 wrong = 0;

	for (u32 round = 0; round < ROUNDS; round++) {
		for (u64 i = 0; i < PAGES; i += 16) {
			u32 least = ~0u;

			for (u32 k = 0; k < 16; k++)
				least = MIN(least, __atomic_load_n(&versions[v - files][i + k],
								   __ATOMIC_ACQUIRE));
			/* Those that were being written meanwhile are left out of it. */
			least -= least ? 1 : 0;
			wrong += read_pages(v, i, 16, words) != 16 * PAGE_SIZE;
			wrong += count_wrong(v, i, 16, words, least);
		}
	}
	free(words);
	return (void *)wrong;
}

/* As vnode.c: the file system first, then the cache. */
static void *write_on(void *arg)
{
	static u64 page[PAGE_SIZE / 8];
	u64 seed = 1;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct vnode *v;
		u64 index;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		v = &files[seed >> 63];
		index = (seed >> 33) % PAGES;
		__atomic_fetch_add(&versions[v - files][index], 1, __ATOMIC_RELEASE);
		for (u32 k = 0; k < PAGE_SIZE / 8; k++)
			page[k] = content_of(v, index);
		if (seed >> 60 & 1 && !UNDER_TSAN) /* readers may see half of a write */
			page_cache_write(v, index * PAGE_SIZE, page, PAGE_SIZE);
		else
			page_cache_discard(v, index * PAGE_SIZE, (index + 1) * PAGE_SIZE);
	}
	return NULL;
}

static void readers_and_a_writer_agree(void **state)
{
	pthread_t readers[READERS], writer;

	begin(4096);
	stop = false;
	assert_int_equal(pthread_create(&writer, NULL, write_on, NULL), 0);
	for (u64 i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_in_order, (void *)i), 0);
	for (u32 i = 0; i < READERS; i++) {
		void *wrong;

		pthread_join(readers[i], &wrong);
		assert_int_equal((u64)wrong, 0);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(writer, NULL);
	/* What is there in the end is the newest of each page. */
	for (u32 file = 0; file < 2; file++) {
		for (u64 i = 0; i < PAGES; i++) {
			assert_int_equal(read_pages(&files[file], i, 1, buf), PAGE_SIZE);
			assert_int_equal(buf[0], content_of(&files[file], i));
		}
	}
	end();
}

UNIT_TESTS(without_a_thread_readers_do_it_themselves, what_is_read_in_order_is_read_ahead,
	   scattered_reads_are_left_alone, a_bad_page_is_met_by_its_reader,
	   nothing_is_read_for_who_is_gone, readers_and_a_writer_agree)
