/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of AF_UNIX sockets: a path, which is a file of its own kind and found by the file's
 * object, or an abstract name, which begins with a zero byte and is gone with its socket.
 */
#include "abi/errno.h"
#include "kernel/core/kmem.h"
#include "kernel/net/unix_priv.h"
#include "kernel/proc/process.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/names.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

#define FAMILY_SIZE  2u
#define AUTOBIND_MAX 0x100000u /* five hexadecimal digits */

static struct list_node names = LIST_INIT(names); /* unix_lock; unix_sock.name_node */

/* A path as text of at most SUN_PATH_SIZE bytes. -EINVAL: not a path. */
static int path_of(const struct net_address *a, char path[SUN_PATH_SIZE + 1])
{
	u32 size;

	if (a->size <= FAMILY_SIZE || a->size > sizeof(a->un) || !a->un.path[0])
		return -EINVAL;
	size = a->size - FAMILY_SIZE;
	memcpy(path, a->un.path, size);
	path[size] = 0;
	return 0;
}

static bool is_abstract(const struct net_address *a)
{
	return a->size > FAMILY_SIZE && a->size <= sizeof(a->un) && !a->un.path[0];
}

static struct unix_sock *find_abstract(const struct net_address *a, u32 type)
{
	struct unix_sock *u;

	list_for_each_entry (u, &names, name_node) {
		if (!u->vnode && u->s.type == type && u->name->size == a->size &&
		    !memcmp(u->name->bytes, a->bytes, a->size))
			return u;
	}
	return NULL;
}

static struct unix_sock *find_vnode(const struct vnode *v)
{
	struct unix_sock *u;

	list_for_each_entry (u, &names, name_node) {
		if (u->vnode == v)
			return u;
	}
	return NULL;
}

/* Under unix_lock. */
static int take_name(struct unix_sock *u, struct net_address *name, struct vnode *vnode)
{
	if (u->name || u->closed)
		return -EINVAL;
	/* A path that was made for this socket may have become another's between the two steps. */
	if (vnode ? find_vnode(vnode) : find_abstract(name, u->s.type))
		return -EADDRINUSE;
	u->name = name;
	u->vnode = vnode ? vnode_get(vnode) : NULL;
	list_add_tail(&names, &u->name_node);
	return 0;
}

static int bind_name(struct unix_sock *u, const struct net_address *a, struct vnode *vnode)
{
	struct net_address *name = kmalloc(sizeof(*name));
	int err;

	if (!name)
		return -ENOMEM;
	*name = *a;
	mutex_lock(&unix_lock);
	err = take_name(u, name, vnode);
	mutex_unlock(&unix_lock);
	if (err)
		kfree(name);
	return err;
}

static int bind_path(struct unix_sock *u, const struct net_address *a)
{
	struct fs_context *ctx = current_process()->fs;
	struct net_address kept = *a;
	char path[SUN_PATH_SIZE + 1];
	struct dentry *place;
	int err = path_of(a, path);

	if (err)
		return err;
	if (u->name)
		return -EINVAL;
	err = name_make(ctx, NULL, path, S_IFSOCK | 0777, 0);
	if (err)
		return err == -EEXIST ? -EADDRINUSE : err;
	err = walk_path(ctx, NULL, path, 0, &place);
	if (err)
		return err;
	/* As Linux, the name that is kept ends with its zero, whatever size was given. */
	kept.size = FAMILY_SIZE + strlen(path) + 1;
	kept.bytes[kept.size - 1] = 0;
	err = S_ISSOCK(place->vnode->mode) ? bind_name(u, &kept, place->vnode) : -EADDRINUSE;
	dentry_put(place);
	return err;
}

int unix_autobind(struct unix_sock *u)
{
	static u32 next;
	struct net_address a = {.family = AF_UNIX};
	int err;

	if (u->name)
		return 0;
	for (u32 i = 0; i < AUTOBIND_MAX; i++) {
		u32 number = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % AUTOBIND_MAX;
		size_t len = 0;

		fmt_append(a.un.path + 1, 8, &len, "%05x", number);
		a.size = FAMILY_SIZE + 1 + 5;
		err = bind_name(u, &a, NULL);
		if (err != -EADDRINUSE)
			return err == -EINVAL ? 0 : err; /* another thread bound it meanwhile */
	}
	return -ENOSPC;
}

int unix_bind(struct socket *s, const struct net_address *a)
{
	struct unix_sock *u = unix_of(s);

	if (a->size < FAMILY_SIZE || a->family != AF_UNIX || a->size > sizeof(a->un))
		return -EINVAL;
	if (a->size == FAMILY_SIZE)
		return unix_autobind(u);
	return is_abstract(a) ? bind_name(u, a, NULL) : bind_path(u, a);
}

static int check_type(struct unix_sock *u, u32 type, struct unix_sock **ret)
{
	if (!u || u->closed)
		return -ECONNREFUSED;
	if (u->s.type != type)
		return -EPROTOTYPE;
	unix_sock_get(u);
	*ret = u;
	return 0;
}

int unix_find(const struct net_address *a, u32 type, struct unix_sock **ret)
{
	char path[SUN_PATH_SIZE + 1];
	struct dentry *place;
	int err;

	if (a->size < FAMILY_SIZE || a->family != AF_UNIX)
		return -EINVAL;
	if (is_abstract(a)) {
		mutex_lock(&unix_lock);
		err = check_type(find_abstract(a, type), type, ret);
		mutex_unlock(&unix_lock);
		return err;
	}
	err = path_of(a, path);
	if (!err)
		err = walk_path(current_process()->fs, NULL, path, WALK_FOLLOW, &place);
	if (err)
		return err;
	err = vnode_permission(place->vnode, W_OK);
	if (!err) {
		mutex_lock(&unix_lock);
		err = check_type(S_ISSOCK(place->vnode->mode) ? find_vnode(place->vnode) : NULL,
				 type, ret);
		mutex_unlock(&unix_lock);
	}
	dentry_put(place);
	return err;
}

void unix_unbind(struct unix_sock *u)
{
	struct vnode *vnode;

	mutex_lock(&unix_lock);
	list_del(&u->name_node);
	list_init(&u->name_node);
	vnode = u->vnode;
	u->vnode = NULL;
	mutex_unlock(&unix_lock);
	if (vnode)
		vnode_put(vnode);
}

void unix_name_of(struct unix_sock *u, struct net_address *ret)
{
	mutex_lock(&unix_lock);
	if (u->name) {
		*ret = *u->name;
	} else {
		ret->size = FAMILY_SIZE;
		ret->family = AF_UNIX;
	}
	mutex_unlock(&unix_lock);
}
