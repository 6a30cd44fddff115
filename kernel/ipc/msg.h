/* SPDX-License-Identifier: Apache-2.0 */
/* System V message queues. */
#pragma once

#include "kernel/ipc/ids.h"

#define MSG_SIZE_MAX  8192
#define MSG_BYTES_MAX 16384	 /* in a queue, unless root allows more */
#define MSG_TOTAL_MAX (8u << 20) /* in all queues: kernel memory */

struct msg_body; /* a message on its way: type and bytes */

/* A message with room for `size` bytes, filled by the caller. NULL without memory. */
struct msg_body *msg_body_new(s64 type, size_t size) __must_check;
void *msg_body_bytes(struct msg_body *b);
s64 msg_body_type(const struct msg_body *b);
size_t msg_body_size(const struct msg_body *b);
void msg_body_free(struct msg_body *b);

/* Bodies of the calls. 0, ids, or -errno as in the manual. */
long msg_get(s32 key, u32 flags);
int __must_check msg_send(s32 id, struct msg_body *b, u32 flags); /* consumed on success */
/* The message, now the caller's (with MSG_COPY: a copy). -E2BIG: longer than `size`. */
int __must_check msg_receive(s32 id, s64 type, size_t size, u32 flags, struct msg_body **ret);
int __must_check msg_remove(s32 id);
int __must_check msg_set(s32 id, const struct abi_msqid_ds *values);
long msg_stat(s32 id, enum ipc_stat_how how, struct abi_msqid_ds *ret);

struct msg_totals {
	u32 queues;
	u64 messages, bytes;
	s32 highest_index;
};
void msg_totals(struct msg_totals *ret);
