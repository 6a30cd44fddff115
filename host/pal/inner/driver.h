/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How enclave threads reach the SGX driver: by system calls or, in the test build, by the table of
 * the emulation (host/pal/outer/sgx_driver.h).
 */
#pragma once

#include "host/pal/inner/inner.h"
#include "host/pal/inner/linux.h"
#include "host/pal/outer/sgx_driver.h"

static inline s64 driver_ioctl(u64 command, void *argument)
{
#ifdef OCCLUM_EMU
	return sgx_driver.ioctl(inner.sgx_fd, command, argument);
#else
	return host_syscall(NR_ioctl, inner.sgx_fd, command, argument);
#endif
}

static inline s64 driver_mprotect(u64 address, u64 size, u32 prot)
{
#ifdef OCCLUM_EMU
	return sgx_driver.mprotect((void *)address, size, prot);
#else
	return host_syscall(NR_mprotect, address, size, prot);
#endif
}

/* Touches one byte of each page from outside, so that the driver adds those that are missing. */
static inline s64 driver_touch(u64 address, u64 size)
{
#ifdef OCCLUM_EMU
	return sgx_driver.touch((void *)address, size);
#else
	return touch_pages(address, size);
#endif
}
