// SPDX-License-Identifier: Apache-2.0
/* The two parts of a build that libraries make: volumes (mkimage) and the signed kernel (sign). */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host/lib/mkimage.h"
#include "host/lib/sign.h"
#include "host/occlum/build.h"
#include "host/occlum/place.h"
#include "host/occlum/report.h"

static_assert((int)CONFIG_ROLE_IMAGE == (int)SECVOL_ROLE_IMAGE, "roles have the same numbers");
static_assert((int)CONFIG_ROLE_INITFS == (int)SECVOL_ROLE_INITFS, "roles have the same numbers");
static_assert((int)CONFIG_ROLE_ROOT == (int)SECVOL_ROLE_ROOT_LAYER, "roles have the same numbers");
static_assert((int)CONFIG_ROLE_DATA == (int)SECVOL_ROLE_DATA, "roles have the same numbers");
static_assert((int)CONFIG_ROLE_TEMPORARY == (int)SECVOL_ROLE_TEMPORARY,
	      "roles have the same numbers");

int image_make(const struct image_request *request, u8 digest[32])
{
	struct mkimage_bar bar = {.what = request->what};
	struct mkimage_params params = {
		.source = request->from,
		.output = request->to,
		.digest_path = request->digest_path,
		.cache_path = request->cache_path,
		.role = (enum secvol_role)request->role,
		.image_key = request->key,
		.image_key_size = request->key ? IMAGE_KEY_SIZE : 0,
		.progress = mkimage_bar,
		.progress_arg = &bar,
		.force = true, /* whether anything changed was asked before */
	};
	static struct mkimage_result result;

	if (mkimage_build(&params, &result) < 0)
		return complain("%s", result.error);
	if (result.set_ids_cleared)
		warn("%llu %s lost setuid or setgid bits, as all files become root's and "
		     "these were another user's or group's: '%s/%s'%s",
		     (unsigned long long)result.set_ids_cleared,
		     result.set_ids_cleared == 1 ? "file has" : "files have", request->from,
		     result.set_id, result.set_ids_cleared == 1 ? "" : ", ...");
	memcpy(digest, result.sha256, 32);
	return 0;
}

const char *sgx_mode_name(enum sgx_mode mode)
{
	return mode == SGX_MODE_SIM ? "SIM" : "HW";
}

const char *build_kernel(const struct build *b)
{
	return place_of(b->mode == SGX_MODE_SIM ? PIECE_KERNEL_SIM : PIECE_KERNEL_HW);
}

static void keep_identity(struct build *b, const struct sign_info *info)
{
	memcpy(b->mrenclave, info->mrenclave, sizeof(b->mrenclave));
	memcpy(b->mrsigner, info->mrsigner, sizeof(b->mrsigner));
	b->product = info->sigstruct.isvprodid;
}

int enclave_sign(struct build *b, const u8 config_digest[32], const char *work, const char *to)
{
	struct sign_params params = {
		.image_path = build_kernel(b),
		.output_path = to,
		.work_dir = work,
		.key_path = b->sign_key,
		.tool_path = b->sign_tool,
		.config = &b->config,
		.simulation = b->mode == SGX_MODE_SIM,
	};
	struct enclave_error error = {0};
	struct sign_info info;

	memcpy(params.config_sha256, config_digest, sizeof(params.config_sha256));
	if (sign_kernel_image(&params, &info, &error) < 0)
		return complain("%s", error.text);
	if ((info.params.mode == ENCLAVE_MODE_SIM) != (b->mode == SGX_MODE_SIM))
		return complain("'%s' is not the kernel image of SGX mode %s", build_kernel(b),
				sgx_mode_name(b->mode));
	keep_identity(b, &info);
	return 0;
}

bool enclave_identify(struct build *b, const char *path)
{
	struct enclave_error error = {0};
	struct sign_info info;

	if (sign_image_verify(path, &info, &error) < 0)
		return false;
	keep_identity(b, &info);
	return true;
}
