// SPDX-License-Identifier: Apache-2.0
/*
 * `occlum build`: image/ and initfs/ become secure volumes, Occlum.json and their digests become
 * the canonical configuration, whose digest goes into the kernel image, which is signed.
 *
 * Everything is made in .build.tmp, which takes build/'s place in one step at the end: a build that
 * is interrupted or fails leaves the previous one usable. Parts whose inputs have not changed are
 * taken over by hard links; when none has, nothing is made at all.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/occlum/build.h"
#include "host/occlum/command.h"
#include "host/occlum/file.h"
#include "host/occlum/instance.h"
#include "host/occlum/place.h"
#include "host/occlum/report.h"
#include "lib/base/hex.h"
#include "lib/base/string.h"
#include "lib/config/settings.h"
#include "lib/crypto/sha256.h"

static int digest_tree(const char *path, u8 digest[32])
{
	char where[PATH_MAX];
	int err = tree_digest(path, digest, where);

	if (err == -ELOOP)
		return complain("'%s' has directories in more than %d levels; an image has no more",
				path, TREE_DEPTH_MAX);
	return err < 0 ? complain_errno(err, "cannot look at '%s'", where[0] ? where : path) : 0;
}

static int look_at_tree(const char *path, u8 digest[32])
{
	int err = tree_look(path, digest);

	return err < 0 ? complain_errno(err, "cannot look at all of '%s'", path) : 0;
}

/* Whoever changes how volumes are made raises this, so that old ones are made anew. */
#define BUILDER_VERSION "2"

static bool dir_is_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	bool empty = true;

	if (!dir)
		return true;
	while (empty && (e = readdir(dir)) != NULL)
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	closedir(dir);
	return empty;
}

static void stamp_image(struct build *b)
{
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, "image" BUILDER_VERSION, sizeof("image" BUILDER_VERSION));
	sha256_update(&s, b->now.image_tree, 32);
	sha256_update(&s, &b->encrypted, 1);
	sha256_update(&s, b->image_key, sizeof(b->image_key));
	sha256_final(&s, b->now.image);
	sha256_init(&s);
	sha256_update(&s, "initfs" BUILDER_VERSION, sizeof("initfs" BUILDER_VERSION));
	sha256_update(&s, b->now.initfs_tree, 32);
	sha256_update(&s, &b->encrypted, 1);
	sha256_update(&s, &b->options.buildin_image_key, 1);
	if (b->options.buildin_image_key)
		sha256_update(&s, b->image_key, sizeof(b->image_key));
	sha256_final(&s, b->now.initfs);
	if (!b->encrypted)
		return;
	sha256_init(&s);
	sha256_update(&s, "layer key" BUILDER_VERSION, sizeof("layer key" BUILDER_VERSION));
	sha256_update(&s, b->image_key, sizeof(b->image_key));
	sha256_final(&s, b->image_key_look);
}

/* The first run after a build makes the layer, which keeps its key however often is built later. */
static void stamp_layer(struct build *b)
{
	bool is_new = b->options.reset || dir_is_empty("run/mount/__ROOT");

	memcpy(b->now.layer_key, is_new ? b->image_key_look : b->before.layer_key, 32);
}

static int stamp_enclave(struct build *b, const u8 config_digest[32])
{
	const char *const files[] = {build_kernel(b), b->sign_key, b->sign_tool};
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, "enclave" BUILDER_VERSION, sizeof("enclave" BUILDER_VERSION));
	sha256_update(&s, config_digest, 32);
	sha256_update(&s, &b->mode, sizeof(b->mode));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		u8 digest[32];

		if (digest_tree(files[i], digest))
			return 1;
		sha256_update(&s, digest, 32);
	}
	sha256_final(&s, b->now.enclave);
	return 0;
}

#define CACHE_NAME ".image.cache"

/* ---- making the parts ---- */

static int make_dir(const char *path)
{
	int err = dir_make(path, 0755);

	return err < 0 ? complain_errno(err, "cannot make '%s'", path) : 0;
}

