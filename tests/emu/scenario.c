/* SPDX-License-Identifier: Apache-2.0 */
/* A host with bad intentions: one act against the enclave, at a time that the test chose. */
#include "edge/enclave.h"
#include "host/pal/inner/inner.h"
#include "lib/base/string.h"
#include "tests/emu/emu_priv.h"

#define NR_pause 34

static bool is_due(enum emu_scenario scenario)
{
	return emu_config.scenario == scenario && !emu_stats.scenario_done &&
	       emu_stats.eenter >= emu_config.scenario_at;
}

/* The program zone, or the kernel's heap. */
static void hide(struct emu_enclave *e, u64 start, u64 end)
{
	e->hidden_start = start;
	e->hidden_end = end;
	emu_show(e, start, end);
	emu_stats.scenario_done = 1;
}

static void remove_all(struct emu_enclave *e, u64 start, u64 end)
{
	for (u64 at = emu_page_next(e, start, end); at < end;
	     at = emu_page_next(e, at + PAGE_SIZE, end))
		emu_page_remove(e, at);
	emu_stats.scenario_done = 1;
}

/* The longest stretch of writable pages in the kernel zone is its heap. */
static void hide_heap(struct emu_enclave *e)
{
	u64 at = emu_page_next(e, e->size - KERNEL_ZONE_SIZE, e->size);
	u64 start = at, best = at, best_size = 0;

	while (at < e->size) {
		const struct emu_page *page = emu_page_of(e, at);
		u64 next = emu_page_next(e, at + PAGE_SIZE, e->size);

		if (page->type != EMU_TYPE_REG || page->rights != (EMU_READ | EMU_WRITE)) {
			start = next;
		} else if (at + PAGE_SIZE - start > best_size) {
			best = start;
			best_size = at + PAGE_SIZE - start;
		}
		if (next != at + PAGE_SIZE)
			start = next;
		at = next;
	}
	hide(e, best, best + best_size);
}

static const struct sgx_tcs *tcs_at(struct emu_enclave *e, u64 offset)
{
	return (const struct sgx_tcs *)(e->epc + offset);
}

/* TCS number `n`, or with `busy` the first that a thread is in; 0: there is none. */
static u64 find_tcs(struct emu_enclave *e, u64 n, bool busy)
{
	u64 start = e->size - KERNEL_ZONE_SIZE;

	for (u64 at = emu_page_next(e, start, e->size); at < e->size;
	     at = emu_page_next(e, at + PAGE_SIZE, e->size)) {
		if (emu_page_of(e, at)->type != EMU_TYPE_TCS)
			continue;
		if (busy ? tcs_at(e, at)->state : !n--)
			return at;
	}
	return 0;
}

static void go_to_tcs(struct emu_enclave *e, struct linux_ucontext *uc, u64 tcs)
{
	if (!tcs)
		return;
	uc->rbx = e->secs.base + tcs;
	emu_stats.scenario_done = 1;
}

/*
 * The first thread of a program that has just begun is the one that entered most. Another one that
 * works is known by entering often; the kernel's own do that now and then.
 */
static bool is_victim(const struct emu_thread *t)
{
	static const struct emu_thread *first;

	if (!first || (emu_stats.eenter < emu_config.scenario_at && t->entries > first->entries))
		first = t;
	if (!is_due(EMU_DELAY))
		return false;
	return emu_config.scenario_value == 1
		       ? t == first
		       : t != first && t->entries > emu_config.scenario_at / 4;
}

void emu_scenario_at_entry(struct emu_thread *t, struct linux_ucontext *uc)
{
	struct emu_enclave *e = emu_enclave_at(uc->rbx);
	u64 user_end;

	if (!e || !emu_config.scenario)
		return;
	t->entries++;
	user_end = e->size - KERNEL_ZONE_SIZE;
	if (is_due(EMU_UNMAP) || is_due(EMU_UNMAP_ONCE)) {
		hide(e, USER_RANGE_START, user_end);
	} else if (is_due(EMU_UNMAP_KERNEL)) {
		hide_heap(e);
	} else if (is_due(EMU_REPLACE)) {
		remove_all(e, USER_RANGE_START, user_end);
	} else if (is_due(EMU_ECALL)) {
		uc->rdi = emu_config.scenario_value;
		emu_stats.scenario_done = 1;
	} else if (is_due(EMU_WRONG_TCS)) {
		go_to_tcs(e, uc, find_tcs(e, emu_config.scenario_value, false));
	} else if (is_due(EMU_BUSY_TCS)) {
		go_to_tcs(e, uc, find_tcs(e, 0, true));
	} else if (emu_config.scenario == EMU_DELAY && is_victim(t)) {
		emu_stats.scenario_done = 1;
		emu_unlock();
		for (;;)
			emu_call(NR_pause, 0, 0, 0, 0, 0, 0);
	}
}

void emu_scenario_at_fault(struct emu_enclave *e, const struct emu_fault *fault)
{
	u64 start = e->hidden_start, end = e->hidden_end;

	if (emu_config.scenario != EMU_UNMAP_ONCE || !end || fault->vector != SGX_VECTOR_PF ||
	    fault->address - e->secs.base - start >= end - start)
		return;
	e->hidden_start = e->hidden_end = 0;
	emu_show(e, start, end);
}

/* A kernel refuses exceptions on a slot that it has not seen yet, and ends: storms come later. */
bool emu_scenario_storms(struct emu_thread *t, const struct linux_ucontext *uc)
{
	struct emu_enclave *e = emu_enclave_at(uc->rbx);
	const u8 *tcs;

	if (!e || emu_stats.eenter < emu_config.scenario_at)
		return false;
	tcs = e->epc + uc->rbx - e->secs.base;
	if (is_due(EMU_EARLY) && !((const struct emu_tcs_state *)(tcs + EMU_TCS_STATE))->exits) {
		emu_stats.scenario_done = 1;
		return true;
	}
	if (emu_config.scenario != EMU_STORM)
		return false;
	return ((const struct emu_tcs_state *)(tcs + EMU_TCS_STATE))->exits &&
	       ((const struct sgx_tcs *)tcs)->cssa <= emu_config.scenario_value;
}
