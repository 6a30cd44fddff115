/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/secvol: the volume and its parts. Everything in struct secvol is guarded by its
 * mutex, taken by the public functions (sv_begin/sv_end). Who commits takes commit_lock before it,
 * so that the mutex can be given up while a commit's writes are on their way.
 *
 *   volume.c   open, format, close        root.c    root slots, choosing the newest
 *   keys.c     key slots, sessions        seal.c    blocks and nodes: nonces, tags, pointers
 *   node.c     one node                   tree.c    lookups, changes, dirty paths, node cache
 *   delta.c    changes since then          alloc.c   giving blocks out and taking them back
 *   group.c    allocation groups          commit.c  the checkpoint
 *   log.c      commits in between         recover.c reading them back
 *   inode.c    objects in memory          dir.c     objects under names
 *   data.c     contents of files          extent.c  where file blocks lie
 *   read.c     plans of reads             page.c    pages and their cache
 *   xattr.c    attributes, call sites     check.c   the whole volume compared with itself
 *   name.c     names in directories       rename.c  renaming
 *   pinned.c   the rest of an image       to_root.c back to an older root
 *   reserve.c  space promised to files    twice.c   second copies of metadata
 *
 * Changes are made in two steps: "prepare" loads and dirties every node a change will touch and
 * reserves memory, and may fail with nothing changed; what follows only fails if a promise was
 * broken, and then the volume stops taking writes (sv_fail) while its last commit stays intact.
 */
#pragma once

#include "lib/base/list.h"
#include "lib/base/overflow.h"
#include "lib/base/string.h"
#include "lib/crypto/aes_gcm.h"
#include "lib/secvol/delta.h"
#include "lib/secvol/node.h"
#include "lib/secvol/secvol.h"
#include "lib/secvol/secvol_format.h"

#define SV_VIRTUAL     (1ull << 47) /* address of a node that has not been written yet */
#define SV_MAX_DEPTH   10u
#define SV_HASH_SIZE   1024u
#define SV_IO_BLOCKS   64u /* blocks of the transfer buffer */
#define SV_TRIM_UNIT   64u /* blocks, aligned in their group, that are trimmed together */
#define SV_SEAL_BATCH  8u  /* blocks sealed or opened within one vector bracket */
#define SV_SLACK_NODES 16u /* nodes a commit may need beyond the dirty ones */

/* A block pointer in host order. `mac` is the tag (16 bytes, then zeros) or a SHA-256. */
struct sv_ptr {
	u64 addr;
	u64 copy; /* a second place that holds the same bytes; 0: none */
	u32 nblk;
	u64 birth;
	u8 type;
	u8 level;
	u8 flags;
	u64 ctr;
	u32 kid;
	u8 mac[32];
};

struct sv_tree {
	u8 id;
	struct sv_ptr root; /* addr 0: empty */
};

struct sv_path {
	struct sv_node *node[SV_MAX_DEPTH]; /* from the root down */
	u32 idx[SV_MAX_DEPTH];
	u32 depth;	      /* nodes; 0: empty tree */
	bool has_lo, has_hi;  /* bounds of the keys that can be in the leaf */
	struct sv_key lo, hi; /* hi exclusive */
};

struct sv_session {
	u32 kid;
	u16 epoch;
	u8 salt[32];
	u64 live;	    /* blocks sealed under it that the present tree refers to */
	u64 live_committed; /* as the key table says */
	bool in_table;
	struct aes_gcm *ctx; /* made when first used */
	u8 key_id[32];	     /* names the key to the nonce audit; SHA-256 of it */
};

struct sv_run {
	u64 addr;
	u32 count;
};

/* A growing list of block runs. */
struct sv_runs {
	struct sv_run *run;
	u32 n;
	u32 cap;
};

struct sv_ag {
	u32 index;
	u64 start;
	u32 nblocks;
	u32 bm_blocks; /* of each of the two bitmaps */
	u32 avail;     /* bits clear in `used` */
	u32 quads;     /* node-sized aligned groups that are wholly clear in `used` */
	u32 free;      /* bits clear in `cur` */
	bool dirty;    /* cur differs from what is committed */
	bool moved;    /* this commit has accounted for the new bitmap */
	u8 which;
	bool written;
	struct sv_ptr ptr; /* of the committed bitmap: kid, birth, ctr, mac */
	u8 *cur;	   /* blocks the present tree refers to */
	u8 *used;	   /* cur, and blocks that older roots refer to */
};

struct sv_read_part {
	u32 to; /* block within the read */
	u32 count;
	struct sv_ptr ptr;
	const struct aes_gcm *ctx;
	const u8 *from; /* untrusted */
};

