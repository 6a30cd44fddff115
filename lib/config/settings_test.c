// SPDX-License-Identifier: Apache-2.0
/* Unit tests of the Occlum.json reader: every field, its default, its bounds, its message. */
#include "tests/unit.h"

#include "abi/errno.h"
#include "lib/base/string.h"
#include "lib/config/settings.h"

#include <stdio.h>

static struct occlum_config config;
static struct json_token tokens[512];
static char strings[8192];
static struct settings_error error;

static int read_text(const char *text)
{
	struct settings_memory memory = {.tokens = tokens,
					 .token_max = ARRAY_SIZE(tokens),
					 .strings = strings,
					 .size = sizeof(strings)};

	return settings_read(&config, text, strlen(text), &memory, &error);
}

static void accept(const char *text)
{
	u8 digest[CONFIG_DIGEST_SIZE] = {1};
	static u8 bytes[CONFIG_SIZE_MAX];
	size_t size;

	if (read_text(text) != 0)
		fail_msg("refused: %s\nline %u: %s", text, error.line, error.text);
	/* Whatever the reader accepts must also be encodable: the rules are the same. */
	settings_pin(&config, digest, digest, CONFIG_IMAGE_INTEGRITY);
	if (config_encode(&config, bytes, sizeof(bytes), &size) != 0)
		fail_msg("accepted, but cannot be encoded: %s", text);
}

static void refuse(const char *text, u32 line, const char *message)
{
	if (read_text(text) != -EINVAL)
		fail_msg("accepted: %s", text);
	if (error.line != line || !strstr(error.text, message))
		fail_msg("for %s\nexpected line %u: ...%s...\nfound line %u: %s", text, line,
			 message, error.line, error.text);
}

static void empty_object_gives_the_defaults(void **state)
{
	accept("{}");
	assert_int_equal(config.user_space_size, MIB(300));
	assert_int_equal(config.kernel_heap_size, MIB(32));
	assert_int_equal(config.kernel_stack_size, MIB(1));
	assert_int_equal(config.max_threads, 32);
	assert_int_equal(config.default_stack_size, MIB(4));
	assert_int_equal(config.default_heap_size, MIB(32));
	assert_int_equal(config.default_mmap_size, MIB(100));
	assert_int_equal(config.uid, 0);
	assert_int_equal(config.gid, 0);
	assert_true(config.debuggable);
	assert_false(config.disable_log);
	assert_false(config.strict_memory);
	assert_true(config.enable_posix_shm);
	assert_string_equal(config.env_default[0], "OCCLUM=yes");
	assert_int_equal(config.env_default_count, 3);
	assert_int_equal(config.env_untrusted_count, 0);
	assert_string_equal(config.app.entry_points[0], "/bin");
	assert_int_equal(config.app.mount_count, 5);
	assert_string_equal(config.app.mounts[1].target, "/host");
	assert_string_equal(config.app.mounts[2].target, "/tmp");
	assert_string_equal(config.app.mounts[3].target, "/proc");
	assert_string_equal(config.app.mounts[4].target, "/dev");
	assert_true(config.app.mounts[0].layers[1].keep_upper);
	assert_int_equal(config.init.mounts[0].layers[1].role, CONFIG_ROLE_TEMPORARY);
}

static void release_has_safe_defaults(void **state)
{
	accept("{\"metadata\": {\"debuggable\": false}}");
	assert_true(config.disable_log);
	assert_true(config.strict_memory);
	assert_false(config.app.mounts[0].layers[1].keep_upper);
	accept("{\"metadata\": {\"debuggable\": false, \"disable_log\": false},"
	       " \"feature\": {\"strict_memory\": false}}");
	assert_false(config.disable_log);
	assert_false(config.strict_memory);
}

static void ids_of_the_first_program_are_read(void **state)
{
	accept("{\"process\": {\"uid\": 1000, \"gid\": 4294967294}}");
	assert_int_equal(config.uid, 1000);
	assert_int_equal(config.gid, 4294967294);
	refuse("{\"process\": {\"uid\": 4294967295}}", 1,
	       "process.uid: expected a whole number from 0 to 4294967294");
	refuse("{\"process\": {\"gid\": -1}}", 1, "process.gid: expected a whole number");
	refuse("{\"process\": {\"uid\": \"root\"}}", 1, "process.uid: expected a whole number");
}

