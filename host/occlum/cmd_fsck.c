// SPDX-License-Identifier: Apache-2.0
/*
 * `occlum fsck`: checks a volume or image offline and changes nothing. Damaged files are named by
 * their paths; --salvage copies out what opens, block by block; --root looks at an older root that
 * is still kept; --dump lists the items of the tree. There is no repair that invents data:
 * --to-root alone writes, and what it makes the present is a state that was.
 *
 * Mode, cipher and role are taken from the volume itself: this is its owner looking at it, and
 * nothing is concluded from them. What a key holder wrote is still foreign: names come from there,
 * so files are made beneath directory handles, new ones only, without following links.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/lib/bs_host.h"
#include "host/lib/instance_lock.h"
#include "host/occlum/build.h"
#include "host/occlum/command.h"
#include "host/occlum/file.h"
#include "host/occlum/report.h"
#include "lib/base/string.h"
#include "lib/crypto/crypto.h"
#include "lib/secvol/secvol.h"
#include "lib/secvol/secvol_format.h"

#define DEPTH_MAX 128u
#define CHUNK	  65536u

static void *env_alloc(void *arg, size_t size)
{
	return aligned_alloc(16, ALIGN_UP(size, (size_t)16));
}

static void env_free(void *arg, void *p, size_t size)
{
	free(p);
}

static int env_random(void *arg, void *bytes, size_t size)
{
	/* Only --to-root writes. */
	return getrandom(bytes, size, 0) == (ssize_t)size ? 0 : -EIO;
}

static void env_now(void *arg, s64 *sec, u32 *nsec)
{
	*sec = time(NULL);
	*nsec = 0;
}

static const struct secvol_env env = {
	.alloc = env_alloc, .free = env_free, .random = env_random, .now = env_now};

struct fsck {
	const char *volume, *key, *salvage, *snapshot;
	u64 root_gen; /* 0: the newest */
	bool dump, to_root, force;
	bool sealed_inside; /* no slot for a user key */
	struct secvol *v;
	u64 damages, lost_blocks, files;
	u64 last_obj;
};

/* What the newest slot says of itself. */
static int take_hints(struct fsck *f, struct bs *bs, struct secvol_params *p)
{
	u8 *slots = bs->ops->buf_alloc(bs, SV_ROOT_SLOTS * SV_BLOCK);
	int err = slots ? bs_read(bs, 0, SV_ROOT_SLOTS, slots) : -ENOMEM;
	u64 newest = 0;

	for (u32 i = 0; !err && i < SV_ROOT_SLOTS; i++) {
		const struct sv_root_clear *c = (const void *)(slots + i * SV_BLOCK);

		if (memcmp(c->magic, SV_MAGIC, 8) != 0 || le64_get(c->gen) <= newest)
			continue;
		newest = le64_get(c->gen);
		p->mode = (enum secvol_mode)c->mode;
		p->suite = (enum secvol_suite)c->suite;
		p->role = (enum secvol_role)c->role;
		f->sealed_inside = c->mode == SECVOL_SEALED;
		for (u32 k = 0; k < SECVOL_KEY_SLOTS; k++)
			f->sealed_inside &= c->slots[k].type != SECVOL_SLOT_USER;
	}
	if (slots)
		bs->ops->buf_free(bs, slots, SV_ROOT_SLOTS * SV_BLOCK);
	return err ? err : newest ? 0 : -EUCLEAN;
}

static void on_damage(void *arg, u64 obj, const char *what, int err)
{
	struct fsck *f = arg;
	char path[4096];

	f->damages++;
	if (obj && obj == f->last_obj)
		return;
	f->last_obj = obj;
	if (obj && secvol_path(f->v, obj, path, sizeof(path)) == 0)
		inform("%s: %s", path, what);
	else if (obj)
		inform("object %llu: %s", (unsigned long long)obj, what);
	else
		inform("the volume: %s", what);
}

static void on_item(void *arg, u64 obj, u8 type, u64 off, const u8 *val, u32 size)
{
	static const char *const names[] = {
		"?",	  "INODE",  "DIRENT", "XATTR",	"SYMLINK",
		"INLINE", "EXTENT", "SITES",  "ORPHAN", [SV_RESERVED] = "RESERVED"};

	inform("%llu %s %llu %u", (unsigned long long)obj,
	       type < ARRAY_SIZE(names) && names[type] ? names[type] : "?", (unsigned long long)off,
	       size);
}

