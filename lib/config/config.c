// SPDX-License-Identifier: Apache-2.0
/*
 * Encoder and decoder of the canonical configuration (config_format.h). Both are one pass over
 * the same order of fields; the tests hold them together: decode(encode(c)) is c, and whatever
 * decodes encodes to the same bytes. The decoder believes nothing: every length is bounded by the
 * cursor, every count by its limit, every flag and reserved byte must be known, and the rules of
 * config_check.c come last.
 */
#include "lib/config/config.h"

#include "abi/errno.h"
#include "lib/base/cursor.h"
#include "lib/base/string.h"
#include "lib/config/config_format.h"
#include "lib/config/config_priv.h"
#include "lib/config/path.h"

/* ---- decoding ---- */

static const char *read_string(struct cursor *c)
{
	u32 len = cursor_le32(c);
	const char *text;

	if (len > CONFIG_STRING_MAX) {
		c->bad = true;
		return NULL;
	}
	text = cursor_take(c, (size_t)len + 1);
	if (!text)
		return NULL;
	if (text[len] != '\0' || memchr(text, '\0', len)) {
		c->bad = true;
		return NULL;
	}
	return text;
}

static u32 read_count(struct cursor *c, u32 max)
{
	u32 count = cursor_le32(c);

	if (count > max)
		c->bad = true;
	return c->bad ? 0 : count;
}

static u32 read_strings(struct cursor *c, const char **list, u32 max)
{
	u32 count = read_count(c, max);

	for (u32 i = 0; i < count; i++)
		list[i] = read_string(c);
	return count;
}

/* Only where there is a policy: "none" has no second encoding. */
static void read_anchor(struct cursor *c, struct config_anchor *a)
{
	struct config_anchor_format f;

	cursor_copy(c, &f, sizeof(f));
	if (f.policy == CONFIG_ANCHOR_NONE || f.reserved[0] || f.reserved[1])
		c->bad = true;
	a->policy = f.policy;
	a->kind = f.kind;
	a->place = f.kind == CONFIG_ANCHOR_FILE ? read_string(c) : NULL;
}

static void read_volume(struct cursor *c, struct config_volume *v)
{
	struct config_volume_format f;

	cursor_copy(c, &f, sizeof(f));
	if (f.flags & ~CONFIG_VOLUME_FLAGS)
		c->bad = true;
	v->role = f.role;
	v->image_type = f.image_type;
	v->suite = f.suite;
	v->min_epoch = le16_get(f.min_epoch);
	v->min_isvsvn = le16_get(f.min_isvsvn);
	memcpy(v->volume_id, f.volume_id, sizeof(v->volume_id));
	memcpy(v->digest, f.digest, sizeof(v->digest));
	v->keep_upper = f.flags & CONFIG_VOLUME_KEEP_UPPER;
	v->may_create = f.flags & CONFIG_VOLUME_MAY_CREATE;
	v->duplicate = f.flags & CONFIG_VOLUME_DUP;
	v->source = read_string(c);
	if (f.flags & CONFIG_VOLUME_HAS_ANCHOR)
		read_anchor(c, &v->anchor);
	if (f.flags & CONFIG_VOLUME_SCRUBS) {
		v->scrub_kib = cursor_le32(c);
		c->bad |= v->scrub_kib == 0; /* one encoding of each setting */
	}
	if (f.flags & CONFIG_VOLUME_HAS_COMMIT) {
		v->commit_seconds = cursor_le32(c);
		c->bad |= v->commit_seconds == 0;
	}
}

static void read_mount(struct cursor *c, struct config_mount *m)
{
	struct config_mount_format f;
	u32 flags;

	cursor_copy(c, &f, sizeof(f));
	flags = le32_get(f.flags);
	m->type = le32_get(f.type);
	m->cache_size = le64_get(f.cache_size);
	m->may_exec = flags & CONFIG_MOUNT_MAY_EXEC;
	m->layer_count = le32_get(f.layer_count);
	if ((flags & ~CONFIG_MOUNT_FLAGS) || le32_get(f.reserved) ||
	    m->layer_count > CONFIG_LAYERS_MAX) {
		c->bad = true;
		return;
	}
	m->target = read_string(c);
	m->source = (flags & CONFIG_MOUNT_HAS_SOURCE) ? read_string(c) : NULL;
	for (u32 i = 0; i < m->layer_count; i++)
		read_volume(c, &m->layers[i]);
}

static void read_stage(struct cursor *c, struct config_stage *stage)
{
	stage->mount_count = read_count(c, CONFIG_MOUNTS_MAX);
	for (u32 i = 0; i < stage->mount_count && !c->bad; i++)
		read_mount(c, &stage->mounts[i]);
	stage->entry_point_count = read_strings(c, stage->entry_points, CONFIG_ENTRY_POINTS_MAX);
}

