/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: an environment for volumes on the C library, with failing allocations on request. */
#pragma once

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi/errno.h"
#include "lib/secvol/secvol.h"

struct fixture {
	struct secvol_env env;
	struct secvol_fixed_key key;
	struct secvol_key_source keys;
	struct secvol_params params;
	struct bs *bs;
	u64 seed;
	s64 clock;
	long fail_alloc_after; /* the n-th allocation from now fails; -1: never */
	long allocs;
	size_t in_use;
};

static inline u64 fixture_next(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static inline void *fixture_alloc(void *arg, size_t size)
{
	struct fixture *f = arg;
	void *p;

	__atomic_fetch_add(&f->allocs, 1, __ATOMIC_RELAXED); /* by volume and store at once */
	if (f->fail_alloc_after >= 0 && f->fail_alloc_after-- == 0)
		return NULL;
	if (size > (size_t)1 << 40)
		return NULL;
	p = malloc(size);
	if (p) {
		memset(p, 0xcc, size);
		__atomic_fetch_add(&f->in_use, size, __ATOMIC_RELAXED);
	}
	return p;
}

static inline void fixture_free(void *arg, void *p, size_t size)
{
	struct fixture *f = arg;

	__atomic_fetch_sub(&f->in_use, size, __ATOMIC_RELAXED);
	free(p);
}

static inline int fixture_random(void *arg, void *bytes, size_t size)
{
	struct fixture *f = arg;
	u8 *to = bytes;

	for (size_t i = 0; i < size; i++)
		to[i] = (u8)(fixture_next(&f->seed) >> 24);
	return 0;
}

static inline void fixture_now(void *arg, s64 *sec, u32 *nsec)
{
	struct fixture *f = arg;

	*sec = 1700000000 + f->clock++ / 1000;
	*nsec = (u32)(f->clock % 1000) * 1000000;
}

/* A sealed volume over a fresh memory store of `blocks`. */
static inline int fixture_init(struct fixture *f, u64 blocks)
{
	struct bs_mem_env mem = {.alloc = fixture_alloc, .free = fixture_free, .arg = f};

	memset(f, 0, sizeof(*f));
	f->seed = 88172645463325252ull;
	f->fail_alloc_after = -1;
	f->env = (struct secvol_env){.arg = f,
				     .alloc = fixture_alloc,
				     .free = fixture_free,
				     .random = fixture_random,
				     .now = fixture_now};
	f->key.type = SECVOL_SLOT_USER;
	f->key.size = 16;
	memcpy(f->key.key, "0123456789abcdef", 16);
	secvol_fixed_key_source(&f->keys, &f->key);
	f->params = (struct secvol_params){.env = &f->env,
					   .mode = SECVOL_SEALED,
					   .suite = SECVOL_AES128_GCM,
					   .role = SECVOL_ROLE_DATA,
					   .keys = &f->keys};
	if (bs_mem_new(&mem, blocks, &f->bs))
		return -ENOMEM;
	f->params.bs = f->bs;
	return 0;
}

static inline void *fixture_lock_new(void *arg)
{
	pthread_mutex_t *m = malloc(sizeof(*m));

	pthread_mutex_init(m, NULL);
	return m;
}

static inline void fixture_lock_free(void *arg, void *lock)
{
	pthread_mutex_destroy(lock);
	free(lock);
}

static inline void fixture_lock(void *arg, void *lock)
{
	pthread_mutex_lock(lock);
}

static inline void fixture_unlock(void *arg, void *lock)
{
	pthread_mutex_unlock(lock);
}

/* Before the volume is opened: several threads will use it. */
static inline void fixture_share(struct fixture *f)
{
	f->env.lock_new = fixture_lock_new;
	f->env.lock_free = fixture_lock_free;
	f->env.lock = fixture_lock;
	f->env.unlock = fixture_unlock;
}

static inline void fixture_fini(struct fixture *f)
{
	f->bs->ops->close(f->bs);
}
