/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory tree as a sorted list: what the image builder works on. Nothing but names and
 * attributes is read here; contents are opened later, beneath the same directory handle and
 * without following links.
 */
#pragma once

#include "lib/base/types.h"

/* What tells one version of a file from another. */
struct tree_identity {
	u64 dev, ino, size;
	s64 mtime_sec, ctime_sec;
	u32 mtime_nsec, ctime_nsec;
};

struct tree_entry {
	char *path;   /* from the top, without a leading slash; "" is the top itself */
	char *target; /* symbolic links only */
	struct tree_identity id;
	u32 mode; /* type and permission bits */
	u32 uid, gid;
	u32 parent; /* index of its directory; the top is its own parent */
	u32 first;  /* index of the first entry that is the same file (hard links), or its own */
	u32 links;  /* names of this file within the tree; directories: 2 + subdirectories */
	u64 obj;    /* object number, ascending with the entries that are `first` */
};

struct tree {
	int fd;			    /* of the top directory */
	const char *top;	    /* its path as given to tree_scan(), borrowed: for messages */
	struct tree_entry *entries; /* by byte order of path; entries[0] is the top */
	u32 count;
	u64 bytes; /* of all files, each counted once */
};

enum { TREE_ENTRIES_MAX = 1 << 24 };

/*
 * Walks `top`. Sockets, devices and fifos are refused (-EINVAL). On error a sentence that names the
 * path and the cause is in `error`. `shuffle` is for tests: another order of reading directories.
 */
int __must_check tree_scan(const char *top, u64 first_obj, u32 shuffle, struct tree *ret_tree,
			   char *error, size_t error_size);
void tree_fini(struct tree *tree);

/* Opens a file of the tree for reading: beneath the top, through no link. Or a negative errno. */
int tree_open(const struct tree *tree, const struct tree_entry *entry);

/* The identity of an open file, to be compared with the one that was scanned. */
int __must_check tree_identify(int fd, struct tree_identity *ret_id);

/* Name of an entry within its directory. */
const char *tree_name(const struct tree_entry *entry);
