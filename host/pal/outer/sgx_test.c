/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hardware loader against a driver that plays a script: what it asks for, in which order, what
 * it says to each of the driver's errors, how it goes on after short counts. The requests replayed
 * give the MRENCLAVE that was signed. Arguments: test enclave for hardware, sign tool.
 */
#define _GNU_SOURCE
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/lib/sign.h"
#include "host/lib/sigstruct.h"
#include "host/pal/outer/enclave.h"
#include "host/pal/outer/launch.h"
#include "host/pal/outer/sgx_driver.h"
#include "host/lib/sgx_machine.h"
#include "tests/pal/scenarios.h"

#define DEVICE_FD    1000
#define PROVISION_FD 1001
#define ALL	     (~0ull)

static const char *image_path, *tool_path;
static char directory[] = "/tmp/occlum-sgx-test.XXXXXX";
static char signed_path[128], key_path[128];
static struct sign_info signed_info;
static struct enclave_error error;

/* What the next load meets. */
static struct {
	const char *device, *provision; /* names that exist */
	s64 open_error, provision_open_error;
	u64 fail_command; /* this request fails with `fail_error`, from its `fail_after`th on */
	s64 fail_error;
	u32 fail_after, fail_times;
	u32 short_every; /* each n-th ADD_PAGES does one page and says EINTR */
	s64 map_error;
	u32 features_ebx, features_ecx, sgx_eax, sgx_ebx, sgx_edx, epc;
	u64 allowed_flags, allowed_xfrm, xcr0;
} script;

/* What it saw. */
static struct {
	u32 opens, closes, unmaps, creates, adds, provisions, inits, maps;
	bool is_initialised;
	struct sgx_secs secs;
	struct sgx_measure measure;
	struct sgx_sigstruct sig;
	u64 mapped, mapped_none;
	u32 unmeasured_dirty, unmeasured;
} seen;

/* ---- the driver ------------------------------------------------------------------------------ */

static s64 fake_open(const char *path, u32 flags)
{
	assert_int_equal(flags, O_RDWR);
	if (script.device && strcmp(path, script.device) == 0) {
		seen.opens += !script.open_error;
		return script.open_error ? script.open_error : DEVICE_FD;
	}
	if (script.provision && strcmp(path, script.provision) == 0) {
		seen.opens += !script.provision_open_error;
		return script.provision_open_error ? script.provision_open_error : PROVISION_FD;
	}
	return -ENOENT;
}

static s64 fake_create(const struct sgx_ioc_create *request)
{
	memcpy(&seen.secs, (void *)request->secs, sizeof(seen.secs));
	assert_true(IS_POWER_OF_2(seen.secs.size) && IS_ALIGNED(seen.secs.base, seen.secs.size));
	assert_int_equal(seen.secs.attributes.flags & SGX_ATTR_INIT, 0);
	assert_int_equal(seen.secs.miscselect, SGX_MISC_EXINFO);
	sgx_measure_create(&seen.measure, seen.secs.size, seen.secs.ssa_frame_pages);
	seen.creates++;
	return 0;
}

static void add_page(const u8 *page, u64 offset, u64 flags, bool is_measured)
{
	sgx_measure_add(&seen.measure, offset, flags);
	if (is_measured) {
		sgx_measure_extend_page(&seen.measure, offset, page);
		return;
	}
	seen.unmeasured++;
	if (page[0] == 0xcc && page[4095] == 0xcc)
		seen.unmeasured_dirty++;
}

static s64 fake_add_pages(struct sgx_ioc_add_pages *request)
{
	const struct sgx_secinfo *info = (const void *)request->secinfo;
	u64 length = request->length;

	assert_int_equal(seen.creates, 1);
	assert_false(seen.is_initialised);
	assert_true(IS_ALIGNED(request->source | request->offset | length, PAGE_SIZE) && length);
	assert_true(request->offset + length <= seen.secs.size);
	assert_true(IS_ALIGNED(request->secinfo, 64));
	assert_int_equal(request->count, 0);
	seen.adds++;
	if (script.short_every && seen.adds % script.short_every == 0)
		length = seen.adds % 2 ? PAGE_SIZE : 0;
	for (u64 at = 0; at < length; at += PAGE_SIZE)
		add_page((const u8 *)request->source + at, request->offset + at, info->flags,
			 request->flags & SGX_ADD_MEASURE);
	request->count = length;
	return length == request->length ? 0 : -EINTR;
}

