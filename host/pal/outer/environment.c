/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the host's variables are worth carrying to the wall: those that the measured
 * env.untrusted names. The kernel decides for itself; leaving the others here keeps a large
 * environment from meeting the limits of an entry.
 */
#include <stdlib.h>
#include <string.h>

#include "host/pal/outer/enclave.h"
#include "lib/config/config.h"

/* Both live as long as the process: strings of the one lie in the other. */
static struct occlum_config *settings;
static void *settings_bytes;

void environment_init(const void *config, u64 size)
{
	free(settings);
	free(settings_bytes);
	settings = malloc(sizeof(*settings));
	settings_bytes = malloc(size ? size : 1);
	if (settings && settings_bytes) {
		memcpy(settings_bytes, config, size);
		if (config_decode(settings, settings_bytes, size) == 0)
			return;
	}
	/* The kernel says what is wrong with the configuration. */
	free(settings);
	settings = NULL;
}

bool environment_allows(const char *variable)
{
	return settings && config_env_allows(settings, variable);
}
