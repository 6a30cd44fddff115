/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of AF_UNIX. A stream is a ring of bytes; what rides on it (descriptors,
 * credentials) is kept aside with the position of the first byte it was sent with, and a read
 * never goes past such a place without handing it out. Records and datagrams are a list.
 *
 * Closing a queue may close sockets that lie in it, and those more: unix_control_drop() makes a
 * loop of that, so that a program cannot nest it as deep as the kernel's stack.
 */
#include "kernel/net/unix_priv.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/core/share.h"
#include "lib/base/string.h"

#define SCARCE_MAX  16u	  /* packets in one queue when memory is scarce */
#define PACKETS_MAX 512u  /* in one queue */
#define FILES_ROOM  2048u /* of the descriptors of one message */
#define FLOOR	    4096u /* bytes that any queue may hold, however many there are */

/*
 * What all queues together take of the kernel's heap. Above a quarter of it a queue that already
 * holds FLOOR bytes is full; it has a reader to wait for, so nobody waits for ever. Rings that are
 * empty go above half of that.
 */
static struct heap_share memory = HEAP_SHARE(4);

static bool is_scarce(u32 part)
{
	return heap_share_exceeds(&memory, part);
}

static u32 limit_now(u32 limit)
{
	return is_scarce(1) ? MIN(limit, FLOOR) : limit;
}

static void free_ring(struct unix_channel *c)
{
	heap_share_give(&memory, c->ring.room);
	byte_ring_fini(&c->ring);
}

/* Its control data and address may be gone when it leaves the queue: what it counted as is kept. */
static void charge_packet(struct unix_packet *p, int sign)
{
	if (sign > 0)
		p->charged = p->size + sizeof(*p) + (p->from ? sizeof(*p->from) : 0) +
			     (p->control ? sizeof(*p->control) + FILES_ROOM : 0);
	if (sign < 0)
		heap_share_give(&memory, p->charged);
	else
		heap_share_charge(&memory, p->charged);
}

void unix_channel_init(struct unix_channel *c)
{
	mutex_init(&c->lock, LOCK_UNIX_CHANNEL);
	list_init(&c->packets);
	list_init(&c->blocked);
}

struct unix_packet *unix_packet_new(size_t size)
{
	struct unix_packet *p = kmalloc(sizeof(*p) + size);

	if (!p)
		return NULL;
	*p = (struct unix_packet){.size = size};
	list_init(&p->node);
	return p;
}

void unix_packet_free(struct unix_packet *p)
{
	if (!p)
		return;
	unix_control_drop(p->control);
	kfree(p->from);
	kfree(p);
}

static void free_packets(struct list_node *packets)
{
	while (!list_is_empty(packets)) {
		struct unix_packet *p = list_first_entry(packets, struct unix_packet, node);

		list_del(&p->node);
		charge_packet(p, -1);
		unix_packet_free(p);
	}
}

void unix_channel_fini(struct unix_channel *c)
{
	free_packets(&c->packets);
	free_ring(c);
}

/* Under the lock: a sender cannot go away, because it takes the lock to leave the list. */
static void wake_blocked(struct unix_channel *c)
{
	while (!list_is_empty(&c->blocked)) {
		struct unix_sock *u = list_first_entry(&c->blocked, struct unix_sock, blocked_node);

		list_del(&u->blocked_node);
		list_init(&u->blocked_node);
		pollq_wake(&u->s.queue, POLLOUT | POLLWRNORM);
	}
}

void unix_channel_close(struct unix_channel *c)
{
	struct list_node lost = LIST_INIT(lost);

	mutex_lock(&c->lock);
	__atomic_store_n(&c->no_reader, true, __ATOMIC_RELEASE);
	__atomic_store_n(&c->no_writer, true, __ATOMIC_RELEASE);
	list_splice_tail(&lost, &c->packets);
	__atomic_store_n(&c->bytes, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&c->packet_count, 0, __ATOMIC_RELAXED);
	free_ring(c);
	wake_blocked(c);
	mutex_unlock(&c->lock);
	free_packets(&lost);
}

