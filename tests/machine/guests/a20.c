/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address line 20, switched in every way: what 1 MiB shows, to data, code and string I/O, and what the ports say. Lies
 * at 2 MiB itself. Natively all of it holds, too.
 */
#include "guest.h"

#define PORT_A	     0x92
#define KBD_DATA     0x60
#define KBD_COMMAND  0x64
#define STATUS_OUT   0x01
#define STATUS_IN    0x02
#define LOW	     ((volatile uint32_t *)0x7000)
#define HIGH	     ((volatile uint32_t *)0x107000)
#define CODE_LOW     ((uint8_t *)0x7800)
#define CODE_HIGH    0x107800
#define WAIT	     1000000
#define PORT_SCRATCH 0x3ff /* COM1's scratch register */

static void controller_wait(void)
{
	for (unsigned i = 0; i < WAIT && (in8(KBD_COMMAND) & STATUS_IN); i++)
		continue;
}

static void command(uint8_t value)
{
	controller_wait();
	out8(KBD_COMMAND, value);
	controller_wait();
}

static uint8_t output_port(void)
{
	while (in8(KBD_COMMAND) & STATUS_OUT)
		in8(KBD_DATA);
	command(0xd0);
	for (unsigned i = 0; i < WAIT && !(in8(KBD_COMMAND) & STATUS_OUT); i++)
		continue;
	return in8(KBD_DATA);
}

static void by_port_a(bool on)
{
	out8(PORT_A, (uint8_t)((in8(PORT_A) & ~3u) | (on ? 2 : 0)));
}

static void by_output_port(bool on)
{
	command(0xd1);
	out8(KBD_DATA, on ? 0xdf : 0xdd);
	controller_wait();
}

static void by_command(bool on)
{
	command(on ? 0xdf : 0xdd);
}

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

/* Is 5 MiB the memory at 4 MiB? While the machine's line is off, it is. */
static bool machine_line_off(void)
{
	volatile uint32_t *even = (volatile uint32_t *)0x400000, *odd = (volatile uint32_t *)0x500000;

	*even = 0x44444444;
	*odd = 0x55555555;
	return *even == 0x55555555;
}

static void try_switch(void (*line)(bool on), const char *name)
{
	print("switch: %s\n", name);
	line(false);
	check(is_alias(), "off: 1 MiB shows 0");
	check(code_runs(), "off: code is fetched from 0");
	check(string_input(PORT_A), "off: INSB of a watched port");
	check(string_input(PORT_SCRATCH), "off: INSB of another port");
	print("guest: the machine's line is %s\n", machine_line_off() ? "off" : "on");
	line(true);
	check(is_separate(), "on: 1 MiB is memory of its own");
}

void guest_main(void)
{
	check(is_separate(), "on at start");
	try_switch(by_port_a, "port 92h");
	by_port_a(false);
	check_equal(in8(PORT_A) & 2, 0, "port 92h says off");
	by_port_a(true);
	check_equal(in8(PORT_A) & 2, 2, "port 92h says on");
	try_switch(by_output_port, "output port");
	by_output_port(false);
	check_equal(output_port() & 2, 0, "the output port says off");
	by_output_port(true);
	check_equal(output_port() & 2, 2, "the output port says on");
	try_switch(by_command, "DDh and DFh");
	/* a pulse of no line, in the middle of a command that waits for its byte */
	command(0xd1);
	command(0xff);
	check(is_separate(), "on after a pulse of no line");
	/* INSB of the status register a few times with the line off, as the exits' own accesses */
	by_port_a(false);
	for (unsigned i = 0; i < 1000; i++)
		cpuid(1, 0);
	check(is_alias(), "off after a thousand exits");
	by_port_a(true);
}
