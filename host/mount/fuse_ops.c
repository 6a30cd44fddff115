// SPDX-License-Identifier: Apache-2.0
/*
 * FUSE's low-level requests. An inode number that the kernel of the host knows is the address of a
 * node, counted once per lookup. Nobody else changes the volumes while they are mounted, so names
 * and attributes stay in the kernel's caches for as long as it likes, and files are opened and
 * closed there alone.
 */
#include "host/mount/channel.h"
#include "host/mount/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/overflow.h"

#define FOR_EVER    86400.0
#define REQUEST_MAX MIB(1)

static struct server *server_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

struct node *server_node(fuse_req_t req, fuse_ino_t ino)
{
	static struct node *root;

	if (ino != FUSE_ROOT_ID)
		return (struct node *)ino;
	if (!__atomic_load_n(&root, __ATOMIC_ACQUIRE)) {
		struct node *n = files_root(server_of(req)->files);

		node_put(n, 1); /* the file system has its own reference */
		__atomic_store_n(&root, n, __ATOMIC_RELEASE);
	}
	return root;
}

/*
 * Who mounts as another user than root has the place of root inside: the two change ids, in both
 * directions, so that what belongs to root there belongs to this user here.
 */
static uid_t swapped(uid_t id, uid_t own)
{
	return id == 0 ? own : id == own ? 0 : id;
}

static uid_t uid_across(fuse_req_t req, uid_t uid)
{
	return swapped(uid, server_of(req)->uid);
}

static gid_t gid_across(fuse_req_t req, gid_t gid)
{
	return swapped(gid, server_of(req)->gid);
}

static int stat_across(fuse_req_t req, struct node *n, struct stat *ret)
{
	int err = node_stat(n, ret);

	if (!err) {
		/* What the kernel holds back is not counted yet; without a block it is one hole. */
		if (S_ISREG(ret->st_mode) && !server_of(req)->read_only)
			ret->st_blocks = MAX(ret->st_blocks, (blkcnt_t)1);
		ret->st_uid = uid_across(req, ret->st_uid);
		ret->st_gid = gid_across(req, ret->st_gid);
	}
	return err;
}

void server_reply_error(fuse_req_t req, int err)
{
	switch (err) {
	case -EKEYREJECTED:
	case -EBADMSG:
	case -EUCLEAN:
	case -ESTALE: err = -EIO; break;
	}
	fuse_reply_err(req, -err);
}

static void op_init(void *arg, struct fuse_conn_info *conn)
{
	static const unsigned wanted[] = {FUSE_CAP_WRITEBACK_CACHE,  FUSE_CAP_ASYNC_READ,
					  FUSE_CAP_PARALLEL_DIROPS,  FUSE_CAP_READDIRPLUS,
					  FUSE_CAP_READDIRPLUS_AUTO, FUSE_CAP_CACHE_SYMLINKS,
					  FUSE_CAP_ASYNC_DIO,	     FUSE_CAP_NO_OPEN_SUPPORT};

	conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
				  FUSE_CAP_SPLICE_MOVE | FUSE_CAP_POSIX_ACL |
				  FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_ATOMIC_O_TRUNC);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		conn->want |= conn->capable & wanted[i];
	conn->max_write = REQUEST_MAX;
	conn->max_read = SERVER_READ_MAX; /* as the mount option says */
	conn->max_readahead = REQUEST_MAX;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
	conn->time_gran = 1;
}

/* ---- names ---- */

int server_fill_entry(fuse_req_t req, struct fuse_entry_param *e, struct node *n)
{
	memset(e, 0, sizeof(*e));
	e->ino = (fuse_ino_t)n;
	e->attr_timeout = e->entry_timeout = FOR_EVER;
	return stat_across(req, n, &e->attr);
}

/* Consumes the node. */
static void reply_node(fuse_req_t req, struct node *n)
{
	struct fuse_entry_param e;
	int err = server_fill_entry(req, &e, n);

	if (err) {
		node_put(n, 1);
		server_reply_error(req, err);
	} else if (fuse_reply_entry(req, &e) < 0) {
		node_put(n, 1); /* the kernel has forgotten the request */
	}
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param none = {.entry_timeout = FOR_EVER};
	struct node *n;
	int err = node_lookup(server_node(req, parent), name, &n);

	if (!err)
		reply_node(req, n);
	else if (err == -ENOENT)
		fuse_reply_entry(req, &none); /* remembered: nobody else makes the name */
	else
		server_reply_error(req, err);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	if (ino != FUSE_ROOT_ID)
		node_put((struct node *)ino, count);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++) {
		if (forgets[i].ino != FUSE_ROOT_ID)
			node_put((struct node *)forgets[i].ino, forgets[i].nlookup);
	}
	fuse_reply_none(req);
}

