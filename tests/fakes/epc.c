// SPDX-License-Identifier: Apache-2.0
/* A model of the driver and of the CPU's page instructions over real memory. */
#define _GNU_SOURCE
#include "tests/fakes/epc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/errno.h"
#include "edge/hostcall_gen.h"
#include "kernel/arch/enclu.h"
#include "kernel/core/panic.h"

#define RIGHTS_READ   1
#define RIGHTS_WRITE  2
#define RIGHTS_RW     3
#define RIGHTS_RX     5

#define FLAG_PENDING  8
#define FLAG_MODIFIED 16
#define TYPE_TRIM     4

#define MISMATCH      19

struct epc_page epc[EPC_PAGES];
struct epc_host epc_host;
u32 epc_host_calls;
jmp_buf epc_stopped;
char epc_reason[256];

void panic(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(epc_reason, sizeof(epc_reason), format, args);
	va_end(args);
	longjmp(epc_stopped, 1);
}

static void must(bool what)
{
	if (!what)
		abort();
}

static u64 address_of(const struct epc_page *p)
{
	return EPC_START + (u64)(p - epc) * PAGE_SIZE;
}

/* The pages' protection, to change it only where it differs. */
static int shown[EPC_PAGES];

static void show(const struct epc_page *p, int prot)
{
	if (shown[p - epc] == prot)
		return;
	shown[p - epc] = prot;
	must(!mprotect((void *)address_of(p), PAGE_SIZE, prot));
}

/* What an access of the enclave's finds now. */
static void apply(const struct epc_page *p)
{
	bool is_usable = p->is_there && !p->pending && !p->modified && !p->is_trim;

	show(p, is_usable ? p->epcm & p->tables : 0);
}

