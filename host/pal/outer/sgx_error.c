/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's errors by request. EIO stands for an instruction that faulted, EPERM of INIT for one
 * that said no: our own check of the signature has then passed already, which leaves the causes
 * that only the processor knows.
 */
#define _GNU_SOURCE
#include "host/pal/outer/sgx_error.h"

#include <errno.h>
#include <string.h>

static const char *const steps[] = {
	[SGX_STEP_OPEN] = "cannot open the SGX device",
	[SGX_STEP_CREATE] = "cannot create the enclave",
	[SGX_STEP_ADD_PAGES] = "cannot add pages to the enclave",
	[SGX_STEP_OPEN_PROVISION] = "cannot open the SGX provision device",
	[SGX_STEP_PROVISION] = "cannot allow the enclave the provision key",
	[SGX_STEP_INIT] = "cannot initialise the enclave",
	[SGX_STEP_PROBE] = "cannot change the enclave's memory while it runs",
	[SGX_STEP_MAP] = "cannot map the enclave",
};

#define BUG "an error of this program or of the driver"

static const struct {
	enum sgx_step step;
	int err;
	const char *text;
} rows[] = {
	{SGX_STEP_OPEN, ENOENT,
	 "neither /dev/sgx_enclave nor /dev/sgx/enclave exists: Linux 6.0 or later with "
	 "CONFIG_X86_SGX is needed; a container needs --device /dev/sgx_enclave"},
	{SGX_STEP_OPEN, EACCES,
	 "no permission: make yourself a member of the group that owns it (often sgx)"},
	{SGX_STEP_OPEN, EPERM,
	 "no permission: allow the device to the container (--device /dev/sgx_enclave)"},
	{SGX_STEP_OPEN, EBUSY, "the processor's microcode is being updated: try again"},
	{SGX_STEP_OPEN, EAGAIN, "the processor's microcode is being updated: try again"},
	{SGX_STEP_OPEN, ENODEV, "its driver is not active: see `dmesg | grep sgx`"},
	{SGX_STEP_OPEN, ENXIO, "its driver is not active: see `dmesg | grep sgx`"},
	{SGX_STEP_OPEN, EMFILE, "too many open files: raise ulimit -n"},
	{SGX_STEP_CREATE, EINVAL, "the driver does not accept its size or was asked twice: " BUG},
	{SGX_STEP_CREATE, EFAULT, "the driver cannot read its description: " BUG},
	{SGX_STEP_CREATE, EIO,
	 "the processor refuses its shape (base, size, or save areas too small for its XFRM)"},
	{SGX_STEP_CREATE, ENOMEM,
	 "no SGX memory (EPC) is left: end other enclaves, or give SGX more in the BIOS"},
	{SGX_STEP_CREATE, EBUSY, "the device is in use by another request: " BUG},
	{SGX_STEP_CREATE, ENOTTY, "the driver is another than that of Linux 5.11 and later"},
	{SGX_STEP_ADD_PAGES, EINVAL, "the driver does not accept their place or rights: " BUG},
	{SGX_STEP_ADD_PAGES, EFAULT, "the driver cannot read them: " BUG},
	{SGX_STEP_ADD_PAGES, EACCES,
	 "the driver does not take them from memory that must not be executed (noexec)"},
	{SGX_STEP_ADD_PAGES, EBUSY, "there are pages already, or another request runs: " BUG},
	{SGX_STEP_ADD_PAGES, ENOMEM,
	 "no memory is left, or no SGX memory (EPC): make kernel_space_heap_size or "
	 "max_num_of_threads smaller, end other enclaves, or give SGX more in the BIOS"},
	{SGX_STEP_ADD_PAGES, EIO, "the processor refuses a page (EADD or EEXTEND faulted)"},
	{SGX_STEP_OPEN_PROVISION, ENOENT,
	 "neither /dev/sgx_provision nor /dev/sgx/provision exists; a container needs --device "
	 "/dev/sgx_provision"},
	{SGX_STEP_OPEN_PROVISION, EACCES,
	 "no permission: make yourself a member of the group that owns it (often sgx_prv)"},
	{SGX_STEP_OPEN_PROVISION, EPERM,
	 "no permission: allow the device to the container (--device /dev/sgx_provision)"},
	{SGX_STEP_PROVISION, EINVAL, "the driver does not know the provision device: " BUG},
	{SGX_STEP_PROVISION, EBADF, "the driver does not know the provision device: " BUG},
	{SGX_STEP_INIT, EINVAL,
	 "the processor does not support attributes or states that its signature asks for"},
	{SGX_STEP_INIT, EACCES,
	 "it has attributes that are not allowed: the provision key needs /dev/sgx_provision, the "
	 "launch token key is never given"},
	{SGX_STEP_INIT, EFAULT, "the driver cannot read its signature: " BUG},
	{SGX_STEP_INIT, EPERM,
	 "EINIT refuses it, though signature and measurement are right (`dmesg | grep EINIT` has "
	 "the number; 16: the BIOS lets only Intel launch, 2: attributes)"},
	{SGX_STEP_INIT, EIO, "EINIT faulted: SGX memory may have been lost; try again"},
	{SGX_STEP_INIT, EINTR, "it was interrupted again and again"},
	{SGX_STEP_INIT, ENOMEM, "no memory is left"},
	{SGX_STEP_PROBE, ENOTTY, "this needs Linux 6.0 or later"},
	{SGX_STEP_PROBE, ENODEV, "Linux does not use SGX2 on this machine"},
	{SGX_STEP_MAP, EACCES,
	 "the driver does not allow the rights that its pages have (does the process run with "
	 "`setarch -X` or an executable stack, that is READ_IMPLIES_EXEC?)"},
	{SGX_STEP_MAP, EPERM,
	 "the file system of the SGX device is mounted noexec: mount -o remount,exec /dev"},
	{SGX_STEP_MAP, EINVAL, "the driver does not accept the range: " BUG},
	{SGX_STEP_MAP, ENOMEM, "no memory or no room for mappings is left (vm.max_map_count)"},
};

int sgx_error_explain(struct enclave_error *error, enum sgx_step step, s64 err)
{
	const char *name = strerrorname_np((int)-err);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].step != step || rows[i].err != -err)
			continue;
		enclave_error_set(error, "%s: %s (%s)", steps[step], rows[i].text, name);
		return (int)err;
	}
	enclave_error_set(error, "%s: %s (%s)", steps[step], strerror((int)-err),
			  name ? name : "unknown");
	return (int)err;
}
