/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the generated host call wrappers (edge/hostcall_gen.h) are made of. The arena is the only
 * untrusted memory that the kernel follows; each word of it is read once.
 */
#pragma once

#include "edge/enclave.h"

/*
 * Given by kernel/arch (tests/fakes in host builds): the running thread's arena, found outside the
 * enclave when the thread entered, and the way out: EEXIT with EXIT_HOST_CALL, back by
 * ECALL_HOST_RETURN. What the arena holds afterwards is the host's choice.
 */
struct thread_arena __host *host_arena(void);
void host_leave(void);

/* Copies to and from the arena's data area; whole aligned words only, never beyond the area. */
void host_arena_put(u64 offset, const void *from, size_t size);
void host_arena_get(void *to, u64 offset, size_t size);

/*
 * From now on only the calling thread's bytes leave the enclave: others stop where they would copy
 * theirs out, for ever.
 */
void host_close(void);

/*
 * Makes the call and checks its result: 0 .. limit or the negative of an errno in `allowed`, else
 * -EPROTO.
 */
s64 __must_check host_call(u32 number, const u64 *args, size_t arg_count, s64 limit,
			   const u8 *allowed, size_t allowed_count);

/* For messages. */
const char *hostcall_name(u32 number);

/*
 * Reads boot-time and ecall arguments: [address, address + size) of untrusted memory, once. The
 * range must lie wholly outside the enclave: -EFAULT. size is bounded by the caller.
 */
int __must_check host_copy_in(void *to, u64 address, size_t size);
