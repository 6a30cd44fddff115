// SPDX-License-Identifier: Apache-2.0
/*
 * System V shared memory over mem_objects: a segment is an object with a key, an owner and a count
 * of attachments. The pages of an object have one address for all who map it, so every process
 * attaches a segment at the same place; another address asked for is refused by mm.
 *
 * Nothing here waits: one mutex covers segments and attachments.
 */
#include "kernel/ipc/shm.h"

#include "abi/errno.h"
#include "abi/resource.h"
#include "kernel/core/kmem.h"
#include "kernel/ipc/ids.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sync/mutex.h"
#include "lib/base/string.h"

#define PROT_READ  1
#define PROT_WRITE 2
#define PROT_EXEC  4
#define MAP_SHARED 1
#define MAP_FIXED  0x10

struct segment {
	struct ipc_object ipc; /* removed, it goes with the last attachment */
	struct mem_object *object;
	u64 size;
	s64 attach_time, detach_time;
	s32 creator_pid, last_pid;
	u64 attachments;
};

struct attachment {
	struct list_node node;
	struct segment *segment;
	u64 address;
};

struct shm_attachments {
	struct list_node list;
};

static struct mutex lock = MUTEX_INIT(lock, LOCK_SHM);
static struct ipc_table segments; /* lock */

static void shm_lock(void)
{
	mutex_lock(&lock);
}

static struct segment *segment_of(struct ipc_object *o)
{
	return o ? container_of(o, struct segment, ipc) : NULL;
}

static struct segment *find_id(s32 id)
{
	return segment_of(ipc_find(&segments, id));
}

static void destroy(struct segment *s)
{
	ipc_remove(&segments, &s->ipc);
	mem_object_put(s->object);
	kfree(s);
}

static long create(s32 key, u64 size, u32 flags)
{
	struct process *p = current_process();
	struct segment *s;
	int err;

	if (!size || size > (1ull << 46))
		return -EINVAL;
	s = kzalloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->object = mem_object_new(ALIGN_UP(size, (u64)PAGE_SIZE));
	if (!s->object) {
		kfree(s);
		return -ENOMEM;
	}
	err = ipc_add(&segments, &s->ipc, key, flags);
	if (err) {
		mem_object_put(s->object);
		kfree(s);
		return err;
	}
	s->size = size;
	s->creator_pid = p->pid;
	return s->ipc.id;
}

static long get_locked(s32 key, u64 size, u32 flags)
{
	struct ipc_object *o;
	int err = ipc_open(&segments, key, flags, &o);

	if (err)
		return err;
	if (!o)
		return create(key, size, flags);
	if (size > segment_of(o)->size)
		return -EINVAL;
	return ipc_may_get(o, flags) ? o->id : -EACCES;
}

long shm_get(s32 key, u64 size, u32 flags)
{
	long ret;

	shm_lock();
	ret = get_locked(key, size, flags);
	mutex_unlock(&lock);
	return ret;
}

static struct shm_attachments *attachments_of(struct process *p)
{
	if (!p->shm) {
		p->shm = kmalloc(sizeof(*p->shm));
		if (p->shm)
			list_init(&p->shm->list);
	}
	return p->shm;
}

static long map_segment(struct segment *s, u64 address, u32 flags)
{
	u32 prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) |
		   (flags & SHM_EXEC ? PROT_EXEC : 0);
	u32 may = prot | PROT_EXEC; /* who attaches to read may be forbidden to write */
	u32 map_flags = MAP_SHARED;

	if (address) {
		if (flags & SHM_RND)
			address = ALIGN_DOWN(address, (u64)SHMLBA);
		if (address & (SHMLBA - 1))
			return -EINVAL;
		map_flags |= MAP_FIXED;
	} else if (flags & SHM_REMAP) {
		return -EINVAL;
	}
	return mm_map_object(current_process()->mm, address, s->object, prot, may, map_flags);
}

static long attach_locked(s32 id, u64 address, u32 flags)
{
	struct process *p = current_process();
	struct shm_attachments *all = attachments_of(p);
	struct segment *s = find_id(id);
	struct attachment *a;
	long ret;

	if (!all)
		return -ENOMEM;
	if (!s)
		return -EINVAL;
	if (!ipc_may_access(&s->ipc, flags & SHM_RDONLY ? 4 : 6))
		return -EACCES;
	a = kmalloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	ret = map_segment(s, address, flags);
	if (ret < 0) {
		kfree(a);
		return ret;
	}
	a->segment = s;
	a->address = (u64)ret;
	list_add_tail(&all->list, &a->node);
	s->attachments++;
	s->attach_time = ipc_now();
	s->last_pid = p->pid;
	return ret;
}

