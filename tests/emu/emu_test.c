/* SPDX-License-Identifier: Apache-2.0 */
/* The emulated machine against the rules of the real one, with an enclave of one page of code. */
#define _GNU_SOURCE
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host/lib/sigstruct.h"
#include "host/pal/inner/inner.h"
#include "host/pal/outer/sgx_driver.h"
#include "tests/emu/emu.h"
#include "tests/emu/tiny.h"
#include "tests/emu/tiny_host.h"

#define BASE_WANTED  0x200000000000ul /* below the program, above a sanitizer's shadow */
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

static EVP_PKEY *key;
static u8 altstack[65536] __attribute__((aligned(4096)));
static u8 page_buffer[4 * PAGE_SIZE] __attribute__((aligned(4096)));

static int group_setup(void **state)
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

static int group_teardown(void **state)
{
	EVP_PKEY_free(key);
	return 0;
}

/* ---- building -------------------------------------------------------------------------------- */

static s64 add(struct tiny *t, u64 offset, u64 secinfo, const void *bytes, bool measured)
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

static void reserve(struct tiny *t, u64 size)
{
	s64 at = sgx_driver.mmap((void *)BASE_WANTED, size, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	assert_int_equal(at, BASE_WANTED);
	t->base = BASE_WANTED;
}

static s64 create(struct tiny *t, u64 size)
{
	struct sgx_ioc_create c = {.secs = (u64)&t->secs};

	t->fd = sgx_driver.open("/dev/sgx_enclave", O_RDWR);
	assert_true(t->fd >= 0);
	reserve(t, size);
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

static void add_slot(struct tiny *t, u32 slot)
{
	u64 at = TINY_TCS + slot * TINY_SLOT_SIZE;
	struct sgx_tcs *tcs = (struct sgx_tcs *)page_buffer;

	memset(page_buffer, 0, PAGE_SIZE);
	*tcs = (struct sgx_tcs){
		.ossa = at + TINY_SSA,
		.nssa = 2,
		.oentry = TINY_TEXT,
		.ofsbase = at + TINY_BLOCK,
		.ogsbase = at + TINY_BLOCK,
		.fslimit = 0xfff,
		.gslimit = 0xfff,
	};
	assert_int_equal(add(t, at, PAGE_TCS, page_buffer, true), 0);
	memset(page_buffer, 0, PAGE_SIZE);
	for (u64 i = TINY_SSA; i < TINY_STACK_END; i += PAGE_SIZE)
		assert_int_equal(add(t, at + i, REG_RW, page_buffer, false), 0);
}

static void sign(struct tiny *t)
{
	struct sigstruct_identity identity = {
		.debug = true, .product_id = 7, .security_version = 3, .date = 0x20260101};
	struct sgx_measure copy = t->measure;
	struct enclave_error error = {""};
	u8 mrenclave[32];

	sgx_measure_final(&copy, mrenclave);
	sigstruct_fill(&t->sig, &identity, mrenclave);
	assert_int_equal(sigstruct_sign(&t->sig, key, &error), 0);
}

static s64 init(struct tiny *t)
{
	struct sgx_ioc_init i = {.sigstruct = (u64)&t->sig};

	return sgx_driver.ioctl((s32)t->fd, SGX_IOC_INIT, &i);
}

static s64 map(struct tiny *t, u64 offset, u64 size, u32 prot)
{
	return sgx_driver.mmap((void *)(t->base + offset), size, prot, MAP_SHARED | MAP_FIXED,
			       (s32)t->fd, offset);
}

static void map_all(struct tiny *t)
{
	assert_int_equal(map(t, TINY_TEXT, PAGE_SIZE, PROT_READ | PROT_EXEC), t->base + TINY_TEXT);
	assert_true(map(t, TINY_DATA, PAGE_SIZE, PROT_READ | PROT_WRITE) > 0);
	for (u32 i = 0; i < TINY_SLOTS; i++)
		assert_true(map(t, TINY_TCS + i * TINY_SLOT_SIZE, TINY_STACK_END,
				PROT_READ | PROT_WRITE) > 0);
	assert_true(map(t, TINY_DYNAMIC, 16 * PAGE_SIZE, PROT_READ | PROT_WRITE) > 0);
	t->run = (struct sgx_enclave_run){.tcs = t->base + TINY_TCS};
}

/* Signals as on an enclave thread. */
static void take_signals(void)
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

static void build(struct tiny *t)
{
	assert_int_equal(create(t, TINY_SIZE), 0);
	assert_int_equal(add(t, TINY_TEXT, REG_RX, tiny_text, true), 0);
	memset(page_buffer, 0, PAGE_SIZE);
	assert_int_equal(add(t, TINY_DATA, REG_RW, page_buffer, true), 0);
	for (u32 i = 0; i < TINY_SLOTS; i++)
		add_slot(t, i);
	sign(t);
	assert_int_equal(init(t), 0);
	map_all(t);
	take_signals();
}

static int setup(void **state)
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

static int teardown(void **state)
{
	struct tiny *t = *state;

	if (t->fd >= 0)
		sgx_driver.close((s32)t->fd);
	if (t->base)
		sgx_driver.munmap((void *)t->base, t->secs.size);
	free(t);
	return 0;
}

static u64 call(struct tiny *t, u64 what, u64 rsi, u64 rdx)
{
	return tiny_call(what, rsi, rdx, EENTER, &t->run, &t->ret);
}

static u64 block(struct tiny *t, u64 field)
{
	u64 value;

	memcpy(&value, emu_bytes_at(t->base + TINY_TCS + TINY_BLOCK + field), sizeof(value));
	return value;
}

static u64 leaf(struct tiny *t, u64 rax, u64 rbx, u64 rcx, u64 rdx)
{
	u64 registers[4] = {rax, rbx, rcx, rdx};

	return call(t, TINY_LEAF, (u64)registers, 0);
}

/* A SECINFO in the enclave's data. */
static u64 secinfo(struct tiny *t, u64 flags)
{
	u64 at = t->base + TINY_DATA;

	memset(emu_bytes_at(at), 0, 64);
	memcpy(emu_bytes_at(at), &flags, sizeof(flags));
	return at;
}

/* ---- the driver ------------------------------------------------------------------------------ */

static s64 create_with(struct tiny *t)
{
	struct sgx_ioc_create c = {.secs = (u64)&t->secs};

	return sgx_driver.ioctl((s32)t->fd, SGX_IOC_CREATE, &c);
}

static void test_create_refuses(void **state)
{
	struct tiny *t = *state;
	struct sgx_ioc_create wild = {.secs = 0x10};
	struct sgx_secs good;

	t->fd = sgx_driver.open("/dev/sgx_enclave", O_RDWR);
	assert_int_equal(sgx_driver.ioctl((s32)t->fd, SGX_IOC_CREATE, &wild), -EFAULT);
	assert_int_equal(sgx_driver.ioctl((s32)t->fd, SGX_IOC_CREATE, (void *)0x8), -EFAULT);
	assert_int_equal(sgx_driver.ioctl((s32)t->fd, 0xa47f, &wild), -ENOTTY);
	sgx_driver.close((s32)t->fd);
	assert_int_equal(create(t, 0x4000), 0);
	good = t->secs;
	assert_int_equal(create_with(t), -EINVAL); /* the second time */
	sgx_driver.close((s32)t->fd);
	t->fd = sgx_driver.open("/dev/sgx_enclave", O_RDWR);
#define REFUSED(field, value, err)                                                                 \
	do {                                                                                       \
		t->secs = good;                                                                    \
		t->secs.field = (value);                                                           \
		assert_int_equal(create_with(t), err);                                             \
	} while (0)
	REFUSED(size, 0x3000, -EINVAL);
	REFUSED(size, 0x1000, -EIO);
	REFUSED(base, t->base + 0x1000, -EIO);
	REFUSED(ssa_frame_pages, 0, -EIO);
	REFUSED(attributes.xfrm, 4, -EIO);
	REFUSED(attributes.xfrm, 3 | 1ul << 62, -EIO);
	REFUSED(attributes.flags, 0, -EIO);
	REFUSED(attributes.flags, SGX_ATTR_MODE64 | 1ul << 40, -EIO);
	REFUSED(attributes.flags, SGX_ATTR_MODE64 | SGX_ATTR_INIT, -EIO);
	REFUSED(miscselect, 4, -EIO);
	REFUSED(configsvn, 1, -EIO); /* without KSS */
	REFUSED(rsv24[3], 1, -EIO);
	REFUSED(rsv352[3000], 1, -EIO);
#undef REFUSED
	t->secs = good;
	assert_int_equal(create_with(t), 0);
}

static s64 add_raw(struct tiny *t, u64 source, u64 offset, u64 length, u64 flags)
{
	struct sgx_secinfo info = {.flags = flags};
	struct sgx_ioc_add_pages a = {
		.source = source, .offset = offset, .length = length, .secinfo = (u64)&info};

	return sgx_driver.ioctl((s32)t->fd, SGX_IOC_ADD_PAGES, &a);
}

static void test_add_pages_refuses(void **state)
{
	struct tiny *t = *state;
	struct sgx_ioc_add_pages a = {.source = (u64)page_buffer, .length = PAGE_SIZE};
	u64 source = (u64)page_buffer;

	memset(page_buffer, 0, sizeof(page_buffer));
	t->fd = sgx_driver.open("/dev/sgx_enclave", O_RDWR);
	assert_int_equal(add_raw(t, source, 0, PAGE_SIZE, REG_RW), -EINVAL); /* before CREATE */
	sgx_driver.close((s32)t->fd);
	assert_int_equal(create(t, 0x4000), 0);
	assert_int_equal(add_raw(t, source + 8, 0, PAGE_SIZE, REG_RW), -EINVAL);
	assert_int_equal(add_raw(t, source, 8, PAGE_SIZE, REG_RW), -EINVAL);
	assert_int_equal(add_raw(t, source, 0, 0, REG_RW), -EINVAL);
	assert_int_equal(add_raw(t, source, 0, 100, REG_RW), -EINVAL);
	assert_int_equal(add_raw(t, source, 0x3000, 2 * PAGE_SIZE, REG_RW), -EINVAL);
	assert_int_equal(add_raw(t, source, -PAGE_SIZE, 2 * PAGE_SIZE, REG_RW), -EINVAL);
	assert_int_equal(add_raw(t, source, 0, PAGE_SIZE, SGX_SECINFO_REG | SGX_SECINFO_W),
			 -EINVAL);
	assert_int_equal(add_raw(t, source, 0, PAGE_SIZE, SGX_SECINFO_TCS | RW), -EINVAL);
	assert_int_equal(add_raw(t, source, 0, PAGE_SIZE, 0x300 | RW), -EINVAL);
	assert_int_equal(add_raw(t, source, 0, PAGE_SIZE, REG_RW | PENDING), -EINVAL);
	assert_int_equal(add_raw(t, source, 0, PAGE_SIZE, SGX_SECINFO_TCS), -EIO); /* limits */
	assert_int_equal(add_raw(t, BASE_WANTED, 0, PAGE_SIZE, REG_RW), -EFAULT);
	assert_int_equal(add_raw(t, 0x10000, 0, PAGE_SIZE, REG_RW), -EFAULT);
	a.secinfo = 0x10;
	assert_int_equal(sgx_driver.ioctl((s32)t->fd, SGX_IOC_ADD_PAGES, &a), -EFAULT);
	assert_int_equal(add_raw(t, source, 0x1000, PAGE_SIZE, REG_RW), 0);
	assert_int_equal(add_raw(t, source, 0, 3 * PAGE_SIZE, REG_RW), -EBUSY);
}

static void test_add_pages_takes_no_memory_of_a_noexec_mount(void **state)
{
	struct tiny *t = *state;
	char device[256], path[256], type[64], options[512], name[300];
	FILE *mounts = fopen("/proc/mounts", "r");
	void *memory = MAP_FAILED;
	int fd;

	while (memory == MAP_FAILED &&
	       fscanf(mounts, "%255s %255s %63s %511s %*d %*d", device, path, type, options) == 4) {
		if (!strstr(options, "noexec") || strcmp(type, "tmpfs") != 0)
			continue;
		snprintf(name, sizeof(name), "%s/occlum-emu-test", path);
		fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd < 0)
			continue;
		unlink(name);
		if (ftruncate(fd, PAGE_SIZE) == 0)
			memory = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
		close(fd);
	}
	fclose(mounts);
	if (memory == MAP_FAILED)
		skip();
	assert_int_equal(create(t, 0x4000), 0);
	assert_int_equal(add_raw(t, (u64)memory, 0, PAGE_SIZE, REG_RW), -EACCES);
	munmap(memory, PAGE_SIZE);
}

/* The published numbers of a small enclave. */
static void test_measurement_of_a_known_enclave(void **state)
{
	static const u8 known[32] = {0x6c, 0x31, 0x45, 0xa0, 0xae, 0x1c, 0xe3, 0x28,
				     0x27, 0x3f, 0xf4, 0xfa, 0x76, 0xbf, 0x31, 0xaf,
				     0x35, 0xe5, 0x39, 0x38, 0x25, 0x94, 0x68, 0x22,
				     0xc7, 0x08, 0x89, 0x2c, 0x81, 0xa0, 0xa2, 0xe8};
	struct tiny *t = *state;
	struct sgx_tcs *tcs = (struct sgx_tcs *)(page_buffer + PAGE_SIZE);

	assert_int_equal(create(t, 0x4000), 0);
	memset(page_buffer, 0, sizeof(page_buffer));
	for (u32 i = 0; i < PAGE_SIZE; i++)
		page_buffer[i] = (u8)i;
	*tcs = (struct sgx_tcs){.ossa = 0x2000,
				.nssa = 2,
				.ofsbase = 0x3000,
				.ogsbase = 0x3000,
				.fslimit = 0xfff,
				.gslimit = 0xfff};
	assert_int_equal(add(t, 0, REG_RX, page_buffer, true), 0);
	assert_int_equal(add(t, 0x1000, PAGE_TCS, tcs, true), 0);
	assert_int_equal(add(t, 0x2000, REG_RW, page_buffer, false), 0);
	assert_int_equal(add(t, 0x3000, REG_RW, page_buffer + 2 * PAGE_SIZE, true), 0);
	sign(t);
	assert_int_equal(init(t), 0);
	assert_memory_equal(emu_secs_at(t->base)->mrenclave, known, 32);
	assert_int_equal(emu_secs_at(t->base)->isvprodid, 7);
	assert_int_equal(emu_secs_at(t->base)->isvsvn, 3);
	assert_int_equal(init(t), -EINVAL); /* once is enough */
	assert_int_equal(add_raw(t, (u64)page_buffer, 0, PAGE_SIZE, REG_RW), -EINVAL);
}

static void test_init_refuses(void **state)
{
	struct tiny *t = *state;
	struct sgx_ioc_init wild = {.sigstruct = 8};
	struct sgx_sigstruct good;

	t->fd = sgx_driver.open("/dev/sgx_enclave", O_RDWR);
	assert_int_equal(init(t), -EINVAL); /* before CREATE */
	sgx_driver.close((s32)t->fd);
	assert_int_equal(create(t, 0x4000), 0);
	sign(t);
	good = t->sig;
	assert_int_equal(sgx_driver.ioctl((s32)t->fd, SGX_IOC_INIT, &wild), -EFAULT);
	t->sig.vendor = 5;
	assert_int_equal(init(t), -EINVAL);
	for (u32 at = 0; at < sizeof(good); at += 61) {
		t->sig = good;
		((u8 *)&t->sig)[at] ^= 0x10;
		assert_true(init(t) == -EPERM || init(t) == -EINVAL);
	}
	t->sig = good;
	t->sig.enclavehash[0] ^= 1;
	{
		struct enclave_error error = {""};

		assert_int_equal(sigstruct_sign(&t->sig, key, &error), 0);
		assert_int_equal(init(t), -EPERM); /* another enclave's */
		t->sig = good;
		t->sig.attributes.flags &= ~(u64)SGX_ATTR_DEBUG;
		assert_int_equal(sigstruct_sign(&t->sig, key, &error), 0);
		assert_int_equal(init(t), -EPERM); /* release signature, debug launch */
		t->sig = good;
		t->sig.attributes.xfrm |= 1ul << 40;
		assert_int_equal(sigstruct_sign(&t->sig, key, &error), 0);
		assert_int_equal(init(t), -EINVAL); /* wants what the CPU lacks */
	}
	t->sig = good;
	assert_int_equal(init(t), 0);
}

static void test_provisioning_needs_its_device(void **state)
{
	struct tiny *t = *state;
	struct sgx_ioc_create c = {.secs = (u64)&t->secs};
	struct sgx_ioc_provision p = {.fd = 0};
	s64 provision;

	assert_int_equal(create(t, 0x4000), 0);
	sgx_driver.close((s32)t->fd);
	t->fd = sgx_driver.open("/dev/sgx_enclave", O_RDWR);
	t->secs.attributes.flags |= SGX_ATTR_PROVISIONKEY;
	assert_int_equal(sgx_driver.ioctl((s32)t->fd, SGX_IOC_CREATE, &c), 0);
	sgx_measure_create(&t->measure, 0x4000, 1);
	sign(t);
	t->sig.attributes.flags |= SGX_ATTR_PROVISIONKEY;
	{
		struct enclave_error error = {""};

		assert_int_equal(sigstruct_sign(&t->sig, key, &error), 0);
	}
	assert_int_equal(init(t), -EACCES);
	assert_int_equal(sgx_driver.ioctl((s32)t->fd, SGX_IOC_PROVISION, &p), -EINVAL);
	p.fd = (u64)t->fd;
	assert_int_equal(sgx_driver.ioctl((s32)t->fd, SGX_IOC_PROVISION, &p), -EINVAL);
	provision = sgx_driver.open("/dev/sgx_provision", O_RDONLY);
	p.fd = (u64)provision;
	assert_int_equal(sgx_driver.ioctl((s32)t->fd, SGX_IOC_PROVISION, &p), 0);
	assert_int_equal(init(t), 0);
	sgx_driver.close((s32)provision);
}

static void test_devices_by_name(void **state)
{
	emu_config.old_names = true;
	assert_int_equal(sgx_driver.open("/dev/sgx_enclave", O_RDWR), -ENOENT);
	assert_int_equal(sgx_driver.open("/dev/sgx_provision", O_RDWR), -ENOENT);
	emu_config.device_is_locked = true;
	assert_int_equal(sgx_driver.open("/dev/sgx/enclave", O_RDWR), -EACCES);
	emu_config.no_device = true;
	assert_int_equal(sgx_driver.open("/dev/sgx/enclave", O_RDWR), -ENOENT);
}

static void test_mapping_rules(void **state)
{
	struct tiny *t = *state;
	void *text;

	build(t);
	text = (void *)(t->base + TINY_TEXT);
	assert_int_equal(map(t, TINY_TEXT, PAGE_SIZE, PROT_READ | PROT_WRITE), -EACCES);
	assert_int_equal(map(t, TINY_DATA, PAGE_SIZE, PROT_READ | PROT_EXEC), -EACCES);
	assert_int_equal(map(t, TINY_SIZE, PAGE_SIZE, PROT_READ), -EACCES);
	assert_int_equal(
		sgx_driver.mmap(text, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_FIXED, (s32)t->fd, 0),
		-EINVAL);
	assert_int_equal(sgx_driver.mprotect(text, PAGE_SIZE, PROT_READ | PROT_WRITE), -EACCES);
	assert_int_equal(sgx_driver.mprotect(text, PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(sgx_driver.mprotect(text, PAGE_SIZE, PROT_READ | PROT_EXEC), 0);
	/* A page that does not exist yet may become anything. */
	assert_true(map(t, TINY_DYNAMIC, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC) > 0);
	assert_int_equal(sgx_driver.munmap((void *)(t->base + TINY_DYNAMIC), PAGE_SIZE), 0);
	assert_int_not_equal(
		sgx_driver.mprotect((void *)(t->base + TINY_DYNAMIC), PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(call(t, TINY_ADD, 41, 0), 42);
}

static void test_short_counts_and_busy(void **state)
{
	struct tiny *t = *state;
	struct sgx_secinfo info = {.flags = REG_RW};
	struct sgx_ioc_add_pages a = {
		.source = (u64)page_buffer, .length = sizeof(page_buffer), .secinfo = (u64)&info};
	u32 interrupted = 0, busy = 0, partial = 0;

	assert_int_equal(create(t, 0x40000), 0);
	emu_config.short_counts = 700;
	emu_config.busy = 300;
	while (a.offset < 0x40000) {
		s64 err = sgx_driver.ioctl((s32)t->fd, SGX_IOC_ADD_PAGES, &a);

		interrupted += err == -EINTR;
		busy += err == -EBUSY;
		if (err)
			continue;
		partial += a.count < a.length;
		a.offset += a.count;
		a.length = MIN(0x40000 - a.offset, sizeof(page_buffer));
		a.count = 0;
	}
	assert_true(interrupted && busy && partial);
	assert_true(emu_stats.injected >= interrupted + busy + partial);
}

/* ---- entering -------------------------------------------------------------------------------- */

static void test_enter_and_exit(void **state)
{
	struct tiny *t = *state;

	build(t);
	for (u64 i = 0; i < 200; i++) {
		assert_int_equal(call(t, TINY_ADD, i, 0), i + 1);
		assert_int_equal(t->ret, 0);
		assert_int_equal(t->run.function, 4);
	}
	assert_int_equal(emu_stats.eenter, 200);
	assert_int_equal(emu_stats.eexit, 200);
	assert_int_equal(emu_stats.dirty_exits, 0);
}

static void test_entry_is_poisoned(void **state)
{
	struct tiny *t = *state;
	bool moved = false, masked = false;

	build(t);
	for (int i = 0; i < 100; i++) {
		call(t, TINY_ADD, 0, 0);
		assert_int_equal(block(t, BLOCK_FLAGS) & 0x40400, 0x40400);
		assert_int_equal(block(t, BLOCK_CONTROL) & 0x3f, 0);
		masked |= (block(t, BLOCK_MXCSR) & 0x1f80) != 0x1f80;
		moved |= block(t, BLOCK_ENTRY_SP) < 0x1000;
	}
	assert_true(moved && masked);
}

static void test_dirty_exits_are_seen(void **state)
{
	struct tiny *t = *state;

	build(t);
	call(t, TINY_DIRTY_R12, 0, 0);
	assert_int_equal(emu_stats.dirty_exits, 1);
	if (!strstr(emu_dirty_text, "r12: 0x5"))
		fail_msg("%s", emu_dirty_text);
	call(t, TINY_DIRTY_XMM, 0, 0);
	assert_int_equal(emu_stats.dirty_exits, 2);
	call(t, TINY_ADD, EMU_MARKER << 16, 0);
	assert_int_equal(emu_stats.dirty_exits, 3);
}

static void test_entry_function_checks_run(void **state)
{
	struct tiny *t = *state;

	build(t);
	t->run.rsv[100] = 1;
	call(t, TINY_ADD, 0, 0);
	assert_int_equal(t->ret, -EINVAL);
	t->run.rsv[100] = 0;
	tiny_call(TINY_ADD, 0, 0, 1, &t->run, &t->ret);
	assert_int_equal(t->ret, -EINVAL);
	tiny_call(TINY_ADD, 0, 0, 4, &t->run, &t->ret);
	assert_int_equal(t->ret, -EINVAL);
	t->run.tcs += 8;
	call(t, TINY_ADD, 0, 0);
	assert_int_equal(t->ret, 0);
	assert_int_equal(t->run.function, 2);
	assert_int_equal(t->run.exception_vector, SGX_VECTOR_GP);
	t->run.tcs = t->base + TINY_DATA; /* no TCS */
	call(t, TINY_ADD, 0, 0);
	assert_int_equal(t->run.function, 2);
	assert_int_equal(t->run.exception_vector, SGX_VECTOR_PF);
	assert_int_equal(t->run.exception_addr, t->base + TINY_DATA);
	t->run.tcs = t->base + TINY_TCS;
	tiny_call(TINY_ADD, 0, 0, ERESUME, &t->run, &t->ret); /* nothing to resume */
	assert_int_equal(t->run.function, 3);
	assert_int_equal(t->run.exception_vector, SGX_VECTOR_GP);
	assert_int_equal(call(t, TINY_ADD, 1, 0), 2);
}

/* ---- exceptions ------------------------------------------------------------------------------ */

/* The exception is reported, shown to the enclave, and the enclave goes on behind it. */
static u64 handle(struct tiny *t, u64 what, u64 rsi, u64 skip, u32 vector)
{
	u64 result;

	call(t, TINY_SKIP, skip, 0);
	call(t, what, rsi, 0);
	assert_int_equal(t->ret, 0);
	assert_int_equal(t->run.function, 3);
	assert_int_equal(t->run.exception_vector, vector);
	call(t, TINY_ADD, 0, 0); /* CSSA is 1: the handler */
	assert_int_equal(t->run.function, 4);
	assert_int_equal(block(t, BLOCK_EXITINFO) & 0x800007ff,
			 SGX_EXIT_VALID | SGX_EXIT_HARDWARE | vector);
	result = tiny_call(0, 0, 0, ERESUME, &t->run, &t->ret);
	assert_int_equal(t->run.function, 4);
	return result;
}

static void test_exceptions(void **state)
{
	struct tiny *t = *state;

	build(t);
	handle(t, TINY_UD2, 0, 2, SGX_VECTOR_UD);
	handle(t, TINY_DIVIDE, 0, 2, SGX_VECTOR_DE);
	handle(t, TINY_OUT, 0, 2, SGX_VECTOR_UD);
	handle(t, TINY_LOAD, t->base + 0x100, 3, SGX_VECTOR_PF);
	assert_int_equal(block(t, BLOCK_MADDR), t->base + 0x100); /* the address in full */
	assert_int_equal(block(t, BLOCK_ERRCD), 4);
	assert_int_equal(t->run.exception_addr, t->base); /* not for the host */
	handle(t, TINY_LOAD, t->base + TINY_TCS, 3, SGX_VECTOR_PF);
	assert_int_equal(block(t, BLOCK_ERRCD), 0x8005); /* refused by the EPCM */
	handle(t, TINY_STORE, t->base + TINY_TEXT, 2, SGX_VECTOR_PF);
	assert_int_equal(block(t, BLOCK_ERRCD), 7);   /* refused by the page table */
	handle(t, TINY_LOAD, 0x10, 3, SGX_VECTOR_PF); /* of the host */
	assert_int_equal(block(t, BLOCK_MADDR), 0x10);
	handle(t, TINY_LOAD, 1ul << 63, 3, SGX_VECTOR_GP);
	assert_int_equal(emu_stats.dirty_exits, 0);
}

static void test_breakpoints_are_signals(void **state)
{
	struct tiny *t = *state;

	build(t);
	call(t, TINY_INT3, 0, 0);
	assert_int_equal(tiny_seen.sig, SIGTRAP);
	assert_int_equal(tiny_seen.rip, (u64)emu_enter_enclu);
	assert_int_equal(tiny_seen.rax, 3);
	tiny_call(0, 0, 0, ERESUME, &t->run, &t->ret);
	assert_int_equal(t->run.function, 4);
}

static void test_without_entry_function_signals_tell(void **state)
{
	struct tiny *t = *state;
	u64 result;

	emu_config.no_entry_function = true;
	build(t);
	assert_int_equal(sgx_driver.entry_function().address, 0);
	result = tiny_call_bare(TINY_ADD, 7, 0, EENTER, t->run.tcs, &t->ret);
	assert_int_equal(result, 8);
	tiny_call_bare(TINY_UD2, 0, 0, EENTER, t->run.tcs, &t->ret);
	assert_int_equal(tiny_seen.count, 1);
	assert_int_equal(tiny_seen.vector, SGX_VECTOR_UD);
	assert_int_equal(tiny_seen.rip, (u64)tiny_bare_enclu);
	assert_int_equal(tiny_seen.rax, 3);
	tiny_call_bare(0, 0, 0, EENTER, t->run.tcs + 8, &t->ret);
	assert_int_equal(tiny_seen.count, 2);
	assert_int_equal(tiny_seen.vector, SGX_VECTOR_GP);
	assert_int_equal(tiny_seen.rax, 2);
}

static void test_system_calls_inside_are_undefined(void **state)
{
	struct tiny *t = *state;
	u64 after;

	build(t);
	after = t->base + TINY_SIZE;
	if (prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, 1, after, (1ul << 47) - 4096 - after, 0))
		skip();
	handle(t, TINY_SYSCALL, 0, 2, SGX_VECTOR_UD);
	handle(t, TINY_INT80, 0, 2, SGX_VECTOR_UD);
	assert_int_equal(prctl(59, 0, 0, 0, 0), 0);
}

static void test_time_stamps_can_be_refused(void **state)
{
	struct tiny *t = *state;

	emu_config.trap_rdtsc = true;
	build(t);
	handle(t, TINY_RDTSC, 0, 2, SGX_VECTOR_UD);
	prctl(PR_SET_TSC, PR_TSC_ENABLE);
	assert_true(call(t, TINY_RDTSC, 0, 0) != 0);
}

static void test_nested_exceptions_end_at_nssa(void **state)
{
	struct tiny *t = *state;

	build(t);
	call(t, TINY_UD2, 0, 0);
	assert_int_equal(t->run.function, 3);
	/* The handler faults as well: its text is gone. */
	assert_int_equal(sgx_driver.mprotect((void *)(t->base + TINY_TEXT), PAGE_SIZE, PROT_READ),
			 0);
	call(t, TINY_ADD, 0, 0);
	assert_int_equal(t->run.function, 3);
	assert_int_equal(t->run.exception_vector, SGX_VECTOR_PF);
	assert_int_equal(emu_stats.aex_nested, 1);
	call(t, TINY_ADD, 0, 0); /* CSSA is 2, and so is NSSA */
	assert_int_equal(t->run.function, 2);
	assert_int_equal(t->run.exception_vector, SGX_VECTOR_GP);
}

static void test_the_ssa_can_be_edited_but_not_broken(void **state)
{
	struct tiny *t = *state;
	u8 *frame;

	build(t);
	call(t, TINY_UD2, 0, 0);
	frame = emu_bytes_at(t->base + TINY_TCS + TINY_SSA);
	frame[512 + 8] = 1; /* XCOMP_BV */
	tiny_call(0, 0, 0, ERESUME, &t->run, &t->ret);
	assert_int_equal(t->run.function, 3);
	assert_int_equal(t->run.exception_vector, SGX_VECTOR_GP);
	frame[512 + 8] = 0;
	frame[PAGE_SIZE - 184 + 136] += 2; /* RIP */
	tiny_call(0, 0, 0, ERESUME, &t->run, &t->ret);
	assert_int_equal(t->run.function, 4);
}

/* ---- dynamic memory -------------------------------------------------------------------------- */

static void test_growing(void **state)
{
	struct tiny *t = *state;
	u64 page;

	build(t);
	page = t->base + TINY_DYNAMIC;
	/* Touched before it is accepted: the driver adds it, and it still faults. */
	handle(t, TINY_LOAD, page + 5, 3, SGX_VECTOR_PF);
	assert_int_equal(block(t, BLOCK_ERRCD), 0x8005);
	assert_int_equal(emu_stats.eaug, 1);
	assert_int_equal(leaf(t, LEAF_EACCEPT, secinfo(t, REG_RW), page, 0), ZF | 19);
	assert_int_equal(leaf(t, LEAF_EACCEPT, secinfo(t, REG_RW | PENDING), page, 0), 0);
	assert_int_equal(leaf(t, LEAF_EACCEPT, secinfo(t, REG_RW | PENDING), page, 0), ZF | 19);
	call(t, TINY_STORE, page + 5, 0x77);
	assert_int_equal(call(t, TINY_LOAD, page + 5, 0), 0x77);
	assert_int_equal(call(t, TINY_LOAD, page + 6, 0), 0);
	/* EACCEPT alone brings a page as well. */
	assert_int_equal(leaf(t, LEAF_EACCEPT, secinfo(t, REG_RW | PENDING), page + PAGE_SIZE, 0),
			 0);
	assert_int_equal(emu_stats.eaug, 2);
	/* A copy into a third. */
	assert_int_equal(leaf(t, LEAF_COPY, secinfo(t, REG_RW), page + 2 * PAGE_SIZE, page), 0);
	assert_int_equal(call(t, TINY_LOAD, page + 2 * PAGE_SIZE + 5, 0), 0x77);
	assert_int_equal(leaf(t, LEAF_COPY, secinfo(t, REG_RW), page + 2 * PAGE_SIZE, page),
			 ZF | 19);
}

static void test_leaves_check_their_operands(void **state)
{
	struct tiny *t = *state;
	u64 page, outside;

	build(t);
	page = t->base + TINY_DYNAMIC;
	outside = (u64)page_buffer;
#define GP(rax, rbx, rcx, rdx)                                                                     \
	do {                                                                                       \
		leaf(t, rax, rbx, rcx, rdx);                                                       \
		assert_int_equal(t->run.function, 3);                                              \
		assert_int_equal(t->run.exception_vector, SGX_VECTOR_GP);                          \
		emu_bytes_at(t->base + TINY_TCS + TINY_SSA)[PAGE_SIZE - 184 + 136] += 3;           \
		tiny_call(0, 0, 0, ERESUME, &t->run, &t->ret);                                     \
	} while (0)
	secinfo(t, REG_RW | PENDING);
	GP(LEAF_EACCEPT, t->base + TINY_DATA + 8, page, 0);
	GP(LEAF_EACCEPT, outside, page, 0);
	GP(LEAF_EACCEPT, t->base + TINY_DATA, page + 8, 0);
	GP(LEAF_EACCEPT, t->base + TINY_DATA, outside, 0);
	secinfo(t, SGX_SECINFO_REG | SGX_SECINFO_W);
	GP(LEAF_EACCEPT, t->base + TINY_DATA, page, 0);
	secinfo(t, REG_RW | 0x40);
	GP(LEAF_EACCEPT, t->base + TINY_DATA, page, 0);
	secinfo(t, REG_RW | MODIFIED);
	GP(LEAF_EACCEPT, t->base + TINY_DATA, page, 0);
	secinfo(t, TYPE_TRIM);
	GP(LEAF_EACCEPT, t->base + TINY_DATA, page, 0);
	GP(LEAF_EREPORT, t->base + TINY_DATA + 64, page, page);
	GP(LEAF_EREPORT, outside & ~511ul, page, page);
	GP(LEAF_EGETKEY, t->base + TINY_DATA, page + 8, 0);
	GP(EENTER, t->base + TINY_TCS, 0, 0); /* inside */
	GP(ERESUME, t->base + TINY_TCS, 0, 0);
	GP(42, 0, 0, 0);
#undef GP
	assert_int_equal(call(t, TINY_ADD, 1, 0), 2);
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

	build(t);
	page = t->base + TINY_DYNAMIC;
	assert_int_equal(modify(t, TINY_DYNAMIC, 4), -EFAULT); /* no such page */
	leaf(t, LEAF_EACCEPT, secinfo(t, REG_RW | PENDING), page, 0);
	call(t, TINY_STORE, page, 9);
	assert_int_equal(remove_page(t, TINY_DYNAMIC), -EPERM);
	assert_int_equal(modify(t, TINY_DYNAMIC, 2), -EINVAL);
	assert_int_equal(modify(t, TINY_DYNAMIC, 4), 0);
	assert_int_equal(modify(t, TINY_DYNAMIC, 4), -EINVAL);
	assert_int_equal(remove_page(t, TINY_DYNAMIC), -EPERM); /* not accepted */
	handle(t, TINY_LOAD, page, 3, SGX_VECTOR_PF);
	assert_int_equal(leaf(t, LEAF_EACCEPT, secinfo(t, TYPE_TRIM | MODIFIED), page, 0), 0);
	assert_int_equal(remove_page(t, TINY_DYNAMIC), 0);
	assert_int_equal(remove_page(t, TINY_DYNAMIC), -EFAULT);
	/* It can come back, and is empty. */
	assert_int_equal(leaf(t, LEAF_EACCEPT, secinfo(t, REG_RW | PENDING), page, 0), 0);
	assert_int_equal(call(t, TINY_LOAD, page, 0), 0);
}

static void test_extending_and_restricting(void **state)
{
	static const u8 code[] = {0xbe, 42, 0, 0, 0, 0xc3};
	struct tiny *t = *state;
	u64 page;
	void *at;

	build(t);
	page = t->base + TINY_DYNAMIC;
	at = (void *)page;
	leaf(t, LEAF_EACCEPT, secinfo(t, REG_RW | PENDING), page, 0);
	memcpy(emu_bytes_at(page), code, sizeof(code));
	leaf(t, LEAF_EMODPE, secinfo(t, REG_RX), page, 0);
	assert_int_equal(sgx_driver.mprotect(at, PAGE_SIZE, PROT_READ | PROT_EXEC), 0);
	assert_int_equal(call(t, TINY_CALL, page, 0), 42);
	assert_int_equal(restrict_to(t, TINY_DYNAMIC, SGX_SECINFO_W), -EINVAL);
	assert_int_equal(restrict_to(t, TINY_DYNAMIC + 8 * PAGE_SIZE, SGX_SECINFO_R), -EFAULT);
	assert_int_equal(restrict_to(t, TINY_TCS, SGX_SECINFO_R), -EINVAL);
	assert_int_equal(restrict_to(t, TINY_DYNAMIC, SGX_SECINFO_R | SGX_SECINFO_X), 0);
	assert_int_equal(leaf(t, LEAF_EACCEPT, secinfo(t, REG_RX), page, 0), ZF | 19);
	assert_int_equal(leaf(t, LEAF_EACCEPT, secinfo(t, REG_RX | PR), page, 0), 0);
	assert_int_equal(sgx_driver.mprotect(at, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	handle(t, TINY_STORE, page, 2, SGX_VECTOR_PF); /* the EPCM's word is the last */
}

static void test_new_threads(void **state)
{
	struct tiny *t = *state;
	struct sgx_tcs *tcs;
	u64 page;

	build(t);
	page = t->base + TINY_DYNAMIC;
	leaf(t, LEAF_EACCEPT, secinfo(t, REG_RW | PENDING), page, 0);
	tcs = (struct sgx_tcs *)emu_bytes_at(page);
	memcpy(tcs, emu_bytes_at(t->base + TINY_TCS + TINY_SLOT_SIZE), PAGE_SIZE);
	assert_int_equal(modify(t, TINY_DYNAMIC, 1), 0);
	t->run.tcs = page;
	call(t, TINY_ADD, 1, 0);
	assert_int_equal(t->run.function, 2); /* not accepted */
	t->run.tcs = t->base + TINY_TCS;
	assert_int_equal(leaf(t, LEAF_EACCEPT, secinfo(t, SGX_SECINFO_TCS | MODIFIED), page, 0), 0);
	t->run.tcs = page;
	assert_int_equal(call(t, TINY_ADD, 1, 0), 2);
	assert_int_equal(restrict_to(t, TINY_DYNAMIC, SGX_SECINFO_R), -EINVAL);
}

static void test_without_sgx2(void **state)
{
	struct tiny *t = *state;

	emu_config.no_sgx2 = true;
	build(t);
	assert_int_equal(modify(t, TINY_DYNAMIC, 4), -ENODEV);
	handle(t, TINY_LOAD, t->base + TINY_DYNAMIC, 3, SGX_VECTOR_PF);
	assert_int_equal(block(t, BLOCK_ERRCD), 4);
	assert_int_equal(emu_stats.eaug, 0);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void test_keys_and_reports(void **state)
{
	struct tiny *t = *state;
	struct sgx_keyrequest *request;
	struct sgx_report *report;
	u64 data, out;
	u8 first[16];

	build(t);
	data = t->base + TINY_DATA;
	out = data + 0x800;
	request = (struct sgx_keyrequest *)emu_bytes_at(data);
	*request = (struct sgx_keyrequest){
		.keyname = SGX_KEYNAME_SEAL, .keypolicy = SGX_KEYPOLICY_MRSIGNER, .isvsvn = 3};
	assert_int_equal(leaf(t, LEAF_EGETKEY, data, out, 0), 0);
	memcpy(first, emu_bytes_at(out), 16);
	request->isvsvn = 2;
	assert_int_equal(leaf(t, LEAF_EGETKEY, data, out, 0), 0);
	assert_memory_not_equal(first, emu_bytes_at(out), 16);
	request->isvsvn = 4;
	assert_int_equal(leaf(t, LEAF_EGETKEY, data, out, 0), ZF | SGX_INVALID_ISVSVN);
	request->isvsvn = 3;
	memset(request->cpusvn, 0xff, 16);
	assert_int_equal(leaf(t, LEAF_EGETKEY, data, out, 0), ZF | SGX_INVALID_CPUSVN);
	request->keyname = 99;
	memset(request->cpusvn, 0, 16);
	assert_int_equal(leaf(t, LEAF_EGETKEY, data, out, 0), ZF | SGX_INVALID_KEYNAME);
	memset(request, 0, sizeof(*request)); /* now TARGETINFO */
	memset(emu_bytes_at(out), 0x42, 64);
	leaf(t, LEAF_EREPORT, data, out, data + 0xa00);
	assert_int_equal(t->run.function, 4);
	report = (struct sgx_report *)emu_bytes_at(data + 0xa00);
	assert_memory_equal(report->body.mrenclave, emu_secs_at(t->base)->mrenclave, 32);
	assert_int_equal(report->body.reportdata[63], 0x42);
	assert_int_equal(report->body.isvsvn, 3);
}

/* ---- interrupts ------------------------------------------------------------------------------ */

static void signal_later(long ms)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec when = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};
	timer_t timer;

	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &when, NULL), 0);
}

/* Foreign signals reach the PAL with the host's state; those of the emulation never do. */
static void test_interrupts_keep_state(void **state)
{
	struct tiny *t = *state;
	u32 *stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	emu_config.aex_min_ns = 2000;
	emu_config.aex_max_ns = 50000;
	build(t);
	child = fork();
	if (child == 0) {
		usleep(200000);
		*stop = 1;
		_exit(0);
	}
	signal_later(50);
	assert_int_equal(call(t, TINY_SPIN, (u64)stop, 0), 0);
	assert_int_equal(t->run.function, 4);
	assert_true(emu_stats.aex_interrupt > 100);
	assert_int_equal(tiny_seen.count, 1);
	assert_int_equal(tiny_seen.sig, SIGUSR1);
	assert_int_equal(tiny_seen.rip, (u64)emu_enter_enclu);
	munmap(stop, 4096);
}

static void test_single_steps_are_not_seen_inside(void **state)
{
	struct tiny *t = *state;

	emu_config.step_permille = 1000;
	emu_config.step_length = 300;
	build(t);
	assert_int_equal(call(t, TINY_FLAGS, 200, 0), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(call(t, TINY_ADD, 7, 0), 8);
	assert_true(emu_stats.steps > 300);
	assert_int_equal(tiny_seen.count, 0);
	handle(t, TINY_UD2, 0, 2, SGX_VECTOR_UD);
	handle(t, TINY_LOAD, 0x10, 3, SGX_VECTOR_PF);
	assert_int_equal(emu_stats.dirty_exits, 0);
}

/* Each interrupt is followed by an entry for nothing: the enclave's handler runs and all goes on. */
static void test_storm(void **state)
{
	struct tiny *t = *state;

	emu_config.scenario = EMU_STORM;
	emu_config.scenario_value = 1;
	emu_config.step_permille = 1000;
	emu_config.step_length = 100;
	build(t);
	for (int i = 0; i < 21; i++)
		assert_int_equal(call(t, TINY_ADD, 7, 0), 8);
	assert_true(emu_stats.eenter_nested > 100);
	assert_true(emu_stats.aex_nested > 100);
	assert_int_equal(block(t, BLOCK_EXITINFO), 0);
	assert_int_equal(emu_stats.exits_exception, emu_stats.eenter_nested);
}

#define CASE(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(create_refuses),
		CASE(add_pages_refuses),
		CASE(add_pages_takes_no_memory_of_a_noexec_mount),
		CASE(measurement_of_a_known_enclave),
		CASE(init_refuses),
		CASE(provisioning_needs_its_device),
		CASE(devices_by_name),
		CASE(mapping_rules),
		CASE(short_counts_and_busy),
		CASE(enter_and_exit),
		CASE(entry_is_poisoned),
		CASE(dirty_exits_are_seen),
		CASE(entry_function_checks_run),
		CASE(exceptions),
		CASE(breakpoints_are_signals),
		CASE(without_entry_function_signals_tell),
		CASE(system_calls_inside_are_undefined),
		CASE(time_stamps_can_be_refused),
		CASE(nested_exceptions_end_at_nssa),
		CASE(the_ssa_can_be_edited_but_not_broken),
		CASE(growing),
		CASE(leaves_check_their_operands),
		CASE(trimming),
		CASE(extending_and_restricting),
		CASE(new_threads),
		CASE(without_sgx2),
		CASE(keys_and_reports),
		CASE(interrupts_keep_state),
		CASE(single_steps_are_not_seen_inside),
		CASE(storm),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