static void limits_are_read(void **state)
{
	accept("{\"resource_limits\": {\"user_space_size\": \"1 GB\", \"kernel_space_heap_size\":"
	       " \"64MB\", \"kernel_space_stack_size\": \"65536B\", \"max_num_of_threads\": 100,"
	       " \"init_num_of_threads\": 10, \"marshal_buffer_size\": \"1MB\"}, \"process\":"
	       " {\"default_stack_size\": \"100000B\", \"default_heap_size\": \"0B\","
	       " \"default_mmap_size\": \"32MB\"}}");
	assert_int_equal(config.user_space_size, GIB(1));
	assert_int_equal(config.kernel_heap_size, MIB(64));
	assert_int_equal(config.kernel_stack_size, KIB(64));
	assert_int_equal(config.max_threads, 100);
	assert_int_equal(config.default_stack_size, 25 * 4096); /* rounded up to pages */
	assert_int_equal(config.default_heap_size, 0);
	accept("{\"resource_limits\": {\"user_space_size\": \"1GB\", \"user_space_max_size\":"
	       " \"2GB\", \"kernel_space_heap_max_size\": \"128MB\"}}");
	assert_int_equal(config.user_space_size, GIB(2));
	assert_int_equal(config.kernel_heap_size, MIB(128));
}

static void wrong_limits_name_line_field_and_values(void **state)
{
	refuse("{\n\"resource_limits\": {\n\"user_space_size\": 300}}", 3,
	       "resource_limits.user_space_size: expected a size from \"1MB\" to \"16TB\" (units "
	       "B, "
	       "KB, MB, GB, TB), found 300");
	refuse("{\"resource_limits\": {\"user_space_size\": \"300\"}}", 1, "found \"300\"");
	refuse("{\"resource_limits\": {\"user_space_size\": \"300mb\"}}", 1, "found \"300mb\"");
	refuse("{\"resource_limits\": {\"user_space_size\": \"99999999999999999999TB\"}}", 1,
	       "expected");
	refuse("{\"resource_limits\": {\"user_space_size\": \"1.5GB\"}}", 1, "expected");
	refuse("{\"resource_limits\": {\"user_space_size\": \"\"}}", 1, "expected");
	refuse("{\"resource_limits\": {\"max_num_of_threads\": 1}}", 1,
	       "expected a whole number from 2 to 4096, found 1");
	refuse("{\"resource_limits\": {\"max_num_of_threads\": \"32\"}}", 1, "found \"32\"");
	refuse("{\"resource_limits\": {\"max_num_of_threads\": 4096}}", 1, "3.5GB");
	refuse("{\"resource_limits\": {\"max_num_of_threads\": 4,\n\"init_num_of_threads\": 5}}", 2,
	       "must not be above max_num_of_threads (4)");
	refuse("{\"resource_limits\": {\"marshal_buffer_size\": \"2MB\"}}", 1,
	       "marshal_buffer_size");
	refuse("{\"process\": {\"default_mmap_size\": \"1GB\"}}", 1,
	       "process.default_mmap_size: is obsolete and not supported");
	refuse("{\"process\": {\"default_mmap_size\": 7}}", 1, "expected a size");
}

static void unknown_and_repeated_fields_are_refused(void **state)
{
	refuse("{\n\"resource_limit\": {}}", 2,
	       "unknown field 'resource_limit'; accepted are: resource_limits, process, env, "
	       "metadata, feature, entry_points, entry_args, mount");
	refuse("{\"process\": {\"stack\": 1}}", 1,
	       "unknown field 'stack' in process; accepted are: default_stack_size, "
	       "default_heap_size, default_mmap_size");
	refuse("{\"process\": {}, \"process\": {}}", 1, "process: is given twice");
	refuse("{\"env\": {\"default\": [], \"default\": []}}", 1, "env.default: is given twice");
	refuse("{\"process\": []}", 1, "process: expected an object, found an empty list");
	refuse("[]", 1, "expected an object");
	refuse("{\"a\x1b[31m\": 1}", 1, "a string must not hold control characters");
	refuse("{\"a\n\": 1}", 1, "a string that starts here does not end on its line");
}

