/* SPDX-License-Identifier: Apache-2.0 */
/* Building an enclave. The outer part only: ordinary code with libc. */
#pragma once

#include "host/lib/enclave_image.h"
#include "lib/sgx/measure.h"

struct enclave_backend;

struct enclave {
	const struct enclave_backend *backend;
	struct measured_params params;
	u64 base; /* BASE; 0 is a good one */
	s32 fd;	  /* of the driver; hardware */
	void *reserved;
	u64 reserved_size;
	struct sgx_measure measure;
	struct sgx_secs secs;
	bool fill_unmeasured; /* tests: what is not measured starts as 0xCC */
};

/*
 * How an enclave comes to be. Entering is compiled into the inner part (hw_enter, sim_enter), since
 * nothing there may go through a pointer that others could change.
 */
struct enclave_backend {
	const char *name;
	/*
	 * Reserves the address range (base, size), decides on the attributes and begins the
	 * measurement. Leaves nothing behind when it fails.
	 */
	int (*create)(struct enclave *e, const struct measured_params *params,
		      const struct sgx_sigstruct *sig, struct enclave_error *error);
	int (*add_pages)(struct enclave *e, const struct enclave_run *run,
			 struct enclave_error *error);
	/* EINIT: everything that the signature says must hold. */
	int (*init)(struct enclave *e, const struct sgx_sigstruct *sig,
		    struct enclave_error *error);
	void (*destroy)(struct enclave *e);
};

extern const struct enclave_backend enclave_backend_sgx, enclave_backend_sim;

/*
 * Builds the enclave of a signed kernel image, by the backend that the image is made for. Nothing
 * is left on failure.
 */
int __must_check enclave_load(struct enclave *e, const char *image_path,
			      struct enclave_error *error);
void enclave_unload(struct enclave *e);
static inline bool enclave_is_hardware(const struct enclave *e)
{
	return e->backend == &enclave_backend_sgx;
}

/* For backends: base and reserved range. */
int __must_check enclave_reserve(struct enclave *e, u64 size, struct enclave_error *error);
void enclave_unreserve(struct enclave *e);

/* Prepares `inner` for this enclave: thread blocks, arenas, descriptors. */
int __must_check enclave_inner_init(const struct enclave *e, const char *instance_dir,
				    struct enclave_error *error);
void enclave_inner_fini(void);

/* The thread that answers SERVICE_* requests. */
int __must_check service_start(const struct enclave *e, struct enclave_error *error);
void service_stop(void);

/* Whether a variable "NAME=value" of the host would be let in by this configuration. */
void environment_init(const void *config, u64 size);
bool __must_check environment_allows(const char *variable);

/* Untrusted memory with everything the kernel gets at boot. */
struct boot_memory {
	void *memory;
	u64 size;
	struct boot_info *info;
};
int __must_check boot_memory_make(struct boot_memory *b, const char *instance_dir, u32 log_level,
				  struct enclave_error *error);
void boot_memory_free(struct boot_memory *b);
