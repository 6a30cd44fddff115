// SPDX-License-Identifier: Apache-2.0
/*
 * build/.stamp: from what the build was made, one line of "name digest" per part. A text file so
 * that people can see which part differs; nothing of the trust chain hangs on it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/occlum/build.h"
#include "host/occlum/file.h"
#include "host/occlum/report.h"
#include "lib/base/hex.h"

static const struct {
	const char *name;
	size_t offset;
} parts[] = {
	{"settings", offsetof(struct build_stamp, settings)},
	{"image-tree", offsetof(struct build_stamp, image_tree)},
	{"initfs-tree", offsetof(struct build_stamp, initfs_tree)},
	{"image", offsetof(struct build_stamp, image)},
	{"initfs", offsetof(struct build_stamp, initfs)},
	{"enclave", offsetof(struct build_stamp, enclave)},
	{"image-made", offsetof(struct build_stamp, image_made)},
	{"initfs-made", offsetof(struct build_stamp, initfs_made)},
	{"image-look", offsetof(struct build_stamp, image_look)},
	{"initfs-look", offsetof(struct build_stamp, initfs_look)},
	{"layer-key", offsetof(struct build_stamp, layer_key)},
};

int stamp_write(const struct build_stamp *stamp, const char *path)
{
	char text[ARRAY_SIZE(parts) * 96];
	size_t len = 0;
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		char hex[65];

		hex_encode(hex, (const u8 *)stamp + parts[i].offset, 32);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s %s\n", parts[i].name,
					hex);
	}
	err = file_write(path, text, len, 0644);
	return err < 0 ? complain_errno(err, "cannot write '%s'", path) : 0;
}

bool stamp_read(struct build_stamp *ret, const char *path)
{
	char *text, *line;
	size_t size, found = 0;

	memset(ret, 0, sizeof(*ret));
	if (file_read(path, 4096, &text, &size) < 0)
		return false;
	for (line = text; *line;) {
		size_t len = strcspn(line, "\n");

		for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
			size_t n = strlen(parts[i].name);

			if (len == n + 65 && strncmp(line, parts[i].name, n) == 0 &&
			    line[n] == ' ' &&
			    hex_decode((u8 *)ret + parts[i].offset, 32, line + n + 1, 64) == 0)
				found++;
		}
		line += len + (line[len] == '\n');
	}
	free(text);
	if (found == ARRAY_SIZE(parts))
		return true;
	memset(ret, 0, sizeof(*ret)); /* an unreadable stamp is none: everything is built anew */
	return false;
}
