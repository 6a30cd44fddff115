// SPDX-License-Identifier: Apache-2.0
/*
 * The end of the instance. Other threads may still run until their next entry, which is refused;
 * what they could still do is ordinary work on intact data, since the thread that found the
 * inconsistency stops here. Keys are wiped first: the host may keep the pages.
 */
#include "kernel/core/panic.h"

#include "edge/hostcall_gen.h"
#include "kernel/arch/arch.h"
#include "kernel/core/config.h"
#include "kernel/core/random.h"
#include "lib/base/fmt.h"

void panic(const char *format, ...)
{
	static u32 entered;
	char line[400];
	va_list args;
	int n;

	if (__atomic_exchange_n(&entered, 1, __ATOMIC_SEQ_CST))
		arch_die();
	random_wipe();
	n = fmt_snprintf(line, sizeof(line), "the kernel stops: ");
	if (kernel_config()->debuggable) {
		va_start(args, format);
		n += fmt_vsnprintf(line + n, sizeof(line) - (size_t)n, format, args);
		va_end(args);
	} else {
		n += fmt_snprintf(line + n, sizeof(line) - (size_t)n, "an internal error");
	}
	host_log(0, line, MIN((size_t)n, sizeof(line) - 1));
	arch_die();
}
