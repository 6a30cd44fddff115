// SPDX-License-Identifier: Apache-2.0
/*
 * The rules of a canonical configuration. The encoder and the decoder apply the same ones, so
 * nothing can be built that does not boot, and the kernel acts on nothing that the build would
 * have refused. The messages that users see come from occlum_json.c, which checks earlier and
 * knows line numbers; here a violation is an error code.
 */
#include "lib/config/config_priv.h"

#include "abi/errno.h"
#include "lib/base/string.h"
#include "lib/config/limits.h"
#include "lib/config/path.h"

static bool string_is_ok(const char *s)
{
	size_t len = s ? strnlen(s, CONFIG_STRING_MAX + 1) : 0;

	return len > 0 && len <= CONFIG_STRING_MAX;
}

/* The length of NAME in "NAME" or "NAME=value". */
static size_t name_len(const char *variable)
{
	const char *equals = strchr(variable, '=');

	return equals ? (size_t)(equals - variable) : strlen(variable);
}

static bool names_are_distinct(const char *const *list, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		for (u32 j = 0; j < i; j++) {
			size_t len = name_len(list[i]);

			if (len == name_len(list[j]) && memcmp(list[i], list[j], len) == 0)
				return false;
		}
	}
	return true;
}

static bool env_is_ok(const struct occlum_config *config)
{
	if (config->env_default_count > CONFIG_ENV_MAX ||
	    config->env_untrusted_count > CONFIG_ENV_MAX)
		return false;
	for (u32 i = 0; i < config->env_default_count; i++) {
		const char *v = config->env_default[i];

		if (!string_is_ok(v) || !strchr(v, '=') || name_len(v) == 0)
			return false;
	}
	for (u32 i = 0; i < config->env_untrusted_count; i++) {
		const char *v = config->env_untrusted[i];

		if (!string_is_ok(v) || strchr(v, '='))
			return false;
	}
	return names_are_distinct(config->env_default, config->env_default_count) &&
	       names_are_distinct(config->env_untrusted, config->env_untrusted_count);
}

static bool size_is_within(u64 size, u64 min, u64 max)
{
	return size >= min && size <= max && IS_ALIGNED(size, PAGE_SIZE);
}

static bool resources_are_ok(const struct occlum_config *config)
{
	u64 stacks;

	if (!size_is_within(config->user_space_size, LIMIT_USER_SPACE_MIN, LIMIT_USER_SPACE_MAX) ||
	    !size_is_within(config->kernel_heap_size, LIMIT_KERNEL_HEAP_MIN,
			    LIMIT_KERNEL_HEAP_MAX) ||
	    !size_is_within(config->kernel_stack_size, LIMIT_KERNEL_STACK_MIN,
			    LIMIT_KERNEL_STACK_MAX) ||
	    !size_is_within(config->default_stack_size, LIMIT_STACK_MIN, LIMIT_STACK_MAX) ||
	    !size_is_within(config->default_heap_size, 0, LIMIT_USER_SPACE_MAX) ||
	    !size_is_within(config->default_mmap_size, 0, LIMIT_USER_SPACE_MAX))
		return false;
	if (config->uid > LIMIT_ID_MAX || config->gid > LIMIT_ID_MAX)
		return false;
	if (config->max_threads < LIMIT_THREADS_MIN || config->max_threads > CONFIG_THREADS_MAX)
		return false;
	stacks =
		config->max_threads * config->kernel_stack_size; /* both are bounded: no overflow */
	return config->kernel_heap_size + stacks <= LIMIT_KERNEL_ZONE;
}

static bool kss_is_ok(const struct occlum_config *config)
{
	return config->enable_kss ||
	       (mem_is_zero(config->family_id, sizeof(config->family_id)) &&
		mem_is_zero(config->ext_prod_id, sizeof(config->ext_prod_id)));
}

/* An anchor knows a volume by its id: without one, two volumes would share a record. */
static bool anchor_is_ok(const struct config_volume *v)
{
	const struct config_anchor *a = &v->anchor;

	if (a->policy == CONFIG_ANCHOR_NONE)
		return a->kind == 0 && !a->place;
	if (a->policy > CONFIG_ANCHOR_STRICT || mem_is_zero(v->volume_id, sizeof(v->volume_id)) ||
	    (v->role != CONFIG_ROLE_ROOT && v->role != CONFIG_ROLE_DATA))
		return false;
	if (a->kind == CONFIG_ANCHOR_FILE)
		return string_is_ok(a->place);
	return a->kind == CONFIG_ANCHOR_COMMAND && !a->place;
}

