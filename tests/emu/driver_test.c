/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's requests: what each of them refuses, and what it does. */
#define _GNU_SOURCE
#include "tests/emu/tiny_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

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
	assert_int_equal(tiny_create(t, 0x4000), 0);
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
	struct sgx_ioc_add_pages a = {.source = (u64)tiny_buffer, .length = PAGE_SIZE};
	u64 source = (u64)tiny_buffer;

	memset(tiny_buffer, 0, sizeof(tiny_buffer));
	t->fd = sgx_driver.open("/dev/sgx_enclave", O_RDWR);
	assert_int_equal(add_raw(t, source, 0, PAGE_SIZE, REG_RW), -EINVAL); /* before CREATE */
	sgx_driver.close((s32)t->fd);
	assert_int_equal(tiny_create(t, 0x4000), 0);
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
	assert_int_equal(add_raw(t, t->base, 0, PAGE_SIZE, REG_RW), -EFAULT);
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
	assert_int_equal(tiny_create(t, 0x4000), 0);
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
	struct sgx_tcs *tcs = (struct sgx_tcs *)(tiny_buffer + PAGE_SIZE);

	assert_int_equal(tiny_create(t, 0x4000), 0);
	memset(tiny_buffer, 0, sizeof(tiny_buffer));
	for (u32 i = 0; i < PAGE_SIZE; i++)
		tiny_buffer[i] = (u8)i;
	*tcs = (struct sgx_tcs){.ossa = 0x2000,
				.nssa = 2,
				.ofsbase = 0x3000,
				.ogsbase = 0x3000,
				.fslimit = 0xfff,
				.gslimit = 0xfff};
	assert_int_equal(tiny_add(t, 0, REG_RX, tiny_buffer, true), 0);
	assert_int_equal(tiny_add(t, 0x1000, PAGE_TCS, tcs, true), 0);
	assert_int_equal(tiny_add(t, 0x2000, REG_RW, tiny_buffer, false), 0);
	assert_int_equal(tiny_add(t, 0x3000, REG_RW, tiny_buffer + 2 * PAGE_SIZE, true), 0);
	tiny_sign(t);
	assert_int_equal(tiny_init(t), 0);
	assert_memory_equal(emu_secs_at(t->base)->mrenclave, known, 32);
	assert_int_equal(emu_secs_at(t->base)->isvprodid, 7);
	assert_int_equal(emu_secs_at(t->base)->isvsvn, 3);
	assert_int_equal(tiny_init(t), -EINVAL); /* once is enough */
	assert_int_equal(add_raw(t, (u64)tiny_buffer, 0, PAGE_SIZE, REG_RW), -EINVAL);
}

static void test_init_refuses(void **state)
{
	struct tiny *t = *state;
	struct sgx_ioc_init wild = {.sigstruct = 8};
	struct sgx_sigstruct good;

	t->fd = sgx_driver.open("/dev/sgx_enclave", O_RDWR);
	assert_int_equal(tiny_init(t), -EINVAL); /* before CREATE */
	sgx_driver.close((s32)t->fd);
	assert_int_equal(tiny_create(t, 0x4000), 0);
	tiny_sign(t);
	good = t->sig;
	assert_int_equal(sgx_driver.ioctl((s32)t->fd, SGX_IOC_INIT, &wild), -EFAULT);
	t->sig.vendor = 5;
	assert_int_equal(tiny_init(t), -EINVAL);
	for (u32 at = 0; at < sizeof(good); at += 61) {
		t->sig = good;
		((u8 *)&t->sig)[at] ^= 0x10;
		assert_true(tiny_init(t) == -EPERM || tiny_init(t) == -EINVAL);
	}
	t->sig = good;
	t->sig.enclavehash[0] ^= 1;
	tiny_sign_again(t);
	assert_int_equal(tiny_init(t), -EPERM); /* another enclave's */
	t->sig = good;
	t->sig.attributes.flags &= ~(u64)SGX_ATTR_DEBUG;
	tiny_sign_again(t);
	assert_int_equal(tiny_init(t), -EPERM); /* release signature, debug launch */
	t->sig = good;
	t->sig.attributes.xfrm |= 1ul << 40;
	tiny_sign_again(t);
	assert_int_equal(tiny_init(t), -EINVAL); /* wants what the CPU lacks */
	t->sig = good;
	assert_int_equal(tiny_init(t), 0);
}

