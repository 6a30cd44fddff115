// SPDX-License-Identifier: Apache-2.0
/*
 * `occlum print`: what the built enclave is known by, recomputed and verified, never just read; and
 * what a reviewer needs to come to the same result with tools of his own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/lib/sign.h"
#include "host/lib/sigstruct_text.h"
#include "host/occlum/command.h"
#include "host/occlum/file.h"
#include "host/occlum/instance.h"
#include "host/occlum/report.h"
#include "lib/base/hex.h"

static int print_hash(const u8 hash[SGX_HASH_SIZE])
{
	char hex[2 * SGX_HASH_SIZE + 1];

	hex_encode(hex, hash, SGX_HASH_SIZE);
	inform("%s", hex);
	return 0;
}

static int print_mrenclave(const struct sign_info *info)
{
	return print_hash(info->mrenclave);
}

static int print_mrsigner(const struct sign_info *info)
{
	return print_hash(info->mrsigner);
}

static int print_sigstruct(const struct sign_info *info)
{
	sigstruct_print(&info->sigstruct, stdout);
	return 0;
}

/* The image was verified a moment ago; a change since would change the stream's SHA-256. */
static int print_stream(const struct sign_info *info)
{
	struct enclave_error error = {0};
	struct enclave_image image;
	u8 *bytes;
	u64 size;
	int err;

	if (isatty(STDOUT_FILENO))
		return complain("the measured stream is binary; redirect it into a file");
	err = enclave_file_read(INSTANCE_SIGNED, ENCLAVE_IMAGE_SIZE_MAX, &bytes, &size, &error);
	if (err < 0)
		return complain("%s", error.text);
	err = enclave_image_open(&image, bytes, size, &error);
	if (!err)
		err = enclave_image_check(&image, &error);
	if (!err)
		err = sgxs_write(&image, stdout, &error);
	free(bytes);
	return err < 0 ? complain("%s", error.text) : 0;
}

static const struct {
	const char *name;
	int (*print)(const struct sign_info *info);
} values[] = {
	{"mrenclave", print_mrenclave},
	{"mrsigner", print_mrsigner},
	{"sigstruct", print_sigstruct},
	{"sgxs", print_stream},
};

int command_print(int argc, char **argv)
{
	struct enclave_error error = {0};
	struct sign_info info;
	size_t which = 0;

	if (argc < 2)
		return complain_known("print info name not provided");
	if (argc > 2)
		return complain("unexpected argument '%s'", argv[2]);
	while (which < ARRAY_SIZE(values) && strcmp(argv[1], values[which].name) != 0)
		which++;
	if (which == ARRAY_SIZE(values))
		return complain("No valid info name provided; accepted are mrenclave, mrsigner, "
				"sigstruct and sgxs");
	if (instance_need_initialized())
		return 1;
	if (!file_exists(INSTANCE_SIGNED))
		return complain("No " INSTANCE_SIGNED " existed");
	if (sign_image_verify(INSTANCE_SIGNED, &info, &error) < 0)
		return complain("%s", error.text);
	return values[which].print(&info);
}
