// SPDX-License-Identifier: Apache-2.0
/*
 * Looking at the machine. The checks go from the processor outwards: when SGX is missing in the
 * processor, that is said first, and what follows from it afterwards.
 */
#include "host/occlum/machine.h"

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
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "host/lib/sgx_machine.h"
#include "host/occlum/file.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF	     0
#endif
#define HWCAP2_FSGSBASE_BIT 2u

/* ---- the real machine ---- */

static void real_cpuid(u32 leaf, u32 subleaf, u32 ret[4])
{
	if (!__get_cpuid_count(leaf, subleaf, &ret[0], &ret[1], &ret[2], &ret[3]))
		memset(ret, 0, 4 * sizeof(ret[0]));
}

static unsigned long real_hwcap2(void)
{
	return getauxval(AT_HWCAP2);
}

static void real_release(char *text, size_t size)
{
	struct utsname u;

	snprintf(text, size, "%s", uname(&u) == 0 ? u.release : "");
}

const struct machine_source machine_here = {
	.root = "",
	.cpuid = real_cpuid,
	.hwcap2 = real_hwcap2,
	.release = real_release,
};

/* ---- findings ---- */

struct examination {
	struct machine *m;
	const struct machine_source *source;
	const char *section;
};

static void found(struct examination *x, bool ok, enum need need, const char *what,
		  const char *advice)
{
	struct finding *f = &x->m->findings[x->m->count];

	if (x->m->count == FINDINGS_MAX)
		return;
	x->m->count++;
	f->section = x->section;
	f->ok = ok;
	f->need = need;
	snprintf(f->what, sizeof(f->what), "%s", what);
	snprintf(f->advice, sizeof(f->advice), "%s", ok ? "" : advice);
}

bool machine_can(const struct machine *m, enum need need)
{
	for (u32 i = 0; i < m->count; i++) {
		if (!m->findings[i].ok && (m->findings[i].need & need))
			return false;
	}
	return true;
}

/* ---- the processor ---- */

struct cpu {
	char vendor[13];
	bool aes, avx, rdrand, pclmul;
	struct sgx_machine sgx;
};

static void read_cpu(struct cpu *cpu, const struct machine_source *source)
{
	u32 r[4];

	memset(cpu, 0, sizeof(*cpu));
	source->cpuid(0, 0, r);
	memcpy(cpu->vendor, &r[1], 4);
	memcpy(cpu->vendor + 4, &r[3], 4);
	memcpy(cpu->vendor + 8, &r[2], 4);
	source->cpuid(1, 0, r);
	cpu->pclmul = r[2] >> 1 & 1;
	cpu->aes = r[2] >> 25 & 1;
	cpu->avx = r[2] >> 28 & 1;
	cpu->rdrand = r[2] >> 30 & 1;
	sgx_machine_read(&cpu->sgx, source->cpuid, 0);
}

static const char *sgx1_advice(const struct cpu *cpu)
{
	if (strcmp(cpu->vendor, "GenuineIntel") != 0)
		return "only processors by Intel have SGX; use another machine, or "
		       "SGX_MODE=SIM, which needs none";
	if (!cpu->sgx.sgx)
		return "this processor, or virtual machine, has no SGX: use a Xeon of the third "
		       "generation or later (virtual machine: one with SGX memory), or "
		       "SGX_MODE=SIM, "
		       "which needs none";
	return "the BIOS has not enabled SGX: set it to Enabled and reserve memory (PRMRR) for it";
}

static void examine_cpu(struct examination *x)
{
	struct cpu cpu;
	char text[96];

	read_cpu(&cpu, x->source);
	snprintf(x->m->processor, sizeof(x->m->processor), "%s", cpu.vendor);
	found(x, cpu.sgx.sgx1, NEED_HW, "SGX1", sgx1_advice(&cpu));
	found(x, cpu.sgx.sgx2 && (cpu.sgx.miscselect & SGX_MISC_EXINFO), NEED_HW,
	      "SGX2 (memory that grows at run time)",
	      "hardware mode needs Ice Lake servers or later");
	found(x, cpu.sgx.flc, NEED_HW, "FLC (enclaves signed by any key)",
	      cpu.sgx.sgx1 ? "enable Flexible Launch Control in the BIOS (\"unlocked\")"
			   : "needs a processor with SGX first");
	if (cpu.sgx.sgx1) {
		snprintf(text, sizeof(text), "EPC, the enclaves' memory (%llu MiB)",
			 (unsigned long long)(cpu.sgx.epc_size >> 20));
		found(x, cpu.sgx.epc_size > 0, NEED_HW, text,
		      "reserve memory for SGX (PRMRR) in the BIOS");
	}
	found(x, x->source->hwcap2() & HWCAP2_FSGSBASE_BIT, NEED_BOTH,
	      "FSGSBASE (fast thread pointers)",
	      "use Linux 5.9 or later, without the nofsgsbase option");
	found(x, cpu.aes && cpu.pclmul && cpu.avx, NEED_BOTH,
	      "AES, carry-less multiplication and AVX instructions",
	      "use a processor, or a virtual machine type, that has them");
	found(x, cpu.rdrand, NEED_BOTH, "RDRAND (random numbers)",
	      "use a processor, or a virtual machine type, that has it");
}

/* ---- Linux ---- */

