// SPDX-License-Identifier: Apache-2.0
/*
 * What the user of `occlum build` chose, by options, by environment or by saying nothing: mode,
 * signing key and tool, image key. Whatever is not safe for a release is refused here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/occlum/build.h"
#include "host/occlum/place.h"
#include "host/occlum/report.h"

static int take_value(int argc, char **argv, int *i, const char **ret)
{
	if (*i + 1 >= argc)
		return complain("%s needs a value", argv[*i]);
	*ret = argv[++*i];
	return 0;
}

int build_parse_options(struct build_options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];
		int err = 0;

		if (strcmp(a, "--sign-key") == 0)
			err = take_value(argc, argv, &i, &o->sign_key);
		else if (strcmp(a, "--sign-tool") == 0)
			err = take_value(argc, argv, &i, &o->sign_tool);
		else if (strcmp(a, "--sgx-mode") == 0)
			err = take_value(argc, argv, &i, &o->mode);
		else if (strcmp(a, "--enable-edmm") == 0)
			err = take_value(argc, argv, &i, &o->edmm);
		else if (strcmp(a, "--image-key") == 0)
			err = take_value(argc, argv, &i, &o->image_key);
		else if (strcmp(a, "--buildin-image-key") == 0)
			o->buildin_image_key = true;
		else if (strcmp(a, "-f") == 0 || strcmp(a, "--force") == 0)
			o->force = true;
		else if (strcmp(a, "--reset") == 0)
			o->reset = true;
		else
			err = complain_known("Unknown option: %s", a);
		if (err)
			return 1;
	}
	return 0;
}

/* 0 or what is wrong with the path of a file that the user named. */
static int look_at_file(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	return S_ISREG(st.st_mode) ? 0 : EINVAL;
}

static bool is_among(const char *value, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(value, list[i]) == 0)
			return true;
	}
	return false;
}

/*
 * The same words as Occlum's ENABLE_EDMM. Both answers are fine: memory grows at run time in every
 * enclave, which is what EDMM is for.
 */
static int check_edmm(const char *value)
{
	static const char *const on[] = {"Y", "YES", "yes", "True", "1"};
	static const char *const off[] = {"N", "NO", "no", "False", "0"};

	if (!value)
		value = getenv("ENABLE_EDMM");
	if (!value || !value[0] || is_among(value, off, ARRAY_SIZE(off)) ||
	    is_among(value, on, ARRAY_SIZE(on)))
		return 0;
	return complain("--enable-edmm takes Y or N, not '%s'", value);
}

int build_check_options(const struct build_options *o)
{
	int err = o->sign_key ? look_at_file(o->sign_key) : 0;

	if (err)
		return complain_errno(err, "invalid signing key path: %s", o->sign_key);
	err = o->sign_tool ? look_at_file(o->sign_tool) : 0;
	if (!err && o->sign_tool && access(o->sign_tool, X_OK) < 0)
		err = errno;
	if (err)
		return complain_errno(err, "invalid signing tool path: %s", o->sign_tool);
	if (o->buildin_image_key && !o->image_key)
		return complain("--buildin-image-key needs --image-key");
	return check_edmm(o->edmm);
}

static bool has_sgx_device(void)
{
	return access("/dev/sgx_enclave", F_OK) == 0 || access("/dev/sgx/enclave", F_OK) == 0;
}

/* Without a word from the user: hardware where there is some, else simulation, if that is safe. */
static const char *default_mode(const struct build *b)
{
	if (has_sgx_device())
		return "HW";
	if (!b->config.debuggable)
		return NULL;
	complain("no SGX device is here: building for simulation (SGX_MODE=SIM), which protects "
		 "files "
		 "at rest only");
	return "SIM";
}

int build_choose_mode(struct build *b)
{
	const char *mode = b->options.mode ? b->options.mode : getenv("SGX_MODE");

	if (!mode || !mode[0])
		mode = default_mode(b);
	if (!mode)
		return complain(
			"no SGX device is here and metadata.debuggable is false; a release names "
			"its mode: --sgx-mode HW, or --sgx-mode SIM for a trial");
	if (strcmp(mode, "SIM") == 0) {
		b->mode = SGX_MODE_SIM;
		return 0;
	}
	if (strcmp(mode, "HW") == 0) {
		b->mode = SGX_MODE_HW;
		return 0;
	}
	if (strcmp(mode, "HYPER") == 0)
		return complain("SGX mode HYPER is not supported; accepted are HW and SIM");
	return complain("unknown SGX mode '%s'; accepted are HW and SIM", mode);
}

int build_choose_tool(struct build *b)
{
	const char *tool = b->options.sign_tool ? b->options.sign_tool : place_of(PIECE_SIGN_TOOL);

	if (!realpath(tool, b->sign_tool))
		return complain_errno(errno, "cannot find the sign tool '%s'", tool);
	return 0;
}

int build_choose_key(struct build *b)
{
	if (b->options.sign_key) {
		if (!realpath(b->options.sign_key, b->sign_key))
			return complain_errno(errno, "cannot read the signing key '%s'",
					      b->options.sign_key);
		if (!b->config.debuggable && dev_key_is(b->sign_key))
			return complain(
				"a release (metadata.debuggable: false) is not signed with the "
				"development key; make one for releases: occlum-sign genkey -out "
				"KEY.pem");
		/* What another tool takes for a key is its own affair. */
		return b->options.sign_tool ? 0 : sign_key_check(b->sign_key);
	}
	if (!b->config.debuggable)
		return complain("a release (metadata.debuggable: false) is not signed with the "
				"development key; give --sign-key");
	if (dev_key_path(b->sign_key, sizeof(b->sign_key)))
		return 1;
	return sign_key_check(b->sign_key);
}

int build_load_image_key(struct build *b)
{
	if (!b->options.image_key)
		return 0;
	if (b->options.buildin_image_key && !b->config.debuggable)
		return complain(
			"--buildin-image-key puts the key where the host can read it and is "
			"refused for a release (metadata.debuggable: false)");
	b->encrypted = true;
	return image_key_load(b->options.image_key, b->image_key);
}
