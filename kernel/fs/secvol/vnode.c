/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of a volume. The library is told to hold each object that has a vnode, so that an
 * unlinked file lives on while it is open. File contents go through the page cache: reads fill it
 * by up to 128 KiB at once, writes pass to the library first.
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/pipefs/pipe.h"
#include "kernel/fs/secvol/volume_priv.h"
#include "kernel/vfs/file_ops.h"
#include "kernel/vfs/pagecache.h"
#include "lib/base/le.h"
#include "lib/base/string.h"
#include "lib/secvol/sites_format.h"

#define WRITE_CHUNK   65536u
#define READDIR_BATCH 16u

static void to_vtime(struct vtime *to, const struct secvol_time *from)
{
	to->sec = from->sec;
	to->nsec = from->nsec;
}

static void to_vattr(struct vattr *to, const struct secvol_attr *a)
{
	memset(to, 0, sizeof(*to));
	to->ino = a->obj;
	to->size = a->size;
	to->blocks = (a->blocks + a->reserved) * (BS_BLOCK / 512);
	if (!to->blocks && a->size && S_ISREG(a->mode) && a->size <= SECVOL_XATTR_MAX)
		to->blocks = 8; /* kept inline: not a hole */
	to->rdev = a->rdev;
	to->mode = a->mode;
	to->uid = a->uid;
	to->gid = a->gid;
	to->nlink = a->nlink;
	to->blksize = BS_BLOCK;
	to_vtime(&to->atime, &a->atime);
	to_vtime(&to->mtime, &a->mtime);
	to_vtime(&to->ctime, &a->ctime);
	to_vtime(&to->btime, &a->btime);
}

int volume_vnode(struct volume *vol, u64 obj, const struct secvol_attr *attr, bool is_held,
		 struct vnode **ret)
{
	struct vnode *v = vnode_find(&vol->fs, obj), *other;
	struct secvol_attr fetched;
	int err = 0;

	if (v) {
		if (is_held)
			secvol_release(vol->sv, obj);
		*ret = v;
		return 0;
	}
	if (!is_held)
		err = secvol_hold(vol->sv, obj);
	if (err)
		return err;
	if (!attr) {
		err = secvol_getattr(vol->sv, obj, &fetched);
		attr = &fetched;
	}
	v = err ? NULL : kzalloc(sizeof(*v));
	if (!v) {
		secvol_release(vol->sv, obj);
		return err ? err : -ENOMEM;
	}
	vnode_init(v, &vol->fs, &volume_vnode_ops, obj, attr->mode, attr->uid, attr->gid);
	to_vattr(&v->attr, attr);
	v->attr.dev = vol->fs.dev;
	v->has_attr = true;
	other = vnode_insert(v);
	if (other != v) {
		kfree(v);
		secvol_release(vol->sv, obj);
	}
	*ret = other;
	return 0;
}

/* Passes the result of a change on. */
static int changed(struct vnode *v, int err)
{
	if (!err)
		volume_changed(volume_of(v));
	return err;
}

static void sv_release(struct vnode *v)
{
	secvol_release(volume_of(v)->sv, v->key);
	kfree(v);
}

static int sv_getattr(struct vnode *v, struct vattr *ret)
{
	struct secvol_attr a;
	int err = secvol_getattr(volume_of(v)->sv, v->key, &a);

	if (!err)
		to_vattr(ret, &a);
	return (int)volume_result(volume_of(v), err);
}

static int sv_setattr(struct vnode *v, const struct vattr *a, u32 set)
{
	struct secvol_attr s = {
		.mode = a->mode,
		.uid = a->uid,
		.gid = a->gid,
		.atime = {a->atime.sec, a->atime.nsec},
		.mtime = {a->mtime.sec, a->mtime.nsec},
		.ctime = {a->ctime.sec, a->ctime.nsec},
	};

	/* The library's bits and ours are the same numbers. */
	static_assert((int)VATTR_MODE == SECVOL_SET_MODE && (int)VATTR_UID == SECVOL_SET_UID &&
			      (int)VATTR_GID == SECVOL_SET_GID &&
			      (int)VATTR_ATIME == SECVOL_SET_ATIME &&
			      (int)VATTR_MTIME == SECVOL_SET_MTIME &&
			      (int)VATTR_CTIME == SECVOL_SET_CTIME,
		      "bits of setattr");
	return changed(v, secvol_setattr(volume_of(v)->sv, v->key, &s, set));
}