void unix_channel_shut(struct unix_channel *c, bool reader, bool writer)
{
	mutex_lock(&c->lock);
	if (reader)
		__atomic_store_n(&c->no_reader, true, __ATOMIC_RELEASE);
	if (writer)
		__atomic_store_n(&c->no_writer, true, __ATOMIC_RELEASE);
	mutex_unlock(&c->lock);
}

/* --- streams ------------------------------------------------------------------------------- */

static bool has_room(const struct unix_channel *c, u64 size, u32 limit)
{
	u64 bytes = __atomic_load_n(&c->bytes, __ATOMIC_RELAXED) +
		    __atomic_load_n(&c->ring.fill, __ATOMIC_RELAXED);
	u32 count = __atomic_load_n(&c->packet_count, __ATOMIC_RELAXED);

	/* One packet always fits, however large the sender's buffer is. */
	return !count ? bytes < limit
		      : bytes + size <= limit && count < (is_scarce(1) ? SCARCE_MAX : PACKETS_MAX);
}

static long put_locked(struct unix_channel *c, struct net_message *m, u32 limit)
{
	struct unix_packet *mark = NULL;
	struct uio *piece;
	long done = 0, n = 0;

	limit = limit_now(limit);
	if (c->no_reader || c->no_writer)
		return -EPIPE;
	if (!has_room(c, 1, limit)) {
		c->writer_waits = true;
		return 0;
	}
	if (m->control) {
		mark = unix_packet_new(0);
		if (!mark)
			return -ENOMEM;
		mark->position = c->sent;
		mark->has_cred = m->control->has_cred;
		mark->cred = m->control->cred;
	}
	while ((piece = net_data_piece(&m->data))) {
		u32 room = c->ring.room;

		n = byte_ring_put(&c->ring, piece, limit);
		heap_share_charge(&memory, c->ring.room - room);
		if (n <= 0)
			break;
		net_data_took(&m->data, n);
		done += n;
	}
	if (!done) {
		unix_packet_free(mark);
		return n;
	}
	if (mark) {
		mark->control = m->control;
		m->control = NULL;
		mark->end = c->sent + done;
		charge_packet(mark, 1);
		list_add_tail(&c->packets, &mark->node);
		__atomic_store_n(&c->packet_count, c->packet_count + 1, __ATOMIC_RELAXED);
	}
	c->sent += done;
	return done;
}

long unix_channel_put(struct unix_channel *c, struct net_message *m, u32 limit)
{
	long ret;

	mutex_lock(&c->lock);
	ret = put_locked(c, m, limit);
	mutex_unlock(&c->lock);
	return ret;
}

static bool same_cred(const struct net_control *c, const struct unix_packet *mark)
{
	if (!c || !c->has_cred)
		return !mark->has_cred;
	return mark->has_cred && !memcmp(&c->cred, &mark->cred, sizeof(c->cred));
}

/* What rode on the mark's first byte goes to the message, once; to a peeking one a copy. */
static int take_mark(struct unix_packet *mark, struct net_message *m)
{
	struct net_control *own = mark->control, *c;

	if (m->control && !(own && own->file_count))
		return 0; /* the same credentials again */
	if (own && !(m->flags & MSG_PEEK)) {
		c = own;
		mark->control = NULL;
	} else {
		c = own ? net_control_copy(own) : net_control_new(0);
		if (!c)
			return -ENOMEM;
		c->has_cred = mark->has_cred;
		c->cred = mark->cred;
	}
	unix_control_drop(m->control);
	m->control = c;
	return 0;
}

/*
 * How far one read may go, as on Linux: bytes of different senders are never mixed, and nothing
 * comes with descriptors after the bytes that they were sent with. *ret_stop: stream position.
 */