static bool volume_is_ok(const struct config_volume *v)
{
	bool pinned = !mem_is_zero(v->digest, sizeof(v->digest));
	bool is_image = config_role_is_pinned(v->role);

	if (v->role < CONFIG_ROLE_IMAGE || v->role > CONFIG_ROLE_TEMPORARY)
		return false;
	if (!string_is_ok(v->source) || (v->suite != 1 && v->suite != 2))
		return false;
	if (pinned != is_image)
		return false;
	if (is_image && v->image_type != CONFIG_IMAGE_INTEGRITY &&
	    v->image_type != CONFIG_IMAGE_ENCRYPTED)
		return false;
	if (!is_image && v->image_type != 0 &&
	    (v->role != CONFIG_ROLE_ROOT || v->image_type != CONFIG_IMAGE_ENCRYPTED))
		return false;
	if (v->keep_upper && v->role != CONFIG_ROLE_ROOT)
		return false;
	if (v->duplicate && v->role != CONFIG_ROLE_ROOT && v->role != CONFIG_ROLE_DATA)
		return false;
	if (v->commit_seconds &&
	    ((v->role != CONFIG_ROLE_ROOT && v->role != CONFIG_ROLE_DATA) ||
	     (v->commit_seconds > LIMIT_COMMIT_MAX && v->commit_seconds != CONFIG_COMMIT_EXPLICIT)))
		return false;
	if (v->scrub_kib &&
	    ((v->role != CONFIG_ROLE_ROOT && v->role != CONFIG_ROLE_DATA) ||
	     v->scrub_kib < LIMIT_SCRUB_MIN / KIB(1) || v->scrub_kib > LIMIT_SCRUB_MAX / KIB(1)))
		return false;
	return !(v->may_create && is_image) && anchor_is_ok(v);
}

static bool layers_are_ok(const struct config_mount *m)
{
	u32 last = m->layer_count - 1; /* used only when there is one */

	if (m->layer_count > CONFIG_LAYERS_MAX)
		return false;
	for (u32 i = 0; i < m->layer_count; i++) {
		if (!volume_is_ok(&m->layers[i]))
			return false;
	}
	if (m->type == CONFIG_FS_SEFS)
		return m->layer_count == 1 && !config_role_is_pinned(m->layers[0].role);
	if (m->type != CONFIG_FS_UNIONFS)
		return m->layer_count == 0;
	for (u32 i = 0; i + 1 < m->layer_count; i++) {
		if (!config_role_is_pinned(m->layers[i].role))
			return false;
	}
	if (m->layer_count < 2 || config_role_is_pinned(m->layers[last].role))
		return false;
	/* A layer under the image key lies over an image under the image key. */
	return m->layers[last].image_type == 0 ||
	       m->layers[last - 1].image_type == m->layers[last].image_type;
}

static bool mount_is_ok(const struct config_mount *m)
{
	if (m->type < CONFIG_FS_UNIONFS || m->type > CONFIG_FS_DEVFS)
		return false;
	if (!string_is_ok(m->target) || !config_path_is_plain(m->target))
		return false;
	if ((m->type == CONFIG_FS_HOSTFS) != (m->source != NULL))
		return false;
	if (m->source && !string_is_ok(m->source))
		return false;
	if (m->may_exec && m->type != CONFIG_FS_HOSTFS)
		return false;
	if (m->cache_size && !size_is_within(m->cache_size, LIMIT_CACHE_MIN, LIMIT_KERNEL_HEAP_MAX))
		return false;
	return layers_are_ok(m);
}

static bool stage_is_ok(const struct config_stage *stage)
{
	if (stage->mount_count == 0 || stage->mount_count > CONFIG_MOUNTS_MAX)
		return false;
	if (stage->entry_point_count == 0 || stage->entry_point_count > CONFIG_ENTRY_POINTS_MAX)
		return false;
	for (u32 i = 0; i < stage->mount_count; i++) {
		if (!mount_is_ok(&stage->mounts[i]))
			return false;
		for (u32 j = 0; j < i; j++) {
			if (str_equal(stage->mounts[i].target, stage->mounts[j].target))
				return false;
		}
	}
	for (u32 i = 0; i < stage->entry_point_count; i++) {
		const char *path = stage->entry_points[i];

		if (!string_is_ok(path) || !config_path_is_plain(path))
			return false;
	}
	return str_equal(stage->mounts[0].target, "/") &&
	       stage->mounts[0].type == CONFIG_FS_UNIONFS;
}

static bool entry_args_are_ok(const struct occlum_config *config)
{
	if (config->entry_args_count > CONFIG_ENTRY_ARGS_MAX)
		return false;
	for (u32 i = 0; i < config->entry_args_count; i++) {
		const struct config_entry_args *e = &config->entry_args[i];

		if (!string_is_ok(e->path) || !config_path_is_plain(e->path) ||
		    e->pattern_count > CONFIG_ARG_PATTERNS_MAX)
			return false;
		for (u32 j = 0; j < e->pattern_count; j++) {
			/* An empty pattern is an empty argument, and allowed. */
			if (!e->patterns[j] ||
			    strnlen(e->patterns[j], CONFIG_STRING_MAX + 1) > CONFIG_STRING_MAX)
				return false;
		}
		for (u32 j = 0; j < i; j++) {
			if (str_equal(e->path, config->entry_args[j].path))
				return false;
		}
	}
	return true;
}

int config_check(const struct occlum_config *config)
{
	bool ok = resources_are_ok(config) && kss_is_ok(config) && env_is_ok(config) &&
		  entry_args_are_ok(config) && stage_is_ok(&config->init) &&
		  stage_is_ok(&config->app);

	return ok ? 0 : -EINVAL;
}
