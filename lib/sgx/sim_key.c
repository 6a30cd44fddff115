/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Software keys. Each key is the AES-128-CMAC, under the base key of its kind, of a structure with
 * everything it is bound to. INIT and DEBUG always bind, whatever mask is asked for: a debug
 * enclave never gets the keys of a release one. As on hardware, a request for an older ISVSVN or
 * CPUSVN gives the older version's key, one for a newer is refused.
 */
#include "lib/sgx/sim_key.h"

#include "abi/errno.h"
#include "lib/base/string.h"
#include "lib/crypto/cmac.h"
#include "lib/crypto/sha256.h"

struct seal_input {
	u16 keyname;
	u16 keypolicy;
	struct sgx_attributes attributes;
	struct sgx_attributes attributemask;
	u32 miscselect;
	u32 not_miscmask;
	u8 owner_epoch[16];
	u8 cpusvn[SGX_CPUSVN_SIZE];
	u16 isvsvn;
	u16 isvprodid;
	u16 configsvn;
	u8 configid[SGX_CONFIGID_SIZE];
	u8 isvfamilyid[SGX_FAMILYID_SIZE];
	u8 isvextprodid[16];
	u8 mrenclave[SGX_HASH_SIZE];
	u8 mrsigner[SGX_HASH_SIZE];
	u8 keyid[SGX_KEYID_SIZE];
	u8 rsv[2];
};
static_assert(sizeof(struct seal_input) == 280, "seal_input");
static_assert(offsetof(struct seal_input, configid) == 86, "seal_input.configid");
static_assert(offsetof(struct seal_input, keyid) == 246, "seal_input.keyid");

struct report_input {
	u16 keyname;
	u8 rsv2[6];
	struct sgx_attributes attributes;
	u32 miscselect;
	u8 owner_epoch[16];
	u8 mrenclave[SGX_HASH_SIZE];
	u8 cpusvn[SGX_CPUSVN_SIZE];
	u16 configsvn;
	u8 configid[SGX_CONFIGID_SIZE];
	u8 keyid[SGX_KEYID_SIZE];
	u8 rsv[2];
};
static_assert(sizeof(struct report_input) == 192, "report_input");
static_assert(offsetof(struct report_input, configid) == 94, "report_input.configid");

static void derive_base(const u8 secret[32], const char *label, u8 ret[16])
{
	static const char salt[] = "occlum simulated cpu v1";

	hkdf_sha256(secret, 32, salt, sizeof(salt) - 1, label, strlen(label), ret, 16);
}

void sgx_sim_cpu_init(struct sgx_sim_cpu *cpu, const u8 secret[32])
{
	static const u8 cpusvn[SGX_CPUSVN_SIZE] = "occlum-sim-cpu1";

	derive_base(secret, "seal", cpu->seal);
	derive_base(secret, "report", cpu->report);
	derive_base(secret, "provision", cpu->provision);
	derive_base(secret, "provision seal", cpu->provision_seal);
	derive_base(secret, "einit token", cpu->einittoken);
	derive_base(secret, "owner epoch", cpu->owner_epoch);
	memcpy(cpu->cpusvn, cpusvn, sizeof(cpusvn));
}

static void report_key(const struct sgx_sim_cpu *cpu, const struct sgx_targetinfo *target,
		       const u8 keyid[SGX_KEYID_SIZE], u8 ret_key[SGX_KEY_SIZE])
{
	struct report_input in = {
		.keyname = SGX_KEYNAME_REPORT,
		.attributes = target->attributes,
		.miscselect = target->miscselect,
		.configsvn = target->configsvn,
	};

	memcpy(in.owner_epoch, cpu->owner_epoch, sizeof(in.owner_epoch));
	memcpy(in.mrenclave, target->mrenclave, sizeof(in.mrenclave));
	memcpy(in.cpusvn, cpu->cpusvn, sizeof(in.cpusvn));
	memcpy(in.configid, target->configid, sizeof(in.configid));
	memcpy(in.keyid, keyid, sizeof(in.keyid));
	aes128_cmac(cpu->report, &in, sizeof(in), ret_key);
	mem_wipe(&in, sizeof(in));
}