/* There is no op_create: then the kernel makes a file by MKNOD, and has nothing to RELEASE. */
static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct node *n;
	int err = room_need(server_of(req), 0);

	if (!err)
		err = node_create(server_node(req, parent), name, mode, rdev,
				  uid_across(req, ctx->uid), gid_across(req, ctx->gid), &n);
	if (err)
		server_reply_error(req, err);
	else
		reply_node(req, n);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	op_mknod(req, parent, name, S_IFDIR | (mode & 07777), 0);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct node *n;
	int err = room_need(server_of(req), 0);

	if (!err)
		err = node_symlink(server_node(req, parent), name, target,
				   uid_across(req, ctx->uid), gid_across(req, ctx->gid), &n);

	if (err)
		server_reply_error(req, err);
	else
		reply_node(req, n);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct node *n = server_node(req, ino);
	int err = room_need(server_of(req), 0);

	if (!err)
		err = node_link(n, server_node(req, parent), name);

	if (err)
		server_reply_error(req, err);
	else
		reply_node(req, node_get(n));
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	server_reply_error(req, node_unlink(server_node(req, parent), name, false));
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	server_reply_error(req, node_unlink(server_node(req, parent), name, true));
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to_parent,
		      const char *to_name, unsigned int flags)
{
	server_reply_error(req, node_rename(server_node(req, parent), name,
					    server_node(req, to_parent), to_name, flags));
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[4096];
	long n = node_readlink(server_node(req, ino), target, sizeof(target) - 1);

	if (n < 0) {
		server_reply_error(req, (int)n);
		return;
	}
	target[n] = 0;
	fuse_reply_readlink(req, target);
}

/* ---- attributes ---- */

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;
	int err = stat_across(req, server_node(req, ino), &st);

	if (err)
		server_reply_error(req, err);
	else
		fuse_reply_attr(req, &st, FOR_EVER);
}

static struct node_time time_of(struct timespec t, bool is_now)
{
	if (is_now)
		clock_gettime(CLOCK_REALTIME, &t);
	return (struct node_time){.sec = t.tv_sec, .nsec = (u32)t.tv_nsec};
}

/*
 * The set-id bits that a change by this caller takes away, as Linux has it: set-group-id without
 * group execution stays for members of the file's group. Of a caller only one group is known here.
 */
static u32 ids_lost(fuse_req_t req, struct node *n)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct node_attr a;

	if (node_getattr(n, &a) || S_ISDIR(a.mode))
		return 0;
	if (!(a.mode & S_IXGRP) && (ctx->uid == 0 || gid_across(req, ctx->gid) == a.gid))
		return a.mode & S_ISUID;
	return a.mode & (S_ISUID | S_ISGID);
}

static u32 ids_to_kill(fuse_req_t req, struct node *n)
{
	return channel_kills_ids() ? ids_lost(req, n) : 0;
}

static int kill_ids(struct node *n, u32 gone)
{
	struct node_attr a;
	int err = gone ? node_getattr(n, &a) : 0;

	if (err || !gone)
		return err;
	a.mode &= ~gone;
	return node_setattr(n, &a, NODE_SET_MODE);
}

/* After changes by a request that has no word for it: the kernel leaves the bits to us anyway. */
static int kill_ids_silently(fuse_req_t req, struct node *n)
{
	return fuse_req_ctx(req)->uid ? kill_ids(n, ids_lost(req, n)) : 0;
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
		       struct fuse_file_info *fi)
{
	struct node *n = server_node(req, ino);
	struct node_attr a = {.mode = st->st_mode,
			      .uid = uid_across(req, st->st_uid),
			      .gid = gid_across(req, st->st_gid),
			      .size = (u64)st->st_size};
	u32 set = 0, gone = ids_to_kill(req, n);
	int err;

	set |= to_set & FUSE_SET_ATTR_MODE ? NODE_SET_MODE : 0;
	set |= to_set & FUSE_SET_ATTR_UID ? NODE_SET_UID : 0;
	set |= to_set & FUSE_SET_ATTR_GID ? NODE_SET_GID : 0;
	set |= to_set & FUSE_SET_ATTR_SIZE ? NODE_SET_SIZE : 0;
	if (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW)) {
		a.atime = time_of(st->st_atim, to_set & FUSE_SET_ATTR_ATIME_NOW);
		set |= NODE_SET_ATIME;
	}
	if (to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)) {
		a.mtime = time_of(st->st_mtim, to_set & FUSE_SET_ATTR_MTIME_NOW);
		set |= NODE_SET_MTIME;
	}
	if (to_set & FUSE_SET_ATTR_CTIME) {
		a.ctime = time_of(st->st_ctim, false);
		set |= NODE_SET_CTIME;
	}
	err = node_setattr(n, &a, set);
	if (!err && !(set & NODE_SET_MODE))
		err = kill_ids(n, gone);
	if (err)
		server_reply_error(req, err);
	else
		op_getattr(req, ino, fi);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct files_space s;
	struct statvfs out;
	u64 room;
	int err = files_space(server_of(req)->files, &s);

	if (err) {
		server_reply_error(req, err);
		return;
	}
	room = room_left(server_of(req)) / s.bsize;
	s.bfree = MIN(s.bfree, room);
	s.bavail = MIN(s.bavail, room);
	out = (struct statvfs){.f_bsize = s.bsize,
			       .f_frsize = s.bsize,
			       .f_blocks = s.blocks,
			       .f_bfree = s.bfree,
			       .f_bavail = s.bavail,
			       .f_files = s.files,
			       .f_ffree = s.ffree,
			       .f_favail = s.ffree,
			       .f_namemax = 255};
	fuse_reply_statfs(req, &out);
}

