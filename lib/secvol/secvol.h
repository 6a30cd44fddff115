/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secvol: the secure file system. A copy-on-write B-tree whose pointers carry MACs (or SHA-256),
 * over a block store that is believed in nothing. One volume is one consistent whole: what an open
 * serves is exactly one committed state.
 *
 * Modes: HASH (plaintext, SHA-256 in every pointer: the images of `occlum build`), SEALED
 * (AES-GCM, read-write) and PINNED (an encrypted image: sealed, with SHA-256 of the ciphertext in
 * every pointer). Format: docs/format/secvol.md.
 *
 * Errors, besides those of the operation itself:
 *   EKEYREJECTED  no key slot opens with this key, or role, mode, suite or volume id are others
 *   EBADMSG       an authentication tag or hash does not fit: the storage was changed
 *   EUCLEAN       authenticated data that makes no sense, or no volume at all
 *   ESTALE        a root layer that belongs to another lower image (and keep_upper is not set), or
 *                 not a state that the anchor allows: the host went back
 *   EIO           the block store failed; after a failed write or flush the volume is read-only
 *   EROFS         the volume is open read-only (or has become read-only by an error)
 *   ENOSPC        no room; unlink, truncate and commit still work then
 * No error path formats anything.
 *
 * Threads: all functions may be called concurrently on one volume. One mutex guards it; I/O
 * happens under it, except that reads of four and more whole blocks fetch and decrypt outside of
 * it, that a commit writes and flushes outside of it, and that readers go on while a checkpoint
 * flushes. Callbacks of `struct secvol_env` are called with the mutex held and must not call back.
 */
#pragma once

#include "lib/base/types.h"
#include "lib/secvol/blockstore.h"

struct secvol;
struct secvol_hooks;

#define SECVOL_ROOT_OBJ	     2u /* the root directory */
#define SECVOL_NAME_MAX	     255u
#define SECVOL_LINK_MAX	     65000u
#define SECVOL_SYMLINK_MAX   4095u
#define SECVOL_XATTR_MAX     2048u /* bytes of one value */
#define SECVOL_KEY_SLOTS     4u
#define SECVOL_VOLUME_ID_MAX 64u

enum secvol_mode {
	SECVOL_HASH = 1,
	SECVOL_SEALED = 2,
	SECVOL_PINNED = 3, /* sealed image, SHA-256 of the ciphertext in the pointers */
};

enum secvol_suite {
	SECVOL_SUITE_NONE = 0, /* HASH mode */
	SECVOL_AES128_GCM = 1,
	SECVOL_AES256_GCM = 2,
};

enum secvol_role {
	SECVOL_ROLE_IMAGE = 1, /* lower root image */
	SECVOL_ROLE_INITFS = 2,
	SECVOL_ROLE_ROOT_LAYER = 3, /* the writable layer over the image */
	SECVOL_ROLE_DATA = 4,
	SECVOL_ROLE_TEMPORARY = 5,
	SECVOL_ROLE_BLOCK = 6,
};

/* What the volume needs from its surroundings. All pointers are required unless said otherwise. */
struct secvol_env {
	void *arg;				/* first argument of all below */
	void *(*alloc)(void *arg, size_t size); /* 16-byte aligned or better, not zeroed; NULL */
	void (*free)(void *arg, void *p, size_t size);
	int (*random)(void *arg, void *bytes, size_t size); /* hardware randomness or an error */
	void (*now)(void *arg, s64 *sec, u32 *nsec);
	/* A sleeping mutex. NULL for all four: the caller serialises. */
	void *(*lock_new)(void *arg);
	void (*lock_free)(void *arg, void *lock);
	void (*lock)(void *arg, void *lock);
	void (*unlock)(void *arg, void *lock);
};

enum secvol_slot_type {
	SECVOL_SLOT_EMPTY = 0,
	SECVOL_SLOT_USER = 1,	 /* user key: 16 or 32 bytes */
	SECVOL_SLOT_EGETKEY = 2, /* seal key of the enclave; policy, SVNs and keyid below */
	SECVOL_SLOT_KMS = 3,
	SECVOL_SLOT_RANDOM = 4, /* temporary volume: a key that exists in memory only */
};