static void environment_is_read(void **state)
{
	accept("{\"env\": {\"default\": [\"A=1\", \"B=\"], \"untrusted\": [\"C\", \"A\"]}}");
	assert_int_equal(config.env_default_count, 2);
	assert_int_equal(config.env_untrusted_count, 2);
	accept("{\"env\": {\"default\": []}}");
	assert_int_equal(config.env_default_count, 0);
	refuse("{\"env\": {\"default\": [\"A\"]}}", 1,
	       "env.default: expected a string \"NAME=value\"");
	refuse("{\"env\": {\"default\": [\"=A\"]}}", 1, "env.default");
	accept("{\"env\": {\"default\": [\"A=1\", \"AB=3\", \"A=2\"], \"untrusted\": [\"C\", "
	       "\"C\"]}}");
	assert_int_equal(config.env_default_count, 2);
	assert_string_equal(config.env_default[0], "A=2");
	assert_int_equal(config.env_untrusted_count, 1);
	refuse("{\"env\": {\"default\": [1]}}", 1, "env.default");
	refuse("{\"env\": {\"default\": \"A=1\"}}", 1, "a list of strings");
	refuse("{\"env\": {\"untrusted\": [\"A=1\"]}}", 1, "the name of a variable");
}

static void entry_points_are_read(void **state)
{
	accept("{\"entry_points\": [\"/bin\", \"/usr/bin/python3\"]}");
	assert_int_equal(config.app.entry_point_count, 2);
	refuse("{\"entry_points\": []}", 1, "at least one path");
	refuse("{\"entry_points\": [\"bin\"]}", 1, "entry_points: expected an absolute path");
	refuse("{\"entry_points\": [\"/bin/../x\"]}", 1, "entry_points");
	refuse("{\"entry_points\": \"/bin\"}", 1, "entry_points");
	accept("{\"entry_args\": {\"/bin/python3\": [\"/app.py\", \"\", \"...\"]}}");
	assert_int_equal(config.entry_args_count, 1);
	assert_int_equal(config.entry_args[0].pattern_count, 3);
	refuse("{\"entry_args\": {\"python3\": []}}", 1, "entry_args");
	refuse("{\"entry_args\": {\"/a\": [], \"/a\": []}}", 1, "given twice");
	refuse("{\"entry_args\": {\"/a\": 1}}", 1, "a list of argument patterns");
}

static void metadata_is_read(void **state)
{
	accept("{\"metadata\": {\"product_id\": 65535, \"version_number\": 2, \"disable_log\": "
	       "true, \"provision_key\": true,"
	       " \"enable_kss\": true, \"family_id\": {\"high\": \"0x1\", \"low\": \"0xABCDEF\"},"
	       " \"ext_prod_id\": {\"high\": \"0x0\", \"low\": \"0x0\"}, \"pkru\": 0}}");
	assert_int_equal(config.product_id, 65535);
	assert_int_equal(config.version_number, 2);
	assert_true(config.provision_key);
	assert_true(config.disable_log);
	assert_int_equal(config.family_id[0], 0xef);
	assert_int_equal(config.family_id[8], 1);
	refuse("{\"metadata\": {\"product_id\": 65536}}", 1, "metadata.product_id");
	refuse("{\"metadata\": {\"debuggable\": 1}}", 1, "expected true or false, found 1");
	refuse("{\"metadata\": {\"family_id\": {\"high\": \"0x1\", \"low\": \"0x0\"}}}", 1,
	       "'family_id' has no effect unless 'enable_kss' is true");
	refuse("{\"metadata\": {\"family_id\": {\"high\": \"1\", \"low\": \"0x0\"}}}", 1, "0x...");
	refuse("{\"metadata\": {\"family_id\": {\"high\": \"0x0\"}}}", 1, "both 'high' and 'low'");
	refuse("{\"metadata\": {\"family_id\": {\"high\": \"0x11112222333344445\", \"low\":"
	       " \"0x0\"}}}",
	       1, "16 hexadecimal digits");
}

