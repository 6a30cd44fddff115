/* SPDX-License-Identifier: Apache-2.0 */
/* The enclave of the emulator's own tests: one page of assembler. Shared with tiny.S. */
#pragma once

#define TINY_SIZE	 0x40000
#define TINY_TEXT	 0x1000
#define TINY_DATA	 0x3000
#define TINY_TCS	 0x4000 /* slots: TCS, SSA 0, SSA 1, block, stack */
#define TINY_SLOT_SIZE	 0x8000
#define TINY_SLOTS	 2
#define TINY_SSA	 0x1000 /* within a slot */
#define TINY_BLOCK	 0x3000
#define TINY_STACK_END	 0x5000
#define TINY_DYNAMIC	 0x20000

/* In the block, which FS and GS point to. */
#define BLOCK_HOST_SP	 0
#define BLOCK_HOST_BP	 8
#define BLOCK_HOST_IP	 16
#define BLOCK_FLAGS	 24 /* RFLAGS, MXCSR and x87 control at the latest entry */
#define BLOCK_MXCSR	 32
#define BLOCK_CONTROL	 40
#define BLOCK_ENTRY_SP	 48
#define BLOCK_EXCEPTIONS 56 /* entries with CSSA > 0 */
#define BLOCK_EXITINFO	 64 /* of the latest */
#define BLOCK_MADDR	 72
#define BLOCK_ERRCD	 80
#define BLOCK_SKIP	 88 /* what an exception adds to RIP */
#define BLOCK_RESULT	 96 /* RAX, flags of a leaf */
#define BLOCK_XMM	 128

/* RDI at entry. */
#define TINY_ADD	 0 /* RSI + 1 */
#define TINY_LEAF	 1 /* RSI: u64 rax, rbx, rcx, rdx in the host's memory; result RAX, ZF << 63 */
#define TINY_LOAD	 2 /* byte at RSI */
#define TINY_STORE	 3 /* byte DL to RSI */
#define TINY_JUMP	 4
#define TINY_SYSCALL	 5
#define TINY_INT80	 6
#define TINY_UD2	 7
#define TINY_DIVIDE	 8
#define TINY_INT3	 9
#define TINY_SPIN	 10 /* until the u32 at RSI is set; result: broken XMM or flags */
#define TINY_DIRTY_XMM	 11 /* exits with something in XMM9 */
#define TINY_DIRTY_R12	 12
#define TINY_FLAGS	 13 /* RSI times: push, pop and look at flags; result: TF seen */
#define TINY_RDTSC	 14
#define TINY_OUT	 15
#define TINY_SKIP	 16 /* BLOCK_SKIP = RSI */
#define TINY_CALL	 17 /* calls RSI */
#define TINY_FROZEN	 18 /* spins for ever inside the exception handler */