/* ---- salvage --------------------------------------------------------------------------------- */

static int salvage_file(struct fsck *f, int dir, const char *name, const struct secvol_attr *a)
{
	static u8 buf[CHUNK];
	char path[4096];
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int err = fd < 0 ? -errno : 0;
	u64 lost = 0;

	for (u64 at = 0; !err && at < a->size;) {
		long n = secvol_read(f->v, a->obj, at, buf, sizeof(buf));

		if (n <= 0) { /* this block stays a hole */
			lost++;
			at = (at / SV_BLOCK + 1) * SV_BLOCK;
			continue;
		}
		if (pwrite(fd, buf, (size_t)n, (off_t)at) != n)
			err = -errno;
		at += (u64)n;
	}
	if (!err && (ftruncate(fd, (off_t)a->size) || fchmod(fd, a->mode & 0777)))
		err = -errno;
	if (fd >= 0)
		close(fd);
	f->lost_blocks += lost;
	f->files++;
	if (lost && secvol_path(f->v, a->obj, path, sizeof(path)))
		snprintf(path, sizeof(path), "%s", name);
	if (lost)
		inform("%s: %llu blocks could not be read and are zeros", path,
		       (unsigned long long)lost);
	return err;
}

static int salvage_dir(struct fsck *f, int dir, u64 obj, u32 depth);

static int salvage_entry(struct fsck *f, int dir, const struct secvol_dirent *e, u32 depth)
{
	struct secvol_attr a;
	char target[SECVOL_SYMLINK_MAX + 1];
	int err = secvol_getattr(f->v, e->obj, &a), sub;
	long n;

	if (strchr(e->name, '/') || strcmp(e->name, "..") == 0)
		return -EUCLEAN;
	if (err)
		return err;
	if (S_ISREG(a.mode))
		return salvage_file(f, dir, e->name, &a);
	if (S_ISLNK(a.mode)) {
		n = secvol_readlink(f->v, a.obj, target, sizeof(target) - 1);
		if (n < 0)
			return (int)n;
		target[n] = 0;
		return symlinkat(target, dir, e->name) ? -errno : 0;
	}
	if (!S_ISDIR(a.mode))
		return 0; /* fifos, sockets and devices hold nothing */
	if (depth >= DEPTH_MAX)
		return -ELOOP;
	if (mkdirat(dir, e->name, 0700))
		return -errno;
	sub = openat(dir, e->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub < 0)
		return -errno;
	err = salvage_dir(f, sub, a.obj, depth + 1);
	if (!err && fchmod(sub, a.mode & 0777))
		err = -errno;
	close(sub);
	return err;
}

/* What cannot be read is told and left out; only the host's errors end it. */
static int salvage_dir(struct fsck *f, int dir, u64 obj, u32 depth)
{
	struct secvol_dirent ents[8];
	u64 cookie = 2;
	long n;

	while ((n = secvol_readdir(f->v, obj, cookie, ents, 8)) > 0) {
		for (long i = 0; i < n; i++) {
			int err = salvage_entry(f, dir, &ents[i], depth);

			cookie = ents[i].cookie;
			if (err == -ENOSPC || err == -EDQUOT || err == -EROFS)
				return err;
			if (err)
				warn("cannot salvage '%s' (error %d)", ents[i].name, -err);
		}
	}
	if (n < 0)
		warn("a directory cannot be read further (error %d)", (int)-n);
	return 0;
}