/* What a key slot says about the key that opens it. Clear on disk, bound by the slot's tag. */
struct secvol_slot_info {
	u8 type;
	u8 flags;
	u16 policy; /* EGETKEY KEYPOLICY */
	u16 isvsvn;
	u16 configsvn;
	u8 cpusvn[16];
	u8 keyid[16];
	u16 epoch;
};

/*
 * Where key encryption keys come from. `get` derives the input key material for a slot: returns its
 * size (16 to 64) in *ret_size. -ENOENT (or any error) skips the slot. When a slot is made
 * (secvol_format), `describe` fills type, policy and SVNs first; keyid is fresh and already there.
 */
struct secvol_key_source {
	void *arg;
	int (*describe)(void *arg, struct secvol_slot_info *slot);
	int (*get)(void *arg, const struct secvol_slot_info *slot, u8 ikm[64], size_t *ret_size);
};

/* A key source that is one fixed key (user key, image key, random key). */
struct secvol_fixed_key {
	u8 type; /* SECVOL_SLOT_USER, _KMS or _RANDOM */
	u8 size; /* 16 or 32 */
	u8 key[32];
};
void secvol_fixed_key_source(struct secvol_key_source *src, struct secvol_fixed_key *key);

/* Names one committed state of a volume. gen 0: none. */
struct secvol_state {
	u64 gen;
	u64 seq;       /* of the newest log block */
	u8 sha256[32]; /* of the root slot, or of the log block that ends the newest group */
};

/* What an anchor keeps for a volume. */
struct secvol_anchored {
	struct secvol_state current, next;
	u16 min_epoch, min_isvsvn; /* what is older is refused: ESTALE */
	u32 puts;		   /* counts them, so that no content ever comes back */
};

enum secvol_anchor_policy {
	SECVOL_ANCHOR_MOUNT = 1,  /* at the open and the clean close */
	SECVOL_ANCHOR_STRICT = 2, /* each commit */
};

/*
 * Where the host cannot roll anything back. `id` names the volume (secvol_anchor_id). `put` is
 * compare-and-swap: -ESTALE unless all that is stored is `expected` (nothing stored: zeros).
 * Both are called with the commit lock held, and must have authenticated their replies.
 */
struct secvol_anchor {
	enum secvol_anchor_policy policy;
	bool may_adopt; /* take over a volume that the anchor does not know, instead of ESTALE */
	void *arg;
	int (*get)(void *arg, const u8 id[32], struct secvol_anchored *ret); /* -ENOENT */
	int (*put)(void *arg, const u8 id[32], const struct secvol_anchored *expected,
		   const struct secvol_anchored *to);
};

/* For anchors that store bytes: an authenticated record. -EBADMSG, -EUCLEAN, -ESTALE (other id). */
#define SECVOL_ANCHOR_BYTES    176u
#define SECVOL_ANCHOR_PUT_MORE 312u /* what a put adds to id and nonce */
void secvol_anchor_encode(const u8 key[32], const u8 id[32], const struct secvol_anchored *a,
			  u8 bytes[SECVOL_ANCHOR_BYTES]);
int __must_check secvol_anchor_decode(const u8 key[32], const u8 id[32],
				      const u8 bytes[SECVOL_ANCHOR_BYTES],
				      struct secvol_anchored *a);
/*
 * For anchors that are asked from afar (docs/format/secvol.md, Freshness): what a put adds to id
 * and nonce, with its MAC; and the check of a reply (208 bytes) to `nonce`: -EBADMSG, -EUCLEAN,
 * -ESTALE (another id's), -EPROTO when it does not hold what was put (`put`, NULL for a get),
 * -ENOENT: it holds nothing.
 */
void secvol_anchor_question(const u8 key[32], const u8 id[32], const u8 nonce[32],
			    const struct secvol_anchored *expected,
			    const struct secvol_anchored *to, u8 bytes[SECVOL_ANCHOR_PUT_MORE]);
int __must_check secvol_anchor_reply(const u8 key[32], const u8 id[32], const u8 nonce[32],
				     const u8 bytes[208], const struct secvol_anchored *put,
				     struct secvol_anchored *ret);
bool secvol_anchored_equal(const struct secvol_anchored *a, const struct secvol_anchored *b);

