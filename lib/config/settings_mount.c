// SPDX-License-Identifier: Apache-2.0
/*
 * The field "mount" of Occlum.json, and the mounts that every instance has without asking: the
 * tables of both stages. The image layer is named by the user's file for compatibility, but lies
 * where the build puts it; what pins it is the digest, which the build fills in.
 */
#include "lib/config/settings_priv.h"

#include "abi/errno.h"
#include "lib/base/hex.h"
#include "lib/base/string.h"
#include "lib/config/limits.h"
#include "lib/config/path.h"

#define SUITE_AES_128_GCM 1

struct options {
	const struct json_token *layers;
	const struct json_token *mac;
	bool temporary;
	bool exec;
	bool keep_upper;
	const struct json_token *keep_upper_at;
	const struct json_token *exec_at;
	const struct json_token *temporary_at;
	u64 cache_size;
	const struct json_token *oldest_at; /* the first of the two */
	u64 min_epoch, min_isvsvn;
	const struct json_token *scrub_at;
	u64 scrub_rate;
	const struct json_token *commit_at;
	u64 commit_seconds;
	const struct json_token *duplicate_at;
	bool duplicate;
	const struct json_token *volume_id_at;
	u8 volume_id[CONFIG_VOLUME_ID_SIZE];
	const struct json_token *anchor_at; /* the first of the three */
	struct config_anchor anchor;
	bool anchor_command;
};

/* One entry of a mount list as written, before its place says what it means. */
struct entry {
	const struct json_token *at;
	const char *target;
	const char *source;
	enum config_fs type;
	struct options options;
};

static struct config_volume upper_volume(const struct reader *r, enum config_role role,
					 const char *source, bool keep_upper)
{
	return (struct config_volume){.role = role,
				      .suite = SUITE_AES_128_GCM,
				      .source = source,
				      .keep_upper = role == CONFIG_ROLE_ROOT && keep_upper,
				      .may_create = true};
}

static struct config_volume image_volume(enum config_role role, const char *source)
{
	return (struct config_volume){.role = role,
				      .image_type = CONFIG_IMAGE_INTEGRITY,
				      .suite = SUITE_AES_128_GCM,
				      .source = source};
}

static struct config_mount *add_mount(struct config_stage *stage, enum config_fs type,
				      const char *target)
{
	struct config_mount *m = &stage->mounts[stage->mount_count++];

	*m = (struct config_mount){.type = type, .target = target};
	return m;
}

static void add_root(struct config_stage *stage, struct config_volume image,
		     struct config_volume upper)
{
	struct config_mount *m = add_mount(stage, CONFIG_FS_UNIONFS, "/");

	m->layer_count = 2;
	m->layers[0] = image;
	m->layers[1] = upper;
}

/* initfs is measured like the image; what init writes is never needed again. */
static void init_stage(const struct reader *r, struct config_stage *stage)
{
	add_root(stage, image_volume(CONFIG_ROLE_INITFS, SETTINGS_INIT_IMAGE),
		 upper_volume(r, CONFIG_ROLE_TEMPORARY, SETTINGS_INIT_UPPER, false));
	add_mount(stage, CONFIG_FS_PROCFS, "/proc");
	add_mount(stage, CONFIG_FS_DEVFS, "/dev");
	stage->entry_points[0] = "/bin";
	stage->entry_point_count = 1;
}

static const struct config_mount *find_mount(const struct config_stage *stage, const char *target)
{
	for (u32 i = 0; i < stage->mount_count; i++) {
		if (str_equal(stage->mounts[i].target, target))
			return &stage->mounts[i];
	}
	return NULL;
}

static int read_type(struct reader *r, const struct json_token *at, enum config_fs *ret)
{
	static const struct {
		const char *name;
		enum config_fs type;
	} types[] = {
		{"unionfs", CONFIG_FS_UNIONFS}, {"sefs", CONFIG_FS_SEFS},
		{"hostfs", CONFIG_FS_HOSTFS},	{"ramfs", CONFIG_FS_RAMFS},
		{"procfs", CONFIG_FS_PROCFS},	{"devfs", CONFIG_FS_DEVFS},
	};
	static const char *const later[] = {"ext2", "async_sfs", "block"};
	const char *expected =
		"one of \"unionfs\", \"sefs\", \"hostfs\", \"ramfs\", \"procfs\", \"devfs\"";

	for (size_t i = 0; at->type == JSON_STRING && i < ARRAY_SIZE(types); i++) {
		if (reader_key_is(r, at, types[i].name)) {
			*ret = types[i].type;
			return 0;
		}
	}
	for (size_t i = 0; at->type == JSON_STRING && i < ARRAY_SIZE(later); i++) {
		if (reader_key_is(r, at, later[i]))
			return reader_fail(r, at, "mount.type", "\"%s\" is not yet supported",
					   later[i]);
	}
	return reader_fail_value(r, at, "mount.type", expected);
}