static void read_entry_args(struct cursor *c, struct occlum_config *config)
{
	config->entry_args_count = read_count(c, CONFIG_ENTRY_ARGS_MAX);
	for (u32 i = 0; i < config->entry_args_count; i++) {
		struct config_entry_args *e = &config->entry_args[i];

		e->path = read_string(c);
		e->pattern_count = read_strings(c, e->patterns, CONFIG_ARG_PATTERNS_MAX);
	}
}

static void read_settings(struct cursor *c, struct occlum_config *config)
{
	struct config_settings_format f;
	u32 flags;

	cursor_copy(c, &f, sizeof(f));
	flags = le32_get(f.flags);
	if ((flags & ~CONFIG_SETTING_FLAGS) || le32_get(f.reserved))
		c->bad = true;
	config->user_space_size = le64_get(f.user_space_size);
	config->kernel_heap_size = le64_get(f.kernel_heap_size);
	config->kernel_stack_size = le64_get(f.kernel_stack_size);
	config->default_stack_size = le64_get(f.default_stack_size);
	config->default_heap_size = le64_get(f.default_heap_size);
	config->default_mmap_size = le64_get(f.default_mmap_size);
	config->max_threads = le32_get(f.max_threads);
	config->uid = le32_get(f.uid);
	config->gid = le32_get(f.gid);
	config->product_id = le16_get(f.product_id);
	config->version_number = le16_get(f.version_number);
	config->debuggable = flags & CONFIG_DEBUGGABLE;
	config->disable_log = flags & CONFIG_DISABLE_LOG;
	config->enable_kss = flags & CONFIG_ENABLE_KSS;
	config->provision_key = flags & CONFIG_PROVISION_KEY;
	config->strict_memory = flags & CONFIG_STRICT_MEMORY;
	config->enable_posix_shm = flags & CONFIG_ENABLE_POSIX_SHM;
	memcpy(config->family_id, f.family_id, sizeof(config->family_id));
	memcpy(config->ext_prod_id, f.ext_prod_id, sizeof(config->ext_prod_id));
}

static bool header_is_ok(struct cursor *c, size_t size)
{
	struct config_header_format f;

	cursor_copy(c, &f, sizeof(f));
	return !c->bad && memcmp(f.magic, CONFIG_MAGIC, sizeof(f.magic)) == 0 &&
	       le32_get(f.version) == CONFIG_VERSION && le32_get(f.size) == size &&
	       le64_get(f.features) == 0 && le64_get(f.reserved) == 0;
}

int config_decode(struct occlum_config *ret, const void *bytes, size_t size)
{
	struct cursor c = cursor_of(bytes, size);

	memset(ret, 0, sizeof(*ret));
	if (size > CONFIG_SIZE_MAX)
		return -E2BIG;
	if (!header_is_ok(&c, size))
		return -EUCLEAN;
	read_settings(&c, ret);
	ret->env_default_count = read_strings(&c, ret->env_default, CONFIG_ENV_MAX);
	ret->env_untrusted_count = read_strings(&c, ret->env_untrusted, CONFIG_ENV_MAX);
	read_entry_args(&c, ret);
	read_stage(&c, &ret->init);
	read_stage(&c, &ret->app);
	if (!cursor_is_done(&c) || config_check(ret) < 0) {
		/* Half-read settings must not be mistaken for a configuration. */
		memset(ret, 0, sizeof(*ret));
		return -EUCLEAN;
	}
	return 0;
}

/* ---- encoding ---- */

/* Counts on past the end, so that one check at the end of the encoder suffices. */
struct writer {
	u8 *bytes;
	size_t size;
	size_t at;
};

static void write_bytes(struct writer *w, const void *bytes, size_t size)
{
	if (w->at <= w->size && size <= w->size - w->at)
		memcpy(w->bytes + w->at, bytes, size);
	w->at += size;
}

static void write_le32(struct writer *w, u32 value)
{
	le32 v = le32_put(value);

	write_bytes(w, &v, sizeof(v));
}

static void write_string(struct writer *w, const char *text)
{
	size_t len = strlen(text);

	write_le32(w, (u32)len);
	write_bytes(w, text, len + 1);
}

static void write_strings(struct writer *w, const char *const *list, u32 count)
{
	write_le32(w, count);
	for (u32 i = 0; i < count; i++)
		write_string(w, list[i]);
}

static void write_anchor(struct writer *w, const struct config_anchor *a)
{
	struct config_anchor_format f = {.policy = (u8)a->policy, .kind = (u8)a->kind};

	write_bytes(w, &f, sizeof(f));
	if (a->place)
		write_string(w, a->place);
}

