/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll. An item listens to the queues of its file for as long as it exists; a wake-up moves it to
 * its instance's ready list, and epoll_wait() asks only those. A level-triggered item stays on the
 * list while its file is ready. Items do not keep their file open: the file's last put removes
 * them. One mutex guards all instances' items (a file may be in many); the ready lists have a
 * spinlock of their own, because wake-ups come from anywhere.
 */
#include "kernel/vfs/epoll_priv.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/core/share.h"
#include "kernel/vfs/walk.h"

#define HOSTS_MAX    512 /* host descriptors in one instance: what one host call takes */
#define EXCLUSIVE_OK (POLLIN | POLLOUT | POLLERR | POLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)

static struct heap_share items = HEAP_SHARE(16); /* of all instances */
static struct mutex epoll_lock = MUTEX_INIT(epoll_lock, LOCK_EPOLL);

static void make_ready(struct epoll_item *it)
{
	struct epoll *ep = it->ep;

	spin_lock(&ep->ready_lock);
	if (list_is_empty(&it->ready_node))
		list_add_tail(&ep->ready, &it->ready_node);
	spin_unlock(&ep->ready_lock);
}

static void on_wake(struct poll_watch *w, u32 events)
{
	struct epoll_item *it = container_of(w, struct epoll_watch, w)->item;

	if (!(it->events & events)) /* an edge is told to those alone who ask for it */
		return;
	if (it->host_fd >= 0) {
		/* Only the host knows what is ready; but what was told once may be told again. */
		u32 told = events & POLLIN ? ~POLLOUT : POLLOUT;

		if (!(__atomic_fetch_and(&it->told, ~told, __ATOMIC_SEQ_CST) & told))
			return;
	}
	make_ready(it);
	pollq_wake(&it->ep->queue, POLLIN | POLLRDNORM);
}

/* --- items --------------------------------------------------------------------------------- */

struct registrar {
	struct poll_table table;
	struct epoll_item *item;
};

static void register_queue(struct poll_table *pt, struct pollq *q)
{
	struct epoll_item *it = container_of(pt, struct registrar, table)->item;
	struct epoll_watch *w;

	if (it->queue_count == QUEUES_MAX)
		return;
	w = &it->watches[it->queue_count++];
	w->item = it;
	w->w.notify = on_wake;
	poll_watch_add(q, &w->w);
}

static void register_host(struct poll_table *pt, s32 fd, u32 events)
{
	container_of(pt, struct registrar, table)->item->host_fd = fd;
}

static int compare(const struct epoll_item *it, const struct file *f, int fd)
{
	if (it->fd != fd)
		return it->fd < fd ? -1 : 1;
	return it->file == f ? 0 : it->file < f ? -1 : 1;
}

static struct epoll_item *item_find(struct epoll *ep, const struct file *f, int fd)
{
	struct rb_node *at = ep->items.node;

	while (at) {
		struct epoll_item *it = rb_entry(at, struct epoll_item, node);
		int c = compare(it, f, fd);

		if (!c)
			return it;
		at = c < 0 ? at->right : at->left;
	}
	return NULL;
}

static void item_free(struct epoll_item *it)
{
	struct epoll *ep = it->ep;

	for (u32 i = 0; i < it->queue_count; i++)
		poll_watch_remove(&it->watches[i].w);
	spin_lock(&ep->ready_lock);
	list_del(&it->ready_node);
	spin_unlock(&ep->ready_lock);
	list_del(&it->file_node);
	list_del(&it->host_node);
	ep->host_count -= it->host_fd >= 0;
	rb_erase(&ep->items, &it->node);
	__atomic_sub_fetch(&ep->item_count, 1, __ATOMIC_RELAXED);
	heap_share_give(&items, sizeof(*it));
	kfree(it);
}

static u32 item_poll(struct epoll_item *it);

static bool is_armed(const struct epoll_item *it)
{
	return it->events & ~(POLLERR | POLLHUP | EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE);
}

/* What a host descriptor is asked for now. */
static u32 host_events(const struct epoll_item *it)
{
	if (!is_armed(it))
		return 0;
	return it->events & 0x3fff & ~__atomic_load_n(&it->told, __ATOMIC_SEQ_CST);
}

/*
 * An instance may be reached by many ways from the one that is waited for; each round of questions
 * visits it once.
 */
static u64 round_number; /* epoll_lock */

static bool visited(struct epoll *ep)
{
	bool was = ep->asked == round_number;

	ep->asked = round_number;
	return was;
}

