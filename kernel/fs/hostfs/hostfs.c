/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostfs. Vnodes are paths: what lies there is asked for each time, since the host changes it when
 * it likes. Everything that comes back is checked for shape (types, sizes, names) and believed in
 * nothing beyond; programs are told so by the mount's name. Symbolic links are shown but programs
 * follow them inside the instance's own tree only, and never the host's.
 */
#include "kernel/fs/hostfs/hostfs.h"

#include "abi/errno.h"
#include "edge/hostcall_gen.h"
#include "kernel/core/kmem.h"
#include "kernel/vfs/file_ops.h"
#include "kernel/vfs/walk.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

#define LOG_TAG "hostfs"
#include "kernel/core/log.h"

#define CHUNK	  65536u
#define LIST_SIZE 32768u

struct host_fs {
	struct filesystem fs;
	s32 dir; /* handle of the folder */
	struct mutex lock;
	struct list_node nodes; /* lock */
	char source[];
};

struct host_node {
	struct vnode v;
	char *path;	/* host_fs.lock; changes with rename; relative to the folder, "." is it */
	char *new_path; /* host_fs.lock: while a rename is under way */
	struct list_node fs_node; /* host_fs.lock */
};

static const struct vnode_ops hostfs_ops;
static const struct file_ops hostfs_file_ops, hostfs_dir_ops;

static struct host_node *node_of(struct vnode *v)
{
	return container_of(v, struct host_node, v);
}

static struct host_fs *fs_of(struct vnode *v)
{
	return container_of(v->fs, struct host_fs, fs);
}

/* The vnode's path, copied: kfree() it. */
static char *path_of(struct vnode *v)
{
	struct host_fs *fs = fs_of(v);
	char *path;

	mutex_lock(&fs->lock);
	path = kstrdup(node_of(v)->path);
	mutex_unlock(&fs->lock);
	return path;
}

static char *child_path(struct vnode *dir, struct vfs_name name)
{
	char *base = path_of(dir), *path;
	size_t len = base ? strlen(base) : 0;

	if (!base)
		return NULL;
	if (str_equal(base, "."))
		len = 0;
	path = kmalloc(len + 1 + name.len + 1);
	if (path) {
		memcpy(path, base, len);
		if (len)
			path[len++] = '/';
		memcpy(path + len, name.text, name.len);
		path[len + name.len] = 0;
	}
	kfree(base);
	return path;
}

static u64 key_of(const char *path)
{
	u64 h = 14695981039346656037ull;

	while (*path)
		h = (h ^ (u8)*path++) * 1099511628211ull;
	return h;
}

/* Types that are passed through; everything else on the host does not exist here. */
static bool stat_is_sane(const struct abi_stat *st)
{
	return (S_ISREG(st->mode) || S_ISDIR(st->mode) || S_ISLNK(st->mode)) && st->size >= 0 &&
	       st->blocks >= 0;
}

static int stat_path(struct host_fs *fs, const char *path, struct abi_stat *st)
{
	int err = host_hostfs_stat(fs->dir, path, strlen(path), st, sizeof(*st));

	if (err)
		return err;
	return stat_is_sane(st) ? 0 : -ENOENT;
}

/* Consumes `path`. */
static int node_get(struct host_fs *fs, char *path, u32 mode, u32 uid, u32 gid, struct vnode **ret)
{
	u64 key = key_of(path);
	struct vnode *v = vnode_find(&fs->fs, key), *other;
	struct host_node *n;
	bool same;

	if (v) {
		mutex_lock(&fs->lock);
		same = str_equal(node_of(v)->path, path);
		mutex_unlock(&fs->lock);
		if (same && (v->mode & S_IFMT) == (mode & S_IFMT)) {
			kfree(path);
			*ret = v;
			return 0;
		}
		vnode_put(v); /* another kind of thing took the name: a new, unlisted node */
	}
	n = kzalloc(sizeof(*n));
	if (!n) {
		kfree(path);
		return -ENOMEM;
	}
	vnode_init(&n->v, &fs->fs, &hostfs_ops, key, mode & (S_IFMT | 0777), uid, gid);
	n->path = path;
	mutex_lock(&fs->lock);
	list_add_tail(&fs->nodes, &n->fs_node);
	mutex_unlock(&fs->lock);
	if (!v) {
		other = vnode_insert(&n->v);
		if (other != &n->v)
			vnode_put(other); /* a hash collision or a race: stay unlisted */
	}
	*ret = &n->v;
	return 0;
}