static s64 fake_init(const struct sgx_ioc_init *request)
{
	assert_int_equal(seen.creates, 1);
	memcpy(&seen.sig, (void *)request->sigstruct, sizeof(seen.sig));
	seen.is_initialised = true;
	return 0;
}

static bool fails_now(u64 command)
{
	if (script.fail_command != command || !script.fail_times)
		return false;
	if (script.fail_after) {
		script.fail_after--;
		return false;
	}
	script.fail_times--;
	return true;
}

static s64 fake_ioctl(s32 fd, u64 command, void *argument)
{
	assert_int_equal(fd, DEVICE_FD);
	seen.inits += command == SGX_IOC_INIT;
	if (fails_now(command))
		return script.fail_error;
	switch (command) {
	case SGX_IOC_CREATE: return fake_create(argument);
	case SGX_IOC_ADD_PAGES: return fake_add_pages(argument);
	case SGX_IOC_INIT: return fake_init(argument);
	case SGX_IOC_PROVISION:
		assert_int_equal(((struct sgx_ioc_provision *)argument)->fd, PROVISION_FD);
		assert_false(seen.is_initialised);
		seen.provisions++;
		return 0;
	case SGX_IOC_RESTRICT_PERMISSIONS:
		assert_true(seen.is_initialised);
		assert_int_equal(((struct sgx_ioc_restrict_permissions *)argument)->length, 0);
		return -EINVAL;
	}
	return -ENOTTY;
}

static s64 fake_mmap(void *at, u64 size, u32 prot, u32 flags, s32 fd, u64 offset)
{
	assert_true(seen.is_initialised);
	assert_int_equal(fd, DEVICE_FD);
	assert_int_equal(flags, MAP_SHARED | MAP_FIXED);
	assert_int_not_equal(prot & (PROT_WRITE | PROT_EXEC), PROT_WRITE | PROT_EXEC);
	assert_true((u64)at - seen.secs.base + size <= seen.secs.size);
	assert_true((u64)at >= seen.secs.base + USER_RANGE_START);
	seen.maps++;
	if (prot)
		seen.mapped += size;
	else
		seen.mapped_none += size;
	return script.map_error ? script.map_error : (s64)at;
}

static s64 fake_munmap(void *at, u64 size)
{
	seen.unmaps++;
	return munmap(at, size) < 0 ? -errno : 0;
}

static s64 fake_close(s32 fd)
{
	assert_true(fd == DEVICE_FD || fd == PROVISION_FD);
	seen.closes++;
	return 0;
}

static void fake_cpuid(u32 leaf, u32 subleaf, u32 ret[4])
{
	memset(ret, 0, 4 * sizeof(ret[0]));
	if (leaf == 0) {
		ret[0] = 0x20;
	} else if (leaf == 7) {
		ret[1] = script.features_ebx;
		ret[2] = script.features_ecx;
	} else if (leaf == 0x12 && subleaf == 0) {
		ret[0] = script.sgx_eax;
		ret[1] = script.sgx_ebx;
		ret[3] = script.sgx_edx;
	} else if (leaf == 0x12 && subleaf == 1) {
		ret[0] = (u32)script.allowed_flags;
		ret[1] = (u32)(script.allowed_flags >> 32);
		ret[2] = (u32)script.allowed_xfrm;
		ret[3] = (u32)(script.allowed_xfrm >> 32);
	} else if (leaf == 0x12 && subleaf == 2) {
		ret[0] = script.epc ? 0x70200001 : 0;
		ret[2] = script.epc | 1;
	}
}

static u64 fake_xgetbv(void)
{
	return script.xcr0;
}

static struct sgx_entry_function fake_entry_function(void)
{
	return (struct sgx_entry_function){0};
}

const struct sgx_driver sgx_driver = {
	.open = fake_open,
	.ioctl = fake_ioctl,
	.mmap = fake_mmap,
	.munmap = fake_munmap,
	.close = fake_close,
	.cpuid = fake_cpuid,
	.xgetbv = fake_xgetbv,
	.entry_function = fake_entry_function,
};

