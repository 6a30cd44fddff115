/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An enclave that tests the PAL from inside: ECALL_EXEC(n) runs the n-th scenario and returns 0, or
 * the number of the line that failed. Exceptions answer system calls with 1000 + number, and lead
 * faults past the instruction.
 */
#include "abi/errno.h"
#include "edge/enclave.h"
#include "edge/hostcall_gen.h"
#include "kernel/host/host_call.h"
#include "lib/base/string.h"
#include "lib/sgx/sgx.h"
#include "tests/pal/scenarios.h"

__attribute__((section(".occlum.measured"), aligned(4096), used))
const volatile struct measured_params measured = {
	.magic = MEASURED_MAGIC,
	.version = MEASURED_VERSION,
	.interface = EDGE_INTERFACE,
#ifndef OCCLUM_SIM
	.mode = ENCLAVE_MODE_HW,
#endif
};

/* Where a slot ends, seen from its TCS. */
const u64 slot_stack_top = SLOT_SSA_OFFSET + SSA_FRAME_COUNT * PAGE_SIZE + PAGE_SIZE +
			   EXCEPTION_STACK_SIZE + PAGE_SIZE + TEST_STACK_SIZE - SLOT_TCS_OFFSET;

extern s64 do_syscall(u64 number, u64 argument), do_int80(u64 number);
extern s64 do_read(const void *address), do_write(void *address), do_divide(void),
	do_breakpoint(void);
extern s64 do_wild_jump(void), do_syscall_odd_flags(u64 number);
extern u32 do_vector_loop(u32 *stop);
extern const u8 after_read[], after_divide[];
void abort_now(void);
void test_exception(u64 block);
s64 test_main(u64 number, u64 argument);

static struct sgx_gpr last; /* of the last exception */
static struct sgx_exinfo last_info;
static u32 exceptions, kicks, kicked_in_loop;
static u32 traps_end;
#define TOKEN_TRAPS 0x7777
static u32 stop_word, started, waiter_slot;
static u64 started_token;
static s64 waiter_result;

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return __LINE__;                                                           \
	} while (0)

struct thread_arena __host *host_arena(void)
{
	struct thread_arena *arena;

	__asm__ volatile("movq %%gs:32, %0" : "=r"(arena));
	return arena;
}

