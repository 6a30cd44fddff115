/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/net: the sockets that some process of the instance has open, found by way of their
 * descriptors. Addresses and states of internet sockets are what the host says of them.
 */
#include "abi/errno.h"
#include "abi/socket.h"
#include "kernel/core/kmem.h"
#include "kernel/fs/procfs/proc_priv.h"
#include "kernel/net/socket.h"
#include "kernel/vfs/fd_table.h"

#define SEEN_MAX    16384u
#define TCP_STATE   1 /* established, */
#define TCP_CLOSED  7
#define TCP_LISTENS 10

struct listing {
	struct proc_text *t;
	u16 family, type; /* type 0: all */
	void (*add)(struct listing *l, struct file *f, struct socket *s);
	u64 *seen; /* numbers of their files: a socket may be open in several processes */
	u32 seen_count, line;
};

static bool is_new(struct listing *l, u64 number)
{
	for (u32 i = 0; i < l->seen_count; i++) {
		if (l->seen[i] == number)
			return false;
	}
	if (l->seen_count == SEEN_MAX)
		return false;
	l->seen[l->seen_count++] = number;
	return true;
}

/* Without the process's lock, for the host is asked. */
static void add_file(struct listing *l, struct file *f)
{
	struct socket *s = socket_of(f);

	if (s && s->family == l->family && (!l->type || s->type == l->type) &&
	    is_new(l, f->vnode->key))
		l->add(l, f, s);
}

static int add_process(struct process *p, void *arg)
{
	struct file *f;

	for (int fd = 0;; fd++) {
		mutex_lock(&p->exec_lock);
		fd = p->files ? fd_next(p->files, fd) : -1;
		f = fd >= 0 ? fd_lookup(p->files, fd) : NULL;
		mutex_unlock(&p->exec_lock);
		if (fd < 0)
			return 0;
		if (f) {
			add_file(arg, f);
			file_put(f);
		}
	}
}

static int list_sockets(struct listing *l)
{
	int err;

	l->seen = kmalloc(SEEN_MAX * sizeof(*l->seen));
	if (!l->seen)
		return -ENOMEM;
	err = process_for_each(add_process, l);
	kfree(l->seen);
	return err;
}

static bool option_is_set(struct socket *s, int option)
{
	s32 value = 0;
	u32 size = sizeof(value);

	return s->ops->get_option && !s->ops->get_option(s, SOL_SOCKET, option, &value, &size) &&
	       value;
}

/* States are those of Linux's struct socket: 1 unconnected, 3 connected. */
static void add_unix(struct listing *l, struct file *f, struct socket *s)
{
	struct net_address name = {0}, peer = {0};
	bool listens = option_is_set(s, SO_ACCEPTCONN);
	bool is_connected = s->ops->name(s, true, &peer) == 0;
	size_t skip = offsetof(struct abi_sockaddr_un, path), len = 0;

	proc_add(l->t, "0000000000000000: %08X 00000000 %08X %04X %02X %5llu", 2 + is_connected,
		 listens ? 0x10000 : 0, s->type, is_connected ? 3 : 1,
		 (unsigned long long)f->vnode->key);
	if (s->ops->name(s, false, &name) == 0 && name.size > skip) {
		const char *path = (const char *)name.bytes + skip;

		proc_add(l->t, " ");
		for (; len < name.size - skip && (path[len] || path[0] == 0); len++)
			proc_add(l->t, "%c", path[len] ? path[len] : '@');
	}
	proc_add(l->t, "\n");
}

static int render_unix(struct proc_text *t, struct process *p, struct proc_node *n)
{
	struct listing l = {.t = t, .family = AF_UNIX, .add = add_unix};

	proc_add(t, "Num       RefCount Protocol Flags    Type St Inode Path\n");
	return list_sockets(&l);
}

