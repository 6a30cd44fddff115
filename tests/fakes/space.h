/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of address spaces share: a process over a zone of real memory, and its mappings. */
#pragma once

#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>

#include "abi/mman.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/uaccess.h"
#include "tests/fakes/fakes.h"
#include "tests/fakes/memory.h"

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW   (PROT_READ | PROT_WRITE)

static struct process *p;

static inline int start(void **state)
{
	p = fake_memory_start(MIB(64), false);
	return 0;
}

static inline int stop(void **state)
{
	fake_fail_allocation(0, false);
	return fake_memory_stop() ? 0 : -1;
}

static inline long map(u64 address, u64 size, u32 prot, u32 flags)
{
	return mm_mmap(p->mm, address, size, prot, flags, NULL, 0);
}

static inline void write_word(u64 at, u64 value)
{
	assert_int_equal(put_user_u64((void *)at, value), 0);
}

static inline u64 read_word(u64 at)
{
	u64 value = 0;

	assert_int_equal(get_user_u64(&value, (void *)at), 0);
	return value;
}

static inline u8 *pattern(size_t size)
{
	u8 *bytes = malloc(size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (u8)(i * 7 + (i >> 12));
	return bytes;
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

static const struct mem_object_ops disk_ops
	__attribute__((unused)) = {.fill = disk_fill, .write_back = disk_write_back};

#define WITH_ZONE(f) cmocka_unit_test_setup_teardown(f, start, stop)
