/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The structures of SGX as the CPU lays them out: enclave build, thread control, saved state,
 * signature, reports and keys. Plain integers, since all this exists on x86-64 alone; every field
 * is naturally aligned and the asserts below pin sizes and offsets.
 */
#pragma once

#include "lib/base/types.h"

#define SGX_HASH_SIZE	    32
#define SGX_KEY_SIZE	    16 /* of what EGETKEY gives */
#define SGX_RSA_SIZE	    384
#define SGX_CHUNK_SIZE	    256 /* measured by one EEXTEND */
#define SGX_CONFIGID_SIZE   64
#define SGX_FAMILYID_SIZE   16
#define SGX_CPUSVN_SIZE	    16
#define SGX_KEYID_SIZE	    32
#define SGX_REPORTDATA_SIZE 64

enum sgx_attribute {
	SGX_ATTR_INIT = 0x1,
	SGX_ATTR_DEBUG = 0x2,
	SGX_ATTR_MODE64 = 0x4,
	SGX_ATTR_PROVISIONKEY = 0x10,
	SGX_ATTR_EINITTOKENKEY = 0x20,
	SGX_ATTR_CET = 0x40,
	SGX_ATTR_KSS = 0x80,
	SGX_ATTR_AEXNOTIFY = 0x400,
};

/* XFRM: components of extended state an enclave may use. */
#define SGX_XFRM_LEGACY 0x3ul /* x87 and SSE, always */
#define SGX_XFRM_AVX	0x4ul
#define SGX_XFRM_AVX512 0xe0ul
#define SGX_XFRM_PKRU	0x200ul
#define SGX_XFRM_AMX	0x60000ul

#define SGX_MISC_EXINFO 0x1u

enum sgx_secinfo_flags {
	SGX_SECINFO_R = 0x1,
	SGX_SECINFO_W = 0x2,
	SGX_SECINFO_X = 0x4,
	SGX_SECINFO_TCS = 0x100,
	SGX_SECINFO_REG = 0x200,
};

struct sgx_attributes {
	u64 flags; /* enum sgx_attribute */
	u64 xfrm;
};

struct sgx_secs {
	u64 size;
	u64 base;
	u32 ssa_frame_pages;
	u32 miscselect;
	u8 rsv24[24];
	struct sgx_attributes attributes;
	u8 mrenclave[SGX_HASH_SIZE];
	u8 rsv96[32];
	u8 mrsigner[SGX_HASH_SIZE];
	u8 rsv160[32];
	u8 configid[SGX_CONFIGID_SIZE];
	u16 isvprodid;
	u16 isvsvn;
	u16 configsvn;
	u8 rsv262[58];
	/* The hardware keeps these out of sight; the simulation keeps them here. */
	u8 isvextprodid[16];
	u8 isvfamilyid[SGX_FAMILYID_SIZE];
	u8 rsv352[3744];
};
static_assert(sizeof(struct sgx_secs) == 4096, "sgx_secs");
static_assert(offsetof(struct sgx_secs, attributes) == 48, "sgx_secs.attributes");
static_assert(offsetof(struct sgx_secs, mrsigner) == 128, "sgx_secs.mrsigner");
static_assert(offsetof(struct sgx_secs, configid) == 192, "sgx_secs.configid");
static_assert(offsetof(struct sgx_secs, configsvn) == 260, "sgx_secs.configsvn");

struct sgx_secinfo {
	u64 flags; /* enum sgx_secinfo_flags */
	u64 rsv[7];
};
static_assert(sizeof(struct sgx_secinfo) == 64, "sgx_secinfo");

struct sgx_tcs {
	u64 state;
	u64 flags;
	u64 ossa; /* offsets are from BASE */
	u32 cssa;
	u32 nssa;
	u64 oentry;
	u64 aep;
	u64 ofsbase;
	u64 ogsbase;
	u32 fslimit; /* low 12 bits all ones */
	u32 gslimit;
	u8 rsv[4024];
};
static_assert(sizeof(struct sgx_tcs) == 4096, "sgx_tcs");
static_assert(offsetof(struct sgx_tcs, oentry) == 32, "sgx_tcs.oentry");
static_assert(offsetof(struct sgx_tcs, ogsbase) == 56, "sgx_tcs.ogsbase");

