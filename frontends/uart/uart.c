/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A 16550 serial port as a link. No interrupts and no flow control: a line without a listener loses bytes, it never
 * stalls us. Must not know what is sent.
 * Source of all register facts: PC16550D datasheet (National Semiconductor, TL/C/8652), "Registers" (8.0).
 */
#include <undercroft/types.h>
#include <undercroft/errno.h>
#include <undercroft/frontend.h>
#include <undercroft/owner.h>
#include <undercroft/platform.h>
#include <undercroft/region.h>
#include <string.h>

#include "frontends/uart/uart.h"

/* PC16550D, "Summary of Registers" (table II) */
#define UART_RBR       0 /* received byte, read; DLAB = 0 */
#define UART_THR       0 /* byte to send, write; DLAB = 0 */
#define UART_DLL       0 /* divisor, low byte; DLAB = 1 */
#define UART_IER       1 /* interrupt enables; DLAB = 0 */
#define UART_DLM       1 /* divisor, high byte; DLAB = 1 */
#define UART_IIR       2 /* interrupt identification, read */
#define UART_FCR       2 /* FIFO control, write */
#define UART_LCR       3
#define UART_MCR       4
#define UART_LSR       5
#define UART_MSR       6
#define UART_SCR       7
#define UART_REGISTERS 8

/* PC16550D, "Interrupt Identification Register" (8.6): bits 5 and 4 are 0; later chips use bit 5 */
#define IIR_ALWAYS_ZERO 0x10
#define IIR_FIFO	0xc0 /* both set: the FIFOs are enabled and work */
#define IIR_FIFO_64	0x20 /* TL16C750 data sheet, "Interrupt Identification Register": and they have 64 bytes */

/* PC16550D, "FIFO Control Register" (8.5) */
#define FCR_ENABLE 0x01
#define FCR_RESET  0x06 /* both FIFOs */
#define FCR_64	   0x20 /* TL16C750, "FIFO Control Register": written with DLAB = 1; 16550s have no such bit */

/* PC16550D, "Line Control Register" (8.1) */
#define LCR_8N1	 0x03
#define LCR_DLAB 0x80

/* PC16550D, "Modem Control Register" (8.8) and "Modem Status Register" (8.9) */
#define MCR_DTR		  0x01
#define MCR_RTS		  0x02
#define MCR_OUT2	  0x08
#define MCR_LOOP	  0x10
#define MCR_DEFINED	  0x1f
#define MSR_LINES	  0xf0
#define MSR_LOOP_RTS_OUT2 0x90 /* in loopback RTS comes back as CTS and OUT2 as DCD */

/* PC16550D, "Line Status Register" (8.4) */
#define LSR_DATA_READY 0x01
#define LSR_OVERRUN    0x02 /* cleared by reading LSR */
#define LSR_THR_EMPTY  0x20
#define LSR_ALL_EMPTY  0x40

#define ALL_ONES 0xff

/* PC16550D, "Programmable Baud Generator" (8.3): the divisor divides down to 16 times the line's speed */
#define CLOCKS_PER_BIT 16
#define BITS_PER_BYTE  10 /* start, 8, stop */
#define FIFO_DEPTH     16
#define FIFO_DEPTH_MAX 64

/* On top of the time that bytes need on the line: an emulator or a service processor may be slower than the line. */
#define WAIT_SLACK_US 2000

struct uart {
	struct frontend frontend; /* first */
	uint16_t divisor;
	uint8_t fifo_depth; /* bytes that may be written when THR is empty */
	char name[24];	    /* "uart@2f8" */
};

/* Pointer-free, across the handoff. */
struct uart_state {
	uint16_t divisor;
	uint8_t fifo_depth;
	uint8_t stuck;
};

_Static_assert(sizeof(struct uart_state) <= FRONTEND_STATE_MAX, "the state has to fit");

static const struct owner uart_owner = {.name = "uart"};

