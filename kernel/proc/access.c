// SPDX-License-Identifier: Apache-2.0
/* What one process may do to another, by user ids and capabilities as Linux has it. */
#include "kernel/proc/process.h"

#include "abi/signal.h"

bool process_may_signal(const struct process *p, int signo)
{
	const struct process *self = current_process();
	const struct credentials *c = &self->cred, *t = &p->cred;

	if (p == self || credentials_capable(c, CAP_KILL))
		return true;
	if (c->euid == t->suid || c->euid == t->uid || c->uid == t->suid || c->uid == t->uid)
		return true;
	return signo == SIGCONT && self->sid == p->sid;
}

bool process_may_schedule(const struct process *p)
{
	const struct credentials *c = &current_process()->cred, *t = &p->cred;

	return c->euid == t->euid || c->euid == t->uid || credentials_capable(c, CAP_SYS_NICE);
}

bool process_may_inspect(const struct process *p)
{
	const struct process *self = current_process();
	const struct credentials *c = &self->cred, *t = &p->cred;

	if (p == self || credentials_capable(c, CAP_SYS_PTRACE))
		return true;
	return !p->undumpable && c->uid == t->uid && c->uid == t->euid && c->uid == t->suid &&
	       c->gid == t->gid && c->gid == t->egid && c->gid == t->sgid;
}
