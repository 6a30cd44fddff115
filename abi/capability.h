/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities of Linux: numbers, the calls' structures, secure bits. */
#pragma once

#include <stdint.h>

enum abi_capability {
	CAP_CHOWN = 0,
	CAP_DAC_OVERRIDE = 1,
	CAP_DAC_READ_SEARCH = 2,
	CAP_FOWNER = 3,
	CAP_FSETID = 4,
	CAP_KILL = 5,
	CAP_SETGID = 6,
	CAP_SETUID = 7,
	CAP_SETPCAP = 8,
	CAP_LINUX_IMMUTABLE = 9,
	CAP_NET_BIND_SERVICE = 10,
	CAP_IPC_LOCK = 14,
	CAP_IPC_OWNER = 15,
	CAP_SYS_CHROOT = 18,
	CAP_SYS_PTRACE = 19,
	CAP_SYS_ADMIN = 21,
	CAP_SYS_NICE = 23,
	CAP_SYS_RESOURCE = 24,
	CAP_MKNOD = 27,
	CAP_MAC_OVERRIDE = 32,
	ABI_CAPABILITY_LAST = 40,
};

#define ABI_CAPABILITY_VERSION_1 0x19980330
#define ABI_CAPABILITY_VERSION_2 0x20071026
#define ABI_CAPABILITY_VERSION_3 0x20080522
struct abi_cap_header {
	uint32_t version;
	int32_t pid;
};
struct abi_cap_data {
	uint32_t effective, permitted, inheritable;
};

/* PR_SET_SECUREBITS; the bit above each locks it. */
#define SECBIT_NOROOT		    0x01
#define SECBIT_NO_SETUID_FIXUP	    0x04
#define SECBIT_KEEP_CAPS	    0x10
#define SECBIT_NO_CAP_AMBIENT_RAISE 0x40
#define SECURE_ALL_BITS		    0x55
#define SECURE_ALL_LOCKS	    0xaa

#define PR_CAP_AMBIENT_IS_SET	    1
#define PR_CAP_AMBIENT_RAISE	    2
#define PR_CAP_AMBIENT_LOWER	    3
#define PR_CAP_AMBIENT_CLEAR_ALL    4
