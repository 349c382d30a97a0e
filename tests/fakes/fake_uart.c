/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 16550.
 */
#include "tests/fakes/fake_uart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint64_t byte_us(const struct fake_uart *model)
{
	uint64_t divisor = (uint64_t)(model->dll | model->dlm << 8);

	return (divisor ? divisor : 1) * 16 * 10 * 1000000 / 1843200;
}

/* Bytes not yet on the line, the one in the shift register not counted. */
static unsigned queued(const struct fake_uart *model)
{
	uint64_t now = model->fake->clock_us;

	if (now >= model->idle_at_us)
		return 0;
	return (unsigned)((model->idle_at_us - now) / byte_us(model));
}

size_t fake_uart_depth(const struct fake_uart *model)
{
	if (!model->has_fifo || !(model->fcr & 1))
		return 1;
	return model->has_64 && model->fcr & 0x20 ? 64 : 16;
}

static uint64_t model_read(struct fake_uart *model, uint64_t reg)
{
	uint8_t value;

	if (model->no_device)
		return 0xff;
	switch (reg) {
	case 0:
		if (model->lcr & 0x80)
			return model->dll;
		if (!model->rx_count)
			return 0;
		value = model->rx[0];
		memmove(model->rx, model->rx + 1, --model->rx_count);
		return value;
	case 1:
		return model->lcr & 0x80 ? model->dlm : model->ier;
	case 2:
		return 0x01 | (fake_uart_depth(model) > 1 ? 0xc0u : 0) | (fake_uart_depth(model) > 16 ? 0x20u : 0);
	case 3:
		return model->lcr;
	case 4:
		return model->mcr;
	case 5:
		value = (uint8_t)((model->rx_count ? 0x01u : 0) | (model->overrun ? 0x02u : 0));
		model->overrun = false;
		if (!model->stuck && queued(model) == 0)
			value |= 0x20;
		if (!model->stuck && model->fake->clock_us >= model->idle_at_us)
			value |= 0x40;
		return value;
	case 6:
		if (!(model->mcr & 0x10))
			return model->lines;
		/* loopback: DTR, RTS, OUT1, OUT2 come back as DSR, CTS, RI, DCD */
		return (model->mcr & 1 ? 0x20u : 0) | (model->mcr & 2 ? 0x10u : 0) | (model->mcr & 4 ? 0x40u : 0) |
		       (model->mcr & 8 ? 0x80u : 0);
	default:
		return model->has_scratch ? model->scr : 0;
	}
}

static void model_write(struct fake_uart *model, uint64_t reg, uint8_t byte)
{
	uint64_t now = model->fake->clock_us;

	if (model->no_device)
		return;
	switch (reg) {
	case 0:
		if (model->lcr & 0x80) {
			model->dll = byte;
			return;
		}
		if (queued(model) >= fake_uart_depth(model))
			model->overruns++;
		model->sent_in_loop |= (model->mcr & 0x10) != 0;
		assert_true(model->tx_count < sizeof(model->tx));
		model->tx[model->tx_count++] = byte;
		model->idle_at_us = (model->idle_at_us > now ? model->idle_at_us : now) + byte_us(model);
		return;
	case 1:
		if (model->lcr & 0x80)
			model->dlm = byte;
		else
			model->ier = byte & 0x0f;
		return;
	case 2:
		/* TL16C750: the bit for 64 bytes is written with DLAB = 1 alone */
		model->fcr = (uint8_t)((byte & 0xd9) | (model->lcr & 0x80 ? byte & 0x20 : model->fcr & 0x20));
		if ((byte & 2) != 0)
			model->rx_count = 0;
		model->fifo_was_reset |= (byte & 6) == 6;
		return;
	case 3:
		model->lcr = byte;
		return;
	case 4:
		if (byte & 0x10 && now < model->idle_at_us)
			model->sent_in_loop = true;
		model->mcr = byte & 0x1f;
		return;
	case 7:
		model->scr = byte;
		return;
	default:
		return;
	}
}

static uint64_t read_port(void *context, uint64_t address, unsigned size)
{
	assert_int_equal(size, 1);
	return model_read(context, address & 7);
}

static void write_port(void *context, uint64_t address, unsigned size, uint64_t value)
{
	assert_int_equal(size, 1);
	model_write(context, address & 7, (uint8_t)value);
}

static uint64_t register_at(const struct fake_uart *uart, uint64_t address, unsigned size)
{
	assert_int_equal(size, uart->mmio_width);
	assert_int_equal((address - uart->mmio) % (1u << uart->mmio_shift), 0);
	assert_true((address - uart->mmio) >> uart->mmio_shift < 8);
	return (address - uart->mmio) >> uart->mmio_shift;
}

static uint64_t read_mmio(void *context, uint64_t address, unsigned size)
{
	struct fake_uart *uart = context;

	return model_read(uart, register_at(uart, address, size));
}

static void write_mmio(void *context, uint64_t address, unsigned size, uint64_t value)
{
	struct fake_uart *uart = context;

	model_write(uart, register_at(uart, address, size), (uint8_t)value);
}

void fake_uart_init(struct fake_uart *uart, struct fake_platform *fake, uint16_t port, uint64_t mmio)
{
	*uart = (struct fake_uart){
		.fake = fake,
		.ier = 0x05,
		.lcr = 0x1b,
		.mcr = 0x08,
		.scr = 0x77,
		.dll = 0x60,
		.has_fifo = true,
		.has_scratch = true,
		.mmio = mmio,
		.mmio_width = 1,
	};
	fake_port_add(fake, port, 8, read_port, write_port, uart);
	fake_mmio_add(fake, mmio, 64, read_mmio, write_mmio, uart);
}

void fake_uart_say(struct fake_uart *uart, const void *bytes, size_t length)
{
	const uint8_t *byte = bytes;

	for (; length--; byte++) {
		if (uart->rx_count < fake_uart_depth(uart))
			uart->rx[uart->rx_count++] = *byte;
		else
			uart->overrun = true;
	}
}
