/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leaves of enclave code besides EEXIT. Their operands are checked in the order of the manual:
 * alignment and range (#GP), then access (#PF), then content (#GP, or an error in RAX).
 */
#include "abi/errno.h"
#include "lib/base/string.h"
#include "tests/emu/emu_priv.h"

#define LEAF_EREPORT	    0
#define LEAF_EGETKEY	    1
#define LEAF_EACCEPT	    5
#define LEAF_EMODPE	    6
#define LEAF_EACCEPTCOPY    7
#define ATTRIBUTES_MISMATCH 19
#define FLAG_ZF		    0x40ull
#define FLAGS_STATUS	    0x8d5ull /* CF PF AF ZF SF OF */
#define SECINFO_PENDING	    0x8u
#define SECINFO_MODIFIED    0x10u
#define SECINFO_PR	    0x20u

static bool gp(struct emu_fault *ret)
{
	*ret = (struct emu_fault){.vector = SGX_VECTOR_GP};
	return false;
}

static bool is_inside(const struct emu_enclave *e, u64 address, u64 align)
{
	return IS_ALIGNED(address, align) && address - e->secs.base < e->size;
}

/* Results that come as an error code and ZF. */
static void answer(struct linux_ucontext *uc, u64 code)
{
	uc->rax = code;
	uc->rflags = (uc->rflags & ~FLAGS_STATUS) | (code ? FLAG_ZF : 0);
}

static bool read_secinfo(struct emu_enclave *e, u64 address, u64 *ret_flags, struct emu_fault *ret)
{
	struct sgx_secinfo secinfo;

	if (!is_inside(e, address, 64))
		return gp(ret);
	if (!emu_read(e, address, &secinfo, sizeof(secinfo), ret))
		return false;
	if (secinfo.flags & ~0xff3full || !mem_is_zero(secinfo.rsv, sizeof(secinfo.rsv)))
		return gp(ret);
	if ((secinfo.flags & EMU_WRITE) && !(secinfo.flags & EMU_READ))
		return gp(ret);
	*ret_flags = secinfo.flags;
	return true;
}

/* The page that an operand names, mapped and valid: #PF otherwise, which the driver may resolve. */
static bool find_page(struct emu_enclave *e, u64 address, struct emu_page **ret_page,
		      struct emu_fault *ret)
{
	struct emu_page *page = emu_page_of(e, address - e->secs.base);
	const struct emu_vma *vma = emu_vma_find(e, address - e->secs.base);

	*ret = (struct emu_fault){SGX_VECTOR_PF, PF_USER, address};
	if (!vma || !(vma->rights & EMU_READ) || !(page->flags & EMU_PAGE_VALID))
		return false;
	*ret_page = page;
	return true;
}

static u64 secinfo_of(const struct emu_page *page)
{
	return (u64)page->type << 8 | page->rights |
	       (page->flags & EMU_PAGE_PENDING ? SECINFO_PENDING : 0) |
	       (page->flags & EMU_PAGE_MODIFIED ? SECINFO_MODIFIED : 0) |
	       (page->flags & EMU_PAGE_PR ? SECINFO_PR : 0);
}

static bool accept_request_is_good(u64 flags)
{
	switch (flags >> 8) {
	case EMU_TYPE_REG: return !(flags & SECINFO_MODIFIED);
	case EMU_TYPE_TCS:
	case EMU_TYPE_TRIM: return (flags & 0xff) == SECINFO_MODIFIED;
	default: return false;
	}
}

static bool eaccept(struct emu_enclave *e, struct linux_ucontext *uc, struct emu_fault *ret)
{
	struct emu_page *page, new;
	u64 flags;

	if (!is_inside(e, uc->rcx, PAGE_SIZE))
		return gp(ret);
	if (!read_secinfo(e, uc->rbx, &flags, ret))
		return false;
	if (!accept_request_is_good(flags))
		return gp(ret);
	if (!find_page(e, uc->rcx, &page, ret))
		return false;
	emu_count(&emu_stats.eaccept);
	if (secinfo_of(page) != flags) {
		answer(uc, ATTRIBUTES_MISMATCH);
		return true;
	}
	new = *page;
	new.flags = EMU_PAGE_VALID;
	if (new.type == EMU_TYPE_TCS) {
		struct sgx_tcs *tcs = (struct sgx_tcs *)(e->epc + uc->rcx - e->secs.base);

		if (tcs->state || tcs->flags || tcs->cssa ||
		    !IS_ALIGNED(tcs->ossa | tcs->ofsbase | tcs->ogsbase, PAGE_SIZE) ||
		    (tcs->fslimit & 0xfff) != 0xfff || (tcs->gslimit & 0xfff) != 0xfff ||
		    !mem_is_zero(tcs->rsv, sizeof(tcs->rsv)))
			return gp(ret);
	}
	emu_page_set(e, uc->rcx - e->secs.base, new);
	answer(uc, 0);
	return true;
}

static bool emodpe(struct emu_enclave *e, struct linux_ucontext *uc, struct emu_fault *ret)
{
	struct emu_page *page, new;
	u64 flags;

	if (!is_inside(e, uc->rcx, PAGE_SIZE))
		return gp(ret);
	if (!read_secinfo(e, uc->rbx, &flags, ret) || !find_page(e, uc->rcx, &page, ret))
		return false;
	if (page->type != EMU_TYPE_REG || page->flags & (EMU_PAGE_PENDING | EMU_PAGE_MODIFIED)) {
		ret->error |= PF_PRESENT | PF_SGX;
		return false;
	}
	new = *page;
	new.rights |= flags & 7;
	if ((new.rights &EMU_WRITE) && !(new.rights &EMU_READ))
		return gp(ret);
	emu_count(&emu_stats.emodpe);
	emu_page_set(e, uc->rcx - e->secs.base, new);
	return true;
}

static bool eacceptcopy(struct emu_enclave *e, struct linux_ucontext *uc, struct emu_fault *ret)
{
	struct emu_page *page, new;
	u64 flags;

	if (!is_inside(e, uc->rcx, PAGE_SIZE) || !is_inside(e, uc->rdx, PAGE_SIZE))
		return gp(ret);
	if (!read_secinfo(e, uc->rbx, &flags, ret))
		return false;
	if (flags >> 8 != EMU_TYPE_REG || !(flags & EMU_READ))
		return gp(ret);
	if (!emu_may_access(e, uc->rdx, EMU_READ, ret) || !find_page(e, uc->rcx, &page, ret))
		return false;
	emu_count(&emu_stats.eacceptcopy);
	if (page->type != EMU_TYPE_REG || page->flags != (EMU_PAGE_VALID | EMU_PAGE_PENDING)) {
		answer(uc, ATTRIBUTES_MISMATCH);
		return true;
	}
	memcpy(e->epc + uc->rcx - e->secs.base, e->epc + uc->rdx - e->secs.base, PAGE_SIZE);
	new = *page;
	new.flags = EMU_PAGE_VALID;
	new.rights |= flags & 7;
	emu_page_set(e, uc->rcx - e->secs.base, new);
	answer(uc, 0);
	return true;
}

static bool ereport(struct emu_enclave *e, struct linux_ucontext *uc, struct emu_fault *ret)
{
	struct sgx_targetinfo target;
	struct sgx_report report;
	u8 data[SGX_REPORTDATA_SIZE];

	if (!is_inside(e, uc->rbx, 512) || !is_inside(e, uc->rcx, 128) ||
	    !is_inside(e, uc->rdx, 512))
		return gp(ret);
	if (!emu_read(e, uc->rbx, &target, sizeof(target), ret) ||
	    !emu_read(e, uc->rcx, data, sizeof(data), ret) ||
	    !emu_may_access(e, uc->rdx, EMU_READ | EMU_WRITE, ret))
		return false;
	if (sgx_sim_report(&emu_cpu, &e->secs, &target, data, &report) < 0)
		return gp(ret);
	emu_count(&emu_stats.ereport);
	return emu_write(e, uc->rdx, &report, sizeof(report), ret);
}

static bool egetkey(struct emu_enclave *e, struct linux_ucontext *uc, struct emu_fault *ret)
{
	struct sgx_keyrequest request;
	u8 key[SGX_KEY_SIZE];
	int code;

	if (!is_inside(e, uc->rbx, 512) || !is_inside(e, uc->rcx, 16))
		return gp(ret);
	if (!emu_read(e, uc->rbx, &request, sizeof(request), ret) ||
	    !emu_may_access(e, uc->rcx, EMU_READ | EMU_WRITE, ret))
		return false;
	code = sgx_sim_getkey(&emu_cpu, &e->secs, &request, key);
	if (code == -EINVAL)
		return gp(ret);
	emu_count(&emu_stats.egetkey);
	if (!code && !emu_write(e, uc->rcx, key, sizeof(key), ret))
		return false;
	mem_wipe(key, sizeof(key));
	answer(uc, (u64)code);
	return true;
}

bool emu_leaf(struct emu_thread *t, struct linux_ucontext *uc, struct emu_fault *ret_fault)
{
	struct emu_enclave *e = t->enclave;
	bool ok;

	switch ((u32)uc->rax) {
	case LEAF_EREPORT: ok = ereport(e, uc, ret_fault); break;
	case LEAF_EGETKEY: ok = egetkey(e, uc, ret_fault); break;
	case LEAF_EACCEPT:
		ok = !emu_config.no_sgx2 ? eaccept(e, uc, ret_fault) : gp(ret_fault);
		break;
	case LEAF_EMODPE:
		ok = !emu_config.no_sgx2 ? emodpe(e, uc, ret_fault) : gp(ret_fault);
		break;
	case LEAF_EACCEPTCOPY:
		ok = !emu_config.no_sgx2 ? eacceptcopy(e, uc, ret_fault) : gp(ret_fault);
		break;
	default: ok = gp(ret_fault); break;
	}
	if (ok)
		uc->rip += 3;
	return ok;
}