static void write_volume(struct writer *w, const struct config_volume *v)
{
	struct config_volume_format f = {
		.role = (u8)v->role,
		.image_type = (u8)v->image_type,
		.suite = v->suite,
		.flags = (v->keep_upper ? CONFIG_VOLUME_KEEP_UPPER : 0) |
			 (v->may_create ? CONFIG_VOLUME_MAY_CREATE : 0) |
			 (v->anchor.policy ? CONFIG_VOLUME_HAS_ANCHOR : 0) |
			 (v->scrub_kib ? CONFIG_VOLUME_SCRUBS : 0) |
			 (v->commit_seconds ? CONFIG_VOLUME_HAS_COMMIT : 0) |
			 (v->duplicate ? CONFIG_VOLUME_DUP : 0),
		.min_epoch = le16_put(v->min_epoch),
		.min_isvsvn = le16_put(v->min_isvsvn),
	};

	memcpy(f.volume_id, v->volume_id, sizeof(f.volume_id));
	memcpy(f.digest, v->digest, sizeof(f.digest));
	write_bytes(w, &f, sizeof(f));
	write_string(w, v->source);
	if (v->anchor.policy)
		write_anchor(w, &v->anchor);
	if (v->scrub_kib)
		write_le32(w, v->scrub_kib);
	if (v->commit_seconds)
		write_le32(w, v->commit_seconds);
}

static void write_mount(struct writer *w, const struct config_mount *m)
{
	struct config_mount_format f = {
		.type = le32_put(m->type),
		.flags = le32_put((m->source ? CONFIG_MOUNT_HAS_SOURCE : 0) |
				  (m->may_exec ? CONFIG_MOUNT_MAY_EXEC : 0)),
		.cache_size = le64_put(m->cache_size),
		.layer_count = le32_put(m->layer_count),
	};

	write_bytes(w, &f, sizeof(f));
	write_string(w, m->target);
	if (m->source)
		write_string(w, m->source);
	for (u32 i = 0; i < m->layer_count; i++)
		write_volume(w, &m->layers[i]);
}

static void write_stage(struct writer *w, const struct config_stage *stage)
{
	write_le32(w, stage->mount_count);
	for (u32 i = 0; i < stage->mount_count; i++)
		write_mount(w, &stage->mounts[i]);
	write_strings(w, stage->entry_points, stage->entry_point_count);
}

static void write_settings(struct writer *w, const struct occlum_config *config)
{
	struct config_settings_format f = {
		.user_space_size = le64_put(config->user_space_size),
		.kernel_heap_size = le64_put(config->kernel_heap_size),
		.kernel_stack_size = le64_put(config->kernel_stack_size),
		.default_stack_size = le64_put(config->default_stack_size),
		.default_heap_size = le64_put(config->default_heap_size),
		.default_mmap_size = le64_put(config->default_mmap_size),
		.max_threads = le32_put(config->max_threads),
		.uid = le32_put(config->uid),
		.gid = le32_put(config->gid),
		.product_id = le16_put(config->product_id),
		.version_number = le16_put(config->version_number),
		.flags = le32_put((config->debuggable ? CONFIG_DEBUGGABLE : 0) |
				  (config->disable_log ? CONFIG_DISABLE_LOG : 0) |
				  (config->enable_kss ? CONFIG_ENABLE_KSS : 0) |
				  (config->provision_key ? CONFIG_PROVISION_KEY : 0) |
				  (config->strict_memory ? CONFIG_STRICT_MEMORY : 0) |
				  (config->enable_posix_shm ? CONFIG_ENABLE_POSIX_SHM : 0)),
	};

	memcpy(f.family_id, config->family_id, sizeof(f.family_id));
	memcpy(f.ext_prod_id, config->ext_prod_id, sizeof(f.ext_prod_id));
	write_bytes(w, &f, sizeof(f));
}

int config_encode(const struct occlum_config *config, void *bytes, size_t size, size_t *ret_size)
{
	struct config_header_format header = {
		.magic = CONFIG_MAGIC,
		.version = le32_put(CONFIG_VERSION),
	};
	struct writer w = {.bytes = bytes, .size = size};
	int err = config_check(config);

	if (err < 0)
		return err;
	write_bytes(&w, &header, sizeof(header));
	write_settings(&w, config);
	write_strings(&w, config->env_default, config->env_default_count);
	write_strings(&w, config->env_untrusted, config->env_untrusted_count);
	write_le32(&w, config->entry_args_count);
	for (u32 i = 0; i < config->entry_args_count; i++) {
		const struct config_entry_args *e = &config->entry_args[i];

		write_string(&w, e->path);
		write_strings(&w, e->patterns, e->pattern_count);
	}
	write_stage(&w, &config->init);
	write_stage(&w, &config->app);
	if (w.at > CONFIG_SIZE_MAX)
		return -EINVAL;
	if (w.at > size)
		return -ENOSPC;
	header.size = le32_put((u32)w.at);
	memcpy(bytes, &header, sizeof(header));
	*ret_size = w.at;
	return 0;
}
