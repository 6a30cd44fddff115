/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block store in memory: sparse, in groups of 256 blocks that come with their first write. For
 * temporary volumes, tests and measurements. Not locked: two threads must not write one group for
 * the first time at once; the volume's mutex sees to that.
 */
#include "lib/secvol/blockstore.h"

#include "abi/errno.h"
#include "lib/base/overflow.h"
#include "lib/base/string.h"

#define GROUP_BLOCKS 256u

struct bs_mem {
	struct bs bs;
	struct bs_mem_env env;
	u64 blocks;
	u64 group_count;
	u8 **group;
};

static struct bs_mem *mem_of(struct bs *bs)
{
	return (struct bs_mem *)bs;
}

static void zero_blocks(struct bs_mem *m, u64 block, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		u8 *at = bs_mem_block(&m->bs, block + i);

		if (at)
			memset(at, 0, BS_BLOCK);
	}
}

static u8 *make_group(struct bs_mem *m, u64 g)
{
	if (!m->group[g]) {
		m->group[g] = m->env.alloc(m->env.arg, GROUP_BLOCKS * BS_BLOCK);
		if (m->group[g])
			memset(m->group[g], 0, GROUP_BLOCKS * BS_BLOCK);
	}
	return m->group[g];
}

static void *mem_map(struct bs *bs, u64 block, u32 count, bool write)
{
	struct bs_mem *m = mem_of(bs);
	u64 g = block / GROUP_BLOCKS, in = block % GROUP_BLOCKS;

	if (!range_within(block, count, m->blocks) || in + count > GROUP_BLOCKS)
		return NULL;
	if (write ? !make_group(m, g) : !m->group[g])
		return NULL;
	return m->group[g] + in * BS_BLOCK;
}

/* Copies between buf and the store, group by group. */
static int transfer(struct bs_mem *m, struct bs_req *r)
{
	u8 *buf = r->buf;

	for (u64 block = r->block, end = block + r->count; block < end;) {
		u64 g = block / GROUP_BLOCKS, in = block % GROUP_BLOCKS;
		size_t n = MIN(end - block, GROUP_BLOCKS - in) * BS_BLOCK;

		if (r->op == BS_WRITE && !make_group(m, g))
			return -ENOSPC;
		if (r->op == BS_WRITE)
			memcpy(m->group[g] + in * BS_BLOCK, buf, n);
		else if (m->group[g])
			memcpy(buf, m->group[g] + in * BS_BLOCK, n);
		else
			memset(buf, 0, n);
		buf += n;
		block += n / BS_BLOCK;
	}
	return 0;
}

static int mem_submit(struct bs *bs, struct bs_batch *batch)
{
	struct bs_mem *m = mem_of(bs);

	for (u32 i = 0; i < batch->count; i++) {
		struct bs_req *r = &batch->reqs[i];

		r->result = 0;
		if (r->op == BS_FLUSH)
			continue;
		if (r->count > BS_MAX_BLOCKS || !range_within(r->block, r->count, m->blocks))
			r->result = -EINVAL;
		else if (r->op == BS_TRIM)
			zero_blocks(m, r->block, r->count);
		else
			r->result = transfer(m, r);
	}
	return 0;
}

static int mem_reap(struct bs *bs, struct bs_batch *batch)
{
	return 0;
}

static u64 mem_size(struct bs *bs)
{
	return mem_of(bs)->blocks;
}

static void *mem_buf_alloc(struct bs *bs, size_t size)
{
	struct bs_mem *m = mem_of(bs);

	return m->env.alloc(m->env.arg, size);
}

static void mem_buf_free(struct bs *bs, void *buf, size_t size)
{
	struct bs_mem *m = mem_of(bs);

	m->env.free(m->env.arg, buf, size);
}

static void mem_close(struct bs *bs)
{
	struct bs_mem *m = mem_of(bs);
	struct bs_mem_env env = m->env;

	for (u64 g = 0; g < m->group_count; g++) {
		if (m->group[g])
			env.free(env.arg, m->group[g], GROUP_BLOCKS * BS_BLOCK);
	}
	env.free(env.arg, m->group, m->group_count * sizeof(*m->group));
	env.free(env.arg, m, sizeof(*m));
}

static const struct bs_ops mem_ops = {
	.submit = mem_submit,
	.reap = mem_reap,
	.size = mem_size,
	.buf_alloc = mem_buf_alloc,
	.buf_free = mem_buf_free,
	.map = mem_map,
	.close = mem_close,
};

int bs_mem_new(const struct bs_mem_env *env, u64 max_blocks, struct bs **ret_bs)
{
	struct bs_mem *m = env->alloc(env->arg, sizeof(*m));

	if (!m)
		return -ENOMEM;
	memset(m, 0, sizeof(*m));
	m->env = *env;
	m->blocks = max_blocks;
	m->group_count = max_blocks / GROUP_BLOCKS + 1;
	m->group = env->alloc(env->arg, array_size(m->group_count, sizeof(*m->group)));
	if (!m->group) {
		env->free(env->arg, m, sizeof(*m));
		return -ENOMEM;
	}
	memset(m->group, 0, m->group_count * sizeof(*m->group));
	m->bs.ops = &mem_ops;
	m->bs.caps = BS_CAP_TRIM;
	m->bs.max_blocks = BS_MAX_BLOCKS;
	*ret_bs = &m->bs;
	return 0;
}

u8 *bs_mem_block(struct bs *bs, u64 block)
{
	struct bs_mem *m = mem_of(bs);
	u8 *group = block < m->blocks ? m->group[block / GROUP_BLOCKS] : NULL;

	return group ? group + block % GROUP_BLOCKS * BS_BLOCK : NULL;
}