static int read_mac(struct reader *r, const struct json_token *at, struct options *o)
{
	if (at->type != JSON_STRING || at->end != at->start)
		return reader_fail_value(r, at, "mount.options.MAC",
					 "\"\" (the build pins the image)");
	o->mac = at;
	return 0;
}

static int read_volume_id(struct reader *r, const struct member *m, struct options *o)
{
	const char *name = "mount.options.volume_id";
	const char *expected = "32 hexadecimal digits (openssl rand -hex 16 makes some)", *text;
	int err = reader_string(r, m->value, name, expected, &text);

	if (err < 0)
		return err;
	if (strlen(text) != 2 * sizeof(o->volume_id) ||
	    hex_decode(o->volume_id, sizeof(o->volume_id), text, strlen(text)) ||
	    mem_is_zero(o->volume_id, sizeof(o->volume_id)))
		return reader_fail_value(r, m->value, name, expected);
	o->volume_id_at = m->key;
	return 0;
}

static int read_anchor_policy(struct reader *r, const struct member *m, struct options *o)
{
	static const char *const policies[] = {"none", "mount", "strict"};

	for (u32 i = 0; m->value->type == JSON_STRING && i < ARRAY_SIZE(policies); i++) {
		if (reader_key_is(r, m->value, policies[i])) {
			o->anchor.policy = (enum config_anchor_policy)i;
			return 0;
		}
	}
	return reader_fail_value(r, m->value, "mount.options.anchor",
				 "one of \"none\", \"mount\", \"strict\"");
}

#define KEYPOLICY_MRSIGNER "2"

/* The bits of EGETKEY's KEYPOLICY. */
static int read_autokey_policy(struct reader *r, const struct json_token *at)
{
	if (at->type == JSON_NUMBER && reader_key_is(r, at, KEYPOLICY_MRSIGNER))
		return 0;
	return reader_fail(r, at, "mount.options.autokey_policy",
			   "only 2 (the signer) is supported: a key that is bound to more, such as "
			   "MRENCLAVE, would open for no later build and for no `occlum mount`");
}

/* Seconds, or what the program itself asks for alone. */
static int read_commit(struct reader *r, const struct json_token *at, u64 *ret)
{
	if (at->type == JSON_STRING && reader_key_is(r, at, "explicit")) {
		*ret = CONFIG_COMMIT_EXPLICIT;
		return 0;
	}
	if (at->type != JSON_NUMBER)
		return reader_fail_value(r, at, "mount.options.commit",
					 "a number of seconds, or \"explicit\"");
	return reader_number(r, at, "mount.options.commit", 1, LIMIT_COMMIT_MAX, ret);
}

/* From OPTION_DISK_SIZE on they are known, and mostly refused. */
enum option {
	OPTION_MAC,
	OPTION_LAYERS,
	OPTION_TEMPORARY,
	OPTION_CACHE_SIZE,
	OPTION_KEEP_UPPER,
	OPTION_EXEC,
	OPTION_VOLUME_ID,
	OPTION_ANCHOR,
	OPTION_ANCHOR_FILE,
	OPTION_ANCHOR_COMMAND,
	OPTION_MIN_KEY_EPOCH,
	OPTION_MIN_ISVSVN,
	OPTION_SCRUB_RATE,
	OPTION_DUPLICATE_METADATA,
	OPTION_COMMIT,
	OPTION_DISK_SIZE,
	OPTION_AUTOKEY_POLICY,
	OPTION_SEFS_CACHE_SIZE,
	OPTION_ASYNC_SFS_TOTAL_SIZE,
	OPTION_PAGE_CACHE_SIZE,
	OPTION_COUNT
};

