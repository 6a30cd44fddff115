// SPDX-License-Identifier: Apache-2.0
/*
 * Stubs and the rewriting of call sites. All positions and classes come from the authenticated
 * image's table or from a trap at that very instruction; the bytes are checked again, and a site
 * that does not look as expected keeps trapping.
 *
 * An area of stubs, in the program's memory, read-only and executable once it is filled:
 *
 *   +0   address of syscall_entry | address of cpuid_entry
 *   +16  stub 0 | stub 1 | ...                            48 bytes each
 *
 * A stub:  code, at most 36 bytes | site, relative to the stub 4 | class, head, tail, 0 | magic 4
 *
 *   A, P    moved bytes; lea site+2(%rip), %rcx; jmp *area(%rip)
 *   B       lea site+2(%rip), %rcx; jmp *area(%rip)
 *   C       lea 1f(%rip), %rcx; jmp *area(%rip); 1: moved bytes; jmp site+2+tail
 *   J       moved bytes; 0: lea 1f(%rip), %rcx; jmp *area(%rip); jmp 0b; 1: jmp as at site+2
 *   cpuid   as B, P and C, with %rbx and area+8
 *
 * Nothing per site is kept in kernel memory but the addresses of cpuid sites that became int3.
 * The list of areas is short and only walked for signals and int3; its spinlock may be taken
 * under the locks of mm.
 */
#include "kernel/arch/patch.h"

#include "kernel/arch/arch.h"
#include "kernel/arch/arch_priv.h"
#include "kernel/arch/patch_priv.h"
#include "kernel/core/kmem.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/uaccess.h"
#include "kernel/proc/process.h"
#include "kernel/sync/spinlock.h"
#include "lib/base/list.h"
#include "lib/base/string.h"

#define AREA_HEADER   16u
#define STUB_SIZE     48u
#define STUB_CODE_MAX 36u
#define STUB_MAGIC    0x62757473u
#define REACH	      GIB(1)
#define C_WINDOW      0x10000ul /* a stub of class C lies anywhere in 64 KiB: its jump says where */

struct stub {
	u8 code[STUB_CODE_MAX];
	s32 site;
	u8 class, head, tail, rsv;
	u32 magic;
};
static_assert(sizeof(struct stub) == STUB_SIZE, "stub");

struct patch_area {
	struct list_node node;
	u64 start, end;
	u64 text_start, text_end; /* of patch_apply(); 0: for sites met at run time */
	const struct mm *mm;	  /* whose; only for those */
	u32 used;		  /* stubs; only for those */
	u32 int3_count;
	u64 int3_sites[]; /* cpuid sites that became int3 */
};

static struct spinlock lock = SPINLOCK_INIT(LOCK_PATCH);
static struct list_node areas = LIST_INIT(areas); /* lock */

u64 arch_syscall_entry(void)
{
	return (u64)syscall_entry;
}

u64 arch_cpuid_entry(void)
{
	return (u64)cpuid_entry;
}

static u64 stub_count_max(u64 area_size)
{
	return (area_size - AREA_HEADER) / STUB_SIZE;
}

static void put32(u8 *at, s64 value)
{
	s32 v = (s32)value;

	memcpy(at, &v, 4);
}

/* e9 rel32 */
static void encode_jump(u8 *code, u64 from, u64 to)
{
	code[0] = 0xe9;
	put32(code + 1, (s64)(to - (from + 5)));
}

/* Where the direct jump at `at` leads. */
static u64 jump_target(u64 at, const u8 *code)
{
	s32 rel;

	if (code[0] == 0xeb)
		return at + 2 + (s64)(s8)code[1];
	memcpy(&rel, code + 1, 4);
	return at + 5 + (s64)rel;
}

