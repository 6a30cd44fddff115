// SPDX-License-Identifier: Apache-2.0
/*
 * The readable dump of a configuration (build/.Occlum_sys.json), which nothing reads but people.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/occlum/build.h"
#include "host/occlum/file.h"
#include "host/occlum/report.h"
#include "lib/base/hex.h"
#include "lib/base/string.h"

static void put_string(FILE *f, const char *s)
{
	if (!s) {
		fputs("null", f);
		return;
	}
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			fprintf(f, "\\u%04x", *s);
		else
			fputc(*s, f);
	}
	fputc('"', f);
}

static void put_list(FILE *f, const char *name, const char *const *list, u32 count, const char *end)
{
	fprintf(f, "\"%s\": [", name);
	for (u32 i = 0; i < count; i++) {
		fputs(i ? ", " : "", f);
		put_string(f, list[i]);
	}
	fprintf(f, "]%s", end);
}

static const char *boolean(bool value)
{
	return value ? "true" : "false";
}

static void put_volume(FILE *f, const struct config_volume *v)
{
	static const char *const roles[] = {"", "image", "initfs", "root", "data", "temporary"};
	char hex[2 * CONFIG_DIGEST_SIZE + 1];

	fprintf(f, "          {\"role\": \"%s\", \"source\": ", roles[v->role]);
	put_string(f, v->source);
	if (config_role_is_pinned(v->role)) {
		hex_encode(hex, v->digest, sizeof(v->digest));
		fprintf(f, ", \"image_type\": \"%s\", \"sha256\": \"%s\"",
			v->image_type == CONFIG_IMAGE_ENCRYPTED ? "encrypted" : "integrity-only",
			hex);
	}
	if (v->role == CONFIG_ROLE_ROOT)
		fprintf(f, ", \"key\": \"%s\"",
			v->image_type == CONFIG_IMAGE_ENCRYPTED ? "image key" : "autokey");
	fprintf(f, ", \"suite\": %u, \"min_epoch\": %u, \"min_isvsvn\": %u", v->suite, v->min_epoch,
		v->min_isvsvn);
	if (v->duplicate)
		fputs(", \"duplicate_metadata\": true", f);
	if (v->commit_seconds == CONFIG_COMMIT_EXPLICIT)
		fprintf(f, ", \"commit\": \"explicit\"");
	else if (v->commit_seconds)
		fprintf(f, ", \"commit\": %u", v->commit_seconds);
	if (v->scrub_kib)
		fprintf(f, ", \"scrub_rate\": %llu", (unsigned long long)v->scrub_kib << 10);
	if (!mem_is_zero(v->volume_id, sizeof(v->volume_id))) {
		hex_encode(hex, v->volume_id, sizeof(v->volume_id));
		fprintf(f, ", \"volume_id\": \"%s\"", hex);
	}
	if (v->anchor.policy) {
		fprintf(f, ", \"anchor\": {\"policy\": \"%s\", \"file\": ",
			v->anchor.policy == CONFIG_ANCHOR_STRICT ? "strict" : "mount");
		put_string(f, v->anchor.place);
		fprintf(f, ", \"command\": %s}", boolean(v->anchor.kind == CONFIG_ANCHOR_COMMAND));
	}
	fprintf(f, ", \"keep_upper\": %s, \"may_create\": %s}", boolean(v->keep_upper),
		boolean(v->may_create));
}

static void put_mount(FILE *f, const struct config_mount *m)
{
	static const char *const types[] = {"",	     "unionfs", "sefs", "hostfs",
					    "ramfs", "procfs",	"devfs"};

	fprintf(f, "      {\"type\": \"%s\", \"target\": ", types[m->type]);
	put_string(f, m->target);
	fputs(", \"source\": ", f);
	put_string(f, m->source);
	fprintf(f, ", \"cache_size\": %llu, \"exec\": %s", (unsigned long long)m->cache_size,
		boolean(m->may_exec));
	if (m->layer_count > 0) {
		fputs(", \"layers\": [\n", f);
		for (u32 i = 0; i < m->layer_count; i++) {
			put_volume(f, &m->layers[i]);
			fputs(i + 1 < m->layer_count ? ",\n" : "]", f);
		}
	}
	fputc('}', f);
}

static void put_stage(FILE *f, const char *name, const struct config_stage *stage, const char *end)
{
	fprintf(f, "  \"%s\": {\n    ", name);
	put_list(f, "entry_points", stage->entry_points, stage->entry_point_count, ",\n");
	fputs("    \"mount\": [\n", f);
	for (u32 i = 0; i < stage->mount_count; i++) {
		put_mount(f, &stage->mounts[i]);
		fputs(i + 1 < stage->mount_count ? ",\n" : "\n    ]\n", f);
	}
	fprintf(f, "  }%s\n", end);
}

static void put_settings(FILE *f, const struct occlum_config *c)
{
	char family[33], product[33];

	hex_encode(family, c->family_id, sizeof(c->family_id));
	hex_encode(product, c->ext_prod_id, sizeof(c->ext_prod_id));
	fprintf(f,
		"  \"resource_limits\": {\"user_space_size\": %llu, \"kernel_heap_size\": %llu, "
		"\"kernel_stack_size\": %llu, \"max_threads\": %u},\n",
		(unsigned long long)c->user_space_size, (unsigned long long)c->kernel_heap_size,
		(unsigned long long)c->kernel_stack_size, c->max_threads);
	fprintf(f,
		"  \"process\": {\"default_stack_size\": %llu, \"default_heap_size\": %llu, "
		"\"default_mmap_size\": %llu, \"uid\": %u, \"gid\": %u},\n",
		(unsigned long long)c->default_stack_size, (unsigned long long)c->default_heap_size,
		(unsigned long long)c->default_mmap_size, c->uid, c->gid);
	fprintf(f,
		"  \"metadata\": {\"product_id\": %u, \"version_number\": %u, \"debuggable\": %s, "
		"\"disable_log\": %s, \"provision_key\": %s, \"enable_kss\": %s, \"family_id\": "
		"\"%s\", "
		"\"ext_prod_id\": \"%s\"},\n",
		c->product_id, c->version_number, boolean(c->debuggable), boolean(c->disable_log),
		boolean(c->provision_key), boolean(c->enable_kss), family, product);
	fprintf(f, "  \"feature\": {\"strict_memory\": %s, \"enable_posix_shm\": %s},\n",
		boolean(c->strict_memory), boolean(c->enable_posix_shm));
}

static void put_config(FILE *f, const struct occlum_config *c)
{
	fputs("{\n", f);
	put_settings(f, c);
	fputs("  \"env\": {", f);
	put_list(f, "default", c->env_default, c->env_default_count, ", ");
	put_list(f, "untrusted", c->env_untrusted, c->env_untrusted_count, "},\n");
	fputs("  \"entry_args\": {", f);
	for (u32 i = 0; i < c->entry_args_count; i++) {
		const struct config_entry_args *e = &c->entry_args[i];

		fputs(i ? ", " : "", f);
		put_string(f, e->path);
		fputs(": [", f);
		for (u32 j = 0; j < e->pattern_count; j++) {
			fputs(j ? ", " : "", f);
			put_string(f, e->patterns[j]);
		}
		fputc(']', f);
	}
	fputs("},\n", f);
	put_stage(f, "init", &c->init, ",");
	put_stage(f, "app", &c->app, "");
	fputs("}\n", f);
}

/* Writes what `put` prints; the text is made in memory so that a file is whole or not there. */
static int write_text(const char *path, void (*put)(FILE *f, const struct occlum_config *c),
		      const struct occlum_config *config)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	int err;

	if (!f)
		return complain("out of memory");
	put(f, config);
	if (fclose(f) != 0)
		err = -ENOMEM;
	else
		err = file_write(path, text, size, 0644);
	free(text);
	return err < 0 ? complain_errno(err, "cannot write '%s'", path) : 0;
}

int config_dump(const struct occlum_config *config, const char *path)
{
	return write_text(path, put_config, config);
}
