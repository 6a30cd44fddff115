/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's name files. Each line is taken apart and written anew from its checked parts, so that
 * nothing of the original text passes that the grammar does not know. Bad lines are skipped with
 * one warning per file.
 */
#include "kernel/vfs/host_names.h"

#include "abi/errno.h"
#include "abi/fs.h"
#include "kernel/core/kmem.h"
#include "kernel/core/reason.h"
#include "kernel/fs/ramfs/ramfs.h"
#include "kernel/sys/hostname.h"
#include "kernel/vfs/context.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/names.h"
#include "lib/base/fmt.h"
#include "lib/base/string.h"

#define LOG_TAG "vfs"
#include "kernel/core/log.h"

#define TEXT_MAX       65536u
#define NAMES_PER_LINE 16

static char *texts[3]; /* checked; set at boot */

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_';
}

/* A host name: labels of letters, digits and dashes (RFC 1123), at most 253 characters. */
static bool is_host_name(const char *s, size_t len)
{
	size_t label = 0;

	if (!len || len > 253)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_name_char(s[i]))
			return false;
		if (s[i] == '.') {
			if (!label)
				return false;
			label = 0;
		} else if (++label > 63 || (label == 1 && s[i] == '-')) {
			return false;
		}
	}
	return true;
}

static bool is_ipv4(const char *s, size_t len)
{
	u32 parts = 0, value = 0, digits = 0;

	for (size_t i = 0; i <= len; i++) {
		if (i == len || s[i] == '.') {
			if (!digits || value > 255 || ++parts > 4)
				return false;
			value = digits = 0;
		} else if (s[i] >= '0' && s[i] <= '9' && digits < 3) {
			value = value * 10 + (s[i] - '0');
			digits++;
		} else {
			return false;
		}
	}
	return parts == 4;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Groups of up to four digits, one "::" at most, perhaps "%zone". */
static bool is_ipv6(const char *s, size_t len)
{
	u32 groups = 0, digits = 0, gaps = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] == '%')
			return groups + gaps > 0 && is_host_name(s + i + 1, len - i - 1);
		if (s[i] == ':') {
			if (i + 1 < len && s[i + 1] == ':') {
				gaps++;
				i++;
			}
			groups += digits > 0;
			digits = 0;
		} else if (!is_hex(s[i]) || ++digits > 4) {
			return false;
		}
	}
	groups += digits > 0;
	return gaps <= 1 && (gaps ? groups < 8 : groups == 8);
}

static bool is_address(const char *s, size_t len)
{
	return len < 64 && (is_ipv4(s, len) || is_ipv6(s, len));
}

/* --- lines --------------------------------------------------------------------------------- */

struct words {
	const char *text[NAMES_PER_LINE];
	size_t len[NAMES_PER_LINE];
	u32 count;
};

static void split(const char *line, size_t len, struct words *w)
{
	w->count = 0;
	for (size_t i = 0; i < len && w->count < NAMES_PER_LINE;) {
		size_t start;

		while (i < len && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r'))
			i++;
		start = i;
		if (i < len && (line[i] == '#' || line[i] == ';'))
			return;
		while (i < len && line[i] != ' ' && line[i] != '\t' && line[i] != '\r' &&
		       line[i] != '#')
			i++;
		if (i > start) {
			w->text[w->count] = line + start;
			w->len[w->count++] = i - start;
		}
	}
}

static bool word_is(const struct words *w, u32 i, const char *what)
{
	return w->len[i] == strlen(what) && !memcmp(w->text[i], what, w->len[i]);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* "localhost" or a name below it: resolvers compare without case, and allow a dot at the end. */
static bool is_localhost(const char *s, size_t len)
{
	static const char name[] = "localhost";
	const size_t size = sizeof(name) - 1;

	if (len && s[len - 1] == '.')
		len--;
	if (len < size || (len > size && s[len - size - 1] != '.'))
		return false;
	for (size_t i = 0; i < size; i++) {
		if (lower(s[len - size + i]) != name[i])
			return false;
	}
	return true;
}

/* Writes the line's words; false when one of them is not what it should be. */
static bool take_hosts(const struct words *w, char *out, size_t *len)
{
	if (w->count < 2 || !is_address(w->text[0], w->len[0]))
		return false;
	for (u32 i = 1; i < w->count; i++) {
		if (!is_host_name(w->text[i], w->len[i]))
			return false;
		if (is_localhost(w->text[i], w->len[i]))
			return true; /* ours stands already: not an error, not taken */
	}
	for (u32 i = 0; i < w->count; i++)
		fmt_append(out, TEXT_MAX, len, "%.*s%c", (int)w->len[i], w->text[i],
			   i + 1 == w->count ? '\n' : ' ');
	return true;
}

static bool is_option(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!is_name_char(s[i]) && s[i] != ':')
			return false;
	}
	return len < 64;
}

