// SPDX-License-Identifier: Apache-2.0
/*
 * System V semaphores. One mutex covers all sets; a caller that has to wait counts itself at the
 * semaphore that stops it, sleeps until its set has changed, and tries all its operations again.
 * A removed set stays in memory until the last of its sleepers has seen that it is gone.
 *
 * What SEM_UNDO will give back lies in one record per process and set, linked to both, so that it
 * goes with whichever ends first.
 */
#include "kernel/ipc/sem.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/core/share.h"
#include "kernel/proc/process.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/waitq.h"
#include "kernel/vfs/walk.h"
#include "lib/base/overflow.h"
#include "lib/base/string.h"

struct semaphore {
	u16 value;
	u16 waiting_for_more, waiting_for_zero;
	s32 last_pid;
};

struct sem_set {
	struct ipc_object ipc;
	struct waitq waiters;
	u32 changes;  /* atomic; grows with each */
	u32 sleepers; /* keep a removed set in memory */
	s64 op_time;
	struct list_node undos;
	u32 count;
	struct semaphore sems[];
};

struct sem_undo {
	struct list_node process_node, set_node;
	struct sem_set *set;
	s16 adjust[]; /* per semaphore of the set */
};

struct sem_undo_list {
	struct list_node list;
};

static struct mutex lock = MUTEX_INIT(lock, LOCK_SEMAPHORES); /* everything here */
static struct ipc_table sets;
static u32 total;
static struct heap_share undo_memory = HEAP_SHARE(32);

static struct sem_set *set_of(struct ipc_object *o)
{
	return o ? container_of(o, struct sem_set, ipc) : NULL;
}

static struct sem_set *find(s32 id)
{
	return set_of(ipc_find(&sets, id));
}

static void changed(struct sem_set *s)
{
	__atomic_fetch_add(&s->changes, 1, __ATOMIC_RELEASE);
	waitq_wake_all(&s->waiters);
}

static long create(s32 key, s32 count, u32 flags)
{
	struct sem_set *s;
	int err;

	if (count <= 0 || count > SEM_PER_SET)
		return -EINVAL;
	if (total + (u32)count > SEM_TOTAL)
		return -ENOSPC;
	s = kzalloc(struct_size(s, sems, (size_t)count));
	if (!s)
		return -ENOMEM;
	waitq_init(&s->waiters);
	list_init(&s->undos);
	s->count = (u32)count;
	err = ipc_add(&sets, &s->ipc, key, flags);
	if (err) {
		kfree(s);
		return err;
	}
	total += s->count;
	return s->ipc.id;
}

static long get_locked(s32 key, s32 count, u32 flags)
{
	struct ipc_object *o;
	int err = ipc_open(&sets, key, flags, &o);

	if (err)
		return err;
	if (!o)
		return create(key, count, flags);
	if (count < 0 || (u32)count > set_of(o)->count)
		return -EINVAL;
	return ipc_may_get(o, flags) ? o->id : -EACCES;
}

long sem_get(s32 key, s32 count, u32 flags)
{
	long ret;

	mutex_lock(&lock);
	ret = get_locked(key, count, flags);
	mutex_unlock(&lock);
	return ret;
}

/* --- undo ---------------------------------------------------------------------------------- */

static size_t undo_size(const struct sem_set *s)
{
	return struct_size((struct sem_undo *)NULL, adjust, (size_t)s->count);
}

static void undo_free(struct sem_undo *u)
{
	list_del(&u->process_node);
	list_del(&u->set_node);
	heap_share_free(&undo_memory, u, undo_size(u->set));
}

/* The current process's record for the set, made if need be; NULL without memory. */
static struct sem_undo *undo_get(struct sem_set *s)
{
	struct process *p = current_process();
	struct sem_undo *u;