static int sv_lookup(struct vnode *dir, struct vfs_name name, struct vnode **ret)
{
	struct volume *vol = volume_of(dir);
	struct secvol_attr a;
	u64 obj;
	int err = secvol_lookup(vol->sv, dir->key, name.text, name.len, &obj, &a);

	return err ? (int)volume_result(vol, err) : volume_vnode(vol, obj, &a, false, ret);
}

static int sv_create(struct vnode *dir, struct vfs_name name, u32 mode, u32 uid, u32 gid, u64 rdev,
		     struct vnode **ret)
{
	struct volume *vol = volume_of(dir);
	struct secvol_attr a;
	int err = secvol_create(vol->sv, dir->key, name.text, name.len, mode, uid, gid, rdev, true,
				&a);

	return changed(dir, err) ? err : volume_vnode(vol, a.obj, &a, true, ret);
}

static int sv_create_unnamed(struct vnode *dir, u32 mode, u32 uid, u32 gid, struct vnode **ret)
{
	struct volume *vol = volume_of(dir);
	struct secvol_attr a;
	int err = secvol_create_unnamed(vol->sv, mode, uid, gid, &a);

	return changed(dir, err) ? err : volume_vnode(vol, a.obj, &a, true, ret);
}

static int sv_symlink(struct vnode *dir, struct vfs_name name, const char *target, size_t len,
		      u32 uid, u32 gid, struct vnode **ret)
{
	struct volume *vol = volume_of(dir);
	struct secvol_attr a;
	int err = secvol_symlink(vol->sv, dir->key, name.text, name.len, target, len, uid, gid, &a);

	return changed(dir, err) ? err : volume_vnode(vol, a.obj, &a, false, ret);
}

static int sv_link(struct vnode *dir, struct vfs_name name, struct vnode *v)
{
	return changed(dir, secvol_link(volume_of(dir)->sv, v->key, dir->key, name.text, name.len));
}

static int sv_unlink(struct vnode *dir, struct vfs_name name, struct vnode *v, bool is_dir)
{
	return changed(dir,
		       secvol_unlink(volume_of(dir)->sv, dir->key, name.text, name.len, is_dir));
}

static int sv_rename(struct vnode *dir, struct vfs_name name, struct vnode *v, struct vnode *to_dir,
		     struct vfs_name to_name, struct vnode *to_v, u32 flags)
{
	static_assert(RENAME_NOREPLACE == SECVOL_RENAME_NOREPLACE &&
			      RENAME_EXCHANGE == SECVOL_RENAME_EXCHANGE,
		      "flags of rename");
	return changed(dir, secvol_rename(volume_of(dir)->sv, dir->key, name.text, name.len,
					  to_dir->key, to_name.text, to_name.len, flags));
}

static int sv_readdir(struct vnode *dir, u64 cookie, struct dir_sink *sink)
{
	struct secvol_dirent *ents = kmalloc(READDIR_BATCH * sizeof(*ents));
	bool stop = false;
	long n = 0;

	if (!ents)
		return -ENOMEM;
	while (!stop) {
		n = secvol_readdir(volume_of(dir)->sv, dir->key, cookie, ents, READDIR_BATCH);
		if (n <= 0)
			break;
		for (long i = 0; i < n && !stop; i++) {
			stop = sink->add(sink, ents[i].name, ents[i].name_len, ents[i].obj,
					 ents[i].type, ents[i].cookie);
			cookie = ents[i].cookie;
		}
	}
	kfree(ents);
	return n < 0 ? (int)volume_result(volume_of(dir), n) : 0;
}

static long sv_readlink(struct vnode *v, char *buf, size_t size)
{
	long len = secvol_readlink(volume_of(v)->sv, v->key, buf, size);

	return len < 0 ? len : MIN(len, (long)size);
}