/* All of it is trusted: measured configuration or the command line, never the volume. */
struct secvol_params {
	const struct secvol_env *env;
	struct bs *bs; /* borrowed until secvol_close() */
	enum secvol_mode mode;
	enum secvol_suite suite;
	enum secvol_role role;
	const struct secvol_key_source *keys; /* SEALED, PINNED; outlives the volume */
	const void *volume_id; /* measured volume id, part of the key derivation; may be NULL */
	size_t volume_id_size;
	const u8 *pinned_sha256; /* 32 bytes: SHA-256 of the root slot; required for PINNED and
				    for read-only HASH, see unpinned */
	bool unpinned;		 /* host tools only: open a HASH image without knowing its digest */
	bool read_only;
	const struct secvol_anchor *anchor; /* NULL: an older complete state is accepted */
	u16 min_epoch; /* of the key: older is EKEYREJECTED, a new volume begins there */
	bool plain_rw; /* allow HASH mode read-write (detects corruption, protects nothing) */
	const u8 *
		lower_sha256; /* 32 bytes, ROOT_LAYER: digest of the image below; NULL: unchecked */
	bool keep_upper;      /* re-bind to another lower image instead of ESTALE */
	size_t cache_bytes;   /* data pages, 0: 8 MiB */
	size_t node_cache_bytes;	  /* 0: 4 MiB */
	u32 keep_roots;			  /* commits for which freed blocks are kept, 0: 2 */
	const char *snapshot;		  /* read_only: this snapshot instead of the present */
	u64 root_gen;			  /* read_only: the kept root of this generation */
	size_t delta_bytes;		  /* changes held until a checkpoint, 0: 4 or 16 MiB */
	bool discard;			  /* TRIM freed blocks */
	const struct secvol_hooks *hooks; /* tests only, NULL in production; outlives the volume */
};

struct secvol_format_params {
	u64 size_blocks; /* upper bound of the volume, sparse on the store; >= SECVOL_MIN_BLOCKS */
	u8 uuid[16];	 /* zeros: random */
	u8 node_log2;	 /* 0: 14 */
	u8 ag_log2;	 /* 0: 30; smaller by itself for small volumes */
	u32 uid, gid;	 /* of the root directory */
	u16 root_mode;	 /* 0: 0755 */
	char label[64];
	bool dup; /* SEALED: all that is not content is there twice */
};

#define SECVOL_MIN_BLOCKS 512u

/* The name under which an anchor knows a volume: from role and volume id, not from the volume. */
void secvol_anchor_id(const struct secvol_params *p, u8 id[32]);

/* What an open found; for one line of log by the caller. */
struct secvol_report {
	u64 gen;
	u32 open_seq;
	bool clean;	    /* closed properly last time */
	bool lower_differs; /* keep_upper re-bound it */
	u32 bad_slots;	    /* root slots that were there but did not open */
	u32 orphans;	    /* unlinked files freed by recovery */
	u32 log_blocks;	    /* of the index log, taken over */
	u32 log_groups;	    /* commits they hold */
	u8 uuid[16];
	u8 root_sha256[32]; /* digest of the root slot that was chosen */
};

/* Writes an empty volume (root directory only) to the store; -EEXIST when one is there. */
int __must_check secvol_format(const struct secvol_params *p, const struct secvol_format_params *f);

/* Opens the newest valid state. Read-write: recovers orphans; the open commit comes with the first
 * change, so that a volume which is only read is not written to. */
int __must_check secvol_open(const struct secvol_params *p, struct secvol **ret_v,
			     struct secvol_report *ret_report);

/* True when any root slot carries the magic: does a volume exist here? Reads 4 blocks. */
int __must_check secvol_probe(const struct secvol_env *env, struct bs *bs, bool *ret_exists);

/* Commits (read-write), marks clean, frees everything. The volume is gone even on error. */
int secvol_close(struct secvol *v);

/*
 * Overwrites the keys in place, without the lock: for the moment in which everything stops. The
 * volume is good for nothing afterwards; nothing that others seal meanwhile may get out.
 */
void secvol_wipe_keys(struct secvol *v);

/* Frees everything without writing: the state on disk stays at the last commit. */
void secvol_abandon(struct secvol *v);

