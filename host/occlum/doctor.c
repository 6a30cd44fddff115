// SPDX-License-Identifier: Apache-2.0
/*
 * `occlum doctor`: looks at this machine and says, for each thing that SGX or the simulation
 * needs, whether it is there and what to do when it is not. Ends 0 when at least one mode can run.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "host/occlum/command.h"
#include "host/occlum/file.h"
#include "host/occlum/report.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF	     0
#endif
#define HWCAP2_FSGSBASE_BIT 2u

enum need {
	NEED_SIM = 1,
	NEED_HW = 2,
	NEED_BOTH = 3,
	NEED_NEITHER = 0, /* useful */
};

static unsigned missing; /* union of needs that are not met */

static void result(bool ok, enum need need, const char *what, const char *advice)
{
	if (ok) {
		printf("  ok       %s\n", what);
		return;
	}
	missing |= need;
	printf("  %s  %s\n           -> %s\n", need == NEED_NEITHER ? "absent " : "MISSING", what,
	       advice);
}

/* ---- the processor ---- */

struct cpu {
	char vendor[13];
	bool sgx, flc, sgx1, sgx2, aes, rdrand, pclmul, avx2, sha;
};

static void read_cpu(struct cpu *cpu)
{
	unsigned a, b, c, d;

	memset(cpu, 0, sizeof(*cpu));
	if (__get_cpuid(0, &a, &b, &c, &d)) {
		memcpy(cpu->vendor, &b, 4);
		memcpy(cpu->vendor + 4, &d, 4);
		memcpy(cpu->vendor + 8, &c, 4);
	}
	if (__get_cpuid(1, &a, &b, &c, &d)) {
		cpu->aes = c >> 25 & 1;
		cpu->pclmul = c >> 1 & 1;
		cpu->rdrand = c >> 30 & 1;
	}
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
		cpu->sgx = b >> 2 & 1;
		cpu->avx2 = b >> 5 & 1;
		cpu->sha = b >> 29 & 1;
		cpu->flc = c >> 30 & 1;
	}
	if (cpu->sgx && __get_cpuid_count(0x12, 0, &a, &b, &c, &d)) {
		cpu->sgx1 = a & 1;
		cpu->sgx2 = a >> 1 & 1;
	}
}

static void check_cpu(void)
{
	const char *bios = "enable SGX in the BIOS, or use a machine that has it; SIM needs none";
	struct cpu cpu;

	read_cpu(&cpu);
	printf("Processor (%s)\n", cpu.vendor);
	result(cpu.sgx && cpu.sgx1, NEED_HW, "SGX1", bios);
	result(cpu.sgx2, NEED_HW, "SGX2 (memory that grows at run time)",
	       "hardware mode needs Ice Lake servers or later");
	result(cpu.flc, NEED_HW, "FLC (enclaves signed by any key)",
	       "enable Flexible Launch Control in the BIOS");
	result(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT, NEED_BOTH,
	       "FSGSBASE (fast thread pointers)",
	       "use Linux 5.9 or later, without the nofsgsbase option");
	result(cpu.aes && cpu.pclmul, NEED_BOTH, "AES and carry-less multiplication instructions",
	       "use a processor, or a virtual machine type, that has them");
	result(cpu.rdrand, NEED_BOTH, "RDRAND (random numbers)",
	       "use a processor, or a virtual machine type, that has it");
}

/* ---- Linux ---- */

static bool kernel_is_at_least(int major, int minor)
{
	struct utsname u;
	int a = 0, b = 0;

	return uname(&u) == 0 && sscanf(u.release, "%d.%d", &a, &b) == 2 &&
	       (a > major || (a == major && b >= minor));
}

/* The lowest page that programs linked at fixed addresses need. */
static bool can_map_low(void)
{
	void *want = (void *)0x10000;
	void *p = mmap(want, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		       0);

	if (p != MAP_FAILED)
		munmap(p, 4096);
	return p == want;
}

static bool can_reserve_range(void)
{
	size_t size = 1ul << 37;
	void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p != MAP_FAILED)
		munmap(p, size);
	return p != MAP_FAILED;
}

static void check_linux(void)
{
	struct utsname u;

	if (uname(&u) < 0)
		u.release[0] = '\0';
	printf("Linux %s\n", u.release);
	result(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0) == 0, NEED_SIM,
	       "Syscall User Dispatch (simulation)",
	       "use Linux 5.11 or later; in a container, let the seccomp profile allow prctl");
	result(can_reserve_range(), NEED_BOTH, "128 GiB of address space",
	       "raise `ulimit -v` to unlimited");
	result(can_map_low(), NEED_NEITHER,
	       "addresses from 64 KiB (programs linked at fixed addresses)",
	       "sysctl vm.mmap_min_addr=65536");
	result(kernel_is_at_least(5, 11), NEED_HW, "Linux 5.11 (SGX driver)", "use a newer kernel");
	result(kernel_is_at_least(6, 0), NEED_HW, "Linux 6.0 (SGX2 memory management)",
	       "use a newer kernel");
}

