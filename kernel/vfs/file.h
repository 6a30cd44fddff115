/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files and descriptors, as the rest of the kernel sees them. Buffers of struct uio are
 * kernel or user memory; file systems copy with uio_copy_*() and never look.
 */
#pragma once

#include "lib/base/types.h"

struct fd_table;
struct file;
struct fs_context;
struct mem_object;
struct poll_table;
struct process;

/* One contiguous piece of the caller's memory at a time; vectors are loops above. */
struct uio {
	bool is_user;
	void *kernel;	   /* !is_user */
	void __user *user; /* is_user */
	size_t left;	   /* bytes still to copy */
};

static inline struct uio uio_kernel(void *buf, size_t size)
{
	return (struct uio){.is_user = false, .kernel = buf, .left = size};
}
static inline struct uio uio_user(void __user *buf, size_t size)
{
	return (struct uio){.is_user = true, .user = buf, .left = size};
}

/* Move `size` (<= left) bytes and advance. 0 or -EFAULT. */
int __must_check uio_copy_out(struct uio *uio, const void *from, size_t size); /* to the caller */
int __must_check uio_copy_in(struct uio *uio, void *to, size_t size);	       /* from the caller */
int __must_check uio_zero_out(struct uio *uio, size_t size);

struct file *file_get(struct file *f);
void file_put(struct file *f); /* the last put closes */

/* At the file's position / at an offset. Bytes moved (short at EOF) or -errno. */
long file_read(struct file *f, struct uio *uio);
long file_write(struct file *f, struct uio *uio);
long file_pread(struct file *f, struct uio *uio, u64 offset);
long file_pwrite(struct file *f, struct uio *uio, u64 offset);
/* Exactly `size` bytes into kernel memory, or -EIO / -errno; short files are -ENOEXEC. */
int __must_check file_read_exact(struct file *f, void *buf, size_t size, u64 offset);
u64 file_size(struct file *f);

/* For mm: which bytes a mapping shows. Identity of the underlying object and its version. */
struct file_identity {
	u64 device, object, version;
	bool cacheable;	  /* measured, read-only layer: the kernel may share and remember */
	bool is_noexec;	  /* hostfs and mounts with noexec */
	bool is_mappable; /* has bytes at offsets: regular files, /dev/zero */
};
void file_identity(struct file *f, struct file_identity *ret);
bool file_is_readable(struct file *f);
bool file_is_writable(struct file *f);
bool file_is_sealed(struct file *f); /* against writing */
/* Absolute path for /proc (malloc'ed size is the caller's buffer); length or -errno. */
long file_path(struct file *f, char *buf, size_t size);
bool file_is_unlinked(struct file *f); /* its name leads elsewhere, or nowhere */

/*
 * Shared mapping of a regular file: the one mem_object of its vnode (created on first use,
 * filled and written back through file_pread/file_pwrite without recursion). While it exists,
 * read and write of the file use its pages.
 */
int __must_check file_shared_object(struct file *f, struct mem_object **ret_object);

/*
 * The call-site table of an ELF file in the authenticated image; see lib/secvol/sites_format.h.
 * All chunks in order without their heads: 8 bytes per site, file offset 6, kind 1, len 1. A table
 * of a later version than SITES_VERSION is none.
 */
struct file_sites {
	u8 *bytes; /* kmalloc'ed, or NULL when there is none */
	size_t size;
};
int __must_check file_sites(struct file *f, struct file_sites *ret);

/* Opens for exec: regular, x bit, not noexec. -ENOENT, -EACCES, ... */
int __must_check vfs_open_exec(struct fs_context *ctx, const char *path, struct file **ret_file);
int __must_check vfs_open(struct fs_context *ctx, const char *path, u32 flags, u32 mode,
			  struct file **ret_file);

/* Changes the ids to those that the file's set-id bits give, where its mount allows that. */
int __must_check file_exec_ids(struct file *f, u32 *uid, u32 *gid);

struct fs_context *fs_context_new(void) __must_check; /* cwd "/", umask 022 */
struct fs_context *fs_context_copy(struct fs_context *ctx) __must_check;
struct fs_context *fs_context_get(struct fs_context *ctx);
void fs_context_put(struct fs_context *ctx);

struct fd_table *fd_table_new(void) __must_check;
struct fd_table *fd_table_copy(struct fd_table *t) __must_check;
struct fd_table *fd_table_get(struct fd_table *t);
bool fd_table_is_shared(struct fd_table *t);
void fd_table_put(struct fd_table *t); /* the last put closes all */
void fd_table_close_on_exec(struct fd_table *t);
u32 fd_table_count(struct fd_table *t);

/* Descriptor -> counted file, or NULL. */
struct file *fd_lookup(struct fd_table *t, int fd);
/* Lowest free descriptor >= min; consumes the reference on success. fd or -EMFILE/-ENOMEM. */
int fd_install(struct fd_table *t, struct file *f, int min, bool cloexec);
/*
 * At exactly fd, replacing (closing) what was there. Consumes the reference on success. -EBUSY:
 * another thread is opening something there.
 */
int fd_install_at(struct fd_table *t, struct file *f, int fd, bool cloexec);
int fd_close(struct fd_table *t, int fd);

/* A file over a host descriptor of the caller (stdio); access as the host's F_GETFL says. */
int __must_check host_stdio_file(s32 host_fd, struct file **ret_file);

bool host_stdio_is_terminal(struct file *f); /* one of those, and the host calls it a terminal */

/* Boot: mounts initfs as the root, with /proc and /dev; syscall 363 switches to the app root. */
int __must_check vfs_mount_init(void);
int __must_check vfs_mount_app(const u8 key[16], bool has_key);
/* The application's root is there (or just being mounted by init). */
bool vfs_has_app(void);
/* Commits and unmounts everything; first error. */
int vfs_shutdown(void);
