/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program for the emulated machine: `inside WHAT [N]`. Each part prints what a native run would,
 * or says what is wrong and fails.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MARKER 0x5ec2e75ec2e70000ull /* EMU_MARKER: seen at an exit, it is a leak */

static void fail(const char *what)
{
	fprintf(stderr, "inside: %s\n", what);
	exit(1);
}

/*
 * write(fd, " ", 1) with the marker in every register that is not an argument, in all halves of
 * the vector registers and on the x87 stack. Returns how many of them changed.
 */
static long marked_write(int fd)
{
	static const char byte = ' ';
	static const double number = 1.25;
	long wrong, edx = 1;

	__asm__ volatile(
		"fldl %[number]\n\tfldl %[number]\n\t"
		"movq %[marker], %%rbx\n\t"
		"movq %%rbx, %%xmm0\n\tvpbroadcastq %%xmm0, %%ymm0\n\t"
		".irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n\t"
		"vmovdqa %%ymm0, %%ymm\\n\n\t"
		".endr\n\t"
		"movq %%rbx, %%r8\n\tmovq %%rbx, %%r9\n\tmovq %%rbx, %%r10\n\tmovq %%rbx, %%r12\n\t"
		"movq %%rbx, %%r13\n\tmovq %%rbx, %%r14\n\tmovq %%rbx, %%r15\n\t"
		"movl $1, %%eax\n\tsyscall\n\t"
		"xorl %%edx, %%edx\n\tcmpq $1, %%rax\n\tsetne %%dl\n\t"
		".irp r, r8, r9, r10, r12, r13, r14, r15\n\t"
		"cmpq %%rbx, %%\\r\n\tje 1f\n\tincq %%rdx\n1:\n\t"
		".endr\n\t"
		"movq %%rbx, %%rax\n\t"
		".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n\t"
		"vmovq %%xmm\\n, %%rcx\n\tcmpq %%rax, %%rcx\n\tje 1f\n\tincq %%rdx\n1:\n\t"
		"vextracti128 $1, %%ymm\\n, %%xmm\\n\n\tvpextrq $1, %%xmm\\n, %%rcx\n\t"
		"cmpq %%rax, %%rcx\n\tje 1f\n\tincq %%rdx\n1:\n\t"
		".endr\n\t"
		"fcompp\n\tfnstsw %%ax\n\tandl $0x4500, %%eax\n\tcmpl $0x4000, %%eax\n\t"
		"je 1f\n\tincq %%rdx\n1:\n\t"
		"movq %%rdx, %[wrong]\n\tvzeroall\n\t"
		: [wrong] "=m"(wrong), "+d"(edx)
		: [number] "m"(number), [marker] "i"(MARKER), "D"((long)fd), "S"(&byte)
		: "rax", "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc",
		  "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
		  "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	return wrong;
}

static void marked(long count)
{
	if (!__builtin_cpu_supports("avx2")) {
		puts("no AVX2");
		return;
	}
	for (long i = 0; i < count; i++) {
		if (marked_write(1))
			fail("a register changed over a host call");
	}
	puts("marked");
}

/* ---- arithmetic that interrupts must not disturb --------------------------------------------- */

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	double x = signals;

	signals = signals + 1;
	for (int i = 0; i < 20; i++)
		x = x * 1.5 + 1;
	if (x < 0)
		abort();
}

static void *spin(void *arg)
{
	long rounds = *(long *)arg;
	double x = 1;
	uint64_t hash = 14695981039346656037ull;

	for (long i = 0; i < rounds; i++) {
		x = x * 0.9999 + 1.0 / (double)(i + 1);
		hash = (hash ^ (uint64_t)i) * 1099511628211ull;
		if (i % 4096 == 0)
			sched_yield();
	}
	return (void *)(hash ^ (uint64_t)(x * 1e6));
}

/* Two threads, timer signals, system calls: all results known. */
static void work(long rounds)
{
	struct itimerval timer = {{0, 2000}, {0, 2000}};
	pthread_t thread;
	void *first, *second;

	signal(SIGALRM, on_signal);
	setitimer(ITIMER_REAL, &timer, NULL);
	if (pthread_create(&thread, NULL, spin, &rounds))
		fail("no thread");
	first = spin(&rounds);
	pthread_join(thread, &second);
	memset(&timer, 0, sizeof(timer));
	setitimer(ITIMER_REAL, &timer, NULL);
	if (first != second)
		fail("the same work gave two results");
	printf("%016lx\n", (unsigned long)first);
}

static sigjmp_buf back;
static siginfo_t seen;

static void on_fault(int sig, siginfo_t *info, void *uc)
{
	seen = *info;
	siglongjmp(back, 1);
}

