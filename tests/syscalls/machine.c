/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine promises around system calls and signals: flags, general and vector registers,
 * the red zone, instructions that an enclave has to emulate, code made at run time, the GS base
 * and the cancellation points of the C library.
 */
#include "check.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

enum { CARRY = 1, DIRECTION = 0x400, NESTED = 0x4000, ALIGNMENT = 0x40000 };

/* --- registers and flags ------------------------------------------------------------------- */

/* getpid() with `set` flags added; the flags afterwards, and R11 and RCX as the call left them. */
static long call_with_flags(uint64_t set, uint64_t *before, uint64_t *after, uint64_t *r11,
			    uint64_t *rcx, uint64_t *next)
{
	register uint64_t r11_out __asm__("r11");
	uint64_t rcx_out, b, a, ip;
	long ret;

	__asm__ volatile("sub $256, %%rsp\n\t" /* off the red zone */
			 "pushfq\n\t"
			 "orq %[set], (%%rsp)\n\t"
			 "popfq\n\t"
			 "pushfq\n\t"
			 "popq %[b]\n\t"
			 "mov $39, %%eax\n\t"
			 "syscall\n"
			 "1:\n\t"
			 "pushfq\n\t"
			 "popq %[a]\n\t"
			 "pushq $2\n\t"
			 "popfq\n\t"
			 "lea 1b(%%rip), %[ip]\n\t"
			 "add $256, %%rsp\n\t"
			 : "=&a"(ret), "=&r"(r11_out),
			   "=&c"(rcx_out), [b] "=&r"(b), [a] "=&r"(a), [ip] "=&r"(ip)
			 : [set] "r"(set)
			 : "memory", "cc");
	*before = b;
	*after = a;
	*r11 = r11_out;
	*rcx = rcx_out;
	*next = ip;
	return ret;
}

static void flags_survive(void)
{
	static const uint64_t sets[] = {0,	   CARRY,  DIRECTION,
					ALIGNMENT, NESTED, DIRECTION | ALIGNMENT | NESTED | CARRY};
	/* Carry and its like are anyone's after a call, and NT means nothing to a program. */
	const uint64_t kept = DIRECTION | ALIGNMENT;
	long pid = syscall(SYS_getpid);

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
			uint64_t before, after, r11, rcx, next;

			CHECK_EQ(call_with_flags(sets[i], &before, &after, &r11, &rcx, &next), pid);
			CHECK_EQ(before & kept, sets[i] & kept);
			CHECK_EQ(after & kept, before & kept);
			CHECK_EQ(r11 & kept, before & kept);
			CHECK_EQ(rcx, next);
		}
	}
}

/* Everything but RAX, RCX and R11 is as before. */
static void general_registers_survive(void)
{
	static uint64_t in[12], out[12];

	for (int i = 0; i < 12; i++)
		in[i] = 0x1111111111111111ull * (i + 1) + 7;
	for (int round = 0; round < 3; round++) {
		uint64_t *to = out, *from = in;

		memset(out, 0, sizeof(out));
		__asm__ volatile("sub $256, %%rsp\n\t"
				 "push %%rbx\n\tpush %%rbp\n\t"
				 "mov 0(%%rax), %%rdi\n\tmov 8(%%rax), %%rsi\n\t"
				 "mov 16(%%rax), %%rdx\n\tmov 24(%%rax), %%r8\n\t"
				 "mov 32(%%rax), %%r9\n\tmov 40(%%rax), %%r10\n\t"
				 "mov 48(%%rax), %%rbx\n\tmov 56(%%rax), %%rbp\n\t"
				 "mov 64(%%rax), %%r12\n\tmov 72(%%rax), %%r13\n\t"
				 "mov 80(%%rax), %%r14\n\tmov 88(%%rax), %%r15\n\t"
				 "push %%rcx\n\t"
				 "mov $102, %%eax\n\tsyscall\n\t"
				 "pop %%rcx\n\t"
				 "mov %%rdi, 0(%%rcx)\n\tmov %%rsi, 8(%%rcx)\n\t"
				 "mov %%rdx, 16(%%rcx)\n\tmov %%r8, 24(%%rcx)\n\t"
				 "mov %%r9, 32(%%rcx)\n\tmov %%r10, 40(%%rcx)\n\t"
				 "mov %%rbx, 48(%%rcx)\n\tmov %%rbp, 56(%%rcx)\n\t"
				 "mov %%r12, 64(%%rcx)\n\tmov %%r13, 72(%%rcx)\n\t"
				 "mov %%r14, 80(%%rcx)\n\tmov %%r15, 88(%%rcx)\n\t"
				 "pop %%rbp\n\tpop %%rbx\n\t"
				 "add $256, %%rsp\n\t"
				 : "+c"(to), "+a"(from)
				 :
				 : "rdi", "rsi", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",
				   "r14", "r15", "memory", "cc");
		for (int i = 0; i < 12; i++)
			CHECK_EQ(out[i], in[i]);
	}
}

