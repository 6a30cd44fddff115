/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals as processes see them: the session that one controls and its foreground group.
 * Whoever drives a terminal (the host's in kernel/fs/stdio, pseudo terminals) has a struct tty
 * and calls these; what bytes and modes are is the driver's.
 */
#pragma once

#include "lib/base/types.h"

struct process;

struct tty {
	u32 refs;     /* atomic */
	u32 device;   /* number of its file, for /proc */
	bool is_host; /* the one that `occlum run` was started on */
	bool is_hung; /* process_tree_lock; the line is gone: nobody's terminal any more */
	s32 sid;      /* process_tree_lock; the session it controls, 0: none */
	s32 pgid;     /* process_tree_lock; its foreground group, 0: none */
	/* The last reference went. NULL: tty_new() made it. */
	void (*release)(struct tty *t);
};

struct tty *tty_new(bool is_host) __must_check; /* counted; NULL without memory */
/* One that is part of a driver's own structure, with one reference. */
void tty_init(struct tty *t, void (*release)(struct tty *t));
struct tty *tty_get(struct tty *t);
void tty_put(struct tty *t);

/* The controlling terminal of the current process: counted, or NULL. */
struct tty *tty_of_current(void);

/* Makes it the terminal of p's session, p being the leader and without one. */
void tty_give_to_leader(struct tty *t, struct process *p);

/* A session leader without a terminal has opened one that no session has: it is its own now. */
void tty_adopt(struct tty *t);
/* Nobody has it open any more: no session has it either. */
void tty_abandon(struct tty *t);

/*
 * TIOCSCTTY, TIOCNOTTY, TIOCGPGRP, TIOCSPGRP and TIOCGSID of the current process. 0, -EPERM,
 * -ENOTTY, -ESRCH, -EINVAL, and for tty_set_foreground() what tty_check_change() says.
 */
int __must_check tty_set_controlling(struct tty *t, bool steal);
int __must_check tty_give_up(struct tty *t);
int __must_check tty_get_foreground(struct tty *t, s32 *ret_pgid);
int __must_check tty_set_foreground(struct tty *t, s32 pgid);
int __must_check tty_get_session(struct tty *t, s32 *ret_sid);
/* The same of the master's side, whose terminal it need not be. */
s32 tty_foreground(struct tty *t);
s32 tty_session(struct tty *t);

/*
 * Before the current process reads (changes) its controlling terminal: 0, or, in the background,
 * -ERESTARTSYS with SIGTTIN (SIGTTOU) sent to its group, or -EIO. Writing is checked like a change
 * where the terminal has TOSTOP set.
 */
int __must_check tty_check_read(struct tty *t);
int __must_check tty_check_change(struct tty *t);

/* Stopped by a key, the current process's group would have nobody in its session to continue it. */
bool tty_stop_is_final(void);

/* What a key or a window does: to the foreground group. -ESRCH: nobody is there. */
int tty_signal(struct tty *t, int signo);
/*
 * The line is gone for good: SIGHUP and SIGCONT to the session leader; the foreground group gets
 * them when that one ends.
 */
void tty_hangup(struct tty *t);

/*
 * A signal that the host passes on for `p`: from its terminal, it goes to the foreground group (a
 * hangup to the leader as well); SIGCONT of the host's shell to the group of `p`, the shell's job.
 * -ESRCH: it is none of those, or nobody is there.
 */
int __must_check tty_signal_from_host(struct process *p, int signo);

/* For /proc: the device number of its terminal (0: none) and the foreground group (-1: none). */
void process_tty_numbers(struct process *p, s32 *ret_device, s32 *ret_foreground);

/* A process leaves its session (setsid) or, its leader, ends it. */
void tty_leave(struct process *p);
void tty_leader_exit(struct process *p);
