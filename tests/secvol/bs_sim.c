// SPDX-License-Identifier: Apache-2.0
/*
 * Recording block store. Block contents are immutable buffers in an arena, so a state of the disk
 * is an array of pointers and copying one is cheap: the crash explorer makes hundreds of thousands.
 */
#include "tests/secvol/bs_sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sim_buf {
	struct sim_buf *next;
	alignas(16) u8 bytes[];
};

static u8 *arena_alloc(struct bs_sim *sim, size_t size)
{
	struct sim_buf *b = malloc(sizeof(*b) + size);

	if (!b)
		abort();
	b->next = sim->arena;
	sim->arena = b;
	return b->bytes;
}

u8 *bs_sim_keep(struct bs_sim *sim, const void *bytes, size_t size)
{
	u8 *copy = arena_alloc(sim, size);

	memcpy(copy, bytes, size);
	return copy;
}

u8 *bs_sim_edit(struct bs_sim *sim, u64 block)
{
	u8 *copy = arena_alloc(sim, BS_BLOCK);

	if (sim->now.block[block])
		memcpy(copy, sim->now.block[block], BS_BLOCK);
	else
		memset(copy, 0, BS_BLOCK);
	sim->now.block[block] = copy;
	return copy;
}

static void log_add(struct bs_sim *sim, const struct bs_req *r, const u8 *payload)
{
	if (!sim->logging)
		return;
	if (sim->log_count == sim->log_room) {
		sim->log_room = sim->log_room ? 2 * sim->log_room : 64;
		sim->log = reallocarray(sim->log, sim->log_room, sizeof(*sim->log));
		if (!sim->log)
			abort();
	}
	sim->log[sim->log_count++] = (struct sim_op){
		.op = r->op, .count = r->count, .block = r->block, .payload = payload};
}

static void read_run(struct bs_sim *sim, const struct bs_req *r)
{
	for (u32 i = 0; i < r->count; i++) {
		const u8 *from = sim->now.block[r->block + i];
		u8 *to = (u8 *)r->buf + (size_t)i * BS_BLOCK;

		if (from)
			memcpy(to, from, BS_BLOCK);
		else
			memset(to, 0, BS_BLOCK);
		if (sim->on_read)
			sim->on_read(sim->on_read_arg, r->block + i, to);
	}
}

static int request_run(struct bs_sim *sim, const struct bs_req *r)
{
	u8 *payload = NULL;

	sim->requests++;
	if (sim->fail_at && sim->requests >= sim->fail_at &&
	    sim->requests < sim->fail_at + sim->fail_count)
		return sim->fail_err;
	if (r->op != BS_FLUSH &&
	    (r->count == 0 || r->count > sim->bs.max_blocks || r->block >= sim->now.count ||
	     r->count > sim->now.count - r->block))
		return -ENOSPC;
	switch (r->op) {
	case BS_READ: read_run(sim, r); return 0;
	case BS_WRITE:
		payload = bs_sim_keep(sim, r->buf, (size_t)r->count * BS_BLOCK);
		for (u32 i = 0; i < r->count; i++)
			sim->now.block[r->block + i] = payload + (size_t)i * BS_BLOCK;
		break;
	case BS_TRIM:
		for (u32 i = 0; i < r->count; i++)
			sim->now.block[r->block + i] = NULL;
		break;
	case BS_FLUSH:
		if (sim->on_flush)
			sim->on_flush(sim->on_flush_arg);
		break;
	}
	log_add(sim, r, payload);
	return 0;
}

static int sim_submit(struct bs *bs, struct bs_batch *batch)
{
	struct bs_sim *sim = container_of(bs, struct bs_sim, bs);

	for (u32 i = 0; i < batch->count; i++)
		batch->reqs[i].result = request_run(sim, &batch->reqs[i]);
	return 0;
}

static int sim_reap(struct bs *bs, struct bs_batch *batch)
{
	return 0;
}

static u64 sim_size(struct bs *bs)
{
	return container_of(bs, struct bs_sim, bs)->now.count;
}

static void *sim_buf_alloc(struct bs *bs, size_t size)
{
	return aligned_alloc(BS_BLOCK, ALIGN_UP(size, (size_t)BS_BLOCK));
}

static void sim_buf_free(struct bs *bs, void *buf, size_t size)
{
	free(buf);
}

static void sim_close(struct bs *bs)
{
	bs_sim_free(container_of(bs, struct bs_sim, bs));
}

static const struct bs_ops sim_ops = {
	.submit = sim_submit,
	.reap = sim_reap,
	.size = sim_size,
	.buf_alloc = sim_buf_alloc,
	.buf_free = sim_buf_free,
	.close = sim_close,
};

struct sim_state sim_state_copy(const struct sim_state *from)
{
	struct sim_state s = {.block = calloc(from->count, sizeof(*s.block)), .count = from->count};

	if (!s.block)
		abort();
	memcpy(s.block, from->block, from->count * sizeof(*s.block));
	return s;
}

void sim_state_free(struct sim_state *state)
{
	free(state->block);
	*state = (struct sim_state){0};
}

struct bs_sim *bs_sim_from(const struct sim_state *state)
{
	struct bs_sim *sim = calloc(1, sizeof(*sim));

	if (!sim)
		abort();
	sim->now = sim_state_copy(state);
	sim->bs = (struct bs){.ops = &sim_ops, .caps = BS_CAP_TRIM, .max_blocks = BS_MAX_BLOCKS};
	return sim;
}

struct bs_sim *bs_sim_new(u64 blocks)
{
	struct sim_state empty = {.block = calloc(blocks, sizeof(*empty.block)), .count = blocks};
	struct bs_sim *sim = bs_sim_from(&empty);

	sim_state_free(&empty);
	return sim;
}

void bs_sim_free(struct bs_sim *sim)
{
	while (sim->arena) {
		struct sim_buf *next = sim->arena->next;

		free(sim->arena);
		sim->arena = next;
	}
	sim_state_free(&sim->now);
	free(sim->log);
	free(sim);
}
