// SPDX-License-Identifier: Apache-2.0
/*
 * The table of ids: process, thread, group and session numbers come from one space, as on Linux.
 * Numbers rise and wrap at 32768, as programs expect of pid_max. A number is in use as long as
 * anything is named by it, so a group keeps its number when its leader is gone.
 *
 * Slots lie in chunks made on first use. The table holds no references: who is in it takes
 * itself out before its last reference goes, and lookups take theirs under the lock.
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/proc/proc_priv.h"

#define ID_LIMIT	    32768
#define CHUNK_SIZE	    256
#define ID_FIRST_AFTER_WRAP 300

struct id_slot {
	struct process *process;
	struct thread *thread;
	u32 uses;
};

static struct spinlock lock = SPINLOCK_INIT(LOCK_IDS);
static struct id_slot *chunks[ID_LIMIT / CHUNK_SIZE]; /* lock */
static s32 last;				      /* lock */

static struct id_slot *slot_find(s32 id)
{
	struct id_slot *chunk;

	if (id <= 0 || id >= ID_LIMIT)
		return NULL;
	chunk = chunks[id / CHUNK_SIZE];
	return chunk ? &chunk[id % CHUNK_SIZE] : NULL;
}

static bool is_free(s32 id)
{
	const struct id_slot *slot = slot_find(id);

	return !slot || !slot->uses;
}

s32 id_alloc(void)
{
	struct id_slot **chunk;
	s32 id = -EAGAIN;

	spin_lock(&lock);
	for (s32 tried = 0, next = last; tried < ID_LIMIT; tried++) {
		next = next + 1 < ID_LIMIT ? next + 1 : ID_FIRST_AFTER_WRAP;
		if (!is_free(next))
			continue;
		chunk = &chunks[next / CHUNK_SIZE];
		if (!*chunk)
			*chunk = kcalloc(CHUNK_SIZE, sizeof(struct id_slot));
		if (!*chunk)
			break;
		(*chunk)[next % CHUNK_SIZE].uses = 1;
		id = last = next;
		break;
	}
	spin_unlock(&lock);
	return id;
}

void id_hold(s32 id)
{
	struct id_slot *slot;

	spin_lock(&lock);
	slot = slot_find(id);
	if (slot)
		slot->uses++;
	spin_unlock(&lock);
}

bool id_hold_used(s32 id)
{
	struct id_slot *slot;
	bool is_used;

	spin_lock(&lock);
	slot = slot_find(id);
	is_used = slot && slot->uses;
	if (is_used)
		slot->uses++;
	spin_unlock(&lock);
	return is_used;
}

void id_release(s32 id)
{
	struct id_slot *slot;

	spin_lock(&lock);
	slot = slot_find(id);
	if (slot && slot->uses)
		slot->uses--;
	spin_unlock(&lock);
}

void id_set_process(s32 id, struct process *p)
{
	struct id_slot *slot;

	spin_lock(&lock);
	slot = slot_find(id);
	if (slot)
		slot->process = p;
	spin_unlock(&lock);
}

void id_set_thread(s32 id, struct thread *t)
{
	struct id_slot *slot;

	spin_lock(&lock);
	slot = slot_find(id);
	if (slot)
		slot->thread = t;
	spin_unlock(&lock);
}

struct process *process_lookup(s32 pid)
{
	const struct id_slot *slot;
	struct process *p = NULL;

	spin_lock(&lock);
	slot = slot_find(pid);
	if (slot && slot->process)
		p = process_get(slot->process);
	spin_unlock(&lock);
	return p;
}

struct thread *thread_lookup(s32 tid)
{
	const struct id_slot *slot;
	struct thread *t = NULL;

	spin_lock(&lock);
	slot = slot_find(tid);
	if (slot && slot->thread)
		t = thread_get(slot->thread);
	spin_unlock(&lock);
	return t;
}

s32 id_next_process(s32 after)
{
	s32 found = 0;

	spin_lock(&lock);
	for (s32 id = after + 1; id < ID_LIMIT && !found; id++) {
		const struct id_slot *slot = slot_find(id);

		if (!slot)
			id |= CHUNK_SIZE - 1; /* no chunk: none of its ids */
		else if (slot->process)
			found = id;
	}
	spin_unlock(&lock);
	return found;
}