/* ---- loading --------------------------------------------------------------------------------- */

/* A machine where everything is right. */
static void arrange(void)
{
	memset(&script, 0, sizeof(script));
	memset(&seen, 0, sizeof(seen));
	memset(&error, 0, sizeof(error));
	script.device = "/dev/sgx_enclave";
	script.provision = "/dev/sgx_provision";
	script.features_ebx = 1u << 2;
	script.features_ecx = 1u << 30;
	script.sgx_eax = 3;
	script.sgx_ebx = 1;
	script.sgx_edx = 0x381f;
	script.epc = 0x8000000;
	script.allowed_flags = ALL & ~(u64)SGX_ATTR_INIT;
	script.allowed_xfrm = script.xcr0 = 0xe7;
	script.fail_times = UINT32_MAX;
	unsetenv("OCCLUM_CONF_ID_BASE64");
	unsetenv("OCCLUM_CONF_SVN");
	unsetenv("OCCLUM_RELEASE_ENCLAVE");
	unsetenv("OCCLUM_TEST_DIRTY_PAGES");
}

static int load(struct enclave *e)
{
	int err = enclave_load(e, signed_path, &error);

	if (err < 0)
		assert_int_equal(seen.closes, seen.opens); /* nothing is left behind */
	return err;
}

static void load_and_unload(void)
{
	struct enclave e;
	int err = load(&e);

	if (err < 0)
		print_error("%s\n", error.text);
	assert_int_equal(err, 0);
	enclave_unload(&e);
	assert_int_equal(seen.closes, seen.opens);
	assert_int_equal(seen.unmaps, 1);
}

/* One line with the cause and the errno's name. */
static void expect_failure(int err, const char *what)
{
	struct enclave e;
	int got = load(&e);

	if (got != err || !strstr(error.text, what))
		print_error("%d, %s\n", got, error.text);
	assert_int_equal(got, err);
	assert_non_null(strstr(error.text, what));
	assert_null(strchr(error.text, '\n'));
	assert_true(strlen(error.text) + 1 < sizeof(error.text));
}

static int sign_with(bool debuggable, bool kss)
{
	static struct occlum_config config;
	struct sign_params params = {
		.image_path = image_path,
		.output_path = signed_path,
		.work_dir = directory,
		.key_path = key_path,
		.tool_path = tool_path,
		.config = &config,
		.config_sha256 = {1},
	};

	config.user_space_size = MIB(256);
	config.kernel_heap_size = MIB(4);
	config.kernel_stack_size = TEST_STACK_SIZE;
	config.max_threads = 8;
	config.product_id = 7;
	config.version_number = 3;
	config.debuggable = debuggable;
	config.enable_kss = kss;
	return sign_kernel_image(&params, &signed_info, &error);
}

/* Between tests the image is a debuggable one without KSS. */
static int sign_plain(void)
{
	return sign_with(true, false);
}

static int group_setup(void **state)
{
	if (!mkdtemp(directory))
		return -1;
	snprintf(signed_path, sizeof(signed_path), "%s/signed.so", directory);
	snprintf(key_path, sizeof(key_path), "%s/key.pem", directory);
	if (sign_key_generate(key_path, &error) < 0 || sign_plain() < 0) {
		fprintf(stderr, "%s\n", error.text);
		return -1;
	}
	return 0;
}

