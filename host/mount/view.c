// SPDX-License-Identifier: Apache-2.0
/*
 * Opening an instance's volumes outside of the enclave. Everything that decides how they are opened
 * comes from the configuration whose digest the signed enclave holds, as inside: a configuration
 * that does not fit the signature is refused, and with it everything it pins.
 */
#include "host/mount/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/mount/files.h"
#include "host/mount/kernel_env.h"
#include "host/occlum/build.h"
#include "host/occlum/file.h"
#include "host/occlum/instance.h"
#include "host/occlum/report.h"
#include "kernel/core/kmem.h"
#include "lib/base/string.h"
#include "lib/crypto/sha256.h"

#define CACHE_SIZE MIB(64)

static int take_layer(struct view_options *o, const char *value)
{
	if (strcmp(value, "rw") == 0)
		o->layer = VIEW_UPPER;
	else if (strcmp(value, "ro") == 0)
		o->layer = VIEW_IMAGE;
	else {
		complain("--layer takes ro (the image) or rw (what was written), not '%s'", value);
		return -1;
	}
	return 1;
}

int view_take_option(struct view_options *o, int argc, char **argv, int *i)
{
	const struct {
		const char *name;
		const char **value;
	} names[] = {{"--sign-key", &o->signer.key},
		     {"--sign-tool", &o->signer.tool},
		     {"--image-key", &o->image_key},
		     {"--snapshot", &o->snapshot},
		     {"--layer", NULL}};

	for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
		if (strcmp(argv[*i], names[k].name) != 0)
			continue;
		if (*i + 1 >= argc) {
			complain("%s needs a value", argv[*i]);
			return -1;
		}
		*i += 1;
		if (!names[k].value)
			return take_layer(o, argv[*i]);
		*names[k].value = argv[*i];
		return 1;
	}
	return 0;
}

int view_check(const struct view_options *o)
{
	return o->layer == VIEW_IMAGE && o->snapshot
		       ? complain("--snapshot is a state of what was written; --layer ro shows the "
				  "image, which has none")
		       : 0;
}

static int find_root(struct built *b)
{
	const struct config_stage *app = &b->config.app;

	for (u32 i = 0; i < app->mount_count; i++) {
		const struct config_mount *m = &app->mounts[i];

		if (strcmp(m->target, "/") == 0 && m->type == CONFIG_FS_UNIONFS &&
		    m->layer_count >= 2) {
			b->root = m;
			return 0;
		}
	}
	return complain("the configuration has no root of an image and a writable layer; other "
			"kinds are not yet supported here");
}

int built_read(struct built *b)
{
	struct enclave_error error = {0};
	u8 digest[32];
	char *bytes; /* stays: the configuration's strings lie in it */
	size_t size;
	int err;

	if (sign_image_verify(INSTANCE_SIGNED, &b->info, &error) < 0)
		return complain("%s", error.text);
	err = file_read(INSTANCE_CONFIG, CONFIG_SIZE_MAX, &bytes, &size);
	if (err < 0)
		return complain_errno(err, "cannot read %s", INSTANCE_CONFIG);
	sha256(bytes, size, digest);
	if (memcmp(digest, b->info.params.config_sha256, 32) != 0)
		return complain(INSTANCE_CONFIG " is not the configuration that the enclave was "
						"signed with; run: occlum build");
	err = config_decode(&b->config, bytes, size);
	if (err < 0)
		return complain_errno(err, "cannot understand " INSTANCE_CONFIG);
	return find_root(b);
}

static int explain_stale(const struct config_volume *c)
{
	if (c->anchor.policy == CONFIG_ANCHOR_NONE)
		return complain(
			"stale: '%s' was made over another image than the present one; build "
			"that image again, or remove the layer: occlum build --reset",
			c->source);
	if (c->anchor.kind == CONFIG_ANCHOR_FILE && !file_exists(c->anchor.place))
		return complain("stale: the anchor '%s', which knows the newest state of '%s', is "
				"gone; put it back",
				c->anchor.place, c->source);
	return complain(
		"stale: '%s' is not the state that its anchor knows; put back the newest copy "
		"of it (or it lies over another image than the one it was made over)",
		c->source);
}

/* The three errors of which none is the other, and the rest. */
static int explain(const struct config_volume *c, const struct view_options *o, int err)
{
	bool image = config_role_is_pinned(c->role);
	const char *again = image ? "; `occlum build --force` makes it anew" : "";

	switch (-err) {
	case ENOKEY:
		return complain("'%s' is encrypted; give the --image-key that the instance was "
				"built with",
				c->source);
	case EKEYREJECTED:
		if (image)
			return complain("wrong key: the image '%s' does not open with the given "
					"--image-key",
					c->source);
		if (c->image_type == CONFIG_IMAGE_ENCRYPTED)
			return complain("wrong key: the writable layer '%s' does not open with the "
					"given --image-key, which opens the image; it was written "
					"under another one, or, before the image was encrypted, on "
					"another machine",
					c->source);
		return complain("wrong machine: the writable layer '%s' does not open with the "
				"key of this machine; it was written on another machine, as "
				"another user, or by an enclave of another signer or product id",
				c->source);
	case EBADMSG:
		return complain("damaged: '%s' was changed outside of the enclave; a digest or "
				"tag does not fit%s",
				c->source, again);
	case EUCLEAN:
		return complain("damaged: '%s' is not a volume, or is broken%s", c->source, again);
	case ESTALE: return explain_stale(c);
	case ENOENT:
		return o->snapshot ? complain("'%s' has no snapshot '%s'", c->source, o->snapshot)
				   : complain("'%s' does not exist", c->source);
	case EBUSY: return complain("'%s' is in use by another process", c->source);
	case EROFS:
		return complain("'%s' lies on a read-only file system; only looking works there "
				"(occlum mount --read-only)",
				c->source);
	case ECANCELED: return 1; /* whoever worked on it says why */
	default: return complain_errno(err, "cannot open '%s'", c->source);
	}
}

