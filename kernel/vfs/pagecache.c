/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page cache. One spinlock guards trees, states and the list of pages by age; it is never held
 * over a copy to a program or over I/O. A page that is being filled is in the tree already, without
 * data: whoever writes or discards its range meanwhile marks it stale, and the filler then serves
 * its own read from it but does not keep it. Readers that meet such a page read past the cache,
 * unless it is on its way by reading ahead (readahead.c): then they wait for it.
 */
#include "kernel/vfs/pagecache.h"

#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/vfs/pagetree.h"
#include "kernel/vfs/readahead.h"
#include "lib/base/string.h"

#define FETCH_PAGES  32u /* one fill: 128 KiB */
#define AHEAD_PAGES  (4 * FETCH_PAGES)
#define AHEAD_STREAK 2u		       /* reads in order before anything is read ahead */
#define AHEAD_LIMIT  (4 * AHEAD_PAGES) /* not in a smaller cache */

struct page_cache {
	struct pagetree tree;
	u64 count;
	/* Atomic guesses at what comes next: several readers may spoil them for each other. */
	u64 next_index; /* where a sequential reader would go on */
	u32 streak;	/* reads in order so far */
	u64 ahead;	/* up to here has been asked for */
};

struct cached_page {
	struct page_cache *cache; /* NULL: no longer in a tree */
	u64 index;
	u32 refs;
	bool stale;
	bool recent;   /* used since it was last looked at by the eviction */
	bool is_ahead; /* who fills it reads ahead */
	struct list_node age_node;
	u8 *data; /* NULL while being filled */
};

static struct spinlock lock = SPINLOCK_INIT(LOCK_PAGE_CACHE);
static struct list_node by_age = LIST_INIT(by_age); /* oldest first */
static size_t page_limit, page_count;
static struct waitq settled; /* pages that were read ahead are there, or are not to be had */

void page_cache_init(size_t limit)
{
	page_limit = limit / PAGE_SIZE;
	waitq_init(&settled);
	read_ahead_init();
}

size_t page_cache_used(void)
{
	size_t count;

	spin_lock(&lock);
	count = page_count;
	spin_unlock(&lock);
	return count * PAGE_SIZE;
}

/* Takes p out of its tree; true when the caller must free it after unlocking. */
static bool page_unlink(struct cached_page *p)
{
	if (p->cache) {
		pagetree_remove(&p->cache->tree, p->index);
		p->cache->count--;
		p->cache = NULL;
		list_del(&p->age_node);
		page_count--;
	}
	p->stale = true;
	return p->refs == 0;
}

static void page_free(struct cached_page *p)
{
	if (p->data)
		kfree(p->data);
	kfree(p);
}

static void page_put(struct cached_page *p)
{
	bool dead;

	spin_lock(&lock);
	dead = --p->refs == 0 && !p->cache;
	spin_unlock(&lock);
	if (dead)
		page_free(p);
}

/* Makes room for `count` more pages; gives up when all are in use. */
static void evict(u32 count)
{
	u64 tries;

	spin_lock(&lock);
	tries = 2 * page_count + 1;
	while (page_count + count > page_limit && tries-- && !list_is_empty(&by_age)) {
		struct cached_page *p = list_first_entry(&by_age, struct cached_page, age_node);

		list_del(&p->age_node);
		list_add_tail(&by_age, &p->age_node);
		if (p->recent || p->refs) {
			p->recent = false;
			continue;
		}
		if (page_unlink(p)) {
			spin_unlock(&lock);
			page_free(p);
			spin_lock(&lock);
		}
	}
	spin_unlock(&lock);
}

static struct page_cache *cache_of(struct vnode *v)
{
	struct page_cache *c = __atomic_load_n(&v->cache, __ATOMIC_ACQUIRE);
	struct page_cache *none = NULL;

