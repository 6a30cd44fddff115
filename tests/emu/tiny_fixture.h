/* SPDX-License-Identifier: Apache-2.0 */
/* An enclave of one page of code (tiny.S) on the emulated machine, for the emulator's own tests. */
#pragma once

#include "tests/unit.h"

#include "host/lib/sigstruct.h"
#include "host/pal/inner/inner.h"
#include "host/pal/outer/sgx_driver.h"
#include "tests/emu/emu.h"
#include "tests/emu/tiny.h"
#include "tests/emu/tiny_host.h"

#define PAGE_TCS     SGX_SECINFO_TCS
#define RW	     (SGX_SECINFO_R | SGX_SECINFO_W)
#define REG_RW	     (SGX_SECINFO_REG | RW)
#define REG_RX	     (SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_X)
#define EENTER	     2
#define ERESUME	     3
#define PENDING	     0x8
#define MODIFIED     0x10
#define PR	     0x20
#define TYPE_TRIM    0x400
#define ZF	     (1ul << 63)
#define LEAF_EREPORT 0
#define LEAF_EGETKEY 1
#define LEAF_EACCEPT 5
#define LEAF_EMODPE  6
#define LEAF_COPY    7

extern const u8 tiny_text[], tiny_text_end[], tiny_bare_enclu[];
extern struct inner_thread tiny_thread;
u64 tiny_call(u64 rdi, u64 rsi, u64 rdx, u32 function, struct sgx_enclave_run *run, int *ret);
u64 tiny_call_bare(u64 rdi, u64 rsi, u64 rdx, u32 function, u64 tcs, int *ret);
void tiny_signal_entry(void);

struct tiny {
	s64 fd;
	u64 base;
	struct sgx_secs secs;
	struct sgx_sigstruct sig;
	struct sgx_measure measure;
	struct sgx_enclave_run run;
	int ret; /* of the entry function */
};

extern u8 tiny_buffer[4 * PAGE_SIZE]; /* page aligned */

/* cmocka's. A test's state is a struct tiny in which nothing is built yet. */
int tiny_group_setup(void **state);
int tiny_group_teardown(void **state);
int tiny_setup(void **state);
int tiny_teardown(void **state);

/* The driver's requests, as a loader makes them. tiny_build() does it all and installs handlers. */
s64 tiny_add(struct tiny *t, u64 offset, u64 secinfo, const void *bytes, bool measured);
s64 tiny_create(struct tiny *t, u64 size);
void tiny_sign(struct tiny *t);
void tiny_sign_again(struct tiny *t); /* what a test wrote into t->sig */
s64 tiny_init(struct tiny *t);
s64 tiny_map(struct tiny *t, u64 offset, u64 size, u32 prot);
void tiny_build(struct tiny *t);

/*
 * Entering. The SECINFO lies in the enclave's data; tiny_handle() asks for an exception and goes on
 * behind it.
 */
u64 tiny_ask(struct tiny *t, u64 what, u64 rsi, u64 rdx);
u64 tiny_block(struct tiny *t, u64 field);
u64 tiny_leaf(struct tiny *t, u64 rax, u64 rbx, u64 rcx, u64 rdx);
u64 tiny_secinfo(struct tiny *t, u64 flags);
u64 tiny_handle(struct tiny *t, u64 what, u64 rsi, u64 skip, u32 vector);

#define TINY_CASE(name) cmocka_unit_test_setup_teardown(test_##name, tiny_setup, tiny_teardown)
#define TINY_TESTS(...)                                                                            \
	int main(void)                                                                             \
	{                                                                                          \
		const struct CMUnitTest tests[] = {__VA_ARGS__};                                   \
		return cmocka_run_group_tests(tests, tiny_group_setup, tiny_group_teardown);       \
	}
