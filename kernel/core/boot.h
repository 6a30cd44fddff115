/* SPDX-License-Identifier: Apache-2.0 */
/* What the entry code calls for each ecall, on the thread's kernel stack. */
#pragma once

#include "edge/enclave.h"

/* Results as enum ecall describes. Each validates its arguments as hostile. */
s64 boot_main(u64 boot_info_address);
s64 boot_new_process(u64 new_process_address);
s64 boot_exec(u64 pid);
s64 boot_kill(u64 pid_and_signal);
s64 boot_shutdown(void);

/* The process of the kernel's own threads: pid 0, root's credentials, no address space. */
extern struct process kernel_process;
