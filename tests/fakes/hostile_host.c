/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for kernel/arch and for the host below the generated wrappers. On each call it looks
 * whether the request keeps the table's bounds, then overwrites the whole arena. Results are drawn
 * near the interesting values (0, the buffer's size, small negatives), since 64 random bits would
 * hardly ever be acceptable.
 */
#include "tests/fakes/hostile_host.h"

#include <stdio.h>
#include <stdlib.h>

#include "edge/enclave.h"
#include "kernel/host/host_call.h"
#include "lib/base/string.h"

#define CANARY 0xa5

static struct thread_arena *arena;
static struct hostile_host *current;

static void __noreturn fail(const char *what, const char *name, s64 value)
{
	fprintf(stderr, "hostile host: %s: %s (%lld)\n", name, what, (long long)value);
	abort();
}

static u8 next_byte(struct hostile_host *h)
{
	if (h->size) {
		h->size--;
		return *h->bytes++;
	}
	h->seed = h->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (u8)(h->seed >> 56);
}

u64 hostile_word(struct hostile_host *h)
{
	u64 word = 0;

	for (int i = 0; i < 8; i++)
		word = word << 8 | next_byte(h);
	return word;
}

/* Often just at the bound and beyond it. */
size_t hostile_size(struct hostile_host *h, size_t max)
{
	switch (next_byte(h) % 8) {
	case 0: return max;
	case 1: return max + 1;
	case 2: return 0;
	default: return hostile_word(h) % (max + 1);
	}
}

u8 *hostile_buffer(struct hostile_host *h, size_t size)
{
	u8 *buffer = malloc(size ? size : 1);

	memset(buffer, CANARY, size);
	return buffer;
}

void hostile_buffer_check(struct hostile_host *h, u8 *buffer, size_t size, size_t used,
			  bool was_sent)
{
	if (used > size)
		fail("more than the buffer holds", "count", (s64)used);
	for (size_t i = used; i < size; i++) {
		if (buffer[i] != CANARY)
			fail("a byte beyond the result was written", "buffer", (s64)i);
	}
	free(buffer);
}

void hostile_result_check(struct hostile_host *h, const char *name, s64 result, s64 limit,
			  const u8 *allowed, size_t allowed_count)
{
	if (result >= 0) {
		if (result > limit)
			fail("result beyond the limit", name, result);
		return;
	}
	for (size_t i = 0; i < allowed_count; i++) {
		if (result == -(s64)allowed[i])
			return;
	}
	fail("an errno that is not listed", name, result);
}

static const struct hostile_row *row_of(u64 number)
{
	for (size_t i = 0; i < hostile_row_count; i++) {
		if (hostile_rows[i].number == number)
			return &hostile_rows[i];
	}
	fail("unknown number", "call", (s64)number);
}

static s64 draw_result(struct hostile_host *h, u64 size)
{
	switch (next_byte(h) % 8) {
	case 0: return 0;
	case 1: return (s64)size;
	case 2: return (s64)size + 1;
	case 3: return -(s64)(next_byte(h) % 140);
	case 4: return INT64_MIN;
	case 5: return -4096 + (s64)next_byte(h);
	case 6: return (s64)(hostile_word(h) % (size + 1));
	default: return (s64)hostile_word(h);
	}
}

struct thread_arena __host *host_arena(void)
{
	return (struct thread_arena __host *)arena;
}

void host_leave(void)
{
	const struct hostile_row *row = row_of(arena->call.number);
	u64 size = 0;

	for (u32 i = 0; i < row->buffer_count; i++) {
		u64 at = arena->call.args[row->buffers[i].position];

		size = arena->call.args[row->buffers[i].position + 1];
		if (size > row->buffers[i].max || at > ARENA_DATA_SIZE ||
		    size > ARENA_DATA_SIZE - at)
			fail("a request outside its bounds", row->name, (s64)size);
	}
	s64 result = draw_result(current, size);

	/* The data area gets a cheap pattern: 64 KiB of fuzz input per call would be waste. */
	memset(arena, next_byte(current), sizeof(*arena));
	arena->call.number = hostile_word(current);
	for (size_t i = 0; i < HOST_CALL_ARGS; i++)
		arena->call.args[i] = hostile_word(current);
	arena->call.result = result;
}

void hostile_host_run(struct hostile_host *h, size_t count)
{
	arena = aligned_alloc(PAGE_SIZE, sizeof(*arena));
	memset(arena, 0, sizeof(*arena));
	current = h;
	for (size_t i = 0; i < count; i++)
		hostile_rows[hostile_word(h) % hostile_row_count].call(h);
	free(arena);
	arena = NULL;
}
