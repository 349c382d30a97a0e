/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A model of a 16550 and of its relative with 64 bytes of FIFO, with a line that takes its time, at ports and in
 * memory.
 */
#ifndef TESTS_FAKES_FAKE_UART_H
#define TESTS_FAKES_FAKE_UART_H

#include "tests/fakes/fake_platform.h"

/* PC16550D datasheet, "Registers" (8.0). The transmitter sends one byte at a time, in virtual time. */
struct fake_uart {
	struct fake_platform *fake;
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t rx[64];
	size_t rx_count;
	uint8_t tx[65536]; /* everything that was written to THR */
	size_t tx_count, overruns;
	uint64_t idle_at_us; /* when everything written so far has left */
	bool has_fifo, has_scratch, no_device, stuck, fifo_was_reset, sent_in_loop;
	bool has_64;   /* the FIFOs can have 64 bytes */
	bool overrun;  /* bytes were lost: in LSR until that is read */
	uint64_t mmio; /* where the registers are in memory, and how */
	uint8_t mmio_shift, mmio_width;
	uint8_t lines; /* of the modem, bits 7..4 of MSR */
};

/* As a BIOS leaves it, with 16 bytes of FIFO. 8 ports, and registers in memory at mmio. */
void fake_uart_init(struct fake_uart *uart, struct fake_platform *fake, uint16_t port, uint64_t mmio);

/* Bytes come over the line; what the FIFO does not hold is lost. */
void fake_uart_say(struct fake_uart *uart, const void *bytes, size_t length);

/* How many bytes the FIFOs hold now. */
size_t fake_uart_depth(const struct fake_uart *uart);

#endif
