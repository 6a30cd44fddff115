// SPDX-License-Identifier: Apache-2.0
/*
 * verify: every block of every volume is read and opened, and the structure compared with itself.
 * What is damaged is named by its path; one damaged file does not end the search.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/mount/image.h"
#include "host/occlum/report.h"

#define STEP 256u /* blocks between two looks at the clock */

struct verify {
	struct secvol *sv;
	const char *source;
	bool json, any;
	u64 damaged, last;
};

static void tell(struct verify *v, u64 obj, const char *what, const char *path)
{
	if (v->json) {
		printf("%s\n  {\"volume\": ", v->any ? "," : "");
		print_json(v->source, strlen(v->source));
		printf(", \"object\": %llu, \"path\": ", (unsigned long long)obj);
		print_json(path, strlen(path));
		printf(", \"damage\": ");
		print_json(what, strlen(what));
		putchar('}');
	} else {
		complain("damaged: %s: %s: %s", v->source, path, what);
	}
	v->any = true;
}

/* Called while the volume is locked: paths are looked up afterwards. */
#define HEARD_MAX 256
static struct {
	u64 obj;
	const char *what;
} heard[HEARD_MAX];
static size_t heard_count;

static void hear(void *arg, u64 obj, const char *what, int err)
{
	struct verify *v = arg;

	v->damaged++;
	for (size_t i = 0; i < heard_count; i++) {
		if (heard[i].obj == obj)
			return; /* one line per file */
	}
	if (heard_count < HEARD_MAX) {
		heard[heard_count].obj = obj;
		heard[heard_count++].what = what;
	}
}

static void tell_heard(struct verify *v)
{
	for (size_t i = 0; i < heard_count; i++) {
		char path[PATH_MAX];

		image_object_path(v->sv, heard[i].obj, path, sizeof(path));
		tell(v, heard[i].obj, heard[i].what, path);
	}
	heard_count = 0;
}

/* 0, or 1 with what was found told. */
static int verify_volume(struct verify *v)
{
	struct secvol_scrub s = {0};
	struct secvol_info info;
	int err = 0, checked;

	secvol_info(v->sv, &info);
	while (!err && !s.passes) {
		err = secvol_scrub(v->sv, &s, STEP, hear, v);
		image_progress(v->source, MIN(s.blocks, info.used_blocks), info.used_blocks + 1);
	}
	image_progress_end();
	checked = secvol_check(v->sv, hear, v);
	tell_heard(v);
	if (err)
		return complain_errno(err, "cannot read all of '%s'", v->source);
	if (checked && !v->damaged)
		return complain_errno(checked, "cannot check '%s'", v->source);
	return v->damaged != 0;
}

int image_verify(struct image_command *c)
{
	const struct config_mount *root = c->built.root;
	struct verify volumes[2] = {
		{.source = root->layers[root->layer_count - 2].source, .json = c->json},
		{.source = root->layers[root->layer_count - 1].source, .json = c->json}};
	int status = 0;
	struct view v;

	if (view_open(&v, &c->built, &c->view))
		return 1;
	volumes[0].sv = view_secvol(v.image);
	volumes[1].sv = view_secvol(v.upper);
	if (c->json)
		printf("[");
	for (size_t i = 0; i < ARRAY_SIZE(volumes); i++) {
		if (!volumes[i].sv)
			continue;
		volumes[i].any = i && volumes[0].any;
		if (verify_volume(&volumes[i]))
			status = 1;
		else if (!c->json)
			inform("%s: good", volumes[i].source);
	}
	if (c->json)
		printf("\n]\n");
	return status;
}
