/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing volumes. Everything that decides how a volume is opened (role, mode, cipher,
 * digest, whether it may be made) comes from the measured configuration; nothing on the host's
 * side makes the kernel format anything: a volume is created only where none exists and the
 * configuration permits it.
 */
#include "abi/errno.h"
#include "kernel/core/config.h"
#include "kernel/core/kmem.h"
#include "kernel/core/random.h"
#include "kernel/core/reason.h"
#include "kernel/core/wipe.h"
#include "kernel/fs/secvol/store.h"
#include "kernel/fs/secvol/volume_priv.h"
#include "lib/base/string.h"
#include "lib/secvol/segment.h"

#define LOG_TAG "secvol"
#include "kernel/core/log.h"

#define CACHE_IMAGE MIB(1) /* the page cache lies above it */
/* Parts of the heap, which is small by default; the page cache for reads has a quarter. */
#define HEAP_PART(part, least, most)                                                               \
	MIN(MAX(kernel_config()->kernel_heap_size / (part), (u64)(least)), (u64)(most))
#ifndef CACHE_SEALED
#define CACHE_SEALED HEAP_PART(8, MIB(4), MIB(64))
#endif
#ifndef NODE_CACHE
#define NODE_CACHE HEAP_PART(32, MIB(1), MIB(32))
#endif
#ifndef DELTA_SEALED
#define DELTA_SEALED HEAP_PART(48, MIB(2), MIB(16)) /* changes between checkpoints */
#endif
#define COMMIT_SECONDS 5u
#define VOLUME_BLOCKS  ((u64)1 << 28) /* 1 TiB, sparse */

static void *env_alloc(void *arg, size_t size)
{
	return kmalloc(size);
}

static void env_free(void *arg, void *p, size_t size)
{
	kfree(p);
}

static int env_random(void *arg, void *bytes, size_t size)
{
	return random_bytes(bytes, size);
}

static void env_now(void *arg, s64 *sec, u32 *nsec)
{
	struct vtime t;

	vtime_now(&t);
	*sec = t.sec;
	*nsec = t.nsec;
}

static void *env_lock_new(void *arg)
{
	struct mutex *m = kzalloc(sizeof(*m));

	if (m)
		mutex_init(m, LOCK_VOLUME);
	return m;
}

static void env_lock_free(void *arg, void *lock)
{
	kfree(lock);
}

static void env_lock(void *arg, void *lock)
{
	mutex_lock(lock);
}

static void env_unlock(void *arg, void *lock)
{
	mutex_unlock(lock);
}

static const struct secvol_env env = {
	.alloc = env_alloc,
	.free = env_free,
	.random = env_random,
	.now = env_now,
	.lock_new = env_lock_new,
	.lock_free = env_lock_free,
	.lock = env_lock,
	.unlock = env_unlock,
};

static int volume_statfs(struct filesystem *fs, struct vfs_statfs *ret)
{
	struct secvol_statfs s;
	int err = secvol_statfs(container_of(fs, struct volume, fs)->sv, &s);

	if (err)
		return err;
	ret->bsize = BS_BLOCK;
	ret->blocks = s.blocks;
	ret->bfree = s.blocks_free;
	ret->bavail = s.blocks_avail;
	ret->files = s.files + s.blocks_free;
	ret->ffree = s.blocks_free;
	return 0;
}

static int volume_sync(struct filesystem *fs)
{
	struct volume *vol = container_of(fs, struct volume, fs);

	if (vol->is_read_only || vol->is_temporary)
		return 0;
	return secvol_commit(vol->sv);
}

/* The host refused something: which file, why, and what helps. */
static bool say_fault(const struct volume *vol)
{
	struct store_fault f = vol->store ? store_fault(vol->store) : (struct store_fault){0};
	const char *why = "the host reports an error", *fix = "look at the host's disk";

	switch (f.error) {
	case 0: return false;
	case EACCES:
	case EPERM:
		why = "permission denied";
		fix = "give the user of this process the right to read and write it";
		break;
	case EROFS:
		why = "the host's file system is read-only";
		fix = "mount it writable or move the instance";
		break;
	case ENXIO:
	case ELOOP:
	case EISDIR:
		why = "it is not a regular file";
		fix = "someone put something else in its place; remove that";
		break;
	case EMFILE:
	case ENFILE:
		why = "too many open files";
		fix = "raise `ulimit -n`";
		break;
	case EFBIG:
		why = "it may not become larger";
		fix = "raise `ulimit -f`";
		break;
	case ENOSPC:
	case EDQUOT:
		why = "the host's disk is full";
		fix = "make room there";
		break;
	}
	log_always("The host's file %s%s%s cannot be %s: %s; %s (error %d).", vol->source,
		   f.name[0] ? "/" : "", f.name, f.what, why, fix, f.error);
	return true;
}

