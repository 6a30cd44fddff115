/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify. A watch belongs to a set (an open file) and to a vnode, which it keeps; all of them lie
 * in one table under one spinlock, as do the events that wait to be read. An event that says the
 * same as the last one of its set is dropped, as on Linux, and so is what does not fit any more:
 * then the set says once that something is missing, which needs no memory.
 */
#include "kernel/vfs/inotify.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/core/share.h"
#include "kernel/sys/restart.h"
#include "kernel/vfs/file_ops.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

#define BUCKETS 64

struct watch {
	struct list_node bucket_node, set_node;
	struct inotify *set;
	struct vnode *vnode; /* counted */
	u32 mask;
	s32 wd;
};

struct event {
	struct list_node node;
	struct abi_inotify_event head; /* head.len bytes of name follow */
	char name[];
};

struct inotify {
	struct list_node watches; /* lock */
	struct list_node events;  /* lock */
	u32 event_count;	  /* lock */
	u64 bytes;		  /* lock: as read() gives them */
	s32 last_wd;		  /* lock */
	struct pollq queue;
	bool has_overflow;     /* lock: it is among the events */
	struct event overflow; /* lock: its node */
};

u32 inotify_watch_count;

static struct spinlock lock = SPINLOCK_INIT(LOCK_INOTIFY);
static struct list_node buckets[BUCKETS]; /* lock; made with the first set */
static u32 set_count;			  /* lock */
static u32 last_cookie;			  /* atomic */
static struct heap_share event_memory = HEAP_SHARE(32);

static struct list_node *bucket_of(const struct vnode *v)
{
	return &buckets[((u64)v >> 6) % BUCKETS];
}

/* --- events; the lock is held --- */

static u64 event_size(const struct event *e)
{
	return sizeof(e->head) + e->head.len;
}

static bool is_last(const struct inotify *set, const struct abi_inotify_event *head,
		    struct vfs_name name)
{
	const struct event *e;

	if (list_is_empty(&set->events))
		return false;
	e = list_last_entry(&set->events, struct event, node);
	return e->head.wd == head->wd && e->head.mask == head->mask &&
	       e->head.cookie == head->cookie && e->head.len == head->len &&
	       memcmp(e->name, name.text, name.len) == 0 &&
	       (!head->len || e->name[name.len] == '\0');
}

static void append(struct inotify *set, struct event *e)
{
	list_add_tail(&set->events, &e->node);
	set->event_count++;
	set->bytes += event_size(e);
	pollq_wake(&set->queue, POLLIN | POLLRDNORM);
}

/* The one that tells of an overflow is a part of its set. */
static void event_free(struct inotify *set, struct event *e)
{
	if (e != &set->overflow)
		heap_share_free(&event_memory, e, sizeof(*e) + e->head.len);
}

static void queue(struct inotify *set, s32 wd, u32 mask, u32 cookie, struct vfs_name name)
{
	struct abi_inotify_event head = {.wd = wd, .mask = mask, .cookie = cookie};
	struct event *e = NULL;

	if (name.len)
		head.len = (u32)ALIGN_UP(name.len + 1, sizeof(head));
	if (is_last(set, &head, name))
		return;
	if (set->event_count < INOTIFY_EVENTS_MAX)
		e = heap_share_alloc(&event_memory, sizeof(*e) + head.len, 1);
	if (e) {
		e->head = head;
		memcpy(e->name, name.text, name.len);
		append(set, e);
	} else if (!set->has_overflow) {
		set->has_overflow = true;
		append(set, &set->overflow);
	}
}

static struct event *take(struct inotify *set, size_t room, long *ret_err)
{
	struct event *e = NULL;

	spin_lock(&lock);
	*ret_err = list_is_empty(&set->events) ? -EAGAIN : -EINVAL;
	if (!list_is_empty(&set->events))
		e = list_first_entry(&set->events, struct event, node);
	if (e && event_size(e) > room)
		e = NULL;
	if (e) {
		list_del(&e->node);
		set->event_count--;
		set->bytes -= event_size(e);
		if (e == &set->overflow)
			set->has_overflow = false;
	}
	spin_unlock(&lock);
	return e;
}

/* --- watches --- */

/* The lock is held. The vnode goes when the lock is released: by free_watches(). */
static void detach(struct watch *w, struct list_node *gone)
{
	queue(w->set, w->wd, IN_IGNORED, 0, (struct vfs_name){"", 0});
	list_del(&w->bucket_node);
	list_del(&w->set_node);
	list_add_tail(gone, &w->set_node);
	__atomic_sub_fetch(&inotify_watch_count, 1, __ATOMIC_RELAXED);
}

