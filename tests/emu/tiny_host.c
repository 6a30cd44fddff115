/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signal handler of the emulator's tests: freestanding, since FS may belong to the enclave.
 * What the emulator does not take is noted, and a thread that would fault for ever goes back to the
 * caller of tiny_call().
 */
#include "host/pal/inner/inner.h"
#include "tests/emu/emu_priv.h"
#include "tests/emu/tiny_host.h"

struct tiny_seen tiny_seen __attribute__((visibility("default")));
struct inner_thread tiny_thread __attribute__((visibility("default")));

extern const u8 tiny_recover[];

__attribute__((visibility("default"))) void tiny_on_signal(int sig, struct linux_siginfo *info,
							   struct linux_ucontext *uc)
{
	bool is_enclu;

	if (emu_signal(&tiny_thread, sig, info, uc))
		return;
	tiny_seen.count++;
	tiny_seen.sig = sig;
	tiny_seen.vector = (u32)uc->trapno;
	tiny_seen.error = (u32)uc->err;
	tiny_seen.address = uc->cr2;
	tiny_seen.rip = uc->rip;
	tiny_seen.rax = uc->rax;
	if (info->code <= 0)
		return;
	is_enclu = ((const u8 *)uc->rip)[0] == 0x0f && ((const u8 *)uc->rip)[1] == 0x01;
	if (!is_enclu)
		emu_die("test: signal %d at 0x%lx, address 0x%lx", sig, uc->rip, uc->cr2);
	uc->rip = (u64)tiny_recover;
	uc->rax = (u64)-1;
}
