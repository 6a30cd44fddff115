/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: requests of the host's kernel, answered from a view. */
#pragma once

#define FUSE_USE_VERSION 312

#include <fuse3/fuse_lowlevel.h>

#include "host/mount/node_stat.h"

/*
 * Of one read request. Small enough for a core's cache, and for several to be on their way at once:
 * disk, cipher and copies then work side by side.
 */
#define SERVER_READ_MAX KIB(256)

struct server {
	struct fuse_session *session;
	struct files *files;
	struct files *upper; /* of `files`, what is written to; NULL if read_only */
	const char *path;    /* where it is mounted, absolute */
	bool read_only;
	uid_t uid; /* who mounts, and has the place of root inside */
	gid_t gid;
};

/* room.c: the volume is fixed; the host's disk below it may be full sooner. 0 or -ENOSPC. */
int __must_check room_need(const struct server *s, size_t size);
/* The bytes that the host has left for the volume, after it was given what was deleted. */
u64 room_left(const struct server *s);
/* The end of the server: if the disk is nearly full, what was deleted is given back. */
void room_end(const struct server *s);

/*
 * holes.c: a thread of its own answers SEEK_DATA and SEEK_HOLE, since it has to wait for writes
 * that the workers serve. holes_end() answers what came, ends it, and is called while the workers
 * still serve; after it the answers are the volume's alone.
 */
int __must_check holes_start(struct server *s); /* 0 or an errno */
void holes_ask(struct server *s, fuse_req_t req, fuse_ino_t ino, u64 offset,
	       bool hole); /* replies */
void holes_end(void);

/* Counted by the kernel (lookups), so good during the request. The root stays held. */
struct node *server_node(fuse_req_t req, fuse_ino_t ino);
/* Errors of the project's own become what a program can understand. */
void server_reply_error(fuse_req_t req, int err);

/* An entry of the kernel's caches; counting the lookup is the caller's business. 0 or -errno. */
int __must_check server_fill_entry(fuse_req_t req, struct fuse_entry_param *e, struct node *n);

/* fuse_list.c */
void server_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void server_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void server_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi);
void server_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			struct fuse_file_info *fi);

/* fuse_ops.c; the session's user data is the struct server. */
extern const struct fuse_lowlevel_ops server_ops;

/*
 * Serves until the file system is unmounted or SIGINT, SIGTERM or SIGHUP arrives; then everything
 * the kernel has cached was handed over and the file system is unmounted. The caller has blocked
 * these signals before it made any thread. Says what is wrong; 0 or 1.
 */
int __must_check server_run(struct server *s);
