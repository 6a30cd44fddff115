// SPDX-License-Identifier: Apache-2.0
/*
 * Who this enclave is. A report for nobody is the one way to learn the attributes that the host
 * chose at launch; what the signature leaves open is judged here, before anything is believed.
 */
#include "kernel/core/identity.h"

#include "abi/errno.h"
#include "kernel/arch/arch.h"
#include "kernel/arch/commit.h"
#include "lib/base/string.h"
#include "lib/sgx/report.h"

#define LOG_TAG "identity"
#include "kernel/core/log.h"

static struct sgx_report_body self; /* constant after boot */

int identity_report(const struct sgx_targetinfo *target, const u8 data[SGX_REPORTDATA_SIZE],
		    struct sgx_report *ret)
{
	static const struct sgx_targetinfo nobody;
	static const u8 nothing[SGX_REPORTDATA_SIZE];

	return arch_ereport(target ? target : &nobody, data ? data : nothing, ret);
}

int identity_init(void)
{
	struct sgx_report report;
	int err = identity_report(NULL, NULL, &report);

	if (err)
		return err;
	self = report.body;
	if (!(self.miscselect & SGX_MISC_EXINFO)) {
		log_always("the enclave was launched without MISCSELECT.EXINFO: page faults cannot "
			   "be told apart");
		return -EOPNOTSUPP;
	}
	/* Inside, XCR0 is XFRM; the simulation's loader may leave components out. */
	if (COMMIT_IS_HARDWARE && self.attributes.xfrm != arch_xstate_mask()) {
		log_always("the enclave was launched with other extended state than its registers "
			   "have");
		return -EOPNOTSUPP;
	}
	return 0;
}

const struct sgx_report_body *identity(void)
{
	return &self;
}

int identity_verify(const struct sgx_report *report)
{
	struct sgx_keyrequest request;
	u8 key[SGX_KEY_SIZE];
	int err;

	sgx_report_key_request(report->keyid, &request);
	err = arch_egetkey(&request, key);
	if (err)
		return err < 0 ? err : -EIO;
	err = sgx_report_is_genuine(report, key) ? 0 : -EBADMSG;
	mem_wipe(key, sizeof(key));
	return err;
}

int identity_key(const struct sgx_keyrequest *request, u8 ret_key[SGX_KEY_SIZE])
{
	int code = arch_egetkey(request, ret_key);

	if (code <= 0)
		return code;
	log_debug("The CPU refuses a key: SGX error %d.", code);
	return code == SGX_INVALID_ATTRIBUTE ? -EPERM : -EINVAL;
}
