// SPDX-License-Identifier: Apache-2.0
/*
 * System V shared memory over mem_objects: a segment is an object with a key, an owner and a count
 * of attachments. The pages of an object have one address for all who map it, so every process
 * attaches a segment at the same place; another address asked for is refused by mm.
 *
 * Ids hold an index and a sequence number, so that an id of a removed segment is not taken for
 * that of its successor. Nothing here waits: one mutex covers segments and attachments.
 */
#include "kernel/ipc/shm.h"

#include "abi/errno.h"
#include "abi/ipc.h"
#include "kernel/core/kmem.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sync/mutex.h"
#include "kernel/time/clock.h"
#include "kernel/time/timespec.h"
#include "lib/base/string.h"

#define INDEX_BITS 12
static_assert(SHM_SEGMENTS_MAX == 1 << INDEX_BITS, "an id holds an index");
#define SEQUENCE_MASK 0x7ffff
#define PROT_READ     1
#define PROT_WRITE    2
#define PROT_EXEC     4
#define MAP_SHARED    1
#define MAP_FIXED     0x10

struct segment {
	s32 id, key;
	struct mem_object *object;
	u64 size;
	u32 uid, gid, creator_uid, creator_gid, mode;
	s64 attach_time, detach_time, change_time;
	s32 creator_pid, last_pid;
	u64 attachments;
	bool is_removed; /* goes with the last attachment */
};

struct attachment {
	struct list_node node;
	struct segment *segment;
	u64 address;
};

struct shm_attachments {
	struct list_node list;
};

static struct mutex lock;
static u32 lock_state;				   /* 0 fresh, 1 being made, 2 ready */
static struct segment *segments[SHM_SEGMENTS_MAX]; /* lock */
static u32 sequence;				   /* lock */

static void shm_lock(void)
{
	u32 fresh = 0;

	if (__atomic_load_n(&lock_state, __ATOMIC_ACQUIRE) != 2) {
		if (__atomic_compare_exchange_n(&lock_state, &fresh, 1, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE)) {
			mutex_init(&lock, LOCK_SHM);
			__atomic_store_n(&lock_state, 2, __ATOMIC_RELEASE);
		}
		while (__atomic_load_n(&lock_state, __ATOMIC_ACQUIRE) != 2)
			cpu_relax();
	}
	mutex_lock(&lock);
}

static s64 now_seconds(void)
{
	return (s64)(clock_realtime_ns() / NS_PER_SEC);
}

static struct segment *find_id(s32 id)
{
	struct segment *s;

	if (id < 0)
		return NULL;
	s = segments[id & (SHM_SEGMENTS_MAX - 1)];
	return s && s->id == id ? s : NULL;
}

static struct segment *find_key(s32 key)
{
	for (u32 i = 0; i < SHM_SEGMENTS_MAX; i++) {
		if (segments[i] && segments[i]->key == key && !segments[i]->is_removed)
			return segments[i];
	}
	return NULL;
}

static bool may_access(const struct segment *s, u32 wanted)
{
	const struct credentials *c = &current_process()->cred;
	u32 granted = s->mode;

	if (c->euid == 0)
		return true;
	if (c->euid == s->uid || c->euid == s->creator_uid)
		granted >>= 6;
	else if (c->egid == s->gid || c->egid == s->creator_gid)
		granted >>= 3;
	return !(wanted & ~granted & 7);
}

static bool is_owner(const struct segment *s)
{
	u32 euid = current_process()->cred.euid;

	return euid == 0 || euid == s->uid || euid == s->creator_uid;
}

static void destroy(struct segment *s)
{
	segments[s->id & (SHM_SEGMENTS_MAX - 1)] = NULL;
	mem_object_put(s->object);
	kfree(s);
}

