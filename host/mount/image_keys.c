// SPDX-License-Identifier: Apache-2.0
/*
 * `occlum image keys`: the slots of the sealed layer, in each of which the volume's key is wrapped
 * for one holder. A slot for a key file lets its holder look at the layer without this machine or
 * signer (`occlum fsck --key`); taking it away again is no revocation, since the holder may have
 * kept the volume's key: `occlum image rotate` makes a new one.
 */
#include "host/mount/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/occlum/build.h"
#include "host/occlum/report.h"
#include "lib/base/string.h"

static const char *holder_of(const struct secvol_slot_info *slot)
{
	switch (slot->type) {
	case SECVOL_SLOT_EMPTY: return "empty";
	case SECVOL_SLOT_USER: return "key file";
	case SECVOL_SLOT_EGETKEY: return "enclave";
	case SECVOL_SLOT_KMS: return "kms";
	default: return "random";
	}
}

static void list_json(const struct secvol_slot_info slots[SECVOL_KEY_SLOTS], u32 opened)
{
	bool any = false;

	printf("[");
	for (u32 i = 0; i < SECVOL_KEY_SLOTS; i++) {
		if (slots[i].type == SECVOL_SLOT_EMPTY)
			continue;
		printf("%s{\"slot\": %u, \"holder\": \"%s\", \"epoch\": %u, \"isvsvn\": %u, "
		       "\"opened\": %s}",
		       any ? ", " : "", i, holder_of(&slots[i]), slots[i].epoch, slots[i].isvsvn,
		       i == opened ? "true" : "false");
		any = true;
	}
	printf("]\n");
}

static int list(struct secvol *sv, bool json, u32 opened)
{
	struct secvol_slot_info slots[SECVOL_KEY_SLOTS];

	secvol_slots(sv, slots);
	if (json) {
		list_json(slots, opened);
		return 0;
	}
	for (u32 i = 0; i < SECVOL_KEY_SLOTS; i++) {
		if (slots[i].type == SECVOL_SLOT_EMPTY)
			inform("%u  empty", i);
		else
			inform("%u  %s, epoch %u, svn %u%s", i, holder_of(&slots[i]),
			       slots[i].epoch, slots[i].isvsvn,
			       i == opened ? "  (opened now)" : "");
	}
	return 0;
}

static int add(struct secvol *sv, const char *file, bool json)
{
	struct secvol_fixed_key fixed = {.type = SECVOL_SLOT_USER, .size = IMAGE_KEY_SIZE};
	struct secvol_slot_info slots[SECVOL_KEY_SLOTS];
	struct secvol_key_source source;
	u32 at = 0;
	int err;

	secvol_slots(sv, slots);
	while (at < SECVOL_KEY_SLOTS && slots[at].type != SECVOL_SLOT_EMPTY)
		at++;
	if (at == SECVOL_KEY_SLOTS)
		return complain("all %u slots are taken; remove one first", SECVOL_KEY_SLOTS);
	if (image_key_load(file, fixed.key))
		return 1;
	secvol_fixed_key_source(&source, &fixed);
	err = secvol_slot_set(sv, at, &source);
	mem_wipe(&fixed, sizeof(fixed));
	if (err)
		return complain_errno(err, "cannot wrap the volume's key");
	if (!json)
		inform("slot %u opens with %s", at, file);
	return 0;
}

static int slot_number(const char *text, u32 *ret)
{
	if (!text || text[0] < '0' || text[0] >= '0' + (int)SECVOL_KEY_SLOTS || text[1])
		return complain("name a slot: 0 to %u", SECVOL_KEY_SLOTS - 1);
	*ret = (u32)(text[0] - '0');
	return 0;
}

static int remove_slot(struct secvol *sv, const char *text, u32 opened, bool json)
{
	struct secvol_slot_info slots[SECVOL_KEY_SLOTS];
	u32 at = 0;
	int err;

	if (slot_number(text, &at))
		return 1;
	secvol_slots(sv, slots);
	if (slots[at].type == SECVOL_SLOT_EMPTY)
		return complain("slot %u is empty", at);
	if (at == opened)
		return complain("slot %u is what this instance opens the volume with", at);
	err = secvol_slot_clear(sv, at);
	if (err)
		return complain_errno(err, "cannot clear the slot");
	if (!json)
		inform("slot %u is empty; whoever had its key may have kept the volume's: "
		       "occlum image rotate makes a new one",
		       at);
	return 0;
}

/* Our own slot anew, as a run under the present security versions would make it. */
static int rewrap(struct secvol *sv, u32 opened)
{
	int err = secvol_slot_set(sv, opened, NULL);

	return err ? complain_errno(err, "cannot wrap the volume's key again") : 0;
}

int image_keys(struct image_command *c)
{
	const char *what = c->arguments[0], *argument = c->count > 1 ? c->arguments[1] : NULL;
	bool is_list = strcmp(what, "list") == 0, is_rewrap = strcmp(what, "rewrap") == 0;
	bool is_add = strcmp(what, "add") == 0, is_remove = strcmp(what, "remove") == 0;
	struct secvol_info info;
	struct secvol *sv;
	struct view v;
	int status;

	if (!(is_list || is_rewrap) == !(is_add || is_remove) ||
	    (is_list || is_rewrap) != !argument)
		return complain(
			"usage: occlum image keys list | add <key file> | remove <slot> | rewrap");
	c->view.layer = VIEW_UPPER;
	c->view.read_only = is_list;
	if (view_open(&v, &c->built, &c->view))
		return 1;
	sv = view_secvol(v.upper);
	secvol_info(sv, &info);
	if (is_list)
		status = list(sv, c->json, info.slot);
	else if (is_add)
		status = add(sv, argument, c->json);
	else if (is_remove)
		status = remove_slot(sv, argument, info.slot, c->json);
	else
		status = rewrap(sv, info.slot);
	if (!status && c->json && !is_list)
		status = list(sv, true, info.slot);
	return view_close(&v) || status;
}
