/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets into struct inner_thread that assembly knows; asserted in thread.c. */
#pragma once

#define THREAD_TCS	  0x00
#define THREAD_BLOCK	  0x08
#define THREAD_ENTRY	  0x10
#define THREAD_ARENA	  0x18
#define THREAD_SSA	  0x20
#define THREAD_SSA_SIZE	  0x28
#define THREAD_INSIDE	  0x30
#define THREAD_KICKED	  0x34
#define THREAD_STACK_TOP  0x38

#define GPR_URSP_FROM_END (184 - 144)
#define GPR_URBP_FROM_END (184 - 152)