static int salvage(struct fsck *f)
{
	int dir, err;

	if (mkdir(f->salvage, 0700))
		return complain_errno(errno, "cannot make '%s'", f->salvage);
	dir = open(f->salvage, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return complain_errno(errno, "cannot open '%s'", f->salvage);
	err = salvage_dir(f, dir, SECVOL_ROOT_OBJ, 0);
	close(dir);
	if (err)
		return complain_errno(err, "cannot write to '%s'", f->salvage);
	inform("%llu files copied to %s, %llu blocks lost", (unsigned long long)f->files,
	       f->salvage, (unsigned long long)f->lost_blocks);
	return 0;
}

/* ---- the command ----------------------------------------------------------------------------- */

#define ASK_THE_INSTANCE                                                                           \
	"what an enclave sealed for itself is checked by `occlum image verify` in its instance"

static int explain(const struct fsck *f, int err)
{
	switch (-err) {
	case EKEYREJECTED:
		return f->sealed_inside
			       ? complain("the volume does not open with a key "
					  "file: " ASK_THE_INSTANCE)
			       : complain("the volume does not open with the key '%s'", f->key);
	case ENOENT:
		if (!f->snapshot)
			break;
		return complain("'%s' has no snapshot '%s'", f->volume, f->snapshot);
	case EBADMSG:
		return complain(
			"no root of the volume '%s' is authentic: it was changed, or is damaged",
			f->volume);
	case EUCLEAN:
		return complain("'%s' is no volume, or its structure makes no sense", f->volume);
	case EBUSY: return complain("the volume '%s' is in use", f->volume);
	}
	return complain_errno(err, "cannot open the volume '%s'", f->volume);
}

static int check(struct fsck *f)
{
	struct secvol_info info;
	int err, status = 0;

	secvol_info(f->v, &info);
	inform("generation %llu, %llu files, %llu of %llu blocks used, key epoch %u%s%.64s",
	       (unsigned long long)info.gen, (unsigned long long)info.files,
	       (unsigned long long)info.used_blocks, (unsigned long long)info.size_blocks,
	       info.epoch, info.label[0] ? ", label " : "", info.label);
	if (f->dump) {
		err = secvol_items(f->v, on_item, f);
		if (err)
			status = complain_errno(err, "the tree cannot be listed to its end");
	}
	err = secvol_check(f->v, on_damage, f);
	if (f->damages)
		inform("%llu damages found", (unsigned long long)f->damages);
	else if (err)
		status = complain_errno(err, "the check could not be finished");
	else
		inform("clean");
	if (f->salvage && salvage(f))
		status = 1;
	return f->damages ? 1 : status;
}

static int go_back(struct fsck *f, struct secvol_params *p)
{
	struct secvol_to_root r;
	int err;

	p->read_only = false;
	p->root_gen = 0;
	p->plain_rw = true; /* a volume in plain text can be written; an image cannot, see below */
	if (p->mode == SECVOL_PINNED || p->role == SECVOL_ROLE_IMAGE ||
	    p->role == SECVOL_ROLE_INITFS)
		return complain(
			"this is an image, which is never written to; occlum build makes it");
	err = secvol_to_root(p, f->root_gen, f->force, &r);
	switch (-err) {
	case 0: break;
	case EINVAL:
		return complain("generation %llu is the present, or later",
				(unsigned long long)f->root_gen);
	case EBADMSG:
		return complain("generation %llu is damaged; --force goes back to it all the same",
				(unsigned long long)f->root_gen);
	case EKEYREJECTED:
		return complain("generation %llu is under an older key, which was replaced since",
				(unsigned long long)f->root_gen);
	case ENOSPC: return complain("there is no room for an older state beside the newer one");
	default: return complain_errno(err, "cannot go back");
	}
	inform("generation %llu%s is given up, what %llu held is now %llu; --to-root %llu goes "
	       "back until something is written",
	       (unsigned long long)r.from, r.from_opened ? "" : " (damaged)",
	       (unsigned long long)r.to, (unsigned long long)r.made, (unsigned long long)r.from);
	return 0;
}

/* A folder in which something else has the place of a volume's first file. */
static bool is_other_folder(const char *volume)
{
	char path[PATH_MAX];
	struct stat st;

	return path_join(path, sizeof(path), volume, "root") == 0 && lstat(path, &st) == 0 &&
	       !S_ISREG(st.st_mode);
}

static int open_and_check(struct fsck *f)
{
	struct secvol_fixed_key fixed = {.type = SECVOL_SLOT_USER, .size = IMAGE_KEY_SIZE};
	struct secvol_key_source keys;
	struct secvol_params p = {.env = &env,
				  .keys = &keys,
				  .read_only = true,
				  .unpinned = true,
				  .root_gen = f->root_gen,
				  .snapshot = f->snapshot,
				  .cache_bytes = MIB(16)};
	u32 flags = f->to_root ? 0 : BS_HOST_READ_ONLY;
	struct stat st;
	int err;

	if (f->key && image_key_load(f->key, fixed.key))
		return 1;
	secvol_fixed_key_source(&keys, &fixed);
	if (stat(f->volume, &st))
		return complain_errno(errno, "cannot open '%s'", f->volume);
	if (S_ISDIR(st.st_mode) && is_other_folder(f->volume))
		return explain(f, -EUCLEAN);
	err = S_ISDIR(st.st_mode) ? bs_dir_open(AT_FDCWD, f->volume, flags, 0, &p.bs)
				  : bs_file_open(AT_FDCWD, f->volume, flags, 0, &p.bs);
	if (err)
		return explain(f, err);
	err = take_hints(f, p.bs, &p);
	if (!err && p.mode != SECVOL_HASH && !f->key)
		err = f->sealed_inside
			      ? complain("the volume does not open with a key "
					 "file: " ASK_THE_INSTANCE)
			      : complain("the volume is encrypted: give its key with --key");
	else if (!err)
		err = secvol_open(&p, &f->v, NULL);
	if (!err) {
		err = check(f);
		secvol_abandon(f->v);
		if (f->to_root && err && !f->force)
			err = complain(
				"generation %llu is damaged; --force goes back to it all the "
				"same",
				(unsigned long long)f->root_gen);
		else if (f->to_root)
			err = go_back(f, &p);
	} else if (err == -EUCLEAN && f->root_gen) {
		err = complain("no root of generation %llu is kept",
			       (unsigned long long)f->root_gen);
	} else if (err < 0) {
		err = explain(f, err);
	}
	p.bs->ops->close(p.bs);
	mem_wipe(&fixed, sizeof(fixed));
	return err;
}

#define INSTANCE_DEPTH 4 /* run/mount/__ROOT, and one for volumes elsewhere */

/* A volume of an instance is looked at while nothing else uses the instance, which is named. */
static int lock_instance_around(const char *volume)
{
	char folder[PATH_MAX], lock[PATH_MAX], text[256];
	int fd; /* stays open until the process ends */

	if (!realpath(volume, folder))
		return 0; /* said when it is opened */
	for (int i = 0; i < INSTANCE_DEPTH; i++) {
		char *slash = strrchr(folder, '/');

		if (!slash || slash == folder)
			return 0;
		*slash = 0;
		if (path_join(lock, sizeof(lock), folder, INSTANCE_LOCK) < 0 || !file_exists(lock))
			continue;
		/* What cannot be locked is only looked at all the same. */
		return instance_lock_take(folder, "fsck", &fd, text, sizeof(text)) == -EBUSY
			       ? complain("%s", text)
			       : 0;
	}
	return 0;
}

int command_fsck(int argc, char **argv)
{
	static const struct option options[] = {
		{"key", required_argument, NULL, 'k'},	{"salvage", required_argument, NULL, 's'},
		{"root", required_argument, NULL, 'r'}, {"to-root", required_argument, NULL, 't'},
		{"force", no_argument, NULL, 'f'},	{"snapshot", required_argument, NULL, 'n'},
		{"dump", no_argument, NULL, 'd'},	{0}};
	struct fsck f = {0};
	char *end;
	int c, err;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'k': f.key = optarg; break;
		case 's': f.salvage = optarg; break;
		case 'n': f.snapshot = optarg; break;
		case 'd': f.dump = true; break;
		case 'f': f.force = true; break;
		case 't':
		case 'r':
			f.to_root = c == 't';
			f.root_gen = strtoull(optarg, &end, 10);
			if (*end || !f.root_gen)
				return complain("'%s' is no generation", optarg);
			break;
		default:
			return complain("unknown option or missing argument: '%s'",
					argv[optind - 1]);
		}
	}
	if (optind + 1 != argc)
		return complain("name one volume: a directory or a file");
	f.volume = argv[optind];
	if (lock_instance_around(f.volume))
		return 1;
	err = crypto_init(NULL);
	return err ? complain_errno(err, "cryptography does not start") : open_and_check(&f);
}
