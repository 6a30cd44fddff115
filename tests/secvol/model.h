/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle of the volume tests: a file system in a few hundred lines of memory, and operations
 * that can be applied to it and to a volume alike. Both must answer each operation with the same
 * error, and their dumps, digests of every name, attribute and byte, must be equal.
 */
#pragma once

#include "lib/secvol/secvol.h"

enum op_kind {
	OP_CREATE,   /* a */
	OP_MKDIR,    /* a */
	OP_SYMLINK,  /* a -> b */
	OP_LINK,     /* a gets the second name b */
	OP_UNLINK,   /* a */
	OP_RMDIR,    /* a */
	OP_RENAME,   /* a to b */
	OP_EXCHANGE, /* a with b */
	OP_WRITE,    /* a, off, len bytes that depend on seed */
	OP_TRUNCATE, /* a to len */
	OP_PUNCH,    /* a, off, len */
	OP_RESERVE,  /* a, off, len: no change that can be read */
	OP_CHMOD,    /* a to seed */
	OP_COMMIT,
	OP_CHECKPOINT,	  /* a commit after which the log is empty */
	OP_SNAP,	  /* snapshot a */
	OP_SNAP_DELETE,	  /* snapshot a */
	OP_SNAP_ROLLBACK, /* to snapshot a */
	OP_GROW,	  /* to len blocks */
	OP_ROTATE,	  /* a new volume key, and all is rewritten under it */
};

static inline bool op_is_commit(enum op_kind kind)
{
	return kind >= OP_COMMIT;
}

struct op {
	enum op_kind kind;
	const char *a, *b;
	u64 off, len;
	u32 seed;
};

struct model;

struct model *model_new(void);
void model_free(struct model *m);

/* 0 or the negative errno that a volume must also give. COMMIT does nothing here. */
int model_apply(struct model *m, const struct op *op);
int volume_apply(struct secvol *v, const struct op *op);

/* With the names of the snapshots; the tree alone is what a snapshot's volume shows. */
void model_dump(const struct model *m, u8 digest[32]);
void model_dump_tree(const struct model *m, u8 digest[32]);
int volume_dump_tree(struct secvol *v, u8 digest[32]);
/* 0, or the error that reading the volume met. */
int volume_dump(struct secvol *v, u8 digest[32]);

/* The object a path leads to. */
int volume_find(struct secvol *v, const char *path, u64 *ret_obj);

/* The content an OP_WRITE puts at byte `at` of a file. */
u8 op_byte(u32 seed, u64 at);

/* An operation drawn from a small set of paths; the same seed draws the same. */
struct op op_random(u32 *seed, u64 max_file);
