/* SPDX-License-Identifier: Apache-2.0 */
/* Pages that come and go while the enclave runs. */
#define _GNU_SOURCE
#include "tests/emu/tiny_fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static void test_growing(void **state)
{
	struct tiny *t = *state;
	u64 page;

	tiny_build(t);
	page = t->base + TINY_DYNAMIC;
	/* Touched before it is accepted: the driver adds it, and it still faults. */
	tiny_handle(t, TINY_LOAD, page + 5, 3, SGX_VECTOR_PF);
	assert_int_equal(tiny_block(t, BLOCK_ERRCD), 0x8005);
	assert_int_equal(emu_stats.eaug, 1);
	assert_int_equal(tiny_leaf(t, LEAF_EACCEPT, tiny_secinfo(t, REG_RW), page, 0), ZF | 19);
	assert_int_equal(tiny_leaf(t, LEAF_EACCEPT, tiny_secinfo(t, REG_RW | PENDING), page, 0), 0);
	assert_int_equal(tiny_leaf(t, LEAF_EACCEPT, tiny_secinfo(t, REG_RW | PENDING), page, 0),
			 ZF | 19);
	tiny_ask(t, TINY_STORE, page + 5, 0x77);
	assert_int_equal(tiny_ask(t, TINY_LOAD, page + 5, 0), 0x77);
	assert_int_equal(tiny_ask(t, TINY_LOAD, page + 6, 0), 0);
	/* EACCEPT alone brings a page as well. */
	assert_int_equal(
		tiny_leaf(t, LEAF_EACCEPT, tiny_secinfo(t, REG_RW | PENDING), page + PAGE_SIZE, 0),
		0);
	assert_int_equal(emu_stats.eaug, 2);
	/* A copy into a third. */
	assert_int_equal(
		tiny_leaf(t, LEAF_COPY, tiny_secinfo(t, REG_RW), page + 2 * PAGE_SIZE, page), 0);
	assert_int_equal(tiny_ask(t, TINY_LOAD, page + 2 * PAGE_SIZE + 5, 0), 0x77);
	assert_int_equal(
		tiny_leaf(t, LEAF_COPY, tiny_secinfo(t, REG_RW), page + 2 * PAGE_SIZE, page),
		ZF | 19);
}

static s64 modify(struct tiny *t, u64 offset, u64 type)
{
	struct sgx_ioc_modify_types m = {.offset = offset, .length = PAGE_SIZE, .page_type = type};

	return sgx_driver.ioctl((s32)t->fd, SGX_IOC_MODIFY_TYPES, &m);
}

static s64 remove_page(struct tiny *t, u64 offset)
{
	struct sgx_ioc_remove_pages r = {.offset = offset, .length = PAGE_SIZE};

	return sgx_driver.ioctl((s32)t->fd, SGX_IOC_REMOVE_PAGES, &r);
}

static s64 restrict_to(struct tiny *t, u64 offset, u64 permissions)
{
	struct sgx_ioc_restrict_permissions r = {
		.offset = offset, .length = PAGE_SIZE, .permissions = permissions};

	return sgx_driver.ioctl((s32)t->fd, SGX_IOC_RESTRICT_PERMISSIONS, &r);
}

static void test_trimming(void **state)
{
	struct tiny *t = *state;
	u64 page;

	tiny_build(t);
	page = t->base + TINY_DYNAMIC;
	assert_int_equal(modify(t, TINY_DYNAMIC, 4), -EFAULT); /* no such page */
	tiny_leaf(t, LEAF_EACCEPT, tiny_secinfo(t, REG_RW | PENDING), page, 0);
	tiny_ask(t, TINY_STORE, page, 9);
	assert_int_equal(remove_page(t, TINY_DYNAMIC), -EPERM);
	assert_int_equal(modify(t, TINY_DYNAMIC, 2), -EINVAL);
	assert_int_equal(modify(t, TINY_DYNAMIC, 4), 0);
	assert_int_equal(modify(t, TINY_DYNAMIC, 4), -EINVAL);
	assert_int_equal(remove_page(t, TINY_DYNAMIC), -EPERM); /* not accepted */
	tiny_handle(t, TINY_LOAD, page, 3, SGX_VECTOR_PF);
	assert_int_equal(tiny_leaf(t, LEAF_EACCEPT, tiny_secinfo(t, TYPE_TRIM | MODIFIED), page, 0),
			 0);
	assert_int_equal(remove_page(t, TINY_DYNAMIC), 0);
	assert_int_equal(remove_page(t, TINY_DYNAMIC), -EFAULT);
	/* It can come back, and is empty. */
	assert_int_equal(tiny_leaf(t, LEAF_EACCEPT, tiny_secinfo(t, REG_RW | PENDING), page, 0), 0);
	assert_int_equal(tiny_ask(t, TINY_LOAD, page, 0), 0);
}

