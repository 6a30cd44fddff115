// SPDX-License-Identifier: Apache-2.0
/*
 * What the host may start and with what: entry points, argument patterns, variables. Pure
 * functions of a decoded configuration, so that the kernel decides and the tests can ask.
 */
#include "lib/config/config.h"

#include "lib/base/string.h"
#include "lib/config/path.h"

bool config_stage_allows(const struct config_stage *stage, const char *path)
{
	if (!config_path_is_plain(path))
		return false;
	for (u32 i = 0; i < stage->entry_point_count; i++) {
		if (config_path_is_under(path, stage->entry_points[i]))
			return true;
	}
	return false;
}

/* `*` takes any run of bytes, `?` one. Backtracks to the last star alone: needs no stack. */
static bool pattern_matches(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			resume = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static bool patterns_match(const struct config_entry_args *e, const char *const *args, size_t count)
{
	u32 n = e->pattern_count;
	bool takes_rest = n > 0 && str_equal(e->patterns[n - 1], "...");

	if (takes_rest)
		n--;
	if (count < n || (count > n && !takes_rest))
		return false;
	for (u32 i = 0; i < n; i++) {
		if (!pattern_matches(e->patterns[i], args[i]))
			return false;
	}
	return true;
}

bool config_args_allow(const struct occlum_config *config, const char *path,
		       const char *const *args, size_t count)
{
	for (u32 i = 0; i < config->entry_args_count; i++) {
		if (str_equal(config->entry_args[i].path, path))
			return patterns_match(&config->entry_args[i], args, count);
	}
	return true;
}

/* Length of the name in "NAME=value", 0 when there is none. */
static size_t variable_name_len(const char *variable)
{
	const char *equals = strchr(variable, '=');

	return equals ? (size_t)(equals - variable) : 0;
}

bool config_env_allows(const struct occlum_config *config, const char *variable)
{
	size_t len = variable_name_len(variable);

	for (u32 i = 0; len > 0 && i < config->env_untrusted_count; i++) {
		const char *name = config->env_untrusted[i];

		if (strlen(name) == len && memcmp(name, variable, len) == 0)
			return true;
	}
	return false;
}

int config_env_find_default(const struct occlum_config *config, const char *variable)
{
	size_t len = variable_name_len(variable);

	for (u32 i = 0; len > 0 && i < config->env_default_count; i++) {
		if (strncmp(config->env_default[i], variable, len + 1) == 0)
			return (int)i;
	}
	return -1;
}
