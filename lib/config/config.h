/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canonical configuration: every setting of an instance, both image digests and the mount
 * tables, as `occlum build` fixed them. Its bytes are a function of the settings alone; their
 * SHA-256 lies in the measured slot of the kernel image, so that one number attests code,
 * configuration and files. Bytes: docs/format/config.md and config_format.h.
 *
 * Shared by the build (encode) and the kernel's boot (decode, after it has compared the digest).
 * A decoded configuration has been checked completely: code further in never checks again.
 */
#pragma once

#include "lib/base/types.h"

#define CONFIG_SIZE_MAX		KIB(256) /* of the encoding */
#define CONFIG_STRING_MAX	4096	 /* bytes of one string without its NUL */
#define CONFIG_ENTRY_POINTS_MAX 64
#define CONFIG_ENV_MAX		256
#define CONFIG_MOUNTS_MAX	16
#define CONFIG_LAYERS_MAX	4
#define CONFIG_ENTRY_ARGS_MAX	32
#define CONFIG_ARG_PATTERNS_MAX 32
#define CONFIG_THREADS_MAX	4096
#define CONFIG_DIGEST_SIZE	32
#define CONFIG_VOLUME_ID_SIZE	16
#define CONFIG_KSS_ID_SIZE	16

enum config_fs {
	CONFIG_FS_UNIONFS = 1, /* layers[] say what it joins */
	CONFIG_FS_SEFS = 2,    /* a secvol volume in the host directory `source` */
	CONFIG_FS_HOSTFS = 3,
	CONFIG_FS_RAMFS = 4,
	CONFIG_FS_PROCFS = 5,
	CONFIG_FS_DEVFS = 6,
};

/*
 * What a volume is for; part of the derivation of its key, so that volumes cannot be swapped. The
 * numbers are those of enum secvol_role.
 */
enum config_role {
	CONFIG_ROLE_IMAGE = 1,	   /* the application's files: read-only, pinned by their digest */
	CONFIG_ROLE_INITFS = 2,	   /* init's files: likewise */
	CONFIG_ROLE_ROOT = 3,	   /* the sealed layer above an image */
	CONFIG_ROLE_DATA = 4,	   /* a sealed volume of its own */
	CONFIG_ROLE_TEMPORARY = 5, /* empty at each start, under a key nobody keeps */
};

enum config_image_type {
	CONFIG_IMAGE_INTEGRITY = 1, /* "integrity-only": readable by the host, pinned */
	CONFIG_IMAGE_ENCRYPTED = 2, /* under the image key that init hands to system call 363 */
};

/* How much of a volume's freshness an anchor outside of it watches; numbers as in secvol. */
enum config_anchor_policy {
	CONFIG_ANCHOR_NONE = 0,
	CONFIG_ANCHOR_MOUNT = 1,  /* at the open and the clean close */
	CONFIG_ANCHOR_STRICT = 2, /* each commit */
};

enum config_anchor_kind {
	CONFIG_ANCHOR_FILE = 1, /* an authenticated record in the host file `place` */
	CONFIG_ANCHOR_COMMAND =
		2, /* a program of the host asks someone; replies are authenticated */
};

struct config_anchor {
	enum config_anchor_policy policy;
	enum config_anchor_kind kind; /* 0 without a policy */
	const char *place;	      /* FILE: path of the host, relative to the instance */
};

#define CONFIG_COMMIT_EXPLICIT UINT32_MAX /* commit_seconds: none but those that are asked for */

/* One volume: a layer of a unionfs, or the volume of a mount of type sefs. */
struct config_volume {
	enum config_role role;
	/* Of the two pinned roles. ROLE_ROOT: ENCRYPTED when the image key opens this layer too, on any
	 * machine, else 0; other roles: 0. */
	enum config_image_type image_type;
	u8 suite;      /* cipher: 1 AES-128-GCM, 2 AES-256-GCM */
	u16 min_epoch; /* older key epochs and security versions are not opened */
	u16 min_isvsvn;
	u8 volume_id[CONFIG_VOLUME_ID_SIZE]; /* part of the key derivation; zero: by role alone */
	const char *source;		     /* host directory, relative to the instance */
	u8 digest[CONFIG_DIGEST_SIZE]; /* SHA-256 of the root slot of a pinned role, else zero */
	bool keep_upper; /* ROLE_ROOT: may be bound to another image than the one it was made over */
	bool may_create;    /* may be made where none exists */
	bool duplicate;	    /* made with metadata that is there twice */
	u32 commit_seconds; /* between commits that nobody asked for; 0: the kernel's choice */
	u32 scrub_kib;	    /* read again in the background, per second; 0: not */
	struct config_anchor anchor; /* not of pinned and temporary volumes; needs a volume id */
};

