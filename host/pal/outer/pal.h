/* SPDX-License-Identifier: Apache-2.0 */
/* What the outer part's files share. */
#pragma once

#include "lib/base/types.h"

/* Processes being executed, for forwarded signals. */
void foreground_add(int pid);
void foreground_remove(int pid);

/* ECALL_KILL; -ENOENT when no enclave runs. */
s64 pal_send_signal(int pid, int sig);
