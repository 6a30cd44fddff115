/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the emulated driver share. */
#pragma once

#include "tests/emu/emu_priv.h"

/* Memory of the caller: 0 or -EFAULT. */
s64 emu_copy_in(void *to, u64 from, u64 size);
s64 emu_copy_out(u64 to, const void *from, u64 size);

/* Something goes wrong by chance; counted. */
bool emu_happens(u32 permille);

/* The mapping at `address` could be made executable (VM_MAYEXEC): no file of a noexec mount. */
bool emu_may_execute(u64 address);

/* Under the lock. */
s64 emu_ioctl_restrict(struct emu_enclave *e, u64 argument);
s64 emu_ioctl_modify(struct emu_enclave *e, u64 argument);
s64 emu_ioctl_remove(struct emu_enclave *e, u64 argument);