static int read_option(struct reader *r, const struct member *m, struct options *o, u32 *seen)
{
	static const char *const names[OPTION_COUNT + 1] = {
		[OPTION_MAC] = "MAC",
		[OPTION_LAYERS] = "layers",
		[OPTION_TEMPORARY] = "temporary",
		[OPTION_CACHE_SIZE] = "cache_size",
		[OPTION_KEEP_UPPER] = "keep_upper",
		[OPTION_EXEC] = "exec",
		[OPTION_VOLUME_ID] = "volume_id",
		[OPTION_ANCHOR] = "anchor",
		[OPTION_ANCHOR_FILE] = "anchor_file",
		[OPTION_ANCHOR_COMMAND] = "anchor_command",
		[OPTION_MIN_KEY_EPOCH] = "min_key_epoch",
		[OPTION_MIN_ISVSVN] = "min_isvsvn",
		[OPTION_SCRUB_RATE] = "scrub_rate",
		[OPTION_DUPLICATE_METADATA] = "duplicate_metadata",
		[OPTION_COMMIT] = "commit",
		[OPTION_DISK_SIZE] = "disk_size",
		[OPTION_AUTOKEY_POLICY] = "autokey_policy",
		[OPTION_SEFS_CACHE_SIZE] = "sefs_cache_size",
		[OPTION_ASYNC_SFS_TOTAL_SIZE] = "async_sfs_total_size",
		[OPTION_PAGE_CACHE_SIZE] = "page_cache_size"};
	int i = reader_key_index(r, m->key, "mount.options", names);

	if (i < 0)
		return i;
	if (*seen & 1u << i)
		return reader_fail(r, m->key, "mount.options", "'%s' is given twice", names[i]);
	*seen |= 1u << i;
	switch (i) {
	case OPTION_MAC: return read_mac(r, m->value, o);
	case OPTION_LAYERS:
		if (m->value->type != JSON_ARRAY)
			return reader_fail_value(r, m->value, "mount.options.layers",
						 "a list of mounts");
		o->layers = m->value;
		return 0;
	case OPTION_TEMPORARY:
		o->temporary_at = m->key;
		return reader_bool(r, m->value, "mount.options.temporary", &o->temporary);
	case OPTION_CACHE_SIZE:
		return reader_size(r, m->value, "mount.options.cache_size", LIMIT_CACHE_MIN,
				   LIMIT_KERNEL_HEAP_MAX, &o->cache_size);
	case OPTION_KEEP_UPPER:
		o->keep_upper_at = m->key;
		return reader_bool(r, m->value, "mount.options.keep_upper", &o->keep_upper);
	case OPTION_EXEC:
		o->exec_at = m->key;
		return reader_bool(r, m->value, "mount.options.exec", &o->exec);
	case OPTION_VOLUME_ID: return read_volume_id(r, m, o);
	case OPTION_ANCHOR: o->anchor_at = m->key; return read_anchor_policy(r, m, o);
	case OPTION_ANCHOR_FILE:
		o->anchor_at = m->key;
		return reader_string(r, m->value, "mount.options.anchor_file", "a host path",
				     &o->anchor.place);
	case OPTION_ANCHOR_COMMAND:
		o->anchor_at = m->key;
		return reader_bool(r, m->value, "mount.options.anchor_command", &o->anchor_command);
	case OPTION_MIN_KEY_EPOCH:
		o->oldest_at = m->key;
		return reader_number(r, m->value, "mount.options.min_key_epoch", 0, UINT16_MAX,
				     &o->min_epoch);
	case OPTION_MIN_ISVSVN:
		o->oldest_at = m->key;
		return reader_number(r, m->value, "mount.options.min_isvsvn", 0, UINT16_MAX,
				     &o->min_isvsvn);
	case OPTION_SCRUB_RATE:
		o->scrub_at = m->key;
		return reader_size(r, m->value, "mount.options.scrub_rate", LIMIT_SCRUB_MIN,
				   LIMIT_SCRUB_MAX, &o->scrub_rate);
	case OPTION_DUPLICATE_METADATA:
		o->duplicate_at = m->key;
		return reader_bool(r, m->value, "mount.options.duplicate_metadata", &o->duplicate);
	case OPTION_COMMIT:
		o->commit_at = m->key;
		return read_commit(r, m->value, &o->commit_seconds);
	case OPTION_AUTOKEY_POLICY: return read_autokey_policy(r, m->value);
	default:
		return reader_fail(r, m->key, "mount.options", "'%s' is not yet supported",
				   names[i]);
	}
}

