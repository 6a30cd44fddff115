// SPDX-License-Identifier: Apache-2.0
/* Reports as their receiver handles them; the CPU (or lib/sgx/sim_key.c) makes them. */
#include "lib/sgx/report.h"

#include "lib/base/string.h"
#include "lib/crypto/cmac.h"
#include "lib/crypto/crypto.h"

void sgx_report_target(const struct sgx_report_body *self, struct sgx_targetinfo *ret)
{
	*ret = (struct sgx_targetinfo){
		.attributes = self->attributes,
		.cet_attributes = self->cet_attributes,
		.configsvn = self->configsvn,
		.miscselect = self->miscselect,
	};
	memcpy(ret->mrenclave, self->mrenclave, sizeof(ret->mrenclave));
	memcpy(ret->configid, self->configid, sizeof(ret->configid));
}

void sgx_report_key_request(const u8 keyid[SGX_KEYID_SIZE], struct sgx_keyrequest *ret)
{
	*ret = (struct sgx_keyrequest){.keyname = SGX_KEYNAME_REPORT};
	memcpy(ret->keyid, keyid, sizeof(ret->keyid));
}

bool sgx_report_is_genuine(const struct sgx_report *report, const u8 key[SGX_KEY_SIZE])
{
	const struct sgx_report_body *b = &report->body;
	u8 mac[AES_CMAC_SIZE];
	bool is_genuine;

	if (!mem_is_zero(b->rsv21, sizeof(b->rsv21)) || !mem_is_zero(b->rsv96, sizeof(b->rsv96)) ||
	    !mem_is_zero(b->rsv160, sizeof(b->rsv160)) ||
	    !mem_is_zero(b->rsv262, sizeof(b->rsv262)))
		return false;
	aes128_cmac(key, b, sizeof(*b), mac);
	is_genuine = crypto_equal(mac, report->mac, sizeof(mac));
	mem_wipe(mac, sizeof(mac));
	return is_genuine;
}