	if (likely(c))
		return c;
	c = kzalloc(sizeof(*c));
	if (!c)
		return NULL;
	if (__atomic_compare_exchange_n(&v->cache, &none, c, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return c;
	kfree(c);
	return none;
}

/* Up to `max` filled pages from `index` on, counted. */
static u32 pages_find(struct page_cache *c, u64 index, u32 max, struct cached_page **pages)
{
	u32 n;

	spin_lock(&lock);
	for (n = 0; n < max; n++) {
		struct cached_page *p = pagetree_get(&c->tree, index + n);

		if (!p || !p->data)
			break;
		p->refs++;
		p->recent = true;
		pages[n] = p;
	}
	spin_unlock(&lock);
	return n;
}

static void pages_put(struct cached_page **pages, u32 count)
{
	u32 dead = 0;

	spin_lock(&lock);
	for (u32 i = 0; i < count; i++) {
		if (--pages[i]->refs == 0 && !pages[i]->cache)
			pages[dead++] = pages[i];
	}
	spin_unlock(&lock);
	while (dead)
		page_free(pages[--dead]);
}

/* Claims up to `max` absent pages from `index` on; they are in the tree, empty and counted. */
static u32 claim(struct page_cache *c, u64 index, u32 max, bool is_ahead,
		 struct cached_page **pages)
{
	u32 n;

	for (n = 0; n < max; n++) {
		struct cached_page *p = kzalloc(sizeof(*p));
		bool ok;

		if (!p)
			break;
		p->index = index + n;
		p->refs = 1;
		p->recent = true;
		p->is_ahead = is_ahead;
		spin_lock(&lock);
		ok = !pagetree_get(&c->tree, p->index) && !pagetree_set(&c->tree, p->index, p);
		if (ok) {
			p->cache = c;
			c->count++;
			page_count++;
			list_add_tail(&by_age, &p->age_node);
		}
		spin_unlock(&lock);
		if (!ok) {
			kfree(p);
			break;
		}
		pages[n] = p;
	}
	return n;
}

/*
 * Pages on their way in: the first `claimed` are in the tree, without data until settle(). Whatever
 * becomes of them there, `bytes` are good until the fetch is over.
 */
struct fetch {
	bool is_ahead;
	u32 count, claimed;
	struct cached_page *pages[FETCH_PAGES];
	u8 *bytes[FETCH_PAGES];
	bool kept[FETCH_PAGES]; /* the page in the tree has the bytes */
};

/* Memory for up to `want` pages; at least one. */
static int fetch_begin(struct fetch *f, struct page_cache *c, u64 index, u32 want, bool is_ahead)
{
	f->is_ahead = is_ahead;
	f->claimed = 0;
	for (f->count = 0; f->count < want; f->count++) {
		f->bytes[f->count] = kmalloc(PAGE_SIZE); /* not zeroed */
		f->kept[f->count] = false;
		if (!f->bytes[f->count])
			break;
	}
	if (!f->count)
		return -ENOMEM;
	evict(f->count);
	if (page_limit > f->count)
		f->claimed = claim(c, index, f->count, is_ahead, f->pages);
	return 0;
}

/* Hands the bytes to the claimed pages, or takes the pages back. */
static void settle(struct fetch *f, bool good)
{
	spin_lock(&lock);
	for (u32 i = 0; i < f->claimed; i++) {
		struct cached_page *p = f->pages[i];

		if (good && !p->stale) {
			p->data = f->bytes[i];
			f->kept[i] = true;
		} else {
			page_unlink(p);
		}
	}
	spin_unlock(&lock);
	if (f->is_ahead)
		waitq_wake_all(&settled);
}

static void fetch_end(struct fetch *f)
{
	for (u32 i = 0; i < f->count; i++) {
		if (!f->kept[i])
			kfree(f->bytes[i]);
	}
	pages_put(f->pages, f->claimed);
}

/* How many pages to fetch at once: a sequential reader or a long read gets many. */
static u32 fetch_count(struct page_cache *c, u64 index, u64 last, u64 end)
{
	u64 want = last - index + 1;

	if (index == __atomic_load_n(&c->next_index, __ATOMIC_RELAXED) && index)
		want = MAX(want,
			   FETCH_PAGES - index % FETCH_PAGES); /* to where reading ahead goes on */
	if (want > FETCH_PAGES)
		want = FETCH_PAGES;
	return MIN(want, MAX(end - index, (u64)1));
}

/*
 * Not in the cache: reads the page of `offset` and up to want - 1 others, and keeps them. Returns
 * the bytes copied to the caller.
 */
static long read_in(struct vnode *v, struct page_cache *c, struct uio *uio, u64 offset, u64 left,
		    u32 want, page_fill_fn fill)
{
	u64 index = offset / PAGE_SIZE;
	size_t skip = offset % PAGE_SIZE;
	struct fetch f;
	long done = 0;
	int err = fetch_begin(&f, c, index, want, false);

	if (err)
		return err;
	/* Pages that another thread has follow in the next round. */
	want = MAX(f.claimed, 1u);
	err = fill(v, index, want, f.bytes);
	settle(&f, !err);
	for (u32 i = 0; !err && i < want && left; i++, skip = 0) {
		size_t part = MIN(left, (u64)(PAGE_SIZE - skip));

		err = uio_copy_out(uio, f.bytes[i] + skip, part);
		if (err)
			break;
		done += (long)part;
		left -= part;
	}
	fetch_end(&f);
	__atomic_store_n(&c->next_index, index + want, __ATOMIC_RELAXED);
	return done ? done : err;
}

static long read_miss(struct vnode *v, struct page_cache *c, struct uio *uio, u64 offset, u64 size,
		      page_fill_fn fill)
{
	u64 left = MIN((u64)uio->left, size - offset);
	u32 want = fetch_count(c, offset / PAGE_SIZE, (offset + left - 1) / PAGE_SIZE,
			       (size + PAGE_SIZE - 1) / PAGE_SIZE);
	long done = read_in(v, c, uio, offset, left, want, fill);

	/* A damaged block does not take the others along. */
	return done < 0 && want > 1 ? read_in(v, c, uio, offset, left, 1, fill) : done;
}

/* Copies what is there of [offset, offset + left) within one run of pages; 0: the first is not. */
static long read_hit(struct page_cache *c, struct uio *uio, u64 offset, u64 size)
{
	struct cached_page *pages[FETCH_PAGES];
	u64 left = MIN((u64)uio->left, size - offset), done = 0;
	u64 wanted = (offset % PAGE_SIZE + left + PAGE_SIZE - 1) / PAGE_SIZE;
	u32 count = pages_find(c, offset / PAGE_SIZE, (u32)MIN(wanted, (u64)FETCH_PAGES), pages);
	bool bad = false;

	for (u32 i = 0; i < count && !bad; i++) {
		size_t skip = i ? 0 : offset % PAGE_SIZE;
		size_t part = MIN(left - done, PAGE_SIZE - skip);

		bad = uio_copy_out(uio, pages[i]->data + skip, part);
		done += bad ? 0 : part;
	}
	pages_put(pages, count);
	if (count)
		__atomic_store_n(&c->next_index, offset / PAGE_SIZE + count, __ATOMIC_RELAXED);
	return bad && !done ? -EFAULT : (long)done;
}

/* ---- reading ahead --------------------------------------------------------------------------- */

/* The first page from *index on that is not there, and how many up to `end` are not; 0: none. */
static u32 find_absent(struct page_cache *c, u64 *index, u64 end)
{
	u32 n = 0;

	spin_lock(&lock);
	while (*index < end && pagetree_get(&c->tree, *index))
		++*index;
	while (*index + n < end && n < FETCH_PAGES && !pagetree_get(&c->tree, *index + n))
		n++;
	spin_unlock(&lock);
	return n;
}

void page_cache_read_ahead(const struct read_ahead *r)
{
	u64 index = r->index, end = r->index + r->count;
	struct fetch f;
	u32 count;
	int err = 0;

	while (!err && (count = find_absent(r->cache, &index, end)) != 0) {
		err = fetch_begin(&f, r->cache, index, count, true);
		if (err)
			return;
		if (f.claimed)
			err = r->fill(r->v, index, f.claimed, f.bytes);
		else
			err = -EAGAIN; /* others were faster, or there is no room */
		index += f.claimed;
		settle(&f, !err);
		fetch_end(&f);
	}
}

/* Another read of pages from `index` on: have AHEAD_STREAK of them been in order? */
static bool is_in_order(struct page_cache *c, u64 index)
{
	u64 at = __atomic_load_n(&c->next_index, __ATOMIC_RELAXED);
	u32 streak = __atomic_load_n(&c->streak, __ATOMIC_RELAXED);

	if (index != at && index + 1 != at) {
		if (streak)
			__atomic_store_n(&c->streak, 0, __ATOMIC_RELAXED);
		return false;
	}
	if (streak < AHEAD_STREAK)
		__atomic_store_n(&c->streak, ++streak, __ATOMIC_RELAXED);
	return streak == AHEAD_STREAK;
}

/*
 * Before a read of pages [index, next): asks for what follows if the file is read in order. What
 * is asked for begins behind what the reader fetches himself. Without the lock, since most reads
 * find it done: what two readers ask for at once is fetched once.
 */
static void look_ahead(struct vnode *v, struct page_cache *c, u64 index, u64 next, u64 end,
		       page_fill_fn fill)
{
	struct read_ahead r = {.cache = c, .v = v, .fill = fill};
	u64 from, to;

	if (!is_in_order(c, index) || page_limit < AHEAD_LIMIT)
		return;
	from = __atomic_load_n(&c->ahead, __ATOMIC_RELAXED);
	if (from < next || from > next + 2 * AHEAD_PAGES)
		from = ALIGN_UP(next, FETCH_PAGES);
	to = MIN(ALIGN_UP(next, FETCH_PAGES) + AHEAD_PAGES, end);
	if (from >= to)
		return;
	__atomic_store_n(&c->ahead, ALIGN_UP(to, FETCH_PAGES), __ATOMIC_RELAXED);
	for (; from < to; from += r.count) {
		r.index = from;
		r.count = (u32)MIN(to - from, (u64)FETCH_PAGES);
		read_ahead_queue(&r);
	}
}

/* On its way, and not by a reader. */
static bool is_coming(struct page_cache *c, u64 index)
{
	struct cached_page *p;
	bool ret;

	spin_lock(&lock);
	p = pagetree_get(&c->tree, index);
	ret = p && !p->data && p->is_ahead;
	spin_unlock(&lock);
	return ret;
}

static bool wait_until_there(struct page_cache *c, u64 index)
{
	if (!is_coming(c, index))
		return false;
	(void)wait_event(&settled, !is_coming(c, index), DEADLINE_NEVER, false);
	return true;
}

long page_cache_read(struct vnode *v, struct uio *uio, u64 offset, u64 size, page_fill_fn fill)
{
	struct page_cache *c = cache_of(v);
	long done = 0;

	if (!c)
		return -ENOMEM;
	if (uio->left && offset < size)
		look_ahead(v, c, offset / PAGE_SIZE,
			   (MIN(size, offset + uio->left) + PAGE_SIZE - 1) / PAGE_SIZE,
			   (size + PAGE_SIZE - 1) / PAGE_SIZE, fill);
	while (uio->left && offset < size) {
		long part = read_hit(c, uio, offset, size);

		if (!part && wait_until_there(c, offset / PAGE_SIZE))
			continue;
		if (!part)
			part = read_miss(v, c, uio, offset, size, fill);
		if (part < 0)
			return done ? done : part;
		done += part;
		offset += part;
	}
	return done;
}

void page_cache_write(struct vnode *v, u64 offset, const void *from, size_t size)
{
	struct page_cache *c = __atomic_load_n(&v->cache, __ATOMIC_ACQUIRE);
	const u8 *at = from;
	bool is_empty;

	if (!c)
		return;
	spin_lock(&lock);
	is_empty = !c->count;
	spin_unlock(&lock);
	if (is_empty)
		return;
	while (size) {
		size_t skip = offset % PAGE_SIZE, part = MIN(size, PAGE_SIZE - skip);
		struct cached_page *p;

		spin_lock(&lock);
		p = pagetree_get(&c->tree, offset / PAGE_SIZE);
		if (p && p->data)
			p->refs++;
		else if (p)
			page_unlink(p); /* the filler holds a reference and frees it */
		spin_unlock(&lock);
		if (p && p->data && !p->stale)
			memcpy(p->data + skip, at, part);
		if (p && p->data)
			page_put(p);
		at += part;
		offset += part;
		size -= part;
	}
}

void page_cache_discard(struct vnode *v, u64 offset, u64 end)
{
	struct page_cache *c = __atomic_load_n(&v->cache, __ATOMIC_ACQUIRE);
	u64 index = offset / PAGE_SIZE;
	struct cached_page *p;
	bool dead;

	if (!c)
		return;
	do {
		spin_lock(&lock);
		p = pagetree_next(&c->tree, &index);
		if (p && index * PAGE_SIZE >= end)
			p = NULL;
		dead = p && page_unlink(p);
		spin_unlock(&lock);
		if (dead)
			page_free(p);
		index++;
	} while (p);
}

void page_cache_free(struct page_cache *c)
{
	struct vnode owner = {.cache = c};

	if (!c)
		return;
	read_ahead_forget(c);
	page_cache_discard(&owner, 0, UINT64_MAX);
	pagetree_free(&c->tree);
	kfree(c);
}
