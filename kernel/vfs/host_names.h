/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/hosts, resolv.conf and hostname from the host: advice, checked line by line. They are put
 * into the application's tree where the image brings none; localhost is never redefined.
 */
#pragma once

#include "lib/base/types.h"

enum host_name_file { HOST_NAMES_HOSTS, HOST_NAMES_RESOLV_CONF, HOST_NAMES_HOSTNAME };

/* Boot: remembers what is well-formed of a host file (copied). */
void host_names_set(enum host_name_file which, const char *text, size_t size);
/* After the application's root is mounted and became the system root. */
void host_names_write(void);
