// SPDX-License-Identifier: Apache-2.0
/*
 * The first entry of the instance and of each slot. Until slot_cookie is set, one thread is
 * inside: the one that won boot_claimed. It relocates the image (pointers in constants are
 * offsets before that, so nothing here or above may use a table of pointers), learns where the
 * enclave lies, and draws the cookie that tells slots initialised by us from pages whose content
 * the host chose.
 *
 * The measured page is the only source of the layout: it is part of MRENCLAVE.
 */
#include "edge/hostcall_gen.h"
#include "kernel/arch/arch.h"
#include "kernel/arch/arch_priv.h"
#include "lib/base/string.h"

#define RELOCATION_NONE	    0
#define RELOCATION_RELATIVE 8

struct relocation {
	u64 offset, info, addend;
};
extern const struct relocation rela_start[], rela_end[];

u64 slot_cookie;
u64 slots_start, slots_size;
static u64 base;
static u32 boot_claimed;

__attribute__((section(".occlum.measured"), used, aligned(4096)))
const struct measured_params measured_page = {
	.magic = MEASURED_MAGIC,
	.version = MEASURED_VERSION,
#ifdef OCCLUM_SIM
	.mode = ENCLAVE_MODE_SIM,
#else
	.mode = ENCLAVE_MODE_HW,
#endif
	.interface = EDGE_INTERFACE,
};

/*
 * What the signer has written, read so that the compiler cannot assume the initialiser: the
 * constant above is not what lies in memory.
 */
const struct measured_params *arch_measured(void)
{
	const struct measured_params *m = &measured_page;

	__asm__("" : "+r"(m));
	return m;
}

u64 enclave_base(void)
{
	return base;
}

u64 enclave_size(void)
{
	return arch_measured()->enclave_size;
}

bool host_range_is_outside(u64 address, u64 size)
{
	u64 end;

	if (!address || __builtin_add_overflow(address, size, &end) || end > 1ul << 47)
		return false;
	return end <= base || address >= base + enclave_size();
}

/* The image was linked at 0; all its relocations are "add the load address". */
static bool relocate(void)
{
	u64 load = (u64)image_start;

	for (const struct relocation *r = rela_start; r < rela_end; r++) {
		if ((u32)r->info == RELOCATION_NONE)
			continue; /* what the linker threw away */
		if ((u32)r->info != RELOCATION_RELATIVE)
			return false;
		*(u64 *)(load + r->offset) = load + r->addend;
	}
	return true;
}

static u32 boot_image(u64 ecall)
{
	const struct measured_params *m = arch_measured();
	u64 cookie;

	if (ecall != ECALL_BOOT || __atomic_exchange_n(&boot_claimed, 1, __ATOMIC_ACQ_REL))
		return ABORT_BAD_ENTRY;
	if (!relocate())
		return ABORT_RELOCATION;
	base = (u64)image_start - m->image_offset;
	slots_start = base + m->slots_offset;
	slots_size = m->slot_size * m->slot_count;
	do {
		if (!arch_rdrand(&cookie))
			return ABORT_PANIC;
	} while (!cookie);
	__atomic_store_n(&slot_cookie, cookie, __ATOMIC_RELEASE);
	return 0;
}

/*
 * Fills the block of the slot that `tcs` belongs to. The CPU loads GS from the measured TCS; the
 * simulation does the same, and the block must be where this says.
 */
u32 arch_slot_init(u64 tcs, u64 ecall)
{
	const struct measured_params *m = arch_measured();
	u64 slot, index, ssa_frame = (u64)m->ssa_frame_pages * PAGE_SIZE;
	struct thread_block *b;
	u32 ret;

	if (!slot_cookie) {
		ret = boot_image(ecall);
		if (ret)
			return ret;
	}
	slot = tcs - SLOT_TCS_OFFSET;
	index = (slot - slots_start) / m->slot_size;
	if (slot - slots_start >= slots_size || (slot - slots_start) % m->slot_size)
		return ABORT_BAD_ENTRY;
	b = (struct thread_block *)(slot + SLOT_SSA_OFFSET + SSA_FRAME_COUNT * ssa_frame);
	memset(b, 0, PAGE_SIZE);
	b->self = (u64)b;
	b->slot = (u32)index;
	b->kernel_sp = slot + m->slot_size - 8;
	b->exception_sp = (u64)b + PAGE_SIZE + EXCEPTION_STACK_SIZE;
	b->ssa = (struct ssa_gpr *)(slot + SLOT_SSA_OFFSET + ssa_frame - sizeof(struct ssa_gpr));
	b->state = SLOT_IDLE;
	b->in_kernel = 1;
	__asm__ volatile("wrgsbase %0" : : "r"(b));
	__atomic_store_n(&b->cookie, slot_cookie, __ATOMIC_RELEASE); /* the block is complete */
	return 0;
}