/* Builds the stub that will lie at `at`; `site_bytes` are those around the site. */
static void build_stub(struct stub *s, u64 at, u64 area, const struct patch_site *site,
		       const u8 *site_bytes, bool is_cpuid)
{
	u32 n = 0;
	u32 start;
	u64 back = site->address + 2;

	memset(s, 0xcc, sizeof(*s));
	if (site->head) {
		memcpy(s->code, site_bytes - site->head, site->head);
		n = site->head;
	}
	start = n;
	if (site->class == PATCH_C || site->class == PATCH_CPUID_C)
		back = at + n + 13;
	else if (site->class == PATCH_J)
		back = at + n + 15;
	s->code[n] = 0x48; /* lea rel32(%rip), %rcx or %rbx */
	s->code[n + 1] = 0x8d;
	s->code[n + 2] = is_cpuid ? 0x1d : 0x0d;
	put32(&s->code[n + 3], (s64)(back - (at + n + 7)));
	n += 7;
	s->code[n] = 0xff; /* jmp *rel32(%rip) */
	s->code[n + 1] = 0x25;
	put32(&s->code[n + 2], (s64)(area + (is_cpuid ? 8 : 0) - (at + n + 6)));
	n += 6;
	if (site->class == PATCH_C || site->class == PATCH_CPUID_C) {
		memcpy(&s->code[n], site_bytes + 2, site->tail);
		n += site->tail;
		encode_jump(&s->code[n], at + n, site->address + 2 + site->tail);
	} else if (site->class == PATCH_J) {
		/* A call that is to be made again goes back by two bytes, and on from here. */
		s->code[n] = 0xeb;
		s->code[n + 1] = (u8)(start - (n + 2));
		n += 2;
		encode_jump(&s->code[n], at + n, jump_target(site->address + 2, site_bytes + 2));
	}
	s->site = (s32)(s64)(site->address - at);
	s->class = site->class;
	s->head = site->head;
	s->tail = site->tail;
	s->rsv = 0;
	s->magic = STUB_MAGIC;
}

/*
 * The C library's return from a signal handler: unwinders recognise it by its bytes. A table
 * should not name it, but a decoder that started one byte off has done so.
 */
static bool is_sigreturn(const u8 *at, u64 room_before)
{
	static const u8 mov_rax[] = {0x48, 0xc7, 0xc0, NR_RT_SIGRETURN, 0, 0, 0};
	static const u8 mov_eax[] = {0xb8, NR_RT_SIGRETURN, 0, 0, 0};

	return (room_before >= sizeof(mov_rax) &&
		memcmp(at - sizeof(mov_rax), mov_rax, sizeof(mov_rax)) == 0) ||
	       (room_before >= sizeof(mov_eax) &&
		memcmp(at - sizeof(mov_eax), mov_eax, sizeof(mov_eax)) == 0);
}

/* The bytes at and around the site are those that its class speaks of. */
static bool site_is_as_said(const struct patch_site *s, const u8 *at, u64 text, u64 end)
{
	const u8 *before = at - s->head;
	bool is_cpuid = at[0] == 0x0f && at[1] == 0xa2;

	if (!(at[0] == 0x0f && at[1] == 0x05) && !is_cpuid)
		return false;
	if (is_sigreturn(at, s->address - text))
		return false;
	switch (s->class) {
	case PATCH_A:
		if (is_cpuid || (s->head != 5 && s->head != 7) || s->address - s->head < text)
			return false;
		return s->head == 5 ? before[0] == 0xb8
				    : before[0] == 0x48 && before[1] == 0xc7 && before[2] == 0xc0;
	case PATCH_P:
	case PATCH_CPUID_P:
		return is_cpuid == (s->class == PATCH_CPUID_P) && s->head >= 5 && s->head <= 15 &&
		       s->address - s->head >= text && !s->tail;
	case PATCH_B:
		return !s->head && !s->tail && s->address + s->pad >= text &&
		       s->address + s->pad + 5 <= end && (s->pad >= 2 || s->pad <= -5) &&
		       s->pad >= -126;
	case PATCH_C:
	case PATCH_CPUID_C:
		return is_cpuid == (s->class == PATCH_CPUID_C) && !s->head && s->tail >= 3 &&
		       s->tail <= 15 && s->address + 2 + s->tail <= end;
	case PATCH_J:
		if (is_cpuid || s->tail || !s->head || s->head > 8 || s->address - s->head < text ||
		    s->address + 4 > end)
			return false;
		if (at[2] == 0xe9)
			return s->address + 7 <= end;
		return at[2] == 0xeb && s->head + 4 >= 5;
	case PATCH_CPUID_INT3: return is_cpuid;
	default: return false;
	}
}

/* A jump into the stubs begins or goes on in [start, end): an earlier site was patched there. */
static bool is_patched(u64 start, u64 end, u64 text, u64 text_end, u64 area, u64 area_size)
{
	for (u64 at = start - MIN(start - text, 4ul); at < end && at + 5 <= text_end; at++) {
		const u8 *code = (const u8 *)at;

		if (code[0] == 0xe9 && jump_target(at, code) - area < area_size)
			return true;
	}
	return false;
}

