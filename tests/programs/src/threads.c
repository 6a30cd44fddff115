/* SPDX-License-Identifier: Apache-2.0 */
/* 16 threads over mutexes, condition variables, barriers, rwlocks, TLS, create and join. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 16, ROUNDS = 2000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static long counter, turn, published[2];
static __thread long mine;

static void *count(void *arg)
{
	long id = (long)arg;

	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
		mine++;
		if (i % 64 == 0) {
			pthread_rwlock_wrlock(&rwlock);
			published[0]++;
			published[1]++;
			pthread_rwlock_unlock(&rwlock);
		}
		pthread_rwlock_rdlock(&rwlock);
		if (published[0] != published[1]) {
			puts("a reader saw a writer's half work");
			exit(1);
		}
		pthread_rwlock_unlock(&rwlock);
	}
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 50; i++) {
		pthread_mutex_lock(&mutex);
		while (turn % THREADS != id)
			pthread_cond_wait(&turn_changed, &mutex);
		turn++;
		pthread_cond_broadcast(&turn_changed);
		pthread_mutex_unlock(&mutex);
	}
	return (void *)mine;
}

static void *nothing(void *arg)
{
	return arg;
}

int main(void)
{
	pthread_t threads[THREADS];
	long total = 0;

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (long t = 0; t < THREADS; t++) {
		if (pthread_create(&threads[t], NULL, count, (void *)t)) {
			perror("pthread_create");
			return 1;
		}
	}
	for (int t = 0; t < THREADS; t++) {
		void *result;

		pthread_join(threads[t], &result);
		total += (long)result;
	}
	printf("counter %ld, turns %ld, thread-local total %ld, published %ld\n", counter, turn,
	       total, published[0]);
	for (long i = 0; i < 500; i++) {
		pthread_t thread;
		void *result;

		if (pthread_create(&thread, NULL, nothing, (void *)i) ||
		    pthread_join(thread, &result) || (long)result != i) {
			puts("create and join failed");
			return 1;
		}
	}
	puts("500 threads created and joined");
	return 0;
}