void volume_say_uncommitted(struct volume *vol, int err)
{
	if (vol->commit_failed)
		return;
	vol->commit_failed = true;
	if (store_was_full(vol->store))
		log_always("The host's disk is full: what was written last to %s is lost unless "
			   "there is room again soon.",
			   vol->source);
	else if (!say_fault(vol))
		log_always("What was written to %s could not be made durable: %s (error %d).",
			   vol->source, error_reason(err), -err);
}

/* The kernel stops. */
static void wipe_volume(void *arg)
{
	struct volume *vol = arg;
	struct secvol *sv = __atomic_load_n(&vol->sv, __ATOMIC_ACQUIRE);

	mem_wipe(&vol->fixed_key, sizeof(vol->fixed_key));
	if (sv)
		secvol_wipe_keys(sv);
}

static void volume_free(struct volume *vol)
{
	wiper_remove(wipe_volume, vol);
	if (vol->store)
		vol->store->ops->close(vol->store);
	mem_wipe(&vol->fixed_key, sizeof(vol->fixed_key));
	volume_anchor_free(&vol->anchor);
	kfree(vol);
}

static int volume_shutdown(struct filesystem *fs)
{
	struct volume *vol = container_of(fs, struct volume, fs);
	int err = 0;

	vnode_put(fs->root);
	commit_timer_remove(vol);
	wiper_remove(wipe_volume, vol); /* its keys are about to go anyway */
	if (vol->is_temporary)
		secvol_abandon(vol->sv);
	else
		err = secvol_close(vol->sv);
	if (err)
		volume_say_uncommitted(vol, err);
	volume_free(vol);
	return err;
}

static const struct fs_ops volume_ops = {
	.statfs = volume_statfs,
	.sync = volume_sync,
	.shutdown = volume_shutdown,
};

/* Says what is wrong in words; the caller passes the code on. */
static void explain(const struct volume *vol, int err)
{
	const char *why = NULL;

	if ((err == -EIO || err == -EACCES || err == -EROFS) && say_fault(vol))
		return;
	switch (-err) {
	case EKEYREJECTED:
		why = vol->auto_key.is_too_old
			      ? "was written under an older key epoch or security version than "
				"its mount.options.min_key_epoch and min_isvsvn allow"
		      : vol->is_image ? "does not open with the image key that init gave"
		      : vol->auto_key.image_key
			      ? "does not open with the image key that init gave: it was written "
				"under another one, or is another kind of volume"
			      : "does not open with this enclave's key: it belongs to another "
				"signer, product, config id or machine, or is another kind of "
				"volume";
		break;
	case EBADMSG:
		why = vol->is_image ? "was changed by someone: a digest or tag does not fit; "
				      "`occlum build --force` makes it anew"
				    : "was changed by someone: a digest or tag does not fit";
		break;
	case EUCLEAN:
		why = vol->is_image ? "is not a volume, or is damaged; `occlum build --force` "
				      "makes it anew"
				    : "is not a volume, or is damaged, or its file `root` is lost";
		break;
	case ESTALE:
		why = vol->anchor.arg
			      ? "is not the state that its anchor knows: an older one was "
				"put back, or the anchor's record is gone"
			      : "was made over another image; occlum build --reset removes it";
		break;
	case ENOENT:
		why = vol->is_image ? "is not there; `occlum build --force` makes it anew"
				    : "does not exist and may not be created";
		break;
	case ENOKEY:
		why = vol->is_image
			      ? "is encrypted and init gave no image key"
			      : "has an anchor command, whose key comes from the image key, and "
				"init gave none";
		break;
	case ENOMEM:
		why = "does not fit the kernel heap; raise resource_limits.kernel_space_heap_size";
		break;
	case EIO: why = "cannot be read: the host reports an I/O error"; break;
	case EACCES:
	case EPERM:
		why = "is not accessible: permission denied; give the user of this process the "
		      "right to read and write below it";
		break;
	case ENOSPC: why = "cannot be written: the host's disk is full"; break;
	case EBUSY: why = "is in use by another instance or tool, which has locked it"; break;
	}
	if (why)
		log_always("The file system %s %s (error %d).", vol->source, why, -err);
	else
		log_always("The file system %s cannot be used: %s (error %d).", vol->source,
			   error_reason(err), -err);
}

long volume_result(struct volume *vol, long result)
{
	if ((result == -EBADMSG || result == -EUCLEAN || result == -EIO) &&
	    !__atomic_exchange_n(&vol->is_reported, true, __ATOMIC_RELAXED))
		explain(vol, (int)result);
	return result;
}