/*
 * All that was done before the call is durable when it returns 0: fsync, fdatasync, sync, O_SYNC.
 * Usually one flush of the store; callers that come while another's commit is on its way wait for
 * it and share the next. Only states at commits can ever be opened again.
 */
int __must_check secvol_commit(struct secvol *v);

/* The same, and nothing is left for recovery to do. */
int __must_check secvol_checkpoint(struct secvol *v);

/*
 * What was deleted stays on the store while a root refers to it that the volume would still go back
 * to. This writes as many as it takes, so that all of it is free now, and trimmed if the volume
 * discards. Writes nothing when nothing was committed or changed since the open or the last call.
 */
int __must_check secvol_reclaim(struct secvol *v);

/* Something is not yet committed, or its commit has not begun: the caller's commit timer asks. Who
 * needs durability calls secvol_commit(), which also waits for a commit on its way. */
bool secvol_is_dirty(struct secvol *v);

struct secvol_statfs {
	u64 blocks, blocks_free, blocks_avail; /* of 4 KiB */
	u64 files;
	u32 name_max;
	u64 fsid;
};

int __must_check secvol_statfs(struct secvol *v, struct secvol_statfs *ret);

/* Digest of the newest durable root slot (anchors, ROOT_MAC). */
void secvol_root_sha256(struct secvol *v, u8 digest[32]);

/* ---- objects ------------------------------------------------------------------------------- */

struct secvol_time {
	s64 sec;
	u32 nsec;
};

struct secvol_attr {
	u64 obj;
	u64 size;
	u64 blocks;   /* 4 KiB blocks that hold data (0 for files kept inline) */
	u64 reserved; /* blocks without data whose place is promised */
	u32 mode;     /* type and permissions, as in struct stat */
	u32 uid, gid;
	u32 nlink;
	u64 rdev;
	u32 flags; /* for the caller's use, kept */
	struct secvol_time atime, mtime, ctime, btime;
};

enum secvol_set {
	SECVOL_SET_MODE = 1 << 0, /* permission bits only */
	SECVOL_SET_UID = 1 << 1,
	SECVOL_SET_GID = 1 << 2,
	SECVOL_SET_ATIME = 1 << 3,
	SECVOL_SET_MTIME = 1 << 4,
	SECVOL_SET_CTIME = 1 << 5, /* otherwise ctime becomes now */
	SECVOL_SET_FLAGS = 1 << 6,
};

/*
 * Object numbers are never reused. An object lives while a name or a hold refers to it: hold what
 * the kernel keeps open; an object without names is freed by the last release (or by recovery).
 */
int __must_check secvol_hold(struct secvol *v, u64 obj); /* -ENOENT: no such object */
void secvol_release(struct secvol *v, u64 obj);

int __must_check secvol_getattr(struct secvol *v, u64 obj, struct secvol_attr *ret);
int __must_check secvol_setattr(struct secvol *v, u64 obj, const struct secvol_attr *a, u32 set);

/* Names are byte strings of 1..255 without '/' and NUL; "." and ".." are the caller's (-EINVAL),
 * except that lookup knows both. `ret_attr` may be NULL. */
int __must_check secvol_lookup(struct secvol *v, u64 dir, const char *name, size_t len,
			       u64 *ret_obj, struct secvol_attr *ret_attr);

/* Regular file, directory, fifo, socket or device, by the type bits of mode. -EEXIST. With `hold`
 * the new object comes held. */
int __must_check secvol_create(struct secvol *v, u64 dir, const char *name, size_t len, u32 mode,
			       u32 uid, u32 gid, u64 rdev, bool hold, struct secvol_attr *ret);

/* A regular file without a name (O_TMPFILE), held; give it one with secvol_link(). */
int __must_check secvol_create_unnamed(struct secvol *v, u32 mode, u32 uid, u32 gid,
				       struct secvol_attr *ret);
int __must_check secvol_symlink(struct secvol *v, u64 dir, const char *name, size_t len,
				const char *target, size_t target_len, u32 uid, u32 gid,
				struct secvol_attr *ret);
