// SPDX-License-Identifier: Apache-2.0
/* What the user gives a build: Occlum.json, the image key, the development signing key. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "host/lib/sign.h"
#include "host/occlum/build.h"
#include "host/occlum/file.h"
#include "host/occlum/instance.h"
#include "host/occlum/report.h"
#include "lib/base/hex.h"
#include "lib/base/string.h"
#include "lib/config/settings.h"
#include "lib/crypto/sha256.h"

#define DEV_KEY "development-sign.key"

int settings_load(struct occlum_config *config, u8 text_digest[32])
{
	static struct json_token tokens[SETTINGS_TOKENS_MAX];
	struct settings_memory memory = {.tokens = tokens, .token_max = SETTINGS_TOKENS_MAX};
	struct settings_error error;
	char *text;
	size_t size;
	int err = file_read(INSTANCE_SETTINGS, INSTANCE_SETTINGS_MAX, &text, &size);

	if (err < 0)
		return complain_errno(err, "cannot read %s", INSTANCE_SETTINGS);
	sha256(text, size, text_digest);
	/* Lives as long as the configuration, which is as long as the process. */
	memory.size = 2 * size + 64;
	memory.strings = malloc(memory.size);
	if (!memory.strings) {
		free(text);
		return complain("out of memory");
	}
	err = settings_read(config, text, size, &memory, &error);
	free(text);
	if (err == 0)
		return 0;
	free(memory.strings);
	if (error.line)
		return complain("%s:%u: %s", INSTANCE_SETTINGS, error.line, error.text);
	return complain("%s: %s", INSTANCE_SETTINGS, error.text);
}

int image_key_load(const char *path, u8 key[IMAGE_KEY_SIZE])
{
	char *text;
	size_t size;
	bool ok;
	int err = file_read(path, 4096, &text, &size);

	if (err == -ENOENT || err == -ENOTDIR || err == -EISDIR)
		return complain_errno(err, "invalid secure image key path: %s", path);
	if (err < 0)
		return complain_errno(err, "cannot read the image key '%s'", path);
	ok = hex_decode_pairs(key, IMAGE_KEY_SIZE, text, size, '-') == 0;
	mem_wipe(text, size);
	free(text);
	if (!ok)
		return complain(
			"the image key '%s' is not 16 pairs of hexadecimal digits joined by "
			"'-'; `occlum gen-image-key` makes one",
			path);
	return 0;
}

/* A key with a password is not asked for one: builds run unattended. */
static int no_password(char *buf, int size, int writing, void *arg)
{
	return -1;
}

static EVP_PKEY *read_private_key(const char *path)
{
	FILE *f = fopen(path, "re");
	EVP_PKEY *key;

	if (!f)
		return NULL;
	key = PEM_read_PrivateKey(f, NULL, no_password, NULL);
	fclose(f);
	return key;
}

/* Checked early, so that a wrong key is said in one line and before any work. */
int sign_key_check(const char *path)
{
	EVP_PKEY *key;
	BIGNUM *e = NULL;
	bool ok;

	if (access(path, R_OK) < 0)
		return complain_errno(errno, "cannot read the signing key '%s'", path);
	key = read_private_key(path);
	ok = key && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) == 3072 &&
	     EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) && BN_is_word(e, 3);
	BN_free(e);
	EVP_PKEY_free(key);
	if (ok)
		return 0;
	return complain(
		"the signing key '%s' is not a private RSA key of 3072 bits with exponent 3 in "
		"PEM form without password; `openssl genrsa -3 -out KEY 3072` makes one",
		path);
}

/* Where the development key may lie, in the order in which it is looked for. */
enum dev_key_place { BY_STATE_HOME, BY_HOME, BY_PASSWD, DEV_KEY_PLACES };

/* 0; -ENOENT: this user has no such place. */
static int dev_key_at(enum dev_key_place place, char *path, size_t size)
{
	const char *folder = NULL, *below = place == BY_STATE_HOME ? "" : "/.local/state";
	const struct passwd *user;
	int n;

	switch (place) {
	case BY_STATE_HOME: folder = getenv("XDG_STATE_HOME"); break;
	case BY_HOME: folder = getenv("HOME"); break;
	default:
		user = getpwuid(geteuid());
		folder = user ? user->pw_dir : NULL;
		break;
	}
	if (!folder || folder[0] != '/')
		return -ENOENT;
	n = snprintf(path, size, "%s%s/occlum/" DEV_KEY, folder, below);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* Where the development key lies or is made: where the environment says so. 0 or -errno. */
static int find_dev_key(char *path, size_t size)
{
	int err = dev_key_at(BY_STATE_HOME, path, size);

	return err == -ENOENT ? dev_key_at(BY_HOME, path, size) : err;
}

/* Looked for in all places: another environment does not make another key of it. */
bool dev_key_is(const char *path)
{
	EVP_PKEY *key = read_private_key(path);
	bool equal = false;

	for (int place = 0; key && place < DEV_KEY_PLACES && !equal; place++) {
		char dev[PATH_MAX];
		EVP_PKEY *dev_key;

		if (dev_key_at(place, dev, sizeof(dev)) < 0)
			continue;
		dev_key = read_private_key(dev);
		equal = dev_key && EVP_PKEY_eq(key, dev_key) == 1;
		EVP_PKEY_free(dev_key);
	}
	EVP_PKEY_free(key);
	return equal;
}

static int make_dev_key(const char *path)
{
	struct enclave_error error = {0};
	char dir[PATH_MAX];
	int err;

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
	err = dir_make(dir, 0700);
	if (err < 0)
		return complain_errno(
			err,
			"cannot make '%s' for the development signing key (name a "
			"place that can be written by HOME or XDG_STATE_HOME, or give "
			"--sign-key)",
			dir);
	err = sign_key_generate(path, &error);
	if (err < 0 && err != -EEXIST) /* of two first builds at once, one key wins */
		return complain("cannot make the development signing key: %s", error.text);
	return 0;
}

int dev_key_path(char *path, size_t size)
{
	struct stat st;
	int err = find_dev_key(path, size);

	if (err == -ENOENT)
		return complain(
			"neither XDG_STATE_HOME nor HOME says where the development signing "
			"key lies; set HOME or give --sign-key");
	if (err < 0)
		return complain("the path of the development signing key is too long");
	if (!file_exists(path) && make_dev_key(path))
		return 1;
	if (stat(path, &st) < 0)
		return complain_errno(errno, "cannot read the development signing key '%s'", path);
	if (st.st_mode & 077)
		return complain(
			"the development signing key '%s' can be read by others; run: chmod 600 %s",
			path, path);
	return 0;
}