/* ---- contents ---- */

/* ENOSYS: the kernel opens and closes by itself from now on and keeps its cache. */
static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, ENOSYS);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	static __thread u8 *buf; /* lives as long as the worker */
	long n;

	if (!buf)
		buf = aligned_alloc(PAGE_SIZE, SERVER_READ_MAX);
	if (!buf) {
		server_reply_error(req, -ENOMEM);
		return;
	}
	n = node_read_whole(server_node(req, ino), buf, MIN(size, (size_t)SERVER_READ_MAX),
			    (u64)offset);
	if (n < 0)
		server_reply_error(req, (int)n);
	else
		fuse_reply_buf(req, (char *)buf, (size_t)n);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	long n = room_need(server_of(req), size);
	int err = 0;

	if (!n)
		n = node_write(server_node(req, ino), buf, size, (u64)offset);
	if (n > 0)
		err = kill_ids(server_node(req, ino), ids_to_kill(req, server_node(req, ino)));
	if (err)
		n = err;
	if (n < 0)
		server_reply_error(req, (int)n);
	else
		fuse_reply_write(req, (size_t)n);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	server_reply_error(req, node_sync(server_node(req, ino)));
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t len,
			 struct fuse_file_info *fi)
{
	struct node *n = server_node(req, ino);
	int err = node_fallocate(n, (u32)mode, (u64)offset, (u64)len);

	server_reply_error(req, err ? err : kill_ids_silently(req, n));
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		     struct fuse_file_info *fi)
{
	if (whence == SEEK_DATA || whence == SEEK_HOLE)
		holes_ask(server_of(req), req, ino, (u64)offset, whence == SEEK_HOLE);
	else
		fuse_reply_err(req, EINVAL);
}

static void op_copy(fuse_req_t req, fuse_ino_t from, off_t from_offset, struct fuse_file_info *fi,
		    fuse_ino_t to, off_t to_offset, struct fuse_file_info *to_fi, size_t len,
		    int flags)
{
	struct node *a = server_node(req, from), *b = server_node(req, to);
	u8 *buf = malloc(REQUEST_MAX);
	size_t done = 0;
	long n = buf ? 0 : -ENOMEM;

	while (buf && done < len && done < GIB(1)) {
		n = node_read(a, buf, MIN(len - done, (size_t)REQUEST_MAX),
			      (u64)from_offset + done);
		if (n > 0 && room_need(server_of(req), (size_t)n))
			n = -ENOSPC;
		if (n > 0)
			n = node_write(b, buf, (size_t)n, (u64)to_offset + done);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	free(buf);
	if (done) {
		int err = kill_ids_silently(req, b);

		n = err;
		done = err ? 0 : done;
	}
	if (!done && n < 0)
		server_reply_error(req, (int)n);
	else
		fuse_reply_write(req, done);
}

/* ---- extended attributes ---- */

static void reply_xattr(fuse_req_t req, char *buf, size_t size, long n)
{
	if (n < 0)
		server_reply_error(req, (int)n);
	else if (!size)
		fuse_reply_xattr(req, (size_t)n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	char buf[4096];

	reply_xattr(req, buf, size,
		    node_getxattr(server_node(req, ino), name, buf, MIN(size, sizeof(buf))));
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	char *buf = malloc(MAX(size, (size_t)1));

	if (!buf) {
		server_reply_error(req, -ENOMEM);
		return;
	}
	reply_xattr(req, buf, size, node_listxattr(server_node(req, ino), buf, size));
	free(buf);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
			size_t size, int flags)
{
	int err = room_need(server_of(req), size);

	server_reply_error(
		req,
		err ? err : node_setxattr(server_node(req, ino), name, value, size, (u32)flags));
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	server_reply_error(req, node_removexattr(server_node(req, ino), name));
}

const struct fuse_lowlevel_ops server_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.fsyncdir = op_fsync,
	.opendir = server_opendir,
	.readdir = server_readdir,
	.readdirplus = server_readdirplus,
	.releasedir = server_releasedir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.copy_file_range = op_copy,
};
