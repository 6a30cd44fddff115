/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the instance in the current directory, as its programs see them: the union of image
 * and writable layer, or one of the two alone. Keys come from where the enclave's come from.
 */
#pragma once

#include "host/lib/sign.h"
#include "host/mount/machine_key.h"
#include "lib/config/config.h"
#include "lib/secvol/secvol.h"

struct files;
struct files_before;

enum view_layer { VIEW_UNION, VIEW_IMAGE, VIEW_UPPER };

struct view_options {
	struct signer signer;
	const char *image_key; /* file; NULL */
	const char *snapshot;  /* of the writable layer; NULL */
	enum view_layer layer;
	bool read_only;
	/* What is done to the writable layer before it is opened; NULL. */
	const struct files_before *before;
};

struct view {
	struct files *fs;    /* what is shown */
	struct files *image; /* NULL: not opened */
	struct files *upper; /* NULL: not opened, or there is none */
};

/* What was built, read and verified once. */
struct built {
	struct sign_info info;
	struct occlum_config config;
	const struct config_mount *root; /* of the application */
};
int __must_check built_read(struct built *ret);

/* --sign-key, --sign-tool, --image-key, --layer, --snapshot at argv[*i]: 1 taken, 0 not, -1 said */
int view_take_option(struct view_options *o, int argc, char **argv, int *i);
/* Whether what was asked for fits together; says what does not. 0 or 1. */
int __must_check view_check(const struct view_options *o);

/*
 * Both say what is wrong and return 1. kernel_env_init() was called; the instance is locked by the
 * caller. Three kinds of refusal have their own words: a key that does not fit, a damaged volume,
 * an old one.
 */
int __must_check view_open(struct view *v, const struct built *b, const struct view_options *o);
/* Commits. */
int __must_check view_close(struct view *v);

/* Of one volume of the view. */
struct secvol *view_secvol(struct files *fs);
