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

static bool is_all_of(const struct credentials *t, u32 uid, u32 gid)
{
	return uid == t->uid && uid == t->euid && uid == t->suid && gid == t->gid &&
	       gid == t->egid && gid == t->sgid;
}

/* Who has the same ids may look, unless that would lend him capabilities beyond `caps`. */
static bool may_inspect(const struct process *p, u32 uid, u32 gid, u64 caps)
{
	const struct process *self = current_process();

	if (p == self || credentials_capable(&self->cred, CAP_SYS_PTRACE))
		return true;
	return !p->undumpable && is_all_of(&p->cred, uid, gid) && !(p->cred.caps.permitted & ~caps);
}

bool process_may_inspect(const struct process *p)
{
	const struct credentials *c = &current_process()->cred;

	return may_inspect(p, c->uid, c->gid, c->caps.permitted);
}

bool process_may_inspect_by_files(const struct process *p)
{
	const struct credentials *c = &current_process()->cred;

	return may_inspect(p, c->fsuid, c->fsgid, c->caps.effective);
}

bool process_may_limit(const struct process *p)
{
	const struct process *self = current_process();

	return p == self || credentials_capable(&self->cred, CAP_SYS_RESOURCE) ||
	       is_all_of(&p->cred, self->cred.uid, self->cred.gid);
}

void process_changed_ids(struct process *p, const struct credentials *old)
{
	const struct credentials *c = &p->cred;

	if (c->euid == old->euid && c->egid == old->egid && c->fsuid == old->fsuid &&
	    c->fsgid == old->fsgid)
		return;
	p->undumpable = true;
	p->parent_death_signal = 0;
}