/* --- vector registers ---------------------------------------------------------------------- */

static unsigned char ymm_in[16][32], ymm_out[16][32];
static int has_avx;

#define EACH_YMM(op)                                                                               \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13)    \
		op(14) op(15)
#define LOAD_YMM(n)  "vmovdqu 32*" #n "(%[in]), %%ymm" #n "\n\t"
#define STORE_YMM(n) "vmovdqu %%ymm" #n ", 32*" #n "(%[out])\n\t"
#define ALL_YMM                                                                                    \
	"ymm0", "ymm1", "ymm2", "ymm3", "ymm4", "ymm5", "ymm6", "ymm7", "ymm8", "ymm9", "ymm10",   \
		"ymm11", "ymm12", "ymm13", "ymm14", "ymm15"

static void fill_ymm(unsigned seed)
{
	for (int i = 0; i < 16; i++)
		for (int k = 0; k < 32; k++)
			ymm_in[i][k] = seed * 31 + i * 32 + k * 3;
}

/* One system call between loading and storing all registers. */
__attribute__((target("avx"), noinline)) static long call_with_ymm(long nr, long a, long b, long c,
								   long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	uint32_t mxcsr = 0x1f80 | 0x6000, mxcsr_after; /* rounds to zero */
	uint16_t control = 0xf7f, control_after;       /* likewise */
	double x87_in = 1.25, x87_out = 0;
	long ret;

	__asm__ volatile("ldmxcsr %[mxcsr]\n\t"
			 "fldcw %[control]\n\t"
			 "fldl %[x87_in]\n\t" EACH_YMM(LOAD_YMM) "syscall\n\t" EACH_YMM(
				 STORE_YMM) "fstpl %[x87_out]\n\t"
					    "stmxcsr %[mxcsr_after]\n\t"
					    "fnstcw %[control_after]\n\t"
					    "fninit\n\t"
					    "vzeroupper\n\t"
			 : "=a"(ret), [x87_out] "=m"(x87_out), [mxcsr_after] "=m"(mxcsr_after),
			   [control_after] "=m"(control_after)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
			   "r"(r9), [in] "r"(ymm_in), [out] "r"(ymm_out), [mxcsr] "m"(mxcsr),
			   [control] "m"(control), [x87_in] "m"(x87_in)
			 : ALL_YMM, "rcx", "r11", "memory", "cc", "st");
	mxcsr = 0x1f80;
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	CHECK_EQ(mxcsr_after & 0xffc0, 0x1f80 | 0x6000);
	CHECK_EQ(control_after, 0xf7f);
	CHECK(x87_out == 1.25);
	CHECK_EQ(memcmp(ymm_in, ymm_out, sizeof(ymm_in)), 0);
	return ret;
}

