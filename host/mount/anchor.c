// SPDX-License-Identifier: Apache-2.0
/* Anchors (kernel/fs/secvol/anchor.h) by the host's own means: the same records, the same keys. */
#include "kernel/fs/secvol/anchor.h"

#include <errno.h>
#include <stdlib.h>

#include "host/lib/anchor.h"
#include "kernel/core/kmem.h"
#include "lib/base/string.h"

/* On the heap that children do not inherit: it holds the key. */
struct volume_anchor {
	union {
		struct anchor_file file;
		struct anchor_command command;
	};
};

int volume_anchor_new(const struct config_anchor *c, const u8 id[32], const u8 *image_key,
		      struct secvol_anchor *ret)
{
	struct volume_anchor *a = kzalloc(sizeof(*a));
	u8 key[32];
	int err;

	if (!a)
		return -ENOMEM;
	err = volume_anchor_key(c, id, image_key, key);
	if (!err && c->kind == CONFIG_ANCHOR_FILE)
		err = anchor_file_init(&a->file, c->place, key,
				       (enum secvol_anchor_policy)c->policy, ret);
	else if (!err)
		anchor_command_init(&a->command, getenv("OCCLUM_ANCHOR_COMMAND"), key,
				    (enum secvol_anchor_policy)c->policy, ret);
	mem_wipe(key, sizeof(key));
	if (err)
		kfree(a);
	return err;
}

void volume_anchor_free(struct secvol_anchor *anchor)
{
	if (anchor->arg)
		mem_wipe(anchor->arg, sizeof(struct volume_anchor));
	kfree(anchor->arg);
	anchor->arg = NULL;
}
