/* SPDX-License-Identifier: Apache-2.0 */
/* Control data of messages: between the program's cmsg list and struct net_control. */
#pragma once

#include "kernel/net/socket.h"

/* h->control_size is not 0. 0 with *ret NULL when the list says nothing. */
int __must_check control_from_user(struct socket *s, const struct abi_msghdr *h,
				   struct net_control **ret);

/*
 * Writes what came with the message and sets h->control_size to what was used. Descriptors are
 * installed in the process and taken out of m->control; MSG_CTRUNC in h->flags when not all fit.
 */
int __must_check control_to_user(struct socket *s, struct abi_msghdr *h, struct net_message *m,
				 bool cloexec);