static struct uart *to_uart(struct frontend *frontend)
{
	return CONTAINER_OF(frontend, struct uart, frontend);
}

static uint8_t reg_read(const struct uart *uart, unsigned reg)
{
	struct platform *platform = uart->frontend.platform;
	const struct frontend_config *config = &uart->frontend.config;
	uint64_t address = config->address + ((uint64_t)reg << config->reg_shift);

	if (config->is_port)
		return port_in8(platform, (uint16_t)address);
	return (uint8_t)platform->ops->mmio_read(platform, address, config->reg_width);
}

static void reg_write(const struct uart *uart, unsigned reg, uint8_t value)
{
	struct platform *platform = uart->frontend.platform;
	const struct frontend_config *config = &uart->frontend.config;
	uint64_t address = config->address + ((uint64_t)reg << config->reg_shift);

	if (config->is_port)
		port_out8(platform, (uint16_t)address, value);
	else
		platform->ops->mmio_write(platform, address, config->reg_width, value);
}

/* Microseconds a number of bytes may take on the line, generously. */
static uint64_t line_time_us(const struct uart *uart, unsigned bytes)
{
	uint64_t bits = (uint64_t)bytes * BITS_PER_BYTE;

	return 2 * bits * 1000000 / uart->frontend.config.speed + WAIT_SLACK_US;
}

/* Each reading of LSR clears what it says of errors, so there is no other. */
static uint8_t lsr_read(struct uart *uart)
{
	uint8_t lsr = reg_read(uart, UART_LSR);

	if (lsr != ALL_ONES && lsr & LSR_OVERRUN)
		uart->frontend.overruns++;
	return lsr;
}

/* Waits for bits of LSR. 0 or -ETIMEDOUT. */
static int wait_lsr(struct uart *uart, uint8_t bits, uint64_t limit_us)
{
	struct platform *platform = uart->frontend.platform;
	uint64_t start = platform->ops->now_us(platform);

	while ((lsr_read(uart) & bits) != bits) {
		if (platform->ops->now_us(platform) - start >= limit_us)
			return -ETIMEDOUT;
	}
	return 0;
}

/* The divisor for the configured clock and speed, rounded to the nearest; 0 if there is none. */
static uint16_t divisor_for(const struct frontend_config *config)
{
	uint64_t unit = (uint64_t)config->speed * CLOCKS_PER_BIT;
	uint64_t divisor;

	if (!unit)
		return 0;
	divisor = (config->clock_hz + unit / 2) / unit;
	return divisor <= 0xffff ? (uint16_t)divisor : 0;
}

static uint16_t divisor_read(const struct uart *uart)
{
	uint16_t divisor;

	reg_write(uart, UART_LCR, LCR_8N1 | LCR_DLAB);
	divisor = (uint16_t)(reg_read(uart, UART_DLL) | reg_read(uart, UART_DLM) << 8);
	reg_write(uart, UART_LCR, LCR_8N1);
	return divisor;
}

/* Registers read as all ones where no device, or one without power, answers. */
static bool answers(struct uart *uart)
{
	return lsr_read(uart) != ALL_ONES || reg_read(uart, UART_LCR) != ALL_ONES ||
	       reg_read(uart, UART_MCR) != ALL_ONES;
}

static bool scratch_keeps(const struct uart *uart, uint8_t value)
{
	reg_write(uart, UART_SCR, value);
	return reg_read(uart, UART_SCR) == value;
}