static void what_the_kernel_cannot_obey_is_refused_by_name(void **state)
{
	accept("{\"feature\": {\"amx\": 0, \"pkru\": 2, \"io_uring\": 0, \"enable_edmm\": false}}");
	refuse("{\"feature\": {\"amx\": 1}}", 1, "feature.amx: 1 is not yet supported");
	refuse("{\"feature\": {\"pkru\": 1}}", 1, "feature.pkru: 1 is not yet supported");
	refuse("{\"feature\": {\"pkru\": 3}}", 1,
	       "feature.pkru: expected a whole number from 0 to 2");
	refuse("{\"feature\": {\"io_uring\": 1}}", 1, "feature.io_uring: 1 is not yet supported");
	accept("{\"feature\": {\"enable_edmm\": true}}");
	refuse("{\"metadata\": {\"pkru\": 1}}", 1, "metadata.pkru: 1 is not yet supported");
}

#define ROOT                                                                                       \
	"{\"target\":\"/\",\"type\":\"unionfs\",\"options\":{\"layers\":["                         \
	"{\"target\":\"/\",\"type\":\"sefs\",\"source\":\"./build/mount/__ROOT\","                 \
	"\"options\":{\"MAC\":\"\"}},"                                                             \
	"{\"target\":\"/\",\"type\":\"sefs\",\"source\":\"./run/mount/__ROOT\"}]}}"
#define WITH(more) "{\"mount\":[" ROOT ",\n" more "]}"

static void mounts_are_read(void **state)
{
	accept("{\"mount\":[" ROOT "]}");
	assert_int_equal(config.app.mount_count, 3);
	assert_int_equal(config.app.mounts[0].layers[0].role, CONFIG_ROLE_IMAGE);
	assert_string_equal(config.app.mounts[0].layers[1].source, "run/mount/__ROOT");
	accept(WITH("{\"target\":\"/host\",\"type\":\"hostfs\",\"source\":\".\",\"options\":"
		    "{\"exec\":true}},{\"target\":\"/proc\",\"type\":\"procfs\"},"
		    "{\"target\":\"/dev\",\"type\":\"devfs\"},"
		    "{\"target\":\"/data\",\"type\":\"sefs\",\"source\":\"./data\",\"options\":"
		    "{\"cache_size\":\"1MB\"}},"
		    "{\"target\":\"/scratch\",\"type\":\"sefs\",\"source\":\"./scratch\","
		    "\"options\":{\"temporary\":true}}"));
	assert_int_equal(config.app.mount_count, 6);
	assert_true(config.app.mounts[1].may_exec);
	assert_int_equal(config.app.mounts[4].layers[0].role, CONFIG_ROLE_DATA);
	assert_int_equal(config.app.mounts[4].cache_size, MIB(1));
	assert_int_equal(config.app.mounts[5].layers[0].role, CONFIG_ROLE_TEMPORARY);
}

#define DATA(options)                                                                              \
	WITH("{\"target\":\"/d\",\"type\":\"sefs\",\"source\":\"d\",\"options\":{" options "}}")
#define ID "\"volume_id\":\"00112233445566778899aAbBcCdDeEfF\""