	if (!p->sem_undo) {
		p->sem_undo = kmalloc(sizeof(*p->sem_undo));
		if (!p->sem_undo)
			return NULL;
		list_init(&p->sem_undo->list);
	}
	list_for_each_entry (u, &p->sem_undo->list, process_node) {
		if (u->set == s)
			return u;
	}
	u = heap_share_alloc(&undo_memory, undo_size(s), vfs_caller_shares());
	if (!u)
		return NULL;
	u->set = s;
	list_add_tail(&p->sem_undo->list, &u->process_node);
	list_add_tail(&s->undos, &u->set_node);
	return u;
}

static void give_back(struct sem_undo *u, s32 pid)
{
	struct sem_set *s = u->set;
	bool any = false;

	for (u32 i = 0; i < s->count; i++) {
		s32 value = s->sems[i].value + u->adjust[i];

		if (!u->adjust[i])
			continue;
		s->sems[i].value = (u16)MAX(0, MIN(value, SEM_MAX_VALUE));
		s->sems[i].last_pid = pid;
		any = true;
	}
	if (!any)
		return;
	s->op_time = ipc_now();
	changed(s);
}

void sem_process_exit(struct process *p)
{
	struct sem_undo *u, *next;

	if (!p->sem_undo)
		return;
	mutex_lock(&lock);
	list_for_each_entry_safe (u, next, &p->sem_undo->list, process_node) {
		give_back(u, p->pid);
		undo_free(u);
	}
	mutex_unlock(&lock);
	kfree(p->sem_undo);
	p->sem_undo = NULL;
}

/* A value is set: nobody's undoing of that semaphore counts any more. */
static void forget_undo(struct sem_set *s, u32 number)
{
	struct sem_undo *u;

	list_for_each_entry (u, &s->undos, set_node)
		u->adjust[number] = 0;
}

/* --- operations ---------------------------------------------------------------------------- */

static int check_undo(const struct sem_undo *u, const struct abi_sembuf *op)
{
	s32 adjust = u->adjust[op->number] - op->op;

	return adjust < -SEM_MAX_VALUE - 1 || adjust > SEM_MAX_VALUE ? -ERANGE : 0;
}

static int do_one(struct sem_set *s, struct sem_undo *u, const struct abi_sembuf *op)
{
	struct semaphore *sem = &s->sems[op->number];
	s32 value = sem->value + op->op;

	if (!op->op)
		return sem->value ? -EAGAIN : 0;
	if (value < 0)
		return -EAGAIN;
	if (value > SEM_MAX_VALUE)
		return -ERANGE;
	if (op->flags & SEM_UNDO) {
		int err = check_undo(u, op);

		if (err)
			return err;
		u->adjust[op->number] = (s16)(u->adjust[op->number] - op->op);
	}
	sem->value = (u16)value;
	return 0;
}

static void undo_one(struct sem_set *s, struct sem_undo *u, const struct abi_sembuf *op)
{
	s->sems[op->number].value = (u16)(s->sems[op->number].value - op->op);
	if (op->op && (op->flags & SEM_UNDO))
		u->adjust[op->number] = (s16)(u->adjust[op->number] + op->op);
}

/* All or nothing. -EAGAIN: *ret_stop is the one that has to wait. */
static int try_all(struct sem_set *s, struct sem_undo *u, const struct abi_sembuf *ops, u32 count,
		   const struct abi_sembuf **ret_stop)
{
	bool changes = false;
	u32 done = 0;
	int err = 0;

	for (; done < count; done++) {
		err = do_one(s, u, &ops[done]);
		if (err)
			break;
		changes |= ops[done].op != 0;
	}
	if (err) {
		*ret_stop = &ops[done];
		while (done--)
			undo_one(s, u, &ops[done]);
		return err;
	}
	for (u32 i = 0; i < count; i++)
		s->sems[ops[i].number].last_pid = current_process()->pid;
	s->op_time = ipc_now();
	if (changes)
		changed(s);
	return 0;
}