/* Returns the target's length; copies at most `size` bytes, without NUL. */
long __must_check secvol_readlink(struct secvol *v, u64 obj, char *buf, size_t size);
int __must_check secvol_link(struct secvol *v, u64 obj, u64 dir, const char *name, size_t len);
/* `is_dir`: rmdir (-ENOTDIR, -ENOTEMPTY); otherwise -EISDIR for a directory. */
int __must_check secvol_unlink(struct secvol *v, u64 dir, const char *name, size_t len,
			       bool is_dir);

enum secvol_rename_flags { SECVOL_RENAME_NOREPLACE = 1, SECVOL_RENAME_EXCHANGE = 2 };
/* POSIX rename; -EINVAL when a directory would move below itself. */
int __must_check secvol_rename(struct secvol *v, u64 dir, const char *name, size_t len, u64 to_dir,
			       const char *to_name, size_t to_len, u32 flags);

struct secvol_dirent {
	u64 obj;
	u64 cookie; /* continue after this entry; fits a positive off_t */
	u8 type;    /* DT_* */
	u8 name_len;
	char name[SECVOL_NAME_MAX + 1]; /* with NUL */
};

/* Fills up to `count` entries after `cookie` (0: from the start; "." and ".." come first) and
 * returns how many; 0 at the end. Cookies stay good over changes of the directory. */
long __must_check secvol_readdir(struct secvol *v, u64 dir, u64 cookie, struct secvol_dirent *ents,
				 size_t count);

/* ---- file contents ------------------------------------------------------------------------- */

/* Bytes read (short at the end, or before a damaged block) or -errno; holes read as zeros. */
long __must_check secvol_read(struct secvol *v, u64 obj, u64 off, void *buf, size_t size);
/* Whole blocks from `block` on, each to a page of its own, for those who cache pages themselves:
 * zeros behind the end. All of them or a negative errno. */
int __must_check secvol_read_pages(struct secvol *v, u64 obj, u64 block, u32 count,
				   u8 *const *pages);
/* All `size` bytes; or as many as went in before an error (ENOSPC above all), which is an ordinary
 * short write: the file holds them and is that long; or a negative errno, and nothing changed.
 * Extends the file. */
long __must_check secvol_write(struct secvol *v, u64 obj, u64 off, const void *buf, size_t size);
int __must_check secvol_truncate(struct secvol *v, u64 obj, u64 size);
/* Makes [off, off + len) a hole, within the present size. */
int __must_check secvol_punch(struct secvol *v, u64 obj, u64 off, u64 len);
/* Writes into [off, off + len) cannot meet ENOSPC from now on: blocks that have no place yet are
 * promised one, and what is there is written over in place of itself. Truncating, punching and
 * unlinking give it back; a snapshot that is made later may need the same space. The size stays.
 * -ENOSPC, -EFBIG. */
int __must_check secvol_reserve(struct secvol *v, u64 obj, u64 off, u64 len);
/* SEEK_DATA / SEEK_HOLE: -ENXIO beyond the end. */
int __must_check secvol_seek(struct secvol *v, u64 obj, u64 off, bool hole, u64 *ret_off);

/* ---- extended attributes and call sites ---------------------------------------------------- */

/* Any name up to 255 bytes and any value up to SECVOL_XATTR_MAX. The library gives no name a
 * meaning: unionfs keeps its whiteout and opaque marks here. */
enum secvol_xattr_flags { SECVOL_XATTR_CREATE = 1, SECVOL_XATTR_REPLACE = 2 };
int __must_check secvol_setxattr(struct secvol *v, u64 obj, const char *name, const void *value,
				 size_t size, u32 flags); /* -EEXIST, -ENODATA, -ENOSPC, -ERANGE */
/* Returns the value's size; copies if it fits, -ERANGE when 0 < size < value, -ENODATA. */
long __must_check secvol_getxattr(struct secvol *v, u64 obj, const char *name, void *value,
				  size_t size);
/* Names, each with NUL. Returns the size of all; -ERANGE when 0 < size < that. */
long __must_check secvol_listxattr(struct secvol *v, u64 obj, char *names, size_t size);
int __must_check secvol_removexattr(struct secvol *v, u64 obj, const char *name);