static void anchors_are_read(void **state)
{
	const struct config_volume *v = &config.app.mounts[1].layers[0];

	accept(DATA("\"anchor\":\"none\""));
	assert_int_equal(v->anchor.policy, CONFIG_ANCHOR_NONE);
	accept(DATA(ID));
	assert_int_equal(v->volume_id[15], 0xff);
	accept(DATA(ID ",\"anchor\":\"strict\",\"anchor_file\":\"/var/a\""));
	assert_int_equal(v->anchor.policy, CONFIG_ANCHOR_STRICT);
	assert_int_equal(v->anchor.kind, CONFIG_ANCHOR_FILE);
	assert_string_equal(v->anchor.place, "/var/a");
	accept(DATA("\"anchor_command\":true,\"anchor\":\"mount\"," ID));
	assert_int_equal(v->anchor.policy, CONFIG_ANCHOR_MOUNT);
	assert_int_equal(v->anchor.kind, CONFIG_ANCHOR_COMMAND);
	refuse(DATA("\"anchor\":\"always\""), 2, "one of \"none\", \"mount\", \"strict\"");
	refuse(DATA(ID ",\"anchor\":\"strict\""), 2, "needs one of \"anchor_file\"");
	refuse(DATA(ID ",\"anchor\":\"strict\",\"anchor_command\":false"), 2, "needs one of");
	refuse(DATA(ID ",\"anchor\":\"strict\",\"anchor_command\":true,\"anchor_file\":\"x\""), 2,
	       "needs one of");
	refuse(DATA("\"anchor\":\"strict\",\"anchor_file\":\"x\""), 2, "needs \"volume_id\"");
	refuse(DATA("\"anchor_file\":\"x\""), 2, "need a policy");
	refuse(DATA("\"volume_id\":\"0011\""), 2, "32 hexadecimal digits");
	refuse(DATA("\"volume_id\":\"00000000000000000000000000000000\""), 2, "32 hexadecimal");
	refuse(DATA("\"temporary\":true," ID), 2, "not temporary");
	refuse(WITH("{\"target\":\"/d\",\"type\":\"ramfs\",\"options\":{\"anchor\":\"none\"}}"), 2,
	       "only for a writable sefs");
}

static void oldest_keys_are_read(void **state)
{
	const struct config_volume *v = &config.app.mounts[1].layers[0];

	accept(DATA("\"min_key_epoch\":3"));
	assert_int_equal(v->min_epoch, 3);
	assert_int_equal(v->min_isvsvn, 0);
	accept(DATA("\"min_isvsvn\":0"));
	assert_int_equal(v->scrub_kib, 0);
	assert_false(v->duplicate);
	accept(DATA("\"duplicate_metadata\":true"));
	assert_true(v->duplicate);
	accept(DATA("\"scrub_rate\":\"10MB\""));
	assert_int_equal(v->scrub_kib, 10240);
	assert_int_equal(v->commit_seconds, 0);
	accept(DATA("\"commit\":30"));
	assert_int_equal(v->commit_seconds, 30);
	accept(DATA("\"commit\":\"explicit\""));
	assert_int_equal(v->commit_seconds, CONFIG_COMMIT_EXPLICIT);
	refuse(DATA("\"commit\":0"), 2, "a whole number from 1 to 3600");
	refuse(DATA("\"commit\":\"never\""), 2, "a number of seconds, or \"explicit\"");
	refuse(DATA("\"commit\":1,\"temporary\":true"), 2, "not temporary");
	refuse(DATA("\"scrub_rate\":\"1KB\""), 2, "a size from \"4KB\" to \"1GB\"");
	refuse(DATA("\"scrub_rate\":\"1MB\",\"temporary\":true"), 2, "not temporary");
	refuse(DATA("\"min_isvsvn\":7"), 2, "above metadata.version_number");
	refuse(DATA("\"min_isvsvn\":65536"), 2, "a whole number from 0 to 65535");
	refuse(DATA("\"min_key_epoch\":\"1\""), 2, "a whole number from 0 to 65535");
	refuse(DATA("\"temporary\":true,\"min_key_epoch\":1"), 2, "not temporary");
	refuse(WITH("{\"target\":\"/d\",\"type\":\"ramfs\",\"options\":{\"min_key_epoch\":1}}"), 2,
	       "only for a writable");
}

