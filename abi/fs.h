/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files as Linux on x86-64 shows them to programs: flags, modes and the layout of the structures
 * of the file system calls. Data only.
 */
#pragma once

#include "abi/time.h"
#include "lib/base/types.h"

/* File types and permissions (st_mode). */
#define S_IFMT			 0170000
#define S_IFSOCK		 0140000
#define S_IFLNK			 0120000
#define S_IFREG			 0100000
#define S_IFBLK			 0060000
#define S_IFDIR			 0040000
#define S_IFCHR			 0020000
#define S_IFIFO			 0010000
#define S_ISUID			 0004000
#define S_ISGID			 0002000
#define S_ISVTX			 0001000
#define S_IALL			 0007777

#define S_ISREG(m)		 (((m)&S_IFMT) == S_IFREG)
#define S_ISDIR(m)		 (((m)&S_IFMT) == S_IFDIR)
#define S_ISCHR(m)		 (((m)&S_IFMT) == S_IFCHR)
#define S_ISBLK(m)		 (((m)&S_IFMT) == S_IFBLK)
#define S_ISFIFO(m)		 (((m)&S_IFMT) == S_IFIFO)
#define S_ISLNK(m)		 (((m)&S_IFMT) == S_IFLNK)
#define S_ISSOCK(m)		 (((m)&S_IFMT) == S_IFSOCK)

/* Directory entry types. */
#define DT_UNKNOWN		 0
#define DT_FIFO			 1
#define DT_CHR			 2
#define DT_DIR			 4
#define DT_BLK			 6
#define DT_REG			 8
#define DT_LNK			 10
#define DT_SOCK			 12
#define MODE_TO_DT(mode)	 (((mode)&S_IFMT) >> 12)

/* open(2) */
#define O_RDONLY		 0
#define O_WRONLY		 01
#define O_RDWR			 02
#define O_ACCMODE		 03
#define O_CREAT			 0100
#define O_EXCL			 0200
#define O_NOCTTY		 0400
#define O_TRUNC			 01000
#define O_APPEND		 02000
#define O_NONBLOCK		 04000
#define O_DSYNC			 010000
#define O_ASYNC			 020000
#define O_DIRECT		 040000
#define O_LARGEFILE		 0100000
#define O_DIRECTORY		 0200000
#define O_NOFOLLOW		 0400000
#define O_NOATIME		 01000000
#define O_CLOEXEC		 02000000
#define O_SYNC			 (04000000 | O_DSYNC)
#define O_PATH			 010000000
#define O_TMPFILE		 (020000000 | O_DIRECTORY)

#define AT_FDCWD		 (-100)
#define AT_SYMLINK_NOFOLLOW	 0x100
#define AT_EACCESS		 0x200
#define AT_REMOVEDIR		 0x200
#define AT_SYMLINK_FOLLOW	 0x400
#define AT_NO_AUTOMOUNT		 0x800
#define AT_EMPTY_PATH		 0x1000
#define AT_STATX_SYNC_TYPE	 0x6000

#define PATH_MAX_SIZE		 4096 /* with NUL */
#define NAME_MAX_LEN		 255

#define R_OK			 4
#define W_OK			 2
#define X_OK			 1
#define F_OK			 0

#define SEEK_SET		 0
#define SEEK_CUR		 1
#define SEEK_END		 2
#define SEEK_DATA		 3
#define SEEK_HOLE		 4

#define FALLOC_FL_KEEP_SIZE	 0x01
#define FALLOC_FL_PUNCH_HOLE	 0x02
#define FALLOC_FL_COLLAPSE_RANGE 0x08
#define FALLOC_FL_ZERO_RANGE	 0x10
#define FALLOC_FL_INSERT_RANGE	 0x20

#define RENAME_NOREPLACE	 1
#define RENAME_EXCHANGE		 2
#define RENAME_WHITEOUT		 4

#define UTIME_NOW		 0x3fffffffl
#define UTIME_OMIT		 0x3ffffffel

#define RWF_HIPRI		 0x01
#define RWF_DSYNC		 0x02
#define RWF_SYNC		 0x04
#define RWF_NOWAIT		 0x08
#define RWF_APPEND		 0x10

#define XATTR_CREATE		 1
#define XATTR_REPLACE		 2
#define XATTR_NAME_MAX		 255
#define XATTR_SIZE_MAX		 65536
#define XATTR_LIST_MAX		 65536

#define MFD_CLOEXEC		 1u
#define MFD_ALLOW_SEALING	 2u
#define MFD_HUGETLB		 4u
#define MFD_NOEXEC_SEAL		 8u
#define MFD_EXEC		 16u

#define CLOSE_RANGE_UNSHARE	 2u
#define CLOSE_RANGE_CLOEXEC	 4u