/* The call-site table of an executable file, in chunks of a size that the tree holds. */
struct secvol_site {
	u64 offset; /* in the file, < 2^48 */
	u8 kind;
	u8 len;
};
#define SECVOL_SITES_PER_CHUNK 256u
/* Replaces chunk `chunk` of the table; count 0 deletes it. Chunks are in ascending file offset. */
int __must_check secvol_sites_write(struct secvol *v, u64 obj, u32 chunk, u16 version,
				    const struct secvol_site *sites, u32 count);
/* Returns the count (0: no such chunk) and the version the table was made by. */
long __must_check secvol_sites_read(struct secvol *v, u64 obj, u32 chunk, u16 *ret_version,
				    struct secvol_site *sites, u32 max);

/* ---- keys ------------------------------------------------------------------------------------ */

/* What each slot says of its key; type EMPTY where there is none. */
long secvol_slots(struct secvol *v, struct secvol_slot_info info[SECVOL_KEY_SLOTS]);
/* Wraps the volume's key for a source (NULL: the one it was opened with) into a slot, in place of
 * what is there. Not a revocation: who had the old key may have kept the volume's. */
int __must_check secvol_slot_set(struct secvol *v, u32 index, const struct secvol_key_source *src);
int __must_check secvol_slot_clear(struct secvol *v, u32 index); /* -EINVAL: the last one */

/* A new volume key: what is written from now on is under it. Only the slot of the key at hand
 * stays. -EBUSY: two older ones are still in use. */
int __must_check secvol_rotate(struct secvol *v);
/* Rewrites about `blocks` blocks that are under older keys; *ret_left is how many there are yet, 0
 * when the old keys are gone. Snapshots keep theirs until they are deleted. */
int __must_check secvol_rotate_step(struct secvol *v, u32 blocks, u64 *ret_left);

/* ---- snapshots and size ---------------------------------------------------------------------- */

struct secvol_snapshot {
	u64 gen;
	s64 created;
	u64 files;
	char name[SECVOL_NAME_MAX + 1];
};

/* Keeps the present state under a name: -EEXIST. Takes no space until files change. */
int __must_check secvol_snapshot_create(struct secvol *v, const char *name, size_t len);
/* Gives back what only it refers to. -ENOENT. */
int __must_check secvol_snapshot_delete(struct secvol *v, const char *name, size_t len);
/* The present becomes what the snapshot holds, as a new generation. -EBUSY: it is not the newest
 * one, or someone holds an object. */
int __must_check secvol_snapshot_rollback(struct secvol *v, const char *name, size_t len);
/* Oldest first. Returns how many there are, fills up to `count`. */
long __must_check secvol_snapshot_list(struct secvol *v, struct secvol_snapshot *list,
				       size_t count);

/*
 * The volume's present becomes what an older root that is still kept says, as a new generation. The
 * newer state is given up, yet not overwritten by this: until something else is written it can be
 * gone back to in turn. Nothing is written when it fails. p as for a read-write open; no log lines,
 * no repair.
 *   -EUCLEAN   no root of that generation is there; or the structure below it is damaged (`damages`)
 *   -EBADMSG   some content of it does not open, and `force` is not set
 *   -EKEYREJECTED  it is under an older key than the newest: the owner has done away with that one
 *   -ESTALE    an anchor watches the volume and `force` is not set
 *   -ENOSPC    the older and the newer state do not fit beside each other
 */
struct secvol_to_root {
	u64 from, to, made; /* generations: the newest there was, the older one, what it is now */
	s64 from_committed, to_committed;
	u64 from_files, to_files;
	bool from_opened; /* false: the newest root opens, what is below it does not */
	u64 damages;
};
int __must_check secvol_to_root(const struct secvol_params *p, u64 gen, bool force,
				struct secvol_to_root *ret);

/* Makes the volume larger: -EINVAL for smaller, -ENOSPC when the store cannot grow. */
int __must_check secvol_grow(struct secvol *v, u64 blocks);

/* ---- for tools and tests ------------------------------------------------------------------- */

/* Walks everything from the root and compares it with bitmaps, link counts and key table. The
 * callback hears of each damage (object 0: volume structure). Returns 0, or the first damage. */
typedef void (*secvol_check_fn)(void *arg, u64 obj, const char *what, int err);
int __must_check secvol_check(struct secvol *v, secvol_check_fn fn, void *arg);

