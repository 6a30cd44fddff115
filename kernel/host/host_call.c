/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place that follows a pointer to the host. The arena belongs to one thread and lies at an
 * address that was checked when the thread entered; offsets are the kernel's own. The host may
 * change any byte at any time, so a word is read once, into a local, and only then looked at.
 *
 * Untrusted memory is read and written in whole aligned words: partial writes would let stale
 * buffer data of the core leak, partial reads of device memory likewise. The bytes that fill up a
 * last word are zero.
 */
#include "kernel/host/host_call.h"

#include "abi/errno.h"
#include "lib/base/string.h"

#ifdef OCCLUM_FREESTANDING
static void copy_words(void *to, const void *from, size_t count)
{
	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}
#else
static void copy_words(void *to, const void *from, size_t count)
{
	if (count) /* an optional buffer that is not there is NULL */
		memcpy(to, from, count * 8);
}
#endif

static struct thread_arena *only_open; /* atomic; NULL: all are */

void host_close(void)
{
	__atomic_store_n(&only_open, (struct thread_arena *)host_arena(), __ATOMIC_SEQ_CST);
}

/* Whoever computed its bytes after the close sees it here. */
static void stop_if_closed(const struct thread_arena *arena)
{
	const struct thread_arena *only;

	do
		only = __atomic_load_n(&only_open, __ATOMIC_ACQUIRE);
	while (unlikely(only && only != arena));
}

void host_arena_put(u64 offset, const void *from, size_t size)
{
	struct thread_arena *arena = (struct thread_arena *)host_arena();
	u8 *to = arena->data + offset;
	size_t words = size / 8;
	u64 last = 0;

	stop_if_closed(arena);
	copy_words(to, from, words);
	if (size % 8 == 0)
		return;
	memcpy(&last, (const u8 *)from + words * 8, size % 8);
	__atomic_store_n((u64 *)(to + words * 8), last, __ATOMIC_RELAXED);
}

void host_arena_get(void *to, u64 offset, size_t size)
{
	const struct thread_arena *arena = (const struct thread_arena *)host_arena();
	const u8 *from = arena->data + offset;
	size_t words = size / 8;
	u64 last;

	copy_words(to, from, words);
	if (size % 8 == 0)
		return;
	last = __atomic_load_n((const u64 *)(from + words * 8), __ATOMIC_RELAXED);
	memcpy((u8 *)to + words * 8, &last, size % 8);
}

s64 host_call(u32 number, const u64 *args, size_t arg_count, s64 limit, const u8 *allowed,
	      size_t allowed_count)
{
	struct host_call_frame *call = &((struct thread_arena *)host_arena())->call;
	s64 result;

	__atomic_store_n(&call->number, number, __ATOMIC_RELAXED);
	for (size_t i = 0; i < arg_count; i++)
		__atomic_store_n(&call->args[i], args[i], __ATOMIC_RELAXED);
	host_leave();
	result = __atomic_load_n(&call->result, __ATOMIC_RELAXED);
	if (result >= 0)
		return result <= limit ? result : -EPROTO;
	for (size_t i = 0; i < allowed_count; i++) {
		if (result == -(s64)allowed[i])
			return result;
	}
	return -EPROTO;
}
