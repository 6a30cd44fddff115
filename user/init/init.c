// SPDX-License-Identifier: Apache-2.0
/*
 * The first program of an instance. It runs from initfs, before the application's files exist, and
 * has one job: to have them mounted (system call 363), with the image key when they are encrypted.
 * The key lies in /etc/image_key only in images built with --buildin-image-key; whoever wants to
 * fetch it from elsewhere replaces this program.
 *
 * Freestanding: a static-PIE without relocations, so that it runs wherever it is put and depends
 * on nothing but the kernel. What it reads lies in initfs, which is measured.
 */
#include <stddef.h>
#include <stdint.h>

#include "abi/errno.h"
#include "lib/base/hex.h"
#include "lib/base/string.h"
#include "user/program.h"

#define SYS_MOUNT_ROOT_FS 363

#define KEY_SIZE	  16
#define FILE_MAX	  512

static void say(const char *text)
{
	size_t len = 0;

	while (text[len])
		len++;
	system_call(SYS_WRITE, 2, (long)text, (long)len);
}

/* The file's first FILE_MAX bytes, or -errno. */
static long read_file(const char *path, char *to)
{
	long fd = system_call(SYS_OPEN, (long)path, 0, 0), len = 0;

	if (fd < 0)
		return fd;
	while (len < FILE_MAX) {
		long n = system_call(SYS_READ, fd, (long)(to + len), FILE_MAX - len);

		if (n == -EINTR)
			continue;
		if (n < 0)
			len = n;
		if (n <= 0)
			break;
		len += n;
	}
	system_call(SYS_CLOSE, fd, 0, 0);
	return len;
}

static int contains(const char *text, long len, const char *word)
{
	for (long i = 0; i < len; i++) {
		long k = 0;

		while (word[k] && i + k < len && text[i + k] == word[k])
			k++;
		if (!word[k])
			return 1;
	}
	return 0;
}

static int image_is_encrypted(void)
{
	char text[FILE_MAX];
	long len = read_file("/etc/image_config.json", text);

	return len > 0 && contains(text, len, "\"encrypted\"");
}

static void say_failure(long err)
{
	char digits[8];
	int at = sizeof(digits);
	unsigned long n = (unsigned long)-err;

	if (err == -EPERM) {
		say("init: the root file system is mounted already\n");
		return;
	}
	/* Of a file system that does not open the kernel has said what is wrong with it. */
	if (err != -ENOSYS && err != -EINVAL && err != -EFAULT)
		return;
	digits[--at] = '\0';
	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0 && at > 0);
	say("init: cannot mount the root file system: error ");
	say(digits + at);
	say("\n");
}

static int mount_root(void)
{
	uint8_t key[KEY_SIZE];
	char text[FILE_MAX];
	long len, err;
	int encrypted = image_is_encrypted();

	if (encrypted) {
		len = read_file("/etc/image_key", text);
		if (len < 0) {
			say("init: the image is encrypted and its key is not here; build with "
			    "--buildin-image-key, or give initfs an init that fetches the key\n");
			return 1;
		}
		err = hex_decode_pairs(key, KEY_SIZE, text, (size_t)len, '-');
		mem_wipe(text, sizeof(text));
		if (err < 0) {
			say("init: /etc/image_key is not 16 pairs of hexadecimal digits joined "
			    "by '-'\n");
			return 1;
		}
	}
	err = system_call(SYS_MOUNT_ROOT_FS, encrypted ? (long)key : 0, 0, 0);
	mem_wipe(key, sizeof(key));
	if (err < 0) {
		say_failure(err);
		return 1;
	}
	return 0;
}

void program_main(void)
{
	int status = mount_root();

	for (;;)
		system_call(SYS_EXIT_GROUP, status, 0, 0);
}