static void hostfs_release(struct vnode *v)
{
	struct host_fs *fs = fs_of(v);

	mutex_lock(&fs->lock);
	list_del(&node_of(v)->fs_node);
	mutex_unlock(&fs->lock);
	kfree(node_of(v)->path);
	kfree(node_of(v));
}

static void to_attr(const struct abi_stat *st, struct vattr *ret)
{
	ret->ino = st->ino;
	ret->size = st->size;
	ret->blocks = st->blocks;
	ret->mode = st->mode & (S_IFMT | 0777); /* no set-id bits */
	ret->uid = st->uid;
	ret->gid = st->gid;
	ret->nlink = MAX(MIN(st->nlink, (u64)UINT32_MAX), 1ull);
	ret->blksize = 4096;
	ret->atime = (struct vtime){st->atime.sec, (u64)st->atime.nsec % 1000000000u};
	ret->mtime = (struct vtime){st->mtime.sec, (u64)st->mtime.nsec % 1000000000u};
	ret->ctime = (struct vtime){st->ctime.sec, (u64)st->ctime.nsec % 1000000000u};
	ret->btime = ret->ctime;
}

static int hostfs_getattr(struct vnode *v, struct vattr *ret)
{
	char *path = path_of(v);
	struct abi_stat st;
	int err;

	if (!path)
		return -ENOMEM;
	err = stat_path(fs_of(v), path, &st);
	kfree(path);
	if (err)
		return err;
	if ((st.mode & S_IFMT) != (v->mode & S_IFMT))
		return -ESTALE;
	to_attr(&st, ret);
	return 0;
}

static int hostfs_setattr(struct vnode *v, const struct vattr *a, u32 set)
{
	char *path;
	int err;

	if (set & (VATTR_UID | VATTR_GID))
		return -EPERM;
	if (!(set & VATTR_MODE))
		return 0; /* times are the host's */
	path = path_of(v);
	if (!path)
		return -ENOMEM;
	err = host_hostfs_chmod(fs_of(v)->dir, path, strlen(path), a->mode & 0777);
	kfree(path);
	return err;
}

static int hostfs_lookup(struct vnode *dir, struct vfs_name name, struct vnode **ret)
{
	char *path = child_path(dir, name);
	struct abi_stat st;
	int err;

	if (!path)
		return -ENOMEM;
	err = stat_path(fs_of(dir), path, &st);
	if (err) {
		kfree(path);
		return err;
	}
	return node_get(fs_of(dir), path, st.mode, st.uid, st.gid, ret);
}

static int hostfs_create(struct vnode *dir, struct vfs_name name, u32 mode, u32 uid, u32 gid,
			 u64 rdev, struct vnode **ret)
{
	struct host_fs *fs = fs_of(dir);
	char *path;
	s64 fd;
	int err;

	if (!S_ISREG(mode) && !S_ISDIR(mode))
		return -EPERM;
	path = child_path(dir, name);
	if (!path)
		return -ENOMEM;
	if (S_ISDIR(mode)) {
		err = host_hostfs_mkdir(fs->dir, path, strlen(path), mode & 0777);
	} else {
		fd = host_hostfs_open(fs->dir, path, strlen(path), O_CREAT | O_EXCL | O_WRONLY,
				      mode & 0777);
		err = fd < 0 ? (int)fd : host_file_close(fd);
	}
	if (err) {
		kfree(path);
		return err;
	}
	return node_get(fs, path, mode, uid, gid, ret);
}

