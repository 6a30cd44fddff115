/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What occlum-run-emu is told by its environment, and what it tells at its end.
 *
 *   EMU_<FIELD>=number              a field of struct emu_config by its name in capitals
 *   EMU_KEY=file                    32 bytes: the platform; without it a random one
 *   EMU_CPUSVN=hex                  16 bytes
 *   EMU_SCENARIO=name:at[:value]    see scenarios[]
 *   EMU_RANGES=name:start-end,...   offsets from BASE, hexadecimal
 *   EMU_STATS=file                  counters, written when the process exits
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "tests/emu/emu.h"

enum kind { U32, U64, BOOL };

static const struct {
	const char *name;
	enum kind kind;
	void *at;
} fields[] = {
	{"SEED", U64, &emu_config.seed},
	{"NO_DEVICE", BOOL, &emu_config.no_device},
	{"OLD_NAMES", BOOL, &emu_config.old_names},
	{"NO_PROVISION_DEVICE", BOOL, &emu_config.no_provision_device},
	{"DEVICE_IS_LOCKED", BOOL, &emu_config.device_is_locked},
	{"NO_SGX2", BOOL, &emu_config.no_sgx2},
	{"NO_EXINFO", BOOL, &emu_config.no_exinfo},
	{"NO_ENTRY_FUNCTION", BOOL, &emu_config.no_entry_function},
	{"NO_LAUNCH_CONTROL", BOOL, &emu_config.no_launch_control},
	{"TRAP_RDTSC", BOOL, &emu_config.trap_rdtsc},
	{"LIE_IN_CPUID", U32, &emu_config.lie_in_cpuid},
	{"LAUNCH_DEBUG", BOOL, &emu_config.launch_debug},
	{"XFRM", U64, &emu_config.xfrm},
	{"SHORT_COUNTS", U32, &emu_config.short_counts},
	{"INTERRUPTED", U32, &emu_config.interrupted},
	{"BUSY", U32, &emu_config.busy},
	{"AGAIN", U32, &emu_config.again},
	{"NO_MEMORY", U32, &emu_config.no_memory},
	{"BUSY_ADDING", U32, &emu_config.busy_adding},
	{"AEX_MIN_NS", U32, &emu_config.aex_min_ns},
	{"AEX_MAX_NS", U32, &emu_config.aex_max_ns},
	{"STEP_PERMILLE", U32, &emu_config.step_permille},
	{"STEP_LENGTH", U32, &emu_config.step_length},
	{"LONG_WAY_PERMILLE", U32, &emu_config.long_way_permille},
	{"TAME", BOOL, &emu_config.tame},
	{"FILL_UNMEASURED", BOOL, &emu_config.fill_unmeasured},
};

static const char *const scenarios[EMU_SCENARIO_COUNT] = {
	[EMU_NOTHING] = "nothing",
	[EMU_UNMAP] = "unmap",
	[EMU_UNMAP_ONCE] = "unmap-once",
	[EMU_REPLACE] = "replace",
	[EMU_UNMAP_KERNEL] = "unmap-kernel",
	[EMU_ECALL] = "ecall",
	[EMU_STORM] = "storm",
	[EMU_DELAY] = "delay",
	[EMU_WRONG_TCS] = "wrong-tcs",
	[EMU_BUSY_TCS] = "busy-tcs",
	[EMU_EARLY] = "early-exception",
};

static void refuse(const char *name, const char *value)
{
	fprintf(stderr, "emulated SGX: %s=%s: not understood\n", name, value);
	_exit(98);
}

static void read_field(size_t i)
{
	char name[64];
	const char *value;
	char *end;
	u64 number;

	snprintf(name, sizeof(name), "EMU_%s", fields[i].name);
	value = getenv(name);
	if (!value)
		return;
	errno = 0;
	number = strtoull(value, &end, 0);
	if (errno || *end || end == value)
		refuse(name, value);
	switch (fields[i].kind) {
	case U32: *(u32 *)fields[i].at = (u32)number; break;
	case U64: *(u64 *)fields[i].at = number; break;
	case BOOL: *(bool *)fields[i].at = number != 0; break;
	}
}

static void read_key(void)
{
	const char *path = getenv("EMU_KEY");
	int fd;

	if (!path) {
		if (getrandom(emu_config.platform_key, 32, 0) != 32)
			abort();
		return;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, emu_config.platform_key, 32) != 32)
		refuse("EMU_KEY", path);
	close(fd);
}

