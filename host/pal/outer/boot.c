/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel is told at boot: the configuration (which it compares with the measured digest),
 * the host's name files, the environment, CPUID as hints, the TSC's rate. One piece of memory,
 * outside the enclave, that nobody changes until the boot is over.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "host/pal/inner/inner.h"
#include "host/pal/outer/enclave.h"
#include "host/pal/outer/sgx_driver.h"
#include "lib/config/config.h"

#define CPUID_HINTS_MAX	  128
#define CPUID_SUBLEAF_MAX 32
#define NAME_FILE_MAX	  KIB(64)
#define TSC_SAMPLE_NS	  3000000 /* shortest time over which the rate is measured */

extern char **environ;

static bool has_subleaves(u32 leaf)
{
	static const u32 leaves[] = {0x4, 0x7, 0xb, 0xd, 0x14, 0x18, 0x1f, 0x8000001d};

	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		if (leaves[i] == leaf)
			return true;
	}
	return false;
}

/* Each CPUID costs some microseconds in a virtual machine: stop where a leaf says it ends. */
static bool is_last_subleaf(u32 leaf, u32 subleaf, const struct cpuid_hint *h, u32 max)
{
	switch (leaf) {
	case 0x4:
	case 0x8000001d: return (h->eax & 0x1f) == 0;
	case 0xb:
	case 0x1f: return (h->ecx & 0xff00) == 0;
	case 0xd: return subleaf >= 19;
	default: return subleaf >= max;
	}
}

static u32 collect_leaf(struct cpuid_hint *hints, u32 count, u32 leaf)
{
	u32 max = 0, r[4];

	for (u32 subleaf = 0; subleaf < CPUID_SUBLEAF_MAX && count < CPUID_HINTS_MAX; subleaf++) {
		struct cpuid_hint *h = &hints[count];

		sgx_driver.cpuid(leaf, subleaf, r);
		*h = (struct cpuid_hint){leaf, subleaf, r[0], r[1], r[2], r[3]};
		count++;
		if (subleaf == 0)
			max = MIN(h->eax, (u32)CPUID_SUBLEAF_MAX);
		if (!has_subleaves(leaf) || is_last_subleaf(leaf, subleaf, h, max))
			break;
	}
	return count;
}

static u32 collect_cpuid(struct cpuid_hint *hints)
{
	u32 count = collect_leaf(hints, 0, 0);
	u32 top = MIN(hints[0].eax, 0x1fu), r[4];

	for (u32 leaf = 1; leaf <= top; leaf++)
		count = collect_leaf(hints, count, leaf);
	sgx_driver.cpuid(0x80000000, 0, r);
	for (u32 leaf = 0x80000000; leaf <= r[0] && leaf <= 0x80000021; leaf++)
		count = collect_leaf(hints, count, leaf);
	return count;
}

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000u + (u64)ts.tv_nsec;
}

/* Both clocks at one moment: the sample with the shortest gap counts. */
static void sample(u64 *tsc, u64 *ns)
{
	u64 best = UINT64_MAX;

	for (int i = 0; i < 5; i++) {
		u64 before = __builtin_ia32_rdtsc(), t = now_ns();
		u64 after = __builtin_ia32_rdtsc();

		if (after - before < best) {
			best = after - before;
			*tsc = before + (after - before) / 2;
			*ns = t;
		}
	}
}

static u64 first_tsc, first_ns;

__attribute__((constructor)) static void sample_at_start(void)
{
	sample(&first_tsc, &first_ns);
}

/* A few parts in 100 000; the kernel's clock corrects itself later. 0 when it is not constant. */
static u64 measure_tsc(void)
{
	u32 a, b, c, d;
	u64 tsc, ns;

	if (!__get_cpuid(0x80000007, &a, &b, &c, &d) || !(d & 1u << 8))
		return 0;
	do {
		sample(&tsc, &ns);
	} while (ns - first_ns < TSC_SAMPLE_NS);
	return (u64)((unsigned __int128)(tsc - first_tsc) * 1000000000u / (ns - first_ns));
}