static bool read_digest(const char *path, u8 digest[32])
{
	char *text;
	size_t size;
	bool ok;

	if (file_read(path, 128, &text, &size) < 0)
		return false;
	ok = size == 65 && text[64] == '\n' && hex_decode(digest, 32, text, 64) == 0;
	free(text);
	return ok;
}

/* Names, sizes and times of a volume's files; hard links change none of them. 0 or -errno. */
static int volume_look(const char *path, u8 digest[32])
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort), err = count < 0 ? -errno : 0;
	struct sha256 s;

	sha256_init(&s);
	for (int i = 0; i < count; i++) {
		char file[PATH_MAX];
		struct stat st;

		if (!err)
			err = path_join(file, sizeof(file), path, entries[i]->d_name);
		if (!err && lstat(file, &st) < 0)
			err = -errno;
		if (!err && !S_ISDIR(st.st_mode)) {
			sha256_update(&s, entries[i]->d_name, strlen(entries[i]->d_name) + 1);
			sha256_update(&s, &st.st_size, sizeof(st.st_size));
			sha256_update(&s, &st.st_mtim, sizeof(st.st_mtim));
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	sha256_final(&s, digest);
	return err;
}

/* Takes a volume over from the previous build, unless it is not what that has made. */
static bool reuse_volume(const char *name, const u8 made[32], u8 digest[32])
{
	char from[64], to[64], mac[64], volume[64];
	u8 now[32];

	snprintf(mac, sizeof(mac), "build/%s/.ROOT_MAC", name);
	snprintf(from, sizeof(from), "build/%s", name);
	snprintf(to, sizeof(to), BUILD_TEMP "/%s", name);
	snprintf(volume, sizeof(volume), "build/%s/__ROOT", name);
	if (volume_look(volume, now) < 0 || memcmp(now, made, 32) != 0 || !read_digest(mac, digest))
		return false;
	if (tree_link(from, to) == 0)
		return true;
	if (tree_remove(to) < 0)
		warn("cannot remove '%s'", to);
	return false;
}

static int make_volume(const char *name, struct image_request *request, u8 digest[32])
{
	char dir[64], volume[80], mac[80];

	snprintf(dir, sizeof(dir), BUILD_TEMP "/%s", name);
	snprintf(volume, sizeof(volume), "%s/__ROOT", dir);
	snprintf(mac, sizeof(mac), "%s/.ROOT_MAC", dir);
	request->to = volume;
	request->digest_path = mac;
	return make_dir(dir) || image_make(request, digest);
}

/* What the image builder remembers goes along from build to build; --force forgets it. */
static int take_cache_over(const struct build *b)
{
	if (b->options.force)
		return 0;
	if (link("build/" CACHE_NAME, BUILD_TEMP "/" CACHE_NAME) < 0 && errno != ENOENT)
		return complain_errno(errno, "cannot take over 'build/" CACHE_NAME "'");
	return 0;
}

static int make_image(struct build *b)
{
	struct image_request request = {.what = "image",
					.from = "image",
					.cache_path = BUILD_TEMP "/" CACHE_NAME,
					.role = CONFIG_ROLE_IMAGE,
					.key = b->encrypted ? b->image_key : NULL};

	if (take_cache_over(b))
		return 1;
	if (!b->options.force && memcmp(b->now.image, b->before.image, 32) == 0 &&
	    reuse_volume("mount", b->before.image_made, b->image_digest))
		return 0;
	inform("Building new image...");
	b->rebuilt = true;
	if (make_volume("mount", &request, b->image_digest))
		return 1;
	image_check("image", &b->config);
	return 0;
}

static const char *image_type_text(const struct build *b)
{
	return b->encrypted ? "{\n  \"image_type\": \"encrypted\"\n}\n"
			    : "{\n  \"image_type\": \"integrity-only\"\n}\n";
}

/* initfs with what the build adds: what kind the image is and, where asked for, its key. */
static int stage_initfs(const struct build *b)
{
	const char *type = image_type_text(b);
	int err = file_copy_tree("initfs", BUILD_STAGE);

	if (err < 0)
		return complain_errno(err, "cannot copy 'initfs'");
	if (make_dir(BUILD_STAGE "/etc"))
		return 1;
	err = file_write(BUILD_STAGE "/etc/image_config.json", type, strlen(type), 0644);
	if (err == 0 && b->options.buildin_image_key)
		err = file_copy(b->options.image_key, BUILD_STAGE "/etc/image_key", 0600);
	return err < 0 ? complain_errno(err, "cannot write to '" BUILD_STAGE "'") : 0;
}

static int make_initfs(struct build *b)
{
	struct image_request request = {
		.what = "initfs", .from = BUILD_STAGE, .role = CONFIG_ROLE_INITFS};
	int err;

	if (!b->options.force && memcmp(b->now.initfs, b->before.initfs, 32) == 0 &&
	    reuse_volume("initfs", b->before.initfs_made, b->initfs_digest))
		return 0;
	inform("Building the initfs...");
	b->rebuilt = true;
	if (stage_initfs(b) || make_volume("initfs", &request, b->initfs_digest))
		return 1;
	err = tree_remove(BUILD_STAGE);
	return err < 0 ? complain_errno(err, "cannot remove '" BUILD_STAGE "'") : 0;
}

static int link_to(const char *target, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), BUILD_TEMP "/%s", name);
	return symlink(target, path) < 0 ? complain_errno(errno, "cannot make '%s'", path) : 0;
}