static int hostfs_unlink(struct vnode *dir, struct vfs_name name, struct vnode *v, bool is_dir)
{
	char *path = child_path(dir, name);
	int err = path ? host_hostfs_unlink(fs_of(dir)->dir, path, strlen(path), is_dir) : -ENOMEM;

	kfree(path);
	return err;
}

static int hostfs_link(struct vnode *dir, struct vfs_name name, struct vnode *v)
{
	char *to = child_path(dir, name), *from = path_of(v);
	int err = to && from ? host_hostfs_link(fs_of(dir)->dir, from, strlen(from), to, strlen(to))
			     : -ENOMEM;

	kfree(from);
	kfree(to);
	return err;
}

/* What follows `top` in a path that is it or lies below it, or NULL. */
static const char *below(const char *path, const char *top)
{
	size_t len = strlen(top);

	if (strncmp(path, top, len) != 0 || (path[len] && path[len] != '/'))
		return NULL;
	return path + len;
}

/* Where `n` will be once `from` is called `to`. */
static int plan_move(struct host_node *n, const char *from, const char *to)
{
	const char *rest = below(n->path, from);
	size_t size, len = 0;

	if (!rest)
		return 0;
	size = strlen(to) + strlen(rest) + 1;
	n->new_path = kmalloc(size);
	if (!n->new_path)
		return -ENOMEM;
	fmt_append(n->new_path, size, &len, "%s%s", to, rest);
	return 0;
}

/* Ends what was planned: the new paths hold, or are forgotten. */
static void end_moves(struct host_fs *fs, bool happened)
{
	struct host_node *n;

	list_for_each_entry (n, &fs->nodes, fs_node) {
		if (!n->new_path)
			continue;
		if (happened) {
			kfree(n->path);
			n->path = n->new_path;
		} else {
			kfree(n->new_path);
		}
		n->new_path = NULL;
	}
}

/* All that is known below the names moves with them; memory for that comes before the host acts. */
static int rename_paths(struct host_fs *fs, const char *from, const char *to, u32 flags)
{
	struct host_node *n;
	int err = 0;

	mutex_lock(&fs->lock);
	list_for_each_entry (n, &fs->nodes, fs_node) {
		err = plan_move(n, from, to);
		if (!err && !n->new_path && (flags & RENAME_EXCHANGE))
			err = plan_move(n, to, from);
		if (err)
			break;
	}
	if (!err)
		err = host_hostfs_rename(fs->dir, from, strlen(from), to, strlen(to), flags);
	end_moves(fs, !err);
	mutex_unlock(&fs->lock);
	return err;
}

static int hostfs_rename(struct vnode *dir, struct vfs_name name, struct vnode *v,
			 struct vnode *to_dir, struct vfs_name to_name, struct vnode *to_v,
			 u32 flags)
{
	struct host_fs *fs = fs_of(dir);
	char *from = child_path(dir, name), *to = child_path(to_dir, to_name);
	int err = from && to ? rename_paths(fs, from, to, flags) : -ENOMEM;

	kfree(from);
	kfree(to);
	return err;
}

static long hostfs_readlink(struct vnode *v, char *buf, size_t size)
{
	char *path = path_of(v);
	long len;

	if (!path)
		return -ENOMEM;
	len = host_hostfs_readlink(fs_of(v)->dir, path, strlen(path), buf, MIN(size, (size_t)4095));
	kfree(path);
	return len == 0 ? -ENOENT : len;
}

static int hostfs_truncate(struct vnode *v, u64 size)
{
	char *path = path_of(v);
	s64 fd;
	int err, closed;

	if (!path)
		return -ENOMEM;
	fd = host_hostfs_open(fs_of(v)->dir, path, strlen(path), O_WRONLY, 0);
	kfree(path);
	if (fd < 0)
		return fd;
	err = host_file_truncate(fd, size);
	closed = host_file_close(fd);
	return err ? err : closed;
}

/* --- open files ---------------------------------------------------------------------------- */

struct host_open {
	s32 fd;
};