/* The index log since the newest root. */
struct sv_log {
	struct sv_runs
		segs;	 /* in the order of the chain; none: no log, each commit is a checkpoint */
	u32 pos;	 /* in the last segment: where the next block goes */
	u32 blocks;	 /* written or read so far */
	bool full;	 /* the next commit is a checkpoint */
	u64 first_seq;	 /* of the log's first block */
	u64 seq;	 /* of the next block */
	u64 flushed_seq; /* newest one that is surely durable */
	u8 seed[32];
	u8 chain[32];
	u8 *buf; /* trusted, SV_LOG_BLOCKS */
};

/*
 * A commit's writes on their way: sealed bytes in transfer memory that is the commit's own, so that
 * the mutex can be given up while they are written. Chunks stamped with `stamp` keep their pages
 * until then: the store does not have them yet.
 */
struct sv_queue {
	bool filling;	/* data written now is queued, not written at once */
	bool in_flight; /* submitted, not yet durable */
	u32 stamp;
	u8 *io; /* SV_IO_BLOCKS + SV_LOG_BLOCKS */
	struct bs_req req[SV_IO_BLOCKS + 2];
	u32 reqs;
	u32 blocks;
};

/* One read of up to a chunk's blocks: the plan and its buffers. */
struct sv_reader {
	struct sv_reader *next;
	bool shared; /* the buffers are the volume's */
	u8 *io;	     /* untrusted, SV_IO_BLOCKS */
	u8 *bounce;  /* trusted, SV_SEAL_BATCH blocks */
	u64 obj;
	u64 block;
	u32 count;
	u32 parts;
	u32 reqs;
	struct sv_read_part part[SV_EXTENT_BLOCKS];
	struct bs_req req[SV_EXTENT_BLOCKS];
	u8 macs[SV_EXTENT_BLOCKS * 32];
};

struct sv_chunk {
	struct sv_chunk *hash_next;
	struct list_node lru;
	struct list_node dirty_link;
	u64 obj;
	u64 index; /* file block / 64 */
	u64 valid;
	u64 dirty;
	u32 stamp; /* sv_queue.stamp of the commit that took its pages along */
	u8 *page[SV_EXTENT_BLOCKS];
};

struct sv_inode_mem {
	struct sv_inode_mem *hash_next;
	struct list_node lru; /* when no one holds it */
	struct list_node dirty_link;
	struct secvol_attr attr;
	u64 parent;
	u32 holds;
	bool dirty;
	bool inlined; /* has an INLINE item */
	bool orphan;  /* has an ORPHAN item */
	u32 dirty_pages;
	u64 next_read; /* block after the last read, for read-ahead */
};

struct secvol {
	struct secvol_params p;
	struct secvol_env env;
	struct secvol_hooks hooks;
	u8 volume_id[SECVOL_VOLUME_ID_MAX];
	struct bs *bs;
	void *lock;
	bool rw;
	int failed; /* why writes are refused, or 0 */

	/* from the root slot */
	u8 uuid[16];
	u64 gen; /* newest durable; the commit being made is gen + 1 */
	u64 size_blocks;
	u32 node_size, node_blocks;
	u8 node_log2, ag_log2;
	bool dup; /* what is not content is there twice */
	u32 open_seq;
	u64 used; /* blocks the present tree refers to, bitmaps not counted */
	u64 files;
	u64 next_obj;
	s64 created, committed;
	u32 uid, gid, sites_version;
	u8 label[64];
	u8 lower_sha256[32];
	u8 root_sha256[32];
	u16 seal_version;
	struct sv_keyslot slots[SECVOL_KEY_SLOTS];
	struct sv_old_vmk old_vmk[2];
	struct sv_tree fs, keys, ags, snaps;
	bool dirty;	      /* something differs from the last commit */
	bool open_commit_due; /* nothing was written yet: the first change starts the session */
	void *commit_lock;    /* held by who commits; taken before the mutex */
	bool is_shared;	      /* open and locked: others may come in when the mutex is given up */
	bool in_checkpoint;   /* the mutex is given up for readers; changes wait for commit_lock */

	/* freshness; commit lock */
	struct secvol_state state;	 /* newest durable */
	struct secvol_state making;	 /* of the commit being made */
	struct secvol_anchored anchored; /* what the anchor holds */
	u16 slot_isvsvn;		 /* of the key slot that opened, or was made */
	u8 slot_index;			 /* which that is */
	bool anchor_due;		 /* nothing was announced since the open */

	/* snapshots */
	u64 snap_newest; /* generation; 0: none */
	u64 dead_seq;	 /* largest number of a DEADLIST item */
	struct sv_dead *dead;
	u32 dead_count, dead_cap; /* not yet in the newest one's list */

