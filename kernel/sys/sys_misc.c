// SPDX-License-Identifier: Apache-2.0
/* Calls about the instance as a whole: its name, its memory, its randomness. */
#include "abi/errno.h"
#include "abi/process.h"
#include "kernel/core/random.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/load.h"
#include "kernel/proc/process.h"
#include "kernel/sys/hostname.h"
#include "kernel/sys/syscalls_gen.h"
#include "kernel/time/clock.h"
#include "kernel/time/timespec.h"
#include "lib/base/string.h"

#define PERSONALITY_QUERY 0xffffffffu
#define RANDOM_CHUNK	  256

/*
 * What programs may rely on is Linux, and glibc's loaders compare the release with what they were
 * built for, so that is what uname() says.
 */
#define UNAME_SYSNAME	  "Linux"

static char hostname[65] = "occlum-node";

void hostname_set(const char *name)
{
	(void)!str_copy(hostname, name, sizeof(hostname));
}

const char *hostname_get(void)
{
	return hostname;
}

long sys_uname(void __user *name)
{
	struct abi_utsname u = {
		.sysname = UNAME_SYSNAME,
		.release = UNAME_RELEASE,
		.version = "#1 Occlum " OCCLUM_VERSION,
		.machine = "x86_64",
		.domainname = "(none)",
	};

	(void)!str_copy(u.nodename, hostname, sizeof(u.nodename));
	return copy_to_user(name, &u, sizeof(u));
}

long sys_sysinfo(void __user *info)
{
	struct abi_sysinfo s = {.mem_unit = 1};

	s.uptime = (s64)((clock_monotonic_ns() - clock_boot_ns()) / NS_PER_SEC);
	mm_system_totals(&s.totalram, &s.freeram);
	load_averages(s.loads);
	s.procs = (u16)MIN(thread_total(), (u32)UINT16_MAX);
	return copy_to_user(info, &s, sizeof(s));
}

/* Only the native persona exists; asking for it, or which it is, works. */
long sys_personality(u32 persona)
{
	if (persona == PERSONALITY_QUERY || persona == 0)
		return 0;
	return -EINVAL;
}

long sys_getrandom(void __user *buf, u64 count, u32 flags)
{
	u8 chunk[RANDOM_CHUNK];
	u64 done = 0;
	int err = 0;

	if (flags & ~(u32)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if ((flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	count = MIN(count, (u64)INT_MAX);
	while (done < count && !err) {
		u64 part = MIN(count - done, sizeof(chunk));

		err = random_bytes(chunk, part);
		if (!err)
			err = copy_to_user((u8 __user *)buf + done, chunk, part);
		if (!err)
			done += part;
		if (done && thread_has_work(current_thread()))
			break;
	}
	mem_wipe(chunk, sizeof(chunk));
	return done ? (long)done : err;
}