/* The first path that leads to an object: -ENOENT (it has no name), -ERANGE. Walks directories. */
int __must_check secvol_path(struct secvol *v, u64 obj, char *buf, size_t size);

struct secvol_info {
	u8 uuid[16];
	char label[64]; /* zero-filled, perhaps without NUL */
	u64 gen;
	u32 open_seq;
	u64 size_blocks, used_blocks, files;
	s64 created;
	u32 node_size, groups, group_log2;
	u32 epoch, old_epochs, sessions;
	u32 slot;	     /* the key slot that opened it */
	u64 newest_snapshot; /* generation; 0: none */
	u32 log_segments, log_blocks;
	u32 delta_entries;
	size_t delta_bytes, node_bytes;
	u32 pages, dirty_pages;
	bool dup;
};
void secvol_info(struct secvol *v, struct secvol_info *info);
/* Up to 64 bytes without NUL; durable when it returns. */
int __must_check secvol_set_label(struct secvol *v, const char *label, size_t len);

/* Every item of the tree, for dumps. The value is borrowed. */
typedef void (*secvol_item_fn)(void *arg, u64 obj, u8 type, u64 off, const u8 *val, u32 size);
int __must_check secvol_items(struct secvol *v, secvol_item_fn fn, void *arg);

/*
 * Reads about `blocks` blocks from the store and opens them: nodes past the cache, and file
 * content. What only the log has yet comes after the next checkpoint. Start with zeros; goes on
 * where it left off and counts. The caller decides how often, which is the rate limit. Damage is
 * counted and told; other errors are returned.
 */
struct secvol_scrub {
	u64 obj, off;
	u8 type;
	u64 blocks, damaged;
	u64 repaired; /* of what is there twice: written again from the other one */
	u32 passes;   /* whole ones */
};
int __must_check secvol_scrub(struct secvol *v, struct secvol_scrub *s, u32 blocks,
			      secvol_check_fn fn, void *arg);

/* Test hooks (secvol_params.hooks). on_nonce hears of each sealed record: an audit sees reuse. */
struct secvol_hooks {
	void *arg;
	void (*on_nonce)(void *arg, const u8 key_id[32], const u8 nonce[12]);
	u32 faults; /* enum secvol_fault: seeded faults which the crash explorer must catch */
};

enum secvol_fault {
	SECVOL_FAULT_SKIP_FLUSH = 1 << 0,	/* no flush before the root slot */
	SECVOL_FAULT_EARLY_ACK = 1 << 1,	/* commit returns without the last flush */
	SECVOL_FAULT_REUSE_LIVE = 1 << 2,	/* freed blocks are reused at once */
	SECVOL_FAULT_NO_TAG_CHECK = 1 << 3,	/* tags are not compared */
	SECVOL_FAULT_NONCE_REUSE = 1 << 4,	/* the counter stands still now and then */
	SECVOL_FAULT_LOG_EARLY_ACK = 1 << 5,	/* a log commit returns without its flush */
	SECVOL_FAULT_LOG_EARLY_COMMIT = 1 << 6, /* every block of a group says it is the last */
	SECVOL_FAULT_LOG_UNVERIFIED = 1 << 7,	/* the last group counts without its data */
	SECVOL_FAULT_LOG_OLD_SEED = 1 << 8,	/* a new log takes over the old one's seed */
	SECVOL_FAULT_SNAP_FREED = 1 << 10,	/* blocks of snapshots are freed */
	SECVOL_FAULT_SNAP_DELETE_ALL = 1 << 11, /* so are those of the one before a deleted one */
	SECVOL_FAULT_TRIM_EARLY = 1 << 12,	/* freed blocks are trimmed at once */
	SECVOL_FAULT_GROW_FORGET = 1 << 13,	/* the grown group's bitmap is not written */
	SECVOL_FAULT_ANCHOR_BLIND = 1 << 14,	/* the anchor is not compared */
	SECVOL_FAULT_ANCHOR_LATE = 1 << 15,	/* announced after the flush */
	SECVOL_FAULT_ROTATE_DROP = 1 << 16,	/* an old key is dropped while blocks need it */
	SECVOL_FAULT_GROUP_LATE = 1 << 9,	/* what comes during a commit counts as committed */
};