/* ---- devices and services ---- */

static const char *first_there(const char *const *paths, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (access(paths[i], F_OK) == 0)
			return paths[i];
	}
	return NULL;
}

static void check_device(const char *what, const char *const *paths, size_t count, enum need need,
			 const char *advice)
{
	const char *path = first_there(paths, count);
	char text[256], remedy[256];
	int fd;

	if (!path) {
		snprintf(text, sizeof(text), "%s (%s or %s)", what, paths[0], paths[1]);
		result(false, need, text, advice);
		return;
	}
	snprintf(text, sizeof(text), "%s (%s)", what, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		result(true, need, text, "");
		return;
	}
	snprintf(remedy, sizeof(remedy),
		 "it cannot be opened (%s): add yourself to the group that owns "
		 "it (sgx, sgx_prv), or run as root",
		 strerror(errno));
	result(false, need, text, remedy);
}

static bool can_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	ok = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

static void check_devices(void)
{
	static const char *const enclave[] = {"/dev/sgx_enclave", "/dev/sgx/enclave"};
	static const char *const provision[] = {"/dev/sgx_provision", "/dev/sgx/provision"};

	printf("Devices and services\n");
	check_device("SGX device", enclave, ARRAY_SIZE(enclave), NEED_HW,
		     access("/dev/isgx", F_OK) == 0
			     ? "/dev/isgx is the old out-of-tree driver; use Linux 5.11's own"
			     : "load the SGX driver; for a container: --device /dev/sgx_enclave");
	check_device("provisioning device", provision, ARRAY_SIZE(provision), NEED_NEITHER,
		     "needed for remote attestation; for a container: --device /dev/sgx_provision");
	result(can_connect("/var/run/aesmd/aesm.socket"), NEED_NEITHER,
	       "AESM service (quotes for remote attestation)",
	       "install sgx-aesm-service and start aesmd; for a container: -v "
	       "/var/run/aesmd:/var/run/aesmd");
	result(access("/dev/fuse", R_OK | W_OK) == 0, NEED_NEITHER, "FUSE (occlum mount)",
	       "modprobe fuse; for a container: --cap-add SYS_ADMIN --device /dev/fuse");
}

/* ---- containers ---- */

static const char *container_kind(void)
{
	const char *kind = NULL;
	char *text;
	size_t size;

	if (access("/.dockerenv", F_OK) == 0)
		return "Docker";
	if (access("/run/.containerenv", F_OK) == 0)
		return "Podman";
	if (getenv("KUBERNETES_SERVICE_HOST"))
		return "Kubernetes";
	if (file_read("/proc/1/cgroup", 65536, &text, &size) == 0) {
		if (strstr(text, "docker") || strstr(text, "containerd") ||
		    strstr(text, "kubepods"))
			kind = "unknown kind";
		free(text);
	}
	return kind;
}

static bool has_sys_admin(void)
{
	unsigned long long caps = 0;
	char *text, *line;
	size_t size;

	if (file_read("/proc/self/status", 65536, &text, &size) < 0)
		return false;
	line = strstr(text, "CapEff:");
	if (line)
		caps = strtoull(line + strlen("CapEff:"), NULL, 16);
	free(text);
	return caps >> 21 & 1;
}

static void check_container(void)
{
	const char *kind = container_kind();

	if (!kind) {
		printf("No container\n");
		return;
	}
	printf("Container (%s)\n", kind);
	result(has_sys_admin(), NEED_NEITHER, "CAP_SYS_ADMIN (occlum mount)",
	       "--cap-add SYS_ADMIN, or --privileged");
}

int command_doctor(int argc, char **argv)
{
	bool sim, hw;

	if (argc > 1)
		return complain("unexpected argument '%s'", argv[1]);
	check_cpu();
	check_linux();
	check_devices();
	check_container();
	sim = !(missing & NEED_SIM);
	hw = !(missing & NEED_HW);
	printf("Simulation (SGX_MODE=SIM) %s on this machine.\n", sim ? "works" : "does not work");
	printf("Hardware mode (SGX_MODE=HW) %s; this version of Occlum does not support it yet.\n",
	       hw ? "finds all it needs" : "would miss what is marked MISSING");
	return sim ? 0 : 1;
}
