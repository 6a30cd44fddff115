// SPDX-License-Identifier: Apache-2.0
/*
 * The end of the instance. Other threads may still run until their next entry, which is refused,
 * but from the first step here nothing of theirs leaves any more: what they would seal from now on
 * they might seal with half a key. Then the keys of all volumes, the image key and the state of the
 * generator are overwritten, without a lock and in bounded time: the host may keep the pages. What
 * stays are programs' memory, caches of files and the registers of other threads; nothing but the
 * processor keeps these.
 */
#include "kernel/core/panic.h"

#include "edge/hostcall_gen.h"
#include "kernel/arch/arch.h"
#include "kernel/core/config.h"
#include "kernel/core/random.h"
#include "kernel/core/wipe.h"
#include "kernel/host/host_call.h"
#include "lib/base/fmt.h"

void panic(const char *format, ...)
{
	static u32 entered;
	char line[400];
	va_list args;
	int n;

	if (__atomic_exchange_n(&entered, 1, __ATOMIC_SEQ_CST))
		arch_die();
	n = fmt_snprintf(line, sizeof(line), "the kernel stops: ");
	if (kernel_config()->debuggable) {
		va_start(args, format);
		n += fmt_vsnprintf(line + n, sizeof(line) - (size_t)n, format, args);
		va_end(args);
	} else {
		n += fmt_snprintf(line + n, sizeof(line) - (size_t)n, "an internal error");
	}
	host_close();
	random_wipe();
	wipers_run();
	host_log(0, line, MIN((size_t)n, sizeof(line) - 1));
	arch_die();
}