static void read_cpusvn(void)
{
	const char *value = getenv("EMU_CPUSVN");

	if (!value)
		return;
	if (strlen(value) != 32)
		refuse("EMU_CPUSVN", value);
	for (int i = 0; i < 16; i++) {
		unsigned int byte;

		if (sscanf(value + 2 * i, "%2x", &byte) != 1)
			refuse("EMU_CPUSVN", value);
		emu_config.cpusvn[i] = (u8)byte;
	}
}

static void read_scenario(void)
{
	const char *value = getenv("EMU_SCENARIO");
	unsigned long long at, number = 0;
	char name[32];

	if (!value)
		return;
	if (sscanf(value, "%31[a-z-]:%llu:%lli", name, &at, (long long *)&number) < 2)
		refuse("EMU_SCENARIO", value);
	emu_config.scenario_at = at;
	emu_config.scenario_value = number;
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
		if (strcmp(name, scenarios[i]) == 0) {
			emu_config.scenario = (enum emu_scenario)i;
			return;
		}
	}
	refuse("EMU_SCENARIO", value);
}

static void read_ranges(void)
{
	const char *value = getenv("EMU_RANGES");

	for (size_t i = 0; value && *value && i < ARRAY_SIZE(emu_config.ranges); i++) {
		struct emu_range *r = &emu_config.ranges[i];
		unsigned long long start, end;
		int used = 0;

		if (sscanf(value, "%23[^:]:%llx-%llx%n", r->name, &start, &end, &used) != 3)
			refuse("EMU_RANGES", value);
		r->start = start;
		r->end = end;
		value += used;
		if (*value == ',')
			value++;
	}
}

void emu_config_read(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		read_field(i);
	read_key();
	read_cpusvn();
	read_scenario();
	read_ranges();
}

void emu_stats_print(int fd)
{
	const struct emu_stats *s = &emu_stats;
	static const char *const ioctls[8] = {"create", "add_pages", "init",   "provision",
					      "vepc",	"restrict",  "modify", "remove"};
	const struct {
		const char *name;
		u64 value;
	} simple[] = {
		{"eenter", s->eenter},
		{"eenter_nested", s->eenter_nested},
		{"eexit", s->eexit},
		{"eresume", s->eresume},
		{"aex_interrupt", s->aex_interrupt},
		{"aex_nested", s->aex_nested},
		{"steps", s->steps},
		{"eaug", s->eaug},
		{"eaccept", s->eaccept},
		{"emodpe", s->emodpe},
		{"eacceptcopy", s->eacceptcopy},
		{"ereport", s->ereport},
		{"egetkey", s->egetkey},
		{"mmaps", s->mmaps},
		{"mprotects", s->mprotects},
		{"munmaps", s->munmaps},
		{"host_touches", s->host_touches},
		{"injected", s->injected},
		{"host_faults", s->host_faults},
		{"exits_return", s->exits_return},
		{"exits_exception", s->exits_exception},
		{"exits_abort", s->exits_abort},
		{"dirty_exits", s->dirty_exits},
		{"scenario_done", s->scenario_done},
	};

	for (size_t i = 0; i < ARRAY_SIZE(simple); i++)
		dprintf(fd, "%s %lu\n", simple[i].name, simple[i].value);
	for (int i = 0; i < 32; i++) {
		if (s->aex_fault[i])
			dprintf(fd, "aex_vector_%d %lu\n", i, s->aex_fault[i]);
	}
	for (int i = 0; i < 8; i++) {
		if (s->ioctls[i])
			dprintf(fd, "ioctl_%s %lu\n", ioctls[i], s->ioctls[i]);
	}
	for (int i = 0; i < EMU_RANGES && emu_config.ranges[i].end; i++)
		dprintf(fd, "aex_in_%s %lu\n", emu_config.ranges[i].name, s->aex_in_range[i]);
	for (int i = 0; i < EMU_HOST_CALLS; i++) {
		if (s->exits_for[i])
			dprintf(fd, "host_call_%d %lu\n", i, s->exits_for[i]);
	}
	dprintf(fd, "mrenclave ");
	for (size_t i = 0; i < sizeof(s->mrenclave); i++)
		dprintf(fd, "%02x", s->mrenclave[i]);
	dprintf(fd, "\n");
	if (emu_dirty_text[0])
		dprintf(fd, "# %s\n", emu_dirty_text);
}

static void at_exit(void)
{
	const char *path = getenv("EMU_STATS");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return;
	emu_stats_print(fd);
	close(fd);
}

__attribute__((constructor)) static void at_start(void)
{
	emu_config_read();
	atexit(at_exit);
}
