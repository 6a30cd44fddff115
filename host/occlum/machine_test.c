// SPDX-License-Identifier: Apache-2.0
/* Machines with and without SGX, as a fake root folder and a fake CPUID. */
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/occlum/file.h"
#include "host/occlum/machine.h"

static char root[64];
static struct machine m;

/* An Ice Lake server, and what a test takes away from it. */
static struct {
	bool no_sgx, bios_off, no_sgx2, no_flc, no_epc, is_amd, no_fsgsbase;
	const char *release;
} fake;

static void fake_cpuid(u32 leaf, u32 subleaf, u32 ret[4])
{
	const char *vendor = fake.is_amd ? "AuthenticAMD" : "GenuineIntel";

	memset(ret, 0, 4 * sizeof(ret[0]));
	if (leaf == 0) {
		ret[0] = 0x1b;
		memcpy(&ret[1], vendor, 4);
		memcpy(&ret[3], vendor + 4, 4);
		memcpy(&ret[2], vendor + 8, 4);
	} else if (leaf == 1) {
		ret[2] = 1u << 1 | 1u << 25 | 1u << 28 | 1u << 30;
	} else if (leaf == 7 && subleaf == 0) {
		ret[1] = fake.no_sgx ? 0 : 1u << 2;
		ret[2] = fake.no_flc ? 0 : 1u << 30;
	} else if (leaf == 0x12 && subleaf == 0) {
		ret[0] = fake.bios_off ? 0 : fake.no_sgx2 ? 1 : 3;
		ret[1] = 1;
	} else if (leaf == 0x12 && (subleaf == 2 || subleaf == 3) && !fake.no_epc) {
		ret[0] = 1;
		ret[2] = 0x80000000u | 1; /* 2 GiB and a bit that does not count */
	}
}

static unsigned long fake_hwcap2(void)
{
	return fake.no_fsgsbase ? 0 : 2;
}

static void fake_release(char *text, size_t size)
{
	snprintf(text, size, "%s", fake.release);
}

static const struct machine_source source = {
	.root = root, .cpuid = fake_cpuid, .hwcap2 = fake_hwcap2, .release = fake_release};

static void put(const char *path, const char *text)
{
	char full[256];

	snprintf(full, sizeof(full), "%s%s", root, path);
	*strrchr(full, '/') = 0;
	assert_int_equal(dir_make(full, 0755), 0);
	full[strlen(full)] = '/';
	assert_int_equal(file_write(full, text, strlen(text), 0644), 0);
}

static void begin(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.release = "6.1.0-18-amd64";
	if (root[0])
		assert_int_equal(tree_remove(root), 0);
	snprintf(root, sizeof(root), "/tmp/occlum-machine.XXXXXX");
	assert_non_null(mkdtemp(root));
}

static const struct finding *look_for(const char *what)
{
	machine_examine(&m, &source);
	for (u32 i = 0; i < m.count; i++) {
		if (strncmp(m.findings[i].what, what, strlen(what)) == 0)
			return &m.findings[i];
	}
	fail_msg("nothing is said of %s", what);
	return NULL;
}

static void expect_missing(const char *what, const char *advice)
{
	const struct finding *f = look_for(what);

	assert_false(f->ok);
	if (!strstr(f->advice, advice))
		print_error("%s: %s\n", what, f->advice);
	assert_non_null(strstr(f->advice, advice));
}

static void a_machine_with_sgx_lacks_nothing(void **state)
{
	static const char *const devices[][2] = {{"/dev/sgx_enclave", "/dev/sgx_provision"},
						 {"/dev/sgx/enclave", "/dev/sgx/provision"}};

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		begin();
		put(devices[i][0], "");
		put(devices[i][1], "");
		machine_examine(&m, &source);
		assert_true(machine_can(&m, NEED_HW));
		assert_string_equal(m.processor, "GenuineIntel");
		assert_string_equal(m.container, "");
		assert_true(look_for("SGX device")->ok);
		assert_non_null(strstr(look_for("SGX device")->what, devices[i][0]));
		assert_true(look_for("provisioning device")->ok);
		assert_string_equal(look_for("EPC")->what, "EPC, the enclaves' memory (4096 MiB)");
	}
}

static void each_missing_part_is_named_with_advice(void **state)
{
	begin();
	put("/dev/sgx_enclave", "");
	fake.no_sgx = true;
	expect_missing("SGX1", "has no SGX");
	fake.is_amd = true;
	expect_missing("SGX1", "only processors by Intel");
	begin();
	put("/dev/sgx_enclave", "");
	fake.bios_off = true;
	expect_missing("SGX1", "BIOS");
	fake.bios_off = false;
	fake.no_sgx2 = true;
	expect_missing("SGX2", "Ice Lake");
	fake.no_sgx2 = false;
	fake.no_flc = true;
	expect_missing("FLC", "Flexible Launch Control");
	fake.no_flc = false;
	fake.no_epc = true;
	expect_missing("EPC", "PRMRR");
	fake.no_epc = false;
	fake.no_fsgsbase = true;
	expect_missing("FSGSBASE", "5.9");
	fake.no_fsgsbase = false;
	fake.release = "5.15.0";
	expect_missing("Linux 6.0", "newer kernel");
	assert_true(look_for("Linux 5.11")->ok);
	assert_false(machine_can(&m, NEED_HW));
	fake.release = "nonsense";
	expect_missing("Linux 5.11", "newer kernel");
}

static void devices_are_opened_not_only_looked_at(void **state)
{
	begin();
	expect_missing("SGX device (/dev/sgx_enclave or /dev/sgx/enclave)", "CONFIG_X86_SGX");
	assert_int_equal(look_for("provisioning device")->need, NEED_NEITHER);
	put("/dev/isgx", "");
	expect_missing("SGX device", "out-of-tree");
	put("/dev/sgx_enclave/file", "");
	expect_missing("SGX device (/dev/sgx_enclave)", "cannot be opened (Is a directory)");
	assert_false(machine_can(&m, NEED_HW));
}

static void services_and_containers_are_noticed(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	begin();
	expect_missing("AESM service", "sgx-aesm-service");
	put("/var/run/aesmd/x", "");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/var/run/aesmd/aesm.socket", root);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	expect_missing("AESM service", "start aesmd"); /* a socket that nobody serves */
	assert_int_equal(listen(fd, 1), 0);
	assert_true(look_for("AESM service")->ok);
	close(fd);
	put("/proc/1/cgroup", "0::/system.slice/containerd.service/kubepods-x\n");
	machine_examine(&m, &source);
	assert_string_equal(m.container, "unknown kind");
	put("/.dockerenv", "");
	machine_examine(&m, &source);
	assert_string_equal(m.container, "Docker");
	assert_int_equal(tree_remove(root), 0);
	root[0] = 0;
}

UNIT_TESTS(a_machine_with_sgx_lacks_nothing, each_missing_part_is_named_with_advice,
	   devices_are_opened_not_only_looked_at, services_and_containers_are_noticed)
