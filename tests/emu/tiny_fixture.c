/* SPDX-License-Identifier: Apache-2.0 */
/* Building, signing and entering the small enclave. */
#define _GNU_SOURCE
#include "tests/emu/tiny_fixture.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BASE_WANTED 0x200000000000ul /* below the program, above a sanitizer's shadow */

static EVP_PKEY *key;
static u8 altstack[65536] __attribute__((aligned(4096)));
u8 tiny_buffer[4 * PAGE_SIZE] __attribute__((aligned(4096)));

int tiny_group_setup(void **state)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
	BIGNUM *three = BN_new();

	BN_set_word(three, 3);
	EVP_PKEY_keygen_init(ctx);
	EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 3072);
	EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, three);
	EVP_PKEY_keygen(ctx, &key);
	BN_free(three);
	EVP_PKEY_CTX_free(ctx);
	return key ? 0 : -1;
}

int tiny_group_teardown(void **state)
{
	EVP_PKEY_free(key);
	return 0;
}

s64 tiny_add(struct tiny *t, u64 offset, u64 secinfo, const void *bytes, bool measured)
{
	struct sgx_secinfo info = {.flags = secinfo};
	struct sgx_ioc_add_pages a = {
		.source = (u64)bytes,
		.offset = offset,
		.length = PAGE_SIZE,
		.secinfo = (u64)&info,
		.flags = measured ? SGX_ADD_MEASURE : 0,
	};
	s64 err = sgx_driver.ioctl((s32)t->fd, SGX_IOC_ADD_PAGES, &a);

	if (err == 0) {
		sgx_measure_add(&t->measure, offset, secinfo);
		if (measured)
			sgx_measure_extend_page(&t->measure, offset, bytes);
	}
	return err;
}