static int set_keys(struct volume *vol, const struct config_volume *c, const u8 *image_key,
		    struct secvol_key_source *src)
{
	switch (c->role) {
	case CONFIG_ROLE_IMAGE:
	case CONFIG_ROLE_INITFS:
		if (c->image_type == CONFIG_IMAGE_INTEGRITY)
			return 0;
		if (!image_key)
			return -ENOKEY;
		vol->fixed_key.type = SECVOL_SLOT_USER;
		vol->fixed_key.size = 16;
		memcpy(vol->fixed_key.key, image_key, 16);
		secvol_fixed_key_source(src, &vol->fixed_key);
		return 0;
	case CONFIG_ROLE_TEMPORARY:
		vol->fixed_key.type = SECVOL_SLOT_RANDOM;
		vol->fixed_key.size = 32;
		secvol_fixed_key_source(src, &vol->fixed_key);
		return random_bytes(vol->fixed_key.key, 32);
	default:
		if (c->image_type == CONFIG_IMAGE_ENCRYPTED) {
			if (!image_key)
				return -ENOKEY;
			vol->fixed_key.size = 16;
			memcpy(vol->fixed_key.key, image_key, 16);
			vol->auto_key.image_key = &vol->fixed_key;
		}
		vol->auto_key.min_isvsvn = c->min_isvsvn;
		vol->auto_key.min_epoch = c->min_epoch;
		auto_key_source(src, &vol->auto_key);
		return 0;
	}
}

/* Says in block 4 that a first format has begun: until its root is written, it may begin again. */
#define FORMAT_MARK	  "OCFORMAT"
#define FORMAT_MARK_BLOCK 4u

static int transfer(struct bs *bs, enum bs_op op, u64 block, u32 count, u8 *buf)
{
	struct bs_req req = {.op = op, .block = block, .count = count, .buf = buf};
	struct bs_batch batch = {.reqs = &req, .count = 1};
	int err = bs->ops->submit(bs, &batch);

	if (!err)
		err = bs->ops->reap(bs, &batch);
	return err ? err : req.result;
}

/*
 * A damaged volume, or somebody's file, is not written over, and neither is one whose file `root`
 * was lost: without a root and without the mark there may be nothing behind either.
 */
static int check_blank(struct bs *bs, u8 *buf)
{
	u8 *mark = buf + FORMAT_MARK_BLOCK * BS_BLOCK;
	int err = transfer(bs, BS_READ, 0, SEGMENT_ROOT_BLOCKS, buf);
	bool marked = !err && memcmp(mark, FORMAT_MARK, strlen(FORMAT_MARK)) == 0;

	if (marked)
		memset(mark, 0, strlen(FORMAT_MARK));
	if (!err && !mem_is_zero(buf, SEGMENT_ROOT_BLOCKS * (size_t)BS_BLOCK))
		err = -EUCLEAN;
	if (err || marked)
		return err;
	err = transfer(bs, BS_READ, SEGMENT_ROOT_BLOCKS, SEGMENT_ROOT_BLOCKS, buf);
	if (!err && !mem_is_zero(buf, SEGMENT_ROOT_BLOCKS * (size_t)BS_BLOCK))
		err = -EUCLEAN;
	return err;
}

static int prepare_format(struct bs *bs)
{
	u8 *buf = kmalloc(SEGMENT_ROOT_BLOCKS * (size_t)BS_BLOCK);
	int err = buf ? check_blank(bs, buf) : -ENOMEM;

	if (!err) {
		memset(buf, 0, BS_BLOCK);
		memcpy(buf, FORMAT_MARK, strlen(FORMAT_MARK));
		err = transfer(bs, BS_WRITE, FORMAT_MARK_BLOCK, 1, buf);
	}
	if (!err)
		err = transfer(bs, BS_FLUSH, 0, 0, NULL);
	kfree(buf);
	return err;
}

static int make_if_missing(struct volume *vol, const struct config_volume *c,
			   const struct secvol_params *p)
{
	struct secvol_format_params f = {
		.size_blocks = VOLUME_BLOCKS, .root_mode = 0755, .dup = c->duplicate};
	bool exists;
	int err = secvol_probe(&env, vol->store, &exists);

	if (err || exists)
		return err;
	if (!c->may_create && !vol->is_temporary)
		return -ENOENT;
	err = prepare_format(vol->store);
	if (err)
		return err;
	return secvol_format(p, &f);
}