	/* changes since the newest root */
	struct sv_delta delta;
	u32 frees_max;	  /* blocks waiting to be free at which a commit becomes a checkpoint */
	size_t delta_max; /* bytes at which a checkpoint is due */
	u32 log_max;	  /* likewise, blocks of log */
	struct sv_log log;
	struct sv_queue queue;
	u64 groups_begun, groups_durable; /* commits of either kind since the open */
	struct sv_runs recovered;	  /* data the log refers to, sorted; until it is settled */
	struct sv_runs unflushed;	  /* data written since the last flush was begun */
	bool unflushed_lost;		  /* more than are remembered */

	/* keys */
	u8 vmk[32];
	u16 epoch;
	struct sv_session *sessions;
	u32 session_count, session_cap;
	u32 kid; /* of the current session */
	u64 next_ctr;
	struct sv_key rotate_key; /* where the next step of a rotation goes on */

	/* nodes */
	struct sv_node *node_hash[SV_HASH_SIZE];
	struct list_node node_lru;
	size_t node_bytes; /* of all nodes in memory */
	u32 dirty_nodes;
	u64 next_virtual;
	struct sv_node *spare[64];
	u32 spare_count;

	/* allocation */
	struct sv_ag **ag;
	u32 ag_count;
	u64 capacity;	    /* blocks that can ever hold data or nodes */
	u64 promised;	    /* blocks kept free for RESERVED items */
	bool root_reserves; /* the newest root says that there are some */
	u64 avail; /* capacity - used - blocks kept for older roots or freed since the last commit */
	u64 quads; /* wholly free node-sized groups in the allocation groups that are loaded */
	u32 loaded_ags;
	u32 data_ag, node_ag;
	u32 data_hint, node_hint; /* next-fit positions within them */
	u32 copy_ag, copy_hint;	  /* likewise of second copies of nodes */
	struct sv_runs frees;	  /* freed since the last checkpoint */
	u64 freed_blocks;	  /* in them */
	u32 frees_applied; /* how many of them are cleared in `cur` already (during a commit) */
	struct sv_runs pending[8]; /* freed in commit gen, at [gen % 8] */
	bool may_reclaim;	   /* a root was written since secvol_reclaim() */

	/* objects and pages */
	struct sv_inode_mem *inode_hash[SV_HASH_SIZE];
	struct list_node inode_lru, inode_dirty;
	u32 inode_count, inode_dirty_count;
	struct sv_chunk *chunk_hash[SV_HASH_SIZE];
	struct list_node chunk_lru, chunk_dirty;
	u32 pages, dirty_pages, max_pages;
	u32 keep_roots;

	/* buffers */
	u8 *io;				/* transfer memory, untrusted: SV_IO_BLOCKS blocks */
	u8 *bounce;			/* trusted, 64 KiB: ciphertext on its way */
	u8 *node_buf;			/* trusted, node_size */
	u8 *scratch;			/* trusted, node_size: compaction */
	u8 *val[3];			/* trusted, SV_ITEM_MAX each: values being built */
	struct sv_reader *reader;	/* for reads under the mutex */
	struct sv_reader *idle_readers; /* for those outside of it */
	u32 reader_count;
};

/* ---- volume.c ---- */
/* An empty volume in memory: checked parameters, buffers, lock. Format, open and the image builder
 * fill it. */
int __must_check sv_volume_new(const struct secvol_params *p, struct secvol **ret_v);
void sv_volume_free(struct secvol *v);
void *sv_alloc(struct secvol *v, size_t size);
void *sv_zalloc(struct secvol *v, size_t size);
void sv_free(struct secvol *v, void *p, size_t size);
void sv_lock(struct secvol *v);
void sv_unlock(struct secvol *v);
void sv_commit_lock(struct secvol *v);
void sv_commit_unlock(struct secvol *v);
void sv_now(struct secvol *v, struct secvol_time *t);
/* A promise was broken or the store failed: no more writes. Returns err. */
int sv_fail(struct secvol *v, int err);
/* Takes the lock; for changes: refuses read-only volumes, makes room in caches and, by a commit,
 * in the volume. `data` and `nodes` is what the change may need. A freeing change may use what is
 * held back. With an error the lock is not held. */
int __must_check sv_begin(struct secvol *v);
int __must_check sv_begin_write(struct secvol *v, u64 data, u32 nodes, bool freeing);
void sv_end(struct secvol *v);
u64 sv_held_back(const struct secvol *v);
/* Commit lock and mutex held. */
int __must_check sv_make_room(struct secvol *v, u64 data, u32 nodes, bool freeing);
static inline bool sv_fault(const struct secvol *v, u32 fault)
{
	return v->hooks.faults & fault;
}
static inline bool sv_sealed(const struct secvol *v)
{
	return v->p.mode != SECVOL_HASH;
}
/* Pointers carry a SHA-256 instead of a tag. */
static inline bool sv_hashed(const struct secvol *v)
{
	return v->p.mode != SECVOL_SEALED;
}
static inline u32 sv_mac_size(const struct secvol *v)
{
	return sv_hashed(v) ? 32 : 16;
}

