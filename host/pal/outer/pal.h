/* SPDX-License-Identifier: Apache-2.0 */
/* What the outer part's files share. */
#pragma once

#include "lib/base/types.h"

/* Processes being executed, for forwarded signals. */
void foreground_add(int pid);
void foreground_remove(int pid);
/*
 * Job control of the host's shell. Nothing of it without occlum_pal_forward_signals(): a shell is
 * there that would continue us; the signals (bit n - 1) by which a terminal may stop us whatever
 * thread it meets; and stopping, by one of the four signals that do. Returns when continued.
 */
bool foreground_has_shell(void);
u64 foreground_stop_signals(void);
int foreground_stop(int sig);

/* ECALL_KILL; -ENOENT when no enclave runs. */
s64 pal_send_signal(int pid, int sig);
