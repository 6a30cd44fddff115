/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for several files. A poll first looks at all of them; only when none is ready does it
 * register with their queues, look again and sleep. Host descriptors (stdio) are handed to the
 * host together, which then is where the thread sleeps.
 */
#include "kernel/vfs/poll.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/time/clock.h"
#include "kernel/vfs/file_ops.h"

/*
 * A queue may end while who watches it is about to leave it: a signalfd's queue is that of a
 * process, which ends when it likes. So w->queue changes, and is followed, under one lock for all.
 */
static struct spinlock detach_lock = SPINLOCK_INIT(LOCK_POLL_DETACH);

void pollq_init(struct pollq *q)
{
	spin_init(&q->lock, LOCK_POLL);
	list_init(&q->watches);
	waitq_init(&q->threads);
}

void pollq_wake(struct pollq *q, u32 events)
{
	struct poll_watch *w;

	spin_lock(&q->lock);
	list_for_each_entry (w, &q->watches, node)
		w->notify(w, events);
	spin_unlock(&q->lock);
	waitq_wake_all(&q->threads);
}

void pollq_fini(struct pollq *q)
{
	spin_lock(&detach_lock);
	spin_lock(&q->lock);
	while (!list_is_empty(&q->watches)) {
		struct poll_watch *w = list_first_entry(&q->watches, struct poll_watch, node);

		w->notify(w, POLLHUP);
		list_del(&w->node);
		w->queue = NULL;
	}
	spin_unlock(&q->lock);
	spin_unlock(&detach_lock);
	waitq_wake_all(&q->threads);
}

void poll_watch_add(struct pollq *q, struct poll_watch *w)
{
	w->queue = q;
	spin_lock(&q->lock);
	list_add_tail(&q->watches, &w->node);
	spin_unlock(&q->lock);
}

void poll_watch_remove(struct poll_watch *w)
{
	struct pollq *q;

	spin_lock(&detach_lock);
	q = w->queue;
	if (q) {
		spin_lock(&q->lock);
		list_del(&w->node);
		spin_unlock(&q->lock);
		w->queue = NULL;
	}
	spin_unlock(&detach_lock);
}

#define ENTRIES_INLINE 8
#define HOSTS_MAX      512
#define BEHIND	       UINT32_MAX /* as an item: the host descriptor is behind an epoll set */

struct entry_chunk {
	struct entry_chunk *next;
	u32 used;
	struct wait_entry entries[ENTRIES_INLINE];
};

struct poller {
	struct poll_table table;
	struct entry_chunk first, *last;
	struct host_pollfd *hosts; /* kmalloc'ed on first use */
	u32 *host_items;
	u32 host_count, item;
	bool registering;
	int err;
};

static void add_queue(struct poll_table *pt, struct pollq *q)
{
	struct poller *p = container_of(pt, struct poller, table);

	if (!p->registering)
		return;
	if (p->last->used == ENTRIES_INLINE) {
		struct entry_chunk *c = kzalloc(sizeof(*c));

		if (!c) {
			p->err = -ENOMEM;
			return;
		}
		p->last->next = c;
		p->last = c;
	}
	waitq_add(&q->threads, &p->last->entries[p->last->used++], false);
}

static void add_host_for(struct poller *p, u32 item, s32 fd, u32 events)
{
	if (!p->hosts) {
		p->hosts = kmalloc(HOSTS_MAX * (sizeof(*p->hosts) + sizeof(u32)));
		if (!p->hosts) {
			p->err = -ENOMEM;
			return;
		}
		p->host_items = (u32 *)(p->hosts + HOSTS_MAX);
	}
	if (p->host_count == HOSTS_MAX) {
		p->err = -ENOMEM;
		return;
	}
	p->hosts[p->host_count] = (struct host_pollfd){.fd = fd, .events = events};
	p->host_items[p->host_count++] = item;
}

static void add_host(struct poll_table *pt, s32 fd, u32 events)
{
	struct poller *p = container_of(pt, struct poller, table);

	add_host_for(p, p->item, fd, events);
}

static void add_host_behind(struct poll_table *pt, s32 fd, u32 events)
{
	add_host_for(container_of(pt, struct poller, table), BEHIND, fd, events);
}

/* Asks all files; how many are ready inside. */
static u32 scan(struct poller *p, struct poll_item *items, size_t count, bool registering)
{
	u32 ready = 0;

	p->registering = registering;
	p->host_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct poll_item *it = &items[i];

		it->revents = 0;
		if (!it->file)
			continue;
		p->item = i;
		it->revents = file_poll(it->file, &p->table) &
			      (it->events | POLLERR | POLLHUP | POLLNVAL);
		if (it->revents)
			ready++;
	}
	return ready;
}

/* Asks the host about its descriptors; sleeps when nothing inside is ready. */
static int ask_host(struct poller *p, struct poll_item *items, u32 *ready, u64 deadline)
{
	int n;

	for (u32 i = 0; i < p->host_count; i++) {
		if (p->host_items[i] != BEHIND)
			p->hosts[i].events = items[p->host_items[i]].events;
	}
	n = thread_park_poll(p->hosts, p->host_count, *ready ? 0 : deadline, true);
	if (n <= 0)
		return n;
	for (u32 i = 0; i < p->host_count; i++) {
		struct poll_item *it;
		u32 got;

		if (p->host_items[i] == BEHIND)
			continue; /* the next scan asks the object itself */
		it = &items[p->host_items[i]];
		got = (u16)p->hosts[i].revents & (it->events | POLLERR | POLLHUP | POLLNVAL);
		if (got && !it->revents)
			(*ready)++;
		it->revents |= got;
	}
	return 0;
}

static void poller_end(struct poller *p)
{
	struct entry_chunk *c = &p->first, *next;

	for (; c; c = next) {
		next = c->next;
		for (u32 i = 0; i < c->used; i++)
			waitq_remove(&c->entries[i]);
		if (c != &p->first)
			kfree(c);
	}
	kfree(p->hosts);
}

long poll_wait(struct poll_item *items, size_t count, u64 deadline)
{
	struct poller p = {.table = {add_queue, add_host, add_host_behind}};
	bool registered = false;
	u32 ready;
	int err = 0;

	p.last = &p.first;
	for (;;) {
		ready = scan(&p, items, count, false);
		if (!ready && !registered && deadline) {
			ready = scan(&p, items, count, true);
			registered = true;
		}
		if (p.err || err)
			break;
		if (p.host_count)
			err = ask_host(&p, items, &ready, deadline);
		else if (!ready)
			err = deadline ? thread_park(deadline, true) : -ETIMEDOUT;
		if (ready)
			break;
	}
	poller_end(&p);
	if (ready)
		return ready;
	if (p.err)
		return p.err;
	return err == -ETIMEDOUT ? 0 : err;
}