/* Last bytes of each SSA frame: what an asynchronous exit saved. */
struct sgx_gpr {
	u64 rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
	u64 r8, r9, r10, r11, r12, r13, r14, r15;
	u64 rflags, rip;
	u64 ursp, urbp; /* the host's stack at EENTER */
	u32 exitinfo;	/* SGX_EXIT_* */
	u8 rsv[3];
	u8 aexnotify;
	u64 fsbase, gsbase;
};
static_assert(sizeof(struct sgx_gpr) == 184, "sgx_gpr");
static_assert(offsetof(struct sgx_gpr, rip) == 136, "sgx_gpr.rip");
static_assert(offsetof(struct sgx_gpr, exitinfo) == 160, "sgx_gpr.exitinfo");
static_assert(offsetof(struct sgx_gpr, gsbase) == 176, "sgx_gpr.gsbase");

#define SGX_EXIT_VECTOR(exitinfo) ((exitinfo)&0xffu)
#define SGX_EXIT_VALID		  (1u << 31)
#define SGX_EXIT_HARDWARE	  (3u << 8)
#define SGX_EXIT_SOFTWARE	  (6u << 8)

enum sgx_vector {
	SGX_VECTOR_DE = 0,
	SGX_VECTOR_DB = 1,
	SGX_VECTOR_BP = 3,
	SGX_VECTOR_BR = 5,
	SGX_VECTOR_UD = 6,
	SGX_VECTOR_GP = 13,
	SGX_VECTOR_PF = 14,
	SGX_VECTOR_MF = 16,
	SGX_VECTOR_AC = 17,
	SGX_VECTOR_XM = 19,
};

/* Just below struct sgx_gpr, present with MISCSELECT.EXINFO: for #PF and #GP. */
struct sgx_exinfo {
	u64 maddr;
	u32 errcd;
	u32 rsv;
};
static_assert(sizeof(struct sgx_exinfo) == 16, "sgx_exinfo");

/* Where both lie within an SSA frame of `pages` pages. */
#define SGX_SSA_GPR_OFFSET(pages)    ((pages)*4096ul - sizeof(struct sgx_gpr))
#define SGX_SSA_EXINFO_OFFSET(pages) (SGX_SSA_GPR_OFFSET(pages) - sizeof(struct sgx_exinfo))

struct sgx_sigstruct {
	u8 header[16];
	u32 vendor;
	u32 date; /* 0xYYYYMMDD, decimal digits */
	u8 header2[16];
	u32 swdefined;
	u8 rsv44[84];
	u8 modulus[SGX_RSA_SIZE]; /* little endian, like all four numbers */
	u32 exponent;
	u8 signature[SGX_RSA_SIZE];
	u32 miscselect;
	u32 miscmask;
	u8 cet_attributes;
	u8 cet_mask;
	u8 rsv910[2];
	u8 isvfamilyid[SGX_FAMILYID_SIZE];
	struct sgx_attributes attributes;
	struct sgx_attributes attributemask;
	u8 enclavehash[SGX_HASH_SIZE];
	u8 rsv992[16];
	u8 isvextprodid[16];
	u16 isvprodid;
	u16 isvsvn;
	u8 rsv1028[12];
	u8 q1[SGX_RSA_SIZE];
	u8 q2[SGX_RSA_SIZE];
};
static_assert(sizeof(struct sgx_sigstruct) == 1808, "sgx_sigstruct");
static_assert(offsetof(struct sgx_sigstruct, modulus) == 128, "sgx_sigstruct.modulus");
static_assert(offsetof(struct sgx_sigstruct, signature) == 516, "sgx_sigstruct.signature");
static_assert(offsetof(struct sgx_sigstruct, miscselect) == 900, "sgx_sigstruct.miscselect");
static_assert(offsetof(struct sgx_sigstruct, attributes) == 928, "sgx_sigstruct.attributes");
static_assert(offsetof(struct sgx_sigstruct, enclavehash) == 960, "sgx_sigstruct.enclavehash");
static_assert(offsetof(struct sgx_sigstruct, isvprodid) == 1024, "sgx_sigstruct.isvprodid");
static_assert(offsetof(struct sgx_sigstruct, q1) == 1040, "sgx_sigstruct.q1");

/* The signed bytes: [0, 128) and [900, 1028). */
#define SGX_SIGSTRUCT_PART1_SIZE   128
#define SGX_SIGSTRUCT_PART2_OFFSET 900
#define SGX_SIGSTRUCT_PART2_SIZE   128

