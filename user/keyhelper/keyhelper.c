// SPDX-License-Identifier: Apache-2.0
/*
 * The init of the helper enclave through which `occlum mount` gets a sealing key from the CPU. The
 * owner of the sign key signs such an enclave for one mount and one key: initfs, which is measured,
 * holds the key request and the SHA-256 of a secret that the mounting process keeps in its memory.
 * To whoever brings that secret the key is given, under a pad made from it; nobody else gets a
 * byte, so a copy of the signed enclave is of no use. It never mounts an application, so nothing
 * else runs here.
 *
 *   /etc/key_request   magic 8 | SHA-256("occlum key ask 1" || secret) 32 | KEYREQUEST 512
 *   standard input     secret 32
 *   standard output    key ^ SHA-256("occlum key pad 1" || secret) 16
 *                      | SHA-256("occlum key tag 1" || secret || the 16 bytes before) 32
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/base/string.h"
#include "lib/crypto/sha256.h"
#include "lib/crypto/vector.h"
#include "user/program.h"

#define SGX_GET_KEY  0xc010730b /* abi/sgx_ioctl.h */
#define SECRET_SIZE  32
#define LABEL_SIZE   16
#define KEY_SIZE     16
#define REQUEST_SIZE 512

enum {
	GIVEN = 42,
	REFUSED = 1,
	BROKEN = 2
}; /* as init's exit status; none lets the instance start */

/*
 * What lib/crypto asks of who links it. A program's vector registers are its own, so the brackets
 * hold nothing; no processor extension is claimed, and OpenSSL's code takes its plain path.
 */
__attribute__((visibility("hidden"))) u32 OPENSSL_ia32cap_P[4];

void arch_vector_save(void *regs)
{
}

void arch_vector_restore(const void *regs)
{
}

struct key_request {
	uint8_t magic[8];
	uint8_t expected[SHA256_SIZE];
	_Alignas(8) uint8_t request[REQUEST_SIZE];
};

static long read_all(long fd, void *to, size_t size)
{
	size_t done = 0;

	while (done < size) {
		long n = system_call(SYS_READ, fd, (long)((char *)to + done), (long)(size - done));

		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static void hash(const char *label, const uint8_t *secret, const uint8_t *more, size_t more_size,
		 uint8_t digest[SHA256_SIZE])
{
	uint8_t message[LABEL_SIZE + SECRET_SIZE + KEY_SIZE];

	memcpy(message, label, LABEL_SIZE);
	memcpy(message + LABEL_SIZE, secret, SECRET_SIZE);
	memcpy(message + LABEL_SIZE + SECRET_SIZE, more, more_size);
	sha256(message, LABEL_SIZE + SECRET_SIZE + more_size, digest);
}

static int give_key(void)
{
	struct key_request r;
	uint8_t secret[SECRET_SIZE], digest[SHA256_SIZE], out[KEY_SIZE + SHA256_SIZE], differ = 0;
	struct {
		uint64_t request, key;
	} get;
	_Alignas(16) uint8_t key[KEY_SIZE];
	long fd = system_call(SYS_OPEN, (long)"/etc/key_request", 0, 0);

	if (fd < 0 || read_all(fd, &r, sizeof(r)))
		return BROKEN;
	if (read_all(0, secret, sizeof(secret)))
		return REFUSED;
	hash("occlum key ask 1", secret, NULL, 0, digest);
	for (int i = 0; i < SHA256_SIZE; i++)
		differ |= (uint8_t)(digest[i] ^ r.expected[i]);
	if (differ)
		return REFUSED;
	fd = system_call(SYS_OPEN, (long)"/dev/sgx", 0, 0);
	get.request = (uint64_t)r.request;
	get.key = (uint64_t)key;
	if (fd < 0 || system_call(SYS_IOCTL, fd, SGX_GET_KEY, (long)&get))
		return BROKEN;
	hash("occlum key pad 1", secret, NULL, 0, digest);
	for (int i = 0; i < KEY_SIZE; i++)
		out[i] = key[i] ^ digest[i];
	hash("occlum key tag 1", secret, out, KEY_SIZE, out + KEY_SIZE);
	return system_call(SYS_WRITE, 1, (long)out, sizeof(out)) == sizeof(out) ? GIVEN : BROKEN;
}

void program_main(void)
{
	int status = give_key();

	for (;;)
		system_call(SYS_EXIT_GROUP, status, 0, 0);
}