long shm_attach(s32 id, u64 address, u32 flags)
{
	long ret;

	shm_lock();
	ret = attach_locked(id, address, flags);
	mutex_unlock(&lock);
	return ret;
}

/* Lock held. */
static void drop_attachment(struct attachment *a, s32 pid)
{
	struct segment *s = a->segment;

	list_del(&a->node);
	kfree(a);
	s->detach_time = ipc_now();
	s->last_pid = pid;
	if (--s->attachments == 0 && s->ipc.is_removed)
		destroy(s);
}

int shm_detach(u64 address)
{
	struct process *p = current_process();
	struct attachment *a;
	int err = -EINVAL;

	shm_lock();
	if (p->shm) {
		list_for_each_entry (a, &p->shm->list, node) {
			if (a->address != address)
				continue;
			err = mm_munmap(p->mm, address, ALIGN_UP(a->segment->size, (u64)PAGE_SIZE));
			if (!err)
				drop_attachment(a, p->pid);
			break;
		}
	}
	mutex_unlock(&lock);
	return err;
}

int shm_process_fork(struct process *p, struct process *child)
{
	struct attachment *a, *copy;
	int err = 0;

	if (!p->shm)
		return 0;
	if (!attachments_of(child))
		return -ENOMEM;
	shm_lock();
	list_for_each_entry (a, &p->shm->list, node) {
		copy = kmalloc(sizeof(*copy));
		if (!copy) {
			err = -ENOMEM; /* what was copied goes with the child */
			break;
		}
		*copy = (struct attachment){.segment = a->segment, .address = a->address};
		list_add_tail(&child->shm->list, &copy->node);
		a->segment->attachments++;
		a->segment->attach_time = ipc_now();
		a->segment->last_pid = child->pid;
	}
	mutex_unlock(&lock);
	return err;
}

void shm_process_exit(struct process *p)
{
	struct attachment *a, *next;

	if (!p->shm)
		return;
	shm_lock();
	list_for_each_entry_safe (a, next, &p->shm->list, node)
		drop_attachment(a, p->pid);
	mutex_unlock(&lock);
	kfree(p->shm);
	p->shm = NULL;
}

static void describe(const struct segment *s, struct abi_shmid_ds *ret)
{
	ret->perm.mode |= s->ipc.is_removed ? SHM_DEST : 0;
	ret->size = s->size;
	ret->atime = s->attach_time;
	ret->dtime = s->detach_time;
	ret->ctime = s->ipc.change_time;
	ret->creator_pid = s->creator_pid;
	ret->last_pid = s->last_pid;
	ret->attach_count = s->attachments;
}

long shm_stat(s32 id, enum ipc_stat_how how, struct abi_shmid_ds *ret)
{
	struct ipc_object *o;
	long result;

	memset(ret, 0, sizeof(*ret));
	shm_lock();
	result = ipc_stat(&segments, id, how, &o, &ret->perm);
	if (result >= 0)
		describe(segment_of(o), ret);
	mutex_unlock(&lock);
	return result;
}

int shm_set(s32 id, const struct abi_shmid_ds *values)
{
	struct ipc_object *o;
	int err;

	shm_lock();
	err = ipc_find_owned(&segments, id, &o);
	if (!err)
		ipc_set_perm(o, &values->perm);
	mutex_unlock(&lock);
	return err;
}

/* The pages stay where they are in any case: what is left of locking is who may. */
int shm_may_lock(s32 id, bool lock_it)
{
	const struct process *p = current_process();
	struct ipc_object *o;
	int err;

	shm_lock();
	err = ipc_find_owned(&segments, id, &o);
	mutex_unlock(&lock);
	if (credentials_capable(&p->cred, CAP_IPC_LOCK))
		return err == -EPERM ? 0 : err;
	if (err)
		return err;
	return lock_it && !p->limits[ABI_RLIMIT_MEMLOCK].soft ? -EPERM : 0;
}

int shm_remove(s32 id)
{
	struct ipc_object *o;
	int err;

	shm_lock();
	err = ipc_find_owned(&segments, id, &o);
	if (!err && segment_of(o)->attachments)
		o->is_removed = true;
	else if (!err)
		destroy(segment_of(o));
	mutex_unlock(&lock);
	return err;
}

void shm_totals(struct shm_totals *ret)
{
	*ret = (struct shm_totals){0};
	shm_lock();
	ret->segments = ipc_count(&segments);
	ret->highest_index = ipc_highest_index(&segments);
	for (s32 i = 0; i <= ret->highest_index; i++) {
		struct segment *s = segment_of(ipc_find_index(&segments, i));

		ret->bytes += s ? ALIGN_UP(s->size, (u64)PAGE_SIZE) : 0;
	}
	mutex_unlock(&lock);
}
