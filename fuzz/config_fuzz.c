// SPDX-License-Identifier: Apache-2.0
/* The decoder of the canonical configuration: whatever it accepts encodes to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "lib/config/config.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	static struct occlum_config config;
	static u8 again[CONFIG_SIZE_MAX];
	size_t again_size;

	if (config_decode(&config, bytes, size) < 0)
		return 0;
	if (config_encode(&config, again, sizeof(again), &again_size) < 0 || again_size != size ||
	    memcmp(again, bytes, size) != 0)
		abort();
	config_stage_allows(&config.app, "/bin/sh");
	config_args_allow(&config, config.app.entry_points[0], NULL, 0);
	config_env_allows(&config, "A=1");
	return 0;
}