static u64 fs_base(void)
{
	u64 base;

	__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

void test_exception(u64 block)
{
	u64 frame_end = block - 2 * PAGE_SIZE; /* of SSA[0]: three frames end at the block */
	struct sgx_gpr *g = (struct sgx_gpr *)(frame_end - sizeof(*g));
	struct sgx_exinfo *info = (struct sgx_exinfo *)g - 1;

	if (!(g->exitinfo & SGX_EXIT_VALID)) {
		__atomic_fetch_add(&kicks, 1, __ATOMIC_RELAXED);
		if (__atomic_load_n(&kicked_in_loop, __ATOMIC_RELAXED))
			__atomic_store_n(&stop_word, 1, __ATOMIC_RELAXED);
		return;
	}
	last = *g;
	last_info = *info;
	g->exitinfo = 0; /* entered again without a resume between, this is a kick */
	exceptions++;
	switch (SGX_EXIT_VECTOR(last.exitinfo)) {
	case SGX_VECTOR_UD:
		g->rax += 1000 + g->rdi;
		g->rip += 2;
		break;
	case SGX_VECTOR_PF:
	case SGX_VECTOR_GP:
		if (g->rip == 0x1000) { /* the wild jump: its return address is on the stack */
			g->rip = *(u64 *)g->rsp;
			g->rsp += 8;
		} else {
			g->rip = (u64)after_read;
		}
		break;
	case SGX_VECTOR_DE: g->rip = (u64)after_divide; break;
	}
}

/* Nothing is mapped at the address; but hardware refuses at once to leave the enclave's range. */
static u32 wild_vector(u64 base)
{
#ifndef OCCLUM_SIM
	if (base)
		return SGX_VECTOR_GP;
#endif
	return SGX_VECTOR_PF;
}

static s64 check_exceptions(u64 base)
{
	u64 fs = fs_base();

	CHECK(do_syscall(39, 5) == 1039 + 5);
	CHECK(last.exitinfo == (SGX_EXIT_VALID | SGX_EXIT_HARDWARE | SGX_VECTOR_UD));
	CHECK(((const u8 *)last.rip)[0] == 0x0f && ((const u8 *)last.rip)[1] == 0x05);
	CHECK(last.fsbase == fs && fs_base() == fs);
	CHECK(do_int80(20) > 1000);
	CHECK(((const u8 *)last.rip)[0] == 0xcd && ((const u8 *)last.rip)[1] == 0x80);
	do_read((const void *)0x10);
	CHECK(SGX_EXIT_VECTOR(last.exitinfo) == SGX_VECTOR_PF && last_info.maddr == 0x10);
	CHECK(last_info.errcd == 4);
	do_read((const void *)0x8000000000000000);
	CHECK(SGX_EXIT_VECTOR(last.exitinfo) == SGX_VECTOR_GP);
	do_divide();
	CHECK(SGX_EXIT_VECTOR(last.exitinfo) == SGX_VECTOR_DE);
	do_breakpoint();
	CHECK(last.exitinfo == (SGX_EXIT_VALID | SGX_EXIT_SOFTWARE | SGX_VECTOR_BP));
	do_wild_jump();
	CHECK(SGX_EXIT_VECTOR(last.exitinfo) == wild_vector(base) && last.rip == 0x1000);
	CHECK(do_syscall_odd_flags(7) >= 1007);
	CHECK((last.rflags & 0x40400) == 0x40400);
	return 0;
}

static s64 check_host_calls(void)
{
	u64 time[2] = {0, 0};
	u8 data[64];
	s64 fd;

	CHECK(host_clock_read(1, time, sizeof(time)) == 0 && time[0] != 0);
	CHECK(host_clock_read(99, time, sizeof(time)) == -EINVAL);
	fd = host_file_open("made", 4, 0102 /* O_CREAT | O_RDWR */, 0600);
	CHECK(fd > 2);
	CHECK(host_file_pwrite((s32)fd, "0123456789", 10, 5) == 10);
	CHECK(host_file_size((s32)fd) == 15);
	memset(data, 0xee, sizeof(data));
	CHECK(host_file_pread((s32)fd, data, sizeof(data), 0) == 15);
	CHECK(data[4] == 0 && data[5] == '0' && data[14] == '9' && data[15] == 0xee);
	CHECK(host_file_lock((s32)fd, 1) == 0);
	CHECK(host_file_sync((s32)fd, 0) == 0);
	CHECK(host_file_close((s32)fd) == 0);
	CHECK(host_file_open("a\0b", 3, 0, 0) == -EINVAL);
	CHECK(host_file_open("link", 4, 0, 0) == -ELOOP);
	CHECK(host_file_unlink("made", 4) == 0);
	CHECK(host_file_open("made", 4, 0, 0) == -ENOENT);
	CHECK(host_fd_ioctl(0, 0x5412 /* TIOCSTI */, data, 1) == -ENOTTY);
	CHECK(host_fd_read(99, data, 1) == -EBADF);
	return 0;
}

#ifndef OCCLUM_SIM
enum {
	EREPORT = 0,
	EGETKEY = 1,
	EACCEPT = 5,
	EMODPE = 6,

	SECINFO_PENDING = 0x8,
	SECINFO_MODIFIED = 0x10,
	SECINFO_PR = 0x20,
	SECINFO_TRIM = 0x400,
};

extern s64 do_enclu(u64 leaf, const void *rbx, const void *rcx, const void *rdx);

static u32 on_page(u64 leaf, const void *page, u64 flags)
{
	struct sgx_secinfo info __attribute__((aligned(64))) = {.flags = flags};

	return (u32)do_enclu(leaf, &info, page, NULL);
}

/* Pages come by EAUG, change their rights and go; each step counts only after EACCEPT. */
static s64 check_memory(u64 base)
{
	const u64 fresh = SGX_SECINFO_REG | SECINFO_PENDING | SGX_SECINFO_R | SGX_SECINFO_W;
	const u64 text = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_X;
	u8 *page = (u8 *)base + 0x400000;
	static const u8 code[6] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */

	CHECK(host_mem_protect((u64)page, 0x40000, 3) == 0);
	CHECK(on_page(EACCEPT, page, fresh) == 0); /* the fault adds the page */
	CHECK(on_page(EACCEPT, page, fresh) != 0);
	CHECK(page[0] == 0 && page[4095] == 0);
	page[0] = 7;
	CHECK(host_mem_commit((u64)page, 0x40000, 3) == 0);
	CHECK(page[0] == 7);
	for (u32 i = 1; i < 0x40; i++) {
		CHECK(on_page(EACCEPT, page + i * PAGE_SIZE, fresh) == 0);
		CHECK(page[i * PAGE_SIZE] == 0);
		page[i * PAGE_SIZE] = (u8)i;
	}
	memcpy(page, code, sizeof(code));
	on_page(EMODPE, page, text | SGX_SECINFO_W);
	CHECK(host_mem_protect((u64)page, 4096, 5) == 0);
	CHECK(((int (*)(void))page)() == 42);
	CHECK(host_mem_restrict((u64)page, 4096, 5) == 0);
	CHECK(on_page(EACCEPT, page, text | SECINFO_PR) == 0);
	CHECK(on_page(EACCEPT, page, text | SECINFO_PR) != 0);
	CHECK(((int (*)(void))page)() == 42);
	CHECK(host_mem_protect((u64)page, 4096, 3) == 0);
	do_read(NULL); /* the last exception is that one */
	do_write(page);
	CHECK(SGX_EXIT_VECTOR(last.exitinfo) == SGX_VECTOR_PF && last_info.maddr == (u64)page);
	CHECK(page[0] == code[0]);

	CHECK(host_mem_trim((u64)page, 0x40000) == 0);
	for (u32 i = 0; i < 0x40; i++)
		CHECK(on_page(EACCEPT, page + i * PAGE_SIZE, SECINFO_TRIM | SECINFO_MODIFIED) == 0);
	CHECK(host_mem_remove((u64)page, 0x40000) == 0);
	CHECK(host_mem_protect((u64)page, 0x40000, 3) == 0); /* what it left out of reach */
	CHECK(on_page(EACCEPT, page + PAGE_SIZE, fresh) == 0);
	CHECK(page[PAGE_SIZE] == 0);

	CHECK(host_mem_protect((u64)&started & ~0xffful, 4096, 7) == -EACCES);
	CHECK(host_mem_commit(base + measured.heap_offset, 4096, 3) == -EINVAL);
	CHECK(host_mem_trim(base + measured.heap_offset, 4096) == -EINVAL);
	CHECK(host_mem_restrict((u64)page + 1, 4096, 1) == -EINVAL);
	CHECK(host_mem_remove((u64)page + 8 * PAGE_SIZE, 4096) < 0); /* there is none */
	do_read((const void *)(base + measured.slots_offset + SLOT_TCS_OFFSET));
	CHECK(SGX_EXIT_VECTOR(last.exitinfo) == SGX_VECTOR_PF);
	return 0;
}

static s64 check_keys(void)
{
	static struct sgx_keyrequest request __attribute__((aligned(512))) = {
		.keyname = SGX_KEYNAME_SEAL, .keypolicy = SGX_KEYPOLICY_MRSIGNER};
	static struct sgx_targetinfo target __attribute__((aligned(512)));
	static struct sgx_report report __attribute__((aligned(512)));
	static u8 key[16] __attribute__((aligned(16))), again[16] __attribute__((aligned(16)));
	static u8 data[64] __attribute__((aligned(128))) = {1};

	CHECK((u32)do_enclu(EGETKEY, &request, key, NULL) == 0);
	CHECK(!mem_is_zero(key, 16));
	CHECK((u32)do_enclu(EGETKEY, &request, again, NULL) == 0);
	CHECK(memcmp(key, again, 16) == 0);
	request.keyname = 77;
	CHECK((u32)do_enclu(EGETKEY, &request, key, NULL) == SGX_INVALID_KEYNAME);
	do_enclu(EREPORT, &target, data, &report);
	CHECK(report.body.attributes.flags & SGX_ATTR_INIT);
	CHECK(memcmp(report.body.reportdata, data, 64) == 0);
	CHECK(!mem_is_zero(report.body.mrenclave, 32) && !mem_is_zero(report.body.mrsigner, 32));
	return 0;
}
#else
static s64 check_memory(u64 base)
{
	u8 *page = (u8 *)base + 0x400000, *other = page + 0x10000;
	static const u8 code[6] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */

	CHECK(host_mem_protect((u64)page, 4096, 3) == 0);
	CHECK(page[0] == 0);
	page[0] = 7;
	CHECK(host_mem_move((u64)other, (u64)page, 4096, 1) == 0);
	CHECK(other[0] == 7 && page[0] == 0);
	page[0] = 1;
	CHECK(host_mem_protect((u64)page, 4096, 5) == 0);
	CHECK(host_mem_patch((u64)page, code, sizeof(code)) == 0);
	CHECK(((int (*)(void))page)() == 42);
	CHECK(host_mem_discard((u64)page, 4096) == 0);
	CHECK(page[0] == 0);
	CHECK(host_mem_protect((u64)&started & ~0xffful, 4096, 7) == -EACCES);
	CHECK(host_mem_patch((u64)&measured, code, sizeof(code)) == -EACCES);
	do_read((const void *)(base + measured.slots_offset + SLOT_TCS_OFFSET));
	CHECK(SGX_EXIT_VECTOR(last.exitinfo) == SGX_VECTOR_PF);
	return 0;
}

static s64 check_keys(void)
{
	static struct sgx_keyrequest request = {.keyname = SGX_KEYNAME_SEAL,
						.keypolicy = SGX_KEYPOLICY_MRSIGNER};
	static struct sgx_targetinfo target;
	struct sgx_report report;
	u8 key[16] = {0}, again[16], data[64] = {1};

	CHECK(host_sim_getkey(&request, sizeof(request), key, sizeof(key)) == 0);
	CHECK(!mem_is_zero(key, 16));
	CHECK(host_sim_getkey(&request, sizeof(request), again, sizeof(again)) == 0);
	CHECK(memcmp(key, again, 16) == 0);
	request.keyname = 77;
	CHECK(host_sim_getkey(&request, sizeof(request), key, sizeof(key)) == SGX_INVALID_KEYNAME);
	CHECK(host_sim_report(&target, sizeof(target), data, sizeof(data), &report,
			      sizeof(report)) == 0);
	CHECK(report.body.attributes.flags & SGX_ATTR_DEBUG);
	CHECK(report.body.attributes.flags & SGX_ATTR_INIT);
	CHECK(!mem_is_zero(report.body.mrenclave, 32) && !mem_is_zero(report.body.mrsigner, 32));
	return 0;
}

#endif

/* A second thread waits; wake, time-out and kick end its waiting. */
static s64 check_threads(void)
{
	CHECK(host_wait(1000000) == -ETIMEDOUT);
	started = 0;
	CHECK(host_thread_start(0x1234) == 0);
	while (__atomic_load_n(&started, __ATOMIC_ACQUIRE) != 1)
		host_yield();
	CHECK(started_token == 0x1234);
	host_wake(waiter_slot);
	while (__atomic_load_n(&started, __ATOMIC_ACQUIRE) != 2)
		host_yield();
	CHECK(waiter_result == 0);
	CHECK(host_thread_kick(waiter_slot) == 0);
	while (__atomic_load_n(&started, __ATOMIC_ACQUIRE) != 3)
		host_yield();
	CHECK(waiter_result == -EINTR);
	/* Now it spins inside with a value in a vector register. */
	for (int i = 0; i < 1000; i++) {
		CHECK(host_thread_kick(waiter_slot) == 0);
		if (i % 16 == 0)
			host_yield();
	}
	__atomic_store_n(&kicked_in_loop, 1, __ATOMIC_RELAXED);
	CHECK(host_thread_kick(waiter_slot) == 0);
	while (__atomic_load_n(&started, __ATOMIC_ACQUIRE) != 4)
		host_yield();
	CHECK(waiter_result == 0);
	CHECK(kicks > 0);
	CHECK(host_thread_kick(9999) == -ESRCH);
	return 0;
}

/*
 * One thread does nothing but trap. Each kick reaches it, wherever between trap and resume it is:
 * one that is lost makes this wait for ever.
 */
static s64 check_kicks(void)
{
	u32 before;

	started = 0;
	traps_end = 0;
	CHECK(host_thread_start(TOKEN_TRAPS) == 0);
	while (__atomic_load_n(&started, __ATOMIC_ACQUIRE) != 1)
		host_yield();
	for (int i = 0; i < 1000; i++) {
		before = __atomic_load_n(&kicks, __ATOMIC_RELAXED);
		CHECK(host_thread_kick(waiter_slot) == 0);
		while (__atomic_load_n(&kicks, __ATOMIC_RELAXED) == before)
			host_yield();
	}
	__atomic_store_n(&traps_end, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&started, __ATOMIC_ACQUIRE) != 2)
		host_yield();
	CHECK(waiter_result == 0);
	return 0;
}