/* fcntl(2) */
#define F_DUPFD			 0
#define F_GETFD			 1
#define F_SETFD			 2
#define F_GETFL			 3
#define F_SETFL			 4
#define F_GETLK			 5
#define F_SETLK			 6
#define F_SETLKW		 7
#define F_SETOWN		 8
#define F_GETOWN		 9
#define F_OFD_GETLK		 36
#define F_OFD_SETLK		 37
#define F_OFD_SETLKW		 38
#define F_NOTIFY		 1026
#define F_DUPFD_CLOEXEC		 1030
#define F_SETPIPE_SZ		 1031
#define F_GETPIPE_SZ		 1032
#define F_ADD_SEALS		 1033
#define F_GET_SEALS		 1034
#define FD_CLOEXEC		 1
#define DN_MULTISHOT		 0x80000000u
#define F_RDLCK			 0
#define F_WRLCK			 1
#define F_UNLCK			 2
#define F_SEAL_SEAL		 1
#define F_SEAL_SHRINK		 2
#define F_SEAL_GROW		 4
#define F_SEAL_WRITE		 8
#define F_SEAL_FUTURE_WRITE	 16
#define LOCK_SH			 1
#define LOCK_EX			 2
#define LOCK_NB			 4
#define LOCK_UN			 8

struct abi_flock {
	s16 type;
	s16 whence;
	s32 pad;
	s64 start;
	s64 len;
	s32 pid;
	s32 pad2;
};
static_assert(sizeof(struct abi_flock) == 32, "flock");

struct abi_stat {
	u64 dev, ino, nlink;
	u32 mode, uid, gid, pad;
	u64 rdev;
	s64 size, blksize, blocks;
	struct abi_timespec atime, mtime, ctime;
	s64 rsv[3];
};
static_assert(sizeof(struct abi_stat) == 144, "stat");

struct abi_statx_time {
	s64 sec;
	u32 nsec;
	s32 pad;
};

#define STATX_BASIC_STATS     0x7ffu
#define STATX_BTIME	      0x800u
#define STATX_MNT_ID	      0x1000u
#define STATX_RESERVED	      0x80000000u
#define STATX_ATTR_MOUNT_ROOT 0x2000u

struct abi_statx {
	u32 mask, blksize;
	u64 attributes;
	u32 nlink, uid, gid;
	u16 mode, pad;
	u64 ino, size, blocks, attributes_mask;
	struct abi_statx_time atime, btime, ctime, mtime;
	u32 rdev_major, rdev_minor, dev_major, dev_minor;
	u64 mnt_id;
	u64 rsv[13];
};
static_assert(sizeof(struct abi_statx) == 256, "statx");

struct abi_statfs {
	s64 type, bsize;
	u64 blocks, bfree, bavail, files, ffree;
	s32 fsid[2];
	s64 namelen, frsize, flags, spare[4];
};
static_assert(sizeof(struct abi_statfs) == 120, "statfs");

#define ST_RDONLY   1
#define ST_NOSUID   2
#define ST_NODEV    4
#define ST_NOEXEC   8
#define ST_VALID    32
#define ST_RELATIME 4096

struct abi_dirent64 {
	u64 ino;
	s64 off;
	u16 reclen;
	u8 type;
	char name[];
} __packed;

struct abi_dirent {
	u64 ino;
	s64 off;
	u16 reclen;
	char name[]; /* NUL, padding, and the type in the last byte */
} __packed;

struct abi_iovec {
	u64 base, len;
};

struct abi_open_how {
	u64 flags, mode, resolve;
};

#define IOV_MAX_COUNT 1024
#define RW_MAX_BYTES  0x7ffff000ul

/* Device numbers as in st_rdev. */
#define MKDEV(major, minor)                                                                        \
	((((u64)(major)&0xfffff000ull) << 32) | (((u64)(major)&0xfffull) << 8) |                   \
	 (((u64)(minor)&0xffffff00ull) << 12) | ((u64)(minor)&0xffull))
#define DEV_MAJOR(dev)	 ((u32)((((dev) >> 32) & 0xfffff000ull) | (((dev) >> 8) & 0xfffull)))
#define DEV_MINOR(dev)	 ((u32)((((dev) >> 12) & 0xffffff00ull) | ((dev)&0xffull)))

/* File system types (statfs.f_type). */
#define TMPFS_MAGIC	 0x01021994
#define PROC_SUPER_MAGIC 0x9fa0
#define OVERLAYFS_MAGIC	 0x794c7630
#define PIPEFS_MAGIC	 0x50495045
#define ANON_INODE_MAGIC 0x09041934
#define SECVOL_MAGIC	 0x2f8dbe2a
#define HOSTFS_MAGIC	 0x00c0ffee