static bool take_resolv(const struct words *w, char *out, size_t *len)
{
	bool is_server = word_is(w, 0, "nameserver"), is_options = word_is(w, 0, "options");

	if (w->count < 2 ||
	    (!is_server && !is_options && !word_is(w, 0, "search") && !word_is(w, 0, "domain")))
		return false;
	for (u32 i = 1; i < w->count; i++) {
		bool ok = is_server    ? is_address(w->text[i], w->len[i])
			  : is_options ? is_option(w->text[i], w->len[i])
				       : is_host_name(w->text[i], w->len[i]) || word_is(w, i, ".");

		if (!ok)
			return false;
	}
	for (u32 i = 0; i < w->count; i++)
		fmt_append(out, TEXT_MAX, len, "%.*s%c", (int)w->len[i], w->text[i],
			   i + 1 == w->count ? '\n' : ' ');
	return true;
}

static bool take_hostname(const struct words *w, char *out, size_t *len)
{
	if (*len || w->count != 1 || !is_host_name(w->text[0], w->len[0]) || w->len[0] > 64)
		return false;
	fmt_append(out, TEXT_MAX, len, "%.*s\n", (int)w->len[0], w->text[0]);
	return true;
}

void host_names_set(enum host_name_file which, const char *text, size_t size)
{
	static bool (*const take[])(const struct words *, char *,
				    size_t *) = {take_hosts, take_resolv, take_hostname};
	static const char *const names[] = {"hosts", "resolv.conf", "hostname"};
	char *out = kzalloc(TEXT_MAX);
	size_t len = 0;
	u32 bad = 0;

	if (!out)
		return;
	if (which == HOST_NAMES_HOSTS)
		fmt_append(out, TEXT_MAX, &len, "127.0.0.1 localhost\n::1 localhost\n");
	for (size_t at = 0; at < size;) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t line = end ? (size_t)(end - (text + at)) : size - at;
		struct words w;

		split(text + at, line, &w);
		if (w.count && !take[which](&w, out, &len))
			bad++;
		at += line + 1;
	}
	if (bad)
		log_warn("%u lines of the host's %s were not taken.", bad, names[which]);
	if (which == HOST_NAMES_HOSTNAME && len) {
		char name[65];

		(void)str_copy(name, out, len); /* without the newline */
		hostname_set(name);
	}
	kfree(texts[which]);
	texts[which] = len ? krealloc(out, len + 1) : NULL;
	if (!texts[which])
		kfree(out);
}

/* --- into the tree ------------------------------------------------------------------------- */

/*
 * The files lie in a ramfs of their own, so that nothing of the host gets into the sealed layer;
 * each is mounted over an empty place in the tree that the image lacks.
 */
static int cover(struct fs_context *ctx, const char *path, const char *text)
{
	struct filesystem *fs;
	struct dentry *d;
	int err = walk_path(ctx, NULL, path, WALK_FOLLOW, &d);

	if (!err) {
		dentry_put(d);
		return 0; /* the image (or an earlier run) has its own */
	}
	if (err != -ENOENT)
		return err;
	err = ramfs_new_text(text, 0644, &fs);
	if (err)
		return err;
	err = mount_file_at(ctx->root, path, fs);
	if (err && fs->ops->shutdown(fs))
		return -EIO;
	return err;
}

void host_names_write(void)
{
	static const char *const paths[] = {"/etc/hosts", "/etc/resolv.conf", "/etc/hostname"};
	struct fs_context *ctx = fs_context_new();

	if (!ctx)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(paths); i++) {
		int err = texts[i] ? cover(ctx, paths[i], texts[i]) : 0;

		if (err)
			log_warn("The host's %s could not be provided: %s (error %d).", paths[i],
				 error_reason(err), -err);
	}
	fs_context_put(ctx);
}
