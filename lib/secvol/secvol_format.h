/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a secvol volume. Little endian except keys in nodes, which are big endian so that
 * memcmp() orders them. Described in docs/format/secvol.md; changed together with it.
 */
#pragma once

#include "lib/base/le.h"

#define SV_BLOCK      4096u
#define SV_ROOT_SLOTS 4u
#define SV_ROOT_COPY  8u  /* block of the copy of slot 0, with SV_INCOMPAT_DUP */
#define SV_FIRST_AG   16u /* first block of AG 0 */
#define SV_MAX_BLOCK                                                                               \
	(1ull << 46) /* addresses on disk are below; bit 47 marks unwritten nodes in memory */
#define SV_MAX_GEN	 (1ull << 40)
#define SV_KEY_SIZE	 17u
#define SV_EXTENT_BLOCKS 64u /* longest extent; no extent crosses a multiple of it */
#define SV_INLINE_MAX	 2048u
#define SV_ITEM_MAX	 2560u /* largest value of an item */
#define SV_SYMLINK_PART	 2048u

#define SV_MAGIC	 "OCSECVOL"
#define SV_MAJOR	 1u
#define SV_MINOR	 0u
#define SV_NODE_MAGIC	 0x444e5653u /* "SVND" */

enum sv_type {
	SV_INODE = 1,
	SV_DIRENT = 2,
	SV_XATTR = 3,
	SV_SYMLINK = 4,
	SV_INLINE = 5,
	SV_EXTENT = 6,
	SV_SITES = 7,
	SV_ORPHAN = 8,	  /* object 0, offset = the object */
	SV_DEADLIST = 9,  /* snapshot tree: object = the snapshot's generation, offset = a number */
	SV_SNAP = 10,	  /* snapshot tree: object 0, offset = its generation */
	SV_KEY = 11,	  /* key table: object 0, offset = kid */
	SV_AG = 12,	  /* ag table: object 0, offset = AG number */
	SV_RESERVED = 13, /* offset = last block of a run without places: how many, 8 bytes */
};

/* Features that an opener must know. */
enum sv_incompat {
	SV_INCOMPAT_LOG = 1 << 0,	/* an index log may follow the root */
	SV_INCOMPAT_SNAPSHOTS = 1 << 1, /* a snapshot tree: blocks live on that the tree lost */
	SV_INCOMPAT_RESERVED = 1 << 2,	/* RESERVED items; TX_END says how many blocks in all */
	SV_INCOMPAT_DUP = 1 << 3, /* nodes, bitmaps, root slots and log blocks are there twice */
	SV_INCOMPAT_KNOWN =
		SV_INCOMPAT_LOG | SV_INCOMPAT_SNAPSHOTS | SV_INCOMPAT_RESERVED | SV_INCOMPAT_DUP,
};

/* What is sealed; first byte of the nonce domain and of the AAD. */
enum sv_domain {
	SV_DOM_DATA = 1,
	SV_DOM_NODE = 2,
	SV_DOM_LOG = 3,
	SV_DOM_ROOT = 4,
	SV_DOM_BITMAP = 5
};

enum sv_tree_id { SV_TREE_FS = 1, SV_TREE_KEY = 2, SV_TREE_AG = 3, SV_TREE_SNAP = 4 };

struct sv_keyslot {
	u8 type;
	u8 flags;
	le16 policy;
	le16 isvsvn;
	le16 configsvn;
	u8 cpusvn[16];
	u8 keyid[16];
	u8 wrapped[32];
	u8 tag[16];
	le16 epoch;
	u8 rsv[6];
};
static_assert(sizeof(struct sv_keyslot) == 96, "keyslot");
static_assert(offsetof(struct sv_keyslot, cpusvn) == 8, "keyslot");
static_assert(offsetof(struct sv_keyslot, wrapped) == 40, "keyslot");
static_assert(offsetof(struct sv_keyslot, epoch) == 88, "keyslot");

/* Block pointer: {addr 48 bits, nblk 16 bits}, {birth 40, type 8, level 8, flags 8}. With
 * SV_PTR_COPY csize is the address of the second copy, in nodes. */
#define SV_PTR_COPY 1u
struct sv_bptr {
	le64 addr_nblk;
	le64 birth_type; /* birth | type << 40 | level << 48 | flags << 56 */
	union {
		struct {
			le64 ctr;
			le32 kid;
			le32 csize;
			u8 tag[16];
		};
		u8 sha256[32];
	};
};
static_assert(sizeof(struct sv_bptr) == 48, "bptr");
static_assert(offsetof(struct sv_bptr, tag) == 32, "bptr");