void epc_reset(void)
{
	void *at = mmap((void *)EPC_START, EPC_PAGES * PAGE_SIZE, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	must(at == (void *)EPC_START);
	memset(epc, 0, sizeof(epc));
	memset(shown, 0, sizeof(shown));
	memset(&epc_host, 0, sizeof(epc_host));
	epc_host_calls = 0;
}

/* ---- the host -------------------------------------------------------------------------------- */

static int request(u64 address, u64 size, void (*act)(struct epc_page *, u32), u32 prot)
{
	u32 pages = (u32)(size / PAGE_SIZE), first = (u32)((address - EPC_START) / PAGE_SIZE);
	int err = 0;

	must(IS_ALIGNED(address | size, PAGE_SIZE) && size && address >= EPC_START &&
	     address < EPC_END && size <= EPC_END - address);
	epc_host_calls++;
	if (epc_host.fail_call && --epc_host.fail_call == 0) {
		err = -(int)epc_host.fail_errno;
		pages = MIN(pages, epc_host.fail_after);
		if (epc_host.fail_count > 1) {
			epc_host.fail_count--;
			epc_host.fail_call = 1;
		}
	}
	for (u32 i = first; i < first + pages; i++) {
		act(&epc[i], prot);
		apply(&epc[i]);
	}
	return err;
}

static void do_protect(struct epc_page *p, u32 prot)
{
	p->tables = (u8)prot;
}

static void do_commit(struct epc_page *p, u32 prot)
{
	p->tables = (u8)prot;
	if (epc_host.no_eaug || (p->is_there && !epc_host.eaug_accepted))
		return;
	show(p, PROT_READ | PROT_WRITE);
	memset((void *)address_of(p), 0, PAGE_SIZE);
	*p = (struct epc_page){.is_there = true,
			       .pending = true,
			       .epcm = epc_host.wrong_rights ? RIGHTS_RX : RIGHTS_RW,
			       .tables = (u8)prot,
			       .accepted_as_new = p->accepted_as_new};
}

static void do_restrict(struct epc_page *p, u32 prot)
{
	if (!epc_host.no_restrict) {
		p->epcm &= (u8)prot;
		p->restricted = true;
	}
}

/* The driver's half; the page tables are set when all of it went well. */
static void do_trim(struct epc_page *p, u32 prot)
{
	if (!epc_host.no_trim) {
		p->modified = !p->is_trim || p->modified;
		p->is_trim = true;
	}
}

static void do_remove(struct epc_page *p, u32 prot)
{
	must(p->is_trim && !p->modified);
	*p = (struct epc_page){.accepted_as_new = 0};
}

int host_mem_protect(u64 address, u64 size, u32 prot)
{
	return request(address, size, do_protect, prot);
}

int host_mem_commit(u64 address, u64 size, u32 prot)
{
	return request(address, size, do_commit, prot);
}

int host_mem_restrict(u64 address, u64 size, u32 prot)
{
	return request(address, size, do_restrict, prot);
}

int host_mem_trim(u64 address, u64 size)
{
	int err;

	/* The driver refuses what is trimmed already. */
	for (u64 at = address; at < address + size; at += PAGE_SIZE) {
		if (epc[(at - EPC_START) / PAGE_SIZE].is_trim)
			return -EINVAL;
	}
	err = request(address, size, do_trim, 0);
	for (u64 at = address; !err && at < address + size; at += PAGE_SIZE) {
		epc[(at - EPC_START) / PAGE_SIZE].tables = RIGHTS_READ;
		apply(&epc[(at - EPC_START) / PAGE_SIZE]);
	}
	return err;
}

int host_mem_remove(u64 address, u64 size)
{
	if (epc_host.no_remove)
		return -EPERM;
	if (!epc[(address - EPC_START) / PAGE_SIZE].is_there)
		return -EFAULT;
	return request(address, size, do_remove, 0);
}

/* ---- the CPU --------------------------------------------------------------------------------- */

static u32 eaccept(struct epc_page *p, u64 flags)
{
	if (flags & FLAG_PENDING) {
		if (!p->pending || p->is_trim || p->epcm != (flags & 7))
			return MISMATCH;
		p->pending = false;
		p->accepted_as_new++;
		return 0;
	}
	if (flags & FLAG_MODIFIED) {
		if (flags >> 8 != TYPE_TRIM || !p->is_trim || !p->modified)
			return MISMATCH;
		p->modified = false;
		return 0;
	}
	if (!p->restricted || p->epcm != (flags & 7))
		return MISMATCH;
	p->restricted = false;
	return 0;
}

static u32 eacceptcopy(struct epc_page *p, u64 flags, const void *from)
{
	if (!(p->tables & RIGHTS_WRITE))
		return ENCLU_FAULT;
	if (!p->pending || p->epcm != RIGHTS_RW)
		return MISMATCH;
	show(p, PROT_READ | PROT_WRITE);
	memcpy((void *)address_of(p), from, PAGE_SIZE);
	p->pending = false;
	p->accepted_as_new++;
	p->epcm = flags & 7;
	return 0;
}

static u32 leaf_of(u32 leaf, struct epc_page *p, u64 flags, u64 from)
{
	if (epc_host.faults) {
		epc_host.faults--;
		return ENCLU_FAULT;
	}
	if (!p->is_there || !(p->tables & RIGHTS_READ))
		return ENCLU_FAULT;
	switch (leaf) {
	case ENCLU_EACCEPT: return eaccept(p, flags);
	case ENCLU_EMODPE:
		if (p->pending || p->is_trim)
			return ENCLU_FAULT;
		p->epcm |= flags & 7;
		return ENCLU_EMODPE;
	case ENCLU_EACCEPTCOPY: return eacceptcopy(p, flags, (const void *)from);
	default: return ENCLU_FAULT;
	}
}

u32 enclu_leaf(u32 leaf, const void *rbx, u64 rcx, u64 rdx)
{
	struct epc_page *p = &epc[(rcx - EPC_START) / PAGE_SIZE];
	u32 code;

	must((u64)rbx % 64 == 0 && rcx >= EPC_START && rcx < EPC_END);
	code = leaf_of(leaf, p, *(const u64 *)rbx, rdx);
	apply(p);
	return code;
}