static u16 *wait_count(struct sem_set *s, const struct abi_sembuf *op)
{
	struct semaphore *sem = &s->sems[op->number];

	return op->op ? &sem->waiting_for_more : &sem->waiting_for_zero;
}

/*
 * Sleeps until the set changes; the lock is free meanwhile. -EIDRM: it is gone, and perhaps freed.
 * -ETIMEDOUT, -EINTR.
 */
static int wait_for_change(struct sem_set *s, const struct abi_sembuf *stop, u64 deadline)
{
	u32 seen = __atomic_load_n(&s->changes, __ATOMIC_RELAXED);
	int err;

	s->sleepers++;
	++*wait_count(s, stop);
	mutex_unlock(&lock);
	err = wait_event(&s->waiters, __atomic_load_n(&s->changes, __ATOMIC_ACQUIRE) != seen,
			 deadline, true);
	mutex_lock(&lock);
	--*wait_count(s, stop);
	s->sleepers--;
	if (!s->ipc.is_removed)
		return err;
	if (!s->sleepers)
		kfree(s);
	return -EIDRM;
}

static int check_ops(const struct sem_set *s, const struct abi_sembuf *ops, u32 count,
		     bool *ret_undoes)
{
	bool alters = false;

	*ret_undoes = false;
	for (u32 i = 0; i < count; i++) {
		if (ops[i].number >= s->count)
			return -EFBIG;
		alters |= ops[i].op != 0;
		*ret_undoes |= ops[i].op && (ops[i].flags & SEM_UNDO);
	}
	return ipc_may_access(&s->ipc, alters ? 2 : 4) ? 0 : -EACCES;
}

/* Lock held, before and after. */
static long op_locked(s32 id, const struct abi_sembuf *ops, u32 count, u64 deadline)
{
	struct sem_set *s = find(id);
	struct sem_undo *u = NULL;
	bool undoes;
	int waited = 0, err;

	if (!s)
		return -EINVAL;
	err = check_ops(s, ops, count, &undoes);
	if (err)
		return err;
	for (;;) {
		const struct abi_sembuf *stop;

		if (undoes && !u) {
			u = undo_get(s);
			if (!u)
				return -ENOMEM;
		}
		err = try_all(s, u, ops, count, &stop);
		if (err != -EAGAIN || (stop->flags & IPC_NOWAIT))
			return err;
		if (waited)
			return waited == -ETIMEDOUT ? -EAGAIN : waited;
		waited = wait_for_change(s, stop, deadline);
		if (waited == -EIDRM)
			return waited;
	}
}

long sem_op(s32 id, const struct abi_sembuf *ops, u32 count, u64 deadline)
{
	long ret;

	mutex_lock(&lock);
	ret = op_locked(id, ops, count, deadline);
	mutex_unlock(&lock);
	return ret;
}

/* --- control ------------------------------------------------------------------------------- */

static void destroy(struct sem_set *s)
{
	struct sem_undo *u, *next;

	list_for_each_entry_safe (u, next, &s->undos, set_node)
		undo_free(u);
	total -= s->count;
	ipc_remove(&sets, &s->ipc);
	s->ipc.is_removed = true;
	changed(s);
	if (!s->sleepers)
		kfree(s);
}

int sem_remove(s32 id)
{
	struct ipc_object *o;
	int err;

	mutex_lock(&lock);
	err = ipc_find_owned(&sets, id, &o);
	if (!err)
		destroy(set_of(o));
	mutex_unlock(&lock);
	return err;
}

int sem_set_perm(s32 id, const struct abi_ipc_perm *perm)
{
	struct ipc_object *o;
	int err;

	mutex_lock(&lock);
	err = ipc_find_owned(&sets, id, &o);
	if (!err)
		ipc_set_perm(o, perm);
	mutex_unlock(&lock);
	return err;
}