static int read_options(struct reader *r, const struct json_token *at, struct options *o)
{
	u32 seen = 0;

	if (at->type != JSON_OBJECT)
		return reader_fail_value(r, at, "mount.options", "an object");
	for (struct member m = member_first(&r->json, at); m.left; member_next(&r->json, &m)) {
		int err = read_option(r, &m, o, &seen);

		if (err < 0)
			return err;
	}
	return 0;
}

static int read_target(struct reader *r, const struct json_token *at, const char **ret)
{
	const char *expected = "an absolute path without '.' or '..'";
	int err = reader_string(r, at, "mount.target", expected, ret);

	if (err < 0)
		return err;
	return config_path_is_plain(*ret) ? 0 : reader_fail_value(r, at, "mount.target", expected);
}

static int read_entry(struct reader *r, const struct json_token *at, struct entry *e)
{
	static const char *const names[] = {"target", "type", "source", "options", NULL};
	u32 seen = 0;

	*e = (struct entry){.at = at, .options.keep_upper = r->debuggable};
	if (at->type != JSON_OBJECT)
		return reader_fail_value(r, at, "mount",
					 "an object with target, type, source and options");
	for (struct member m = member_first(&r->json, at); m.left; member_next(&r->json, &m)) {
		int i = reader_key_index(r, m.key, "mount", names), err = 0;

		if (i < 0)
			return i;
		if (seen & 1u << i)
			return reader_fail(r, m.key, "mount", "'%s' is given twice", names[i]);
		seen |= 1u << i;
		if (i == 0)
			err = read_target(r, m.value, &e->target);
		else if (i == 1)
			err = read_type(r, m.value, &e->type);
		else if (i == 2)
			err = reader_string(r, m.value, "mount.source", "a host path", &e->source);
		else
			err = read_options(r, m.value, &e->options);
		if (err < 0)
			return err;
	}
	if (!e->target)
		return reader_fail(r, at, "mount", "an entry needs the field 'target'");
	if (!e->type)
		return reader_fail(r, at, "mount", "an entry needs the field 'type'");
	return 0;
}

/* "./x" and "x" are the same place. */
static const char *without_dot(const char *path)
{
	while (path[0] == '.' && path[1] == '/') {
		path += 2;
		while (*path == '/')
			path++;
	}
	return path;
}

/* A policy, one of two kinds, and a name under which the anchor knows the volume. */
static int check_anchor(struct reader *r, struct options *o)
{
	const char *name = "mount.options.anchor";

	if (o->anchor.policy == CONFIG_ANCHOR_NONE) {
		if (o->anchor.place || o->anchor_command)
			return reader_fail(r, o->anchor_at, name,
					   "\"anchor_file\" and \"anchor_command\" need a policy: "
					   "\"anchor\": \"strict\" or \"mount\"");
		return 0;
	}
	if (!o->anchor.place == !o->anchor_command)
		return reader_fail(r, o->anchor_at, name,
				   "needs one of \"anchor_file\": a host path, and "
				   "\"anchor_command\": true");
	if (!o->volume_id_at)
		return reader_fail(
			r, o->anchor_at, name,
			"needs \"volume_id\": 32 hexadecimal digits of this volume alone "
			"(openssl rand -hex 16)");
	o->anchor.kind = o->anchor_command ? CONFIG_ANCHOR_COMMAND : CONFIG_ANCHOR_FILE;
	return 0;
}

