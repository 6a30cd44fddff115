// SPDX-License-Identifier: Apache-2.0
/*
 * `occlum image scrub|grow|rotate|to-root|label`: care for the sealed layer. A scrub reads
 * everything from the store past the caches and changes nothing; the others change the volume and
 * nothing in its files.
 */
#include "host/mount/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/mount/files.h"
#include "host/occlum/report.h"
#include "lib/config/settings.h"

#define SCRUB_STEP  256u  /* blocks between two looks at the clock */
#define ROTATE_STEP 4096u /* blocks rewritten at a time */
#define DAMAGES_MAX 1000u

static int open_upper(struct image_command *c, bool read_only, struct view *v)
{
	c->view.layer = VIEW_UPPER;
	c->view.read_only = read_only;
	return view_open(v, &c->built, &c->view);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- scrub ----------------------------------------------------------------------------------- */

/* Paths are looked up afterwards: the volume is locked while it tells. */
struct damages {
	u64 obj[DAMAGES_MAX];
	const char *what[DAMAGES_MAX];
	u32 count;
};

static void on_damage(void *arg, u64 obj, const char *what, int err)
{
	struct damages *d = arg;

	if (d->count && d->obj[d->count - 1] == obj)
		return; /* each file once */
	if (d->count < DAMAGES_MAX) {
		d->obj[d->count] = obj;
		d->what[d->count++] = what;
	}
}

static void tell(struct secvol *sv, const struct damages *d, bool json)
{
	char path[4096];

	for (u32 i = 0; i < d->count; i++) {
		image_object_path(sv, d->obj[i], path, sizeof(path));
		if (json) {
			printf("%s\n  {\"object\": %llu, \"path\": ", i ? "," : "",
			       (unsigned long long)d->obj[i]);
			print_json(path, strlen(path));
			printf(", \"damage\": ");
			print_json(d->what[i], strlen(d->what[i]));
			putchar('}');
		} else {
			inform("%s: %s", path, d->what[i]);
		}
	}
}

/* Waits until `blocks` since `begin` are within the rate. */
static void keep_rate(double begin, u64 blocks, u64 rate)
{
	double due = rate ? (double)blocks * BS_BLOCK / (double)rate : 0;
	double early = begin + due - seconds();
	struct timespec t = {.tv_sec = (time_t)early};

	if (early <= 0)
		return;
	t.tv_nsec = (long)((early - (double)t.tv_sec) * 1e9);
	nanosleep(&t, NULL);
}

static int scrub(struct secvol *sv, u64 rate, bool json)
{
	static struct damages d;
	struct secvol_scrub s = {0};
	struct secvol_info info;
	double begin = seconds();
	int err = 0;

	secvol_info(sv, &info);
	while (!err && s.passes == 0) {
		err = secvol_scrub(sv, &s, SCRUB_STEP, on_damage, &d);
		image_progress("scrub", MIN(s.blocks, info.used_blocks), info.used_blocks);
		keep_rate(begin, s.blocks, rate);
	}
	image_progress_end();
	if (json)
		printf("{\"bytes_read\": %llu, \"damages\": %llu, \"repaired\": %llu, \"damaged\": "
		       "[",
		       (unsigned long long)(s.blocks * BS_BLOCK), (unsigned long long)s.damaged,
		       (unsigned long long)s.repaired);
	tell(sv, &d, json);
	if (json)
		printf("], \"complete\": %s}\n", err ? "false" : "true");
	if (err)
		return complain_errno(err, "the scrub could not be finished");
	if (s.damaged)
		return complain("damaged: %llu places of the writable layer do not open",
				(unsigned long long)s.damaged);
	if (s.repaired && !json)
		inform("%llu damaged blocks were written again from their second copies",
		       (unsigned long long)s.repaired);
	if (!json)
		inform("%llu MB read, all of it opens",
		       (unsigned long long)(s.blocks * BS_BLOCK >> 20));
	return 0;
}

int image_scrub(struct image_command *c)
{
	struct secvol_info info;
	struct view v;
	u64 rate = 0;
	int status;

	if (c->count && (settings_size(c->arguments[0], &rate) || !rate))
		return complain("'%s' is no rate; write bytes per second as \"50MB\"",
				c->arguments[0]);
	if (open_upper(c, true, &v))
		return 1;
	secvol_info(view_secvol(v.upper), &info);
	/* What is there twice is repaired, and nothing else is written. */
	if (info.dup && (view_close(&v) || open_upper(c, false, &v)))
		return 1;
	status = scrub(view_secvol(v.upper), rate, c->json);
	return view_close(&v) || status;
}

/* ---- grow, label ----------------------------------------------------------------------------- */

int image_grow(struct image_command *c)
{
	struct secvol_info info;
	struct view v;
	u64 size;
	int err;

	if (settings_size(c->arguments[0], &size) || !size)
		return complain("'%s' is no size; write it as \"2TB\"", c->arguments[0]);
	if (open_upper(c, false, &v))
		return 1;
	secvol_info(view_secvol(v.upper), &info);
	err = size / BS_BLOCK <= info.size_blocks
		      ? -EINVAL
		      : secvol_grow(view_secvol(v.upper), size / BS_BLOCK);
	if (err == -EINVAL)
		complain("the writable layer may have %llu GB already; it only grows",
			 (unsigned long long)(info.size_blocks * BS_BLOCK >> 30));
	else if (err)
		complain_errno(err, "cannot grow the writable layer");
	secvol_info(view_secvol(v.upper), &info);
	if (!err && c->json)
		printf("{\"bytes_limit\": %llu}\n",
		       (unsigned long long)(info.size_blocks * BS_BLOCK));
	return view_close(&v) || err;
}

int image_label(struct image_command *c)
{
	struct view v;
	int err;

	if (open_upper(c, false, &v))
		return 1;
	err = secvol_set_label(view_secvol(v.upper), c->arguments[0], strlen(c->arguments[0]));
	if (err == -EINVAL)
		complain("a label has at most 64 bytes");
	else if (err)
		complain_errno(err, "cannot set the label");
	if (!err && c->json) {
		printf("{\"label\": ");
		print_json(c->arguments[0], strlen(c->arguments[0]));
		printf("}\n");
	}
	return view_close(&v) || err;
}

/* ---- to-root --------------------------------------------------------------------------------- */

struct going_back {
	u64 gen;
	bool force;
	int err;
	struct secvol_to_root r;
};

static int go_back(void *arg, const struct secvol_params *p)
{
	struct going_back *g = arg;

	g->err = secvol_to_root(p, g->gen, g->force, &g->r);
	return g->err ? -ECANCELED : 0; /* said below, in words of its own */
}

static int explain_to_root(const struct going_back *g)
{
	switch (-g->err) {
	case EINVAL:
		return complain("generation %llu is no older one; the present is %llu",
				(unsigned long long)g->gen, (unsigned long long)g->r.from);
	case EUCLEAN:
		return complain("no root of generation %llu is kept, or the structure below it is "
				"damaged; the present is %llu",
				(unsigned long long)g->gen, (unsigned long long)g->r.from);
	case EBADMSG:
		return complain("damaged: %llu places of generation %llu do not open; --force goes "
				"back to it all the same",
				(unsigned long long)g->r.damages, (unsigned long long)g->gen);
	case EKEYREJECTED:
		return complain("generation %llu is under an older key, which was replaced since",
				(unsigned long long)g->gen);
	case ESTALE:
		return complain(
			"an anchor watches over the writable layer, so that nobody takes it "
			"back; --force does it and tells the anchor");
	case ENOSPC: return complain("there is no room for an older state beside the newer one");
	default: return complain_errno(g->err, "cannot go back");
	}
}

int image_to_root(struct image_command *c)
{
	struct going_back g = {.force = c->force};
	struct files_before before = {.run = go_back, .arg = &g};
	struct view v;
	char *end;

	g.gen = strtoull(c->arguments[0], &end, 10);
	if (*end || !g.gen)
		return complain("'%s' is no generation", c->arguments[0]);
	c->view.before = &before;
	if (open_upper(c, false, &v))
		return g.err ? explain_to_root(&g) : 1;
	if (c->json)
		printf("{\"given_up\": %llu, \"went_to\": %llu, \"generation\": %llu}\n",
		       (unsigned long long)g.r.from, (unsigned long long)g.r.to,
		       (unsigned long long)g.r.made);
	else
		inform("generation %llu is given up, what %llu held is now %llu; `occlum image "
		       "to-root %llu` goes back until something is written",
		       (unsigned long long)g.r.from, (unsigned long long)g.r.to,
		       (unsigned long long)g.r.made, (unsigned long long)g.r.from);
	return view_close(&v);
}

/* ---- rotate ---------------------------------------------------------------------------------- */

/* Until nothing is under an old key, or what is left belongs to snapshots. */
static int rewrite(struct secvol *sv)
{
	u64 first = 0, left = 0, before = UINT64_MAX;
	u32 idle = 0;
	int err = 0;

	do {
		err = secvol_rotate_step(sv, ROTATE_STEP, &left);
		first = MAX(first, left);
		if (!err && left)
			image_progress("rotate", first - left, first);
		idle = left < before ? 0 : idle + 1;
		before = left;
	} while (!err && left && idle < 3);
	image_progress_end();
	if (err)
		return complain_errno(err,
				      "cannot rewrite what is under the old key; `occlum image "
				      "rotate finish` goes on");
	if (left)
		return complain("%llu blocks of snapshots are still under an old key; delete them "
				"and run: occlum image rotate finish",
				(unsigned long long)left);
	return 0;
}

int image_rotate(struct image_command *c)
{
	bool finish = c->count && strcmp(c->arguments[0], "finish") == 0;
	struct secvol_info info;
	struct view v;
	int err = 0;

	if (c->count && !finish)
		return complain("rotate takes `finish` or nothing, not '%s'", c->arguments[0]);
	if (open_upper(c, false, &v))
		return 1;
	if (!finish)
		err = secvol_rotate(view_secvol(v.upper));
	if (err == -EBUSY)
		complain("two older keys are still in use; run: occlum image rotate finish");
	else if (err)
		complain_errno(err, "cannot make a new key");
	if (!err)
		err = rewrite(view_secvol(v.upper));
	secvol_info(view_secvol(v.upper), &info);
	if (c->json)
		printf("{\"key_epoch\": %u, \"old_epochs\": %u}\n", info.epoch, info.old_epochs);
	else if (!err)
		inform("everything is under key epoch %u", info.epoch);
	return view_close(&v) || err;
}