static struct epoll *inner_of(const struct epoll_item *it)
{
	return it->file->priv;
}

/* How many host descriptors can make the instance ready, those behind nested ones included. */
static u32 count_hosts(struct epoll *ep)
{
	struct epoll_item *it;
	u32 count;

	if (visited(ep))
		return 0;
	count = ep->host_count;
	list_for_each_entry (it, &ep->nested, host_node)
		count += count_hosts(inner_of(it));
	return count;
}

static u32 list_hosts(struct epoll *ep, struct host_pollfd *fds, u32 n)
{
	struct epoll_item *it;

	if (visited(ep))
		return n;
	list_for_each_entry (it, &ep->hosts, host_node)
		fds[n++] = (struct host_pollfd){.fd = host_events(it) ? it->host_fd : -1,
						.events = host_events(it)};
	list_for_each_entry (it, &ep->nested, host_node)
		n = list_hosts(inner_of(it), fds, n);
	return n;
}

/* All of them, kmalloc'ed. Their number, -ENOMEM. 0: none. */
static int host_list(struct epoll *ep, struct host_pollfd **ret)
{
	u32 count;

	round_number++;
	count = count_hosts(ep);
	if (!count)
		return 0;
	*ret = count <= HOSTS_MAX ? kmalloc(count * sizeof(**ret)) : NULL;
	if (!*ret)
		return -ENOMEM;
	round_number++;
	return (int)list_hosts(ep, *ret, 0);
}

/* What the host said, in the order of list_hosts(). True when it made an item ready. */
static bool take_answers(struct epoll *ep, const struct host_pollfd *fds, u32 *n)
{
	struct epoll_item *it;
	bool any = false;

	if (visited(ep))
		return !list_is_empty(&ep->ready);
	list_for_each_entry (it, &ep->hosts, host_node) {
		it->host_ready = (u16)fds[(*n)++].revents;
		if (it->host_ready) {
			make_ready(it);
			any = true;
		}
	}
	list_for_each_entry (it, &ep->nested, host_node) {
		if (take_answers(inner_of(it), fds, n)) {
			make_ready(it);
			any = true;
		}
	}
	return any;
}

/* The host does not wake us: its descriptors are always asked, all in one call. */
static void ask_hosts(struct epoll *ep)
{
	struct host_pollfd *fds = NULL;
	int count = host_list(ep, &fds);
	u32 n = 0;

	if (count <= 0)
		return;
	if (thread_park_poll(fds, (u32)count, 0, false) > 0) {
		round_number++;
		(void)take_answers(ep, fds, &n);
	}
	kfree(fds);
}

/*
 * Is anything in the instance ready, ask_hosts() done? Only what was woken is asked, and leaves the
 * list when it is not: however many instances watch each other, a look costs what has happened
 * since the last.
 */
static bool has_ready(struct epoll *ep)
{
	struct epoll_item *it;
	bool ready = false;

	spin_lock(&ep->ready_lock);
	while (!ready && !list_is_empty(&ep->ready)) {
		it = list_first_entry(&ep->ready, struct epoll_item, ready_node);
		list_del(&it->ready_node);
		spin_unlock(&ep->ready_lock);
		ready = item_poll(it);
		spin_lock(&ep->ready_lock);
		if (ready && list_is_empty(&it->ready_node))
			list_add_head(&ep->ready, &it->ready_node);
	}
	spin_unlock(&ep->ready_lock);
	return ready;
}

/* Chains are at most as long as epoll_check_paths() lets them become. */
static u32 item_poll(struct epoll_item *it)
{
	u32 got;

	if (!is_armed(it))
		return 0;
	if (it->file->ops == &epoll_ops)
		got = has_ready(it->file->priv) ? POLLIN | POLLRDNORM : 0;
	else if (it->host_fd >= 0)
		got = it->host_ready & ~__atomic_load_n(&it->told, __ATOMIC_SEQ_CST);
	else
		got = file_poll(it->file, NULL);
	return got & it->events;
}

/* After it was added or changed: it goes on the list, and wakes, only if it is ready now. */
static void item_look(struct epoll_item *it)
{
	if (it->host_fd >= 0) {
		__atomic_store_n(&it->told, 0, __ATOMIC_SEQ_CST);
		it->host_ready = file_poll(it->file, NULL);
	}
	if (it->file->ops == &epoll_ops)
		ask_hosts(inner_of(it));
	if (!item_poll(it))
		return;
	make_ready(it);
	pollq_wake(&it->ep->queue, POLLIN | POLLRDNORM);
}

