/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that answers every call with bytes of its choice. The generated table calls each wrapper
 * once with buffers of random size; the checks here stop the test when a wrapper lets a value
 * through that edge/hostcall.tbl does not allow, or touches a byte that it must not.
 */
#pragma once

#include "lib/base/types.h"

struct hostile_host {
	const u8 *bytes; /* what is left of the fuzz input; when it is used up, `seed` goes on */
	size_t size;
	u64 seed;
};

struct hostile_row {
	u32 number;
	const char *name;
	void (*call)(struct hostile_host *h);
	u32 buffer_count;
	struct {
		u32 position; /* in args: offset, then size */
		u32 max;
	} buffers[4];
};

extern const struct hostile_row hostile_rows[];
extern const size_t hostile_row_count;

/* Makes `count` calls of wrappers that the host's bytes choose. */
void hostile_host_run(struct hostile_host *h, size_t count);

/* For the generated table. */
u64 hostile_word(struct hostile_host *h);
size_t hostile_size(struct hostile_host *h, size_t max);
u8 *hostile_buffer(struct hostile_host *h, size_t size);
/* Frees the buffer; bytes from `used` on must be intact, all of them when `used` is 0. */
void hostile_buffer_check(struct hostile_host *h, u8 *buffer, size_t size, size_t used,
			  bool was_sent);
void hostile_result_check(struct hostile_host *h, const char *name, s64 result, s64 limit,
			  const u8 *allowed, size_t allowed_count);
