/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_INET and AF_INET6: sockets of the host. Their bytes and addresses are the host's word, passed
 * to programs as they come after a check of sizes; what must be secret or true needs TLS inside.
 */
#pragma once

#include "kernel/net/socket.h"

int __must_check inet_check_kind(int type, int protocol); /* what no socket can be */
int __must_check inet_socket_new(int family, int type, int protocol, struct socket **ret);