#define SGX_SIGSTRUCT_HEADER                                                                       \
	{                                                                                          \
		0x06, 0, 0, 0, 0xe1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0                               \
	}
#define SGX_SIGSTRUCT_HEADER2                                                                      \
	{                                                                                          \
		1, 1, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 1, 0, 0, 0                               \
	}
#define SGX_VENDOR_INTEL 0x8086

/* What EINIT answers. */
enum sgx_error {
	SGX_SUCCESS = 0,
	SGX_INVALID_SIG_STRUCT = 1,
	SGX_INVALID_ATTRIBUTE = 2,
	SGX_INVALID_MEASUREMENT = 4,
	SGX_INVALID_SIGNATURE = 8,
	SGX_INVALID_CPUSVN = 32,
	SGX_INVALID_ISVSVN = 64,
	SGX_INVALID_KEYNAME = 256,
};

struct sgx_targetinfo {
	u8 mrenclave[SGX_HASH_SIZE];
	struct sgx_attributes attributes;
	u8 cet_attributes;
	u8 rsv49;
	u16 configsvn;
	u32 miscselect;
	u8 rsv56[8];
	u8 configid[SGX_CONFIGID_SIZE];
	u8 rsv128[384];
};
static_assert(sizeof(struct sgx_targetinfo) == 512, "sgx_targetinfo");
static_assert(offsetof(struct sgx_targetinfo, configid) == 64, "sgx_targetinfo.configid");

struct sgx_report_body {
	u8 cpusvn[SGX_CPUSVN_SIZE];
	u32 miscselect;
	u8 cet_attributes;
	u8 rsv21[11];
	u8 isvextprodid[16];
	struct sgx_attributes attributes;
	u8 mrenclave[SGX_HASH_SIZE];
	u8 rsv96[32];
	u8 mrsigner[SGX_HASH_SIZE];
	u8 rsv160[32];
	u8 configid[SGX_CONFIGID_SIZE];
	u16 isvprodid;
	u16 isvsvn;
	u16 configsvn;
	u8 rsv262[42];
	u8 isvfamilyid[SGX_FAMILYID_SIZE];
	u8 reportdata[SGX_REPORTDATA_SIZE];
};
static_assert(sizeof(struct sgx_report_body) == 384, "sgx_report_body");
static_assert(offsetof(struct sgx_report_body, configid) == 192, "sgx_report_body.configid");
static_assert(offsetof(struct sgx_report_body, isvfamilyid) == 304, "sgx_report_body.isvfamilyid");

struct sgx_report {
	struct sgx_report_body body;
	u8 keyid[SGX_KEYID_SIZE];
	u8 mac[16];
};
static_assert(sizeof(struct sgx_report) == 432, "sgx_report");

enum sgx_keyname {
	SGX_KEYNAME_EINITTOKEN = 0,
	SGX_KEYNAME_PROVISION = 1,
	SGX_KEYNAME_PROVISION_SEAL = 2,
	SGX_KEYNAME_REPORT = 3,
	SGX_KEYNAME_SEAL = 4,
};

enum sgx_keypolicy {
	SGX_KEYPOLICY_MRENCLAVE = 0x1,
	SGX_KEYPOLICY_MRSIGNER = 0x2,
	SGX_KEYPOLICY_NOISVPRODID = 0x4,
	SGX_KEYPOLICY_CONFIGID = 0x8,
	SGX_KEYPOLICY_ISVFAMILYID = 0x10,
	SGX_KEYPOLICY_ISVEXTPRODID = 0x20,
};

struct sgx_keyrequest {
	u16 keyname;
	u16 keypolicy;
	u16 isvsvn;
	u16 rsv6;
	u8 cpusvn[SGX_CPUSVN_SIZE];
	struct sgx_attributes attributemask;
	u8 keyid[SGX_KEYID_SIZE];
	u32 miscmask;
	u16 configsvn;
	u8 rsv78[434];
};
static_assert(sizeof(struct sgx_keyrequest) == 512, "sgx_keyrequest");
static_assert(offsetof(struct sgx_keyrequest, keyid) == 40, "sgx_keyrequest.keyid");
static_assert(offsetof(struct sgx_keyrequest, configsvn) == 76, "sgx_keyrequest.configsvn");
