/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets into struct inner_thread that assembly knows; asserted in thread.c. */
#pragma once

#define THREAD_TCS	    0x00
#define THREAD_BLOCK	    0x08
#define THREAD_ENTRY	    0x10
#define THREAD_ARENA	    0x18
#define THREAD_SSA	    0x20
#define THREAD_SSA_SIZE	    0x28
#define THREAD_INSIDE	    0x30
#define THREAD_KICKED	    0x34
#define THREAD_STACK_TOP    0x38
#define THREAD_ENTER	    0x40
#define THREAD_RESUME_SP    0x48
#define THREAD_RESUMING	    0x50
#define THREAD_REENTER	    0x54
#define THREAD_RUN	    0x58
#define THREAD_RUN_FUNCTION (THREAD_RUN + 8)

#define ENCLU_EENTER	    2
#define ENCLU_ERESUME	    3
#define ENCLU_EEXIT	    4
#define EXIT_KICKED	    0x100 /* beside enum enclave_exit: not resumed, a kick came */

#define GPR_URSP_FROM_END   (184 - 144)
#define GPR_URBP_FROM_END   (184 - 152)