struct sv_root_clear {
	char magic[8];
	le16 major;
	le16 minor;
	le32 incompat;
	u8 uuid[16];
	le64 gen;
	le32 kid;
	le16 epoch;
	u8 mode;
	u8 suite;
	u8 salt[32];
	u8 nonce[12];
	le32 body_len;
	u8 role;
	u8 rsv1;
	le16 seal_version;
	u8 rsv2[12];
	struct sv_keyslot slots[4];
};
static_assert(sizeof(struct sv_root_clear) == 496, "root clear");
static_assert(offsetof(struct sv_root_clear, uuid) == 16, "root clear");
static_assert(offsetof(struct sv_root_clear, gen) == 32, "root clear");
static_assert(offsetof(struct sv_root_clear, salt) == 48, "root clear");
static_assert(offsetof(struct sv_root_clear, nonce) == 80, "root clear");
static_assert(offsetof(struct sv_root_clear, role) == 96, "root clear");
static_assert(offsetof(struct sv_root_clear, slots) == 112, "root clear");

struct sv_old_vmk {
	le16 epoch;
	u8 rsv[6];
	u8 key[32];
};
static_assert(sizeof(struct sv_old_vmk) == 40, "old vmk");

struct sv_root_body {
	le64 size_blocks;
	u8 node_log2;
	u8 ag_log2;
	u8 clean;
	u8 flags;
	le32 open_seq;
	struct sv_bptr fs_tree;
	struct sv_bptr key_table;
	struct sv_bptr ag_table;
	struct sv_bptr snap_tree; /* zero: no snapshots */
	le64 log_addr;		  /* first segment: addr 48 bits, nblk 16 bits; zero: no log */
	le64 log_first_seq;
	u8 log_seed[32];
	u8 prev_root_sha256[32];
	u8 lower_sha256[32];
	le64 used;
	le64 reserved;
	le64 next_obj;
	le64 created;
	le64 committed;
	le32 uid;
	le32 gid;
	le32 sites_version;
	le32 rsv1;
	u8 label[64];
	struct sv_old_vmk old_vmk[2];
	le64 promised; /* blocks, sum of the inodes' */
	u8 rsv[3040];
};
static_assert(sizeof(struct sv_root_body) == 3568, "root body");
static_assert(offsetof(struct sv_root_body, fs_tree) == 16, "root body");
static_assert(offsetof(struct sv_root_body, log_addr) == 208, "root body");
static_assert(offsetof(struct sv_root_body, prev_root_sha256) == 256, "root body");
static_assert(offsetof(struct sv_root_body, used) == 320, "root body");
static_assert(offsetof(struct sv_root_body, uid) == 360, "root body");
static_assert(offsetof(struct sv_root_body, label) == 376, "root body");
static_assert(offsetof(struct sv_root_body, old_vmk) == 440, "root body");
static_assert(offsetof(struct sv_root_body, promised) == 520, "root body");

struct sv_root_slot {
	struct sv_root_clear clear;
	struct sv_root_body body;
	u8 trailer[32]; /* tag 16 and zeros; HASH: SHA-256 of all before */
};
static_assert(sizeof(struct sv_root_slot) == 4096, "root slot");

/*
 * Node: header, `n` slots, free space, then the records in the order of their keys, back to back
 * up to the end of the node. A record is the key (big endian object, type, offset) without the
 * `skip` leading bytes that it shares with first_key, then the value.
 */
struct sv_node_header {
	le32 magic;
	le16 n;
	u8 level; /* 0: leaf */
	u8 flags;
	le32 tree;
	le32 used; /* bytes of header, slots and records */
	le64 gen;  /* birth, as in the pointer */
	u8 first_key[SV_KEY_SIZE];
	u8 rsv[7];
};
static_assert(sizeof(struct sv_node_header) == 48, "node header");
static_assert(offsetof(struct sv_node_header, first_key) == 24, "node header");

struct sv_node_slot {
	le16 pos;  /* of the record, from the start of the node */
	le16 size; /* of the value */
	u8 skip;
	u8 rsv;
};
static_assert(sizeof(struct sv_node_slot) == 6, "node slot");

struct sv_time {
	le64 sec;
	le32 nsec;
};
static_assert(sizeof(struct sv_time) == 12, "time");

struct sv_inode {
	le64 size;
	le64 blocks;
	le32 mode;
	le32 uid;
	le32 gid;
	le32 nlink;
	le64 rdev;
	le32 flags;
	struct sv_time atime;
	struct sv_time mtime;
	struct sv_time ctime;
	struct sv_time btime;
	le64 parent;   /* directories: for ".." and the checker */
	le64 reserved; /* blocks in RESERVED items */
	u8 rsv[52];
};
static_assert(sizeof(struct sv_inode) == 160, "inode");
static_assert(offsetof(struct sv_inode, rdev) == 32, "inode");
static_assert(offsetof(struct sv_inode, atime) == 44, "inode");
static_assert(offsetof(struct sv_inode, parent) == 92, "inode");