/* --- contents ------------------------------------------------------------------------------ */

static int fill(struct vnode *v, u64 index, u32 count, u8 *const *to)
{
	static_assert(PAGE_SIZE == BS_BLOCK, "a page is a block");
	return secvol_read_pages(volume_of(v)->sv, v->key, index, count, to);
}

static long sv_read(struct vnode *v, struct uio *uio, u64 offset)
{
	struct vattr attr;
	int err;

	if (!S_ISREG(v->mode))
		return -EINVAL;
	/* Our own cached size: shared mappings may have a larger one above. */
	err = vnode_getattr(v, &attr);
	return err ? err
		   : volume_result(volume_of(v), page_cache_read(v, uio, offset, attr.size, fill));
}

static long write_from(struct vnode *v, u64 offset, const void *from, size_t size)
{
	long n = secvol_write(volume_of(v)->sv, v->key, offset, from, size);

	if (n > 0)
		page_cache_write(v, offset, from, n);
	if (n < (long)size) /* the volume alone knows what is there where it was refused */
		page_cache_discard(v, offset + MAX(n, 0), offset + size);
	return n;
}

/* The kernel's own memory: nobody changes it meanwhile. */
static long write_kernel(struct vnode *v, struct uio *uio, u64 offset)
{
	long n = write_from(v, offset, uio->kernel, uio->left);

	if (n > 0) {
		uio->kernel = (u8 *)uio->kernel + n;
		uio->left -= n;
	}
	return n;
}

static long write_user(struct vnode *v, struct uio *uio, u64 offset)
{
	size_t room = MIN(uio->left, (size_t)WRITE_CHUNK);
	u8 *bounce = kmalloc(room);
	long done = 0, n = 0;

	if (!bounce)
		return -ENOMEM;
	while (uio->left) {
		/* Whole pages after the first piece, so that blocks are written once. */
		size_t part = MIN(uio->left, room - (done ? 0 : offset % PAGE_SIZE % room));

		if (uio_copy_in(uio, bounce, part)) {
			n = -EFAULT;
			break;
		}
		n = write_from(v, offset, bounce, part);
		if (n <= 0)
			break;
		done += n;
		offset += n;
		if (n != (long)part)
			break;
	}
	kfree(bounce);
	return done ? done : n;
}

static long sv_write(struct vnode *v, struct uio *uio, u64 offset)
{
	long n;

	if (!uio->left)
		return 0;
	n = uio->is_user ? write_user(v, uio, offset) : write_kernel(v, uio, offset);
	vnode_forget_attr(v);
	if (n > 0)
		volume_changed(volume_of(v));
	return n;
}

static int sv_truncate(struct vnode *v, u64 size)
{
	int err = secvol_truncate(volume_of(v)->sv, v->key, size);

	vnode_forget_attr(v);
	page_cache_discard(v, ALIGN_DOWN(size, PAGE_SIZE), UINT64_MAX);
	return changed(v, err);
}

/*
 * Blocks without data get the promise of a place; where they are zeroed, those before lose theirs
 * first.
 */
static int sv_fallocate(struct vnode *v, u32 mode, u64 offset, u64 len)
{
	struct secvol *sv = volume_of(v)->sv;
	u64 end = offset + len;
	struct secvol_attr a;
	int err = secvol_getattr(sv, v->key, &a);

	if (err)
		return err;
	if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) && offset < a.size) {
		err = secvol_punch(sv, v->key, offset, MIN(end, a.size) - offset);
		page_cache_discard(v, offset, end);
	}
	if (!err && !(mode & FALLOC_FL_PUNCH_HOLE))
		err = secvol_reserve(sv, v->key, offset, len);
	if (!err && !(mode & FALLOC_FL_KEEP_SIZE) && end > a.size) {
		err = secvol_truncate(sv, v->key, end);
		page_cache_discard(v, ALIGN_DOWN(a.size, PAGE_SIZE), UINT64_MAX);
	}
	return changed(v, err);
}