/* The open commit, when the first change comes. Under the mutex. */
int __must_check sv_open_commit(struct secvol *v);

/* ---- seal.c ---- */
void sv_ptr_encode(const struct secvol *v, const struct sv_ptr *p, struct sv_bptr *to);
/* -EUCLEAN unless the pointer lies within the volume. */
int __must_check sv_ptr_decode(const struct secvol *v, const struct sv_bptr *from,
			       struct sv_ptr *p);
/* Takes `count` counter values; the volume must be writable and have them left. */
int __must_check sv_take_ctr(struct secvol *v, u32 count, u64 *ret_first);
void sv_aad(const struct secvol *v, struct sv_aad *aad, u8 domain, u8 level,
	    const struct sv_key *owner, u64 birth);
/* One unit (node or bitmap): sealed in place in trusted memory; fills ctr, kid, mac of p, whose
 * addr, nblk and birth are set. */
void sv_make_nonce(u8 nonce[AES_GCM_NONCE], u64 ctr, u32 domain);
int __must_check sv_seal_unit(struct secvol *v, u8 domain, u8 level, const struct sv_key *owner,
			      u8 *buf, u32 size, struct sv_ptr *p);
int __must_check sv_open_unit(struct secvol *v, u8 domain, u8 level, const struct sv_key *owner,
			      u8 *buf, u32 size, const struct sv_ptr *p);
/* File blocks of one extent. Sealing goes from `src` pages through trusted memory to `to`
 * (transfer memory); macs: count of sv_mac_size(). ext: addr, birth set; ctr0 and kid filled. */
int __must_check sv_seal_blocks(struct secvol *v, u64 obj, u64 block, u32 count,
				const u8 *const *src, u8 *to, struct sv_ptr *ext, u8 *macs);
int __must_check sv_open_blocks(const struct secvol *v, u8 *bounce, const struct aes_gcm *ctx,
				u64 obj, u64 block, u32 count, const u8 *from, u8 *const *dst,
				const struct sv_ptr *ext, const u8 *macs);

/* ---- keys.c ---- */
int __must_check sv_session_find(struct secvol *v, u32 kid, struct sv_session **ret_s);
int __must_check sv_session_ctx(struct secvol *v, u32 kid, const struct aes_gcm **ret_ctx);
void sv_session_live(struct secvol *v, u32 kid, s64 blocks);
int __must_check sv_session_add(struct secvol *v, u32 kid, u16 epoch, const u8 salt[32]);
/* A fresh kid and salt become current; the key table has to be rewritten under it. */
int __must_check sv_session_start(struct secvol *v);
void sv_sessions_free(struct secvol *v);
int __must_check sv_keyslot_make(struct secvol *v, const struct secvol_key_source *src,
				 struct sv_keyslot *slot);
void sv_slot_info(const struct sv_keyslot *slot, struct secvol_slot_info *info);
/* Opens the VMK by any slot: -EKEYREJECTED. */
int __must_check sv_keyslots_open(struct secvol *v, const struct sv_keyslot slots[4], u16 epoch,
				  const u8 uuid[16]);
int __must_check sv_image_key(struct secvol *v);
int __must_check sv_key_table_load(struct secvol *v);

/* ---- volume.c, for to_root.c ---- */
void sv_set_limits(struct secvol *v);

/* ---- root.c ---- */
int __must_check sv_root_write(struct secvol *v, bool clean);
int __must_check sv_root_read(struct secvol *v, struct secvol_report *report);

/* ---- pinned.c ---- */
/* -EBADMSG unless what the pinned root does not lead to is zero. */
int __must_check sv_pinned_check(struct secvol *v);

/* ---- delta.c ---- */
int __must_check sv_tree_lookup(struct secvol *v, struct sv_tree *t, const struct sv_key *key,
				const u8 **ret_val, u32 *ret_size); /* -ENOENT */
/* The first item at or after *key; writes its key there. The value is borrowed until the next
 * tree call. -ENOENT at the end. */
int __must_check sv_tree_next(struct secvol *v, struct sv_tree *t, struct sv_key *key,
			      const u8 **ret_val, u32 *ret_size);
/* The same in the fs tree among the items of one object and type, those at offsets up to `last`. */
int __must_check sv_item_next(struct secvol *v, struct sv_key *key, u64 last, const u8 **ret_val,
			      u32 *ret_size);