static s64 trap_for_ever(void)
{
	waiter_slot = ((struct thread_arena *)host_arena())->slot;
	waiter_result = 0;
	__atomic_store_n(&started, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&traps_end, __ATOMIC_ACQUIRE)) {
		if (do_syscall(39, 5) != 1039 + 5)
			waiter_result = __LINE__;
	}
	__atomic_store_n(&started, 2, __ATOMIC_RELEASE);
	return 0;
}

static s64 thread_main(u64 token)
{
	if (token == TOKEN_TRAPS)
		return trap_for_ever();
	started_token = token;
	waiter_slot = ((struct thread_arena *)host_arena())->slot;
	__atomic_store_n(&started, 1, __ATOMIC_RELEASE);
	waiter_result = host_wait(UINT64_MAX);
	__atomic_store_n(&started, 2, __ATOMIC_RELEASE);
	waiter_result = host_wait(UINT64_MAX);
	__atomic_store_n(&started, 3, __ATOMIC_RELEASE);
	waiter_result = do_vector_loop(&stop_word);
	__atomic_store_n(&started, 4, __ATOMIC_RELEASE);
	return 0;
}

static s64 count_dirty(u64 base)
{
	const u8 *heap = (const u8 *)base + measured.heap_offset;

	return heap[0] == 0xcc && heap[measured.heap_size - 1] == 0xcc;
}

