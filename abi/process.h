/* SPDX-License-Identifier: Apache-2.0 */
/* prctl, arch_prctl, uname, sysinfo, capabilities and other calls about a process. */
#pragma once

#include <stdint.h>

#define PR_SET_PDEATHSIG       1
#define PR_GET_PDEATHSIG       2
#define PR_GET_DUMPABLE	       3
#define PR_SET_DUMPABLE	       4
#define PR_GET_KEEPCAPS	       7
#define PR_SET_KEEPCAPS	       8
#define PR_SET_NAME	       15
#define PR_GET_NAME	       16
#define PR_GET_SECCOMP	       21
#define PR_SET_SECCOMP	       22
#define PR_CAPBSET_READ	       23
#define PR_CAPBSET_DROP	       24
#define PR_GET_SECUREBITS      27
#define PR_SET_SECUREBITS      28
#define PR_SET_TIMERSLACK      29
#define PR_GET_TIMERSLACK      30
#define PR_SET_CHILD_SUBREAPER 36
#define PR_GET_CHILD_SUBREAPER 37
#define PR_SET_NO_NEW_PRIVS    38
#define PR_GET_NO_NEW_PRIVS    39
#define PR_GET_TID_ADDRESS     40
#define PR_SET_THP_DISABLE     41
#define PR_GET_THP_DISABLE     42
#define PR_CAP_AMBIENT	       47
#define PR_SET_VMA	       0x53564d41
#define PR_SET_VMA_ANON_NAME   0

#define ARCH_SET_GS	       0x1001
#define ARCH_SET_FS	       0x1002
#define ARCH_GET_FS	       0x1003
#define ARCH_GET_GS	       0x1004
#define ARCH_GET_CPUID	       0x1011
#define ARCH_SET_CPUID	       0x1012
#define ARCH_GET_CPUID	       0x1011
#define ARCH_SET_CPUID	       0x1012
#define ARCH_GET_XCOMP_SUPP    0x1021
#define ARCH_GET_XCOMP_PERM    0x1022
#define ARCH_REQ_XCOMP_PERM    0x1023

struct abi_utsname {
	char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};

struct abi_sysinfo {
	int64_t uptime;
	uint64_t loads[3];
	uint64_t totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	uint16_t procs, pad;
	uint32_t pad2;
	uint64_t totalhigh, freehigh;
	uint32_t mem_unit;
	uint32_t pad3;
};
_Static_assert(sizeof(struct abi_sysinfo) == 112, "sysinfo");

#define GRND_NONBLOCK 1
#define GRND_RANDOM   2
#define GRND_INSECURE 4