static int item_add(struct epoll *ep, struct file *f, int fd, const struct abi_epoll_event *event)
{
	struct rb_node **link = &ep->items.node, *parent = NULL;
	struct registrar r = {{register_queue, register_host, NULL}, NULL};
	struct epoll_item *it;
	int err = epoll_check_loop(ep, f);

	if (err)
		return err;
	if (!heap_share_take(&items, sizeof(*it), vfs_caller_shares()))
		return -ENOSPC;
	it = kzalloc(sizeof(*it));
	if (!it) {
		heap_share_give(&items, sizeof(*it));
		return -ENOMEM;
	}
	it->ep = ep;
	it->file = f;
	it->fd = fd;
	it->events = event->events | POLLERR | POLLHUP;
	it->data = event->data;
	it->host_fd = -1;
	list_init(&it->ready_node);
	list_init(&it->host_node);
	while (*link) {
		parent = *link;
		link = compare(rb_entry(parent, struct epoll_item, node), f, fd) < 0
			       ? &parent->right
			       : &parent->left;
	}
	rb_insert(&ep->items, parent, link, &it->node);
	__atomic_add_fetch(&ep->item_count, 1, __ATOMIC_RELAXED);
	list_add_tail(&f->watchers, &it->file_node);
	err = epoll_check_paths(ep, f);
	if (err) {
		item_free(it);
		return err;
	}
	r.item = it;
	if (f->ops == &epoll_ops) {
		register_queue(&r.table, &((struct epoll *)f->priv)->queue);
		list_add_tail(&ep->nested, &it->host_node);
	} else {
		(void)file_poll(f, &r.table);
	}
	if (it->host_fd >= 0) {
		if (ep->host_count == HOSTS_MAX) {
			it->host_fd = -1;
			item_free(it);
			return -ENOSPC;
		}
		list_add_tail(&ep->hosts, &it->host_node);
		ep->host_count++;
	}
	item_look(it);
	return 0;
}

int epoll_ctl(struct file *epf, int op, int fd, struct file *f, const struct abi_epoll_event *event)
{
	struct epoll *ep = epf->priv;
	struct epoll_item *it;
	int err = 0;

	if (epf->ops != &epoll_ops || f == epf)
		return -EINVAL;
	if (!f->ops->poll)
		return -EPERM;
	if (op != EPOLL_CTL_DEL && (event->events & EPOLLEXCLUSIVE) &&
	    (op == EPOLL_CTL_MOD || f->ops == &epoll_ops || (event->events & ~EXCLUSIVE_OK)))
		return -EINVAL;
	mutex_lock(&epoll_lock);
	it = item_find(ep, f, fd);
	switch (op) {
	case EPOLL_CTL_ADD: err = it ? -EEXIST : item_add(ep, f, fd, event); break;
	case EPOLL_CTL_DEL:
		if (it)
			item_free(it);
		else
			err = -ENOENT;
		break;
	case EPOLL_CTL_MOD:
		if (!it) {
			err = -ENOENT;
		} else if (it->events & EPOLLEXCLUSIVE) {
			err = -EINVAL;
		} else {
			__atomic_store_n(&it->events, event->events | POLLERR | POLLHUP,
					 __ATOMIC_SEQ_CST);
			it->data = event->data;
			item_look(it);
		}
		break;
	default: err = -EINVAL;
	}
	mutex_unlock(&epoll_lock);
	return err;
}

void epoll_file_closed(struct file *f)
{
	if (list_is_empty(&f->watchers))
		return;
	mutex_lock(&epoll_lock);
	while (!list_is_empty(&f->watchers))
		item_free(list_first_entry(&f->watchers, struct epoll_item, file_node));
	mutex_unlock(&epoll_lock);
}

/* --- waiting ------------------------------------------------------------------------------- */

