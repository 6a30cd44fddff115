// SPDX-License-Identifier: Apache-2.0
/*
 * Waiting and waking on words of user memory.
 *
 * The word is read by uaccess, which may sleep, so it cannot be read under a bucket's spinlock as
 * Linux does. Instead a waiter is queued first and reads then: whoever changed the word before
 * it was queued is seen by the read, whoever changes it afterwards finds it queued. A waiter that
 * was woken before it read the word has consumed that wake and says so.
 *
 * Wakers collect threads under the bucket lock, each with a reference, and unpark them outside:
 * a woken thread that preempts a lock holder costs more than the whole operation.
 */
#include "abi/errno.h"
#include "abi/futex.h"
#include "kernel/futex/futex_priv.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/process.h"
#include "kernel/sched/park.h"

#define BUCKET_COUNT 256
#define WAKE_BATCH   32

struct futex_bucket {
	struct spinlock lock;
	struct list_node waiters; /* lock; head is set up on first use */
};

static struct futex_bucket buckets[BUCKET_COUNT] = {
	[0 ... BUCKET_COUNT - 1] = {.lock = SPINLOCK_INIT(LOCK_FUTEX_BUCKET)},
};

struct wake_batch {
	struct thread *threads[WAKE_BATCH];
	u32 count;
};

static struct futex_bucket *bucket_of(u64 address)
{
	u64 hash = (address >> 2) * 0x9e3779b97f4a7c15ull;

	return &buckets[hash >> 56];
}

static void bucket_lock(struct futex_bucket *b)
{
	spin_lock(&b->lock);
	if (unlikely(!b->waiters.next))
		list_init(&b->waiters);
}

/* In the order of their addresses, so that two requeues cannot block each other. */
static void bucket_lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	if (a > b) {
		struct futex_bucket *swap = a;

		a = b;
		b = swap;
	}
	bucket_lock(a);
	if (b != a)
		bucket_lock(b);
}

static void bucket_unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	spin_unlock(&a->lock);
	if (b != a)
		spin_unlock(&b->lock);
}

struct futex_key futex_key_of(u64 address, bool is_private)
{
	struct mm *mm = current_process()->mm;

	return (struct futex_key){
		.mm = mm,
		.address = address,
		/* After fork() what is not shared memory is something else in a relative. */
		.is_shared = !is_private && !(mm && mm_is_private_at(mm, address)),
	};
}

/*
 * A shared page has one address, the same for all; to whom it is not mapped, he has no business
 * with those who wait there.
 */
static int check_mapped(u64 address, bool is_private)
{
	u32 unused;

	return is_private ? 0 : get_user_u32(&unused, (const void __user *)address);
}

static bool key_matches(const struct futex_key *a, const struct futex_key *b)
{
	return a->address == b->address && (a->mm == b->mm || (a->is_shared && b->is_shared));
}

void futex_enqueue(struct futex_waiter *w, u64 address, bool is_private, u32 bitset)
{
	struct futex_bucket *b = bucket_of(address);

	*w = (struct futex_waiter){
		.bucket = b,
		.key = futex_key_of(address, is_private),
		.thread = current_thread(),
		.bitset = bitset,
	};
	bucket_lock(b);
	list_add_tail(&b->waiters, &w->node);
	spin_unlock(&b->lock);
}

bool futex_dequeue(struct futex_waiter *w)
{
	while (!__atomic_load_n(&w->woken, __ATOMIC_ACQUIRE)) {
		struct futex_bucket *b = __atomic_load_n(&w->bucket, __ATOMIC_ACQUIRE);

		bucket_lock(b);
		if (b == w->bucket && !w->woken) {
			list_del(&w->node);
			spin_unlock(&b->lock);
			return false;
		}
		spin_unlock(&b->lock); /* moved or woken meanwhile */
	}
	return true;
}

/* Bucket lock held: takes the waiter off and notes whom to unpark. */
static void take_waiter(struct futex_waiter *w, struct wake_batch *batch)
{
	batch->threads[batch->count++] = thread_get(w->thread);
	list_del(&w->node);
	__atomic_store_n(&w->woken, 1, __ATOMIC_RELEASE);
}

static void unpark_batch(struct wake_batch *batch)
{
	for (u32 i = 0; i < batch->count; i++) {
		thread_unpark(batch->threads[i]);
		thread_put(batch->threads[i]);
	}
	batch->count = 0;
}

static void collect(struct futex_bucket *b, const struct futex_key *key, u32 bitset, u32 max,
		    struct wake_batch *batch)
{
	struct futex_waiter *w, *next;

	list_for_each_entry_safe (w, next, &b->waiters, node) {
		if (batch->count == max || batch->count == WAKE_BATCH)
			return;
		if (key_matches(&w->key, key) && (w->bitset & bitset))
			take_waiter(w, batch);
	}
}

long futex_wake(u64 address, u32 count, bool is_private, u32 bitset)
{
	struct futex_key key;
	struct futex_bucket *b = bucket_of(address);
	struct wake_batch batch = {.count = 0};
	long woken = 0;
	u32 found;

	if (check_mapped(address, is_private))
		return -EFAULT;
	key = futex_key_of(address, is_private);
	do {
		bucket_lock(b);
		collect(b, &key, bitset, count - (u32)woken, &batch);
		spin_unlock(&b->lock);
		found = batch.count;
		woken += found;
		unpark_batch(&batch);
	} while (found == WAKE_BATCH && woken < count);
	return woken;
}