static int open_volume(const struct config_volume *c, const struct built *b,
		       const struct view_options *o, const u8 *key, struct files **ret)
{
	const struct config_mount *root = b->root;
	/* What a run would tie to the new image, a mere look at it does not refuse. */
	const u8 *lower = c->role == CONFIG_ROLE_ROOT && !(o->read_only && c->keep_upper)
				  ? root->layers[root->layer_count - 2].digest
				  : NULL;
	bool is_upper = !config_role_is_pinned(c->role);
	int err;

	kernel_env_quiet(true);
	err = files_open(c, key, lower, CACHE_SIZE, o->read_only || !is_upper,
			 is_upper ? o->snapshot : NULL, is_upper ? o->before : NULL, ret);
	kernel_env_quiet(false);
	return err ? explain(c, o, err) : 0;
}

/* Nothing was written yet: there is no volume to look at. */
static bool is_unwritten(const struct config_volume *c)
{
	char path[PATH_MAX];

	return path_join(path, sizeof(path), c->source, "root") < 0 || !file_exists(path);
}

static int open_lowers(struct view *v, const struct built *b, const struct view_options *o,
		       const u8 *key, struct files *lowers[], u32 count)
{
	for (u32 i = 0; i < count; i++) {
		if (open_volume(&b->root->layers[i], b, o, key, &lowers[count - 1 - i]))
			return 1;
	}
	v->image = lowers[0];
	return 0;
}

static int open_upper(struct view *v, const struct built *b, const struct view_options *o,
		      const u8 *key)
{
	const struct config_volume *top = &b->root->layers[b->root->layer_count - 1];

	if (top->role == CONFIG_ROLE_TEMPORARY)
		return complain("the writable layer is temporary: nothing of it outlives a run");
	if (o->read_only && is_unwritten(top)) {
		if (o->snapshot)
			return complain("'%s' has no snapshot '%s'", top->source, o->snapshot);
		return o->layer == VIEW_UPPER
			       ? complain("nothing was written yet: '%s' is empty", top->source)
			       : 0;
	}
	if (b->info.params.mode != ENCLAVE_MODE_SIM && is_unwritten(top) &&
	    top->image_type != CONFIG_IMAGE_ENCRYPTED)
		return complain("nothing was written yet, and on hardware the enclave itself makes "
				"its writable layer; run the instance once, or give --read-only");
	if (machine_key_prove(&o->signer, &b->info, &b->config))
		return 1;
	return open_volume(top, b, o, key, &v->upper);
}

static bool is_encrypted(const struct config_mount *root)
{
	for (u32 i = 0; i < root->layer_count; i++) {
		if (root->layers[i].image_type == CONFIG_IMAGE_ENCRYPTED)
			return true;
	}
	return false;
}

int view_open(struct view *v, const struct built *b, const struct view_options *o)
{
	struct files *lowers[CONFIG_LAYERS_MAX - 1] = {0};
	u32 count = b->root->layer_count - 1;
	u8 *key = NULL; /* on the heap that children do not inherit: a sign tool is started below */
	int err;

	memset(v, 0, sizeof(*v));
	if (o->image_key) {
		if (!is_encrypted(b->root))
			return complain(
				"wrong key: the instance was built without an image key; leave "
				"--image-key away");
		key = kmalloc(IMAGE_KEY_SIZE);
		if (!key)
			return complain("out of memory");
		if (image_key_load(o->image_key, key))
			return 1;
	}
	/* With a key the image is opened in any case: it tells a wrong key from another machine. */
	err = (o->layer != VIEW_UPPER || key) && open_lowers(v, b, o, key, lowers, count);
	if (!err && o->layer != VIEW_IMAGE)
		err = open_upper(v, b, o, key);
	if (key)
		mem_wipe(key, IMAGE_KEY_SIZE);
	kfree(key);
	if (err)
		return 1; /* the process ends; nothing was written that is to be committed */
	if (o->layer == VIEW_UPPER) {
		v->fs = v->upper;
	} else if (!v->upper) {
		v->fs = v->image; /* further images below stay open until the end */
	} else {
		err = files_join(v->upper, lowers, count, &v->fs);
		if (err == -ENOSPC)
			return complain("the host's disk is full: make room where '%s' lies; only "
					"looking works there (occlum mount --read-only)",
					b->root->layers[b->root->layer_count - 1].source);
		if (err)
			return complain_errno(err, "cannot join the image and the writable layer");
	}
	return 0;
}

int view_close(struct view *v)
{
	int err = files_close(v->fs);

	return err ? complain_errno(err, "what was written last could not be committed") : 0;
}

struct secvol *view_secvol(struct files *fs)
{
	return fs ? files_secvol(fs) : NULL;
}
