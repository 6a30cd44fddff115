// SPDX-License-Identifier: Apache-2.0
/*
 * Sealing keys outside of the enclave. EGETKEY binds a key to the signer, the product
 * and the machine. The machine's secret and the signer's public key lie around for others to read,
 * so they are not enough: the caller must sign a kernel image nobody has seen before, one whose
 * measured configuration digest is random. MRSIGNER comes from that signature and from nowhere
 * else, and the image is deleted at once.
 *
 * Whatever is secret lies on the kernel heap, which no child inherits.
 */
#include "host/mount/machine_key.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "host/lib/sim_root.h"
#include "host/mount/enclave_key.h"
#include "host/occlum/build.h"
#include "host/occlum/file.h"
#include "host/occlum/place.h"
#include "host/occlum/report.h"
#include "host/pal/outer/launch.h"
#include "kernel/arch/arch.h"
#include "kernel/core/kmem.h"
#include "lib/base/hex.h"
#include "lib/base/string.h"
#include "lib/sgx/sim_key.h"

struct machine {
	struct sgx_sim_cpu cpu;
	struct sgx_secs secs;
};

/* What was asked of the CPU last: the roots of a volume share their slots. */
struct processor {
	struct enclave_key_params params;
	struct sgx_keyrequest request;
	u8 secret[32];
	u8 key[SGX_KEY_SIZE];
	bool is_known, is_given;
};

/* NULL both: no enclave's keys here. */
static struct machine *machine;	    /* the simulated */
static struct processor *processor; /* the real one */

static int ask_processor(const struct sgx_keyrequest *request, u8 ret_key[16])
{
	struct processor *p = processor;

	if (!p->is_known || memcmp(&p->request, request, sizeof(*request)) != 0) {
		p->request = *request;
		p->is_given = !enclave_key_get(&p->params, request, p->secret, p->key);
		p->is_known = true;
	}
	if (!p->is_given)
		return -EINVAL;
	memcpy(ret_key, p->key, sizeof(p->key));
	return 0;
}

int arch_egetkey(const void *key_request, u8 ret_key[16])
{
	if (processor)
		return ask_processor(key_request, ret_key);
	if (!machine)
		return -EINVAL;
	return sgx_sim_getkey(&machine->cpu, &machine->secs, key_request, ret_key);
}

/*
 * All that is asked of it is which attributes the enclave has and, in the simulation, which
 * versions a new key is made under: on hardware no layer is made here (view.c).
 */
int arch_ereport(const void *target_info, const void *report_data, void *ret_report)
{
	struct sgx_report *r = ret_report;

	if (!machine && !processor)
		return -EINVAL;
	memset(r, 0, sizeof(*r));
	if (processor) {
		r->body.attributes = processor->params.instance->sigstruct.attributes;
		return 0;
	}
	memcpy(r->body.cpusvn, machine->cpu.cpusvn, sizeof(r->body.cpusvn));
	memcpy(r->body.mrsigner, machine->secs.mrsigner, SGX_HASH_SIZE);
	r->body.attributes = machine->secs.attributes;
	r->body.miscselect = machine->secs.miscselect;
	r->body.isvprodid = machine->secs.isvprodid;
	r->body.isvsvn = machine->secs.isvsvn;
	r->body.configsvn = machine->secs.configsvn;
	return 0;
}

static u64 extended_states(void)
{
	u32 low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (u64)high << 32 | low;
}

/* A signature over what nobody can have signed before. */
static int sign_fresh(const char *key, const char *tool, const struct occlum_config *config,
		      struct sign_info *ret)
{
	const char *tmp = getenv("TMPDIR");
	struct sign_params params = {.image_path = place_of(PIECE_KERNEL_SIM),
				     .key_path = key,
				     .tool_path = tool,
				     .config = config,
				     .simulation = true};
	struct enclave_error error = {0};
	char work[PATH_MAX], out[PATH_MAX];
	int err;

