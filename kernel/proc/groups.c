// SPDX-License-Identifier: Apache-2.0
/*
 * Process groups and sessions. A group is orphaned when no member has a parent in another group of
 * the same session: nobody is left who could continue it, so that what would stop it does not, and
 * what is stopped in it when that happens gets SIGHUP and SIGCONT. To the program that the host
 * started, the host's shell is such a parent.
 */
#include "abi/errno.h"
#include "abi/signal.h"
#include "kernel/proc/proc_priv.h"
#include "kernel/proc/tty.h"
#include "kernel/signal/signal.h"

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

int process_group_session(s32 pgid, s32 *ret_sid)
{
	struct group_search search = {.pgid = pgid};

	process_for_each(visit_group, &search);
	*ret_sid = search.sid;
	return search.found ? 0 : -ESRCH;
}

struct orphan_search {
	s32 pgid;
	const struct process *ignored;
	bool has_keeper, has_stopped;
};

static int visit_orphan(struct process *p, void *arg)
{
	struct orphan_search *s = arg;

	spin_lock(&process_tree_lock);
	if (p->pgid == s->pgid && p != s->ignored && !p->zombie) {
		const struct process *parent = p->parent;

		s->has_stopped |= p->stopped;
		s->has_keeper |=
			p->has_host_shell || (parent && parent->pgid != p->pgid &&
					      parent->sid == p->sid && !parent->children_end);
	}
	spin_unlock(&process_tree_lock);
	return s->has_keeper;
}

bool process_group_is_orphaned(s32 pgid, const struct process *ignored)
{
	struct orphan_search s = {.pgid = pgid, .ignored = ignored};

	process_for_each(visit_orphan, &s);
	return !s.has_keeper;
}

void process_group_check_orphaned(s32 pgid, const struct process *ignored)
{
	const struct signal_info hup = {.signo = SIGHUP, .code = SI_KERNEL};
	const struct signal_info cont = {.signo = SIGCONT, .code = SI_KERNEL};
	struct orphan_search s = {.pgid = pgid, .ignored = ignored};

	process_for_each(visit_orphan, &s);
	if (s.has_keeper || !s.has_stopped)
		return;
	(void)signal_send_group(pgid, &hup);
	(void)signal_send_group(pgid, &cont);
}

/* Takes over the caller's hold of `pgid`. -ESRCH: somebody has waited for p meanwhile. */
static int move_to_group(struct process *p, s32 pgid)
{
	s32 unused = pgid;
	int err = -ESRCH;

	spin_lock(&process_tree_lock);
	if (!process_is_reaped(p)) {
		unused = p->pgid;
		p->pgid = pgid;
		err = 0;
	}
	id_release(unused);
	spin_unlock(&process_tree_lock);
	return err;
}

static int check_relation(struct process *p, struct process *self)
{
	int err = 0;

	spin_lock(&process_tree_lock);
	if (p != self && p->parent != self)
		err = -ESRCH;
	else if (p != self && p->has_execed)
		err = -EACCES;
	else if (p->sid != self->sid || p->sid == p->pid)
		err = -EPERM;
	spin_unlock(&process_tree_lock);
	return err;
}

static int check_group_change(struct process *p, struct process *self, s32 pgid)
{
	struct group_search search = {.pgid = pgid};
	int err = check_relation(p, self);

	if (err)
		return err;
	if (pgid == p->pid)
		return 0;
	process_for_each(visit_group, &search);
	return search.found && search.sid == self->sid ? 0 : -EPERM;
}

int process_set_group(s32 pid, s32 pgid)
{
	struct process *self = current_process();
	struct process *p;
	bool is_held;
	int err;

	if (pgid < 0)
		return -EINVAL;
	p = pid ? process_lookup(pid) : process_get(self);
	if (!p)
		return -ESRCH;
	if (!pgid)
		pgid = p->pid;
	/* Held while it is looked at, the number stays that of the group which it was then. */
	is_held = id_hold_used(pgid);
	err = check_group_change(p, self, pgid);
	if (!err)
		err = is_held ? move_to_group(p, pgid) : -EPERM;
	else if (is_held)
		id_release(pgid);
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
	tty_leave(p);
	return p->pid;
}
