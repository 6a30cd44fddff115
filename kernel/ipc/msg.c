// SPDX-License-Identifier: Apache-2.0
/*
 * System V message queues. One mutex covers all queues; senders and receivers that have to wait
 * sleep until their queue has changed and try again. A removed queue stays in memory until the
 * last sleeper has seen that it is gone. Bytes are copied from and to programs by the callers,
 * outside of the lock.
 */
#include "kernel/ipc/msg.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/proc/process.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/waitq.h"
#include "kernel/sys/restart.h"
#include "lib/base/overflow.h"
#include "lib/base/string.h"

struct msg_body {
	struct list_node node;
	s64 type;
	size_t size;
	u8 bytes[];
};

struct msg_queue {
	struct ipc_object ipc;
	struct waitq waiters;
	u32 changes;  /* atomic; grows with each */
	u32 sleepers; /* keep a removed queue in memory */
	struct list_node messages;
	u64 count, bytes, bytes_max;
	s64 send_time, receive_time;
	s32 last_sender, last_receiver;
};

static struct mutex lock = MUTEX_INIT(lock, LOCK_MESSAGES); /* everything here */
static struct ipc_table queues;
static u64 total_bytes, total_count;

struct msg_body *msg_body_new(s64 type, size_t size)
{
	struct msg_body *b = kmalloc(struct_size(b, bytes, size));

	if (b) {
		b->type = type;
		b->size = size;
	}
	return b;
}

void *msg_body_bytes(struct msg_body *b)
{
	return b->bytes;
}

s64 msg_body_type(const struct msg_body *b)
{
	return b->type;
}

size_t msg_body_size(const struct msg_body *b)
{
	return b->size;
}

void msg_body_free(struct msg_body *b)
{
	kfree(b);
}

static struct msg_queue *queue_of(struct ipc_object *o)
{
	return o ? container_of(o, struct msg_queue, ipc) : NULL;
}

static struct msg_queue *find(s32 id)
{
	return queue_of(ipc_find(&queues, id));
}

static void changed(struct msg_queue *q)
{
	__atomic_fetch_add(&q->changes, 1, __ATOMIC_RELEASE);
	waitq_wake_all(&q->waiters);
}

static long create(s32 key, u32 flags)
{
	struct msg_queue *q = kzalloc(sizeof(*q));
	int err;

	if (!q)
		return -ENOMEM;
	waitq_init(&q->waiters);
	list_init(&q->messages);
	q->bytes_max = MSG_BYTES_MAX;
	err = ipc_add(&queues, &q->ipc, key, flags);
	if (err) {
		kfree(q);
		return err;
	}
	return q->ipc.id;
}

long msg_get(s32 key, u32 flags)
{
	struct ipc_object *o;
	long ret;

	mutex_lock(&lock);
	ret = ipc_open(&queues, key, flags, &o);
	if (!ret && !o)
		ret = create(key, flags);
	else if (!ret)
		ret = ipc_may_get(o, flags) ? o->id : -EACCES;
	mutex_unlock(&lock);
	return ret;
}

static u32 starved; /* lock: senders whom the totals of all queues stopped */

/* The totals have fallen: senders at other queues look again. */
static void wake_starved(void)
{
	for (s32 i = 0; starved && i < IPC_OBJECTS_MAX; i++) {
		struct msg_queue *q = queue_of(ipc_find_index(&queues, i));

		if (q && q->sleepers)
			changed(q);
	}
}

/* Sleeps until the queue changes; the lock is free meanwhile. -EIDRM, -EINTR. */
static int wait_for_change(struct msg_queue *q)
{
	u32 seen = __atomic_load_n(&q->changes, __ATOMIC_RELAXED);
	int err;

	q->sleepers++;
	mutex_unlock(&lock);
	err = wait_event(&q->waiters, __atomic_load_n(&q->changes, __ATOMIC_ACQUIRE) != seen,
			 DEADLINE_NEVER, true);
	mutex_lock(&lock);
	q->sleepers--;
	if (!q->ipc.is_removed)
		return err;
	if (!q->sleepers)
		kfree(q);
	return -EIDRM;
}

/* --- sending and receiving ----------------------------------------------------------------- */

static bool fits_totals(size_t size)
{
	return total_bytes + size <= MSG_TOTAL_MAX && total_count < MSG_TOTAL_MAX / 64;
}

static bool has_room(const struct msg_queue *q, size_t size)
{
	return q->bytes + size <= q->bytes_max && q->count < q->bytes_max && fits_totals(size);
}

static void enqueue(struct msg_queue *q, struct msg_body *b)
{
	list_add_tail(&q->messages, &b->node);
	q->bytes += b->size;
	q->count++;
	total_bytes += b->size;
	total_count++;
	q->send_time = ipc_now();
	q->last_sender = current_process()->pid;
	changed(q);
}

static void dequeue(struct msg_queue *q, struct msg_body *b)
{
	list_del(&b->node);
	q->bytes -= b->size;
	q->count--;
	total_bytes -= b->size;
	total_count--;
}

