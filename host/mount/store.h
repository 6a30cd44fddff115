/* SPDX-License-Identifier: Apache-2.0 */
/* What this process's block stores are told beside what the kernel's interface says. */
#pragma once

/* Several threads read volumes opened after this at a time (BS_HOST_DIRECT). */
void store_expect_readers(void);
