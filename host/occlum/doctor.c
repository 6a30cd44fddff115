// SPDX-License-Identifier: Apache-2.0
/*
 * `occlum doctor`: says, for each thing that SGX or the simulation needs, whether it is there and
 * what to do when it is not. Ends 0 when at least one mode can run. `occlum run` says the part of
 * it that stands in the way of an enclave for hardware.
 */
#include <stdio.h>
#include <string.h>

#include "host/occlum/command.h"
#include "host/occlum/machine.h"
#include "host/occlum/report.h"

static void print_section(const struct machine *m, const char *section)
{
	if (strcmp(section, "Processor") == 0)
		printf("Processor (%s)\n", m->processor);
	else if (strcmp(section, "Linux") == 0)
		printf("Linux %s\n", m->release);
	else if (strcmp(section, "Container") == 0)
		printf("Container (%s)\n", m->container);
	else
		printf("%s\n", section);
}

static void print_finding(const struct finding *f)
{
	if (f->ok)
		printf("  ok       %s\n", f->what);
	else
		printf("  %s  %s\n           -> %s\n",
		       f->need == NEED_NEITHER ? "absent " : "MISSING", f->what, f->advice);
}

int command_doctor(int argc, char **argv)
{
	static struct machine m;
	const char *section = "";
	bool sim, hw;

	if (argc > 1)
		return complain("unexpected argument '%s'", argv[1]);
	machine_examine(&m, &machine_here);
	for (u32 i = 0; i < m.count; i++) {
		if (strcmp(section, m.findings[i].section) != 0)
			print_section(&m, m.findings[i].section);
		section = m.findings[i].section;
		print_finding(&m.findings[i]);
	}
	if (!m.container[0])
		printf("No container\n");
	sim = machine_can(&m, NEED_SIM);
	hw = machine_can(&m, NEED_HW);
	printf("Simulation (SGX_MODE=SIM) %s on this machine.\n", sim ? "works" : "does not work");
	printf("Hardware mode (SGX_MODE=HW) %s.\n",
	       hw ? "finds all it needs" : "does not work: it misses what is marked MISSING");
	return sim || hw ? 0 : 1;
}

int machine_need_hardware(void)
{
	static struct machine m;

	machine_examine(&m, &machine_here);
	if (machine_can(&m, NEED_HW))
		return 0;
	complain("the enclave is built for SGX hardware (SGX_MODE=HW), which this machine lacks:");
	for (u32 i = 0; i < m.count; i++) {
		const struct finding *f = &m.findings[i];

		if (!f->ok && (f->need & NEED_HW))
			complain("no %s: %s", f->what, f->advice);
	}
	return complain("for a trial without hardware: occlum build --sgx-mode SIM");
}