static bool release_is_at_least(const char *release, int major, int minor)
{
	int a = 0, b = 0;

	return sscanf(release, "%d.%d", &a, &b) == 2 && (a > major || (a == major && b >= minor));
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

static void examine_linux(struct examination *x)
{
	const char *release = x->m->release;

	x->source->release(x->m->release, sizeof(x->m->release));
	found(x, prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0) == 0, NEED_SIM,
	      "Syscall User Dispatch (simulation)",
	      "use Linux 5.11 or later; in a container, let the seccomp profile allow prctl");
	found(x, can_reserve_range(), NEED_BOTH, "128 GiB of address space",
	      "raise `ulimit -v` to unlimited");
	found(x, can_map_low(), NEED_NEITHER,
	      "addresses from 64 KiB (programs linked at fixed addresses)",
	      "sysctl vm.mmap_min_addr=65536");
	found(x, release_is_at_least(release, 5, 11), NEED_HW, "Linux 5.11 (SGX driver)",
	      "use a newer kernel");
	found(x, release_is_at_least(release, 6, 0), NEED_HW, "Linux 6.0 (SGX2 memory management)",
	      "use a newer kernel");
}

/* ---- devices and services ---- */

static void in_root(const struct examination *x, char *to, size_t size, const char *path)
{
	snprintf(to, size, "%s%s", x->source->root, path);
}

static bool is_there(const struct examination *x, const char *path)
{
	char full[PATH_MAX];

	in_root(x, full, sizeof(full), path);
	return access(full, F_OK) == 0;
}

/* The in-tree name and the one of the older driver and of containers that were made for it. */
static void examine_device(struct examination *x, const char *what, const char *const paths[2],
			   enum need need, const char *advice)
{
	const char *path = is_there(x, paths[0])   ? paths[0]
			   : is_there(x, paths[1]) ? paths[1]
						   : NULL;
	char full[PATH_MAX], text[160], remedy[320];
	int fd, error;

	if (!path) {
		snprintf(text, sizeof(text), "%s (%s or %s)", what, paths[0], paths[1]);
		found(x, false, need, text, advice);
		return;
	}
	in_root(x, full, sizeof(full), path);
	fd = open(full, O_RDWR | O_CLOEXEC);
	error = errno;
	if (fd >= 0)
		close(fd);
	snprintf(text, sizeof(text), "%s (%s)", what, path);
	snprintf(remedy, sizeof(remedy),
		 "it cannot be opened (%s): add yourself to the group that owns it (sgx, sgx_prv), "
		 "or run as root",
		 strerror(error));
	found(x, fd >= 0, need, text, remedy);
}

static bool can_connect(const struct examination *x, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	in_root(x, address.sun_path, sizeof(address.sun_path), path);
	ok = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

static void examine_devices(struct examination *x)
{
	static const char *const enclave[] = {"/dev/sgx_enclave", "/dev/sgx/enclave"};
	static const char *const provision[] = {"/dev/sgx_provision", "/dev/sgx/provision"};
	char fuse[PATH_MAX];

	examine_device(
		x, "SGX device", enclave, NEED_HW,
		is_there(x, "/dev/isgx")
			? "/dev/isgx is the old out-of-tree driver; use Linux's own (5.11)"
			: "Linux has found no SGX (`dmesg | grep -i sgx` says why), or was built "
			  "without CONFIG_X86_SGX; for a container: --device /dev/sgx_enclave");
	examine_device(x, "provisioning device", provision, NEED_NEITHER,
		       "needed for remote attestation; for a container: --device "
		       "/dev/sgx_provision");
	found(x, can_connect(x, "/var/run/aesmd/aesm.socket"), NEED_NEITHER,
	      "AESM service (quotes for remote attestation)",
	      "install sgx-aesm-service and start aesmd; for a container: -v "
	      "/var/run/aesmd:/var/run/aesmd");
	in_root(x, fuse, sizeof(fuse), "/dev/fuse");
	found(x, access(fuse, R_OK | W_OK) == 0, NEED_NEITHER, "FUSE (occlum mount)",
	      "modprobe fuse; for a container: --cap-add SYS_ADMIN --device /dev/fuse");
}

/* ---- containers ---- */

static const char *container_kind(const struct examination *x)
{
	char path[PATH_MAX], *text;
	const char *kind = "";
	size_t size;

	if (is_there(x, "/.dockerenv"))
		return "Docker";
	if (is_there(x, "/run/.containerenv"))
		return "Podman";
	if (getenv("KUBERNETES_SERVICE_HOST"))
		return "Kubernetes";
	in_root(x, path, sizeof(path), "/proc/1/cgroup");
	if (file_read(path, 65536, &text, &size) == 0) {
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

void machine_examine(struct machine *ret, const struct machine_source *source)
{
	struct examination x = {.m = ret, .source = source};

	memset(ret, 0, sizeof(*ret));
	x.section = "Processor";
	examine_cpu(&x);
	x.section = "Linux";
	examine_linux(&x);
	x.section = "Devices and services";
	examine_devices(&x);
	x.section = "Container";
	snprintf(ret->container, sizeof(ret->container), "%s", container_kind(&x));
	if (ret->container[0])
		found(&x, has_sys_admin(), NEED_NEITHER, "CAP_SYS_ADMIN (occlum mount)",
		      "--cap-add SYS_ADMIN, or --privileged");
}
