// SPDX-License-Identifier: Apache-2.0
/*
 * Between the kernel's signal_info and the siginfo_t of programs. Which member of the union is
 * meant follows from number and code, as on Linux.
 */
#include "abi/signal.h"
#include "kernel/signal/signal_priv.h"
#include "lib/base/string.h"

#define CLOCK_TICK_NS 10000000

static bool is_fault(const struct signal_info *info)
{
	return info->code > 0 && info->code != SI_KERNEL &&
	       (SIG_BIT(info->signo) & SIGNALS_SYNCHRONOUS) && info->signo != SIGSYS;
}

void signal_info_to_abi(struct abi_siginfo *ret, const struct signal_info *info)
{
	memset(ret, 0, sizeof(*ret));
	ret->signo = info->signo;
	ret->error = info->error;
	ret->code = info->code;
	if (is_fault(info)) {
		ret->fault.address = info->address;
	} else if (info->code == SI_TIMER) {
		ret->timer.id = info->timer_id;
		ret->timer.overrun = info->overrun;
		ret->timer.value = info->value;
	} else if (info->signo == SIGCHLD && info->code > 0) {
		ret->child.pid = info->pid;
		ret->child.uid = info->uid;
		ret->child.status = info->status;
		ret->child.utime = (s64)(info->utime_ns / CLOCK_TICK_NS);
	} else {
		ret->queue.pid = info->pid;
		ret->queue.uid = info->uid;
		ret->queue.value = info->value;
	}
}

void signal_info_to_signalfd(struct abi_signalfd_siginfo *ret, const struct signal_info *info)
{
	memset(ret, 0, sizeof(*ret));
	ret->signo = (u32)info->signo;
	ret->error = info->error;
	ret->code = info->code;
	if (is_fault(info)) {
		ret->address = info->address;
		ret->trap_number = info->trap;
	} else if (info->code == SI_TIMER) {
		ret->timer_id = (u32)info->timer_id;
		ret->overrun = (u32)info->overrun;
		ret->value_pointer = info->value;
		ret->value_int = (s32)info->value;
	} else {
		ret->pid = (u32)info->pid;
		ret->uid = info->uid;
		if (info->signo == SIGCHLD && info->code > 0) {
			ret->status = info->status;
			ret->utime = info->utime_ns / CLOCK_TICK_NS;
		} else {
			ret->value_pointer = info->value;
			ret->value_int = (s32)info->value;
		}
	}
}

void signal_info_from_abi(struct signal_info *ret, const struct abi_siginfo *info)
{
	*ret = (struct signal_info){
		.signo = info->signo,
		.error = info->error,
		.code = info->code,
		.pid = info->queue.pid,
		.uid = info->queue.uid,
		.value = info->queue.value,
	};
	if (info->code == SI_TIMER) {
		ret->timer_id = info->timer.id;
		ret->overrun = info->timer.overrun;
		ret->value = info->timer.value;
	}
}