static s64 run_scenario(u64 which)
{
	u64 base = (u64)&measured - ((u64)&measured & (measured.enclave_size - 1));

	switch (which) {
	case SCENARIO_EXCEPTIONS: return check_exceptions(base);
	case SCENARIO_HOST_CALLS: return check_host_calls();
	case SCENARIO_MEMORY: return check_memory(base);
	case SCENARIO_KEYS: return check_keys();
	case SCENARIO_THREADS: return check_threads();
	case SCENARIO_KICKS: return check_kicks();
	case SCENARIO_BASE_IS_ZERO: return base == 0;
	case SCENARIO_DIRTY: return count_dirty(base);
	case SCENARIO_SPIN:
		for (;;)
			__asm__ volatile("pause");
	case SCENARIO_ABORT: abort_now();
	}
	return -EINVAL;
}

s64 test_main(u64 number, u64 argument)
{
	const struct boot_info *info = (const struct boot_info *)argument;

	switch (number) {
	case ECALL_BOOT:
		CHECK(info->version == BOOT_INFO_VERSION && info->config.size != 0);
		CHECK(info->cpuid.size >= sizeof(struct cpuid_hint));
		CHECK(info->arena_size % ARENA_SIZE == 0);
		return 0;
	case ECALL_THREAD: return thread_main(argument);
	case ECALL_NEW_PROCESS: return 100 + ((const struct new_process *)argument)->stdio[1];
	case ECALL_EXEC: return run_scenario(argument);
	case ECALL_KILL:
	case ECALL_SHUTDOWN: return 0;
	}
	return -ENOSYS;
}