static int group_teardown(void **state)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		execlp("rm", "rm", "-rf", directory, NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void test_requests_replayed_give_the_signed_mrenclave(void **state)
{
	u8 mrenclave[SGX_HASH_SIZE];
	struct enclave e;

	arrange();
	assert_int_equal(load(&e), 0);
	sgx_measure_final(&seen.measure, mrenclave);
	assert_memory_equal(mrenclave, signed_info.mrenclave, sizeof(mrenclave));
	assert_memory_equal(seen.sig.enclavehash, mrenclave, sizeof(mrenclave));
	assert_true(enclave_is_hardware(&e));
	assert_int_equal(seen.secs.attributes.flags, SGX_ATTR_MODE64 | SGX_ATTR_DEBUG);
	assert_int_equal(seen.secs.attributes.xfrm, 0xe7);
	assert_int_equal(seen.provisions, 0);
	/* All pages with rights of their own, and the program zone without any. */
	assert_int_equal(seen.mapped_none,
			 e.params.enclave_size - KERNEL_ZONE_SIZE - USER_RANGE_START);
	assert_true(seen.mapped >= e.params.heap_size);
	enclave_unload(&e);
	assert_int_equal(seen.closes, 1);
}

static void test_short_counts_and_interruptions_are_gone_on_with(void **state)
{
	u8 mrenclave[SGX_HASH_SIZE];

	for (u32 every = 2; every <= 5; every++) {
		arrange();
		script.short_every = every;
		load_and_unload();
		sgx_measure_final(&seen.measure, mrenclave);
		assert_memory_equal(mrenclave, signed_info.mrenclave, sizeof(mrenclave));
	}
	arrange();
	script.fail_command = SGX_IOC_INIT;
	script.fail_error = -EINTR;
	script.fail_times = 50;
	load_and_unload();
	assert_int_equal(seen.inits, 51);
	/* But not for ever. */
	arrange();
	script.fail_command = SGX_IOC_INIT;
	script.fail_error = -EINTR;
	expect_failure(-EINTR, "again and again");
	arrange();
	script.fail_command = SGX_IOC_ADD_PAGES;
	script.fail_error = -EINTR;
	script.fail_after = 5;
	expect_failure(-EINTR, "cannot add pages");
}

static void test_both_names_of_the_devices(void **state)
{
	arrange();
	script.device = "/dev/sgx/enclave";
	load_and_unload();
	arrange();
	script.device = NULL;
	expect_failure(-ENOENT, "neither /dev/sgx_enclave nor /dev/sgx/enclave");
}

static void test_each_error_of_the_driver_has_its_line(void **state)
{
	static const struct {
		u64 command;
		int err;
		const char *what;
	} rows[] = {
		{0, EACCES, "group"},
		{0, EPERM, "container"},
		{0, EBUSY, "microcode"},
		{0, EAGAIN, "microcode"},
		{0, ENODEV, "driver is not active"},
		{0, ENXIO, "driver is not active"},
		{0, EMFILE, "ulimit"},
		{0, EIO, "cannot open the SGX device"},
		{SGX_IOC_CREATE, EINVAL, "asked twice"},
		{SGX_IOC_CREATE, EFAULT, "cannot create"},
		{SGX_IOC_CREATE, EIO, "refuses its shape"},
		{SGX_IOC_CREATE, ENOMEM, "EPC"},
		{SGX_IOC_CREATE, EBUSY, "in use"},
		{SGX_IOC_CREATE, ENOTTY, "Linux 5.11"},
		{SGX_IOC_CREATE, ESRCH, "cannot create the enclave: No such process"},
		{SGX_IOC_ADD_PAGES, EINVAL, "place or rights"},
		{SGX_IOC_ADD_PAGES, EFAULT, "cannot read them"},
		{SGX_IOC_ADD_PAGES, EACCES, "noexec"},
		{SGX_IOC_ADD_PAGES, EBUSY, "pages already"},
		{SGX_IOC_ADD_PAGES, ENOMEM, "kernel_space_heap_size"},
		{SGX_IOC_ADD_PAGES, EIO, "EADD or EEXTEND"},
		{SGX_IOC_INIT, EINVAL, "does not support"},
		{SGX_IOC_INIT, EACCES, "not allowed"},
		{SGX_IOC_INIT, EFAULT, "cannot read its signature"},
		{SGX_IOC_INIT, EPERM, "EINIT refuses"},
		{SGX_IOC_INIT, EIO, "EINIT faulted"},
		{SGX_IOC_INIT, ENOMEM, "no memory"},
		{SGX_IOC_RESTRICT_PERMISSIONS, ENOTTY, "Linux 6.0"},
		{SGX_IOC_RESTRICT_PERMISSIONS, ENODEV, "SGX2"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		arrange();
		script.fail_command = rows[i].command;
		script.fail_error = -rows[i].err;
		if (!rows[i].command)
			script.open_error = -rows[i].err;
		expect_failure(-rows[i].err, rows[i].what);
		assert_non_null(strstr(error.text, strerrorname_np(rows[i].err)));
		/* Not only the first page. */
		if (rows[i].command != SGX_IOC_ADD_PAGES)
			continue;
		arrange();
		script.fail_command = rows[i].command;
		script.fail_error = -rows[i].err;
		script.fail_after = 7;
		expect_failure(-rows[i].err, rows[i].what);
	}
	/* A driver that hands on the number that EINIT gave. */
	arrange();
	script.fail_command = SGX_IOC_INIT;
	script.fail_error = 16;
	expect_failure(-EPERM, "EINIT refuses");
}

static void test_each_error_of_mapping_has_its_line(void **state)
{
	static const struct {
		int err;
		const char *what;
	} rows[] = {{EACCES, "READ_IMPLIES_EXEC"},
		    {EPERM, "noexec"},
		    {EINVAL, "range"},
		    {ENOMEM, "max_map_count"}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		arrange();
		script.map_error = -rows[i].err;
		expect_failure(-rows[i].err, rows[i].what);
	}
	arrange();
	script.map_error = 4096; /* an address, but another */
	expect_failure(-EPROTO, "elsewhere");
}

static void test_what_the_machine_lacks_is_named(void **state)
{
	arrange();
	script.features_ebx = 0;
	expect_failure(-ENODEV, "no SGX (CPUID 7");
	arrange();
	script.sgx_eax = 2;
	expect_failure(-ENODEV, "not enabled");
	arrange();
	script.features_ecx = 0;
	expect_failure(-ENODEV, "launch control");
	arrange();
	script.sgx_eax = 1;
	expect_failure(-ENODEV, "SGX1 alone");
	arrange();
	script.sgx_ebx = 0;
	expect_failure(-ENODEV, "EXINFO");
	arrange();
	script.epc = 0;
	expect_failure(-ENODEV, "no memory (EPC)");
	arrange();
	script.sgx_edx = 0x231f; /* 32 GiB */
	expect_failure(-ENODEV, "needs 64 GiB");
	arrange();
	script.allowed_flags = SGX_ATTR_MODE64;
	expect_failure(-EINVAL, "does not allow the attributes 0x2");
	arrange();
	script.allowed_xfrm = 0;
	expect_failure(-EINVAL, "extended states");
}

static void test_extended_states_are_those_in_use(void **state)
{
	static const struct {
		u64 allowed, xcr0, want;
	} rows[] = {
		{0x3, 0x3, 0x3},   {0x7, 0x7, 0x7},	{0xe7, 0x7, 0x7}, {0x7, 0xe7, 0x7},
		{0x67, 0xe7, 0x7}, {0xe3, 0xe3, 0x3},	{ALL, ALL, 0xe7}, {0x2e7, 0x2e7, 0xe7},
		{0x602e7, 0x7, 7}, {0xff, 0x1ff, 0xe7},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		arrange();
		script.allowed_xfrm = rows[i].allowed;
		script.xcr0 = rows[i].xcr0;
		load_and_unload();
		assert_int_equal(seen.secs.attributes.xfrm, rows[i].want);
	}
}

static void test_release_and_debug(void **state)
{
	arrange();
	setenv("OCCLUM_RELEASE_ENCLAVE", "yes", 1);
	expect_failure(-EINVAL, "signed for debugging alone");
	arrange();
	assert_int_equal(sign_with(false, false), 0);
	load_and_unload();
	assert_int_equal(seen.secs.attributes.flags, SGX_ATTR_MODE64);
	assert_int_equal(seen.sig.attributemask.flags & SGX_ATTR_DEBUG, SGX_ATTR_DEBUG);
	assert_int_equal(sign_plain(), 0);
}

static void test_configuration_id_needs_kss(void **state)
{
	u8 id[SGX_CONFIGID_SIZE] = {0};

	arrange();
	setenv("OCCLUM_CONF_SVN", "5", 1);
	expect_failure(-EINVAL, "enable_kss");
	assert_int_equal(sign_with(true, true), 0);
	arrange();
	setenv("OCCLUM_CONF_SVN", "0x10", 1);
	setenv("OCCLUM_CONF_ID_BASE64", "AAECAw==", 1);
	load_and_unload();
	memcpy(id, "\0\1\2\3", 4);
	assert_memory_equal(seen.secs.configid, id, sizeof(id));
	assert_int_equal(seen.secs.configsvn, 16);
	assert_int_equal(seen.secs.attributes.flags,
			 SGX_ATTR_MODE64 | SGX_ATTR_DEBUG | SGX_ATTR_KSS);
	arrange();
	script.allowed_flags &= ~(u64)SGX_ATTR_KSS;
	expect_failure(-EINVAL, "no KSS");
	assert_int_equal(sign_plain(), 0);
}

static void test_configuration_values_are_checked(void **state)
{
	static const char *const ids[] = {
		"A", "AA", "AAA", "A===", "AB==CD==", "AAE*", "AB==", "AA=A"};
	static const char *const versions[] = {"65536", "-1", "1x", "99999999999999999999", " "};
	struct launch_choice choice;
	char text[100];

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		arrange();
		setenv("OCCLUM_CONF_ID_BASE64", ids[i], 1);
		if (launch_choice_read(&choice, &error) != -EINVAL)
			fail_msg("accepts '%s'", ids[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		arrange();
		setenv("OCCLUM_CONF_SVN", versions[i], 1);
		if (launch_choice_read(&choice, &error) != -EINVAL)
			fail_msg("accepts '%s'", versions[i]);
	}
	arrange();
	memset(text, 'A', 88); /* 66 bytes */
	text[88] = 0;
	setenv("OCCLUM_CONF_ID_BASE64", text, 1);
	assert_int_equal(launch_choice_read(&choice, &error), -EINVAL);
	memcpy(text + 84, "AA==", 5); /* 64 */
	setenv("OCCLUM_CONF_ID_BASE64", text, 1);
	assert_int_equal(launch_choice_read(&choice, &error), 0);
	assert_true(choice.is_configured);
}

/* An image that was signed for the provision key, by whatever tool. */
static int fill_for_provision(struct sgx_secs *secs, u64 mask)
{
	struct sgx_attributes machine = {.flags = ALL, .xfrm = 3};
	struct launch_choice choice = {0};
	struct sgx_sigstruct sig = {
		.attributes = {SGX_ATTR_MODE64 | SGX_ATTR_PROVISIONKEY, 3},
		.attributemask = {mask, ALL},
	};

	return launch_fill(secs, &sig, &machine, &choice, &error);
}

static void test_provision_key_only_where_signed(void **state)
{
	struct sgx_secs secs = {0};

	arrange();
	assert_int_equal(fill_for_provision(&secs, ALL), 0);
	assert_int_equal(secs.attributes.flags, SGX_ATTR_MODE64 | SGX_ATTR_PROVISIONKEY);
}

static void test_dirty_pages_reach_the_driver(void **state)
{
	u8 mrenclave[SGX_HASH_SIZE];

	arrange();
	load_and_unload();
	assert_int_equal(seen.unmeasured_dirty, 0);
	arrange();
	setenv("OCCLUM_TEST_DIRTY_PAGES", "1", 1);
	load_and_unload();
	assert_true(seen.unmeasured > 1000);
	assert_int_equal(seen.unmeasured_dirty, seen.unmeasured);
	sgx_measure_final(&seen.measure, mrenclave);
	assert_memory_equal(mrenclave, signed_info.mrenclave, sizeof(mrenclave));
	unsetenv("OCCLUM_TEST_DIRTY_PAGES");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_replayed_give_the_signed_mrenclave),
		cmocka_unit_test(test_short_counts_and_interruptions_are_gone_on_with),
		cmocka_unit_test(test_both_names_of_the_devices),
		cmocka_unit_test(test_each_error_of_the_driver_has_its_line),
		cmocka_unit_test(test_each_error_of_mapping_has_its_line),
		cmocka_unit_test(test_what_the_machine_lacks_is_named),
		cmocka_unit_test(test_extended_states_are_those_in_use),
		cmocka_unit_test(test_release_and_debug),
		cmocka_unit_test(test_configuration_id_needs_kss),
		cmocka_unit_test(test_configuration_values_are_checked),
		cmocka_unit_test(test_provision_key_only_where_signed),
		cmocka_unit_test(test_dirty_pages_reach_the_driver),
	};

	if (argc != 3)
		return 2;
	image_path = argv[1];
	tool_path = argv[2];
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
