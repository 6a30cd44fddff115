/* SPDX-License-Identifier: Apache-2.0 */
/* Files and trees on the host. 0 or a negative errno unless said. */
#pragma once

#include <sys/types.h>

#include "lib/base/types.h"

/* Joins "a/b"; fails with -ENAMETOOLONG. */
int __must_check path_join(char *to, size_t size, const char *dir, const char *name);

bool file_exists(const char *path); /* whatever it is, links not followed */
bool dir_exists(const char *path);

/*
 * Opens what a program finds at `path` whose root is the folder `root`: links stay inside. A
 * descriptor, or -1 with errno set; ENOSYS where the host's kernel cannot.
 */
int __must_check file_open_in_root(int root, const char *path, int flags);

/* The whole file, at most `max` bytes (-EFBIG), with a NUL behind it; free() it. */
int __must_check file_read(const char *path, size_t max, char **ret, size_t *ret_size);

/* All bytes into a new file beside it, synced, then renamed over: never half-written. */
int __must_check file_write(const char *path, const void *bytes, size_t size, mode_t mode);

/* The same into a file that must not be there yet (-EEXIST); nothing stays when it fails. */
int __must_check file_create(const char *path, const void *bytes, size_t size, mode_t mode);

/* Contents of `from` (links followed) into a new file `to`; what was there is replaced. */
int __must_check file_copy(const char *from, const char *to, mode_t mode);

/* `path` and the directories above it that are missing. */
int __must_check dir_make(const char *path, mode_t mode);

/* Trees of more levels of directories are refused (-ELOOP). */
#define TREE_DEPTH_MAX 256

/* Everything below and `path` itself, links not followed; fine when it is not there. */
int __must_check tree_remove(const char *path);

/* A second tree of the same files: directories made, files hard-linked, links copied. */
int __must_check tree_link(const char *from, const char *to);

/* A second tree with files of its own: contents and modes, links copied as links. */
int __must_check file_copy_tree(const char *from, const char *to);

/*
 * Says which files a tree is made of without reading them: SHA-256 over names, inodes, types,
 * modes, owners, sizes and times, in sorted order. Any change changes it. A tree that is not there
 * has a digest too. `ret_where` (PATH_MAX bytes, or NULL) gets the path of what could not be looked
 * at.
 */
int __must_check tree_digest(const char *path, u8 digest[32], char *ret_where);

/* Likewise, but a faithful copy (cp -a) looks the same: no inodes, owners, change times. */
int __must_check tree_look(const char *path, u8 digest[32]);