/* What this patch reads or writes was touched by another: one of the two is a lie. */
static bool overlaps_patch(const struct patch_site *s, u64 text, u64 text_end, u64 area,
			   u64 area_size)
{
	u64 pad = s->address + s->pad;

	return is_patched(s->address - s->head, s->address + 2 + s->tail, text, text_end, area,
			  area_size) ||
	       (s->class == PATCH_B && is_patched(pad, pad + 5, text, text_end, area, area_size));
}

size_t patch_area_size(const struct patch_site *sites, size_t count)
{
	size_t stubs = 0, windows = 0;

	for (size_t i = 0; i < count; i++) {
		if (sites[i].class == PATCH_C)
			windows = C_WINDOW + PAGE_SIZE;
		else if (sites[i].class != PATCH_TRAP && sites[i].class != PATCH_CPUID_INT3)
			stubs++;
	}
	if (!stubs && !windows)
		return 0;
	return ALIGN_UP(AREA_HEADER + stubs * STUB_SIZE + windows, PAGE_SIZE);
}

/*
 * The first free stub whose distance makes the second byte of the jump's displacement int3. Free
 * stubs are recognised by their magic: the area is zeroed before.
 */
static u64 find_int3_stub(u64 site, u64 area, u64 area_size, u64 first)
{
	for (u64 i = first; i < stub_count_max(area_size); i++) {
		u64 at = area + AREA_HEADER + i * STUB_SIZE;
		u32 rel = (u32)(at - (site + 5));

		/* e9 r0 r1 r2 r3: r1 lies at site + 2 */
		if ((rel >> 8 & 0xff) == 0xcc && ((const struct stub *)at)->magic != STUB_MAGIC)
			return at;
	}
	return 0;
}

static bool is_of_cpuid(const struct patch_site *s)
{
	return s->class == PATCH_CPUID_INT3 || s->class == PATCH_CPUID_P ||
	       s->class == PATCH_CPUID_C;
}

/* There is room for every site that is_of_cpuid(). */
static void patch_site_with_int3(const struct patch_site *s, struct patch_area *a)
{
	memcpy((void *)s->address, "\xcc\x90", 2);
	a->int3_sites[a->int3_count++] = s->address;
}

static void patch_site_with_stub(const struct patch_site *s, u64 at, u64 area)
{
	u8 *code = (u8 *)s->address;
	u8 jump[5];

	build_stub((struct stub *)at, at, area, s, code, code[1] == 0xa2);
	switch (s->class) {
	case PATCH_B:
		encode_jump(jump, s->address + s->pad, at);
		memcpy(code + s->pad, jump, 5);
		code[0] = 0xeb;
		code[1] = (u8)(s->pad - 2);
		break;
	case PATCH_C:
	case PATCH_CPUID_C:
		encode_jump(jump, s->address, at);
		memcpy(code, jump, 5);
		break;
	default:
		encode_jump(jump, s->address - s->head, at);
		memcpy(code - s->head, jump, 5);
		break;
	}
}

/*
 * The same text without stubs, at its fixed addresses in another program: one entry is enough,
 * which stays as long as anybody has text there. Lock held.
 */
static bool is_known(const struct patch_area *a)
{
	struct patch_area *b;

	if (a->end > a->start)
		return false;
	list_for_each_entry (b, &areas, node)
		if (b->end == b->start && b->text_start == a->text_start &&
		    b->text_end == a->text_end && b->int3_count == a->int3_count &&
		    !memcmp(b->int3_sites, a->int3_sites, a->int3_count * sizeof(a->int3_sites[0])))
			return true;
	return false;
}

