/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of the canonical configuration; docs/format/config.md is the description.
 *
 *   header 32 | settings 104 | env default | env untrusted | entry args | stage init | stage app
 *
 * list   = count le32, then that many elements
 * string = length le32, bytes, one NUL (not counted)
 * stage  = list of mounts, list of strings (entry points)
 * mount  = fixed 24, target string, source string when CONFIG_MOUNT_HAS_SOURCE, volumes
 * volume = fixed 56, source string, anchor when CONFIG_VOLUME_HAS_ANCHOR
 * anchor = fixed 4, string
 */
#pragma once

#include "lib/base/le.h"

#define CONFIG_MAGIC   "OCCLMCFG"
#define CONFIG_VERSION 2

struct config_header_format {
	u8 magic[8];
	le32 version;
	le32 size; /* of all bytes, this header included */
	le64 features;
	le64 reserved;
};
static_assert(sizeof(struct config_header_format) == 32, "header");

enum config_setting_flags {
	CONFIG_DEBUGGABLE = 1 << 0,
	CONFIG_DISABLE_LOG = 1 << 1,
	CONFIG_ENABLE_KSS = 1 << 2,
	CONFIG_STRICT_MEMORY = 1 << 3,
	CONFIG_ENABLE_POSIX_SHM = 1 << 4,
	CONFIG_PROVISION_KEY = 1 << 5,
	CONFIG_SETTING_FLAGS = (1 << 6) - 1,
};

struct config_settings_format {
	le64 user_space_size;
	le64 kernel_heap_size;
	le64 kernel_stack_size;
	le64 default_stack_size;
	le64 default_heap_size;
	le64 default_mmap_size;
	le32 max_threads;
	le16 product_id;
	le16 version_number;
	le32 flags;
	le32 reserved;
	u8 family_id[16];
	u8 ext_prod_id[16];
	le32 uid;
	le32 gid;
};
static_assert(sizeof(struct config_settings_format) == 104, "settings");
static_assert(offsetof(struct config_settings_format, max_threads) == 48, "max_threads");
static_assert(offsetof(struct config_settings_format, family_id) == 64, "family_id");

enum config_mount_flags {
	CONFIG_MOUNT_HAS_SOURCE = 1 << 0,
	CONFIG_MOUNT_MAY_EXEC = 1 << 1,
	CONFIG_MOUNT_FLAGS = (1 << 2) - 1,
};

struct config_mount_format {
	le32 type;
	le32 flags;
	le64 cache_size;
	le32 layer_count;
	le32 reserved;
};
static_assert(sizeof(struct config_mount_format) == 24, "mount");

enum config_volume_flags {
	CONFIG_VOLUME_KEEP_UPPER = 1 << 0,
	CONFIG_VOLUME_MAY_CREATE = 1 << 1,
	CONFIG_VOLUME_HAS_ANCHOR = 1 << 2,
	CONFIG_VOLUME_SCRUBS = 1 << 3,
	CONFIG_VOLUME_DUP = 1 << 4,
	CONFIG_VOLUME_HAS_COMMIT = 1 << 5,
	CONFIG_VOLUME_FLAGS = (1 << 6) - 1,
};

struct config_volume_format {
	u8 role;
	u8 image_type;
	u8 suite;
	u8 flags;
	le16 min_epoch;
	le16 min_isvsvn;
	u8 volume_id[16];
	u8 digest[32];
};
static_assert(sizeof(struct config_volume_format) == 56, "volume");
static_assert(offsetof(struct config_volume_format, digest) == 24, "digest");

struct config_anchor_format {
	u8 policy;
	u8 kind;
	u8 reserved[2];
};
static_assert(sizeof(struct config_anchor_format) == 4, "anchor");
