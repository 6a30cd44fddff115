// SPDX-License-Identifier: Apache-2.0
/*
 * Job control. A session has at most one controlling terminal and a terminal at most one session;
 * its processes find it in process.tty, which children inherit. Everything here changes under
 * process_tree_lock; signals are sent after it is released.
 */
#include "kernel/proc/tty.h"

#include "abi/errno.h"
#include "abi/signal.h"
#include "kernel/core/kmem.h"
#include "kernel/proc/proc_priv.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/restart.h"

#define HOST_TTY_DEVICE (5 << 8 | 1) /* /dev/console */

struct tty *tty_new(bool is_host)
{
	struct tty *t = kzalloc(sizeof(*t));

	if (!t)
		return NULL;
	t->refs = 1;
	t->is_host = is_host;
	t->device = is_host ? HOST_TTY_DEVICE : 0;
	return t;
}

void tty_init(struct tty *t, void (*release)(struct tty *t))
{
	*t = (struct tty){.refs = 1, .release = release};
}

struct tty *tty_get(struct tty *t)
{
	__atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
	return t;
}

void tty_put(struct tty *t)
{
	if (!t || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (t->pgid)
		id_release(t->pgid);
	if (t->release)
		t->release(t);
	else
		kfree(t);
}

struct tty *tty_of_current(void)
{
	struct process *p = current_process();
	struct tty *t;

	spin_lock(&process_tree_lock);
	t = p->tty && !p->tty->is_hung ? tty_get(p->tty) : NULL;
	spin_unlock(&process_tree_lock);
	return t;
}

/* Lock held. The group's number stays taken as long as the terminal names it. */
static void set_group(struct tty *t, s32 pgid)
{
	if (pgid)
		id_hold(pgid);
	if (t->pgid)
		id_release(t->pgid);
	t->pgid = pgid;
}

void tty_give_to_leader(struct tty *t, struct process *p)
{
	struct tty *old;

	spin_lock(&process_tree_lock);
	old = p->tty;
	t->sid = p->sid;
	set_group(t, p->pgid);
	p->tty = tty_get(t);
	spin_unlock(&process_tree_lock);
	tty_put(old); /* one that hung up */
}

/* Takes the terminal from all processes of its session. */
static int forget_terminal(struct process *p, void *arg)
{
	struct tty *t = arg, *old = NULL;

	spin_lock(&process_tree_lock);
	if (p->tty == t) {
		old = t;
		p->tty = NULL;
	}
	spin_unlock(&process_tree_lock);
	tty_put(old);
	return 0;
}

int tty_set_controlling(struct tty *t, bool steal)
{
	struct process *p = current_process();
	bool is_mine, is_taken;
	int err = 0;

	spin_lock(&process_tree_lock);
	is_mine = p->tty == t && t->sid == p->sid;
	is_taken = t->sid && t->sid != p->sid;
	if (!is_mine && (p->sid != p->pid || (p->tty && !p->tty->is_hung)))
		err = -EPERM;
	else if (is_taken && !(steal && credentials_capable(&p->cred, CAP_SYS_ADMIN)))
		err = -EPERM;
	spin_unlock(&process_tree_lock);
	if (err || is_mine)
		return err;
	if (is_taken)
		process_for_each(forget_terminal, t);
	tty_give_to_leader(t, p);
	return 0;
}

void tty_adopt(struct tty *t)
{
	struct process *p = current_process();
	struct tty *old = NULL;

	spin_lock(&process_tree_lock);
	if (p->sid == p->pid && (!p->tty || p->tty->is_hung) && !t->sid && !t->is_hung) {
		old = p->tty;
		p->tty = tty_get(t);
		t->sid = p->sid;
		set_group(t, p->pgid);
	}
	spin_unlock(&process_tree_lock);
	tty_put(old);
}

void tty_abandon(struct tty *t)
{
	bool is_taken;

	spin_lock(&process_tree_lock);
	is_taken = t->sid != 0;
	t->sid = 0;
	set_group(t, 0);
	spin_unlock(&process_tree_lock);
	if (is_taken)
		process_for_each(forget_terminal, t);
}

int tty_give_up(struct tty *t)
{
	struct process *p = current_process();
	bool is_leader;

	spin_lock(&process_tree_lock);
	if (p->tty != t) {
		spin_unlock(&process_tree_lock);
		return -ENOTTY;
	}
	is_leader = p->sid == p->pid;
	spin_unlock(&process_tree_lock);
	if (is_leader)
		tty_leader_exit(p);
	else
		tty_leave(p);
	return 0;
}

int tty_get_foreground(struct tty *t, s32 *ret_pgid)
{
	int err = -ENOTTY;

	spin_lock(&process_tree_lock);
	if (current_process()->tty == t) {
		*ret_pgid = t->pgid;
		err = 0;
	}
	spin_unlock(&process_tree_lock);
	return err;
}

int tty_get_session(struct tty *t, s32 *ret_sid)
{
	int err = -ENOTTY;

	spin_lock(&process_tree_lock);
	if (current_process()->tty == t && t->sid) {
		*ret_sid = t->sid;
		err = 0;
	}
	spin_unlock(&process_tree_lock);
	return err;
}

int tty_set_foreground(struct tty *t, s32 pgid)
{
	struct process *p = current_process();
	s32 sid;
	int err = tty_check_change(t);

	if (err)
		return err;
	if (pgid < 0)
		return -EINVAL;
	err = process_group_session(pgid, &sid);
	spin_lock(&process_tree_lock);
	if (p->tty != t || t->sid != p->sid)
		err = -ENOTTY;
	else if (!err && sid != p->sid)
		err = -EPERM;
	if (!err)
		set_group(t, pgid);
	spin_unlock(&process_tree_lock);
	return err;
}

static int check_background(struct tty *t, int signo)
{
	const struct signal_info info = {.signo = signo, .code = SI_KERNEL};
	struct process *p = current_process();
	bool is_background;
	s32 pgid;

	spin_lock(&process_tree_lock);
	pgid = p->pgid;
	is_background = p->tty == t && t->pgid && t->pgid != pgid;
	spin_unlock(&process_tree_lock);
	if (!is_background)
		return 0;
	if (signal_would_be_ignored(signo))
		return signo == SIGTTIN ? -EIO : 0;
	if (process_group_is_orphaned(pgid, NULL))
		return -EIO;
	(void)signal_send_group(pgid, &info);
	return -ERESTARTSYS;
}

bool tty_stop_is_final(void)
{
	return process_group_is_orphaned(current_process()->pgid, NULL);
}

int tty_check_read(struct tty *t)
{
	return check_background(t, SIGTTIN);
}

int tty_check_change(struct tty *t)
{
	return check_background(t, SIGTTOU);
}

s32 tty_foreground(struct tty *t)
{
	s32 pgid;

	spin_lock(&process_tree_lock);
	pgid = t->pgid;
	spin_unlock(&process_tree_lock);
	return pgid;
}

s32 tty_session(struct tty *t)
{
	s32 sid;

	spin_lock(&process_tree_lock);
	sid = t->sid;
	spin_unlock(&process_tree_lock);
	return sid;
}

int tty_signal(struct tty *t, int signo)
{
	const struct signal_info info = {.signo = signo, .code = SI_KERNEL};
	s32 pgid = tty_foreground(t);

	return pgid ? signal_send_group(pgid, &info) : -ESRCH;
}

static void send_hangup_to_group(struct tty *t)
{
	(void)tty_signal(t, SIGHUP);
	(void)tty_signal(t, SIGCONT);
}

static void send_hangup_to_leader(struct tty *t)
{
	const struct signal_info hup = {.signo = SIGHUP, .code = SI_KERNEL};
	const struct signal_info cont = {.signo = SIGCONT, .code = SI_KERNEL};
	s32 sid = tty_session(t);
	struct process *leader = sid ? process_lookup(sid) : NULL;

	if (!leader)
		return;
	(void)signal_send_process(leader, &hup);
	(void)signal_send_process(leader, &cont);
	process_put(leader);
}

void tty_hangup(struct tty *t)
{
	spin_lock(&process_tree_lock);
	t->is_hung = true;
	spin_unlock(&process_tree_lock);
	send_hangup_to_leader(t);
}

int tty_signal_from_host(struct process *p, int signo)
{
	const struct signal_info info = {.signo = signo, .code = SI_KERNEL};
	bool is_key = signo == SIGINT || signo == SIGQUIT || signo == SIGTSTP;
	struct tty *t;
	int ret = -ESRCH;

	spin_lock(&process_tree_lock);
	t = p->tty && p->tty->is_host ? tty_get(p->tty) : NULL;
	spin_unlock(&process_tree_lock);
	/* With the streams elsewhere the group is in the terminal's foreground all the same. */
	if (signo == SIGCONT || (!t && is_key))
		ret = signal_send_group(p->pgid, &info);
	if (!t)
		return ret;
	if (is_key || signo == SIGWINCH)
		ret = tty_signal(t, signo);
	if (signo == SIGHUP) {
		/* The host may well go on: all are told at once, and the terminal stays. */
		send_hangup_to_group(t);
		send_hangup_to_leader(t);
		ret = 0;
	}
	tty_put(t);
	return ret;
}

void process_tty_numbers(struct process *p, s32 *ret_device, s32 *ret_foreground)
{
	bool has_tty;

	spin_lock(&process_tree_lock);
	has_tty = p->tty && !p->tty->is_hung;
	*ret_device = has_tty ? (s32)p->tty->device : 0;
	*ret_foreground = has_tty && p->tty->pgid ? p->tty->pgid : -1;
	spin_unlock(&process_tree_lock);
}

void tty_leave(struct process *p)
{
	struct tty *t;

	spin_lock(&process_tree_lock);
	t = p->tty;
	p->tty = NULL;
	spin_unlock(&process_tree_lock);
	tty_put(t);
}

void tty_leader_exit(struct process *p)
{
	struct tty *t;

	spin_lock(&process_tree_lock);
	t = p->tty && p->sid == p->pid && p->tty->sid == p->sid ? tty_get(p->tty) : NULL;
	spin_unlock(&process_tree_lock);
	if (!t)
		return;
	send_hangup_to_group(t);
	spin_lock(&process_tree_lock);
	t->sid = 0;
	set_group(t, 0);
	spin_unlock(&process_tree_lock);
	process_for_each(forget_terminal, t);
	tty_put(t);
}
