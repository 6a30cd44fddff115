// SPDX-License-Identifier: Apache-2.0
/*
 * Waiting for children that end, stop and go on. Programs cannot fork yet, so the children here
 * are made by hand and change state as kernel/signal and thread_exit() change it.
 */
#include "abi/errno.h"
#include "abi/resource.h"
#include "abi/sched.h"
#include "abi/signal.h"
#include "kernel/core/config.h"
#include "kernel/proc/proc_priv.h"
#include "kernel/signal/signal.h"
#include "kernel/sys/restart.h"
#include "lib/base/string.h"
#include "tests/fakes/fakes.h"
#include "tests/fakes/user_memory.h"
#include "tests/unit.h"

#include <pthread.h>
#include <unistd.h>

static struct occlum_config config = {.max_threads = 8};
static struct process *parent;
static struct thread self;

const struct occlum_config *kernel_config(void)
{
	return &config;
}

static void setup(void)
{
	parent = process_new();
	assert_non_null(parent);
	self = (struct thread){.refs = 1, .tid = parent->pid, .process = parent};
	list_init(&self.pending);
	list_init(&self.start_node);
	list_add_tail(&parent->threads, &self.process_node);
	parent->thread_count = 1;
	fake_attach_thread(&self);
}

static void teardown(void)
{
	signal_flush_thread(&self);
	signal_flush_process(parent);
	list_del(&self.process_node);
	fake_attach_thread(NULL);
	process_reap(parent);
}

static struct process *make_child(void)
{
	struct process *p = process_new();

	assert_non_null(p);
	p->parent = parent;
	p->parent_pid = parent->pid;
	p->cred.uid = 42;
	list_add_tail(&parent->children, &p->sibling);
	return p;
}

static void end_with(struct process *p, s32 status)
{
	p->exit_status = status;
	p->cpu_ns_of_dead_threads = 1000;
	spin_lock(&process_tree_lock);
	__atomic_store_n(&p->zombie, true, __ATOMIC_RELEASE);
	spin_unlock(&process_tree_lock);
	process_notify_parent(p, CLD_EXITED, 0);
}

static int wait_for(int which, s32 id, u32 options, struct wait_result *ret)
{
	const struct wait_request request = {.which = which, .id = id, .options = options};

	return process_wait(&request, ret);
}

static void an_end_is_reported_once_and_reaped(void **state)
{
	struct wait_result r;
	struct process *p;
	u32 before;
	s32 pid;

	setup();
	before = process_count();
	assert_int_equal(wait_for(ABI_P_ALL, 0, WEXITED | WNOHANG, &r), -ECHILD);
	p = make_child();
	pid = p->pid;
	assert_int_equal(wait_for(ABI_P_ALL, 0, WEXITED | WNOHANG, &r), 0);
	assert_int_equal(r.pid, 0);
	end_with(p, 7 << 8);
	/* Not asked for, looked at, and then taken. */
	assert_int_equal(wait_for(ABI_P_ALL, 0, WSTOPPED | WNOHANG, &r), 0);
	assert_int_equal(r.pid, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(wait_for(ABI_P_PID, pid, WEXITED | WNOWAIT, &r), 0);
		assert_int_equal(r.pid, pid);
	}
	assert_int_equal(wait_for(ABI_P_PID, pid, WEXITED, &r), 0);
	assert_int_equal(r.code, CLD_EXITED);
	assert_int_equal(r.status, 7);
	assert_int_equal(r.uid, 42);
	assert_int_equal(wait_status(&r), 7 << 8);
	assert_int_equal(parent->child_utime_ns, 1000);
	assert_null(process_lookup(pid));
	assert_int_equal(process_count(), before);
	assert_int_equal(wait_for(ABI_P_ALL, 0, WEXITED, &r), -ECHILD);
	teardown();
}

static void death_by_a_signal_is_told_apart(void **state)
{
	struct wait_result r;

	setup();
	end_with(make_child(), SIGKILL);
	assert_int_equal(wait_for(ABI_P_ALL, 0, WEXITED, &r), 0);
	assert_int_equal(r.code, CLD_KILLED);
	assert_int_equal(r.status, SIGKILL);
	assert_int_equal(wait_status(&r), SIGKILL);
	teardown();
}

static void stopping_and_going_on_are_each_reported_once(void **state)
{
	struct wait_result r;
	struct signal_info cont = {.signo = SIGCONT};
	struct process *p;

	setup();
	p = make_child();
	p->stopped = p->stop_reported = true;
	p->stop_signal = SIGTSTP;
	assert_int_equal(wait_for(ABI_P_ALL, 0, WEXITED | WNOHANG, &r), 0);
	assert_int_equal(r.pid, 0);
	assert_int_equal(wait_for(ABI_P_ALL, 0, WSTOPPED | WNOWAIT, &r), 0);
	assert_int_equal(r.pid, p->pid);
	assert_int_equal(wait_for(ABI_P_ALL, 0, WEXITED | WSTOPPED, &r), 0);
	assert_int_equal(r.code, CLD_STOPPED);
	assert_int_equal(wait_status(&r), SIGTSTP << 8 | 0x7f);
	assert_int_equal(wait_for(ABI_P_ALL, 0, WEXITED | WSTOPPED | WNOHANG, &r), 0);
	assert_int_equal(r.pid, 0);

	assert_int_equal(signal_send_process(p, &cont), 0);
	assert_false(p->stopped);
	assert_int_equal(wait_for(ABI_P_ALL, 0, WSTOPPED | WNOHANG, &r), 0);
	assert_int_equal(r.pid, 0);
	assert_int_equal(wait_for(ABI_P_ALL, 0, WCONTINUED, &r), 0);
	assert_int_equal(r.code, CLD_CONTINUED);
	assert_int_equal(wait_status(&r), 0xffff);
	assert_int_equal(wait_for(ABI_P_ALL, 0, WCONTINUED | WNOHANG, &r), 0);
	assert_int_equal(r.pid, 0);
	end_with(p, 0);
	assert_int_equal(wait_for(ABI_P_ALL, 0, WEXITED, &r), 0);
	teardown();
}

