// SPDX-License-Identifier: Apache-2.0
/* Unit tests of the canonical configuration: encoding, suspicious decoding, policy questions. */
#include "tests/unit.h"

#include "abi/errno.h"
#include "lib/base/string.h"
#include "lib/config/config.h"
#include "lib/config/path.h"

#include <stdlib.h>

static u8 bytes[CONFIG_SIZE_MAX];
static u8 again[CONFIG_SIZE_MAX];
static struct occlum_config decoded;

static void fill_stage(struct config_stage *stage, const char *lower, const char *upper)
{
	struct config_mount *root = &stage->mounts[0];

	*root = (struct config_mount){.type = CONFIG_FS_UNIONFS, .target = "/", .layer_count = 2};
	root->layers[0] = (struct config_volume){.role = CONFIG_ROLE_IMAGE,
						 .image_type = CONFIG_IMAGE_INTEGRITY,
						 .suite = 1,
						 .source = lower};
	memset(root->layers[0].digest, 0xa5, CONFIG_DIGEST_SIZE);
	root->layers[1] = (struct config_volume){.role = CONFIG_ROLE_ROOT,
						 .suite = 1,
						 .source = upper,
						 .keep_upper = true,
						 .may_create = true};
	stage->mount_count = 1;
	stage->entry_point_count = 1;
	stage->entry_points[0] = "/bin";
}

static struct occlum_config *sample(void)
{
	static struct occlum_config c;

	memset(&c, 0, sizeof(c));
	c.user_space_size = MIB(300);
	c.kernel_heap_size = MIB(32);
	c.kernel_stack_size = MIB(1);
	c.max_threads = 32;
	c.default_stack_size = MIB(4);
	c.default_heap_size = MIB(32);
	c.default_mmap_size = MIB(100);
	c.uid = 1000;
	c.gid = 4294967294;
	c.product_id = 7;
	c.version_number = 3;
	c.debuggable = true;
	c.env_default_count = 2;
	c.env_default[0] = "OCCLUM=yes";
	c.env_default[1] = "A=";
	c.env_untrusted_count = 1;
	c.env_untrusted[0] = "EXAMPLE";
	c.entry_args_count = 1;
	c.entry_args[0] = (struct config_entry_args){
		.path = "/bin/python3", .pattern_count = 2, .patterns = {"/app/*.py", "..."}};
	fill_stage(&c.init, "build/initfs/__ROOT", "run/initfs/__ROOT");
	fill_stage(&c.app, "build/mount/__ROOT", "run/mount/__ROOT");
	c.app.mounts[1] =
		(struct config_mount){.type = CONFIG_FS_HOSTFS, .target = "/host", .source = "."};
	c.app.mounts[2] =
		(struct config_mount){.type = CONFIG_FS_SEFS, .target = "/data", .layer_count = 1};
	c.app.mounts[2].layers[0] = (struct config_volume){
		.role = CONFIG_ROLE_DATA,
		.suite = 1,
		.source = "data",
		.volume_id = {1, 2, 3},
		.anchor = {CONFIG_ANCHOR_STRICT, CONFIG_ANCHOR_FILE, "/var/lib/anchor"}};
	c.app.mount_count = 3;
	return &c;
}

static void round_trip_gives_the_same_settings_and_bytes(void **state)
{
	size_t size, size2;

	assert_int_equal(config_encode(sample(), bytes, sizeof(bytes), &size), 0);
	assert_int_equal(config_decode(&decoded, bytes, size), 0);
	assert_int_equal(decoded.user_space_size, MIB(300));
	assert_int_equal(decoded.uid, 1000);
	assert_int_equal(decoded.gid, 4294967294);
	assert_int_equal(decoded.product_id, 7);
	assert_true(decoded.debuggable);
	assert_string_equal(decoded.env_default[1], "A=");
	assert_string_equal(decoded.entry_args[0].patterns[1], "...");
	assert_int_equal(decoded.app.mount_count, 3);
	assert_int_equal(decoded.app.mounts[2].layers[0].anchor.policy, CONFIG_ANCHOR_STRICT);
	assert_string_equal(decoded.app.mounts[2].layers[0].anchor.place, "/var/lib/anchor");
	assert_string_equal(decoded.app.mounts[1].source, ".");
	assert_null(decoded.app.mounts[0].source);
	assert_true(decoded.app.mounts[0].layers[1].keep_upper);
	assert_int_equal(config_encode(&decoded, again, sizeof(again), &size2), 0);
	assert_int_equal(size, size2);
	assert_memory_equal(bytes, again, size);
}

