// SPDX-License-Identifier: Apache-2.0
/*
 * Reading what the host passes by address at an ecall: boot information, program names, argument
 * vectors. The bytes are copied once; whoever called looks at the copy alone.
 */
#include "abi/errno.h"
#include "kernel/arch/arch.h"
#include "kernel/host/host_call.h"

/*
 * Byte by byte up to an aligned address, then in words: reads of untrusted memory are aligned
 * words wherever a whole word belongs to the range.
 */
int host_copy_in(void *to, u64 address, size_t size)
{
	const volatile u8 *from = (const volatile u8 *)address;
	u8 *out = to;

	if (!size)
		return 0;
	if (!host_range_is_outside(address, size))
		return -EFAULT;
	for (; size && !IS_ALIGNED((u64)from, 8); size--)
		*out++ = *from++;
	for (; size >= 8; size -= 8, from += 8, out += 8) {
		u64 word = *(const volatile u64 *)from;

		__builtin_memcpy(out, &word, 8);
	}
	for (; size; size--)
		*out++ = *from++;
	return 0;
}