/* Options that mean nothing at this place are errors, not decoration. */
static int check_options(struct reader *r, struct entry *e, bool is_layer)
{
	struct options *o = &e->options;
	bool is_volume = e->type == CONFIG_FS_SEFS && !o->mac;

	if (o->layers && (e->type != CONFIG_FS_UNIONFS || is_layer))
		return reader_fail(r, o->layers, "mount.options.layers",
				   "only a mount of type unionfs has layers");
	if (o->mac && !is_layer)
		return reader_fail(r, o->mac, "mount.options.MAC",
				   "only the image layer of the unionfs at \"/\" is pinned");
	if (o->exec_at && e->type != CONFIG_FS_HOSTFS)
		return reader_fail(r, o->exec_at, "mount.options.exec", "only for type hostfs");
	if (o->keep_upper_at && !(is_layer && is_volume))
		return reader_fail(r, o->keep_upper_at, "mount.options.keep_upper",
				   "only for the writable layer of the unionfs at \"/\"");
	if (o->temporary_at && !is_volume)
		return reader_fail(r, o->temporary_at, "mount.options.temporary",
				   "only for a writable sefs");
	if (o->cache_size && is_layer)
		return reader_fail(r, e->at, "mount.options.cache_size",
				   "belongs to the mount, not to a layer");
	if (o->oldest_at && (!is_volume || o->temporary))
		return reader_fail(r, o->oldest_at, "mount.options",
				   "\"min_key_epoch\" and \"min_isvsvn\" are only for a writable "
				   "sefs that is not temporary");
	if (o->duplicate_at && (!is_volume || o->temporary))
		return reader_fail(r, o->duplicate_at, "mount.options.duplicate_metadata",
				   "only for a writable sefs that is not temporary");
	if (o->commit_at && (!is_volume || o->temporary))
		return reader_fail(r, o->commit_at, "mount.options.commit",
				   "only for a writable sefs that is not temporary");
	if (o->scrub_at && (!is_volume || o->temporary))
		return reader_fail(r, o->scrub_at, "mount.options.scrub_rate",
				   "only for a writable sefs that is not temporary");
	if (o->min_isvsvn > r->config->version_number)
		return reader_fail(r, o->oldest_at, "mount.options.min_isvsvn",
				   "is above metadata.version_number, %u: the enclave could not "
				   "open what it writes",
				   r->config->version_number);
	if ((o->anchor_at || o->volume_id_at) && (!is_volume || o->temporary))
		return reader_fail(r, o->anchor_at ? o->anchor_at : o->volume_id_at,
				   o->anchor_at ? "mount.options.anchor"
						: "mount.options.volume_id",
				   "only for a writable sefs that is not temporary");
	return check_anchor(r, o);
}

static void set_identity(struct config_volume *v, const struct options *o)
{
	v->min_epoch = (u16)o->min_epoch;
	v->min_isvsvn = (u16)o->min_isvsvn;
	v->scrub_kib = (u32)(o->scrub_rate / KIB(1));
	v->commit_seconds = (u32)o->commit_seconds;
	v->duplicate = o->duplicate;
	memcpy(v->volume_id, o->volume_id, sizeof(v->volume_id));
	if (o->anchor.policy)
		v->anchor = o->anchor;
}

static int read_layer(struct reader *r, const struct json_token *at, struct config_mount *m)
{
	struct config_volume *v = &m->layers[m->layer_count];
	const char *name = "mount.options.layers";
	struct entry e;
	int err = read_entry(r, at, &e);

	if (err == 0)
		err = check_options(r, &e, true);
	if (err < 0)
		return err;
	if (e.type != CONFIG_FS_SEFS || !str_equal(e.target, "/"))
		return reader_fail(r, at, name, "a layer is of type sefs and has the target \"/\"");
	if (!e.source)
		return reader_fail(r, at, name, "a layer needs the field 'source'");
	m->layer_count++;
	if (e.options.mac) {
		*v = image_volume(CONFIG_ROLE_IMAGE, SETTINGS_APP_IMAGE);
		if (!str_equal(without_dot(e.source), SETTINGS_APP_IMAGE))
			return reader_fail(
				r, at, name,
				"the layer with MAC has the source \"./" SETTINGS_APP_IMAGE "\"");
		return 0;
	}
	*v = upper_volume(r, e.options.temporary ? CONFIG_ROLE_TEMPORARY : CONFIG_ROLE_ROOT,
			  without_dot(e.source), e.options.keep_upper);
	set_identity(v, &e.options);
	return 0;
}