static void test_extending_and_restricting(void **state)
{
	static const u8 code[] = {0xbe, 42, 0, 0, 0, 0xc3};
	struct tiny *t = *state;
	u64 page;
	void *at;

	tiny_build(t);
	page = t->base + TINY_DYNAMIC;
	at = (void *)page;
	tiny_leaf(t, LEAF_EACCEPT, tiny_secinfo(t, REG_RW | PENDING), page, 0);
	memcpy(emu_bytes_at(page), code, sizeof(code));
	tiny_leaf(t, LEAF_EMODPE, tiny_secinfo(t, REG_RX), page, 0);
	assert_int_equal(sgx_driver.mprotect(at, PAGE_SIZE, PROT_READ | PROT_EXEC), 0);
	assert_int_equal(tiny_ask(t, TINY_CALL, page, 0), 42);
	assert_int_equal(restrict_to(t, TINY_DYNAMIC, SGX_SECINFO_W), -EINVAL);
	assert_int_equal(restrict_to(t, TINY_DYNAMIC + 8 * PAGE_SIZE, SGX_SECINFO_R), -EFAULT);
	assert_int_equal(restrict_to(t, TINY_TCS, SGX_SECINFO_R), -EINVAL);
	assert_int_equal(restrict_to(t, TINY_DYNAMIC, SGX_SECINFO_R | SGX_SECINFO_X), 0);
	assert_int_equal(tiny_leaf(t, LEAF_EACCEPT, tiny_secinfo(t, REG_RX), page, 0), ZF | 19);
	assert_int_equal(tiny_leaf(t, LEAF_EACCEPT, tiny_secinfo(t, REG_RX | PR), page, 0), 0);
	assert_int_equal(sgx_driver.mprotect(at, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	tiny_handle(t, TINY_STORE, page, 2, SGX_VECTOR_PF); /* the EPCM's word is the last */
}

static void test_new_threads(void **state)
{
	struct tiny *t = *state;
	struct sgx_tcs *tcs;
	u64 page;

	tiny_build(t);
	page = t->base + TINY_DYNAMIC;
	tiny_leaf(t, LEAF_EACCEPT, tiny_secinfo(t, REG_RW | PENDING), page, 0);
	tcs = (struct sgx_tcs *)emu_bytes_at(page);
	memcpy(tcs, emu_bytes_at(t->base + TINY_TCS + TINY_SLOT_SIZE), PAGE_SIZE);
	assert_int_equal(modify(t, TINY_DYNAMIC, 1), 0);
	t->run.tcs = page;
	tiny_ask(t, TINY_ADD, 1, 0);
	assert_int_equal(t->run.function, 2); /* not accepted */
	t->run.tcs = t->base + TINY_TCS;
	assert_int_equal(
		tiny_leaf(t, LEAF_EACCEPT, tiny_secinfo(t, SGX_SECINFO_TCS | MODIFIED), page, 0),
		0);
	t->run.tcs = page;
	assert_int_equal(tiny_ask(t, TINY_ADD, 1, 0), 2);
	assert_int_equal(restrict_to(t, TINY_DYNAMIC, SGX_SECINFO_R), -EINVAL);
}

static void test_without_sgx2(void **state)
{
	struct tiny *t = *state;

	emu_config.no_sgx2 = true;
	tiny_build(t);
	assert_int_equal(modify(t, TINY_DYNAMIC, 4), -ENODEV);
	tiny_handle(t, TINY_LOAD, t->base + TINY_DYNAMIC, 3, SGX_VECTOR_PF);
	assert_int_equal(tiny_block(t, BLOCK_ERRCD), 4);
	assert_int_equal(emu_stats.eaug, 0);
}

TINY_TESTS(TINY_CASE(growing), TINY_CASE(trimming), TINY_CASE(extending_and_restricting),
	   TINY_CASE(new_threads), TINY_CASE(without_sgx2))