static int probe_registers(struct frontend *frontend)
{
	struct uart *uart = to_uart(frontend);
	uint8_t scratch, mcr, lines;
	bool keeps;

	if (!answers(uart) || reg_read(uart, UART_IIR) & IIR_ALWAYS_ZERO)
		return -ENODEV;

	scratch = reg_read(uart, UART_SCR);
	keeps = scratch_keeps(uart, 0x5a) && scratch_keeps(uart, 0xa5);
	reg_write(uart, UART_SCR, scratch);
	if (!keeps)
		return -ENODEV;

	/* PC16550D, "Modem Control Register" (8.8), bit 4. A byte on its way would be cut: let it leave first. */
	if (frontend->config.speed)
		wait_lsr(uart, LSR_ALL_EMPTY, line_time_us(uart, FIFO_DEPTH_MAX + 1));
	mcr = reg_read(uart, UART_MCR);
	reg_write(uart, UART_MCR, MCR_LOOP | MCR_OUT2 | MCR_RTS);
	lines = reg_read(uart, UART_MSR) & MSR_LINES;
	reg_write(uart, UART_MCR, mcr);
	return lines == MSR_LOOP_RTS_OUT2 ? 0 : -ENODEV;
}

/* By what the chip says of its enabled FIFOs. */
static uint8_t fifo_depth(const struct uart *uart)
{
	uint8_t iir = reg_read(uart, UART_IIR);

	if ((iir & IIR_FIFO) != IIR_FIFO)
		return 1;
	return iir & IIR_FIFO_64 ? FIFO_DEPTH_MAX : FIFO_DEPTH;
}

static int uart_probe(struct frontend *frontend)
{
	uint32_t command = 0;
	int error;

	if (!frontend->config.pci)
		return probe_registers(frontend);
	error = uart_pci_locate(frontend, &command);
	if (error)
		return error;
	error = probe_registers(frontend);
	uart_pci_command(frontend, command);
	return error;
}

/* Programs everything we rely on. What was in the FIFOs is lost. */
static void program(struct uart *uart)
{
	reg_write(uart, UART_LCR, LCR_8N1);
	reg_write(uart, UART_IER, 0);
	reg_write(uart, UART_LCR, LCR_8N1 | LCR_DLAB);
	reg_write(uart, UART_DLL, (uint8_t)uart->divisor);
	reg_write(uart, UART_DLM, (uint8_t)(uart->divisor >> 8));
	reg_write(uart, UART_FCR, FCR_ENABLE | FCR_64);
	reg_write(uart, UART_LCR, LCR_8N1);
	reg_write(uart, UART_FCR, FCR_ENABLE | FCR_64 | FCR_RESET);
	uart->fifo_depth = fifo_depth(uart);
	uart->frontend.stall_us = line_time_us(uart, uart->fifo_depth + 1u);
	reg_write(uart, UART_MCR, MCR_DTR | MCR_RTS);
}

static int uart_open(struct frontend *frontend)
{
	struct uart *uart = to_uart(frontend);
	uint32_t command;
	int error;

	uart->divisor = divisor_for(&frontend->config);
	if (!uart->divisor)
		return -ENODEV;
	if (frontend->config.pci) {
		error = uart_pci_locate(frontend, &command);
		if (error)
			return error;
	}
	error = probe_registers(frontend);
	if (error)
		return error;
	program(uart);
	frontend->stuck = false;
	return wait_lsr(uart, LSR_ALL_EMPTY, line_time_us(uart, 1));
}

static size_t uart_read(struct frontend *frontend, void *buffer, size_t length)
{
	struct uart *uart = to_uart(frontend);
	uint8_t *bytes = buffer;
	size_t count = 0;

	while (count < length) {
		uint8_t lsr = lsr_read(uart);

		if (lsr == ALL_ONES || !(lsr & LSR_DATA_READY))
			break;
		bytes[count++] = reg_read(uart, UART_RBR);
	}
	return count;
}

static size_t uart_write(struct frontend *frontend, const void *data, size_t length)
{
	struct uart *uart = to_uart(frontend);
	const uint8_t *bytes = data;
	size_t count = 0;

	if (!(lsr_read(uart) & LSR_THR_EMPTY))
		return 0;
	while (count < uart->fifo_depth && count < length)
		reg_write(uart, UART_THR, bytes[count++]);
	return count;
}