static void vectors_survive_calls(void)
{
	static char data[200000];
	char name[] = "vectors-XXXXXX";
	int fd = mkstemp(name), ends[2];

	if (!has_avx)
		return;
	REQUIRE(fd >= 0 && pipe(ends) == 0);
	for (unsigned i = 0; i < 8; i++) {
		long p;

		fill_ymm(i);
		memset(data, i, sizeof(data));
		CHECK_EQ(call_with_ymm(SYS_pwrite64, fd, (long)data, sizeof(data), 0, 0, 0),
			 sizeof(data));
		CHECK_EQ(call_with_ymm(SYS_fsync, fd, 0, 0, 0, 0, 0), 0);
		CHECK_EQ(call_with_ymm(SYS_pread64, fd, (long)data, sizeof(data), 0, 0, 0),
			 sizeof(data));
		CHECK_EQ(data[4097], (char)i);
		p = call_with_ymm(SYS_mmap, 0, 4 << 20, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(p > 0);
		CHECK_EQ(call_with_ymm(SYS_getrandom, p, 100000, 0, 0, 0, 0), 100000);
		CHECK_EQ(call_with_ymm(SYS_munmap, p, 4 << 20, 0, 0, 0, 0), 0);
		CHECK_EQ(call_with_ymm(SYS_write, ends[1], (long)data, 4096, 0, 0, 0), 4096);
		CHECK_EQ(call_with_ymm(SYS_read, ends[0], (long)data, 4096, 0, 0, 0), 4096);
		CHECK_EQ(call_with_ymm(SYS_sched_yield, 0, 0, 0, 0, 0, 0), 0);
		CHECK_EQ(call_with_ymm(SYS_getpid, 0, 0, 0, 0, 0, 0), getpid());
		/* -EBADF: sites that nobody patched too */
		CHECK_EQ(call_with_ymm(SYS_close, 12345, 0, 0, 0, 0, 0), -9);
	}
	close(ends[0]);
	close(ends[1]);
	close(fd);
	unlink(name);
}

static volatile int ticks;

/* Destroys what it can reach: all vector registers, x87, memory below its own frame. */
__attribute__((target("avx"))) static void on_tick(int signal)
{
	unsigned char junk[32];

	(void)signal;
	memset(junk, ++ticks, sizeof(junk));
	if (has_avx)
		__asm__ volatile("vmovdqu (%0), %%ymm0\n\t"
				 "vmovdqa %%ymm0, %%ymm1\n\tvmovdqa %%ymm0, %%ymm2\n\t"
				 "vmovdqa %%ymm0, %%ymm3\n\tvmovdqa %%ymm0, %%ymm4\n\t"
				 "vmovdqa %%ymm0, %%ymm5\n\tvmovdqa %%ymm0, %%ymm6\n\t"
				 "vmovdqa %%ymm0, %%ymm7\n\tvmovdqa %%ymm0, %%ymm8\n\t"
				 "vmovdqa %%ymm0, %%ymm9\n\tvmovdqa %%ymm0, %%ymm10\n\t"
				 "vmovdqa %%ymm0, %%ymm11\n\tvmovdqa %%ymm0, %%ymm12\n\t"
				 "vmovdqa %%ymm0, %%ymm13\n\tvmovdqa %%ymm0, %%ymm14\n\t"
				 "vmovdqa %%ymm0, %%ymm15\n\t"
				 :
				 : "r"(junk)
				 : ALL_YMM, "memory");
	__asm__ volatile("fninit\n\tfldpi\n\tfld1\n\tfldl2e\n\tpushq $0x8d5\n\tpopfq\n\t"
			 "fninit\n\t"
			 :
			 :
			 : "cc", "st", "memory");
}

static atomic_int storming;
static pthread_t victim;

/* Paced, so that the victim gets on between two handlers: else one is always pending. */
static void *storm(void *arg)
{
	(void)arg;
	while (storming) {
		pthread_kill(victim, SIGUSR1);
		for (volatile int i = 0; i < 60000; i++)
			;
	}
	return NULL;
}

/* The registers stay in the CPU for a while; 0 when they still hold what was loaded. */
__attribute__((target("avx"), noinline)) static int spin_with_ymm(void)
{
	__asm__ volatile(EACH_YMM(LOAD_YMM) "mov $200000, %%ecx\n"
					    "1:\tpause\n\t"
					    "dec %%ecx\n\t"
					    "jnz 1b\n\t" EACH_YMM(STORE_YMM) "vzeroupper\n\t"
			 :
			 : [in] "r"(ymm_in), [out] "r"(ymm_out)
			 : ALL_YMM, "rcx", "memory", "cc");
	return memcmp(ymm_in, ymm_out, sizeof(ymm_in));
}

/* Counts in the red zone and in flags; the number of words that changed by themselves. */
__attribute__((noinline)) static long spin_in_red_zone(void)
{
	long wrong = 0;

	__asm__ volatile("mov $20000, %%ecx\n"
			 "1:\tmov %%rcx, -8(%%rsp)\n\t"
			 "mov %%rcx, -64(%%rsp)\n\t"
			 "mov %%rcx, -128(%%rsp)\n\t"
			 "stc\n\t"
			 "pause\n\t"
			 "jnc 2f\n\t"
			 "cmp %%rcx, -8(%%rsp)\n\t"
			 "jne 2f\n\t"
			 "cmp %%rcx, -64(%%rsp)\n\t"
			 "jne 2f\n\t"
			 "cmp %%rcx, -128(%%rsp)\n\t"
			 "je 3f\n"
			 "2:\tinc %[wrong]\n"
			 "3:\tdec %%ecx\n\t"
			 "jnz 1b\n\t"
			 : [wrong] "+r"(wrong)
			 :
			 : "rcx", "memory", "cc");
	return wrong;
}

static void survive_storm(void)
{
	struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
	const struct itimerval often = {{0, 700}, {0, 700}}, never = {{0, 0}, {0, 0}};
	long bad_vectors = 0, bad_words = 0;
	pthread_t t;

	victim = pthread_self();
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	storming = 1;
	ticks = 0;
	CHECK_EQ(pthread_create(&t, NULL, storm, NULL), 0);
	setitimer(ITIMER_REAL, &often, NULL);
	for (unsigned i = 0; i < 60 || (ticks < 200 && i < 4000); i++) {
		fill_ymm(i);
		if (has_avx)
			bad_vectors += spin_with_ymm() != 0;
		bad_words += spin_in_red_zone();
		if (has_avx)
			call_with_ymm(SYS_getppid, 0, 0, 0, 0, 0, 0);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	storming = 0;
	pthread_join(t, NULL);
	CHECK(ticks >= 200);
	CHECK_EQ(bad_vectors, 0);
	CHECK_EQ(bad_words, 0);
	signal(SIGALRM, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
}

/* --- traps --------------------------------------------------------------------------------- */

static volatile int got_signal;
static volatile uintptr_t got_rip;
static sigjmp_buf back;

static void note_and_return(int signal, siginfo_t *info, void *context)
{
	got_signal = signal;
	got_rip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
}

static void note_and_jump(int signal, siginfo_t *info, void *context)
{
	got_signal = signal;
	siglongjmp(back, 1);
}

static void catch_with(int signal, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};

	sigaction(signal, &action, NULL);
}

static void breakpoints(void)
{
	uintptr_t after;

	catch_with(SIGTRAP, note_and_return);
	for (int i = 0; i < 3; i++) {
		got_signal = 0;
		__asm__ volatile("int3\n1:\tlea 1b(%%rip), %0" : "=r"(after) : : "memory");
		CHECK_EQ(got_signal, SIGTRAP);
		CHECK_EQ(got_rip, after);
	}
	signal(SIGTRAP, SIG_DFL);
}

/* 32-bit system calls: this kernel has none and says SIGSEGV, Linux may have them. */
static void old_gate(void)
{
	long ret = -1;

	got_signal = 0;
	catch_with(SIGSEGV, note_and_jump);
	if (!sigsetjmp(back, 1)) {
		__asm__ volatile("int $0x80"
				 : "=a"(ret)
				 : "a"(20)
				 : "memory", "r8", "r9", "r10", "r11");
		CHECK(ret == getpid() || ret == -ENOSYS);
	} else {
		CHECK_EQ(got_signal, SIGSEGV);
	}
	signal(SIGSEGV, SIG_DFL);
	CHECK_EQ(syscall(SYS_getppid), getppid());
}

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(subleaf));
}

