/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of /proc. A text is made when its file is first read and stays with the open file, so that
 * a reader in small steps sees one state; reading from the start again makes a new one. Several may
 * read one open file at a time, at places of their own.
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/core/share.h"
#include "kernel/fs/procfs/proc_priv.h"
#include "kernel/sync/mutex.h"
#include "kernel/vfs/walk.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

struct open_text {
	struct mutex lock;
	struct proc_text text; /* lock */
	u64 program;	       /* lock; private texts: of which one it tells */
};

static struct heap_share memory = HEAP_SHARE(8); /* texts of all open files */

static void text_free(struct proc_text *t)
{
	heap_share_give(&memory, t->room);
	kfree(t->bytes);
}

/* NULL: too much, for one text or for all of them. */
static char *grow(struct proc_text *t, size_t room)
{
	size_t more = room - t->room;
	char *grown;

	if (room > PROC_TEXT_MAX || !heap_share_take(&memory, more, vfs_caller_shares()))
		return NULL;
	grown = krealloc(t->bytes, room);
	if (!grown)
		heap_share_give(&memory, more);
	return grown;
}

void proc_add_bytes(struct proc_text *t, const void *bytes, size_t size)
{
	if (t->failed)
		return;
	if (size > t->room - t->len) {
		size_t room = MAX(t->room * 2, ALIGN_UP(t->len + size, PAGE_SIZE));
		char *grown = grow(t, room);

		if (!grown) {
			t->failed = true;
			return;
		}
		t->bytes = grown;
		t->room = room;
	}
	memcpy(t->bytes + t->len, bytes, size);
	t->len += size;
}

void proc_add(struct proc_text *t, const char *format, ...)
{
	char line[512];
	va_list args;
	int len;

	va_start(args, format);
	len = fmt_vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	proc_add_bytes(t, line, MIN((size_t)len, sizeof(line) - 1));
}

static int make_text(struct file *f, struct proc_text *t)
{
	struct proc_node *n = proc_of(f->vnode);
	struct process *p = n->pid ? process_lookup(n->pid) : NULL;
	int err;

	if (n->pid && !p)
		return -ESRCH;
	err = n->entry->render(t, p, n);
	if (p)
		process_put(p);
	return !err && t->failed ? -ENOMEM : err;
}

/*
 * May the caller look into the process? Asked at each reading as well: it may be another process's
 * descriptor, or the process a set-user-ID program by now. *ret_program: which one it runs, among
 * all that processes of this number ever ran.
 */
static int check_private(const struct proc_node *n, u64 *ret_program)
{
	struct process *p = process_lookup(n->pid);
	int err;

	if (!p)
		return -ESRCH;
	err = proc_lock_private(p);
	if (!err) {
		/* The next process with this number starts more than so many ns later. */
		*ret_program = p->start_ns + p->image_count;
		mutex_unlock(&p->exec_lock);
	}
	process_put(p);
	return err;
}

/*
 * Made without the lock, since it looks at all kinds of things. `only_first`: if there is none yet
 * of this program.
 */
static int renew_text(struct file *f, struct open_text *o, u64 program, bool only_first)
{
	struct proc_text fresh = {0}, unused;
	int err = make_text(f, &fresh);

	if (!err && proc_of(f->vnode)->entry->is_private) {
		u64 now;

		err = check_private(proc_of(f->vnode), &now);
		if (!err && now != program)
			err = -ESRCH; /* the one that was looked at is gone */
	}
	if (err) {
		text_free(&fresh);
		return err;
	}
	mutex_lock(&o->lock);
	if (only_first && o->text.bytes && o->program == program) {
		unused = fresh;
	} else {
		unused = o->text;
		o->text = fresh;
		o->program = program;
	}
	mutex_unlock(&o->lock);
	text_free(&unused);
	return 0;
}

/* Of another program by now: as if it had ended there. */
static long copy_text(struct open_text *o, struct uio *uio, u64 program, u64 offset)
{
	const struct proc_text *t = &o->text;
	long ret = 0;

	mutex_lock(&o->lock);
	if (o->program == program && offset < t->len) {
		ret = (long)MIN(uio->left, t->len - offset);
		if (uio_copy_out(uio, t->bytes + offset, (size_t)ret))
			ret = -EFAULT;
	}
	mutex_unlock(&o->lock);
	return ret;
}

static long text_read(struct file *f, struct uio *uio, u64 offset)
{
	const struct proc_node *n = proc_of(f->vnode);
	struct open_text *o = f->priv;
	bool is_there;
	u64 program = 0;
	int err = n->entry->is_private ? check_private(n, &program) : 0;

	if (err)
		return err;
	mutex_lock(&o->lock);
	is_there = o->text.bytes && o->program == program;
	mutex_unlock(&o->lock);
	if (!offset || !is_there)
		err = renew_text(f, o, program, offset);
	return err ? err : copy_text(o, uio, program, offset);
}

#define STORE_MAX 128

/* One write is one value; more than any value is long is not looked at, as on Linux. */
static long text_write(struct file *f, struct uio *uio, u64 *offset)
{
	struct proc_node *n = proc_of(f->vnode);
	char text[STORE_MAX] = {0};
	size_t size = uio->left;
	struct process *p;
	int err;

	if (uio_copy_in(uio, text, MIN(size, sizeof(text) - 1)))
		return -EFAULT;
	p = n->pid ? process_lookup(n->pid) : NULL;
	if (!p)
		return -ESRCH;
	err = n->entry->store(p, n, text);
	process_put(p);
	return err ? err : (long)size;
}

static void text_release(struct file *f)
{
	struct open_text *o = f->priv;

	text_free(&o->text);
	kfree(o);
}

static int text_sync(struct file *f, bool data_only)
{
	return -EINVAL;
}

static const struct file_ops text_ops = {
	.release = text_release,
	.read = text_read,
	.write = text_write,
	.seek = vnode_file_seek,
	.sync = text_sync,
};

int proc_text_open(struct file *f)
{
	const struct proc_node *n = proc_of(f->vnode);
	struct open_text *o;
	u64 unused;
	int err = n->entry->is_private ? check_private(n, &unused) : 0;

	if (err)
		return err;
	if (file_can_write(f) && !n->entry->store)
		return -EACCES;
	o = kzalloc(sizeof(*o));
	if (!o)
		return -ENOMEM;
	mutex_init(&o->lock, LOCK_PROC_TEXT);
	f->priv = o;
	f->ops = &text_ops;
	return 0;
}