static int plan_read(struct unix_channel *c, struct net_message *m, u64 *ret_stop)
{
	u64 reach = c->received + MIN(m->data.left, (u64)c->ring.fill);
	u64 known = c->received; /* up to here the credentials in m->control are the sender's */
	struct unix_packet *mark;

	*ret_stop = reach;
	list_for_each_entry (mark, &c->packets, node) {
		int err;

		if (mark->position >= reach)
			break;
		if (m->control && m->control->has_cred && mark->position > known)
			break;
		if ((mark->position > c->received || m->control) && !same_cred(m->control, mark)) {
			*ret_stop = mark->position;
			break;
		}
		err = take_mark(mark, m);
		if (err)
			return err;
		known = mark->end;
		if (m->control && m->control->file_count) {
			*ret_stop = MIN(reach, mark->end);
			break;
		}
	}
	if (m->control && m->control->has_cred)
		*ret_stop = MIN(*ret_stop, known);
	return 0;
}

/* Marks behind the reading position are done; of one in the middle the credentials still count. */
static void forget_marks(struct unix_channel *c)
{
	while (!list_is_empty(&c->packets)) {
		struct unix_packet *mark = list_first_entry(&c->packets, struct unix_packet, node);

		if (mark->position >= c->received)
			break;
		if (mark->has_cred && mark->end > c->received) {
			mark->position = c->received;
			break;
		}
		list_del(&mark->node);
		__atomic_store_n(&c->packet_count, c->packet_count - 1, __ATOMIC_RELAXED);
		charge_packet(mark, -1);
		unix_packet_free(mark);
	}
}

static long get_locked(struct unix_channel *c, struct net_message *m)
{
	u64 start = c->received, at = start, stop;
	bool peek = m->flags & MSG_PEEK;
	struct uio *piece;
	long n = 0;
	int err;

	if (!c->ring.fill)
		return c->no_writer || c->no_reader ? 0 : -EAGAIN;
	err = plan_read(c, m, &stop);
	if (err)
		return err;
	while (at < stop && (piece = net_data_piece(&m->data))) {
		n = peek ? byte_ring_peek(&c->ring, piece, at - start, stop - at)
			 : byte_ring_get(&c->ring, piece, stop - at);
		if (n <= 0)
			break;
		net_data_took(&m->data, n);
		at += n;
	}
	if (!peek) {
		c->received = at;
		forget_marks(c);
		if (!c->ring.fill && c->ring.room > FLOOR && is_scarce(2))
			free_ring(c);
	}
	return at > start ? (long)(at - start) : n;
}

long unix_channel_get(struct unix_channel *c, struct net_message *m, bool *ret_wake)
{
	long ret;

	mutex_lock(&c->lock);
	ret = get_locked(c, m);
	*ret_wake = ret > 0 && c->writer_waits && !(m->flags & MSG_PEEK);
	if (*ret_wake)
		c->writer_waits = false;
	mutex_unlock(&c->lock);
	return ret;
}

/* --- packets ------------------------------------------------------------------------------- */

int unix_channel_post(struct unix_channel *c, struct unix_packet *p, u32 limit)
{
	int err = 0;

	mutex_lock(&c->lock);
	if (c->no_reader || c->no_writer) {
		err = -EPIPE;
	} else if (p->size > FLOOR && is_scarce(1)) {
		err = -ENOBUFS; /* to wait for this queue alone would not help */
	} else if (!has_room(c, p->size, limit_now(limit))) {
		c->writer_waits = true;
		err = -EAGAIN;
	} else {
		list_add_tail(&c->packets, &p->node);
		charge_packet(p, 1);
		__atomic_store_n(&c->bytes, c->bytes + p->size, __ATOMIC_RELAXED);
		__atomic_store_n(&c->packet_count, c->packet_count + 1, __ATOMIC_RELEASE);
	}
	mutex_unlock(&c->lock);
	return err;
}

static struct unix_packet *packet_copy(const struct unix_packet *p)
{
	struct unix_packet *copy = unix_packet_new(p->size);

