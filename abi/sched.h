/* SPDX-License-Identifier: Apache-2.0 */
/* Making threads and processes, and what the scheduler calls speak of. */
#pragma once

#include <stdint.h>

#define CSIGNAL		     0x000000ff
#define CLONE_VM	     0x00000100
#define CLONE_FS	     0x00000200
#define CLONE_FILES	     0x00000400
#define CLONE_SIGHAND	     0x00000800
#define CLONE_PIDFD	     0x00001000
#define CLONE_PTRACE	     0x00002000
#define CLONE_VFORK	     0x00004000
#define CLONE_PARENT	     0x00008000
#define CLONE_THREAD	     0x00010000
#define CLONE_NEWNS	     0x00020000
#define CLONE_SYSVSEM	     0x00040000
#define CLONE_SETTLS	     0x00080000
#define CLONE_PARENT_SETTID  0x00100000
#define CLONE_CHILD_CLEARTID 0x00200000
#define CLONE_DETACHED	     0x00400000
#define CLONE_UNTRACED	     0x00800000
#define CLONE_CHILD_SETTID   0x01000000
#define CLONE_NEWCGROUP	     0x02000000
#define CLONE_NEWUTS	     0x04000000
#define CLONE_NEWIPC	     0x08000000
#define CLONE_NEWUSER	     0x10000000
#define CLONE_NEWPID	     0x20000000
#define CLONE_NEWNET	     0x40000000
#define CLONE_IO	     0x80000000u
#define CLONE_CLEAR_SIGHAND  0x100000000ull
#define CLONE_INTO_CGROUP    0x200000000ull

struct abi_clone_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	uint64_t set_tid, set_tid_size, cgroup;
};
#define CLONE_ARGS_SIZE_VER0 64
#define CLONE_ARGS_SIZE_VER2 88
_Static_assert(sizeof(struct abi_clone_args) == CLONE_ARGS_SIZE_VER2, "clone_args");

#define SCHED_OTHER	    0
#define SCHED_FIFO	    1
#define SCHED_RR	    2
#define SCHED_BATCH	    3
#define SCHED_IDLE	    5
#define SCHED_DEADLINE	    6
#define SCHED_RESET_ON_FORK 0x40000000

struct abi_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};
#define SCHED_ATTR_SIZE_VER0 48

#define WNOHANG		     1
#define WUNTRACED	     2
#define WSTOPPED	     2
#define WEXITED		     4
#define WCONTINUED	     8
#define WNOWAIT		     0x01000000
#define WNOTHREAD_ABI	     0x20000000
#define WALL_ABI	     0x40000000
#define WCLONE_ABI	     0x80000000u

#define ABI_P_ALL	     0
#define ABI_P_PID	     1
#define ABI_P_PGID	     2
#define ABI_P_PIDFD	     3

#define PRIO_PROCESS_ABI     0
#define PRIO_PGRP_ABI	     1
#define PRIO_USER_ABI	     2