static void pid_and_group_choose(void **state)
{
	struct process *a, *b;
	struct wait_result r;
	s32 a_pid, b_pid;

	setup();
	a = make_child();
	b = make_child();
	a_pid = a->pid;
	b_pid = b->pid;
	end_with(a, 0);
	end_with(b, 0);
	assert_int_equal(wait_for(ABI_P_PID, parent->pid, WEXITED, &r), -ECHILD);
	assert_int_equal(wait_for(ABI_P_PGID, parent->pgid, WEXITED, &r), -ECHILD);
	assert_int_equal(wait_for(ABI_P_PGID, b_pid, WEXITED, &r), 0);
	assert_int_equal(r.pid, b_pid);
	assert_int_equal(wait_for(ABI_P_ALL, 0, WEXITED, &r), 0);
	assert_int_equal(r.pid, a_pid);
	teardown();
}

static void *end_soon(void *arg)
{
	usleep(20000);
	end_with(arg, 3 << 8);
	return NULL;
}

static void waiting_sleeps_until_a_child_ends(void **state)
{
	struct wait_result r;
	struct process *p;
	pthread_t t;

	setup();
	self.blocked = SIG_BIT(SIGCHLD); /* its signal would end the wait as well */
	p = process_get(make_child());	 /* as its last thread holds it */
	assert_int_equal(pthread_create(&t, NULL, end_soon, p), 0);
	assert_int_equal(wait_for(ABI_P_ALL, 0, WEXITED, &r), 0);
	assert_int_equal(r.status, 3);
	assert_int_equal(pthread_join(t, NULL), 0);
	process_put(p);
	teardown();
}

static void a_signal_ends_the_wait(void **state)
{
	struct wait_result r;
	struct process *p;

	setup();
	p = make_child();
	self.work = WORK_SIGNAL;
	assert_int_equal(wait_for(ABI_P_ALL, 0, WEXITED, &r), -ERESTARTSYS);
	self.work = 0;
	end_with(p, 0);
	assert_int_equal(wait_for(ABI_P_ALL, 0, WEXITED, &r), 0);
	teardown();
}

#define MOVES 400000

struct mover {
	struct thread t;
	s32 pgid;
	s32 pid; /* atomic; of the child to be moved, 0: none, -1: the end */
	u32 moved;
};

static void *move_children(void *arg)
{
	struct mover *m = arg;
	s32 pid, last = 0;

	fake_attach_thread(&m->t);
	while ((pid = __atomic_load_n(&m->pid, __ATOMIC_ACQUIRE)) >= 0) {
		if (pid && pid != last && !process_set_group(pid, m->pgid))
			m->moved++;
		last = pid;
	}
	return NULL;
}

/* As a fork leaves it: in its parent's session, and in this group. */
static struct process *make_member(s32 pgid)
{
	struct process *p = make_child();

	id_hold(parent->sid);
	id_hold(pgid);
	id_release(p->sid);
	id_release(p->pgid);
	p->sid = parent->sid;
	p->pgid = pgid;
	return p;
}

/* Is the number given out again? */
static bool is_unused(s32 id)
{
	static s32 taken[32768];
	bool found = false;
	u32 count = 0;

	while (count < ARRAY_SIZE(taken) && (taken[count] = id_alloc()) > 0)
		found |= taken[count++] == id;
	while (count)
		id_release(taken[--count]);
	return found;
}

/* setpgid() of a child that another thread waits for at that moment. */
static void a_group_keeps_its_number_while_it_has_members(void **state)
{
	static struct mover m;
	struct process *leader;
	pthread_t thread;
	u32 seed = 1;
	s32 pgid;

	/* Numbers up to 300 do not come again. */
	while (id_alloc() < 300)
		;
	setup();
	leader = make_member(parent->pgid);
	pgid = leader->pid;
	assert_int_equal(process_set_group(pgid, 0), 0);
	m = (struct mover){.t = self, .pgid = pgid};
	assert_int_equal(pthread_create(&thread, NULL, move_children, &m), 0);
	for (u32 i = 0; i < MOVES; i++) {
		struct process *p = make_member(parent->pgid);

		__atomic_store_n(&m.pid, p->pid, __ATOMIC_RELEASE);
		seed = seed * 1103515245 + 12345;
		for (volatile u32 wait = seed >> 16 & 1023; wait; wait--)
			;
		process_reap(p);
	}
	__atomic_store_n(&m.pid, -1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_true(m.moved > 0);
	assert_false(is_unused(parent->pid));
	assert_false(is_unused(pgid));
	process_reap(leader);
	assert_true(is_unused(pgid));
	teardown();
}

UNIT_TESTS(an_end_is_reported_once_and_reaped, death_by_a_signal_is_told_apart,
	   stopping_and_going_on_are_each_reported_once, pid_and_group_choose,
	   waiting_sleeps_until_a_child_ends, a_signal_ends_the_wait,
	   a_group_keeps_its_number_while_it_has_members)
