/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX sockets: between programs of the instance, never a host object. */
#pragma once

#include "kernel/net/socket.h"

int __must_check unix_socket_new(int type, int protocol, struct socket **ret);
int __must_check unix_socket_new_pair(int type, int protocol, struct socket *ret[2]);