	if (!copy)
		return NULL;
	memcpy(copy->data, p->data, p->size);
	if (p->from) {
		copy->from = kmalloc(sizeof(*p->from));
		if (copy->from)
			*copy->from = *p->from;
	}
	if (p->control)
		copy->control = net_control_copy(p->control);
	if (!p->from == !copy->from && !p->control == !copy->control)
		return copy;
	unix_packet_free(copy);
	return NULL;
}

int unix_channel_take(struct unix_channel *c, bool peek, struct unix_packet **ret, bool *ret_wake)
{
	struct unix_packet *p = NULL;
	int err = 0;

	mutex_lock(&c->lock);
	*ret_wake = false;
	if (list_is_empty(&c->packets)) {
		err = c->no_writer || c->no_reader ? 0 : -EAGAIN;
	} else if (peek) {
		p = packet_copy(list_first_entry(&c->packets, struct unix_packet, node));
		err = p ? 0 : -ENOMEM;
	} else {
		p = list_first_entry(&c->packets, struct unix_packet, node);
		list_del(&p->node);
		charge_packet(p, -1);
		__atomic_store_n(&c->bytes, c->bytes - p->size, __ATOMIC_RELAXED);
		__atomic_store_n(&c->packet_count, c->packet_count - 1, __ATOMIC_RELEASE);
		*ret_wake = c->writer_waits;
		c->writer_waits = false;
		wake_blocked(c);
	}
	mutex_unlock(&c->lock);
	*ret = p;
	return err;
}

/* --- waiting ------------------------------------------------------------------------------- */

bool unix_channel_may_read(const struct unix_channel *c)
{
	return __atomic_load_n(&c->ring.fill, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&c->packet_count, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&c->no_writer, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&c->no_reader, __ATOMIC_ACQUIRE);
}

bool unix_channel_wait_room(struct unix_channel *c, u64 size, u32 limit)
{
	bool ok;

	mutex_lock(&c->lock);
	ok = has_room(c, size, limit_now(limit)) || c->no_writer || c->no_reader;
	if (!ok)
		c->writer_waits = true; /* whoever woke us took the last note away */
	mutex_unlock(&c->lock);
	return ok;
}

bool unix_channel_poll_write(struct unix_channel *c, u32 limit, struct unix_sock *sender)
{
	bool ok;

	mutex_lock(&c->lock);
	/* As on Linux a quarter of the buffer may be in use. */
	ok = c->packet_count < PACKETS_MAX && 4 * (c->bytes + c->ring.fill) <= limit_now(limit);
	if (!ok) {
		c->writer_waits = true;
		if (sender && list_is_empty(&sender->blocked_node))
			list_add_tail(&c->blocked, &sender->blocked_node);
	}
	mutex_unlock(&c->lock);
	return ok;
}

void unix_channel_forget(struct unix_channel *c, struct unix_sock *sender)
{
	mutex_lock(&c->lock);
	list_del(&sender->blocked_node);
	list_init(&sender->blocked_node);
	mutex_unlock(&c->lock);
}

/* --- control data -------------------------------------------------------------------------- */

static struct spinlock drop_lock = SPINLOCK_INIT(LOCK_UNIX_DROP);
static struct net_control *drop_list; /* drop_lock */
static bool dropping;		      /* drop_lock */

void unix_control_drop(struct net_control *control)
{
	struct net_control *next;

	if (!control)
		return;
	if (!control->file_count) {
		kfree(control);
		return;
	}
	spin_lock(&drop_lock);
	control->next = drop_list;
	drop_list = control;
	if (dropping) {
		spin_unlock(&drop_lock);
		return; /* whoever is at it goes on with this one */
	}
	dropping = true;
	while ((next = drop_list)) {
		drop_list = next->next;
		spin_unlock(&drop_lock);
		net_control_free(next);
		spin_lock(&drop_lock);
	}
	dropping = false;
	spin_unlock(&drop_lock);
}
