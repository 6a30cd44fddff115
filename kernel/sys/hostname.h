/* SPDX-License-Identifier: Apache-2.0 */
/* The instance's name, as uname and /proc show it; boot sets what it has checked. */
#pragma once

#define UNAME_RELEASE "6.1.0-occlum" /* uname -r and /proc */

void hostname_set(const char *name); /* cut to 64 characters */
const char *hostname_get(void);
