/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The autokey. A slot records which security versions its key was asked for with; opening asks for
 * exactly that key, which the CPU grants to this version and later ones. The slot's numbers are
 * not authenticated yet when they are used: all they can do is derive another key, which then does
 * not open the slot; the minimum comes from the measured configuration.
 *
 * A layer over an encrypted image is sealed under the image key instead, so that it opens wherever
 * the image does. Its key encryption key is another than the image's (lib/secvol/keys.c: uuid and
 * role). One that was made before, under the autokey, goes on opening where it was made.
 */
#include "kernel/fs/secvol/keys.h"

#include "abi/errno.h"
#include "kernel/arch/arch.h"
#include "kernel/core/config.h"
#include "kernel/fs/secvol/anchor.h"
#include "lib/base/string.h"
#include "lib/crypto/sha256.h"
#include "lib/sgx/sgx.h"

/*
 * The ids are the loader's and the signer's to choose where the enclave was signed with KSS; the
 * CPU does not know such policies elsewhere.
 */
static u16 policy_of(const struct sgx_report *report)
{
	if (!(report->body.attributes.flags & SGX_ATTR_KSS))
		return SGX_KEYPOLICY_MRSIGNER;
	return SGX_KEYPOLICY_MRSIGNER | SGX_KEYPOLICY_CONFIGID | SGX_KEYPOLICY_ISVFAMILYID |
	       SGX_KEYPOLICY_ISVEXTPRODID;
}

static int own_report(struct sgx_report *ret)
{
	alignas(512) struct sgx_targetinfo target = {0};
	alignas(128) u8 data[SGX_REPORTDATA_SIZE] = {0};

	return arch_ereport(&target, data, ret) ? -EIO : 0;
}

static int describe(void *arg, struct secvol_slot_info *slot)
{
	alignas(512) struct sgx_report report;
	const struct auto_key *key = arg;
	int err = own_report(&report);

	if (key->image_key) {
		/* Who made it, for an anchor that asks for a later one. Host tools are nobody. */
		slot->type = SECVOL_SLOT_USER;
		slot->isvsvn = err ? 0 : report.body.isvsvn;
		return 0;
	}
	if (err)
		return err;
	slot->type = SECVOL_SLOT_EGETKEY;
	slot->flags = 0;
	slot->policy = policy_of(&report);
	slot->isvsvn = report.body.isvsvn;
	slot->configsvn = report.body.configsvn;
	memcpy(slot->cpusvn, report.body.cpusvn, sizeof(slot->cpusvn));
	return 0;
}

static int get(void *arg, const struct secvol_slot_info *slot, u8 ikm[64], size_t *ret_size)
{
	struct auto_key *key = arg;
	alignas(512) struct sgx_keyrequest request = {0};
	alignas(512) struct sgx_report report;
	alignas(16) u8 seal[SGX_KEY_SIZE];
	int err;

	if (slot->epoch < key->min_epoch ||
	    (slot->type == SECVOL_SLOT_EGETKEY && slot->isvsvn < key->min_isvsvn)) {
		key->is_too_old = true;
		return -ENOENT;
	}
	if (slot->type == SECVOL_SLOT_USER && key->image_key) {
		memcpy(ikm, key->image_key->key, key->image_key->size);
		*ret_size = key->image_key->size;
		return 0;
	}
	err = own_report(&report);
	if (err)
		return err;
	if (slot->type != SECVOL_SLOT_EGETKEY || slot->policy != policy_of(&report))
		return -ENOENT;
	request.keyname = SGX_KEYNAME_SEAL;
	request.keypolicy = slot->policy;
	request.isvsvn = slot->isvsvn;
	request.configsvn = slot->configsvn;
	memcpy(request.cpusvn, slot->cpusvn, sizeof(request.cpusvn));
	memcpy(request.keyid, slot->keyid, sizeof(slot->keyid));
	/* INIT, DEBUG and the architecture's bits: a debug enclave never gets a release key. */
	request.attributemask.flags = ~0ull & ~(u64)SGX_ATTR_PROVISIONKEY;
	request.attributemask.xfrm = 0;
	request.miscmask = 0;
	if (arch_egetkey(&request, seal))
		return -EKEYREJECTED;
	memcpy(ikm, seal, sizeof(seal));
	*ret_size = sizeof(seal);
	mem_wipe(seal, sizeof(seal));
	return 0;
}

int auto_key_anchor(const u8 id[32], u8 key[32])
{
	static const char info[] = "secvol1/anchor file";
	alignas(512) struct sgx_keyrequest request = {0};
	alignas(512) struct sgx_report report;
	alignas(16) u8 seal[SGX_KEY_SIZE];
	int err = own_report(&report);

	if (err)
		return err;
	request.keyname = SGX_KEYNAME_SEAL;
	request.keypolicy = policy_of(&report);
	memcpy(request.keyid, id, sizeof(request.keyid));
	request.attributemask.flags = ~0ull & ~(u64)SGX_ATTR_PROVISIONKEY;
	if (arch_egetkey(&request, seal))
		return -EKEYREJECTED;
	hkdf_sha256(seal, sizeof(seal), id, 32, info, sizeof(info) - 1, key, 32);
	mem_wipe(seal, sizeof(seal));
	return 0;
}

void auto_key_source(struct secvol_key_source *src, struct auto_key *key)
{
	*src = (struct secvol_key_source){.arg = key, .describe = describe, .get = get};
}

/* The owner's service knows the image key, as init does who gave it to us. */
int volume_anchor_key(const struct config_anchor *c, const u8 id[32], const u8 *image_key,
		      u8 key[32])
{
	static const char info[] = "secvol1/anchor";

	if (c->kind == CONFIG_ANCHOR_FILE)
		return auto_key_anchor(id, key);
	if (!image_key)
		return -ENOKEY;
	hkdf_sha256(image_key, 16, NULL, 0, info, sizeof(info) - 1, key, 32);
	return 0;
}
