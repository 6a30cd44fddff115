/* SPDX-License-Identifier: Apache-2.0 */
/* What a host may say about a send, and what comes of it. */
#include "tests/unit.h"

#include "abi/errno.h"
#include "edge/hostcall_gen.h"
#include "kernel/net/inet.h"
#include "tests/fakes/fakes.h"

struct host {
	s64 takes; /* what it says it took */
	u32 sends;
};

static s64 answer(u64 number, u64 *args, u8 *data, void *context)
{
	struct host *h = context;

	switch (number) {
	case HOSTCALL_NET_SOCKET: return 5;
	/* Asked this often it would be asked for ever. */
	case HOSTCALL_NET_SEND: return ++h->sends < 10 ? h->takes : -ECONNRESET;
	default: return 0;
	}
}

static long send_to(struct host *h, int type, size_t size)
{
	static u8 bytes[100];
	struct net_message m = {.data = net_data_single(uio_kernel(bytes, size)),
				.flags = MSG_DONTWAIT | MSG_NOSIGNAL};
	struct socket *s;
	long ret;

	h->sends = 0;
	fake_host_set(answer, h);
	assert_int_equal(inet_socket_new(AF_INET, type, 0, &s), 0);
	ret = s->ops->send(s, &m);
	s->ops->release(s);
	return ret;
}

static void a_stream_goes_in_parts_but_goes(void **state)
{
	struct host h = {.takes = 25};

	assert_int_equal(send_to(&h, SOCK_STREAM, 100), 100);
	assert_int_equal(h.sends, 4);
	h.takes = 0;
	assert_int_equal(send_to(&h, SOCK_STREAM, 100), -EIO);
	assert_int_equal(h.sends, 1);
}

static void a_datagram_is_one(void **state)
{
	struct host h = {.takes = 100};

	assert_int_equal(send_to(&h, SOCK_DGRAM, 100), 100);
	h.takes = 40;
	assert_int_equal(send_to(&h, SOCK_DGRAM, 100), -EIO);
	assert_int_equal(h.sends, 1);
	h.takes = 0;
	assert_int_equal(send_to(&h, SOCK_DGRAM, 0), 0);
	assert_int_equal(h.sends, 1);
}

UNIT_TESTS(a_stream_goes_in_parts_but_goes, a_datagram_is_one)