/* NAME.so.VERSION, NAME.so.0 and, without the mode's ending, NAME.so: as Occlum names them. */
static int link_library(const char *name, const char *ending, const char *target)
{
	char full[64], major[64], path[80];

	snprintf(full, sizeof(full), "%s%s.so." OCCLUM_VERSION, name, ending);
	snprintf(major, sizeof(major), "%s%s.so.0", name, ending);
	snprintf(path, sizeof(path), "lib/%s", full);
	if (link_to(target, path))
		return 1;
	snprintf(path, sizeof(path), "lib/%s", major);
	if (link_to(full, path))
		return 1;
	snprintf(path, sizeof(path), "lib/%s.so", name);
	return link_to(major, path);
}

/* The files that users of Occlum know under build/, as links to what is installed. */
static int link_installed(const struct build *b)
{
	const char *ending = b->mode == SGX_MODE_SIM ? "_sim" : "";

	return link_to(place_of(PIECE_OCCLUM_RUN), "bin/occlum-run") ||
	       link_library("libocclum-libos", ending, build_kernel(b)) ||
	       link_library("libocclum-pal", ending, place_of(PIECE_PAL));
}

static int write_config(struct build *b, u8 digest[32])
{
	u8 *bytes = malloc(CONFIG_SIZE_MAX);
	size_t size;
	int err;

	if (!bytes)
		return complain("out of memory");
	settings_pin(&b->config, b->initfs_digest, b->image_digest,
		     b->encrypted ? CONFIG_IMAGE_ENCRYPTED : CONFIG_IMAGE_INTEGRITY);
	err = config_encode(&b->config, bytes, CONFIG_SIZE_MAX, &size);
	if (err < 0) {
		free(bytes);
		return complain_errno(err, "the configuration is too large or contradicts itself");
	}
	sha256(bytes, size, digest);
	err = file_write(BUILD_TEMP "/.Occlum_sys.bin", bytes, size, 0644);
	free(bytes);
	if (err < 0)
		return complain_errno(err, "cannot write '" BUILD_TEMP "/.Occlum_sys.bin'");
	return config_dump(&b->config, BUILD_TEMP "/.Occlum_sys.json");
}

static int make_enclave(struct build *b)
{
	u8 digest[32];
	const char *type = image_type_text(b);
	int err;

	if (write_config(b, digest) || stamp_enclave(b, digest))
		return 1;
	err = file_write(BUILD_TEMP "/image_config.json", type, strlen(type), 0644);
	if (err < 0)
		return complain_errno(err, "cannot write '" BUILD_TEMP "/image_config.json'");
	if (!b->options.force && memcmp(b->now.enclave, b->before.enclave, 32) == 0 &&
	    enclave_identify(b, INSTANCE_SIGNED) &&
	    link("build/Enclave.xml", BUILD_TEMP "/Enclave.xml") == 0 &&
	    link(INSTANCE_SIGNED, BUILD_TEMP "/lib/libocclum-libos.signed.so") == 0)
		return 0;
	inform("Building libOS...");
	inform("Signing the enclave...");
	b->rebuilt = true;
	if (unlink(BUILD_TEMP "/Enclave.xml") < 0 && errno != ENOENT)
		return complain_errno(errno, "cannot replace '" BUILD_TEMP "/Enclave.xml'");
	return enclave_sign(b, digest, BUILD_TEMP, BUILD_TEMP "/lib/libocclum-libos.signed.so");
}