/* A blob at the end of what is used so far. */
static int append(struct boot_memory *b, u64 *used, const void *bytes, u64 size,
		  struct host_blob *ret_blob)
{
	u8 *at = (u8 *)b->memory + *used;

	if (size > b->size - *used)
		return -E2BIG;
	memcpy(at, bytes, size);
	*ret_blob = (struct host_blob){.address = (u64)at, .size = size};
	*used = ALIGN_UP(*used + size, 64ul);
	return 0;
}

static void append_file(struct boot_memory *b, u64 *used, const char *path,
			struct host_blob *ret_blob)
{
	struct enclave_error ignored;
	u8 *bytes;
	u64 size;

	if (enclave_file_read(path, NAME_FILE_MAX, &bytes, &size, &ignored) < 0)
		return; /* advisory: without it the image's own counts */
	if (append(b, used, bytes, size, ret_blob) < 0)
		*ret_blob = (struct host_blob){0};
	free(bytes);
}

static void append_environ(struct boot_memory *b, u64 *used, struct host_blob *ret_blob)
{
	u8 *at = (u8 *)b->memory + *used;
	u64 size = 0;

	for (char **e = environ; e && *e; e++) {
		size_t len = strlen(*e) + 1;

		if (!environment_allows(*e))
			continue;
		if (len > HOST_BLOB_MAX - size || len > b->size - *used - size)
			break;
		memcpy(at + size, *e, len);
		size += len;
	}
	*ret_blob = (struct host_blob){.address = (u64)at, .size = size};
	*used = ALIGN_UP(*used + size, 64ul);
}

static void append_hostname(struct boot_memory *b, u64 *used, struct host_blob *ret_blob)
{
	char name[256];

	if (gethostname(name, sizeof(name) - 1) < 0)
		return;
	name[sizeof(name) - 1] = 0;
	if (append(b, used, name, strlen(name), ret_blob) < 0)
		*ret_blob = (struct host_blob){0};
}

int boot_memory_make(struct boot_memory *b, const char *instance_dir, u32 log_level,
		     struct enclave_error *error)
{
	struct cpuid_hint hints[CPUID_HINTS_MAX];
	char path[4096];
	u8 *config;
	u64 config_size, used = ALIGN_UP(sizeof(struct boot_info), 64ul);
	int err;

	snprintf(path, sizeof(path), "%s/build/.Occlum_sys.bin", instance_dir);
	err = enclave_file_read(path, CONFIG_SIZE_MAX, &config, &config_size, error);
	if (err < 0)
		return err;
	environment_init(config, config_size);
	b->size = MIB(2);
	b->memory = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b->memory == MAP_FAILED) {
		err = -errno;
		b->memory = NULL;
		enclave_error_set(error, "not enough memory to boot: %s", strerror(-err));
		free(config);
		return err;
	}
	b->info = b->memory;
	*b->info = (struct boot_info){
		.version = BOOT_INFO_VERSION,
		.log_level = log_level,
		.arena_start = (u64)inner.arenas,
		.arena_size = inner.thread_count * ARENA_SIZE,
	};
	err = append(b, &used, config, config_size, &b->info->config);
	free(config);
	if (!err)
		err = append(b, &used, hints, collect_cpuid(hints) * sizeof(hints[0]),
			     &b->info->cpuid);
	if (err < 0) {
		enclave_error_set(error, "the configuration is too large");
		boot_memory_free(b);
		return err;
	}
	append_file(b, &used, "/etc/hosts", &b->info->hosts);
	append_file(b, &used, "/etc/resolv.conf", &b->info->resolv_conf);
	append_hostname(b, &used, &b->info->hostname);
	append_environ(b, &used, &b->info->host_environ);
	b->info->tsc_hz = measure_tsc();
	return 0;
}

void boot_memory_free(struct boot_memory *b)
{
	if (b->memory)
		munmap(b->memory, b->size);
	b->memory = NULL;
}
