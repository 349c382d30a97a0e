/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conformance: address line 20, switched in every way: what 1 MiB shows to data, code and string I/O, and what the
 * ports say. Lies at 2 MiB itself.
 */
#include "a20_switch.h"

#define LOW	     ((volatile uint32_t *)0x7000)
#define HIGH	     ((volatile uint32_t *)0x107000)
#define CODE_LOW     ((uint8_t *)0x7800)
#define CODE_HIGH    0x107800
#define PORT_SCRATCH 0x3ff /* COM1's scratch register */

/* Is what 1 MiB shows the low memory? Exits in between: the hypervisor's own accesses have to go on. */
static bool is_alias(void)
{
	bool alias;

	*LOW = 0x11111111;
	*HIGH = 0x22222222;
	cpuid(0, 0);
	alias = *LOW == 0x22222222;
	*LOW = 0x33333333;
	return alias && *HIGH == 0x33333333;
}

static bool is_separate(void)
{
	*LOW = 0x11111111;
	*HIGH = 0x22222222;
	cpuid(0, 0);
	return *LOW == 0x11111111 && *HIGH == 0x22222222;
}

/* CPUID executed through the alias: the code is there at the low address only. */
static bool code_runs(void)
{
	/* push ebx; xor eax, eax; cpuid; mov eax, 20200a20h; pop ebx; ret */
	static const uint8_t code[] = {0x53, 0x31, 0xc0, 0x0f, 0xa2, 0xb8, 0x20, 0x0a, 0x20, 0x20, 0x5b, 0xc3};
	uint32_t (*function)(void) = (uint32_t(*)(void))CODE_HIGH;

	memcpy(CODE_LOW, code, sizeof(code));
	return function() == 0x20200a20;
}

/* INSB to the alias, of a port that may be intercepted and one that is not. */
static bool string_input(uint16_t port)
{
	void *to = (void *)HIGH;
	uint8_t expected = in8(port);

	*LOW = ~(uint32_t)expected;
	__asm__ volatile("cld; insb" : "+D"(to) : "d"(port) : "memory");
	return (uint8_t)*LOW == expected;
}

static void try_switch(void (*line)(bool on), const char *name)
{
	mark(name);
	line(false);
	check(is_alias(), "off: 1 MiB shows 0");
	check(code_runs(), "off: code is fetched from 0");
	check(string_input(PORT_A), "off: INSB of a watched port");
	check(string_input(PORT_SCRATCH), "off: INSB of another port");
	line(true);
	check(is_separate(), "on: 1 MiB is memory of its own");
}

void guest_main(void)
{
	mark("start");
	check(is_separate(), "on at start");
	try_switch(a20_by_port_a, "port 92h");
	a20_by_port_a(false);
	check_equal(in8(PORT_A) & 2, 0, "port 92h says off");
	a20_by_port_a(true);
	check_equal(in8(PORT_A) & 2, 2, "port 92h says on");
	try_switch(a20_by_output_port, "output port");
	a20_by_output_port(false);
	check_equal(a20_output_port() & 2, 0, "the output port says off");
	a20_by_output_port(true);
	check_equal(a20_output_port() & 2, 2, "the output port says on");
	try_switch(a20_by_command, "DDh and DFh");
	mark("pulse");
	/* a pulse of no line, in the middle of a command that waits for its byte */
	a20_command(0xd1);
	a20_command(0xff);
	check(is_separate(), "on after a pulse of no line");
	mark("many exits");
	a20_by_port_a(false);
	for (unsigned i = 0; i < 1000; i++)
		cpuid(1, 0);
	check(is_alias(), "off after a thousand exits");
	a20_by_port_a(true);
}