static void *cpuid_again(void *arg)
{
	uint32_t(*first)[4] = arg, now[4];
	long wrong = 0;

	for (int i = 0; i < 100; i++) {
		for (uint32_t leaf = 0; leaf < 8; leaf++) {
			cpuid(leaf, 0, now);
			if (leaf == 1)
				now[1] &= 0xffffff; /* the APIC id */
			wrong += leaf != 6 && memcmp(now, first[leaf], sizeof(now)) != 0;
		}
	}
	return (void *)wrong;
}

static void identification_and_time(void)
{
	uint32_t first[8][4], aux;
	uint64_t last = 0, now;
	pthread_t t[3];
	void *wrong;

	for (uint32_t leaf = 0; leaf < 8; leaf++)
		cpuid(leaf, 0, first[leaf]);
	first[1][1] &= 0xffffff;
	CHECK(first[0][0] >= 7);
	CHECK(first[1][3] & 1u << 26); /* SSE2 */
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, cpuid_again, first), 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], &wrong);
		CHECK_EQ((long)wrong, 0);
	}
	for (int i = 0; i < 1000; i++) {
		now = __builtin_ia32_rdtsc();
		CHECK(now >= last);
		last = now;
		now = __builtin_ia32_rdtscp(&aux);
		CHECK(now >= last);
		last = now;
	}
}