static s32 fd_of(struct file *f)
{
	return ((struct host_open *)f->priv)->fd;
}

static int hostfs_open(struct vnode *v, struct file *f)
{
	u32 flags = S_ISDIR(v->mode) ? O_RDONLY | O_DIRECTORY : f->flags & O_ACCMODE;
	struct host_open *o;
	char *path = path_of(v);
	s64 fd;

	if (!path)
		return -ENOMEM;
	fd = host_hostfs_open(fs_of(v)->dir, path, strlen(path), flags, 0);
	kfree(path);
	if (fd < 0)
		return fd;
	o = kmalloc(sizeof(*o));
	if (!o) {
		int err = host_file_close(fd);

		return err ? err : -ENOMEM;
	}
	o->fd = fd;
	f->priv = o;
	f->ops = S_ISDIR(v->mode) ? &hostfs_dir_ops : &hostfs_file_ops;
	return 0;
}

static void file_release(struct file *f)
{
	if (host_file_close(fd_of(f)))
		log_warn("The host reports an error for a file that was closed.");
	kfree(f->priv);
}

static long file_read_op(struct file *f, struct uio *uio, u64 offset)
{
	size_t room = MIN(uio->left, (size_t)CHUNK);
	u8 *buf = room ? kmalloc(room) : NULL;
	long done = 0, n = 0;

	if (!room)
		return 0;
	if (!buf)
		return -ENOMEM;
	while (uio->left) {
		n = host_file_pread(fd_of(f), buf, MIN(uio->left, room), offset + done);
		if (n == -EINTR)
			continue;
		if (n > 0 && uio_copy_out(uio, buf, n))
			n = -EFAULT;
		if (n <= 0)
			break;
		done += n;
	}
	kfree(buf);
	return done ? done : n;
}

static long write_at(struct file *f, struct uio *uio, u64 offset)
{
	size_t room = MIN(uio->left, (size_t)CHUNK);
	u8 *buf = room ? kmalloc(room) : NULL;
	long done = 0, n = 0;

	if (!room)
		return 0;
	if (!buf)
		return -ENOMEM;
	while (uio->left) {
		size_t part = MIN(uio->left, room), at = 0;

		if (uio_copy_in(uio, buf, part)) {
			n = -EFAULT;
			break;
		}
		while (at < part) {
			n = host_file_pwrite(fd_of(f), buf + at, part - at, offset + done);
			if (n == -EINTR)
				continue;
			if (n <= 0)
				break;
			at += n;
			done += n;
		}
		if (at < part)
			break;
	}
	kfree(buf);
	return done ? done : n;
}

static long file_write_op(struct file *f, struct uio *uio, u64 *offset)
{
	long ret;

	mutex_lock(&f->vnode->lock);
	if (f->flags & O_APPEND) {
		s64 size = host_file_size(fd_of(f));

		if (size < 0) {
			mutex_unlock(&f->vnode->lock);
			return size;
		}
		*offset = size;
	}
	ret = write_at(f, uio, *offset);
	f->vnode->version++;
	vnode_forget_attr(f->vnode);
	mutex_unlock(&f->vnode->lock);
	return ret;
}

/* Of what is open, whatever lies under its name by now. */
static int file_getattr_op(struct file *f, struct vattr *ret)
{
	struct abi_stat st;
	int err = host_fd_stat(fd_of(f), &st, sizeof(st));

	if (err)
		return err;
	if (!stat_is_sane(&st) || (st.mode & S_IFMT) != (f->vnode->mode & S_IFMT))
		return -ESTALE;
	to_attr(&st, ret);
	return 0;
}

static int file_truncate_op(struct file *f, u64 size)
{
	return host_file_truncate(fd_of(f), size);
}

static int file_sync_op(struct file *f, bool data_only)
{
	return host_file_sync(fd_of(f), data_only);
}