/* A buffer of each smaller size is refused and nothing behind it is written. */
static void encoding_into_a_small_buffer_is_refused(void **state)
{
	size_t size, ignored;

	assert_int_equal(config_encode(sample(), bytes, sizeof(bytes), &size), 0);
	for (size_t n = 0; n < size; n++) {
		u8 *small = malloc(n ? n : 1);

		assert_int_equal(config_encode(sample(), small, n, &ignored), -ENOSPC);
		free(small);
	}
}

static void every_truncation_is_refused(void **state)
{
	size_t size;

	assert_int_equal(config_encode(sample(), bytes, sizeof(bytes), &size), 0);
	for (size_t n = 0; n < size; n++) {
		u8 *exact = malloc(n ? n : 1);

		memcpy(exact, bytes, n);
		assert_int_equal(config_decode(&decoded, exact, n), -EUCLEAN);
		free(exact);
	}
	bytes[size] = 0;
	assert_int_equal(config_decode(&decoded, bytes, size + 1), -EUCLEAN);
	assert_int_equal(config_decode(&decoded, bytes, CONFIG_SIZE_MAX + 1), -E2BIG);
}

/* Each byte with each single-bit flip: refused, or settings that encode to just these bytes. */
static void whatever_decodes_is_canonical(void **state)
{
	size_t size, size2;

	assert_int_equal(config_encode(sample(), bytes, sizeof(bytes), &size), 0);
	for (size_t i = 0; i < size; i++) {
		for (int bit = 0; bit < 8; bit++) {
			bytes[i] ^= 1 << bit;
			if (config_decode(&decoded, bytes, size) == 0) {
				assert_int_equal(
					config_encode(&decoded, again, sizeof(again), &size2), 0);
				assert_int_equal(size, size2);
				assert_memory_equal(bytes, again, size);
			} else {
				assert_int_equal(decoded.user_space_size, 0);
			}
			bytes[i] ^= 1 << bit;
		}
	}
}

static void refused(const char *what, const struct occlum_config *c)
{
	size_t size;

	if (config_encode(c, bytes, sizeof(bytes), &size) != -EINVAL)
		fail_msg("accepted: %s", what);
}

