/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An SGX machine in software, for tests alone: the driver, the instructions and the kernel's side
 * of an asynchronous exit, below the seam of host/pal/outer/sgx_driver.h. A program that links it
 * runs hardware images of the kernel, unmodified, on any x86-64 machine with FSGSBASE.
 *
 * It is no protection of anything: its keys come from a file that the test names, and chain to
 * nothing real.
 *
 * What it is for is to be strict. Every rule of the driver and of the instructions that a mistake
 * of ours could break is checked, what hardware leaves to the host is poisoned, and what hardware
 * may do at any moment (exits, short counts, busy) it does often.
 */
#pragma once

#include "lib/sgx/sgx.h"

struct sgx_entry_function;

#define EMU_RANGES 16

/* What the host does to the enclave, once, when emu_config.scenario_at entries have been made. */
enum emu_scenario {
	EMU_NOTHING = 0,
	EMU_UNMAP,	  /* a committed page of the program zone loses its mapping, for ever */
	EMU_UNMAP_ONCE,	  /* ... until the first fault */
	EMU_REPLACE,	  /* ... is removed: the next access finds a fresh page */
	EMU_UNMAP_KERNEL, /* the kernel's heap loses its mapping, for ever */
	EMU_ECALL,	  /* the entry asks for scenario_value instead of what it was made for */
	EMU_STORM,	  /* each exit by an interrupt is followed by an entry with CSSA > 0 */
	EMU_DELAY,	  /* a program's thread, number scenario_value, is stopped for ever */
	EMU_WRONG_TCS,	  /* the entry goes to TCS number scenario_value of the enclave */
	EMU_BUSY_TCS,	  /* ... to one that another thread is in */
	EMU_EARLY,	  /* an exception is claimed on a slot that has not been entered before */
	EMU_SCENARIO_COUNT,
};

/* What the host says about leaves 1, 7 and 0xd of CPUID. */
enum emu_lie {
	EMU_NO_LIE = 0,
	EMU_LIE_ALL,   /* every bit is set */
	EMU_LIE_NONE,  /* no bit is */
	EMU_LIE_NOISE, /* chance */
	EMU_LIE_MORE,  /* leaf 1 is right, the others have every bit set */
};

/* Written before the driver is first opened. */
struct emu_config {
	u64 seed;
	u8 platform_key[32];
	u8 cpusvn[SGX_CPUSVN_SIZE]; /* all zero: the newest */

	/* the machine */
	bool no_device, old_names, no_provision_device, device_is_locked;
	bool no_sgx2, no_exinfo, no_entry_function, no_launch_control;
	bool trap_rdtsc;
	u32 lie_in_cpuid;  /* enum emu_lie */
	bool launch_debug; /* the loader asks for DEBUG, whatever the image is signed for */
	u64 xfrm;	   /* what enclaves may use; 0: all of XCR0 */

	/* what goes wrong, in 1/1000 of the occasions */
	u32 short_counts, interrupted, busy, again;
	u32 busy_adding; /* EBUSY of ADD_PAGES alone */
	u32 no_memory;	 /* ENOMEM of mprotect in the running enclave; what came before is done */

	/* interrupts while inside; 0: none */
	u32 aex_min_ns, aex_max_ns; /* time from one to the next */
	u32 step_permille;	    /* entries and returns that are followed through ... */
	u32 step_length;	    /* ... for so many instructions */
	u32 long_way_permille;	    /* interrupts that come back through the AEP, not at once */

	/* what the host does with what is its own */
	bool tame;	      /* no poison in registers and flags */
	bool fill_unmeasured; /* pages that are only added hold 0xCC */
	enum emu_scenario scenario;
	u64 scenario_at, scenario_value;

	/* counted ranges of program counters, offsets from BASE: see emu_stats.in_range */
	struct emu_range {
		u64 start, end;
		char name[24];
	} ranges[EMU_RANGES];
};
extern struct emu_config emu_config;

#define EMU_MARKER     0x5ec2e75ec2e7ull /* upper 48 bits of a value that must not leave */
#define EMU_HOST_CALLS 128

struct emu_stats {
	u64 eenter, eenter_nested, eexit, eresume;
	u64 aex_interrupt, aex_fault[32], aex_nested; /* nested: at CSSA > 0 */
	u64 aex_in_range[EMU_RANGES];
	u64 steps;
	u64 eaug, eaccept, emodpe, eacceptcopy, ereport, egetkey;
	u64 ioctls[8]; /* by number */
	u64 mmaps, mprotects, munmaps, host_touches;
	u64 injected;		       /* errors of the driver that were made up */
	u64 host_faults;	       /* of EENTER and ERESUME, shown to the host */
	u64 exits_for[EMU_HOST_CALLS]; /* by host call */
	u64 exits_return, exits_exception, exits_abort;
	u64 dirty_exits; /* EEXITs with something of the enclave left in a register */
	u64 scenario_done;
	u8 mrenclave[SGX_HASH_SIZE]; /* of the latest INIT */
};
extern struct emu_stats emu_stats;

/* The first dirty exit, in words. */
extern char emu_dirty_text[160];

/* Sets emu_config from EMU_* (emu_setup.c says which); the command under test calls nothing. */
void emu_config_read(void);
/* All counters as `name value` lines. */
void emu_stats_print(int fd);

/* As __vdso_sgx_enter_enclave(), with its ENCLU and where a fault of that goes on. */
struct sgx_enclave_run;
int emu_enter_enclave(u64 rdi, u64 rsi, u64 rdx, u32 function, u64 r8, u64 r9,
		      struct sgx_enclave_run *run);
extern const u8 emu_enter_enclu[], emu_enter_fixup[], emu_enter_end[];

/* The emulated enclave at an address, for tests that look at it: its identity as in hardware. */
const struct sgx_secs *emu_secs_at(u64 address);
/* The bytes behind an address of an enclave, whatever its rights; NULL when there is no page. */
u8 *emu_bytes_at(u64 address);