/* After this, up to `inserts` puts and any number of deletes of extents between lo and hi, within
 * one chunk, cannot fail. */
int __must_check sv_tree_prepare(struct secvol *v, struct sv_tree *t, const struct sv_key *lo,
				 const struct sv_key *hi, u32 inserts);
/* Inserts or replaces. Prepares by itself. */
int __must_check sv_tree_put(struct secvol *v, struct sv_tree *t, const struct sv_key *key,
			     const void *val, u32 size);
int __must_check sv_tree_delete(struct secvol *v, struct sv_tree *t, const struct sv_key *key);
u64 sv_nodes_due(const struct secvol *v);

/* ---- log.c ---- */
int __must_check sv_log_init(struct secvol *v);
void sv_log_fini(struct secvol *v);
/* For the root that is about to be written: a fresh segment, or none when space is short. The old
 * ones are freed. */
int __must_check sv_log_renew(struct secvol *v);
/* Makes what was done durable by a log block. Commit lock and mutex held; the mutex is given up
 * during the I/O. */
int __must_check sv_log_commit(struct secvol *v);
void sv_log_aad(const struct secvol *v, struct sv_log_aad *aad, const struct sv_log_header *h,
		const u8 chain[32]);
void sv_log_hash(const struct sv_log_aad *aad, const u8 *body, u32 len, u8 digest[32]);
/* Blocks that a log block may have in a segment of that many. */
static inline u32 sv_log_block_max(u32 segment)
{
	return MAX(1u, MIN(SV_LOG_BLOCKS, segment / 4));
}
/* Queued writes go out now, under the mutex. */
int __must_check sv_queue_run(struct secvol *v);
/* Remembers that blocks were written and not yet flushed. */
void sv_unflushed_add(struct secvol *v, u64 addr, u32 count);

/* ---- recover.c ---- */
/* Reads the log behind the root that was opened into the delta table. */
int __must_check sv_log_read(struct secvol *v, struct secvol_report *report);
/* The records of a log block's sealed part, after next_segment. Authentic, else not trusted. */
struct sv_log_item {
	u8 kind;
	struct sv_key key;
	const u8 *val;
	u32 size;
};
int __must_check sv_log_item_next(const u8 *body, u32 len, u32 *at, struct sv_log_item *item);
/* Read-write: what the log refers to becomes used. */
int __must_check sv_log_claim(struct secvol *v);
/* Before the open commit: what it replaced is freed. */
int __must_check sv_log_settle(struct secvol *v);
/* Opens the blocks of an extent that were written since the newest root. */
int __must_check sv_extent_verify(struct secvol *v, const struct sv_key *key, const u8 *val,
				  u32 size);

/* ---- tree.c: the trees as they are in nodes ---- */
struct sv_node *sv_node_find(struct secvol *v, u64 addr);
/* Looks at each copy of a node by itself; writes a bad one again from a good one if asked. -errno:
 * no copy opens. */
int __must_check sv_node_verify(struct secvol *v, struct sv_tree *t, const struct sv_ptr *p,
				bool repair, u32 *ret_bad);
int __must_check sv_base_lookup(struct secvol *v, struct sv_tree *t, const struct sv_key *key,
				const u8 **ret_val, u32 *ret_size);
int __must_check sv_base_next(struct secvol *v, struct sv_tree *t, struct sv_key *key,
			      const u8 **ret_val, u32 *ret_size);
int __must_check sv_base_prepare(struct secvol *v, struct sv_tree *t, const struct sv_key *lo,
				 const struct sv_key *hi, u32 inserts);
int __must_check sv_base_put(struct secvol *v, struct sv_tree *t, const struct sv_key *key,
			     const void *val, u32 size);
int __must_check sv_base_delete(struct secvol *v, struct sv_tree *t, const struct sv_key *key);
/* Dirties the nodes from *key on that are sealed under an old epoch, about `max` of them; *key is
 * where to go on. -ENOENT: no more. */
int __must_check sv_base_refresh(struct secvol *v, struct sv_tree *t, struct sv_key *key, u32 max);
/* Reads the nodes that lead to the leaf of *key from the store again; *key is the next leaf's. */
int __must_check sv_base_verify(struct secvol *v, struct sv_tree *t, struct sv_key *key,
				struct sv_node **ret_leaf, struct secvol_scrub *s, bool *ret_more);
int __must_check sv_base_load(struct secvol *v, struct sv_tree *t, const struct sv_key *lo,
			      const struct sv_key *hi);