/* --- code made at run time ----------------------------------------------------------------- */

/* mov $nr, %eax; syscall; ret at different offsets of fresh pages, called at once. */
static void fresh_code(void)
{
	static const unsigned char code[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};
	long pid = getpid();

	for (int i = 0; i < 200; i++) {
		size_t at = (size_t)(i * 61) % 4000;
		unsigned char *p =
			mmap(NULL, 8192, PROT_READ | PROT_WRITE | (i & 1 ? PROT_EXEC : 0),
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		REQUIRE(p != MAP_FAILED);
		memcpy(p + at, code, sizeof(code));
		memcpy(p + 4096 - 6, code, sizeof(code)); /* across two pages */
		if (!(i & 1))
			CHECK_EQ(mprotect(p, 8192, PROT_READ | PROT_EXEC), 0);
		for (int k = 0; k < 3; k++) {
			CHECK_EQ(((long (*)(void))(p + 4096 - 6))(), pid);
			if (at + sizeof(code) <= 4096 - 6)
				CHECK_EQ(((long (*)(void))(p + at))(), pid);
		}
		if (!(i & 1))
			CHECK_EQ(mprotect(p, 8192, PROT_READ | PROT_WRITE), 0);
		/* The bytes are the program's: other code, other result. */
		CHECK_EQ(p[4096 - 6], 0xb8);
		p[4096 - 5] = 110; /* getppid */
		if (!(i & 1))
			CHECK_EQ(mprotect(p, 8192, PROT_READ | PROT_EXEC), 0);
		CHECK_EQ(((long (*)(void))(p + 4096 - 6))(), getppid());
		munmap(p, 8192);
	}
}

/* --- the GS base --------------------------------------------------------------------------- */

static int gs_is_writable(void)
{
	uint32_t out[4];

	cpuid(7, 0, out);
	if (out[1] & 1)
		return 1;
	/* Hidden, and all the same there. */
	got_signal = 0;
	catch_with(SIGILL, note_and_jump);
	if (!sigsetjmp(back, 1)) {
		uint64_t base;

		__asm__ volatile("rdgsbase %0" : "=r"(base));
	}
	signal(SIGILL, SIG_DFL);
	return !got_signal;
}

/*
 * A program may change it. Natively nothing happens; inside the next call may be a fault of the
 * program, which must reach its handler, and nothing else may break.
 */
static void odd_gs(void)
{
	static uint64_t block[512];
	uint64_t values[] = {0, 1, 0x7ffffffff000, (uint64_t)block, ~0ull << 48, (uint64_t)&values};
	char *stack = malloc(1 << 16);
	stack_t alternate = {.ss_sp = stack, .ss_size = 1 << 16};

	if (!gs_is_writable())
		return;
	sigaltstack(&alternate, NULL);
	for (int i = 0; i < 512; i++)
		block[i] = (uint64_t)block;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint64_t old;
		long ret = -1;

		__asm__ volatile("rdgsbase %0" : "=r"(old));
		catch_with(SIGSEGV, note_and_jump);
		catch_with(SIGILL, note_and_jump);
		got_signal = 0;
		if (!sigsetjmp(back, 1)) {
			__asm__ volatile("wrgsbase %[value]\n\t"
					 "mov $39, %%eax\n\t"
					 "syscall\n\t"
					 "wrgsbase %[old]\n\t"
					 : "=&a"(ret)
					 : [value] "r"(values[i]), [old] "r"(old)
					 : "rcx", "r11", "memory");
			CHECK_EQ(ret, getpid());
		}
		CHECK(got_signal == 0 || got_signal == SIGSEGV || got_signal == SIGILL);
		CHECK_EQ(syscall(SYS_getpid), getpid());
	}
	/* Signals from outside meet the odd value in the middle of a computation. */
	struct sigaction action = {.sa_handler = on_tick};
	const struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};

	sigaction(SIGALRM, &action, NULL);
	ticks = 0;
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 100 && ticks < 20; i++) {
		uint64_t old;

		__asm__ volatile("rdgsbase %[old]\n\t"
				 "wrgsbase %[value]\n\t"
				 "mov $1000000, %%ecx\n"
				 "1:\tdec %%ecx\n\t"
				 "jnz 1b\n\t"
				 "wrgsbase %[old]\n\t"
				 : [old] "=&r"(old)
				 : [value] "r"(values[i % 4])
				 : "rcx", "memory", "cc");
	}
	setitimer(ITIMER_REAL, &never, NULL);
	CHECK(ticks > 0);
	signal(SIGALRM, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGILL, SIG_DFL);
	alternate.ss_flags = SS_DISABLE;
	sigaltstack(&alternate, NULL);
	free(stack);
}

