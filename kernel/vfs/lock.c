/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lock lists are short, so they are plain lists in order of arrival; setting a lock rebuilds the
 * owner's part: what the new range covers is cut away and one new piece is added. One mutex
 * guards all lists and the table of waiting owners, because the deadlock check spans files.
 */
#include "kernel/vfs/lock.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/core/share.h"
#include "kernel/sys/restart.h"
#include "kernel/vfs/walk.h"

#define LOCKS_MAX 8192 /* of one file */

static struct heap_share memory = HEAP_SHARE(32); /* locks of all files */

struct file_locks {
	struct list_node held;
	struct waitq released;
	u32 count;
};

struct lock_wait {
	struct list_node node;
	const void *owner;
	const void *holder; /* owner of the lock waited for */
	const struct file_locks *file;
};

static struct mutex lock = MUTEX_INIT(lock, LOCK_FILE_LOCKS);
static struct list_node waits = LIST_INIT(waits); /* POSIX owners that wait */

static struct file_locks *locks_of(struct vnode *v)
{
	struct file_locks *l = v->locks;

	if (l)
		return l;
	l = kzalloc(sizeof(*l));
	if (!l)
		return NULL;
	list_init(&l->held);
	waitq_init(&l->released);
	v->locks = l;
	return l;
}

/* A lock of the file is gone. Who waited for it tries again, and until then waits for nobody. */
static void released(struct file_locks *l)
{
	struct lock_wait *w, *next;

	list_for_each_entry_safe (w, next, &waits, node) {
		if (w->file == l) {
			list_del(&w->node);
			list_init(&w->node);
		}
	}
	waitq_wake_all(&l->released);
}

static bool same_class(const struct file_lock *a, const struct file_lock *b)
{
	return (a->kind == LOCK_FLOCK) == (b->kind == LOCK_FLOCK);
}

static bool overlaps(const struct file_lock *a, const struct file_lock *b)
{
	return a->start <= b->end && b->start <= a->end;
}

/* The one that begins first: what F_GETLK names. */
static struct file_lock *find_conflict(struct file_locks *l, const struct file_lock *r)
{
	struct file_lock *h, *first = NULL;

	list_for_each_entry (h, &l->held, node) {
		if (same_class(h, r) && overlaps(h, r) &&
		    !(h->owner == r->owner && h->kind == r->kind) &&
		    (h->type == F_WRLCK || r->type == F_WRLCK) &&
		    (!first || h->start < first->start))
			first = h;
	}
	return first;
}

/* Would waiting for `holder` close a circle back to `owner`? */
static bool is_deadlock(const void *owner, const void *holder)
{
	u32 steps = 0;
	bool found = true;

	while (found && steps++ < LOCKS_MAX) {
		struct lock_wait *w;

		if (holder == owner)
			return true;
		found = false;
		list_for_each_entry (w, &waits, node) {
			if (w->owner == holder) {
				holder = w->holder;
				found = true;
				break;
			}
		}
	}
	return false;
}

static void lock_free(struct file_lock *h)
{
	heap_share_free(&memory, h, sizeof(*h));
}

static void lock_drop(struct file_locks *l, struct file_lock *h)
{
	list_del(&h->node);
	l->count--;
	lock_free(h);
}

static void lock_add(struct file_locks *l, struct file_lock *h, const struct file_lock *as)
{
	*h = *as;
	list_add_tail(&l->held, &h->node);
	l->count++;
}

/* A lock is given up in the middle: what is left of it are two. */
static bool splits(struct file_locks *l, const struct file_lock *r)
{
	struct file_lock *h;

	list_for_each_entry (h, &l->held, node) {
		if (h->kind == r->kind && h->owner == r->owner && h->start < r->start &&
		    h->end > r->end)
			return true;
	}
	return false;
}

/*
 * Two spare locks are allocated first, so that a change cannot fail in the middle. What only frees
 * needs none: it is always possible.
 */