/* A DIRENT item is a list of these: the names whose hash is the item's offset. */
struct sv_dirent {
	le64 obj;
	u8 type; /* DT_* */
	u8 len;
	/* name */
};
static_assert(sizeof(struct sv_dirent) == 10, "dirent");

/* An XATTR item is a list of these: the names whose hash is the item's offset. */
struct sv_xattr {
	le16 size;
	u8 len;
	/* name, value */
};
static_assert(sizeof(struct sv_xattr) == 3, "xattr");

/* Followed by one 16-byte tag per block, or one SHA-256 in HASH and PINNED mode. */
struct sv_extent {
	le64 addr_nblk;
	le64 birth_flags; /* birth | flags << 40 */
	le64 ctr0;	  /* block i uses ctr0 + i */
	le32 kid;
	le32 csize; /* bytes on disk */
};
static_assert(sizeof(struct sv_extent) == 32, "extent");

struct sv_sites {
	le16 version;
	le16 n;
	/* n times struct sv_site */
};
struct sv_site {
	u8 offset[6];
	u8 kind;
	u8 len;
};
static_assert(sizeof(struct sv_sites) == 4 && sizeof(struct sv_site) == 8, "sites");

struct sv_key_item {
	le16 epoch;
	u8 rsv[6];
	u8 salt[32];
	le64 live; /* blocks sealed with this session's key */
};
static_assert(sizeof(struct sv_key_item) == 48, "key item");

struct sv_ag_item {
	le32 free;
	le32 run; /* longest free run, a hint */
	u8 which; /* bitmap A or B */
	u8 flags; /* 1: never written */
	u8 rsv[2];
	le32 kid;
	le64 birth;
	le64 ctr;
	u8 mac[32]; /* tag 16 and zeros, or SHA-256 */
};
static_assert(sizeof(struct sv_ag_item) == 64, "ag item");
static_assert(offsetof(struct sv_ag_item, birth) == 16, "ag item");

/*
 * Index log block: 1 to SV_LOG_BLOCKS blocks in a segment, right behind the one before it, or at
 * the start of the segment which that one names.
 *
 *   header 40 | sealed {next_segment 8, records} | zeros | trailer 32: tag and zeros, or SHA-256
 */
#define SV_LOG_MAGIC  0x474c5653u /* "SVLG" */
#define SV_LOG_BLOCKS 32u
#define SV_LOG_COMMIT 1u

struct sv_log_header {
	le32 magic;
	le32 len; /* of the sealed part */
	le64 seq;
	le32 kid;
	le32 flags; /* 1: COMMIT, the last block of its group */
	le64 ctr;
	le64 flushed_seq; /* all blocks up to this one are surely durable, and what they refer to */
};
static_assert(sizeof(struct sv_log_header) == 40, "log header");
static_assert(offsetof(struct sv_log_header, flushed_seq) == 32, "log header");

enum sv_log_kind { SV_LOG_PUT = 1, SV_LOG_DEL = 2, SV_LOG_TX_END = 4 };

/* Followed by `size` bytes: the item's value; for TX_END struct sv_log_end. */
struct sv_log_record {
	u8 kind;
	le16 size;
	u8 key[SV_KEY_SIZE];
};
static_assert(sizeof(struct sv_log_record) == 20, "log record");

struct sv_log_end {
	le64 next_obj;
	le64 files;
	le64 committed; /* seconds */
	le64 promised;	/* only with SV_INCOMPAT_RESERVED in the root */
};
static_assert(sizeof(struct sv_log_end) == 32, "log end");
#define SV_LOG_END_SHORT 24u

struct sv_log_aad {
	u8 uuid[16];
	u8 domain;
	struct sv_log_header header;
	u8 chain[32]; /* trailer of the block before; of the first one: the root's log_seed */
};
static_assert(sizeof(struct sv_log_aad) == 89, "log aad");

/* Followed by the name. */
struct sv_snap {
	struct sv_bptr root; /* of its fs tree */
	le64 files;
	le64 created;
};
static_assert(sizeof(struct sv_snap) == 64, "snapshot");

/* A DEADLIST item is a list of these: runs that no tree but snapshots' refers to. */
struct sv_dead {
	le64 addr_nblk;
	le64 birth;
	le32 kid;
	le32 rsv;
};
static_assert(sizeof(struct sv_dead) == 24, "dead run");

/* What each tag also covers besides its content. */
struct sv_aad {
	u8 uuid[16];
	u8 domain;
	u8 level;
	u8 key[SV_KEY_SIZE]; /* owner: file block's key; node: the tree; bitmap: the AG */
	le64 birth;
};
static_assert(sizeof(struct sv_aad) == 43, "aad");
