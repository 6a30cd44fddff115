// SPDX-License-Identifier: Apache-2.0
/* Process groups and sessions. */
#include "abi/errno.h"
#include "kernel/proc/proc_priv.h"

struct group_search {
	s32 pgid, sid;
	bool found;
};

static int visit_group(struct process *p, void *arg)
{
	struct group_search *search = arg;

	if (p->zombie || p->pgid != search->pgid)
		return 0;
	search->found = true;
	search->sid = p->sid;
	return 1;
}

bool process_group_exists(s32 pgid)
{
	struct group_search search = {.pgid = pgid};

	process_for_each(visit_group, &search);
	return search.found;
}

static void move_to_group(struct process *p, s32 pgid)
{
	s32 old;

	id_hold(pgid);
	spin_lock(&process_tree_lock);
	old = p->pgid;
	p->pgid = pgid;
	spin_unlock(&process_tree_lock);
	id_release(old);
}

static int check_group_change(struct process *p, struct process *self, s32 pgid)
{
	struct group_search search = {.pgid = pgid};

	if (p != self && (p->parent != self))
		return -ESRCH;
	if (p != self && p->has_execed)
		return -EACCES;
	if (p->sid != self->sid || p->sid == p->pid)
		return -EPERM;
	if (pgid == p->pid)
		return 0;
	process_for_each(visit_group, &search);
	return search.found && search.sid == self->sid ? 0 : -EPERM;
}

int process_set_group(s32 pid, s32 pgid)
{
	struct process *self = current_process();
	struct process *p;
	int err;

	if (pgid < 0)
		return -EINVAL;
	p = pid ? process_lookup(pid) : process_get(self);
	if (!p)
		return -ESRCH;
	if (!pgid)
		pgid = p->pid;
	err = check_group_change(p, self, pgid);
	if (!err && p->pgid != pgid)
		move_to_group(p, pgid);
	process_put(p);
	return err;
}

long process_new_session(void)
{
	struct process *p = current_process();
	s32 old_sid, old_pgid;

	if (process_group_exists(p->pid))
		return -EPERM;
	id_hold(p->pid);
	id_hold(p->pid);
	spin_lock(&process_tree_lock);
	old_sid = p->sid;
	old_pgid = p->pgid;
	p->sid = p->pgid = p->pid;
	spin_unlock(&process_tree_lock);
	id_release(old_sid);
	id_release(old_pgid);
	return p->pid;
}
