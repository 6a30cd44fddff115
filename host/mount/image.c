// SPDX-License-Identifier: Apache-2.0
/*
 * occlum-image: looks into an instance's volumes without mounting them. All but changes of
 * snapshots, of size, key and label opens read-only and changes no byte.
 */
#include "host/mount/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/mount/kernel_env.h"
#include "host/occlum/instance.h"
#include "host/occlum/place.h"
#include "host/occlum/report.h"
#include "lib/base/hex.h"
#include "lib/base/string.h"

/* Bytes of one UTF-8 character above 7 bits; 0: it is none. */
static size_t utf8_size(const u8 *at, size_t left)
{
	static const u32 least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t size = (at[0] & 0xe0) == 0xc0 ? 2 : (at[0] & 0xf0) == 0xe0 ? 3 : 4;
	u32 c = at[0] & (0x7fu >> size);

	if (size == 4 && (at[0] & 0xf8) != 0xf0)
		return 0;
	for (size_t i = 1; i < size; i++) {
		if (i == left || (at[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (at[i] & 0x3f);
	}
	return c < least[size] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : size;
}

void print_json(const char *text, size_t len)
{
	const u8 *at = (const u8 *)text, *end = at + len;

	putchar('"');
	while (at < end) {
		size_t n = *at < 0x80 ? 1 : utf8_size(at, (size_t)(end - at));

		if (*at == '"' || *at == '\\')
			printf("\\%c", *at);
		else if (!n || *at < 0x20 || *at == 0x7f)
			printf("\\u%04x", *at); /* no text: its value */
		else
			fwrite(at, 1, n, stdout);
		at += n ? n : 1;
	}
	putchar('"');
}

void image_object_path(struct secvol *sv, u64 obj, char *path, size_t size)
{
	if (!obj)
		snprintf(path, size, "(the volume's own structure)");
	else if (secvol_path(sv, obj, path, size))
		snprintf(path, size, "(object %llu)", (unsigned long long)obj);
}

static bool progress_is_shown;

static bool progress_is_due(void)
{
	static time_t last;
	time_t now = time(NULL);

	if (now == last || !isatty(STDERR_FILENO))
		return false;
	last = now;
	progress_is_shown = true;
	return true;
}

void image_progress(const char *what, u64 done, u64 total)
{
	if (progress_is_due())
		fprintf(stderr, "\r%s: %3llu %%\033[K", what,
			(unsigned long long)(total ? done * 100 / total : 100));
}

void image_progress_count(const char *what, u64 objects, u64 bytes)
{
	if (progress_is_due())
		fprintf(stderr, "\r%s: %llu objects, %llu MB\033[K", what,
			(unsigned long long)objects, (unsigned long long)(bytes / 1000000));
}

void image_progress_end(void)
{
	if (progress_is_shown)
		fputs("\r\033[K", stderr);
	progress_is_shown = false;
}

/* ---- info ---- */

static void print_id(const char *name, const u8 *bytes, size_t size, bool json)
{
	char hex[2 * 64 + 1];

	hex_encode(hex, bytes, size);
	if (json)
		printf(", \"%s\": \"%s\"", name, hex);
	else
		inform("  %-14s %s", name, hex);
}

static void print_number(const char *name, u64 n, bool json)
{
	if (json)
		printf(", \"%s\": %llu", name, (unsigned long long)n);
	else
		inform("  %-14s %llu", name, (unsigned long long)n);
}

static void print_text(const char *name, const char *text, bool json)
{
	if (json) {
		printf(", \"%s\": ", name);
		print_json(text, strlen(text));
	} else {
		inform("  %-14s %s", name, text);
	}
}

static const char *slot_text(u8 type)
{
	switch (type) {
	case SECVOL_SLOT_USER: return "image key";
	case SECVOL_SLOT_EGETKEY: return "autokey";
	case SECVOL_SLOT_KMS: return "kms";
	default: return "random";
	}
}

static void print_slots(struct secvol *sv, bool json)
{
	struct secvol_slot_info slots[SECVOL_KEY_SLOTS];
	char text[128] = "";

	if (secvol_slots(sv, slots) < 0)
		return;
	for (u32 i = 0; i < SECVOL_KEY_SLOTS; i++) {
		size_t len = strlen(text);

		if (slots[i].type != SECVOL_SLOT_EMPTY)
			snprintf(text + len, sizeof(text) - len, "%s%s (epoch %u, svn %u)",
				 len ? ", " : "", slot_text(slots[i].type), slots[i].epoch,
				 slots[i].isvsvn);
	}
	if (text[0])
		print_text("keys", text, json);
}

static const char *kind_of(const struct config_volume *v)
{
	if (!config_role_is_pinned(v->role))
		return "sealed, writable";
	return v->image_type == CONFIG_IMAGE_ENCRYPTED ? "encrypted, pinned"
						       : "integrity-only, pinned";
}

static void print_volume(const char *name, const struct config_volume *c, struct files *fs,
			 bool json)
{
	struct secvol *sv = view_secvol(fs);
	struct secvol_info info;
	char label[sizeof(info.label) + 1] = "";
	u8 digest[32];

	secvol_info(sv, &info);
	secvol_root_sha256(sv, digest);
	memcpy(label, info.label, sizeof(info.label));
	if (json) {
		printf(", \"%s\": {\"path\": ", name);
		print_json(c->source, strlen(c->source));
	} else {
		inform("%s: %s", name, c->source);
	}
	print_text("kind", kind_of(c), json);
	print_id("uuid", info.uuid, sizeof(info.uuid), json);
	print_id("mac", digest, sizeof(digest), json);
	print_text("label", label, json);
	print_number("generation", info.gen, json);
	print_number("files", info.files, json);
	print_number("bytes_used", info.used_blocks * BS_BLOCK, json);
	print_number("bytes_limit", info.size_blocks * BS_BLOCK, json);
	print_number("key_epoch", info.epoch, json);
	print_number("old_epochs", info.old_epochs, json);
	print_slots(sv, json);
	if (json)
		putchar('}');
}

static int image_info(struct image_command *c)
{
	const struct config_mount *root = c->built.root;
	enum view_layer wanted = c->view.layer;
	struct view image, upper;
	bool json = c->json, is_known = false, has_upper = false;
	int failed = 0;

	if (json)
		printf("{\"version\": 1");
	print_id("mrenclave", c->built.info.mrenclave, SGX_HASH_SIZE, json);
	print_id("signer", c->built.info.mrsigner, SGX_HASH_SIZE, json);
	if (wanted != VIEW_UPPER) {
		c->view.layer = VIEW_IMAGE;
		if (view_open(&image, &c->built, &c->view))
			failed = 1;
		else
			print_volume("image", &root->layers[root->layer_count - 2], image.image,
				     json);
	}
	/* The writable layer asks for the same key, and would only say it again. */
	if (wanted != VIEW_IMAGE && !failed) {
		c->view.layer = wanted;
		/* The union, so that nothing being written yet is no error. */
		if (view_open(&upper, &c->built, &c->view))
			failed = 1;
		else
			is_known = true;
		has_upper = is_known && upper.upper;
		if (has_upper)
			print_volume("upper", &root->layers[root->layer_count - 1], upper.upper,
				     json);
		else if (is_known && !json)
			inform("upper: nothing was written yet");
	}
	if (json) /* without a look at it, or the key for one, nobody knows */
		printf(", \"written\": %s}\n", !is_known ? "null" : has_upper ? "true" : "false");
	return failed;
}

/* ---- the command line ---- */

static const struct {
	const char *name;
	int (*run)(struct image_command *c);
	int min, max;
	const char *arguments;
} commands[] = {
	{"info", image_info, 0, 0, ""},
	{"ls", image_ls, 0, 1, "[-l] [-R] [<path>]"},
	{"cat", image_cat, 1, IMAGE_ARGUMENTS_MAX, "<path>..."},
	{"extract", image_extract, 2, 2, "<path> <new path on the host>"},
	{"diff", image_diff, 0, 2, "[<A> [<B>]]"},
	{"verify", image_verify, 0, 0, ""},
	{"snapshot", image_snapshot, 1, 2, "list | create|delete|rollback <name>"},
	{"scrub", image_scrub, 0, 1, "[<bytes per second>]"},
	{"grow", image_grow, 1, 1, "<size>"},
	{"rotate", image_rotate, 0, 1, "[finish]"},
	{"to-root", image_to_root, 1, 1, "[--force] <generation>"},
	{"label", image_label, 1, 1, "<text>"},
	{"keys", image_keys, 1, 2, "list | add <key file> | remove <slot> | rewrap"},
};

static int usage(void)
{
	printf("Usage: occlum image <what> [--sign-key <key>] [--sign-tool <tool>] [--image-key "
	       "<key>]\n"
	       "                    [--layer ro|rw] [--snapshot <name>] [--json]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %s%s%s\n", commands[i].name, *commands[i].arguments ? " " : "",
		       commands[i].arguments);
	printf("\nA and B of diff are `image`, `present` or the name of a snapshot; without them: "
	       "image and present.\n");
	return 0;
}

/* Whether a command can show a state that was; the others are about the present, or name states. */
static bool takes_snapshot(int (*run)(struct image_command *c))
{
	return run == image_info || run == image_ls || run == image_cat || run == image_extract ||
	       run == image_verify;
}

/* Whether help is asked for, anywhere before "--". */
static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return argc < 2;
}

/* Of letters alone, as -lR. */
static bool take_letters(struct image_command *c, const char *letters)
{
	if (!*letters || strspn(letters, "lR") != strlen(letters))
		return false;
	c->is_long |= strchr(letters, 'l') != NULL;
	c->recursive |= strchr(letters, 'R') != NULL;
	return true;
}

/* Options anywhere, until "--". 0 or 1. */
static int parse(struct image_command *c, int argc, char **argv)
{
	bool options = true;

	for (int i = 2; i < argc; i++) {
		int taken = options ? view_take_option(&c->view, argc, argv, &i) : 0;

		if (taken < 0)
			return 1;
		if (taken)
			continue;
		if (options && strcmp(argv[i], "--") == 0)
			options = false;
		else if (options && strcmp(argv[i], "--json") == 0)
			c->json = true;
		else if (options && strcmp(argv[i], "--force") == 0)
			c->force = true;
		else if (options && argv[i][0] == '-' && take_letters(c, argv[i] + 1))
			continue;
		else if (options && argv[i][0] == '-' && argv[i][1])
			return complain_known("Unknown option: %s", argv[i]);
		else if (c->count == IMAGE_ARGUMENTS_MAX)
			return complain("too many arguments");
		else
			c->arguments[c->count++] = argv[i];
	}
	return view_check(&c->view);
}

int main(int argc, char **argv)
{
	static struct image_command c = {.view = {.read_only = true}};
	size_t which = 0;
	int status;

	report_command = "image";
	if (wants_help(argc, argv))
		return usage();
	while (which < ARRAY_SIZE(commands) && strcmp(argv[1], commands[which].name) != 0)
		which++;
	if (which == ARRAY_SIZE(commands))
		return complain("there is no `occlum image %s`; see occlum image --help", argv[1]);
	if (parse(&c, argc, argv))
		return 1;
	if (c.json && commands[which].run == image_cat)
		return complain("cat writes what is in the files; --json is for the others");
	if (c.view.snapshot && !takes_snapshot(commands[which].run))
		return complain("--snapshot is for info, ls, cat, extract and verify, not for %s",
				commands[which].name);
	if (c.count < commands[which].min || c.count > commands[which].max)
		return complain("usage: occlum image %s%s%s", commands[which].name,
				*commands[which].arguments ? " " : "", commands[which].arguments);
	umask(022);
	if (place_find() || instance_need_built() || instance_lock("image") || kernel_env_init() ||
	    built_read(&c.built))
		return 1;
	status = commands[which].run(&c);
	if ((fflush(stdout) != 0 || report_is_incomplete()) && status == 0)
		return complain("cannot write the output");
	return status;
}
