/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps of `occlum build` share. Functions say what is wrong and return 1, or return 0. */
#pragma once

#include "lib/base/types.h"
#include "lib/config/config.h"

#define BUILD_TEMP     ".build.tmp" /* becomes build/ when all is done */
#define BUILD_OLD      ".build.old"
#define BUILD_STAGE    BUILD_TEMP "/initfs.stage"
#define IMAGE_KEY_SIZE 16

enum sgx_mode { SGX_MODE_NONE, SGX_MODE_SIM, SGX_MODE_HW };

struct build_options {
	const char *sign_key;
	const char *sign_tool;
	const char *image_key;
	const char *mode;
	const char *edmm;
	bool buildin_image_key;
	bool force;
	bool reset;
};

/* Digests of everything a part of the build was made from; equal digests mean nothing to do. */
struct build_stamp {
	u8 settings[32]; /* the text of Occlum.json */
	u8 image_tree[32];
	u8 initfs_tree[32];
	u8 image[32];	/* tree, key */
	u8 initfs[32];	/* tree, image type, built-in key */
	u8 enclave[32]; /* configuration, kernel, key, tool */
	/* What was made: somebody may have changed it since. */
	u8 image_made[32];
	u8 initfs_made[32];
	/* For `occlum run`, which tells when the trees have changed; an instance may be copied. */
	u8 image_look[32];
	u8 initfs_look[32];
	u8 layer_key[32]; /* which image key the writable layer is sealed under; zero: none */
};

struct build {
	struct build_options options;
	enum sgx_mode mode;
	struct occlum_config config;
	bool encrypted;
	u8 image_key[IMAGE_KEY_SIZE];
	u8 image_key_look[32];	 /* its digest; zero: none */
	char sign_key[PATH_MAX]; /* the files that are used */
	char sign_tool[PATH_MAX];
	struct build_stamp now;
	struct build_stamp before; /* zero when there was no build */
	u8 image_digest[32];
	u8 initfs_digest[32];
	u8 image_digest_before[32];
	u8 mrenclave[32]; /* of the signed enclave */
	u8 mrsigner[32];  /* likewise */
	u16 product;	  /* likewise */
	/* The previous build's; the signer is zero when there was none. */
	u8 mrsigner_before[32];
	u16 product_before;
	bool rebuilt; /* anything at all */
};

int __must_check build_parse_options(struct build_options *o, int argc, char **argv);
int __must_check build_check_options(const struct build_options *o);

/* These need b->config. */
int __must_check build_choose_mode(struct build *b);
int __must_check build_choose_tool(struct build *b);
int __must_check build_choose_key(struct build *b);
int __must_check build_load_image_key(struct build *b);

/* Reads Occlum.json; its strings live as long as the process. */
int __must_check settings_load(struct occlum_config *config, u8 text_digest[32]);

/* "c7-32-...": the file that gen-image-key writes. */
int __must_check image_key_load(const char *path, u8 key[IMAGE_KEY_SIZE]);

/* "SIM" or "HW" */
const char *sgx_mode_name(enum sgx_mode mode);

/* The unsigned kernel image that is built from. */
const char *build_kernel(const struct build *b);

/* The key is one that the standard tool can sign with. */
int __must_check sign_key_check(const char *path);

/* Path of this user's development signing key, which is made when it is not there. */
int __must_check dev_key_path(char *path, size_t size);

/* The key at `path` is the development key, if there is one: not for a release. */
bool __must_check dev_key_is(const char *path);

/* A volume that is made from a tree. */
struct image_request {
	const char *what; /* for the progress bar */
	const char *from;
	const char *to;
	const char *digest_path;
	const char *cache_path; /* NULL: nothing is remembered */
	enum config_role role;
	const u8 *key; /* NULL for an integrity-only one */
};
int __must_check image_make(const struct image_request *request, u8 digest[32]);

/* Warns of loaders and libraries that programs in the tree need and that are not in it. */
void image_check(const char *tree, const struct occlum_config *config);

/* Warns when the host could make an entry point of a release run what it likes. */
void entry_point_check(const char *tree, const char *path, const struct occlum_config *config);

/* The readable dump of a configuration. */
int __must_check config_dump(const struct occlum_config *config, const char *path);

/* Makes the signed kernel image `to`; intermediate files go to `work`. */
int __must_check enclave_sign(struct build *b, const u8 config_digest[32], const char *work,
			      const char *to);

/* Takes MRENCLAVE from a signed image; false when the image does not fit its signature. */
bool __must_check enclave_identify(struct build *b, const char *path);

/* build/.stamp */
int __must_check stamp_write(const struct build_stamp *stamp, const char *path);
bool __must_check stamp_read(struct build_stamp *ret, const char *path);