/* --- cancellation -------------------------------------------------------------------------- */

static int silent[2];
static atomic_int cleaned;

static void clean(void *arg)
{
	cleaned++;
}

static void *reads(void *arg)
{
	char byte;

	pthread_cleanup_push(clean, NULL);
	(void)!read(silent[0], &byte, 1);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *sleeps(void *arg)
{
	const struct timespec long_time = {1000, 0};

	pthread_cleanup_push(clean, NULL);
	nanosleep(&long_time, NULL);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *calls_often(void *arg)
{
	char byte;

	pthread_cleanup_push(clean, NULL);
	for (;;)
		(void)!pread(silent[0], &byte, 1, 0); /* ESPIPE, and a cancellation point */
	pthread_cleanup_pop(0);
	return NULL;
}

static void *never_calls(void *arg)
{
	int old;

	pthread_cleanup_push(clean, NULL);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
	for (;;)
		__asm__ volatile("pause");
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancellation(void)
{
	void *(*const mains[])(void *) = {reads, sleeps, calls_often, never_calls};
	int expected = 0;

	REQUIRE(pipe(silent) == 0);
	cleaned = 0;
	for (int round = 0; round < 12; round++) {
		pthread_t t;
		void *result = NULL;

		CHECK_EQ(pthread_create(&t, NULL, mains[round % 4], NULL), 0);
		usleep(round < 4 ? 20000 : round * 300); /* within the call, and before it */
		if (round % 4 == 3)
			usleep(20000); /* asynchronous once it says so */
		CHECK_EQ(pthread_cancel(t), 0);
		CHECK_EQ(pthread_join(t, &result), 0);
		CHECK(result == PTHREAD_CANCELED);
		expected++;
	}
	CHECK(cleaned <= expected && cleaned >= 4);
	close(silent[0]);
	close(silent[1]);
}

static void look(void)
{
	has_avx = __builtin_cpu_supports("avx");
}

CHECK_MAIN(look, flags_survive, general_registers_survive, vectors_survive_calls, survive_storm,
	   breakpoints, old_gate, identification_and_time, fresh_code, odd_gs, cancellation)
