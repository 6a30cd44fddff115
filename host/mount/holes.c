// SPDX-License-Identifier: Apache-2.0
/*
 * Where a file has holes (SEEK_DATA, SEEK_HOLE). The host's kernel asks without handing over what
 * it holds back, and to whoever copies holes as holes (cp, tar -S) freshly written bytes would not
 * exist. So before a range is called a hole, the kernel is told to forget its pages there, which
 * makes it write the dirty ones. Nothing else is lost by that: its clean pages of a hole are zeros.
 *
 * These writes come as requests, so that no worker may wait for them: all such questions are
 * answered one after the other by one thread here. The kernel holds the file's inode locked while
 * it waits for an answer: no write(2) comes in between.
 */
#include "host/mount/server.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/base/overflow.h"

struct question {
	struct question *next;
	fuse_req_t req;
	fuse_ino_t ino;
	u64 offset;
	bool hole;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static struct question *first, **last = &first; /* lock */
static bool is_running;				/* lock */
static pthread_t thread;

#define FILE_END UINT64_MAX

/* A range that is a hole of the volume and that an answer depends on; empty if there is none. */
struct range {
	u64 from, to;
};

/*
 * The volume's answer, 0 or a negative errno. SEEK_DATA depends on everything that it passes over,
 * SEEK_HOLE on the hole that it found; both, beyond the end that the volume knows, on all that
 * follows.
 */
static int look(struct node *n, u64 offset, bool hole, u64 *ret, struct range *depends)
{
	int err = node_seek(n, offset, hole, ret);
	u64 data;

	*depends = (struct range){0};
	if (err == -ENXIO)
		*depends = (struct range){offset, FILE_END};
	if (err)
		return err;
	if (!hole)
		*depends = (struct range){offset, *ret};
	else if (node_seek(n, *ret, false, &data) == 0)
		*depends = (struct range){*ret, data};
	else
		*depends = (struct range){*ret, FILE_END};
	return 0;
}

static void answer(const struct question *q, struct fuse_session *session)
{
	struct node *n = server_node(q->req, q->ino);
	struct range seen = {0}, depends;
	u64 found = 0;
	int err;

	for (;;) {
		err = look(n, q->offset, q->hole, &found, &depends);
		if (!session || depends.from >= depends.to ||
		    (seen.from <= depends.from && depends.to <= seen.to))
			break;
		seen = depends;
		/* Length 0: to the end. A failed write shows at the file's next fsync or close. */
		fuse_lowlevel_notify_inval_inode(
			session, q->ino, (off_t)seen.from,
			seen.to == FILE_END ? 0 : (off_t)(seen.to - seen.from));
	}
	if (err)
		server_reply_error(q->req, err);
	else
		fuse_reply_lseek(q->req, (off_t)found);
}

static void *run(void *arg)
{
	const struct server *s = arg;

	pthread_mutex_lock(&lock);
	while (is_running || first) {
		struct question *q = first;

		if (!q) {
			pthread_cond_wait(&wake, &lock);
			continue;
		}
		first = q->next;
		if (!first)
			last = &first;
		pthread_mutex_unlock(&lock);
		answer(q, s->session);
		free(q);
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

void holes_ask(struct server *s, fuse_req_t req, fuse_ino_t ino, u64 offset, bool hole)
{
	struct question now = {NULL, req, ino, offset, hole}, *q = NULL;
	bool is_taken = false;

	if (!s->read_only)
		q = malloc(sizeof(*q));
	if (q) {
		*q = now;
		pthread_mutex_lock(&lock);
		is_taken = is_running;
		if (is_taken) {
			*last = q;
			last = &q->next;
			pthread_cond_signal(&wake);
		}
		pthread_mutex_unlock(&lock);
	}
	if (is_taken)
		return;
	free(q);
	if (!s->read_only && !q)
		server_reply_error(req, -ENOMEM);
	else
		answer(&now, NULL); /* nobody has held back anything, or all was handed over */
}

int holes_start(struct server *s)
{
	int err;

	is_running = true;
	err = pthread_create(&thread, NULL, run, s);
	if (err)
		is_running = false;
	return err;
}

void holes_end(void)
{
	bool was_running;

	pthread_mutex_lock(&lock);
	was_running = is_running;
	is_running = false;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
	if (was_running)
		pthread_join(thread, NULL);
}