static void free_watches(struct list_node *gone)
{
	struct watch *w, *next;

	list_for_each_entry_safe (w, next, gone, set_node) {
		list_del(&w->set_node);
		vnode_put(w->vnode);
		kfree(w);
	}
}

/* The lock is held. */
static struct watch *find(struct inotify *set, const struct vnode *v)
{
	struct watch *w;

	list_for_each_entry (w, bucket_of(v), bucket_node) {
		if (w->vnode == v && w->set == set)
			return w;
	}
	return NULL;
}

/* The lock is held: what is watched already is watched for something else, or more. */
static int change(struct watch *w, u32 mask)
{
	if (mask & IN_MASK_CREATE)
		return -EEXIST;
	if (mask & IN_MASK_ADD)
		w->mask |= mask & ~IN_MASK_ADD;
	else
		w->mask = mask;
	return w->wd;
}

int inotify_add(struct file *f, struct vnode *v, u32 mask)
{
	struct inotify *set = f->priv;
	struct watch *fresh, *w;
	int ret = -ENOSPC;

	fresh = kzalloc(sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	spin_lock(&lock);
	w = find(set, v);
	if (w) {
		ret = change(w, mask);
	} else if (inotify_watch_count < INOTIFY_WATCHES_MAX && set->last_wd < INT32_MAX) {
		*fresh = (struct watch){.set = set,
					.vnode = vnode_get(v),
					.mask = mask & ~(IN_MASK_ADD | IN_MASK_CREATE),
					.wd = ++set->last_wd};
		list_add_tail(bucket_of(v), &fresh->bucket_node);
		list_add_tail(&set->watches, &fresh->set_node);
		__atomic_add_fetch(&inotify_watch_count, 1, __ATOMIC_RELAXED);
		ret = fresh->wd;
		fresh = NULL;
	}
	spin_unlock(&lock);
	kfree(fresh);
	return ret;
}

int inotify_remove(struct file *f, s32 wd)
{
	struct inotify *set = f->priv;
	struct list_node gone = LIST_INIT(gone);
	struct watch *w;
	int ret = -EINVAL;

	spin_lock(&lock);
	list_for_each_entry (w, &set->watches, set_node) {
		if (w->wd != wd)
			continue;
		detach(w, &gone);
		ret = 0;
		break;
	}
	spin_unlock(&lock);
	free_watches(&gone);
	return ret;
}

/* --- reports --- */

static void tell(const struct vnode *v, u32 event, u32 cookie, struct vfs_name name, bool is_gone)
{
	struct list_node gone = LIST_INIT(gone);
	struct watch *w, *next;

	spin_lock(&lock);
	list_for_each_entry_safe (w, next, bucket_of(v), bucket_node) {
		if (w->vnode != v || !(w->mask & event & IN_ALL_EVENTS))
			continue;
		if (is_gone && (w->mask & IN_EXCL_UNLINK) && name.len)
			continue;
		queue(w->set, w->wd, event, cookie, name);
		if (w->mask & IN_ONESHOT)
			detach(w, &gone);
	}
	spin_unlock(&lock);
	free_watches(&gone);
}

static u32 kind_of(const struct vnode *v)
{
	return S_ISDIR(v->mode) ? IN_ISDIR : 0;
}

void inotify_tell_file(struct dentry *d, u32 event)
{
	char name[NAME_MAX_LEN + 1];
	struct vnode *folder;
	bool is_gone;
	size_t len = dentry_place(d, name, &folder, &is_gone);

	event |= kind_of(d->vnode);
	if (folder) {
		tell(folder, event, 0, (struct vfs_name){name, len}, is_gone);
		vnode_put(folder);
	}
	inotify_tell_vnode(d->vnode, event);
}

void inotify_tell_folder(struct dentry *dir, struct vfs_name name, bool is_dir, u32 event,
			 u32 cookie)
{
	tell(dir->vnode, event | (is_dir ? IN_ISDIR : 0), cookie, name, false);
}

void inotify_tell_vnode(struct vnode *v, u32 event)
{
	tell(v, event | kind_of(v), 0, (struct vfs_name){"", 0}, false);
}

static bool is_watched(struct vnode *v)
{
	struct watch *w;
	bool found = false;

	spin_lock(&lock);
	list_for_each_entry (w, bucket_of(v), bucket_node)
		found |= w->vnode == v;
	spin_unlock(&lock);
	return found;
}

/* Its last name went, and nobody has it open any more: there is nothing left to watch. */
void inotify_name_is_gone(struct vnode *v)
{
	struct list_node gone = LIST_INIT(gone);
	struct watch *w, *next;
	struct vattr attr;

	if (!is_watched(v) || (!vnode_getattr(v, &attr) && attr.nlink))
		return;
	tell(v, IN_DELETE_SELF, 0, (struct vfs_name){"", 0}, false);
	spin_lock(&lock);
	list_for_each_entry_safe (w, next, bucket_of(v), bucket_node) {
		if (w->vnode == v)
			detach(w, &gone);
	}
	spin_unlock(&lock);
	free_watches(&gone);
}

u32 inotify_cookie(void)
{
	return __atomic_add_fetch(&last_cookie, 1, __ATOMIC_RELAXED);
}

/* --- the set as a file --- */

static int give(struct uio *uio, const struct event *e)
{
	int err = uio_copy_out(uio, &e->head, sizeof(e->head));

	return err ? err : uio_copy_out(uio, e->name, e->head.len);
}

static long inotify_read(struct file *f, struct uio *uio, u64 offset)
{
	struct inotify *set = f->priv;
	long done = 0, err = 0;

	for (;;) {
		struct event *e = take(set, uio->left, &err);

		if (e) {
			done += (long)event_size(e);
			err = give(uio, e);
			event_free(set, e);
			if (err)
				return -EFAULT;
			continue;
		}
		if (done || err != -EAGAIN || file_is_nonblocking(f))
			return done ? done : err;
		if (wait_event(&set->queue.threads,
			       __atomic_load_n(&set->event_count, __ATOMIC_ACQUIRE) > 0,
			       DEADLINE_NEVER, true))
			return -ERESTARTSYS;
	}
}

static u32 inotify_poll(struct file *f, struct poll_table *pt)
{
	struct inotify *set = f->priv;

	poll_listen(pt, &set->queue);
	return __atomic_load_n(&set->event_count, __ATOMIC_ACQUIRE) ? POLLIN | POLLRDNORM : 0;
}

static u64 inotify_data_size(struct file *f)
{
	struct inotify *set = f->priv;
	u64 bytes;

	spin_lock(&lock);
	bytes = set->bytes;
	spin_unlock(&lock);
	return bytes;
}

static void inotify_describe(struct file *f, char *buf, size_t size, size_t *len)
{
	struct inotify *set = f->priv;
	struct watch *w;

	spin_lock(&lock);
	list_for_each_entry (w, &set->watches, set_node)
		fmt_append(buf, size, len,
			   "inotify wd:%x ino:%llx sdev:%llx mask:%x ignored_mask:0\n", w->wd,
			   (unsigned long long)w->vnode->key, (unsigned long long)w->vnode->fs->dev,
			   w->mask & IN_ALL_EVENTS);
	spin_unlock(&lock);
}

static void inotify_release(struct file *f)
{
	struct list_node gone = LIST_INIT(gone), events = LIST_INIT(events);
	struct inotify *set = f->priv;
	struct watch *w, *next_watch;
	struct event *e, *next;

	spin_lock(&lock);
	list_for_each_entry_safe (w, next_watch, &set->watches, set_node)
		detach(w, &gone);
	list_splice_tail(&events, &set->events);
	set_count--;
	spin_unlock(&lock);
	free_watches(&gone);
	list_for_each_entry_safe (e, next, &events, node)
		event_free(set, e);
	pollq_fini(&set->queue);
	kfree(set);
}

static const struct file_ops inotify_ops = {
	.no_splice = true,
	.is_stream = true,
	.release = inotify_release,
	.read = inotify_read,
	.poll = inotify_poll,
	.data_size = inotify_data_size,
	.describe = inotify_describe,
};

bool file_is_inotify(const struct file *f)
{
	return f->ops == &inotify_ops;
}

/* One set more, where that is allowed; the table is made with the first. */
static bool count_set(void)
{
	bool ok;

	spin_lock(&lock);
	for (u32 i = 0; i < BUCKETS && !buckets[i].next; i++)
		list_init(&buckets[i]);
	ok = set_count < INOTIFY_SETS_MAX;
	set_count += ok;
	spin_unlock(&lock);
	return ok;
}

int inotify_new(u32 flags, struct file **ret)
{
	struct inotify *set;
	int err = -ENOMEM;

	if (!count_set())
		return -EMFILE;
	set = kzalloc(sizeof(*set));
	if (set) {
		list_init(&set->watches);
		list_init(&set->events);
		pollq_init(&set->queue);
		set->overflow.head = (struct abi_inotify_event){.wd = -1, .mask = IN_Q_OVERFLOW};
		err = file_new_anon(&inotify_ops, "anon_inode:inotify", 0600,
				    O_RDONLY | (flags & IN_NONBLOCK), set, ret);
	}
	if (err) {
		kfree(set);
		spin_lock(&lock);
		set_count--;
		spin_unlock(&lock);
	}
	return err;
}