/* Seal and provisioning keys share the structure; the latter leave epoch and key id out. */
static void sealing_key(const struct sgx_sim_cpu *cpu, const struct sgx_secs *secs,
			const struct sgx_keyrequest *request, const u8 base[16], bool with_epoch,
			u8 ret_key[SGX_KEY_SIZE])
{
	struct sgx_attributes mask = request->attributemask;
	struct seal_input in = {
		.keyname = request->keyname,
		.keypolicy = request->keypolicy,
		.attributemask = mask,
		.miscselect = secs->miscselect & request->miscmask,
		.not_miscmask = ~request->miscmask,
		.isvsvn = request->isvsvn,
	};

	in.attributes.flags =
		(mask.flags | SGX_ATTR_INIT | SGX_ATTR_DEBUG) & secs->attributes.flags;
	in.attributes.xfrm = mask.xfrm & secs->attributes.xfrm;
	memcpy(in.cpusvn, mem_is_zero(request->cpusvn, 16) ? cpu->cpusvn : request->cpusvn, 16);
	if (!(request->keypolicy & SGX_KEYPOLICY_NOISVPRODID))
		in.isvprodid = secs->isvprodid;
	if (with_epoch) {
		memcpy(in.owner_epoch, cpu->owner_epoch, sizeof(in.owner_epoch));
		memcpy(in.keyid, request->keyid, sizeof(in.keyid));
	}
	if (request->keypolicy & SGX_KEYPOLICY_CONFIGID) {
		in.configsvn = request->configsvn;
		memcpy(in.configid, secs->configid, sizeof(in.configid));
	}
	if (request->keypolicy & SGX_KEYPOLICY_ISVFAMILYID)
		memcpy(in.isvfamilyid, secs->isvfamilyid, sizeof(in.isvfamilyid));
	if (request->keypolicy & SGX_KEYPOLICY_ISVEXTPRODID)
		memcpy(in.isvextprodid, secs->isvextprodid, sizeof(in.isvextprodid));
	if (request->keypolicy & SGX_KEYPOLICY_MRENCLAVE)
		memcpy(in.mrenclave, secs->mrenclave, sizeof(in.mrenclave));
	if (request->keypolicy & SGX_KEYPOLICY_MRSIGNER)
		memcpy(in.mrsigner, secs->mrsigner, sizeof(in.mrsigner));
	aes128_cmac(base, &in, sizeof(in), ret_key);
	mem_wipe(&in, sizeof(in));
}

static bool request_is_well_formed(const struct sgx_secs *secs, const struct sgx_keyrequest *r)
{
	const u16 kss = SGX_KEYPOLICY_NOISVPRODID | SGX_KEYPOLICY_CONFIGID |
			SGX_KEYPOLICY_ISVFAMILYID | SGX_KEYPOLICY_ISVEXTPRODID;
	const u16 known = SGX_KEYPOLICY_MRENCLAVE | SGX_KEYPOLICY_MRSIGNER | kss;

	if ((r->keypolicy & ~known) || r->rsv6 || !mem_is_zero(r->rsv78, sizeof(r->rsv78)))
		return false;
	if (secs->attributes.flags & SGX_ATTR_KSS)
		return true;
	return !(r->keypolicy & kss) && r->configsvn == 0;
}

/* Each byte is the version of one component; a CPU serves what is newer in none of them. */
static bool is_newer(const u8 wanted[SGX_CPUSVN_SIZE], const u8 current[SGX_CPUSVN_SIZE])
{
	for (u32 i = 0; i < SGX_CPUSVN_SIZE; i++) {
		if (wanted[i] > current[i])
			return true;
	}
	return false;
}