long sem_stat(s32 id, enum ipc_stat_how how, struct abi_semid_ds *ret)
{
	struct ipc_object *o;
	long result;

	memset(ret, 0, sizeof(*ret));
	mutex_lock(&lock);
	result = ipc_stat(&sets, id, how, &o, &ret->perm);
	if (result >= 0) {
		ret->op_time = set_of(o)->op_time;
		ret->change_time = o->change_time;
		ret->count = set_of(o)->count;
	}
	mutex_unlock(&lock);
	return result;
}

/* The set, to look at (4) or to change (2). Lock held. */
static int find_for(s32 id, u32 wanted, struct sem_set **ret)
{
	*ret = find(id);
	if (!*ret)
		return -EINVAL;
	return ipc_may_access(&(*ret)->ipc, wanted) ? 0 : -EACCES;
}

static int find_one(s32 id, s32 number, u32 wanted, struct sem_set **ret)
{
	int err = find_for(id, wanted, ret);

	if (!err && (number < 0 || (u32)number >= (*ret)->count))
		err = -EINVAL;
	return err;
}

long sem_query(s32 id, s32 number, int what)
{
	const struct semaphore *sem;
	struct sem_set *s;
	long ret;

	mutex_lock(&lock);
	ret = find_one(id, number, 4, &s);
	if (!ret) {
		sem = &s->sems[number];
		switch (what) {
		case GETVAL: ret = sem->value; break;
		case GETPID: ret = sem->last_pid; break;
		case GETNCNT: ret = sem->waiting_for_more; break;
		default: ret = sem->waiting_for_zero;
		}
	}
	mutex_unlock(&lock);
	return ret;
}

static void set_value(struct sem_set *s, u32 number, u16 value)
{
	forget_undo(s, number);
	s->sems[number].value = value;
	s->sems[number].last_pid = current_process()->pid;
}

int sem_set_value(s32 id, s32 number, s32 value)
{
	struct sem_set *s;
	int err;

	if (value < 0 || value > SEM_MAX_VALUE)
		return -ERANGE;
	mutex_lock(&lock);
	err = find_one(id, number, 2, &s);
	if (!err) {
		set_value(s, (u32)number, (u16)value);
		s->ipc.change_time = ipc_now();
		changed(s);
	}
	mutex_unlock(&lock);
	return err;
}

int sem_get_all(s32 id, u16 **ret_values, u32 *ret_count)
{
	struct sem_set *s;
	u16 *values = NULL;
	int err;

	mutex_lock(&lock);
	err = find_for(id, 4, &s);
	if (!err) {
		values = kcalloc(s->count, sizeof(*values));
		err = values ? 0 : -ENOMEM;
	}
	if (!err) {
		for (u32 i = 0; i < s->count; i++)
			values[i] = s->sems[i].value;
		*ret_values = values;
		*ret_count = s->count;
	}
	mutex_unlock(&lock);
	return err;
}

long sem_count(s32 id)
{
	struct sem_set *s;
	long ret;

	mutex_lock(&lock);
	ret = find_for(id, 2, &s);
	if (!ret)
		ret = s->count;
	mutex_unlock(&lock);
	return ret;
}

int sem_set_all(s32 id, const u16 *values, u32 count)
{
	struct sem_set *s;
	int err;

	for (u32 i = 0; i < count; i++) {
		if (values[i] > SEM_MAX_VALUE)
			return -ERANGE;
	}
	mutex_lock(&lock);
	err = find_for(id, 2, &s);
	if (!err && s->count != count)
		err = -EIDRM; /* another one by now */
	if (!err) {
		for (u32 i = 0; i < count; i++)
			set_value(s, i, values[i]);
		s->ipc.change_time = ipc_now();
		changed(s);
	}
	mutex_unlock(&lock);
	return err;
}

void sem_totals(struct sem_totals *ret)
{
	mutex_lock(&lock);
	ret->sets = ipc_count(&sets);
	ret->semaphores = total;
	ret->highest_index = ipc_highest_index(&sets);
	mutex_unlock(&lock);
}