static int apply(struct file_locks *l, const struct file_lock *r)
{
	struct file_lock *fresh = NULL, *split = NULL;
	struct file_lock *h, *tmp;
	struct file_lock want = *r;
	int err = -ENOLCK;

	if (r->type != F_UNLCK || splits(l, r)) {
		if (l->count > LOCKS_MAX - 2)
			return -ENOLCK;
		fresh = heap_share_alloc(&memory, sizeof(*fresh), vfs_caller_shares());
		split = heap_share_alloc(&memory, sizeof(*split), vfs_caller_shares());
		if (!fresh || !split)
			goto out;
	}
	list_for_each_entry_safe (h, tmp, &l->held, node) {
		if (h->kind != r->kind || h->owner != r->owner)
			continue;
		if (h->type == r->type &&
		    h->start <= (want.end == UINT64_MAX ? want.end : want.end + 1) &&
		    want.start <= (h->end == UINT64_MAX ? h->end : h->end + 1)) {
			want.start = MIN(want.start, h->start); /* same kind: one larger lock */
			want.end = MAX(want.end, h->end);
			lock_drop(l, h);
			continue;
		}
		if (!overlaps(h, &want))
			continue;
		if (h->start < want.start && h->end > want.end) {
			lock_add(l, split, h);
			split->start = want.end + 1;
			h->end = want.start - 1;
			split = NULL;
			break; /* nothing else of this owner can overlap */
		}
		if (h->start < want.start)
			h->end = want.start - 1;
		else if (h->end > want.end)
			h->start = want.end + 1;
		else
			lock_drop(l, h);
	}
	if (r->type != F_UNLCK) {
		lock_add(l, fresh, &want);
		fresh = NULL;
	}
	released(l);
	err = 0;
out:
	lock_free(fresh);
	lock_free(split);
	return err;
}

/* Sleeps until a lock of the file changed. The mutex is held before and after. */
static int wait_for_release(struct file_locks *l, const struct file_lock *r,
			    const struct file_lock *conflict)
{
	struct lock_wait w = {.owner = r->owner, .holder = conflict->owner, .file = l};
	struct wait_entry e = {0};
	bool is_posix = r->kind == LOCK_POSIX && conflict->kind == LOCK_POSIX;
	int ret;

	if (is_posix && is_deadlock(r->owner, conflict->owner))
		return -EDEADLK;
	list_init(&w.node);
	if (is_posix)
		list_add_tail(&waits, &w.node);
	waitq_add(&l->released, &e, false);
	mutex_unlock(&lock);
	ret = thread_park(DEADLINE_NEVER, true);
	mutex_lock(&lock);
	waitq_remove(&e);
	list_del(&w.node);
	return ret == -EINTR ? -ERESTARTSYS : 0;
}

int file_lock_set(struct vnode *v, const struct file_lock *request, bool wait)
{
	struct file_locks *l;
	struct file_lock *conflict;
	int err = 0;

	mutex_lock(&lock);
	l = locks_of(v);
	if (!l)
		err = -ENOLCK;
	while (!err && request->type != F_UNLCK) {
		conflict = find_conflict(l, request);
		if (!conflict)
			break;
		if (!wait)
			err = -EAGAIN;
		else
			err = wait_for_release(l, request, conflict);
	}
	if (!err)
		err = apply(l, request);
	mutex_unlock(&lock);
	return err;
}

void file_lock_test(struct vnode *v, struct file_lock *r)
{
	struct file_lock *conflict = NULL;

	mutex_lock(&lock);
	if (v->locks)
		conflict = find_conflict(v->locks, r);
	if (conflict) {
		r->type = conflict->type;
		r->start = conflict->start;
		r->end = conflict->end;
		r->pid = conflict->pid;
	} else {
		r->type = F_UNLCK;
	}
	mutex_unlock(&lock);
}

void file_locks_release(struct vnode *v, const void *owner)
{
	struct file_lock *h, *tmp;
	bool any = false;

	if (!v->locks)
		return;
	mutex_lock(&lock);
	list_for_each_entry_safe (h, tmp, &v->locks->held, node) {
		if (h->owner == owner) {
			lock_drop(v->locks, h);
			any = true;
		}
	}
	if (any)
		released(v->locks);
	mutex_unlock(&lock);
}

void file_locks_free(struct file_locks *l)
{
	struct file_lock *h, *tmp;

	if (!l)
		return;
	list_for_each_entry_safe (h, tmp, &l->held, node)
		lock_drop(l, h);
	kfree(l);
}