int sgx_sim_getkey(const struct sgx_sim_cpu *cpu, const struct sgx_secs *secs,
		   const struct sgx_keyrequest *request, u8 ret_key[SGX_KEY_SIZE])
{
	u64 flags = secs->attributes.flags;
	struct sgx_targetinfo self = {0};

	if (!request_is_well_formed(secs, request))
		return -EINVAL;
	if (request->keyname == SGX_KEYNAME_REPORT) {
		memcpy(self.mrenclave, secs->mrenclave, sizeof(self.mrenclave));
		memcpy(self.configid, secs->configid, sizeof(self.configid));
		self.attributes = secs->attributes;
		self.miscselect = secs->miscselect;
		self.configsvn = secs->configsvn;
		report_key(cpu, &self, request->keyid, ret_key);
		return SGX_SUCCESS;
	}
	if (request->isvsvn > secs->isvsvn || request->configsvn > secs->configsvn)
		return SGX_INVALID_ISVSVN;
	if (is_newer(request->cpusvn, cpu->cpusvn))
		return SGX_INVALID_CPUSVN;
	switch (request->keyname) {
	case SGX_KEYNAME_SEAL:
		sealing_key(cpu, secs, request, cpu->seal, true, ret_key);
		return SGX_SUCCESS;
	case SGX_KEYNAME_PROVISION:
	case SGX_KEYNAME_PROVISION_SEAL:
		if (!(flags & SGX_ATTR_PROVISIONKEY))
			return SGX_INVALID_ATTRIBUTE;
		sealing_key(cpu, secs, request,
			    request->keyname == SGX_KEYNAME_PROVISION ? cpu->provision
								      : cpu->provision_seal,
			    false, ret_key);
		return SGX_SUCCESS;
	case SGX_KEYNAME_EINITTOKEN:
		return SGX_INVALID_ATTRIBUTE; /* no enclave of ours launches others */
	default: return SGX_INVALID_KEYNAME;
	}
}

int sgx_sim_report(const struct sgx_sim_cpu *cpu, const struct sgx_secs *secs,
		   const struct sgx_targetinfo *target, const u8 data[SGX_REPORTDATA_SIZE],
		   struct sgx_report *ret_report)
{
	struct sgx_report report = {0};
	u8 key[SGX_KEY_SIZE];

	if (target->rsv49 || !mem_is_zero(target->rsv56, sizeof(target->rsv56)) ||
	    !mem_is_zero(target->rsv128, sizeof(target->rsv128)))
		return -EINVAL;
	memcpy(report.body.cpusvn, cpu->cpusvn, sizeof(report.body.cpusvn));
	report.body.miscselect = secs->miscselect;
	report.body.attributes = secs->attributes;
	report.body.isvprodid = secs->isvprodid;
	report.body.isvsvn = secs->isvsvn;
	report.body.configsvn = secs->configsvn;
	memcpy(report.body.mrenclave, secs->mrenclave, SGX_HASH_SIZE);
	memcpy(report.body.mrsigner, secs->mrsigner, SGX_HASH_SIZE);
	memcpy(report.body.configid, secs->configid, SGX_CONFIGID_SIZE);
	memcpy(report.body.isvextprodid, secs->isvextprodid, 16);
	memcpy(report.body.isvfamilyid, secs->isvfamilyid, SGX_FAMILYID_SIZE);
	memcpy(report.body.reportdata, data, SGX_REPORTDATA_SIZE);
	/* As Intel's simulation: the key id is public and constant for one machine. */
	memcpy(report.keyid, cpu->cpusvn, SGX_CPUSVN_SIZE);
	report_key(cpu, target, report.keyid, key);
	aes128_cmac(key, &report.body, sizeof(report.body), report.mac);
	mem_wipe(key, sizeof(key));
	*ret_report = report;
	return 0;
}