static int uart_flush(struct frontend *frontend)
{
	struct uart *uart = to_uart(frontend);
	int error = wait_lsr(uart, LSR_ALL_EMPTY, frontend->stuck ? 0 : line_time_us(uart, uart->fifo_depth + 2u));

	if (error)
		frontend->stuck = true;
	return error;
}

static int uart_recover(struct frontend *frontend)
{
	struct uart *uart = to_uart(frontend);
	if (!answers(uart))
		return -ENODEV;
	if (reg_read(uart, UART_LCR) == LCR_8N1 && reg_read(uart, UART_IER) == 0 &&
	    (reg_read(uart, UART_MCR) & MCR_DEFINED) == (MCR_DTR | MCR_RTS) && fifo_depth(uart) == uart->fifo_depth &&
	    divisor_read(uart) == uart->divisor)
		return 0;
	program(uart);
	frontend->stuck = false;
	return 0;
}

/* "uart@" and the address in hexadecimal, as a devicetree names it. */
static void make_name(struct uart *uart)
{
	static const char prefix[] = "uart@";
	uint64_t address = uart->frontend.config.address;
	char *out = uart->name;
	unsigned shift = 60;

	memcpy(out, prefix, sizeof(prefix) - 1);
	out += sizeof(prefix) - 1;
	while (shift && !(address >> shift))
		shift -= 4;
	for (int digit = (int)shift; digit >= 0; digit -= 4)
		*out++ = "0123456789abcdef"[address >> digit & 0xf];
	*out = '\0';
}

static unsigned uart_regions(struct frontend *frontend, struct region *out, unsigned max)
{
	struct uart *uart = to_uart(frontend);

	if (max < 1 + (frontend->config.pci ? UART_PCI_REGIONS : 0))
		return 1 + (frontend->config.pci ? UART_PCI_REGIONS : 0);
	make_name(uart);
	*out = (struct region){
		.name = uart->name,
		.owner = &uart_owner,
		.space = frontend->config.is_port ? REGION_PORT : REGION_MMIO,
		.start = frontend->config.address,
		.length = (uint64_t)UART_REGISTERS << frontend->config.reg_shift,
		.trap_reads = true,
	};
	return 1 + (frontend->config.pci ? uart_pci_regions(frontend, out + 1) : 0);
}

static size_t uart_export(struct frontend *frontend, void *state, size_t size)
{
	const struct uart *uart = to_uart(frontend);
	const struct uart_state out = {
		.divisor = uart->divisor,
		.fifo_depth = uart->fifo_depth,
		.stuck = frontend->stuck,
	};

	if (size < sizeof(out))
		return 0;
	memcpy(state, &out, sizeof(out));
	return sizeof(out);
}

static int uart_adopt(struct frontend *frontend, const void *state, size_t size)
{
	struct uart *uart = to_uart(frontend);
	struct uart_state in;

	if (size != sizeof(in))
		return -EINVAL;
	memcpy(&in, state, sizeof(in));
	if (!in.divisor || in.divisor != divisor_for(&frontend->config) ||
	    (in.fifo_depth != 1 && in.fifo_depth != FIFO_DEPTH && in.fifo_depth != FIFO_DEPTH_MAX) || in.stuck > 1)
		return -EINVAL;
	uart->divisor = in.divisor;
	uart->fifo_depth = in.fifo_depth;
	frontend->stall_us = line_time_us(uart, uart->fifo_depth + 1u);
	frontend->stuck = in.stuck;
	return 0;
}

static const struct frontend_ops uart_ops = {
	.name = "uart",
	.compatible = "ns16550a",
	.size = sizeof(struct uart),
	.probe = uart_probe,
	.open = uart_open,
	.read = uart_read,
	.write = uart_write,
	.flush = uart_flush,
	.recover = uart_recover,
	.regions = uart_regions,
	.export = uart_export,
	.adopt = uart_adopt,
};

FRONTEND_REGISTER(uart_ops);