static int open_secvol(struct volume *vol, const struct config_volume *c, const u8 *image_key,
		       const u8 *lower, u64 cache_size, const struct volume_choice *choice)
{
	struct secvol_params p = {
		.env = &env,
		.bs = vol->store,
		.mode = !vol->is_image				  ? SECVOL_SEALED
			: c->image_type == CONFIG_IMAGE_ENCRYPTED ? SECVOL_PINNED
								  : SECVOL_HASH,
		.role = (enum secvol_role)c->role,
		.keys = &vol->keys,
		.read_only = vol->is_read_only,
		.snapshot = choice->snapshot,
		.cache_bytes = cache_size      ? cache_size
			       : vol->is_image ? CACHE_IMAGE
					       : CACHE_SEALED,
		.node_cache_bytes = NODE_CACHE,
		.delta_bytes = DELTA_SEALED,
		.discard = !vol->is_read_only,
	};
	struct secvol_report report;
	int err = set_keys(vol, c, image_key, &vol->keys);

	if (err)
		return err;
	p.min_epoch = c->min_epoch;
	p.suite = p.mode == SECVOL_HASH ? SECVOL_SUITE_NONE : (enum secvol_suite)c->suite;
	if (!mem_is_zero(c->volume_id, sizeof(c->volume_id))) {
		p.volume_id = c->volume_id;
		p.volume_id_size = sizeof(c->volume_id);
	}
	if (c->anchor.policy) {
		u8 id[32];

		secvol_anchor_id(&p, id);
		err = volume_anchor_new(&c->anchor, id, image_key, &vol->anchor);
		if (err)
			return err;
		p.anchor = &vol->anchor;
	}
	if (vol->is_image)
		p.pinned_sha256 = c->digest;
	if (c->role == CONFIG_ROLE_ROOT) {
		p.lower_sha256 = lower;
		p.keep_upper = c->keep_upper;
	}
	if (choice->before)
		err = choice->before(choice->before_arg, &p);
	else if (!vol->is_read_only)
		err = make_if_missing(vol, c, &p);
	if (err)
		return err;
	err = secvol_open(&p, &vol->sv, &report);
	if (!err && report.lower_differs)
		log_info("the files below %s are of another build; what was written before lies "
			 "above them",
			 vol->source);
	return err;
}

int volume_open(const struct config_volume *c, const u8 *image_key, const u8 *lower, u64 cache_size,
		struct filesystem **ret)
{
	static const struct volume_choice as_it_is;

	return volume_open_as(c, image_key, lower, cache_size, &as_it_is, ret);
}

struct secvol *volume_secvol(struct filesystem *fs)
{
	return container_of(fs, struct volume, fs)->sv;
}

int volume_open_as(const struct config_volume *c, const u8 *image_key, const u8 *lower,
		   u64 cache_size, const struct volume_choice *choice, struct filesystem **ret)
{
	size_t len = strlen(c->source);
	struct volume *vol = kzalloc(sizeof(*vol) + len + 1);
	u32 flags, store_flags;
	int err;

	if (!vol)
		return -ENOMEM;
	list_init(&vol->commit_node);
	memcpy(vol->source, c->source, len);
	vol->is_image = config_role_is_pinned(c->role);
	vol->is_temporary = c->role == CONFIG_ROLE_TEMPORARY;
	vol->is_read_only = vol->is_image || choice->read_only;
	flags = FS_CACHE_NAMES | FS_CACHE_ATTR | (vol->is_read_only ? FS_READ_ONLY : 0);
	fs_init(&vol->fs, &volume_ops, "sefs", vol->source, SECVOL_MAGIC, flags);
	store_flags = vol->is_read_only	  ? STORE_READ_ONLY
		      : vol->is_temporary ? STORE_CREATE | STORE_FRESH
		      : c->may_create	  ? STORE_CREATE
					  : 0;
	if (!wiper_add(wipe_volume, vol)) {
		kfree(vol);
		return -ENOMEM;
	}
	err = store_dir_open(vol->source, store_flags, &vol->store);
	if (!err)
		err = open_secvol(vol, c, image_key, lower, cache_size, choice);
	if (err)
		goto fail;
	err = volume_vnode(vol, SECVOL_ROOT_OBJ, NULL, false, &vol->fs.root);
	if (err) {
		secvol_abandon(vol->sv);
		goto fail;
	}
	vol->scrub_rate = (u64)c->scrub_kib * 1024;
	vol->commits_explicitly = c->commit_seconds == CONFIG_COMMIT_EXPLICIT;
	vol->commit_interval =
		(c->commit_seconds ? c->commit_seconds : COMMIT_SECONDS) * 1000000000ull;
	if (!vol->is_read_only)
		commit_timer_add(vol);
	*ret = &vol->fs;
	return 0;
fail:
	explain(vol, err);
	volume_free(vol);
	return err;
}