static void wrong_mounts_are_refused(void **state)
{
	refuse("{\"mount\":[]}", 1, "starts with the mount of \"/\", found an empty list");
	refuse("{\"mount\":[{\"target\":\"/tmp\",\"type\":\"ramfs\"}]}", 1, "first entry");
	refuse("{\"mount\":[{\"target\":\"/\",\"type\":\"ramfs\"}]}", 1, "type unionfs");
	refuse("{\"mount\":[{\"target\":\"/\",\"type\":\"unionfs\"}]}", 1, "two layers");
	refuse(WITH("{\"target\":\"/x\",\"type\":\"ramfs\",\"source\":\"./x\"}"), 2,
	       "has a source");
	refuse(WITH("{\"type\":\"ramfs\"}"), 2, "needs the field 'target'");
	refuse(WITH("{\"target\":\"/x\"}"), 2, "needs the field 'type'");
	refuse(WITH("{\"target\":\"x\",\"type\":\"ramfs\"}"), 2,
	       "mount.target: expected an absolute");
	refuse(WITH("{\"target\":\"/x\",\"type\":\"ext4\"}"), 2, "mount.type: expected one of");
	refuse(WITH("{\"target\":\"/x\",\"type\":\"ext2\"}"), 2, "\"ext2\" is not yet supported");
	refuse(WITH("{\"target\":\"/x\",\"type\":\"async_sfs\"}"), 2, "not yet supported");
	refuse(WITH("{\"target\":\"/x\",\"type\":\"hostfs\"}"), 2, "needs the field 'source'");
	refuse(WITH("{\"target\":\"/x\",\"type\":\"sefs\"}"), 2, "needs the field 'source'");
	refuse(WITH("{\"target\":\"/x\",\"type\":\"ramfs\",\"option\":{}}"), 2,
	       "unknown field 'option'");
	refuse(WITH("{\"target\":\"/x\",\"type\":\"ramfs\",\"options\":{\"size\":1}}"), 2,
	       "unknown field 'size' in mount.options");
	refuse(WITH("{\"target\":\"/x\",\"type\":\"ramfs\",\"options\":{\"exec\":true}}"), 2,
	       "only for type hostfs");
	refuse(WITH("{\"target\":\"/x\",\"type\":\"sefs\",\"source\":\"x\",\"options\":"
		    "{\"MAC\":\"\"}}"),
	       2, "only the image layer");
	refuse(WITH("{\"target\":\"/x\",\"type\":\"sefs\",\"source\":\"x\",\"options\":"
		    "{\"cache_size\":\"4KB\"}}"),
	       2, "cache_size");
	refuse(WITH("{\"target\":\"/x\",\"type\":\"sefs\",\"source\":\"x\",\"options\":"
		    "{\"disk_size\":\"4GB\"}}"),
	       2, "'disk_size' is not yet supported");
	refuse(WITH("{\"target\":\"/x\",\"type\":\"sefs\",\"source\":\"x\",\"options\":"
		    "{\"autokey_policy\":3}}"),
	       2, "MRENCLAVE");
	refuse(WITH("{\"target\":\"/x\",\"type\":\"ramfs\"},{\"target\":\"/"
		    "x\",\"type\":\"ramfs\"}"),
	       2, "two entries have the target \"/x\"");
	refuse(WITH(ROOT), 2, "two entries");
	refuse(WITH("3"), 2, "an object with target");
}

static void truncated_or_changed_files_never_crash(void **state)
{
	static const char text[] = WITH("{\"target\":\"/h\",\"type\":\"hostfs\",\"source\":\".\"}");
	char copy[sizeof(text)];

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		memcpy(copy, text, sizeof(text));
		copy[n] = '\0';
		assert_int_equal(read_text(copy), -EINVAL);
		for (int c = 1; c < 256; c++) {
			copy[n] = (char)c;
			if (read_text(copy) != 0)
				assert_true(error.text[0] != '\0');
		}
	}
}

static void sizes(void **state)
{
	u64 n;

	assert_int_equal(settings_size(" 12 KB ", &n), 0);
	assert_int_equal(n, 12 * 1024);
	assert_int_equal(settings_size("16777215TB", &n), 0);
	assert_int_equal(settings_size("16777216TB", &n), -ERANGE);
	assert_int_equal(settings_size("MB", &n), -EINVAL);
	assert_int_equal(settings_size("1", &n), -EINVAL);
	assert_int_equal(settings_size("1MBB", &n), -EINVAL);
	assert_int_equal(settings_size("-1MB", &n), -EINVAL);
}

UNIT_TESTS(empty_object_gives_the_defaults, release_has_safe_defaults,
	   ids_of_the_first_program_are_read, limits_are_read,
	   wrong_limits_name_line_field_and_values, unknown_and_repeated_fields_are_refused,
	   environment_is_read, entry_points_are_read, metadata_is_read,
	   what_the_kernel_cannot_obey_is_refused_by_name, mounts_are_read, anchors_are_read,
	   oldest_keys_are_read, wrong_mounts_are_refused, truncated_or_changed_files_never_crash,
	   sizes)