/* ---- putting it in place ---- */

/* What an interrupted build left. */
static int clean_up(void)
{
	int err = 0;

	if (!file_exists("build") && file_exists(BUILD_OLD) && rename(BUILD_OLD, "build") < 0)
		err = -errno;
	if (err == 0)
		err = tree_remove(BUILD_OLD);
	if (err == 0)
		err = tree_remove(BUILD_TEMP);
	return err < 0 ? complain_errno(err, "cannot remove '" BUILD_TEMP "' or '" BUILD_OLD
					     "' of an earlier build")
		       : 0;
}

static int sync_all(void)
{
	int fd = open(BUILD_TEMP, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return complain_errno(errno, "cannot open '" BUILD_TEMP "'");
	if (syncfs(fd) < 0)
		err = complain_errno(errno, "cannot write the build to disk");
	close(fd);
	return err;
}

static int put_in_place(void)
{
	int err = 0;

	if (sync_all())
		return 1;
	if (!file_exists("build")) {
		if (rename(BUILD_TEMP, "build") < 0)
			return complain_errno(errno, "cannot make 'build'");
		return 0;
	}
	if (renameat2(AT_FDCWD, BUILD_TEMP, AT_FDCWD, "build", RENAME_EXCHANGE) == 0) {
		err = tree_remove(BUILD_TEMP);
	} else {
		/* A file system without exchange: two steps, which clean_up() can finish. */
		if (rename("build", BUILD_OLD) < 0 || rename(BUILD_TEMP, "build") < 0)
			return complain_errno(errno, "cannot replace 'build'");
		err = tree_remove(BUILD_OLD);
	}
	if (err < 0)
		warn("the previous build could not be removed completely");
	return 0;
}

static bool keeps_upper(const struct build *b)
{
	const struct config_mount *root = &b->config.app.mounts[0];

	return root->layer_count > 0 && root->layers[root->layer_count - 1].keep_upper;
}

/* run/ outlives builds; it is made where it is not there. */
static int prepare_run(const struct build *b)
{
	if (b->options.reset) {
		int err = tree_remove("run");

		if (err < 0)
			return complain_errno(err, "cannot remove 'run'");
	}
	if (make_dir("run/mount/__ROOT") || make_dir("run/initfs/__ROOT"))
		return 1;
	if (dir_is_empty("run/mount/__ROOT"))
		return 0;
	if (!mem_is_zero(b->mrsigner_before, 32) &&
	    (memcmp(b->mrsigner_before, b->mrsigner, 32) != 0 || b->product_before != b->product))
		complain("the enclave has another signer or product id than before; the files that "
			 "earlier runs wrote open only for the one that wrote them "
			 "(`occlum build --reset` deletes them)");
	/* A layer that was made without one goes on under the key of this machine. */
	if (!mem_is_zero(b->before.layer_key, 32) &&
	    memcmp(b->before.layer_key, b->image_key_look, 32) != 0)
		complain("the files that earlier runs wrote are sealed under the --image-key of an "
			 "earlier build and do not open with this one "
			 "(`occlum build --reset` deletes them)");
	if (!mem_is_zero(b->image_digest_before, 32) &&
	    memcmp(b->image_digest_before, b->image_digest, 32) != 0)
		complain("the image below run/ has changed; the files that earlier runs wrote %s "
			 "(`occlum build --reset` deletes them)",
			 keeps_upper(b) ? "are kept"
					: "do not open above another image than theirs, as "
					  "options.keep_upper is false");
	return 0;
}

/* ---- all of it ---- */

static int need_dir(const char *name)
{
	if (dir_exists(name))
		return 0;
	if (file_exists(name))
		return complain("'%s' is not a directory (links are not followed)", name);
	return complain("there is no directory '%s' to build from", name);
}

static int read_inputs(struct build *b)
{
	bool is_first;

	if (settings_load(&b->config, b->now.settings) || build_choose_mode(b) ||
	    build_load_image_key(b) || build_choose_key(b) || build_choose_tool(b))
		return 1;
	if (need_dir("image") || need_dir("initfs"))
		return 1;
	if (digest_tree("image", b->now.image_tree) || digest_tree("initfs", b->now.initfs_tree) ||
	    look_at_tree("image", b->now.image_look) || look_at_tree("initfs", b->now.initfs_look))
		return 1;
	stamp_image(b);
	is_first = !stamp_read(&b->before, INSTANCE_STAMP);
	stamp_layer(b);
	if (is_first)
		return 0; /* everything is new */
	if (!read_digest("build/mount/.ROOT_MAC", b->image_digest_before))
		memset(b->image_digest_before, 0, 32);
	if (enclave_identify(b, INSTANCE_SIGNED)) {
		memcpy(b->mrsigner_before, b->mrsigner, 32);
		b->product_before = b->product;
	}
	return 0;
}

static void say_inputs(const struct build *b)
{
	inform("Enclave sign-tool: %s", b->sign_tool);
	inform("Enclave sign-key: %s", b->sign_key);
	if (b->encrypted)
		inform("Image encryption key: %s", b->options.image_key);
	inform("SGX mode: %s", sgx_mode_name(b->mode));
}

static void warn_of_choices(const struct build *b)
{
	const struct config_stage *app = &b->config.app;

	if (b->options.buildin_image_key)
		warn("the image key is built into the initfs, which the host can read");
	if (b->config.debuggable)
		return;
	for (u32 i = 0; i < app->entry_point_count; i++)
		entry_point_check("image", app->entry_points[i], &b->config);
}

/* So that the next build sees whether anybody has changed them. */
static int look_at_volumes(struct build *b)
{
	int err = volume_look(BUILD_TEMP "/mount/__ROOT", b->now.image_made);

	if (!err)
		err = volume_look(BUILD_TEMP "/initfs/__ROOT", b->now.initfs_made);
	return err < 0 ? complain_errno(err, "cannot look at what was built") : 0;
}

static int make_all(struct build *b)
{
	if (make_dir(BUILD_TEMP "/bin") || make_dir(BUILD_TEMP "/lib") || make_image(b) ||
	    make_initfs(b))
		return 1;
	if (b->rebuilt)
		inform("Generate the SEFS image successfully");
	return make_enclave(b) || link_installed(b) || look_at_volumes(b) ||
	       stamp_write(&b->now, BUILD_TEMP "/.stamp") || put_in_place();
}

static int build(struct build *b)
{
	char mode[8];
	int err;

	if (clean_up() || read_inputs(b))
		return 1;
	say_inputs(b);
	warn_of_choices(b);
	if (make_all(b)) {
		if (tree_remove(BUILD_TEMP) < 0)
			warn("cannot remove '" BUILD_TEMP "'");
		return 1;
	}
	snprintf(mode, sizeof(mode), "%s\n", sgx_mode_name(b->mode));
	err = file_write(INSTANCE_MODE, mode, strlen(mode), 0644);
	if (err < 0)
		return complain_errno(err, "cannot write %s", INSTANCE_MODE);
	if (prepare_run(b) || instance_set_status("built"))
		return 1;
	if (!b->rebuilt)
		inform("Nothing has changed since the last build");
	if (b->mode == SGX_MODE_HW) {
		char hex[65];

		hex_encode(hex, b->mrenclave, sizeof(b->mrenclave));
		inform("MRENCLAVE: %s", hex);
	}
	inform("Built the Occlum image and enclave successfully");
	return 0;
}

int command_build(int argc, char **argv)
{
	static struct build b;
	int err;

	if (build_parse_options(&b.options, argc, argv) || build_check_options(&b.options) ||
	    place_find() || instance_need_initialized() || instance_lock("build"))
		return 1;
	umask(022);
	err = build(&b);
	mem_wipe(b.image_key, sizeof(b.image_key));
	return err;
}