/* Takes items off the ready list and asks their files. Under epoll_lock. */
static u32 collect(struct epoll *ep, struct abi_epoll_event *ret, u32 max)
{
	struct list_node todo = LIST_INIT(todo), again = LIST_INIT(again);
	struct epoll_item *it;
	u32 count = 0;

	ask_hosts(ep);
	spin_lock(&ep->ready_lock);
	list_splice_tail(&todo, &ep->ready);
	while (!list_is_empty(&todo) && count < max) {
		u32 got;

		it = list_first_entry(&todo, struct epoll_item, ready_node);
		list_del(&it->ready_node);
		spin_unlock(&ep->ready_lock);
		got = item_poll(it);
		if (got) {
			ret[count].events = got;
			ret[count++].data = it->data;
			if (it->events & EPOLLONESHOT)
				it->events = EPOLLONESHOT;
			/* An edge is told once, until the program reads or writes there. */
			if ((it->events & EPOLLET) && it->host_fd >= 0 && it->queue_count)
				__atomic_fetch_or(&it->told, got & ~(POLLERR | POLLHUP),
						  __ATOMIC_SEQ_CST);
			it->host_ready = 0;
		}
		spin_lock(&ep->ready_lock);
		if (got && !(it->events & (EPOLLET | EPOLLONESHOT)) &&
		    list_is_empty(&it->ready_node))
			list_add_tail(&again, &it->ready_node);
	}
	/* What was not reached comes first next time. */
	list_splice_tail(&todo, &ep->ready);
	list_splice_tail(&todo, &again);
	list_splice_tail(&ep->ready, &todo);
	spin_unlock(&ep->ready_lock);
	return count;
}

u32 epoll_item_count(const struct file *epf)
{
	const struct epoll *ep = epf->priv;

	return epf->ops == &epoll_ops ? __atomic_load_n(&ep->item_count, __ATOMIC_RELAXED) : 0;
}

long epoll_wait(struct file *epf, struct abi_epoll_event *ret, u32 max, u64 deadline)
{
	struct epoll *ep = epf->priv;
	struct host_pollfd *hosts = NULL;
	struct wait_entry entry = {0};
	int err = 0, host_count = 0;
	u32 count;

	if (epf->ops != &epoll_ops || !max)
		return -EINVAL;
	waitq_add(&ep->queue.threads, &entry, true);
	for (;;) {
		mutex_lock(&epoll_lock);
		count = collect(ep, ret, max);
		hosts = NULL;
		if (!count && !err && deadline)
			host_count = host_list(ep, &hosts);
		mutex_unlock(&epoll_lock);
		if (count || err || !deadline)
			break;
		if (host_count < 0)
			err = host_count;
		else if (host_count)
			err = thread_park_poll(hosts, (u32)host_count, deadline, true);
		else
			err = thread_park(deadline, true);
		kfree(hosts);
		if (err > 0)
			err = 0;
	}
	waitq_remove(&entry);
	if (count)
		return count;
	return err == -ETIMEDOUT ? 0 : err;
}

/* False: there are too many, or no memory. */
static bool add_hosts_behind(struct epoll *ep, struct poll_table *pt)
{
	struct host_pollfd *fds = NULL;
	int count = host_list(ep, &fds);

	for (int i = 0; i < count; i++) {
		if (fds[i].fd >= 0)
			pt->add_hosts_behind(pt, fds[i].fd, (u32)fds[i].events);
	}
	kfree(fds);
	return count >= 0;
}

static u32 epoll_poll(struct file *f, struct poll_table *pt)
{
	struct epoll *ep = f->priv;
	bool ready;

	poll_listen(pt, &ep->queue);
	mutex_lock(&epoll_lock);
	ask_hosts(ep);
	ready = has_ready(ep);
	/* What cannot be waited for is called ready, so that epoll_wait() says why. */
	if (!ready && pt && pt->add_hosts_behind)
		ready = !add_hosts_behind(ep, pt);
	mutex_unlock(&epoll_lock);
	return ready ? POLLIN | POLLRDNORM : 0;
}

static void epoll_release(struct file *f)
{
	struct epoll *ep = f->priv;

	mutex_lock(&epoll_lock);
	while (ep->items.node)
		item_free(rb_entry(ep->items.node, struct epoll_item, node));
	mutex_unlock(&epoll_lock);
	pollq_fini(&ep->queue);
	kfree(ep);
}

const struct file_ops epoll_ops = {
	.no_splice = true,
	.is_stream = true,
	.release = epoll_release,
	.poll = epoll_poll,
};

int epoll_new(u32 flags, struct file **ret)
{
	struct epoll *ep = kzalloc(sizeof(*ep));
	int err;

	if (!ep)
		return -ENOMEM;
	list_init(&ep->hosts);
	list_init(&ep->nested);
	list_init(&ep->ready);
	spin_init(&ep->ready_lock, LOCK_EPOLL_READY);
	pollq_init(&ep->queue);
	err = file_new_anon(&epoll_ops, "anon_inode:[eventpoll]", 0600, O_RDWR, ep, ret);
	if (err)
		kfree(ep);
	else
		ep->file = *ret;
	return err;
}