size_t patch_apply(const struct patch_site *sites, size_t count, u64 text, size_t size, u64 area,
		   size_t area_size)
{
	u64 entries[2] = {(u64)syscall_entry, (u64)cpuid_entry};
	size_t int3_count = 0, patched = 0, next = 0, sequential = 0;
	struct patch_area *a;

	for (size_t i = 0; i < count; i++) {
		int3_count += is_of_cpuid(&sites[i]);
		sequential += sites[i].class != PATCH_C && sites[i].class != PATCH_TRAP &&
			      sites[i].class != PATCH_CPUID_INT3;
	}
	a = kzalloc(sizeof(*a) + int3_count * sizeof(a->int3_sites[0]));
	if (!a)
		return 0; /* everything traps, nothing is wrong */
	a->start = area;
	a->end = area + area_size;
	a->text_start = text;
	a->text_end = text + size;
	if (area_size)
		memcpy((void *)area, entries, sizeof(entries));
	for (size_t i = 0; i < count; i++) {
		const struct patch_site *s = &sites[i];
		u64 at;

		if (s->address < text || s->address + 2 > text + size || s->address + 2 < text ||
		    !site_is_as_said(s, (const u8 *)s->address, text, text + size) ||
		    overlaps_patch(s, text, text + size, area, area_size))
			continue;
		if (s->class == PATCH_CPUID_INT3 || area_size < PAGE_SIZE)
			at = 0;
		else if (s->class == PATCH_C)
			at = find_int3_stub(s->address, area, area_size, sequential);
		else
			at = next < stub_count_max(area_size)
				     ? area + AREA_HEADER + next++ * STUB_SIZE
				     : 0;
		if (at)
			patch_site_with_stub(s, at, area);
		if (is_of_cpuid(s) && (!at || s->class == PATCH_CPUID_P))
			patch_site_with_int3(s, a);
		else if (!at)
			continue;
		patched++;
	}
	spin_lock(&lock);
	if (is_known(a)) {
		spin_unlock(&lock);
		kfree(a);
		return patched;
	}
	list_add_tail(&areas, &a->node);
	spin_unlock(&lock);
	return patched;
}

void patch_forget(u64 start, u64 size)
{
	struct list_node gone = LIST_INIT(gone);
	struct patch_area *a, *next;
	u64 end = start + size;

	spin_lock(&lock);
	list_for_each_entry_safe (a, next, &areas, node) {
		if ((a->start < end && start < a->end) ||
		    (a->text_start >= start && a->text_end <= end && a->text_end)) {
			list_del(&a->node);
			list_add_tail(&gone, &a->node);
		}
	}
	spin_unlock(&lock);
	list_for_each_entry_safe (a, next, &gone, node)
		kfree(a);
}

/* True when a stub of some area covers rip; a copy of it and its address. */
static bool stub_lookup(u64 rip, struct stub *ret, u64 *ret_at)
{
	struct patch_area *a;
	u64 at = 0;

	spin_lock(&lock);
	list_for_each_entry (a, &areas, node) {
		if (rip >= a->start + AREA_HEADER && rip < a->end) {
			at = a->start + AREA_HEADER +
			     (rip - a->start - AREA_HEADER) / STUB_SIZE * STUB_SIZE;
			break;
		}
	}
	spin_unlock(&lock);
	if (!at || copy_from_user(ret, (const void __user *)at, sizeof(*ret)) ||
	    ret->magic != STUB_MAGIC)
		return false;
	*ret_at = at;
	return true;
}

u64 patch_normalise(u64 rip)
{
	struct stub s;
	u64 at, site, into;

	if (likely(list_is_empty(&areas)) || !stub_lookup(rip, &s, &at))
		return rip;
	site = at + (s64)s.site;
	into = rip - at;
	if (s.class == PATCH_C && into >= 13)
		return into == 13 ? site + 2 : into >= 13u + s.tail ? site + 2 + s.tail : rip;
	if (s.class == PATCH_CPUID_C)
		return into < 13 ? site : rip;
	if (s.class == PATCH_J) /* the site is overwritten: what has begun goes on in the stub */
		return into == 0 ? site - s.head : rip;
	if (into >= s.head)
		return site; /* the moved bytes have run; the instruction itself stays to be done */
	return into == 0 ? site - s.head : rip;
}

static bool int3_site_is_known(u64 site)
{
	struct patch_area *a;
	bool found = false;

	spin_lock(&lock);
	list_for_each_entry (a, &areas, node) {
		if (site < a->text_start || site >= a->text_end)
			continue;
		for (u32 i = 0; i < a->int3_count && !found; i++)
			found = a->int3_sites[i] == site;
	}
	spin_unlock(&lock);
	return found;
}

/*
 * The int3 inside the jump of a site of class C: a branch to the instruction after the system
 * call, or the return of a thread that was in the kernel meanwhile. It goes on in the stub.
 */
static bool redirect_into_stub(struct user_regs *regs)
{
	u64 site = regs->rip - 3, at;
	struct stub s;
	u8 code[5];
	s32 rel;

	if (copy_from_user(code, (const void __user *)site, sizeof(code)) || code[0] != 0xe9)
		return false;
	memcpy(&rel, code + 1, 4);
	if (!stub_lookup(site + 5 + (s64)rel, &s, &at) || at != site + 5 + (s64)rel ||
	    s.class != PATCH_C || at + (s64)s.site != site)
		return false;
	regs->rip = at + 13;
	return true;
}