/* Faults of the program's own, as they are on Linux. */
static void faults(volatile long rounds)
{
	volatile char *volatile null = (volatile char *)16;
	static const int kinds[] = {SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGBUS};
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
	char *guard = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		sigaction(kinds[i], &action, NULL);
	while (rounds-- > 0) {
		if (!sigsetjmp(back, 1)) {
			*null = 1;
			fail("address 16 can be written");
		}
		if (seen.si_signo != SIGSEGV || seen.si_addr != (void *)16)
			fail("null pointer: wrong signal");
		if (!sigsetjmp(back, 1)) {
			*(volatile char *)(guard + 5) = 1;
			fail("a read-only page can be written");
		}
		if (seen.si_signo != SIGSEGV || seen.si_addr != guard + 5 ||
		    seen.si_code != SEGV_ACCERR)
			fail("read-only page: wrong signal");
		if (!sigsetjmp(back, 1))
			__asm__ volatile("ud2");
		if (seen.si_signo != SIGILL)
			fail("ud2: wrong signal");
		if (!sigsetjmp(back, 1))
			__asm__ volatile("xorl %%ecx, %%ecx\n\tdivl %%ecx"
					 :
					 :
					 : "eax", "ecx", "edx");
		if (seen.si_signo != SIGFPE)
			fail("division: wrong signal");
		if (!sigsetjmp(back, 1))
			__asm__ volatile("int3");
		if (seen.si_signo != SIGTRAP)
			fail("int3: wrong signal");
		if (!sigsetjmp(back, 1))
			__asm__ volatile("hlt");
		if (seen.si_signo != SIGSEGV)
			fail("hlt: wrong signal");
	}
	puts("faults");
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void memory(long rounds)
{
	const size_t size = 1 << 20;

	for (long i = 0; i < rounds; i++) {
		unsigned char *m = mmap(NULL, size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (m == MAP_FAILED)
			fail("no memory");
		for (size_t at = 0; at < size; at += 512) {
			if (m[at])
				fail("fresh memory is not zero");
			m[at] = 0x5a;
		}
		if (mprotect(m, 8192, PROT_READ) || mprotect(m, 8192, PROT_READ | PROT_WRITE))
			fail("mprotect");
		if (m[0] != 0x5a)
			fail("memory changed");
		if (munmap(m, size))
			fail("munmap");
	}
	puts("memory");
}

/* The heap grows and keeps what it holds; a secret is in it. */
static void hold(long seconds)
{
	uint64_t *words = malloc(4 << 20);

	for (size_t i = 0; i < (4 << 20) / sizeof(*words); i++)
		words[i] = MARKER + i;
	puts("holding");
	fflush(stdout);
	for (long i = 0; i < seconds * 1000; i++) {
		for (size_t k = 0; k < (4 << 20) / sizeof(*words); k += 4096)
			if (words[k] != MARKER + k)
				fail("memory changed");
		sched_yield();
	}
	puts("held");
}

/* ---- what a host may lie about --------------------------------------------------------------- */

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(subleaf));
}

/* Leaves 1, 7 and 0xd as they are whatever the host says. */
static void leaves(void)
{
	uint32_t r[4], xcr0, high;
	bool has_avx512;

	cpuid(1, 0, r);
	if (!(r[2] & 1u << 27) || !(r[2] & 1u << 28) || !(r[2] & 1u << 25))
		fail("leaf 1: no OSXSAVE, AVX or AES");
	if (r[2] & (1u << 3 | 1u << 5 | 1u << 21 | 1u << 31))
		fail("leaf 1: MONITOR, VMX, x2APIC or a hypervisor");
	if (r[1] >> 24 || r[3] & (1u << 11 | 1u << 18 | 1u << 21))
		fail("leaf 1: an APIC id, SYSENTER, a serial number or the debug store");
	__asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
	has_avx512 = (xcr0 & 0xe0) == 0xe0;
	cpuid(7, 0, r);
	if (r[0] > 1 || r[1] & (1u << 0 | 1u << 2 | 1u << 4 | 1u << 11 | 1u << 14))
		fail("leaf 7: FSGSBASE, SGX, HLE, RTM or MPX");
	if (!has_avx512 && (r[1] & (1u << 16 | 1u << 31) || r[2] & 1u << 1 || r[3] & 1u << 23))
		fail("leaf 7: AVX-512 without its state");
	if (r[2] & (1u << 3 | 1u << 30) || r[3] & (1u << 22 | 1u << 24 | 1u << 25))
		fail("leaf 7: PKU, SGX_LC or AMX");
	cpuid(7, 5, r);
	if (r[0] | r[1] | r[2] | r[3])
		fail("leaf 7: a subleaf that does not exist");
	cpuid(0xd, 0, r);
	if (r[0] & ~xcr0 || (r[0] & 7) != 7 || r[3] || r[1] != r[2] || r[1] < 832 || r[1] > 2696)
		fail("leaf 0xd: size or mask");
	cpuid(0xd, 1, r);
	if (r[0] | r[1] | r[2] | r[3])
		fail("leaf 0xd: XSAVE in other formats");
	cpuid(0xd, 2, r);
	if (r[0] != 256 || r[1] != 576)
		fail("leaf 0xd: the place of AVX");
	puts("sane");
}

