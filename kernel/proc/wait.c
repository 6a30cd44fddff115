// SPDX-License-Identifier: Apache-2.0
/*
 * Waiting for children: wait4 and waitid. Under process_tree_lock a waiter takes what a child has
 * to report, and a dead child off its parent's list, so that nothing is reported twice.
 */
#include "abi/errno.h"
#include "abi/sched.h"
#include "abi/signal.h"
#include "kernel/proc/proc_priv.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/restart.h"

#define STATUS_SIGNAL_MASK 0x7f

static bool matches(const struct process *child, const struct wait_request *request)
{
	bool is_clone = child->exit_signal != SIGCHLD;

	if (is_clone != !!(request->options & WCLONE_ABI) && !(request->options & WALL_ABI))
		return false;
	switch (request->which) {
	case ABI_P_ALL: return true;
	case ABI_P_PID: return child->pid == request->id;
	case ABI_P_PGID: return child->pgid == request->id;
	case ABI_P_PIDFD: return child == request->process;
	default: return false;
	}
}

/* process_tree_lock held. True when `child` has something to report, which it takes. */
static bool take_report(struct process *child, u32 options, struct wait_result *ret)
{
	bool found = true;

	spin_lock(&child->lock);
	*ret = (struct wait_result){.pid = child->pid, .uid = child->cred.uid};
	if (child->zombie && (options & WEXITED)) {
		ret->code = end_code(child->exit_status);
		ret->status = end_status(child->exit_status);
		ret->utime_ns = child->cpu_ns_of_dead_threads + child->child_utime_ns;
		ret->max_rss = MAX(child->max_rss, child->child_max_rss);
	} else if (child->stopped && child->stop_reported && (options & WSTOPPED)) {
		ret->code = CLD_STOPPED;
		ret->status = child->stop_signal;
		if (!(options & WNOWAIT))
			child->stop_reported = false;
	} else if (child->continue_reported && (options & WCONTINUED)) {
		ret->code = CLD_CONTINUED;
		ret->status = SIGCONT;
		if (!(options & WNOWAIT))
			child->continue_reported = false;
	} else {
		found = false;
	}
	spin_unlock(&child->lock);
	return found;
}

/* 1: *ret is filled; 0: children match and none has changed; -ECHILD. *dead is to be reaped. */
static int scan_children(struct process *p, const struct wait_request *request,
			 struct wait_result *ret, struct process **dead)
{
	struct process *child;
	int found = -ECHILD;

	*dead = NULL;
	spin_lock(&process_tree_lock);
	list_for_each_entry (child, &p->children, sibling) {
		if (!matches(child, request))
			continue;
		found = 0;
		if (!take_report(child, request->options, ret))
			continue;
		found = 1;
		if (ret->code != CLD_STOPPED && ret->code != CLD_CONTINUED &&
		    !(request->options & WNOWAIT)) {
			/* Off the list: no other waiter may report it a second time. */
			list_del(&child->sibling);
			p->child_utime_ns += ret->utime_ns;
			p->child_max_rss = MAX(p->child_max_rss, ret->max_rss);
			*dead = child;
		}
		break;
	}
	spin_unlock(&process_tree_lock);
	return found;
}

int process_wait(const struct wait_request *request, struct wait_result *ret)
{
	struct process *p = current_process(), *dead;
	int found = 0, err;

	err = wait_event(&p->exit_wait,
			 (found = scan_children(p, request, ret, &dead)) != 0 ||
				 (request->options & WNOHANG),
			 DEADLINE_NEVER, true);
	if (dead)
		process_reap(dead);
	if (found < 0)
		return found;
	if (found > 0)
		return 0;
	if (err == -EINTR)
		return -ERESTARTSYS;
	*ret = (struct wait_result){0};
	return 0;
}

s32 wait_status(const struct wait_result *result)
{
	switch (result->code) {
	case CLD_EXITED: return (result->status & 0xff) << 8;
	case CLD_STOPPED: return result->status << 8 | 0x7f;
	case CLD_CONTINUED: return 0xffff;
	default: return result->status & STATUS_SIGNAL_MASK;
	}
}
