/* SPDX-License-Identifier: Apache-2.0 */
/* System call 363: the application's files are mounted, once, by the first program. */
#include "kernel/mm/uaccess.h"
#include "kernel/sys/fs_args.h"
#include "kernel/sys/syscalls_gen.h"
#include "lib/base/string.h"

#define LOG_TAG "fs"
#include "kernel/core/log.h"

#define KEY_SIZE 16
#define INIT_PID 1

/* Replacements for parts of the configuration, as the existing Occlum has them. */
struct mount_root_config {
	u64 size; /* of this structure */
	u64 upper_layer_path, lower_layer_path, entry_point, hostfs_source, hostfs_target, envp;
};
static_assert(sizeof(struct mount_root_config) == 56, "mount_root_config");

long sys_mount_root_fs(const void __user *user_key, const void __user *user_config)
{
	struct mount_root_config c = {0};
	u8 key[KEY_SIZE];
	long ret;

	if (current_process()->pid != INIT_PID)
		return -EPERM;
	if (user_config) {
		if (copy_from_user(&c, user_config, sizeof(c)))
			return -EFAULT;
		if (c.size != sizeof(c))
			return -EINVAL;
		if (c.upper_layer_path || c.lower_layer_path || c.entry_point || c.hostfs_source ||
		    c.hostfs_target || c.envp) {
			log_err("Mounting other layers than the configured ones is not supported.");
			return -ENOSYS;
		}
	}
	if (user_key && copy_from_user(key, user_key, sizeof(key)))
		return -EFAULT;
	ret = vfs_mount_app(key, user_key != NULL);
	mem_wipe(key, sizeof(key));
	return ret;
}