/* One thread writes until it is told to stop; the other goes on without it. */
static volatile int is_over;

static void *write_on(void *arg)
{
	while (!is_over) {
		if (write(2, ".", 1) != 1)
			fail("write");
	}
	return NULL;
}

static void alone(long rounds)
{
	pthread_t thread;
	double x = 1;

	if (pthread_create(&thread, NULL, write_on, NULL))
		fail("no thread");
	for (long i = 0; i < rounds; i++) {
		for (int k = 0; k < 1000; k++)
			x = x * 0.9999 + 1;
		printf("%ld %.0f\n", i, x);
		fflush(stdout);
	}
	puts("worked");
	fflush(stdout);
	is_over = 1;
	pthread_join(thread, NULL);
	puts("joined");
}

/* ---- counted by the emulator ----------------------------------------------------------------- */

static char buffer[1 << 20];

static void read_file(const char *path, size_t piece, long count)
{
	int fd = open(path, O_RDONLY);

	for (long i = 0; i < count; i++) {
		if (pread(fd, buffer, piece, (off_t)((size_t)i * piece % (8 << 20))) <= 0)
			fail("read");
	}
	close(fd);
}

static void speed(const char *what, long count)
{
	struct timespec ts;
	struct stat st;
	int fds[2], fd;

	if (strcmp(what, "nothing") == 0) {
	} else if (strcmp(what, "getppid") == 0) {
		for (long i = 0; i < count; i++)
			getppid();
	} else if (strcmp(what, "clock_gettime") == 0) {
		for (long i = 0; i < count; i++)
			clock_gettime(CLOCK_MONOTONIC, &ts);
	} else if (strcmp(what, "stat") == 0) {
		for (long i = 0; i < count; i++)
			stat("/data/blob", &st);
	} else if (strcmp(what, "open-close") == 0) {
		for (long i = 0; i < count; i++)
			close(open("/data/blob", O_RDONLY));
	} else if (strcmp(what, "pipe") == 0) {
		if (pipe(fds))
			fail("pipe");
		for (long i = 0; i < count; i++) {
			if (write(fds[1], buffer, 512) != 512 || read(fds[0], buffer, 512) != 512)
				fail("pipe");
		}
	} else if (strcmp(what, "futex") == 0) {
		pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

		for (long i = 0; i < count; i++) {
			pthread_mutex_lock(&lock);
			pthread_mutex_unlock(&lock);
		}
	} else if (strcmp(what, "signal") == 0) {
		signal(SIGUSR1, on_signal);
		for (long i = 0; i < count; i++)
			raise(SIGUSR1);
	} else if (strcmp(what, "mmap-64K") == 0) {
		for (long i = 0; i < count; i++) {
			char *m = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			memset(m, 1, 65536);
			munmap(m, 65536);
		}
	} else if (strcmp(what, "fresh-MiB") == 0) {
		for (long i = 0; i < count; i++)
			memset(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			       1, 1 << 20);
	} else if (strcmp(what, "fault-64MiB-sparse") == 0) {
		for (long i = 0; i < count; i++) {
			char *m = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

			m[32 << 20] = 1;
		}
	} else if (strcmp(what, "read-MiB") == 0) {
		read_file("/data/blob", 1 << 20, count);
	} else if (strcmp(what, "read-4K") == 0) {
		read_file("/data/blob", 4096, count);
	} else if (strcmp(what, "write-MiB") == 0) {
		fd = open("/root/out", O_RDWR | O_CREAT | O_TRUNC, 0600);
		for (long i = 0; i < count; i++) {
			if (write(fd, buffer, 1 << 20) != 1 << 20)
				fail("write");
		}
		fsync(fd);
		close(fd);
		unlink("/root/out");
	} else if (strcmp(what, "stdout") == 0) {
		for (long i = 0; i < count; i++) {
			if (write(1, ".", 1) != 1)
				fail("stdout");
		}
	} else {
		fail("speed of what?");
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long count = argc > 2 ? atol(argv[argc - 1]) : 1;

	if (strcmp(what, "marked") == 0)
		marked(count);
	else if (strcmp(what, "work") == 0)
		work(count);
	else if (strcmp(what, "faults") == 0)
		faults(count);
	else if (strcmp(what, "memory") == 0)
		memory(count);
	else if (strcmp(what, "leaves") == 0)
		leaves();
	else if (strcmp(what, "alone") == 0)
		alone(count);
	else if (strcmp(what, "hold") == 0)
		hold(count);
	else if (strcmp(what, "speed") == 0 && argc > 3)
		speed(argv[2], count);
	else
		fail("what?");
	return 0;
}
