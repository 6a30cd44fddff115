/* SPDX-License-Identifier: Apache-2.0 */
/* What tests/system/rules_test.py looks at from the inside. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef WORD
#define WORD "one"
#endif

/* Dies with a secret in every register that a program may use. */
static int die_with_secret(const char *reversed)
{
	unsigned long s = ~strtoul(reversed, NULL, 16);

	__asm__ volatile("mov %0, %%rax\nmov %%rax, %%rbx\nmov %%rax, %%rcx\nmov %%rax, %%rdx\n"
			 "mov %%rax, %%rsi\nmov %%rax, %%rdi\nmov %%rax, %%r8\nmov %%rax, %%r9\n"
			 "mov %%rax, %%r10\nmov %%rax, %%r11\nmov %%rax, %%r12\nmov %%rax, %%r13\n"
			 "mov %%rax, %%r14\nmov %%rax, %%r15\nmovq %%rax, %%xmm0\n"
			 "push %%rax\npush %%rax\nmovb $0, 8\n"
			 :
			 : "r"(s)
			 : "memory");
	return 1;
}

static int is_zero(const unsigned char *p, size_t size, const char *what)
{
	for (size_t i = 0; i < size; i++) {
		if (p[i]) {
			printf("%s: byte %zu is %#x\n", what, i, p[i]);
			return 0;
		}
	}
	return 1;
}

static unsigned char bss[1 << 20];

static void *thread_memory(void *ok)
{
	unsigned char *p =
		mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*(int *)ok &= is_zero(p, 1 << 16, "a thread's mapping");
	memset(p, 0x55, 1 << 16);
	munmap(p, 1 << 16);
	return NULL;
}

/* All memory that comes without contents, fresh and recycled. */
static int zeros(void)
{
	static const size_t sizes[] = {4096, 65536, 1 << 20, 5 << 20};
	int ok = is_zero(bss, sizeof(bss), "bss");
	char name[] = "/tmp/zeros-XXXXXX";
	int fd = mkstemp(name);

	for (int round = 0; round < 4; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			unsigned char *p = mmap(NULL, sizes[i], PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			unsigned char *more;

			ok &= is_zero(p, sizes[i], "a mapping");
			memset(p, 0x55, sizes[i]);
			more = mremap(p, sizes[i], sizes[i] * 2, MREMAP_MAYMOVE);
			ok &= is_zero(more + sizes[i], sizes[i], "a mapping that grew");
			memset(more, 0x55, sizes[i] * 2);
			madvise(more, 4096, MADV_DONTNEED);
			ok &= is_zero(more, 4096, "a discarded page");
			munmap(more, sizes[i] * 2);
		}
		unsigned char *heap = sbrk(1 << 18);
		ok &= is_zero(heap, 1 << 18, "the heap");
		memset(heap, 0x55, 1 << 18);
		sbrk(-(1 << 18));
		pthread_t thread;
		pthread_create(&thread, NULL, thread_memory, &ok);
		pthread_join(thread, NULL);
	}
	/* Holes and the end of a file's last page. */
	if (ftruncate(fd, 300000) || pwrite(fd, "x", 1, 200000) != 1)
		return 1;
	unsigned char *file = mmap(NULL, 303104, PROT_READ, MAP_PRIVATE, fd, 0);
	ok &= is_zero(file, 200000, "a hole") & is_zero(file + 200001, 103103, "a file's end");
	unlink(name);
	puts(ok ? "all zero" : "dirty");
	return !ok;
}

/* Says its word; told to by a byte on stdin, becomes whatever lies at argv[1] then. */
static int again(char **argv)
{
	char byte;

	puts(WORD);
	fflush(stdout);
	if (read(0, &byte, 1) == 1)
		execv(argv[1], argv);
	return 0;
}

static int map_exec(const char *path)
{
	int fd = open(path, O_RDONLY);
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	if (p == MAP_FAILED) {
		printf("mmap: %s\n", strerror(errno));
	} else {
		puts("mapped");
	}
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	printf("mprotect: %s\n",
	       mprotect(p, 4096, PROT_READ | PROT_EXEC) ? strerror(errno) : "done");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "die"))
		return die_with_secret(argv[2]);
	if (argc >= 3 && !strcmp(argv[1], "map-exec"))
		return map_exec(argv[2]);
	if (argc >= 2 && !strcmp(argv[1], "zeros"))
		return zeros();
	return again(argv);
}