long futex_sleep(struct futex_waiter *w, u64 deadline)
{
	while (!__atomic_load_n(&w->woken, __ATOMIC_ACQUIRE)) {
		int err = thread_park(deadline, true);

		if (err)
			return futex_dequeue(w) ? 0 : err;
	}
	return 0;
}

long futex_wait(u64 address, u32 value, bool is_private, u32 bitset, u64 deadline)
{
	struct futex_waiter w;
	u32 now;
	int err;

	if (!bitset)
		return -EINVAL;
	/* Spares the queue when the word has changed already, which is common. */
	err = get_user_u32(&now, (const void __user *)address);
	if (err)
		return err;
	if (now != value)
		return -EAGAIN;
	futex_enqueue(&w, address, is_private, bitset);
	err = get_user_u32(&now, (const void __user *)address);
	if (err || now != value) {
		if (futex_dequeue(&w))
			return 0;
		return err ? err : -EAGAIN;
	}
	return futex_sleep(&w, deadline);
}

/* Both locks held: takes wakes and moves up to the batch's size; false: call again. */
static bool requeue_some(struct futex_bucket *from, struct futex_bucket *to,
			 const struct futex_key *from_key, const struct futex_key *to_key,
			 u32 *wake, u32 *move, struct wake_batch *batch, long *moved)
{
	struct futex_waiter *w, *next;
	struct list_node movers;

	list_init(&movers);
	list_for_each_entry_safe (w, next, &from->waiters, node) {
		if (!key_matches(&w->key, from_key))
			continue;
		if (*wake) {
			if (batch->count == WAKE_BATCH)
				return false;
			take_waiter(w, batch);
			--*wake;
		} else if (*move) {
			list_del(&w->node);
			list_add_tail(&movers, &w->node);
			w->key = *to_key;
			__atomic_store_n(&w->bucket, to, __ATOMIC_RELEASE);
			--*move;
			++*moved;
		} else {
			break;
		}
	}
	list_splice_tail(&to->waiters, &movers);
	return true;
}

long futex_requeue(u64 from, u64 to, u32 wake_count, u32 move_count, const u32 *compare,
		   bool is_private)
{
	struct futex_bucket *a = bucket_of(from), *b = bucket_of(to);
	struct futex_key key, to_key;
	struct wake_batch batch = {.count = 0};
	long woken = 0, moved = 0;
	bool done;

	if (check_mapped(from, is_private) || check_mapped(to, is_private))
		return -EFAULT;
	if (compare) {
		u32 now;

		if (get_user_u32(&now, (const void __user *)from))
			return -EFAULT;
		if (now != *compare)
			return -EAGAIN;
	}
	key = futex_key_of(from, is_private);
	to_key = futex_key_of(to, is_private);
	do {
		bucket_lock_two(a, b);
		done = requeue_some(a, b, &key, &to_key, &wake_count, &move_count, &batch, &moved);
		bucket_unlock_two(a, b);
		woken += batch.count;
		unpark_batch(&batch);
	} while (!done);
	return compare ? woken + moved : woken;
}

static int apply_op(u64 address, u32 op, s32 arg, u32 *ret_old)
{
	u32 old, new_value, seen;
	int err = get_user_u32(&old, (const void __user *)address);

	while (!err) {
		switch (op) {
		case FUTEX_OP_SET: new_value = (u32)arg; break;
		case FUTEX_OP_ADD: new_value = old + (u32)arg; break;
		case FUTEX_OP_OR: new_value = old | (u32)arg; break;
		case FUTEX_OP_ANDN: new_value = old & ~(u32)arg; break;
		case FUTEX_OP_XOR: new_value = old ^ (u32)arg; break;
		default: return -ENOSYS;
		}
		err = cmpxchg_user_u32((void __user *)address, old, new_value, &seen);
		if (!err && seen == old)
			break;
		old = seen;
	}
	*ret_old = old;
	return err;
}

static int compare_op(u32 compare, s32 old, s32 arg)
{
	switch (compare) {
	case FUTEX_OP_CMP_EQ: return old == arg;
	case FUTEX_OP_CMP_NE: return old != arg;
	case FUTEX_OP_CMP_LT: return old < arg;
	case FUTEX_OP_CMP_LE: return old <= arg;
	case FUTEX_OP_CMP_GT: return old > arg;
	case FUTEX_OP_CMP_GE: return old >= arg;
	default: return -ENOSYS;
	}
}

static s32 sign_extend_12(u32 value)
{
	return (s32)(value << 20) >> 20;
}

long futex_wake_op(u64 first, u64 second, u32 wake_count, u32 wake_count2, u32 op, bool is_private)
{
	u32 operation = (op >> 28) & 7;
	u32 compare = (op >> 24) & 15;
	s32 arg = sign_extend_12((op >> 12) & 0xfff);
	s32 compare_arg = sign_extend_12(op & 0xfff);
	u32 old;
	int err;
	long woken, more;

	if ((op >> 28) & FUTEX_OP_OPARG_SHIFT)
		arg = (s32)(1u << (arg & 31));
	if (compare_op(compare, 0, 0) < 0)
		return -ENOSYS;
	err = check_mapped(first, is_private);
	if (!err)
		err = apply_op(second, operation, arg, &old);
	if (err)
		return err;
	woken = futex_wake(first, wake_count, is_private, FUTEX_BITSET_MATCH_ANY);
	if (woken < 0 || !compare_op(compare, (s32)old, compare_arg))
		return woken;
	more = futex_wake(second, wake_count2, is_private, FUTEX_BITSET_MATCH_ANY);
	return more < 0 ? more : woken + more;
}