static int read_layers(struct reader *r, const struct entry *e, struct config_mount *m)
{
	const struct json_token *layers = e->options.layers;
	const char *rule = "needs two layers: a sefs with \"MAC\": \"\" and one without";

	if (!str_equal(e->target, "/"))
		return reader_fail(r, e->at, "mount", "a unionfs is supported at \"/\" only");
	if (!layers || layers->count != 2)
		return reader_fail(r, layers ? layers : e->at, "mount", "the unionfs at \"/\" %s",
				   rule);
	for (struct element l = element_first(&r->json, layers); l.left;
	     element_next(&r->json, &l)) {
		int err = read_layer(r, l.value, m);

		if (err < 0)
			return err;
	}
	/* Lowest first in the configuration, whatever the order in the file. */
	if (m->layers[0].role != CONFIG_ROLE_IMAGE) {
		struct config_volume upper = m->layers[0];

		m->layers[0] = m->layers[1];
		m->layers[1] = upper;
	}
	if (m->layers[0].role != CONFIG_ROLE_IMAGE || m->layers[1].role == CONFIG_ROLE_IMAGE)
		return reader_fail(r, layers, "mount", "the unionfs at \"/\" %s", rule);
	return 0;
}

static int fill_mount(struct reader *r, const struct entry *e, struct config_mount *m)
{
	m->cache_size = e->options.cache_size;
	m->may_exec = e->options.exec;
	if (e->source && e->type != CONFIG_FS_HOSTFS && e->type != CONFIG_FS_SEFS)
		return reader_fail(
			r, e->at, "mount",
			"'%s' has a source, which its type does not use; remove 'source'",
			e->target);
	switch (e->type) {
	case CONFIG_FS_UNIONFS: return read_layers(r, e, m);
	case CONFIG_FS_HOSTFS:
	case CONFIG_FS_SEFS:
		if (!e->source)
			return reader_fail(r, e->at, "mount", "'%s' needs the field 'source'",
					   e->target);
		if (e->type == CONFIG_FS_HOSTFS) {
			m->source = e->source;
			return 0;
		}
		m->layer_count = 1;
		m->layers[0] = upper_volume(
			r, e->options.temporary ? CONFIG_ROLE_TEMPORARY : CONFIG_ROLE_DATA,
			without_dot(e->source), false);
		set_identity(&m->layers[0], &e->options);
		return 0;
	default: return 0;
	}
}

static int read_mount(struct reader *r, const struct json_token *at)
{
	struct config_stage *stage = &r->config->app;
	bool is_root;
	struct entry e;
	int err = read_entry(r, at, &e);

	if (err == 0)
		err = check_options(r, &e, false);
	if (err < 0)
		return err;
	is_root = str_equal(e.target, "/");
	if (is_root != (e.type == CONFIG_FS_UNIONFS))
		return reader_fail(r, at, "mount", "\"/\" and nothing else is of type unionfs");
	if (find_mount(stage, e.target))
		return reader_fail(r, at, "mount", "two entries have the target \"%s\"", e.target);
	if (stage->mount_count == 0 && !is_root)
		return reader_fail(r, at, "mount", "the first entry must have the target \"/\"");
	if (stage->mount_count == CONFIG_MOUNTS_MAX - 2) /* /proc and /dev need their places */
		return reader_fail(r, at, "mount", "more than %d entries", CONFIG_MOUNTS_MAX - 2);
	return fill_mount(r, &e, add_mount(stage, e.type, e.target));
}

static void default_mounts(struct reader *r)
{
	struct config_stage *app = &r->config->app;

	add_root(app, image_volume(CONFIG_ROLE_IMAGE, SETTINGS_APP_IMAGE),
		 upper_volume(r, CONFIG_ROLE_ROOT, SETTINGS_APP_UPPER, r->debuggable));
	add_mount(app, CONFIG_FS_HOSTFS, "/host")->source = ".";
	add_mount(app, CONFIG_FS_RAMFS, "/tmp");
}

int settings_mounts(struct reader *r, const struct json_token *list)
{
	struct config_stage *app = &r->config->app;

	init_stage(r, &r->config->init);
	if (!list) {
		default_mounts(r);
	} else {
		if (list->type != JSON_ARRAY || list->count == 0)
			return reader_fail_value(r, list, "mount",
						 "a list that starts with the mount of \"/\"");
		for (struct element e = element_first(&r->json, list); e.left;
		     element_next(&r->json, &e)) {
			int err = read_mount(r, e.value);

			if (err < 0)
				return err;
		}
	}
	if (!find_mount(app, "/proc"))
		add_mount(app, CONFIG_FS_PROCFS, "/proc");
	if (!find_mount(app, "/dev"))
		add_mount(app, CONFIG_FS_DEVFS, "/dev");
	return 0;
}
