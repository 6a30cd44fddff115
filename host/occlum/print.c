// SPDX-License-Identifier: Apache-2.0
/* `occlum print`: what the built enclave is known by, recomputed and verified, never just read. */
#include <string.h>

#include "host/lib/sign.h"
#include "host/occlum/command.h"
#include "host/occlum/file.h"
#include "host/occlum/instance.h"
#include "host/occlum/report.h"
#include "lib/base/hex.h"

int command_print(int argc, char **argv)
{
	struct enclave_error error = {0};
	struct sign_info info;
	char hex[2 * SGX_HASH_SIZE + 1];
	const u8 *value;

	if (argc < 2)
		return complain_known("print info name not provided");
	if (argc > 2)
		return complain("unexpected argument '%s'", argv[2]);
	if (strcmp(argv[1], "mrenclave") == 0)
		value = info.mrenclave;
	else if (strcmp(argv[1], "mrsigner") == 0)
		value = info.mrsigner;
	else
		return complain("No valid info name provided; accepted are mrenclave and mrsigner");
	if (instance_need_initialized())
		return 1;
	if (!file_exists(INSTANCE_SIGNED))
		return complain("No " INSTANCE_SIGNED " existed");
	if (sign_image_verify(INSTANCE_SIGNED, &info, &error) < 0)
		return complain("%s", error.text);
	hex_encode(hex, value, SGX_HASH_SIZE);
	inform("%s", hex);
	return 0;
}