static int sv_seek(struct vnode *v, u64 offset, bool hole, u64 *ret)
{
	return secvol_seek(volume_of(v)->sv, v->key, offset, hole, ret);
}

static int sv_sync(struct vnode *v, bool data_only)
{
	struct volume *vol = volume_of(v);

	return vol->is_read_only || vol->is_temporary ? 0 : secvol_commit(vol->sv);
}

static int sv_open(struct vnode *v, struct file *f)
{
	if (S_ISFIFO(v->mode))
		return fifo_vnode_open(v, f);
	if (S_ISREG(v->mode) || S_ISDIR(v->mode))
		return 0;
	return -ENXIO;
}

/* --- extended attributes, identity, call sites --------------------------------------------- */

static long sv_getxattr(struct vnode *v, const char *name, void *value, size_t size)
{
	return secvol_getxattr(volume_of(v)->sv, v->key, name, value, size);
}

static int sv_setxattr(struct vnode *v, const char *name, const void *value, size_t size, u32 flags)
{
	if (size > SECVOL_XATTR_MAX)
		return -ENOSPC;
	return changed(v, secvol_setxattr(volume_of(v)->sv, v->key, name, value, size, flags));
}

static long sv_listxattr(struct vnode *v, char *names, size_t size)
{
	return secvol_listxattr(volume_of(v)->sv, v->key, names, size);
}

static int sv_removexattr(struct vnode *v, const char *name)
{
	return changed(v, secvol_removexattr(volume_of(v)->sv, v->key, name));
}

static void sv_identity(struct vnode *v, struct file_identity *ret)
{
	ret->device = v->fs->dev;
	ret->object = v->key;
	ret->version = v->version;
	ret->cacheable = volume_of(v)->is_image;
	ret->is_noexec = false;
}

/* All chunks in order, without their heads: see file_sites(). */
static int sv_sites(struct vnode *v, struct file_sites *ret)
{
	struct secvol_site *sites;
	u8 *bytes = NULL, *grown;
	size_t size = 0;
	u16 version;
	long n = 0;

	if (!volume_of(v)->is_image)
		return 0;
	sites = kmalloc(SECVOL_SITES_PER_CHUNK * sizeof(*sites));
	if (!sites)
		return -ENOMEM;
	for (u32 chunk = 0;; chunk++) {
		n = secvol_sites_read(volume_of(v)->sv, v->key, chunk, &version, sites,
				      SECVOL_SITES_PER_CHUNK);
		if (n <= 0 || n > SECVOL_SITES_PER_CHUNK || !version || version > SITES_VERSION)
			break;
		grown = krealloc(bytes, size + n * 8);
		if (!grown) {
			n = -ENOMEM;
			break;
		}
		bytes = grown;
		for (long i = 0; i < n; i++, size += 8) {
			le64 offset = le64_put(sites[i].offset);

			memcpy(bytes + size, &offset, 6);
			bytes[size + 6] = sites[i].kind;
			bytes[size + 7] = sites[i].len;
		}
	}
	kfree(sites);
	if (n) { /* an error, or a table of another version: trapping works without */
		kfree(bytes);
		return n < 0 ? n : 0;
	}
	ret->bytes = bytes;
	ret->size = size;
	return 0;
}

const struct vnode_ops volume_vnode_ops = {
	.release = sv_release,
	.getattr = sv_getattr,
	.setattr = sv_setattr,
	.lookup = sv_lookup,
	.create = sv_create,
	.create_unnamed = sv_create_unnamed,
	.symlink = sv_symlink,
	.link = sv_link,
	.unlink = sv_unlink,
	.rename = sv_rename,
	.readdir = sv_readdir,
	.readlink = sv_readlink,
	.read = sv_read,
	.write = sv_write,
	.truncate = sv_truncate,
	.fallocate = sv_fallocate,
	.seek = sv_seek,
	.sync = sv_sync,
	.open = sv_open,
	.getxattr = sv_getxattr,
	.setxattr = sv_setxattr,
	.listxattr = sv_listxattr,
	.removexattr = sv_removexattr,
	.identity = sv_identity,
	.sites = sv_sites,
};