static void tiny_reserve(struct tiny *t, u64 size)
{
	s64 at = sgx_driver.mmap((void *)BASE_WANTED, size, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	assert_int_equal(at, BASE_WANTED);
	t->base = BASE_WANTED;
}

s64 tiny_create(struct tiny *t, u64 size)
{
	struct sgx_ioc_create c = {.secs = (u64)&t->secs};

	t->fd = sgx_driver.open("/dev/sgx_enclave", O_RDWR);
	assert_true(t->fd >= 0);
	tiny_reserve(t, size);
	t->secs = (struct sgx_secs){
		.size = size,
		.base = t->base,
		.ssa_frame_pages = 1,
		.miscselect = SGX_MISC_EXINFO,
		.attributes = {SGX_ATTR_MODE64 | SGX_ATTR_DEBUG,
			       sgx_driver.xgetbv() & (SGX_XFRM_LEGACY | SGX_XFRM_AVX)},
	};
	sgx_measure_create(&t->measure, size, 1);
	return sgx_driver.ioctl((s32)t->fd, SGX_IOC_CREATE, &c);
}

static void tiny_add_slot(struct tiny *t, u32 slot)
{
	u64 at = TINY_TCS + slot * TINY_SLOT_SIZE;
	struct sgx_tcs *tcs = (struct sgx_tcs *)tiny_buffer;

	memset(tiny_buffer, 0, PAGE_SIZE);
	*tcs = (struct sgx_tcs){
		.ossa = at + TINY_SSA,
		.nssa = 2,
		.oentry = TINY_TEXT,
		.ofsbase = at + TINY_BLOCK,
		.ogsbase = at + TINY_BLOCK,
		.fslimit = 0xfff,
		.gslimit = 0xfff,
	};
	assert_int_equal(tiny_add(t, at, PAGE_TCS, tiny_buffer, true), 0);
	memset(tiny_buffer, 0, PAGE_SIZE);
	for (u64 i = TINY_SSA; i < TINY_STACK_END; i += PAGE_SIZE)
		assert_int_equal(tiny_add(t, at + i, REG_RW, tiny_buffer, false), 0);
}

void tiny_sign_again(struct tiny *t)
{
	struct enclave_error error = {""};

	assert_int_equal(sigstruct_sign(&t->sig, key, &error), 0);
}

void tiny_sign(struct tiny *t)
{
	struct sigstruct_identity identity = {
		.debug = true, .product_id = 7, .security_version = 3, .date = 0x20260101};
	struct sgx_measure copy = t->measure;
	u8 mrenclave[32];

	sgx_measure_final(&copy, mrenclave);
	sigstruct_fill(&t->sig, &identity, mrenclave);
	tiny_sign_again(t);
}

s64 tiny_init(struct tiny *t)
{
	struct sgx_ioc_init i = {.sigstruct = (u64)&t->sig};

	return sgx_driver.ioctl((s32)t->fd, SGX_IOC_INIT, &i);
}

s64 tiny_map(struct tiny *t, u64 offset, u64 size, u32 prot)
{
	return sgx_driver.mmap((void *)(t->base + offset), size, prot, MAP_SHARED | MAP_FIXED,
			       (s32)t->fd, offset);
}

static void tiny_map_all(struct tiny *t)
{
	assert_int_equal(tiny_map(t, TINY_TEXT, PAGE_SIZE, PROT_READ | PROT_EXEC),
			 t->base + TINY_TEXT);
	assert_true(tiny_map(t, TINY_DATA, PAGE_SIZE, PROT_READ | PROT_WRITE) > 0);
	for (u32 i = 0; i < TINY_SLOTS; i++)
		assert_true(tiny_map(t, TINY_TCS + i * TINY_SLOT_SIZE, TINY_STACK_END,
				     PROT_READ | PROT_WRITE) > 0);
	assert_true(tiny_map(t, TINY_DYNAMIC, 16 * PAGE_SIZE, PROT_READ | PROT_WRITE) > 0);
	t->run = (struct sgx_enclave_run){.tcs = t->base + TINY_TCS};
}

/* Signals as on an enclave thread. */
static void tiny_take_signals(void)
{
	static const int signals[] = {SIGILL,  SIGTRAP, SIGBUS,	 SIGFPE,
				      SIGSEGV, SIGSYS,	SIGUSR1, 42};
	stack_t stack = {.ss_sp = altstack, .ss_size = sizeof(altstack)};
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	sigset_t open;

	action.sa_sigaction = (void (*)(int, siginfo_t *, void *))tiny_signal_entry;
	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < 6; i++)
		sigdelset(&action.sa_mask, signals[i]);
	sigaltstack(&stack, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		assert_int_equal(sigaction(signals[i], &action, NULL), 0);
	sigemptyset(&open);
	sigprocmask(SIG_SETMASK, &open, NULL);
	emu_thread_start(&tiny_thread);
	memset(&tiny_seen, 0, sizeof(tiny_seen));
}

void tiny_build(struct tiny *t)
{
	assert_int_equal(tiny_create(t, TINY_SIZE), 0);
	assert_int_equal(tiny_add(t, TINY_TEXT, REG_RX, tiny_text, true), 0);
	memset(tiny_buffer, 0, PAGE_SIZE);
	assert_int_equal(tiny_add(t, TINY_DATA, REG_RW, tiny_buffer, true), 0);
	for (u32 i = 0; i < TINY_SLOTS; i++)
		tiny_add_slot(t, i);
	tiny_sign(t);
	assert_int_equal(tiny_init(t), 0);
	tiny_map_all(t);
	tiny_take_signals();
}

int tiny_setup(void **state)
{
	struct tiny *t = calloc(1, sizeof(*t));

	memset(&emu_config, 0, sizeof(emu_config));
	memset(&emu_stats, 0, sizeof(emu_stats));
	emu_dirty_text[0] = 0;
	emu_config.seed = 1;
	emu_config.long_way_permille = 300;
	*state = t;
	t->fd = -1;
	return 0;
}

int tiny_teardown(void **state)
{
	struct tiny *t = *state;

	if (t->fd >= 0)
		sgx_driver.close((s32)t->fd);
	if (t->base)
		sgx_driver.munmap((void *)t->base, t->secs.size);
	free(t);
	return 0;
}

u64 tiny_ask(struct tiny *t, u64 what, u64 rsi, u64 rdx)
{
	return tiny_call(what, rsi, rdx, EENTER, &t->run, &t->ret);
}

u64 tiny_block(struct tiny *t, u64 field)
{
	u64 value;

	memcpy(&value, emu_bytes_at(t->base + TINY_TCS + TINY_BLOCK + field), sizeof(value));
	return value;
}

u64 tiny_leaf(struct tiny *t, u64 rax, u64 rbx, u64 rcx, u64 rdx)
{
	u64 registers[4] = {rax, rbx, rcx, rdx};

	return tiny_ask(t, TINY_LEAF, (u64)registers, 0);
}

/* A SECINFO in the enclave's data. */
u64 tiny_secinfo(struct tiny *t, u64 flags)
{
	u64 at = t->base + TINY_DATA;

	memset(emu_bytes_at(at), 0, 64);
	memcpy(emu_bytes_at(at), &flags, sizeof(flags));
	return at;
}

/* The exception is reported, shown to the enclave, and the enclave goes on behind it. */
u64 tiny_handle(struct tiny *t, u64 what, u64 rsi, u64 skip, u32 vector)
{
	u64 result;

	tiny_ask(t, TINY_SKIP, skip, 0);
	tiny_ask(t, what, rsi, 0);
	assert_int_equal(t->ret, 0);
	assert_int_equal(t->run.function, 3);
	assert_int_equal(t->run.exception_vector, vector);
	tiny_ask(t, TINY_ADD, 0, 0); /* CSSA is 1: the handler */
	assert_int_equal(t->run.function, 4);
	assert_int_equal(tiny_block(t, BLOCK_EXITINFO) & 0x800007ff,
			 SGX_EXIT_VALID | SGX_EXIT_HARDWARE | vector);
	result = tiny_call(0, 0, 0, ERESUME, &t->run, &t->ret);
	assert_int_equal(t->run.function, 4);
	return result;
}