#define REFUSE(change)                                                                             \
	do {                                                                                       \
		struct occlum_config *c = sample();                                                \
		change;                                                                            \
		refused(#change, c);                                                               \
	} while (0)

static void impossible_settings_are_refused(void **state)
{
	REFUSE(c->user_space_size = MIB(300) + 1);
	REFUSE(c->user_space_size = 0);
	REFUSE(c->kernel_heap_size = KIB(4));
	REFUSE(c->kernel_stack_size = 0);
	REFUSE(c->max_threads = 0);
	REFUSE(c->max_threads = CONFIG_THREADS_MAX + 1);
	REFUSE(c->max_threads = 4096); /* 4 GiB of kernel stacks */
	REFUSE(c->default_stack_size = 4096);
	REFUSE(c->family_id[0] = 1);
	REFUSE(c->env_default[0] = "NOVALUE");
	REFUSE(c->env_default[0] = "=x");
	REFUSE(c->env_default[0] = "A=2"); /* twice */
	REFUSE(c->env_untrusted[0] = "A=b");
	REFUSE(c->env_untrusted[0] = "");
	REFUSE(c->app.entry_point_count = 0);
	REFUSE(c->app.entry_points[0] = "bin");
	REFUSE(c->app.entry_points[0] = "/bin/../sbin");
	REFUSE(c->entry_args[0].path = "python3");
	REFUSE(c->app.mount_count = 0);
	REFUSE(c->app.mounts[0].target = "/x");
	REFUSE(c->app.mounts[1].target = "/");
	REFUSE(c->app.mounts[1].source = NULL);
	REFUSE(c->app.mounts[1].type = 99);
	REFUSE(c->app.mounts[1].cache_size = 4096);
	REFUSE(c->app.mounts[0].may_exec = true);
	REFUSE(c->app.mounts[0].layer_count = 1);
	REFUSE(c->app.mounts[0].layers[0].role = CONFIG_ROLE_ROOT);
	REFUSE(c->app.mounts[0].layers[1].role = CONFIG_ROLE_IMAGE);
	REFUSE(memset(c->app.mounts[0].layers[0].digest, 0, CONFIG_DIGEST_SIZE));
	REFUSE(c->app.mounts[0].layers[1].digest[5] = 1);
	REFUSE(c->app.mounts[0].layers[0].suite = 0);
	REFUSE(c->app.mounts[0].layers[0].may_create = true);
	REFUSE(c->app.mounts[0].layers[0].image_type = 0);
	REFUSE(c->app.mounts[2].layers[0].volume_id[0] = c->app.mounts[2].layers[0].volume_id[1] =
		       c->app.mounts[2].layers[0].volume_id[2] = 0);
	REFUSE(c->app.mounts[2].layers[0].anchor.policy = 3);
	REFUSE(c->app.mounts[2].layers[0].anchor.policy = CONFIG_ANCHOR_NONE);
	REFUSE(c->app.mounts[2].layers[0].anchor.kind = CONFIG_ANCHOR_COMMAND);
	REFUSE(c->app.mounts[2].layers[0].anchor.kind = 3);
	REFUSE(c->app.mounts[2].layers[0].anchor.place = NULL);
	REFUSE(c->app.mounts[2].layers[0].role = CONFIG_ROLE_TEMPORARY);
	REFUSE(c->app.mounts[0].layers[0].anchor = c->app.mounts[2].layers[0].anchor);
	REFUSE(c->app.mounts[0].layers[1].image_type = CONFIG_IMAGE_INTEGRITY);
	REFUSE(c->app.mounts[0].layers[1].image_type = CONFIG_IMAGE_ENCRYPTED); /* image: not */
}

static void a_path_is_plain_or_not(void **state)
{
	assert_true(config_path_is_plain("/"));
	assert_true(config_path_is_plain("/bin/a.b/..c"));
	assert_false(config_path_is_plain(""));
	assert_false(config_path_is_plain("bin"));
	assert_false(config_path_is_plain("/bin/"));
	assert_false(config_path_is_plain("//bin"));
	assert_false(config_path_is_plain("/bin/./x"));
	assert_false(config_path_is_plain("/bin/.."));
}

static void entry_points_are_whole_components(void **state)
{
	struct occlum_config *c = sample();

	assert_true(config_stage_allows(&c->app, "/bin/sh"));
	assert_true(config_stage_allows(&c->app, "/bin"));
	assert_false(config_stage_allows(&c->app, "/binary"));
	assert_false(config_stage_allows(&c->app, "/bin/../sbin/x"));
	assert_false(config_stage_allows(&c->app, "bin/sh"));
	c->app.entry_points[0] = "/";
	assert_true(config_stage_allows(&c->app, "/anything"));
}

static void arguments_match_patterns(void **state)
{
	struct occlum_config *c = sample();
	const char *good[] = {"/app/run.py", "x", "y"};
	const char *bad[] = {"-c", "print(1)"};

	assert_true(config_args_allow(c, "/bin/python3", good, 3));
	assert_true(config_args_allow(c, "/bin/python3", good, 1));
	assert_false(config_args_allow(c, "/bin/python3", good, 0));
	assert_false(config_args_allow(c, "/bin/python3", bad, 2));
	assert_true(config_args_allow(c, "/bin/other", bad, 2));
	c->entry_args[0].patterns[1] = "?";
	assert_true(config_args_allow(c, "/bin/python3", good, 2));
	assert_false(config_args_allow(c, "/bin/python3", good, 3));
	c->entry_args[0].patterns[0] = "*a*p*y";
	assert_true(config_args_allow(c, "/bin/python3", good, 2));
}

static void variables_pass_by_whole_name(void **state)
{
	struct occlum_config *c = sample();

	assert_true(config_env_allows(c, "EXAMPLE=1"));
	assert_false(config_env_allows(c, "EXAMPLE2=1"));
	assert_false(config_env_allows(c, "EXAM=1"));
	assert_false(config_env_allows(c, "EXAMPLE"));
	assert_false(config_env_allows(c, "LD_PRELOAD=x"));
	assert_int_equal(config_env_find_default(c, "A=5"), 1);
	assert_int_equal(config_env_find_default(c, "B=5"), -1);
	assert_int_equal(config_env_find_default(c, "OCCLUM2=5"), -1);
}

UNIT_TESTS(round_trip_gives_the_same_settings_and_bytes, encoding_into_a_small_buffer_is_refused,
	   every_truncation_is_refused, whatever_decodes_is_canonical,
	   impossible_settings_are_refused, a_path_is_plain_or_not,
	   entry_points_are_whole_components, arguments_match_patterns,
	   variables_pass_by_whole_name)