struct config_mount {
	enum config_fs type;
	const char *target; /* absolute, without "." or ".." components */
	const char *source; /* host path (hostfs), relative to the instance; NULL where none */
	u64 cache_size;	    /* bytes of page cache for this mount, 0 for the kernel's choice */
	bool may_exec;	    /* hostfs only: programs may be run and mapped executable from it */
	u32 layer_count;    /* unionfs: lowest first, the writable one last; sefs: exactly one */
	struct config_volume layers[CONFIG_LAYERS_MAX];
};

/* What is mounted, and what the host may start, before (init) and after (app) system call 363. */
struct config_stage {
	u32 mount_count; /* the first is "/" */
	struct config_mount mounts[CONFIG_MOUNTS_MAX];
	u32 entry_point_count;
	const char *entry_points[CONFIG_ENTRY_POINTS_MAX];
};

/* Arguments the host may give to one program: argv[1...] must match the patterns one by one. */
struct config_entry_args {
	const char *path;
	u32 pattern_count;
	const char
		*patterns[CONFIG_ARG_PATTERNS_MAX]; /* `*` and `?`; a last "..." takes the rest */
};

/* Strings are borrowed from the encoded bytes, which must outlive the structure. About 40 KiB. */
struct occlum_config {
	/* resource_limits; bytes, multiples of the page size */
	u64 user_space_size;
	u64 kernel_heap_size;
	u64 kernel_stack_size; /* of each thread */
	u32 max_threads;       /* TCS count: threads of all programs together */

	/* process */
	u64 default_stack_size; /* main thread's stack, RLIMIT_STACK */
	u64 default_heap_size;	/* limit of brk until a program sets RLIMIT_DATA */
	u64 default_mmap_size;	/* obsolete: limits nothing */
	u32 uid, gid;		/* of the programs that the host starts */

	/* metadata */
	u16 product_id;	    /* ISVPRODID */
	u16 version_number; /* ISVSVN */
	bool debuggable;
	bool disable_log;
	bool provision_key; /* attribute PROVISIONKEY: keys that identify the machine */
	bool enable_kss;
	u8 family_id[CONFIG_KSS_ID_SIZE]; /* little endian, zero without KSS */
	u8 ext_prod_id[CONFIG_KSS_ID_SIZE];

	/* feature */
	bool strict_memory;    /* munmap always removes access at once */
	bool enable_posix_shm; /* several processes may have one file mapped MAP_SHARED */

	u32 env_default_count;
	const char *env_default[CONFIG_ENV_MAX]; /* "NAME=value" */
	u32 env_untrusted_count;
	const char *env_untrusted[CONFIG_ENV_MAX]; /* names that the host may set */

	u32 entry_args_count;
	struct config_entry_args entry_args[CONFIG_ENTRY_ARGS_MAX];

	struct config_stage init;
	struct config_stage app;
};

static inline bool config_role_is_pinned(enum config_role role)
{
	return role == CONFIG_ROLE_IMAGE || role == CONFIG_ROLE_INITFS;
}

/*
 * Reads `size` bytes of a canonical configuration. On failure *ret is all zero. -EUCLEAN when the
 * bytes are not a canonical configuration of this version (a second encoding of the same settings
 * is refused too), -E2BIG when larger than CONFIG_SIZE_MAX.
 */
int __must_check config_decode(struct occlum_config *ret, const void *bytes, size_t size);

/*
 * Writes the canonical bytes of `config` and stores their count in *ret_size. -EINVAL when a value
 * is out of the limits above, -ENOSPC when `size` does not suffice.
 */
int __must_check config_encode(const struct occlum_config *config, void *bytes, size_t size,
			       size_t *ret_size);

/* The resolved absolute path lies under one of the stage's entry points (whole components). */
bool config_stage_allows(const struct config_stage *stage, const char *path);

/*
 * The arguments (argv[0] apart) are allowed for the program at `path`: true when no entry_args
 * names it or when all match. `args` has `count` elements.
 */
bool config_args_allow(const struct occlum_config *config, const char *path,
		       const char *const *args, size_t count);

/* A variable "NAME=value" from the host may enter: NAME is listed whole in env.untrusted. */
bool config_env_allows(const struct occlum_config *config, const char *variable);

/*
 * Position in env_default of a variable with the same name as "NAME=value", or -1: host variables
 * that are allowed override these.
 */
int config_env_find_default(const struct occlum_config *config, const char *variable);