static int send_locked(s32 id, struct msg_body *b, u32 flags)
{
	struct msg_queue *q = find(id);

	if (!q)
		return -EINVAL;
	for (;;) {
		bool is_starved = !fits_totals(b->size);
		int err;

		if (!ipc_may_access(&q->ipc, 2))
			return -EACCES;
		if (has_room(q, b->size))
			break;
		if (flags & IPC_NOWAIT)
			return -EAGAIN;
		starved += is_starved;
		err = wait_for_change(q);
		starved -= is_starved;
		if (err)
			return err == -EINTR ? -ERESTARTNOHAND : err;
	}
	enqueue(q, b);
	return 0;
}

int msg_send(s32 id, struct msg_body *b, u32 flags)
{
	int err;

	mutex_lock(&lock);
	err = send_locked(id, b, flags);
	mutex_unlock(&lock);
	return err;
}

/* The message that a receiver with these wishes gets, or NULL. */
static struct msg_body *choose(struct msg_queue *q, s64 type, u32 flags)
{
	struct msg_body *b, *best = NULL;
	s64 index = 0;

	list_for_each_entry (b, &q->messages, node) {
		if (flags & MSG_COPY) {
			if (index++ == type)
				return b;
		} else if (!type) {
			return b;
		} else if (type > 0) {
			if ((b->type == type) != !!(flags & MSG_EXCEPT))
				return b;
		} else if (b->type <= (type == INT64_MIN ? INT64_MAX : -type) &&
			   (!best || b->type < best->type)) {
			best = b;
		}
	}
	return best;
}

static int copy_of(const struct msg_body *b, struct msg_body **ret)
{
	struct msg_body *copy = msg_body_new(b->type, b->size);

	if (!copy)
		return -ENOMEM;
	memcpy(copy->bytes, b->bytes, b->size);
	*ret = copy;
	return 0;
}

static int receive_locked(s32 id, s64 type, size_t size, u32 flags, struct msg_body **ret)
{
	struct msg_queue *q = find(id);
	struct msg_body *b;

	if (!q)
		return -EINVAL;
	for (;;) {
		int err;

		if (!ipc_may_access(&q->ipc, 4))
			return -EACCES;
		b = choose(q, type, flags);
		if (b)
			break;
		if (flags & IPC_NOWAIT)
			return -ENOMSG;
		err = wait_for_change(q);
		if (err)
			return err == -EINTR ? -ERESTARTNOHAND : err;
	}
	if (b->size > size && !(flags & MSG_NOERROR))
		return -E2BIG;
	if (flags & MSG_COPY)
		return copy_of(b, ret);
	dequeue(q, b);
	q->receive_time = ipc_now();
	q->last_receiver = current_process()->pid;
	changed(q);
	wake_starved();
	*ret = b;
	return 0;
}

int msg_receive(s32 id, s64 type, size_t size, u32 flags, struct msg_body **ret)
{
	int err;

	if ((flags & MSG_COPY) && ((flags & MSG_EXCEPT) || !(flags & IPC_NOWAIT)))
		return -EINVAL;
	mutex_lock(&lock);
	err = receive_locked(id, type, size, flags, ret);
	mutex_unlock(&lock);
	return err;
}

/* --- control ------------------------------------------------------------------------------- */

static void destroy(struct msg_queue *q)
{
	while (!list_is_empty(&q->messages)) {
		struct msg_body *b = list_first_entry(&q->messages, struct msg_body, node);

		dequeue(q, b);
		kfree(b);
	}
	ipc_remove(&queues, &q->ipc);
	q->ipc.is_removed = true;
	changed(q);
	wake_starved();
	if (!q->sleepers)
		kfree(q);
}

int msg_remove(s32 id)
{
	struct ipc_object *o;
	int err;

	mutex_lock(&lock);
	err = ipc_find_owned(&queues, id, &o);
	if (!err)
		destroy(queue_of(o));
	mutex_unlock(&lock);
	return err;
}

int msg_set(s32 id, const struct abi_msqid_ds *values)
{
	struct ipc_object *o;
	int err;

	mutex_lock(&lock);
	err = ipc_find_owned(&queues, id, &o);
	if (!err && values->bytes_max > MSG_BYTES_MAX &&
	    !credentials_capable(&current_process()->cred, CAP_SYS_RESOURCE))
		err = -EPERM;
	if (!err) {
		ipc_set_perm(o, &values->perm);
		queue_of(o)->bytes_max = MIN(values->bytes_max, (u64)MSG_TOTAL_MAX);
		changed(queue_of(o));
	}
	mutex_unlock(&lock);
	return err;
}

long msg_stat(s32 id, enum ipc_stat_how how, struct abi_msqid_ds *ret)
{
	struct ipc_object *o;
	long result;

	memset(ret, 0, sizeof(*ret));
	mutex_lock(&lock);
	result = ipc_stat(&queues, id, how, &o, &ret->perm);
	if (result >= 0) {
		const struct msg_queue *q = queue_of(o);

		ret->send_time = q->send_time;
		ret->receive_time = q->receive_time;
		ret->change_time = q->ipc.change_time;
		ret->bytes = q->bytes;
		ret->count = q->count;
		ret->bytes_max = q->bytes_max;
		ret->last_sender = q->last_sender;
		ret->last_receiver = q->last_receiver;
	}
	mutex_unlock(&lock);
	return result;
}

void msg_totals(struct msg_totals *ret)
{
	mutex_lock(&lock);
	ret->queues = ipc_count(&queues);
	ret->messages = total_count;
	ret->bytes = total_bytes;
	ret->highest_index = ipc_highest_index(&queues);
	mutex_unlock(&lock);
}