static void test_provisioning_needs_its_device(void **state)
{
	struct tiny *t = *state;
	struct sgx_ioc_create c = {.secs = (u64)&t->secs};
	struct sgx_ioc_provision p = {.fd = 0};
	s64 provision;

	assert_int_equal(tiny_create(t, 0x4000), 0);
	sgx_driver.close((s32)t->fd);
	t->fd = sgx_driver.open("/dev/sgx_enclave", O_RDWR);
	t->secs.attributes.flags |= SGX_ATTR_PROVISIONKEY;
	assert_int_equal(sgx_driver.ioctl((s32)t->fd, SGX_IOC_CREATE, &c), 0);
	sgx_measure_create(&t->measure, 0x4000, 1);
	tiny_sign(t);
	t->sig.attributes.flags |= SGX_ATTR_PROVISIONKEY;
	tiny_sign_again(t);
	assert_int_equal(tiny_init(t), -EACCES);
	assert_int_equal(sgx_driver.ioctl((s32)t->fd, SGX_IOC_PROVISION, &p), -EINVAL);
	p.fd = (u64)t->fd;
	assert_int_equal(sgx_driver.ioctl((s32)t->fd, SGX_IOC_PROVISION, &p), -EINVAL);
	provision = sgx_driver.open("/dev/sgx_provision", O_RDONLY);
	p.fd = (u64)provision;
	assert_int_equal(sgx_driver.ioctl((s32)t->fd, SGX_IOC_PROVISION, &p), 0);
	assert_int_equal(tiny_init(t), 0);
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

	tiny_build(t);
	text = (void *)(t->base + TINY_TEXT);
	assert_int_equal(tiny_map(t, TINY_TEXT, PAGE_SIZE, PROT_READ | PROT_WRITE), -EACCES);
	assert_int_equal(tiny_map(t, TINY_DATA, PAGE_SIZE, PROT_READ | PROT_EXEC), -EACCES);
	assert_int_equal(tiny_map(t, TINY_SIZE, PAGE_SIZE, PROT_READ), -EACCES);
	assert_int_equal(
		sgx_driver.mmap(text, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_FIXED, (s32)t->fd, 0),
		-EINVAL);
	assert_int_equal(sgx_driver.mprotect(text, PAGE_SIZE, PROT_READ | PROT_WRITE), -EACCES);
	assert_int_equal(sgx_driver.mprotect(text, PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(sgx_driver.mprotect(text, PAGE_SIZE, PROT_READ | PROT_EXEC), 0);
	/* A page that does not exist yet may become anything. */
	assert_true(tiny_map(t, TINY_DYNAMIC, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC) > 0);
	assert_int_equal(sgx_driver.munmap((void *)(t->base + TINY_DYNAMIC), PAGE_SIZE), 0);
	assert_int_not_equal(
		sgx_driver.mprotect((void *)(t->base + TINY_DYNAMIC), PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(tiny_ask(t, TINY_ADD, 41, 0), 42);
}

static void test_short_counts_and_busy(void **state)
{
	struct tiny *t = *state;
	struct sgx_secinfo info = {.flags = REG_RW};
	struct sgx_ioc_add_pages a = {
		.source = (u64)tiny_buffer, .length = sizeof(tiny_buffer), .secinfo = (u64)&info};
	u32 interrupted = 0, busy = 0, partial = 0;

	assert_int_equal(tiny_create(t, 0x40000), 0);
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
		a.length = MIN(0x40000 - a.offset, sizeof(tiny_buffer));
		a.count = 0;
	}
	assert_true(interrupted && busy && partial);
	assert_true(emu_stats.injected >= interrupted + busy + partial);
}

TINY_TESTS(TINY_CASE(create_refuses), TINY_CASE(add_pages_refuses),
	   TINY_CASE(add_pages_takes_no_memory_of_a_noexec_mount),
	   TINY_CASE(measurement_of_a_known_enclave), TINY_CASE(init_refuses),
	   TINY_CASE(provisioning_needs_its_device), TINY_CASE(devices_by_name),
	   TINY_CASE(mapping_rules), TINY_CASE(short_counts_and_busy))
