// SPDX-License-Identifier: Apache-2.0
/* Paths of configurations: pure functions of text; what a path resolves to is the kernel's job. */
#include "lib/config/path.h"

#include "lib/base/string.h"

bool config_path_is_plain(const char *path)
{
	const char *part = path;

	if (path[0] != '/')
		return false;
	if (path[1] == '\0')
		return true;
	while (*part == '/') {
		size_t len = 0;

		part++;
		while (part[len] != '\0' && part[len] != '/')
			len++;
		if (len == 0 || (len == 1 && part[0] == '.') ||
		    (len == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		part += len;
	}
	return true;
}

bool config_path_is_under(const char *path, const char *prefix)
{
	size_t len = strlen(prefix);

	if (len == 1)
		return true; /* "/" */
	return strncmp(path, prefix, len) == 0 && (path[len] == '\0' || path[len] == '/');
}
