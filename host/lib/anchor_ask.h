/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question to an anchor's program: `COMMAND get ID NONCE` or `COMMAND put ID NONCE EXPECTED
 * RECORD MAC`, in hexadecimal. A put is obeyed only when MAC is HMAC-SHA256(key, "secvol1/anchor
 * put" || nonce || expected || record), the record is ID's, and bytes 40 to 143 of the record it
 * holds are EXPECTED: who sits in between can then neither make one up nor bring an old one again.
 * It answers on standard output with one line: the record it holds now and HMAC-SHA256(key,
 * "secvol1/anchor" || nonce || record), so that an old answer fits no new question. It exits with
 * 0; with 3 when what is stored is not EXPECTED (put). Where nothing is stored, the record it
 * answers with has the id and zero states: "nothing" is authenticated like anything else.
 */
#pragma once

#include "lib/base/types.h"

/* 0 and the unchecked reply, or -ENOENT (no command is named), -ESTALE, -EPROTO, -ETIMEDOUT,
 * -ENOMEM, -EIO. timeout_ms 0: 30 s. The question is as edge/anchor.h says. */
int __must_check anchor_ask(const char *command, int timeout_ms, const u8 *question, size_t size,
			    u8 *reply);
