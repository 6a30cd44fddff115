/* SPDX-License-Identifier: Apache-2.0 */
/* What the block stores of this process's volumes are told beside what the kernel's interface says. */
#pragma once

/* Several threads read volumes opened after this at a time (BS_HOST_DIRECT). */
void store_expect_readers(void);