void sv_nodes_trim(struct secvol *v);
void sv_nodes_free(struct secvol *v);
void sv_node_rekey(struct secvol *v, struct sv_node *n, u64 addr);
u32 sv_tree_height(struct secvol *v, const struct sv_tree *t);
int __must_check sv_tree_dirty_all(struct secvol *v, struct sv_tree *t);
int __must_check sv_child(struct secvol *v, struct sv_tree *t, const struct sv_ptr *p,
			  const struct sv_key *lo, const struct sv_key *hi,
			  struct sv_node **ret_node);
void sv_node_drop(struct secvol *v, struct sv_node *n);

/* ---- group.c ---- */
static inline bool sv_bit_get(const u8 *map, u32 i)
{
	return map[i / 8] >> (i % 8) & 1;
}
static inline void sv_bit_put(u8 *map, u32 i, bool on)
{
	if (on)
		map[i / 8] |= (u8)(1u << (i % 8));
	else
		map[i / 8] &= (u8) ~(1u << (i % 8));
}
int __must_check sv_ag_load(struct secvol *v, u32 index, struct sv_ag **ret_ag);
void sv_ag_unload(struct secvol *v, u32 index);	       /* one without changes */
int __must_check sv_ag_load_another(struct secvol *v); /* -ENOENT: all are loaded */
/* A group as it was found to be, in place of what the store says: bits by block of the volume. */
int __must_check sv_ag_adopt(struct secvol *v, u32 index, const u8 *cur, const u8 *used, u8 which,
			     bool written, u32 kid);
void sv_ag_free(struct secvol *v, struct sv_ag *ag);

/* ---- alloc.c ---- */
int __must_check sv_alloc_init(struct secvol *v);
void sv_alloc_fini(struct secvol *v);
int __must_check sv_alloc_blocks(struct secvol *v, u32 want, u64 *ret_addr, u32 *ret_count);
int __must_check sv_alloc_node(struct secvol *v, bool copy, u64 *ret_addr);
/* Gives back what was allocated since the last commit and never referred to. */
void sv_alloc_undo(struct secvol *v, u64 addr, u32 count);
/* What the last commit (or data written since) refers to: usable again after later commits. */
void sv_free_run(struct secvol *v, u64 addr, u32 count);
/* Marks the blocks used that are not yet, and counts them. */
int __must_check sv_alloc_claim(struct secvol *v, u64 addr, u32 count, u32 *ret_taken);
int __must_check sv_runs_reserve(struct secvol *v, struct sv_runs *r, u32 more);
int __must_check sv_frees_apply(struct secvol *v); /* clears their bits in `cur` */
/* Gives up older roots than the newest `keep` + 1; their blocks become free, and are trimmed. */
void sv_pending_release(struct secvol *v, u32 keep);
static inline u64 sv_ag_blocks(const struct secvol *v)
{
	return 1ull << (v->ag_log2 - 12);
}
static inline u32 sv_bm_blocks(const struct secvol *v)
{
	return v->ag_log2 > 27 ? 1u << (v->ag_log2 - 27) : 1;
}
/* How many times metadata is written. */
static inline u32 sv_copies(const struct secvol *v)
{
	return v->dup ? 2 : 1;
}
/* Blocks of a group's bitmaps: A and B, then the copies of A and B. */
static inline u32 sv_ag_head(const struct secvol *v)
{
	return 2 * sv_copies(v) * sv_bm_blocks(v);
}
/* Blocks that a node takes on the store. */
static inline u32 sv_node_room(const struct secvol *v)
{
	return sv_copies(v) * v->node_blocks;
}

/* For a larger volume; the store has room. */
int __must_check sv_alloc_grow(struct secvol *v, u64 blocks);

/* ---- snap.c ---- */
int __must_check sv_free_reserve(struct secvol *v, u32 runs);
/* Blocks that the fs tree gives up: free, or a snapshot's. */
void sv_free_blocks(struct secvol *v, u64 addr, u32 count, u64 birth, u32 kid);
/* A node and its copy. */
void sv_free_node(struct secvol *v, const struct sv_ptr *p, u64 birth);
int __must_check sv_dead_store(struct secvol *v); /* into the snapshot tree, during a commit */
int __must_check sv_snaps_load(struct secvol *v);
int __must_check sv_snap_enter(struct secvol *v, const char *name);

/* ---- anchor.c ---- */
int __must_check sv_anchor_format(struct secvol *v);
/* -ESTALE: what the anchor still takes is later than the volume's key. */
int __must_check sv_anchor_minima(const struct secvol *v);
/* -ESTALE unless the state that was found is one that the anchor allows. */
int __must_check sv_anchor_open(struct secvol *v);
int __must_check sv_anchor_settle(struct secvol *v);
/* Before `next` can be durable. at_border: a clean close. */
int __must_check sv_anchor_announce(struct secvol *v, const struct secvol_state *next,
				    bool at_border);