/* Entries as getdents64 gives them, each checked before it is shown. */
static int list_entries(const u8 *buf, size_t size, struct dir_sink *sink, u64 *cookie)
{
	size_t at = 0;

	while (size - at >= sizeof(struct abi_dirent64) + 1) {
		struct abi_dirent64 d;
		const char *name = (const char *)buf + at + sizeof(d);
		size_t room, len;

		memcpy(&d, buf + at, sizeof(d));
		if (d.reclen < sizeof(d) + 2 || d.reclen > size - at || d.off < 0)
			return -EPROTO;
		room = d.reclen - sizeof(d);
		len = strnlen(name, room);
		if (len == room || !len || len > NAME_MAX_LEN || memchr(name, '/', len))
			return -EPROTO;
		if (d.type != DT_DIR && d.type != DT_REG && d.type != DT_LNK)
			d.type = DT_UNKNOWN;
		if (sink->add(sink, name, len, d.ino, d.type, d.off))
			return 1;
		*cookie = d.off;
		at += d.reclen;
	}
	return 0;
}

static int dir_readdir(struct file *f, u64 cookie, struct dir_sink *sink)
{
	u8 *buf = kmalloc(LIST_SIZE);
	int ret = 0;

	if (!buf)
		return -ENOMEM;
	while (!ret) {
		u64 before = cookie;
		long n = host_hostfs_list(fd_of(f), cookie, buf, LIST_SIZE);

		if (n <= 0) {
			ret = n;
			break;
		}
		ret = list_entries(buf, n, sink, &cookie);
		if (!ret && cookie == before)
			break; /* no progress: a host that lies */
	}
	kfree(buf);
	return ret > 0 ? 0 : ret;
}

static const struct file_ops hostfs_file_ops = {
	.release = file_release,
	.read = file_read_op,
	.write = file_write_op,
	.seek = vnode_file_seek,
	.getattr = file_getattr_op,
	.truncate = file_truncate_op,
	.sync = file_sync_op,
};

static const struct file_ops hostfs_dir_ops = {
	.release = file_release,
	.read = vnode_file_read,
	.seek = vnode_file_seek,
	.readdir = dir_readdir,
	.getattr = file_getattr_op,
	.sync = file_sync_op,
};

static const struct vnode_ops hostfs_ops = {
	.release = hostfs_release,
	.getattr = hostfs_getattr,
	.setattr = hostfs_setattr,
	.lookup = hostfs_lookup,
	.create = hostfs_create,
	.unlink = hostfs_unlink,
	.link = hostfs_link,
	.rename = hostfs_rename,
	.readlink = hostfs_readlink,
	.truncate = hostfs_truncate,
	.open = hostfs_open,
};

static int hostfs_shutdown(struct filesystem *f)
{
	struct host_fs *fs = container_of(f, struct host_fs, fs);
	int err;

	vnode_put(f->root);
	err = host_file_close(fs->dir);
	kfree(fs);
	return err;
}

int hostfs_new(const char *source, bool may_exec, struct filesystem **ret)
{
	static const struct fs_ops ops = {.shutdown = hostfs_shutdown};
	size_t len = strlen(source);
	struct host_fs *fs = kzalloc(sizeof(*fs) + len + 1);
	char *path;
	s64 dir;
	int err;

	if (!fs)
		return -ENOMEM;
	memcpy(fs->source, source, len);
	fs_init(&fs->fs, &ops, "hostfs", fs->source, HOSTFS_MAGIC,
		FS_NOSUID | FS_NODEV | (may_exec ? 0 : FS_NOEXEC));
	mutex_init(&fs->lock, LOCK_FS);
	list_init(&fs->nodes);
	dir = host_file_open(source, len, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0) {
		kfree(fs);
		return dir;
	}
	fs->dir = dir;
	path = kstrdup(".");
	err = path ? node_get(fs, path, S_IFDIR | 0755, 0, 0, &fs->fs.root) : -ENOMEM;
	if (err) {
		int closed = host_file_close(dir);

		kfree(fs);
		return closed ? closed : err;
	}
	*ret = &fs->fs;
	return 0;
}
