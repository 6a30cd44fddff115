/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EINIT compares an enclave's attributes with the signature under the signature's masks. So the
 * masked bits are taken from there, and only the others are anybody's choice: extended states that
 * the machine may lack, and DEBUG where an external signing tool left it open. PROVISIONKEY and KSS
 * are set where the signature has them and never else.
 */
#include "host/pal/outer/launch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/lib/config_id.h"

#define XFRM_CHOICE (SGX_XFRM_LEGACY | SGX_XFRM_AVX | SGX_XFRM_AVX512)

static bool is_yes(const char *value)
{
	static const char *const words[] = {"1", "y", "yes", "true"};

	for (size_t i = 0; value && i < ARRAY_SIZE(words); i++) {
		if (strcasecmp(value, words[i]) == 0)
			return true;
	}
	return false;
}

int launch_choice_read(struct launch_choice *choice, struct enclave_error *error)
{
	const char *id = getenv(CONFIG_ID_VARIABLE), *svn = getenv(CONFIG_SVN_VARIABLE);
	int err = 0;

	*choice = (struct launch_choice){
		.is_release = is_yes(getenv("OCCLUM_RELEASE_ENCLAVE")),
		.is_configured = (id && *id) || (svn && *svn),
	};
	if (id && *id)
		err = config_id_parse(id, choice->configid, error);
	if (!err && svn && *svn)
		err = config_svn_parse(svn, &choice->configsvn, error);
	return err;
}

static int fill_flags(struct sgx_secs *secs, const struct sgx_sigstruct *sig, u64 allowed,
		      const struct launch_choice *choice, struct enclave_error *error)
{
	u64 wanted = SGX_ATTR_MODE64 | SGX_ATTR_DEBUG | SGX_ATTR_PROVISIONKEY | SGX_ATTR_KSS |
		     SGX_ATTR_EINITTOKENKEY | SGX_ATTR_AEXNOTIFY;
	u64 flags = sig->attributes.flags & wanted;

	if (choice->is_release) {
		if (flags & sig->attributemask.flags & SGX_ATTR_DEBUG) {
			enclave_error_set(error, "the image is signed for debugging alone, so that "
						 "it cannot be started as a release enclave "
						 "(metadata.debuggable)");
			return -EINVAL;
		}
		flags &= ~(u64)SGX_ATTR_DEBUG;
	}
	if (choice->is_configured && !(flags & SGX_ATTR_KSS)) {
		enclave_error_set(error, "--config-id and --config-svn need metadata.enable_kss in "
					 "the configuration, and another build");
		return -EINVAL;
	}
	if (flags & SGX_ATTR_KSS & ~allowed) {
		enclave_error_set(error, "this processor has no KSS (metadata.enable_kss)");
		return -EINVAL;
	}
	if (flags & ~allowed) {
		enclave_error_set(error,
				  "this processor does not allow the attributes 0x%llx, for which "
				  "the image is signed",
				  (unsigned long long)(flags & ~allowed));
		return -EINVAL;
	}
	secs->attributes.flags = flags;
	memcpy(secs->configid, choice->configid, sizeof(secs->configid));
	secs->configsvn = choice->configsvn;
	return 0;
}

static int fill_xfrm(struct sgx_secs *secs, const struct sgx_sigstruct *sig, u64 available,
		     struct enclave_error *error)
{
	u64 fixed = sig->attributemask.xfrm, chosen = available & XFRM_CHOICE, missing;

	if ((chosen & SGX_XFRM_AVX512) != SGX_XFRM_AVX512 || !(chosen & SGX_XFRM_AVX))
		chosen &= ~SGX_XFRM_AVX512;
	secs->attributes.xfrm = (sig->attributes.xfrm & fixed) | (chosen & ~fixed);
	missing = secs->attributes.xfrm & ~available;
	if (!missing)
		return 0;
	enclave_error_set(error,
			  "the image needs extended states (XFRM 0x%llx) that this machine does "
			  "not have: 0x%llx",
			  (unsigned long long)secs->attributes.xfrm, (unsigned long long)missing);
	return -EINVAL;
}

int launch_fill(struct sgx_secs *secs, const struct sgx_sigstruct *sig,
		const struct sgx_attributes *machine, const struct launch_choice *choice,
		struct enclave_error *error)
{
	int err = fill_flags(secs, sig, machine->flags, choice, error);

	if (!err)
		err = fill_xfrm(secs, sig, machine->xfrm, error);
	secs->miscselect = SGX_MISC_EXINFO;
	return err;
}
