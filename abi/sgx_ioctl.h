/* SPDX-License-Identifier: Apache-2.0 */
/* /dev/sgx: the ioctls of the existing Occlum. Pointers are the program's. Data only. */
#pragma once

#include "lib/base/types.h"

#define SGX_IOCTL_MAGIC		      0x73u	  /* 's' */
#define SGX_IOCTL_IS_EDMM_SUPPORTED   0x80047300u /* s32 out */
#define SGX_IOCTL_GET_EPID_GROUP_ID   0x80047301u
#define SGX_IOCTL_GEN_EPID_QUOTE      0xc0807302u
#define SGX_IOCTL_SELF_TARGET	      0x82007303u /* struct sgx_targetinfo out */
#define SGX_IOCTL_CREATE_REPORT	      0xc0187304u /* struct abi_sgx_create_report */
#define SGX_IOCTL_VERIFY_REPORT	      0x41b07305u /* struct sgx_report in */
#define SGX_IOCTL_DETECT_DCAP_DRIVER  0x80047306u /* s32 out */
#define SGX_IOCTL_GET_DCAP_QUOTE_SIZE 0x80047307u
#define SGX_IOCTL_GEN_DCAP_QUOTE      0xc0187308u
#define SGX_IOCTL_GET_DCAP_SUPPL_SIZE 0x80047309u
#define SGX_IOCTL_VER_DCAP_QUOTE      0xc030730au
#define SGX_IOCTL_GET_KEY	      0xc010730bu /* struct abi_sgx_get_key */
#define SGX_IOCTL_COUNT		      12

struct abi_sgx_create_report {
	u64 target; /* struct sgx_targetinfo, or 0: for nobody in particular */
	u64 data;   /* 64 bytes, or 0: zeroes */
	u64 report; /* struct sgx_report out */
};
static_assert(sizeof(struct abi_sgx_create_report) == 24, "abi_sgx_create_report");

struct abi_sgx_get_key {
	u64 request; /* struct sgx_keyrequest */
	u64 key;     /* 16 bytes out */
};
static_assert(sizeof(struct abi_sgx_get_key) == 16, "abi_sgx_get_key");
