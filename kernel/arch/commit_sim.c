// SPDX-License-Identifier: Apache-2.0
/* Pages of the program zone in the simulation: the host does it all. */
#include "abi/errno.h"
#include "edge/hostcall_gen.h"
#include "kernel/arch/commit.h"
#include "kernel/arch/commit_priv.h"

int commit_protect(u64 start, u64 end, u32 prot)
{
	return host_mem_protect(start, end - start, prot);
}

int commit_discard(u64 start, u64 end)
{
	return host_mem_discard(start, end - start);
}

int commit_copy(u64 start, u64 end, const void *bytes, u32 prot)
{
	return -EOPNOTSUPP;
}

int commit_move(u64 to, u64 from, u64 size, u32 prot)
{
	return host_mem_move(to, from, size, prot);
}

int commit_patch(u64 address, const void *code, size_t size)
{
	return host_mem_patch(address, code, size);
}

int commit_seal(u64 start, u64 end)
{
	return host_mem_protect(start, end - start, PAGES_READ);
}

int commit_init(u64 start, u64 end)
{
	return 0;
}

void commit_fini(void)
{
}