	if (getrandom(params.config_sha256, sizeof(params.config_sha256), 0) !=
	    sizeof(params.config_sha256))
		return complain_errno(errno, "cannot get random bytes");
	if (path_join(work, sizeof(work), tmp && tmp[0] == '/' ? tmp : "/tmp",
		      "occlum-mount.XXXXXX") < 0 ||
	    path_join(out, sizeof(out), work, "signed") < 0)
		return complain("the path of the temporary folder is too long");
	if (!mkdtemp(work))
		return complain_errno(errno, "cannot make a temporary folder '%s'", work);
	memcpy(out, work, strlen(work)); /* the name that mkdtemp() chose */
	params.work_dir = work;
	params.output_path = out;
	err = sign_kernel_image(&params, ret, &error);
	if (tree_remove(work) < 0)
		warn("cannot remove '%s'", work);
	if (err < 0)
		return complain("cannot sign with the given key: %s", error.text);
	/* The random digest is in the image that was verified: an old signature cannot serve. */
	if (memcmp(ret->params.config_sha256, params.config_sha256, 32) != 0)
		return complain("the sign tool '%s' signed something else", tool);
	return 0;
}

static int same_signer(const struct sign_info *own, const struct sign_info *instance)
{
	char a[2 * SGX_HASH_SIZE + 1], b[2 * SGX_HASH_SIZE + 1];

	if (memcmp(own->mrsigner, instance->mrsigner, SGX_HASH_SIZE) == 0)
		return 0;
	hex_encode(a, instance->mrsigner, SGX_HASH_SIZE);
	hex_encode(b, own->mrsigner, SGX_HASH_SIZE);
	return complain("wrong signer: the instance was built with another --sign-key or "
			"--sign-tool (its signer is %.16s..., the given one %.16s...)",
			a, b);
}

static int become_machine(const struct sign_info *own)
{
	struct sgx_attributes available = {.flags = SGX_ATTR_MODE64 | SGX_ATTR_DEBUG |
						    SGX_ATTR_KSS | SGX_ATTR_PROVISIONKEY,
					   .xfrm = extended_states()};
	struct enclave_error error = {0};
	struct launch_choice choice;
	u8 secret[SIM_ROOT_SIZE];
	int err;

	machine = kzalloc(sizeof(*machine));
	if (!machine)
		return complain("out of memory");
	err = launch_choice_read(&choice, &error);
	choice.is_release = false;
	if (!err)
		err = launch_fill(&machine->secs, &own->sigstruct, &available, &choice, &error);
	memcpy(machine->secs.mrenclave, own->mrenclave, SGX_HASH_SIZE);
	if (!err)
		err = sigstruct_einit(&own->sigstruct, &machine->secs, &error);
	if (!err)
		err = sim_root_read(secret, &error);
	if (err < 0)
		return complain("%s", error.text);
	sgx_sim_cpu_init(&machine->cpu, secret);
	mem_wipe(secret, sizeof(secret));
	return 0;
}

/* Nothing is asked before a volume is opened. The strings live as long as the process. */
static int become_processor(const char *key, const char *tool, const struct sign_info *instance,
			    const struct occlum_config *config)
{
	processor = kzalloc(sizeof(*processor));
	if (!processor)
		return complain("out of memory");
	processor->params = (struct enclave_key_params){
		.key_path = strdup(key), .tool_path = tool, .config = config, .instance = instance};
	return processor->params.key_path ? 0 : complain("out of memory");
}

int machine_key_prove(const struct signer *signer, const struct sign_info *instance,
		      const struct occlum_config *config)
{
	const char *tool = signer->tool ? signer->tool : place_of(PIECE_SIGN_TOOL);
	char key[PATH_MAX];
	struct sign_info own;

	if (machine || processor)
		return 0;
	if (!signer->key) {
		if (dev_key_path(key, sizeof(key)))
			return 1;
	} else if (!realpath(signer->key, key)) {
		return complain_errno(errno, "cannot read the signing key '%s'", signer->key);
	}
	if (!signer->tool && sign_key_check(key))
		return 1;
	if (sign_fresh(key, tool, config, &own) || same_signer(&own, instance))
		return 1;
	return instance->params.mode == ENCLAVE_MODE_SIM
		       ? become_machine(&own)
		       : become_processor(key, tool, instance, config);
}
