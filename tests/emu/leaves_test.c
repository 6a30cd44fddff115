/* SPDX-License-Identifier: Apache-2.0 */
/* The instructions inside: operands, keys, reports. */
#define _GNU_SOURCE
#include "tests/emu/tiny_fixture.h"

#include <string.h>

static void test_leaves_check_their_operands(void **state)
{
	struct tiny *t = *state;
	u64 page, outside;

	tiny_build(t);
	page = t->base + TINY_DYNAMIC;
	outside = (u64)tiny_buffer;
#define GP(rax, rbx, rcx, rdx)                                                                     \
	do {                                                                                       \
		tiny_leaf(t, rax, rbx, rcx, rdx);                                                  \
		assert_int_equal(t->run.function, 3);                                              \
		assert_int_equal(t->run.exception_vector, SGX_VECTOR_GP);                          \
		emu_bytes_at(t->base + TINY_TCS + TINY_SSA)[PAGE_SIZE - 184 + 136] += 3;           \
		tiny_call(0, 0, 0, ERESUME, &t->run, &t->ret);                                     \
	} while (0)
	tiny_secinfo(t, REG_RW | PENDING);
	GP(LEAF_EACCEPT, t->base + TINY_DATA + 8, page, 0);
	GP(LEAF_EACCEPT, outside, page, 0);
	GP(LEAF_EACCEPT, t->base + TINY_DATA, page + 8, 0);
	GP(LEAF_EACCEPT, t->base + TINY_DATA, outside, 0);
	tiny_secinfo(t, SGX_SECINFO_REG | SGX_SECINFO_W);
	GP(LEAF_EACCEPT, t->base + TINY_DATA, page, 0);
	tiny_secinfo(t, REG_RW | 0x40);
	GP(LEAF_EACCEPT, t->base + TINY_DATA, page, 0);
	tiny_secinfo(t, REG_RW | MODIFIED);
	GP(LEAF_EACCEPT, t->base + TINY_DATA, page, 0);
	tiny_secinfo(t, TYPE_TRIM);
	GP(LEAF_EACCEPT, t->base + TINY_DATA, page, 0);
	GP(LEAF_EREPORT, t->base + TINY_DATA + 64, page, page);
	GP(LEAF_EREPORT, outside & ~511ul, page, page);
	GP(LEAF_EGETKEY, t->base + TINY_DATA, page + 8, 0);
	GP(EENTER, t->base + TINY_TCS, 0, 0); /* inside */
	GP(ERESUME, t->base + TINY_TCS, 0, 0);
	GP(42, 0, 0, 0);
#undef GP
	assert_int_equal(tiny_ask(t, TINY_ADD, 1, 0), 2);
}

static void test_keys_and_reports(void **state)
{
	struct tiny *t = *state;
	struct sgx_keyrequest *request;
	struct sgx_report *report;
	u64 data, out;
	u8 first[16];

	tiny_build(t);
	data = t->base + TINY_DATA;
	out = data + 0x800;
	request = (struct sgx_keyrequest *)emu_bytes_at(data);
	*request = (struct sgx_keyrequest){
		.keyname = SGX_KEYNAME_SEAL, .keypolicy = SGX_KEYPOLICY_MRSIGNER, .isvsvn = 3};
	assert_int_equal(tiny_leaf(t, LEAF_EGETKEY, data, out, 0), 0);
	memcpy(first, emu_bytes_at(out), 16);
	request->isvsvn = 2;
	assert_int_equal(tiny_leaf(t, LEAF_EGETKEY, data, out, 0), 0);
	assert_memory_not_equal(first, emu_bytes_at(out), 16);
	request->isvsvn = 4;
	assert_int_equal(tiny_leaf(t, LEAF_EGETKEY, data, out, 0), ZF | SGX_INVALID_ISVSVN);
	request->isvsvn = 3;
	memset(request->cpusvn, 0xff, 16);
	assert_int_equal(tiny_leaf(t, LEAF_EGETKEY, data, out, 0), ZF | SGX_INVALID_CPUSVN);
	request->keyname = 99;
	memset(request->cpusvn, 0, 16);
	assert_int_equal(tiny_leaf(t, LEAF_EGETKEY, data, out, 0), ZF | SGX_INVALID_KEYNAME);
	memset(request, 0, sizeof(*request)); /* now TARGETINFO */
	memset(emu_bytes_at(out), 0x42, 64);
	tiny_leaf(t, LEAF_EREPORT, data, out, data + 0xa00);
	assert_int_equal(t->run.function, 4);
	report = (struct sgx_report *)emu_bytes_at(data + 0xa00);
	assert_memory_equal(report->body.mrenclave, emu_secs_at(t->base)->mrenclave, 32);
	assert_int_equal(report->body.reportdata[63], 0x42);
	assert_int_equal(report->body.isvsvn, 3);
}

TINY_TESTS(TINY_CASE(leaves_check_their_operands), TINY_CASE(keys_and_reports))