/* ---- twice.c ---- */
/* Both copies of what the scrub of the fs tree does not come to: the root slot, bitmaps, the other
 * trees. How many do not open while the other one does; with `repair` they are written again. */
int __must_check sv_twice_verify(struct secvol *v, bool repair, u32 *ret_bad);
/* The newest root slot, of which a crash may have left one copy. */
int __must_check sv_twice_heal_root(struct secvol *v);

/* ---- check.c ---- */
/* Marks every block that the trees and the log refer to; counts them, and per session in live[]. */
int __must_check sv_blocks_met(struct secvol *v, u8 *map, u64 *live, u64 *ret_used);

/* ---- commit.c ---- */
/* The checkpoint. Commit lock and mutex held. */
int __must_check sv_commit(struct secvol *v, bool clean);
int __must_check sv_flush_inodes(struct secvol *v); /* pages and inodes into the tree */

/* ---- inode.c ---- */
int __must_check sv_inode_get(struct secvol *v, u64 obj, struct sv_inode_mem **ret_i);
int __must_check sv_inode_new(struct secvol *v, u32 mode, u32 uid, u32 gid, u64 rdev,
			      struct sv_inode_mem **ret_i);
void sv_inode_dirty(struct secvol *v, struct sv_inode_mem *i);
void sv_inode_touch(struct secvol *v, struct sv_inode_mem *i, bool mtime); /* ctime, mtime */
int __must_check sv_inode_store(struct secvol *v, struct sv_inode_mem *i);
void sv_inode_forget(struct secvol *v, struct sv_inode_mem *i);
/* Frees an object without names; the ORPHAN item, if any, goes last. */
int __must_check sv_inode_destroy(struct secvol *v, struct sv_inode_mem *i);
/* A file too long to be freed in one change becomes an orphan, and sv_orphan_reap() frees it. */
#define SV_BIG_FILE (512u * SV_EXTENT_BLOCKS) /* blocks */
static inline bool sv_is_big(const struct sv_inode_mem *i)
{
	return i->attr.blocks > SV_BIG_FILE;
}
void sv_orphan_reap(struct secvol *v, u64 obj); /* without locks; nothing if it is held or named */
int __must_check sv_orphans_free(struct secvol *v, u32 *ret_count);
void sv_inodes_trim(struct secvol *v);
void sv_inodes_free(struct secvol *v);
bool sv_inodes_held(const struct secvol *v); /* someone holds an object */
void sv_inode_encode(const struct secvol_attr *a, u64 parent, struct sv_inode *d);
int __must_check sv_inode_decode(const u8 *val, u32 size, struct secvol_attr *a, u64 *ret_parent);

/* ---- extent.c ---- */
struct sv_extent_mem {
	u64 block;	   /* file block of the first */
	struct sv_ptr ptr; /* nblk, addr, birth, ctr (ctr0), kid */
};
int __must_check sv_extent_decode(const struct secvol *v, const struct sv_key *key, const u8 *val,
				  u32 size, struct sv_extent_mem *e, const u8 **ret_macs);
/* Replaces [block, block + count), within one chunk, by the extent (NULL: hole). */
int __must_check sv_extent_prepare(struct secvol *v, const struct sv_inode_mem *i, u64 block);
int __must_check sv_extent_replace(struct secvol *v, struct sv_inode_mem *i, u64 block, u32 count,
				   const struct sv_ptr *ext, const u8 *macs);

/* ---- reserve.c ---- */
int __must_check sv_reserved_decode(const struct sv_key *key, const u8 *val, u32 size,
				    u64 *ret_first, u64 *ret_last);
/* Memory for sv_reserved_clear() of blocks of one chunk. */
int __must_check sv_reserved_prepare(struct secvol *v, const struct sv_inode_mem *i, u64 block);
int __must_check sv_reserved_clear(struct secvol *v, struct sv_inode_mem *i, u64 from, u64 to);
int __must_check sv_reserved_drop(struct secvol *v, struct sv_inode_mem *i); /* all of a file */
u64 sv_promise_cost(u64 blocks);
/* As sv_begin_write() for a write over blocks that are promised, or there already: it may use what
 * is held back. -ENOSPC where one of them is neither. */
int __must_check sv_begin_covered(struct secvol *v, u64 obj, u64 block, u64 blocks);
int __must_check sv_promised_recount(struct secvol *v); /* after another tree took the place */

/* ---- read.c ---- */
struct sv_reader *sv_reader_new(struct secvol *v, bool shared);
void sv_reader_free(struct secvol *v, struct sv_reader *r);
struct sv_reader *sv_reader_get(struct secvol *v); /* NULL: read under the mutex */
void sv_reader_put(struct secvol *v, struct sv_reader *r);
/* Under the mutex: where [block, block + count), within one chunk, lies. */
int __must_check sv_reader_plan(struct secvol *v, struct sv_reader *r, u64 obj, u64 block,
				u32 count);
