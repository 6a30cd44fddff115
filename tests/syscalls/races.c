/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that copy to and from memory which other threads unmap, protect, move and drop at that
 * moment. A copy may fail, or hit what the same process has put there to be written; what the
 * process has made read-only must stay as it is, wherever that came to lie.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#define SLOTS	  64
#define AREA_SIZE 65536
#define COPIERS	  5
#define MAPPERS	  3
#define SECONDS	  3

static char *slots[SLOTS];
static int must_stop, overwritten, file;

static char *area(void)
{
	char *p = mmap(NULL, AREA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void copy_once(char *p, unsigned *seed)
{
	struct iovec v[] = {{p, 16384}, {p + 16384, 16384}, {p + 100, 5000}, {p + 60000, 5536}};

	switch (rand_r(seed) % 6) {
	case 0: (void)!pread(file, p, AREA_SIZE, 0); break;
	case 1: syscall(SYS_getrandom, p, AREA_SIZE, 0); break;
	case 2: (void)!preadv(file, v, 4, 0); break;
	case 3: syscall(SYS_clock_gettime, CLOCK_MONOTONIC, p + 4088); break;
	case 4: (void)!pwrite(file, p, AREA_SIZE, rand_r(seed) % AREA_SIZE); break;
	default: syscall(SYS_futex, p, 1 | 128, 1, NULL, NULL, 0); break;
	}
}

static void *copier(void *seed_value)
{
	unsigned seed = (unsigned)(size_t)seed_value;

	while (!__atomic_load_n(&must_stop, __ATOMIC_RELAXED)) {
		char *p = __atomic_load_n(&slots[rand_r(&seed) % SLOTS], __ATOMIC_RELAXED);

		if (p)
			copy_once(p, &seed);
	}
	return NULL;
}

/* Memory that nobody may write, most likely where the last area was. */
static void watch_read_only(void)
{
	static __thread char before[AREA_SIZE];
	char *p = area();

	if (!p)
		return;
	memset(p, 0x5a, AREA_SIZE);
	mprotect(p, AREA_SIZE, PROT_READ);
	memcpy(before, p, AREA_SIZE);
	for (int i = 0; i < 3; i++)
		sched_yield();
	if (memcmp(before, p, AREA_SIZE) != 0)
		__atomic_add_fetch(&overwritten, 1, __ATOMIC_RELAXED);
	munmap(p, AREA_SIZE);
}

/* Gives the area back to its slot, or NULL when it is gone. */
static char *disturb(char *p, unsigned *seed)
{
	char *moved;

	switch (rand_r(seed) % 4) {
	case 0:
		munmap(p, AREA_SIZE);
		watch_read_only();
		return NULL;
	case 1:
		mprotect(p, AREA_SIZE, PROT_NONE);
		mprotect(p, AREA_SIZE, PROT_READ | PROT_WRITE);
		return p;
	case 2: madvise(p, AREA_SIZE, MADV_DONTNEED); return p;
	default:
		moved = mremap(p, AREA_SIZE, 2 * AREA_SIZE, MREMAP_MAYMOVE);
		if (moved == MAP_FAILED)
			return p;
		munmap(moved + AREA_SIZE, AREA_SIZE);
		return moved;
	}
}

static void *mapper(void *seed_value)
{
	unsigned seed = (unsigned)(size_t)seed_value;

	while (!__atomic_load_n(&must_stop, __ATOMIC_RELAXED)) {
		char **slot = &slots[rand_r(&seed) % SLOTS];
		char *p = __atomic_exchange_n(slot, NULL, __ATOMIC_SEQ_CST);

		p = p ? disturb(p, &seed) : area();
		p = __atomic_exchange_n(slot, p, __ATOMIC_SEQ_CST);
		if (p)
			munmap(p, AREA_SIZE); /* another mapper was here */
	}
	return NULL;
}

static void copies_and_mappings(void)
{
	pthread_t threads[COPIERS + MAPPERS];

	enter_fresh_folder("/tmp");
	file = open("file", O_RDWR | O_CREAT, 0600);
	REQUIRE(file >= 0 && ftruncate(file, 4 * AREA_SIZE) == 0);
	for (size_t i = 0; i < COPIERS + MAPPERS; i++)
		REQUIRE(!pthread_create(&threads[i], NULL, i < COPIERS ? copier : mapper,
					(void *)(i + 1)));
	sleep(SECONDS);
	__atomic_store_n(&must_stop, 1, __ATOMIC_RELAXED);
	for (size_t i = 0; i < COPIERS + MAPPERS; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(overwritten, 0);
}

CHECK_MAIN(copies_and_mappings)
