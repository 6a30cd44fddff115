// SPDX-License-Identifier: Apache-2.0
/*
 * Reads requests and writes replies in libfuse's place, for one thing that it does not know: that
 * the server itself takes set-id bits away (FUSE_HANDLE_KILLPRIV_V2). Without that the kernel asks
 * for security.capability before each write to the page cache, one request per write(2). With it
 * some requests say that bits are to go; that is noted here, by thread, while the request is
 * served.
 */
#include "host/mount/channel.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/overflow.h"

static __thread bool kills;

bool channel_kills_ids(void)
{
	return kills;
}

#ifdef HAVE_CUSTOM_IO

static u64 init_request; /* its number; 0: none came yet, or it was replied to */
static bool is_offered;

/* What follows the header of a request, if there is as much. */
static const void *argument(const void *bytes, ssize_t size, size_t needed)
{
	return (size_t)size >= sizeof(struct fuse_in_header) + needed
		       ? (const u8 *)bytes + sizeof(struct fuse_in_header)
		       : NULL;
}

static void look(const void *bytes, ssize_t size)
{
	const struct fuse_in_header *h = bytes;

	kills = false;
	if (size < (ssize_t)sizeof(*h))
		return;
	if (h->opcode == FUSE_WRITE) {
		const struct fuse_write_in *w = argument(bytes, size, sizeof(*w));

		kills = w && w->write_flags & FUSE_WRITE_KILL_SUIDGID;
	} else if (h->opcode == FUSE_SETATTR) {
		const struct fuse_setattr_in *s = argument(bytes, size, sizeof(*s));

		/* The kernel leaves it to the server at every change of owner. */
		kills = s && (s->valid & FATTR_KILL_SUIDGID ||
			      (is_offered && s->valid & (FATTR_UID | FATTR_GID)));
	} else if (h->opcode == FUSE_INIT) {
		const struct fuse_init_in *i = argument(bytes, size, 16);

		init_request = h->unique;
		is_offered = i && i->flags & FUSE_HANDLE_KILLPRIV_V2;
	}
}

static ssize_t channel_read(int fd, void *bytes, size_t size, void *arg)
{
	ssize_t n = read(fd, bytes, size);

	if (n > 0)
		look(bytes, n);
	return n;
}

/* The reply to INIT, with the one flag more. Nothing else is served before it. */
static ssize_t accept_offer(int fd, const struct iovec *v, int count)
{
	struct iovec copy[4];
	struct fuse_init_out out;
	size_t size = v[1].iov_len;

	if (count > (int)ARRAY_SIZE(copy) || size < 16 || size > sizeof(out))
		return writev(fd, v, count);
	memcpy(copy, v, (size_t)count * sizeof(*v));
	memcpy(&out, v[1].iov_base, size);
	out.flags |= FUSE_HANDLE_KILLPRIV_V2;
	copy[1].iov_base = &out;
	return writev(fd, copy, count);
}

static ssize_t channel_writev(int fd, struct iovec *v, int count, void *arg)
{
	const struct fuse_out_header *h = v[0].iov_base;

	if (init_request && count > 1 && h->unique == init_request) {
		init_request = 0;
		if (is_offered && !h->error)
			return accept_offer(fd, v, count);
	}
	return writev(fd, v, count);
}

int channel_take(struct fuse_session *session)
{
	static const struct fuse_custom_io io = {.read = channel_read, .writev = channel_writev};

	return fuse_session_custom_io(session, &io, fuse_session_fd(session));
}

#else

/* libfuse before 3.14 serves alone, and the kernel asks at each write. */
int channel_take(struct fuse_session *session)
{
	return 0;
}

#endif