/* With or without it: reads and opens into pages, dst[k] for block + k; holes become zeros. */
int __must_check sv_reader_run(struct secvol *v, struct sv_reader *r, u8 *const *dst);
/* Opens all blocks of an extent, for those who only want to know. */
int __must_check sv_extent_open(struct secvol *v, u64 obj, const struct sv_extent_mem *e,
				const u8 *macs);
/* Both, under the mutex. */
int __must_check sv_extent_read(struct secvol *v, u64 obj, u64 block, u32 count, u8 *const *dst);

/* ---- page.c ---- */
struct sv_chunk *sv_chunk_find(struct secvol *v, u64 obj, u64 index);
struct sv_chunk *sv_chunk_make(struct secvol *v, u64 obj, u64 index); /* NULL: no memory */
void sv_chunk_free_if_empty(struct secvol *v, struct sv_chunk *c);
/* Forgets the pages of blocks [from, to), dirty ones too; frees the chunk when none is left. */
void sv_chunk_drop(struct secvol *v, struct sv_inode_mem *i, struct sv_chunk *c, u64 from, u64 to);
void sv_page_clean(struct secvol *v, struct sv_inode_mem *i, struct sv_chunk *c, u32 k);
void sv_page_dirty(struct secvol *v, struct sv_inode_mem *i, struct sv_chunk *c, u32 k);
void sv_data_drop(struct secvol *v, struct sv_inode_mem *i, u64 from_block, u64 to_block);
void sv_chunks_trim(struct secvol *v);
void sv_chunks_free(struct secvol *v);

/* ---- data.c ---- */
int __must_check sv_data_flush(struct secvol *v); /* all dirty pages */
int __must_check sv_data_flush_obj(struct secvol *v, struct sv_inode_mem *i);
int __must_check sv_data_cut(struct secvol *v, struct sv_inode_mem *i, u64 from_block,
			     u64 to_block);

/* At most that many chunks; what else there is waits. */
int __must_check sv_data_cut_some(struct secvol *v, struct sv_inode_mem *i, u64 from_block,
				  u64 to_block, u64 chunks, bool *ret_more);
/* Writes content again as it is, to other blocks under the present key. */
int __must_check sv_data_rewrite(struct secvol *v, struct sv_inode_mem *i, u64 block, u32 count,
				 const u8 *const *src);

/* ---- rotate.c ---- */
bool sv_is_old(struct secvol *v, u32 kid); /* sealed under an epoch before the present one */

/* ---- name.c ---- */
/* A record of a directory's item; the name is borrowed from it. */
struct sv_entry {
	u64 obj;
	u8 type;
	u8 len;
	const char *name;
	u32 at;	  /* within the item */
	u32 size; /* of the record */
};
u64 sv_name_hash(const struct secvol *v, const char *name, size_t len);
/* A name that an object may have: -ENOENT, -ENAMETOOLONG, -EINVAL. */
int __must_check sv_name_check(const char *name, size_t len);
/* Finds a name; the item's bytes are borrowed. -ENOENT, with *ret_size set: the item is there. */
int __must_check sv_name_find(struct secvol *v, u64 dir, const char *name, size_t len,
			      struct sv_entry *e, const u8 **ret_val, u32 *ret_size);
int __must_check sv_name_prepare(struct secvol *v, u64 dir, const char *name, size_t len);
/* The name must not be there: -EEXIST. -ENOSPC when too many names share its hash. */
int __must_check sv_name_add(struct secvol *v, struct sv_inode_mem *d, const char *name, size_t len,
			     u64 obj, u32 mode);
int __must_check sv_name_remove(struct secvol *v, struct sv_inode_mem *d, const char *name,
				size_t len);
int __must_check sv_dir_is_empty(struct secvol *v, u64 obj); /* -ENOTEMPTY */

/* ---- dir.c ---- */
static inline bool sv_is_dir(const struct sv_inode_mem *i)
{
	return (i->attr.mode & 0170000) == 0040000;
}
int __must_check sv_dir_get(struct secvol *v, u64 obj, struct sv_inode_mem **ret_d); /* -ENOTDIR */
int __must_check sv_orphan_prepare(struct secvol *v, u64 obj);
/* One name of an object is gone; the last one takes it along, or makes it an orphan. */
int __must_check sv_link_drop(struct secvol *v, struct sv_inode_mem *i);
/* What rename and unlink may remove: -ENOTDIR, -EISDIR, -EBUSY, -ENOTEMPTY. */
int __must_check sv_removable(struct secvol *v, struct sv_inode_mem *i, bool want_dir);
