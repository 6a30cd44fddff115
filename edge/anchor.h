/* SPDX-License-Identifier: Apache-2.0 */
/* What crosses the wall by host call anchor_ask; the bytes: docs/format/secvol.md, Freshness. */
#pragma once

#define ANCHOR_GET_SIZE	  64u /* id 32, nonce 32 */
#define ANCHOR_PUT_SIZE	  376u /* id 32, nonce 32, expected content 104, record 176, HMAC-SHA256 32 */
#define ANCHOR_REPLY_SIZE 208u /* record 176, HMAC-SHA256 32 */
