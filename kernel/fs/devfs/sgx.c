// SPDX-License-Identifier: Apache-2.0
/*
 * /dev/sgx: reports, their verification and keys for programs. A program could execute the
 * instructions itself (all of an enclave is one zone of trust); this is the interface that
 * existing programs use, and the only one in the simulation. Quotes need the host's quoting
 * enclave and are not there yet: their requests say so by EIO.
 */
#include "abi/errno.h"
#include "abi/sgx_ioctl.h"
#include "kernel/arch/commit.h"
#include "kernel/core/identity.h"
#include "kernel/fs/devfs/devfs_priv.h"
#include "kernel/mm/uaccess.h"
#include "lib/base/string.h"
#include "lib/sgx/report.h"

#define LOG_TAG "devfs"
#include "kernel/core/log.h"

static long sgx_read(struct file *f, struct uio *uio, u64 offset)
{
	return -EPERM;
}

static long sgx_write(struct file *f, struct uio *uio, u64 *offset)
{
	return -EPERM;
}

static long give(u64 to, const void *from, size_t size)
{
	return copy_to_user((void __user *)to, from, size);
}

static long take(void *to, u64 from, size_t size)
{
	return copy_from_user(to, (const void __user *)from, size);
}

static long give_flag(u64 to, bool value)
{
	s32 word = value;

	return give(to, &word, sizeof(word));
}

static long self_target(u64 arg)
{
	struct sgx_targetinfo target;

	sgx_report_target(identity(), &target);
	return give(arg, &target, sizeof(target));
}

static long create_report(u64 arg)
{
	struct abi_sgx_create_report request;
	struct sgx_targetinfo target;
	u8 data[SGX_REPORTDATA_SIZE];
	struct sgx_report report;
	long err = take(&request, arg, sizeof(request));

	if (!err && request.target)
		err = take(&target, request.target, sizeof(target));
	if (!err && request.data)
		err = take(data, request.data, sizeof(data));
	if (!err)
		err = identity_report(request.target ? &target : NULL, request.data ? data : NULL,
				      &report);
	return err ? err : give(request.report, &report, sizeof(report));
}

static long verify_report(u64 arg)
{
	struct sgx_report report;
	long err = take(&report, arg, sizeof(report));

	if (!err)
		err = identity_verify(&report);
	return err == -EBADMSG ? -EINVAL : err;
}

static long get_key(u64 arg)
{
	struct abi_sgx_get_key where;
	struct sgx_keyrequest request;
	u8 key[SGX_KEY_SIZE];
	long err = take(&where, arg, sizeof(where));

	if (!err)
		err = take(&request, where.request, sizeof(request));
	if (!err)
		err = identity_key(&request, key);
	if (!err)
		err = give(where.key, key, sizeof(key));
	mem_wipe(key, sizeof(key));
	return err;
}

static long no_quotes(void)
{
	log_warn("A program asks /dev/sgx for a quote: this version makes reports and keys only.");
	return -EIO;
}

static long sgx_ioctl(struct file *f, u32 command, u64 arg)
{
	switch (command) {
	case SGX_IOCTL_IS_EDMM_SUPPORTED: return give_flag(arg, COMMIT_IS_HARDWARE);
	case SGX_IOCTL_DETECT_DCAP_DRIVER: return give_flag(arg, false);
	case SGX_IOCTL_SELF_TARGET: return self_target(arg);
	case SGX_IOCTL_CREATE_REPORT: return create_report(arg);
	case SGX_IOCTL_VERIFY_REPORT: return verify_report(arg);
	case SGX_IOCTL_GET_KEY: return get_key(arg);
	case SGX_IOCTL_GET_EPID_GROUP_ID:
	case SGX_IOCTL_GEN_EPID_QUOTE:
	case SGX_IOCTL_GET_DCAP_QUOTE_SIZE:
	case SGX_IOCTL_GEN_DCAP_QUOTE:
	case SGX_IOCTL_GET_DCAP_SUPPL_SIZE:
	case SGX_IOCTL_VER_DCAP_QUOTE: return no_quotes();
	default: break;
	}
	if ((command >> 8 & 0xff) != SGX_IOCTL_MAGIC)
		return -ENOTTY;
	return (command & 0xff) < SGX_IOCTL_COUNT ? -EINVAL : -ENOSYS;
}

const struct file_ops dev_sgx_ops = {.read = sgx_read, .write = sgx_write, .ioctl = sgx_ioctl};
