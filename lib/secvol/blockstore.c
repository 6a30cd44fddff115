/* SPDX-License-Identifier: Apache-2.0 */
/* The volume's side of the block store: one batch at a time, nothing taken on trust. */
#include "lib/secvol/blockstore.h"

#include "abi/errno.h"

/* Only these errors leave a block store; anything else a backend says means EIO. */
static int clean_error(int err)
{
	return err == -ENOSPC || err == -ENOMEM || err == -EROFS ? err : -EIO;
}

int bs_run(struct bs *bs, struct bs_req *reqs, u32 count)
{
	struct bs_batch batch = {.reqs = reqs, .count = count};
	int err;

	for (u32 i = 0; i < count; i++)
		reqs[i].result = -EIO; /* unless the backend says otherwise */
	err = bs->ops->submit(bs, &batch);
	if (!err)
		err = bs->ops->reap(bs, &batch);
	if (err)
		return clean_error(err);
	for (u32 i = 0; i < count; i++) {
		if (reqs[i].result)
			return clean_error(reqs[i].result);
	}
	return 0;
}

int bs_read(struct bs *bs, u64 block, u32 count, void *buf)
{
	struct bs_req req = {.op = BS_READ, .block = block, .count = count, .buf = buf};

	return bs_run(bs, &req, 1);
}

int bs_write(struct bs *bs, u64 block, u32 count, void *buf)
{
	struct bs_req req = {.op = BS_WRITE, .block = block, .count = count, .buf = buf};

	return bs_run(bs, &req, 1);
}

int bs_flush(struct bs *bs)
{
	struct bs_req req = {.op = BS_FLUSH};

	return bs_run(bs, &req, 1);
}