bool patch_breakpoint(struct user_regs *regs)
{
	u8 code[2];

	/* The list may remember the text of another program at the same addresses: look at it. */
	if (int3_site_is_known(regs->rip - 1) &&
	    !copy_from_user(code, (const void __user *)(regs->rip - 1), sizeof(code)) &&
	    code[1] == 0x90) {
		regs->rip -= 1;
		arch_cpuid_emulate(regs);
		regs->rip += 2;
		return true;
	}
	return redirect_into_stub(regs);
}

/* An area of the current process with a free stub within reach of `site`; takes the stub. */
static bool lazy_stub_take(const struct mm *mm, u64 site, u64 *ret_area, u64 *ret_at)
{
	struct patch_area *a;
	bool found = false;

	spin_lock(&lock);
	list_for_each_entry (a, &areas, node) {
		if (a->mm != mm || a->used >= stub_count_max(a->end - a->start) ||
		    (a->start > site ? a->start - site : site - a->start) > REACH)
			continue;
		*ret_area = a->start;
		*ret_at = a->start + AREA_HEADER + a->used++ * STUB_SIZE;
		found = true;
		break;
	}
	spin_unlock(&lock);
	return found;
}

static bool write_stub(struct mm *mm, u64 at, const void *bytes, size_t size)
{
	for (size_t done = 0; done < size; done += 16) {
		if (mm_patch_text(mm, at + done, NULL, (const u8 *)bytes + done,
				  MIN(size - done, 16ul)))
			return false;
	}
	return true;
}

static bool lazy_area_new(struct mm *mm, u64 site)
{
	u64 entries[2] = {(u64)syscall_entry, (u64)cpuid_entry};
	struct patch_area *a = kzalloc(sizeof(*a));

	if (!a)
		return false;
	if (mm_stub_area(mm, site & ~(u64)PAGE_MASK_LOW, (site & ~(u64)PAGE_MASK_LOW) + PAGE_SIZE,
			 PAGE_SIZE, &a->start)) {
		kfree(a);
		return false;
	}
	a->end = a->start + PAGE_SIZE;
	a->mm = mm;
	if (!write_stub(mm, a->start, entries, sizeof(entries))) {
		kfree(a);
		return false;
	}
	spin_lock(&lock);
	list_add_tail(&areas, &a->node);
	spin_unlock(&lock);
	return true;
}

/*
 * The jump goes out as one store: the 5 bytes lie within one aligned word, or nothing is done; nor
 * when the text is not what it was any more.
 */
static void lazy_patch(struct mm *mm, u64 from, u64 to, const u8 *expected, size_t head)
{
	u64 word_at = from & ~7ull, offset = from & 7;
	u8 old[8], word[8];

	if (offset > 3 || copy_from_user(old, (const void __user *)word_at, sizeof(old)) ||
	    memcmp(old + offset, expected, MIN(head, sizeof(old) - offset)) != 0)
		return;
	memcpy(word, old, sizeof(word));
	encode_jump(word + offset, from, to);
	if (mm_patch_text(mm, word_at, old, word, sizeof(word)))
		return; /* it goes on trapping */
}

void patch_trapped(u64 rip, u64 number)
{
	struct mm *mm = current_process()->mm;
	struct patch_site site = {.address = rip, .class = PATCH_A};
	u8 bytes[9]; /* 7 before, the instruction */
	struct stub stub;
	u64 area, at;
	u32 immediate;

	if (number == NR_RT_SIGRETURN || rip < 7 || !mm_is_text(mm, rip - 7, sizeof(bytes)) ||
	    copy_from_user(bytes, (const void __user *)(rip - 7), sizeof(bytes)))
		return;
	memcpy(&immediate, bytes + 3, 4);
	if (immediate != number)
		return;
	if (bytes[2] == 0xb8)
		site.head = 5;
	else if (bytes[0] == 0x48 && bytes[1] == 0xc7 && bytes[2] == 0xc0)
		site.head = 7;
	else
		return;
	if (((rip - site.head) & 7) > 3)
		return;
	if (!lazy_stub_take(mm, rip, &area, &at) &&
	    (!lazy_area_new(mm, rip) || !lazy_stub_take(mm, rip, &area, &at)))
		return;
	build_stub(&stub, at, area, &site, bytes + 7, false);
	if (write_stub(mm, at, &stub, sizeof(stub)))
		lazy_patch(mm, rip - site.head, at, bytes + 7 - site.head, site.head);
}
