/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may enter an instance for the first time: one boot, slots at their measured places, nobody
 * before the boot and nobody after the cookie was taken away.
 */
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/arch/arch.h"
#include "kernel/arch/arch_priv.h"

/* An image without relocations, at the start of the enclave. */
__asm__(".section .rodata\n"
	".globl rela_start, rela_end\n"
	"rela_start:\nrela_end:\n"
	".bss\n"
	".balign 4096\n"
	".globl image_start\n"
	"image_start: .zero 0x34000\n"
	".text\n");

#define SLOT_SIZE  0x10000ul
#define SLOT_COUNT 3
#define IMAGE_SIZE (4 * PAGE_SIZE + SLOT_COUNT * SLOT_SIZE)
static_assert(IMAGE_SIZE == 0x34000, "as above");

bool arch_rdrand(u64 *ret)
{
	*ret = 0x1122334455667788;
	return true;
}

static u64 tcs_of(u32 slot)
{
	return (u64)image_start + 4 * PAGE_SIZE + slot * SLOT_SIZE + SLOT_TCS_OFFSET;
}

static int measure(void **state)
{
	struct measured_params *m = (struct measured_params *)(uintptr_t)arch_measured();

	if (mprotect(m, PAGE_SIZE, PROT_READ | PROT_WRITE))
		return -1;
	m->enclave_size = IMAGE_SIZE;
	m->slots_offset = 4 * PAGE_SIZE;
	m->slot_size = SLOT_SIZE;
	m->slot_count = SLOT_COUNT;
	m->ssa_frame_pages = 1;
	return 0;
}

static int leave_gs(void **state)
{
	__asm__ volatile("wrgsbase %0" : : "r"(0ul));
	return 0;
}

static void test_boot_comes_first_and_once(void **state)
{
	assert_int_equal(arch_slot_init(tcs_of(0), ECALL_THREAD), ABORT_BAD_ENTRY);
	assert_int_equal(arch_slot_init(tcs_of(0), ECALL_NEW_PROCESS), ABORT_BAD_ENTRY);
	assert_int_equal(slot_cookie, 0);
	memset((u8 *)(uintptr_t)image_start + 4 * PAGE_SIZE, 0xcc, SLOT_COUNT * SLOT_SIZE);
	assert_int_equal(arch_slot_init(tcs_of(0), ECALL_BOOT), 0);
	assert_int_not_equal(slot_cookie, 0);
	assert_int_equal(thread_block()->slot, 0);
	assert_int_equal(thread_block()->cookie, slot_cookie);
	assert_int_equal(thread_block()->state, SLOT_IDLE);
	assert_int_equal(arch_slot_init(tcs_of(2), ECALL_THREAD), 0);
	assert_int_equal(thread_block()->slot, 2);
	assert_true(host_range_is_outside((u64)image_start + IMAGE_SIZE, 64));
	assert_false(host_range_is_outside((u64)image_start - 8, 16));
	assert_false(host_range_is_outside((u64)image_start + 100, 8));
	assert_false(host_range_is_outside(UINT64_MAX - 7, 16));
	assert_false(host_range_is_outside(0, 8));
}

static void test_slots_are_where_they_were_measured(void **state)
{
	assert_int_equal(arch_slot_init(tcs_of(0) + 8, ECALL_THREAD), ABORT_BAD_ENTRY);
	assert_int_equal(arch_slot_init(tcs_of(SLOT_COUNT), ECALL_THREAD), ABORT_BAD_ENTRY);
	assert_int_equal(arch_slot_init(tcs_of(0) - SLOT_SIZE, ECALL_THREAD), ABORT_BAD_ENTRY);
	assert_int_equal(arch_slot_init(0, ECALL_THREAD), ABORT_BAD_ENTRY);
}

/* As arch_die() leaves it. */
static void test_nobody_enters_a_dead_instance(void **state)
{
	slot_cookie = 0;
	assert_int_equal(arch_slot_init(tcs_of(0), ECALL_BOOT), ABORT_BAD_ENTRY);
	assert_int_equal(arch_slot_init(tcs_of(1), ECALL_THREAD), ABORT_BAD_ENTRY);
	assert_int_equal(arch_slot_init(tcs_of(0), ECALL_NEW_PROCESS), ABORT_BAD_ENTRY);
	assert_int_equal(slot_cookie, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boot_comes_first_and_once),
		cmocka_unit_test(test_slots_are_where_they_were_measured),
		cmocka_unit_test(test_nobody_enters_a_dead_instance),
	};

	return cmocka_run_group_tests(tests, measure, leave_gs);
}
