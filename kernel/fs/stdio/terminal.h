/* SPDX-License-Identifier: Apache-2.0 */
/* Terminal control over host descriptors: an allow-list; nothing that injects input. */
#pragma once

#include "lib/base/types.h"

bool terminal_probe(s32 host_fd); /* does TCGETS work? */
long terminal_check_read(s32 fd); /* of the current process: job control may stop it */
long terminal_ioctl(s32 host_fd, u32 command, u64 arg);
void terminal_remember(s32 host_fd); /* for /dev/tty */
bool terminal_recall(s32 *ret_host_fd);
