/* SPDX-License-Identifier: Apache-2.0 */
/* The devices of /dev. */
#pragma once

#include "kernel/vfs/file_ops.h"

extern const struct file_ops dev_null_ops, dev_zero_ops, dev_full_ops, dev_random_ops, dev_sgx_ops;