static long create(s32 key, u64 size, u32 flags)
{
	struct process *p = current_process();
	struct segment *s;
	u32 index = 0;

	if (!size || size > (1ull << 46))
		return -EINVAL;
	while (index < SHM_SEGMENTS_MAX && segments[index])
		index++;
	if (index == SHM_SEGMENTS_MAX)
		return -ENOSPC;
	s = kzalloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->object = mem_object_new(ALIGN_UP(size, (u64)PAGE_SIZE));
	if (!s->object) {
		kfree(s);
		return -ENOMEM;
	}
	sequence = (sequence + 1) & (SEQUENCE_MASK >> 1);
	s->id = (s32)(sequence << INDEX_BITS | index);
	s->key = key;
	s->size = size;
	s->mode = flags & 0777;
	s->uid = s->creator_uid = p->cred.euid;
	s->gid = s->creator_gid = p->cred.egid;
	s->creator_pid = p->pid;
	s->change_time = now_seconds();
	segments[index] = s;
	return s->id;
}

static long get_locked(s32 key, u64 size, u32 flags)
{
	struct segment *s = key == IPC_PRIVATE ? NULL : find_key(key);
	u32 wanted = ((flags >> 6) | (flags >> 3) | flags) & 7;

	if (!s) {
		if (key != IPC_PRIVATE && !(flags & IPC_CREAT))
			return -ENOENT;
		return create(key, size, flags);
	}
	if ((flags & IPC_CREAT) && (flags & IPC_EXCL))
		return -EEXIST;
	if (size > s->size)
		return -EINVAL;
	return may_access(s, wanted) ? s->id : -EACCES;
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
	return mm_map_object(current_process()->mm, address, s->object, prot, map_flags);
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
	if (!may_access(s, flags & SHM_RDONLY ? 4 : 6))
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
	s->attach_time = now_seconds();
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
	s->detach_time = now_seconds();
	s->last_pid = pid;
	if (--s->attachments == 0 && s->is_removed)
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
			drop_attachment(a, p->pid);
			break;
		}
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

int shm_stat(s32 id, struct abi_shmid_ds *ret)
{
	struct segment *s;
	int err = 0;

	memset(ret, 0, sizeof(*ret));
	shm_lock();
	s = find_id(id);
	if (!s)
		err = -EINVAL;
	else if (!may_access(s, 4))
		err = -EACCES;
	if (!err) {
		ret->perm.key = s->is_removed ? IPC_PRIVATE : s->key;
		ret->perm.uid = s->uid;
		ret->perm.gid = s->gid;
		ret->perm.cuid = s->creator_uid;
		ret->perm.cgid = s->creator_gid;
		ret->perm.mode = s->mode | (s->is_removed ? SHM_DEST : 0);
		ret->perm.sequence = (u16)(s->id >> INDEX_BITS);
		ret->size = s->size;
		ret->atime = s->attach_time;
		ret->dtime = s->detach_time;
		ret->ctime = s->change_time;
		ret->creator_pid = s->creator_pid;
		ret->last_pid = s->last_pid;
		ret->attach_count = s->attachments;
	}
	mutex_unlock(&lock);
	return err;
}

int shm_set(s32 id, const struct abi_shmid_ds *values)
{
	struct segment *s;
	int err = 0;

	shm_lock();
	s = find_id(id);
	if (!s)
		err = -EINVAL;
	else if (!is_owner(s))
		err = -EPERM;
	if (!err) {
		s->uid = values->perm.uid;
		s->gid = values->perm.gid;
		s->mode = (s->mode & ~0777u) | (values->perm.mode & 0777);
		s->change_time = now_seconds();
	}
	mutex_unlock(&lock);
	return err;
}

int shm_remove(s32 id)
{
	struct segment *s;
	int err = 0;

	shm_lock();
	s = find_id(id);
	if (!s)
		err = -EINVAL;
	else if (!is_owner(s))
		err = -EPERM;
	else if (s->attachments)
		s->is_removed = true;
	else
		destroy(s);
	mutex_unlock(&lock);
	return err;
}

void shm_totals(struct shm_totals *ret)
{
	*ret = (struct shm_totals){0};
	shm_lock();
	for (u32 i = 0; i < SHM_SEGMENTS_MAX; i++) {
		if (!segments[i])
			continue;
		ret->segments++;
		ret->bytes += ALIGN_UP(segments[i]->size, (u64)PAGE_SIZE);
		ret->highest_index = (s32)i;
	}
	mutex_unlock(&lock);
}