static void add_address(struct proc_text *t, u16 family, const struct net_address *a)
{
	u32 words = family == AF_INET ? 1 : 4, word;
	const u8 *at = family == AF_INET ? (const u8 *)&a->in.address : (const u8 *)&a->in6.address;
	const u8 *port = a->bytes + 2;

	for (u32 i = 0; i < words; i++) {
		__builtin_memcpy(&word, at + 4 * i, sizeof(word));
		proc_add(t, "%08X", word);
	}
	proc_add(t, ":%04X ", port[0] << 8 | port[1]);
}

static void add_inet(struct listing *l, struct file *f, struct socket *s)
{
	struct net_address own = {0}, peer = {0};
	bool is_connected;
	u32 state = TCP_CLOSED;

	if (s->ops->name(s, false, &own))
		own = (struct net_address){0};
	is_connected = s->ops->name(s, true, &peer) == 0;
	if (!is_connected)
		peer = (struct net_address){0};
	if (is_connected)
		state = TCP_STATE;
	else if (s->type == SOCK_STREAM && option_is_set(s, SO_ACCEPTCONN))
		state = TCP_LISTENS;
	proc_add(l->t, "%4u: ", l->line++);
	add_address(l->t, s->family, &own);
	add_address(l->t, s->family, &peer);
	proc_add(l->t, "%02X 00000000:00000000 00:00000000 00000000 %5u        0 %llu 2 0 0\n",
		 state, f->vnode->uid, (unsigned long long)f->vnode->key);
}

/* Programs find the columns by these words, which are not the same in all files. */
static void add_heading(struct proc_text *t, u16 family, u16 type)
{
	proc_add(t, "%s%s  st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode%s\n",
		 family == AF_INET && type == SOCK_DGRAM ? "   sl  " : "  sl  ",
		 family == AF_INET ? "local_address rem_address "
				   : "local_address                         "
				     "remote_address                      ",
		 type == SOCK_STREAM ? "" : " ref pointer drops");
}

static int list_inet(struct proc_text *t, u16 family, u16 type)
{
	struct listing l = {.t = t, .family = family, .type = type, .add = add_inet};

	add_heading(t, family, type);
	return list_sockets(&l);
}

static int render_tcp(struct proc_text *t, struct process *p, struct proc_node *n)
{
	return list_inet(t, AF_INET, SOCK_STREAM);
}

static int render_tcp6(struct proc_text *t, struct process *p, struct proc_node *n)
{
	return list_inet(t, AF_INET6, SOCK_STREAM);
}

static int render_udp(struct proc_text *t, struct process *p, struct proc_node *n)
{
	return list_inet(t, AF_INET, SOCK_DGRAM);
}

static int render_udp6(struct proc_text *t, struct process *p, struct proc_node *n)
{
	return list_inet(t, AF_INET6, SOCK_DGRAM);
}

/* There are no raw sockets inside. */
static int render_raw(struct proc_text *t, struct process *p, struct proc_node *n)
{
	add_heading(t, AF_INET, SOCK_RAW);
	return 0;
}

static int render_raw6(struct proc_text *t, struct process *p, struct proc_node *n)
{
	add_heading(t, AF_INET6, SOCK_RAW);
	return 0;
}

/* The interfaces are the host's: none is ours. */
static int render_dev(struct proc_text *t, struct process *p, struct proc_node *n)
{
	proc_add(t, "Inter-|   Receive                                                |  Transmit\n"
		    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
		    "packets errs drop fifo colls carrier compressed\n");
	return 0;
}

#define TEXT(name, fn)                                                                             \
	{                                                                                          \
		name, 0444, PROC_TEXT, .render = fn                                                \
	}
const struct proc_entry proc_net_children[] = {
	TEXT("dev", render_dev),   TEXT("raw", render_raw),   TEXT("raw6", render_raw6),
	TEXT("tcp", render_tcp),   TEXT("tcp6", render_tcp6), TEXT("udp", render_udp),
	TEXT("udp6", render_udp6), TEXT("unix", render_unix), {NULL}};
