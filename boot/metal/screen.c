/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The screen as a log sink. Registers: "VGA Technical Reference" as reproduced in the FreeVGA project's documentation,
 * sections "Sequencer", "CRT Controller", "Graphics" and "Attribute Controller Registers".
 */
#include <string.h>

#include <undercroft/quirk.h>

#include "boot/metal/cpu.h"
#include "boot/metal/screen.h"

#define VGA_TEXT  0xb8000u
#define VGA_PLANE 0xa0000u

#define VGA_ATTRIBUTE	 0x3c0
#define VGA_MISC_WRITE	 0x3c2
#define VGA_SEQUENCER	 0x3c4
#define VGA_PEL_MASK	 0x3c6
#define VGA_DAC_WRITE	 0x3c8
#define VGA_DAC_DATA	 0x3c9
#define VGA_GRAPHICS	 0x3ce
#define VGA_CRTC	 0x3d4
#define VGA_STATUS1	 0x3da
#define CRTC_CURSOR_HIGH 0x0e
#define CRTC_CURSOR_LOW	 0x0f

#define DISPI_INDEX	   0x1ce
#define DISPI_DATA	   0x1cf
#define DISPI_INDEX_ID	   0
#define DISPI_INDEX_ENABLE 4

#define BDA_CURSOR 0x450 /* column, then row, of page 0 */

#define TEXT_COLUMNS 80
#define TEXT_ROWS    25

static uint8_t vga_read(uint16_t port, uint8_t index)
{
	cpu_out8(port, index);
	return cpu_in8((uint16_t)(port + 1));
}

static void vga_write(uint16_t port, uint8_t index, uint8_t value)
{
	cpu_out8(port, index);
	cpu_out8((uint16_t)(port + 1), value);
}

static volatile uint16_t *text_cell(unsigned row, unsigned column)
{
	return (volatile uint16_t *)(uintptr_t)VGA_TEXT + row * TEXT_COLUMNS + column;
}

static volatile uint8_t *pixel_row(const struct screen *screen, unsigned y)
{
	return (volatile uint8_t *)(uintptr_t)(screen->framebuffer.base + (uint64_t)y * screen->framebuffer.pitch);
}

static void draw_pixels(struct screen *screen, uint8_t character)
{
	unsigned bytes = screen->framebuffer.bits_per_pixel / 8u;

	for (unsigned y = 0; y < SCREEN_FONT_HEIGHT; y++) {
		uint8_t line = screen->font[character * SCREEN_FONT_HEIGHT + y];
		volatile uint8_t *to =
			pixel_row(screen, screen->row * SCREEN_FONT_HEIGHT + y) + screen->column * 8u * bytes;

		for (unsigned x = 0; x < 8 * bytes; x++)
			to[x] = line & (0x80u >> x / bytes) ? 0xc0 : 0;
	}
}

static void scroll(struct screen *screen)
{
	if (screen->framebuffer.bits_per_pixel) {
		size_t line = (size_t)screen->framebuffer.pitch * SCREEN_FONT_HEIGHT;
		uint8_t *base = (uint8_t *)(uintptr_t)screen->framebuffer.base;

		memmove(base, base + line, line * (screen->rows - 1u));
		memset(base + line * (screen->rows - 1u), 0, line);
	} else {
		for (unsigned i = 0; i < TEXT_COLUMNS * (TEXT_ROWS - 1); i++)
			*text_cell(0, i) = *text_cell(1, i);
		for (unsigned i = 0; i < TEXT_COLUMNS; i++)
			*text_cell(TEXT_ROWS - 1, i) = (uint16_t)(screen->attribute << 8 | ' ');
	}
	screen->row--;
}

static void cursor_write(const struct screen *screen)
{
	unsigned cursor = (unsigned)screen->row * TEXT_COLUMNS + screen->column;

	vga_write(VGA_CRTC, CRTC_CURSOR_HIGH, (uint8_t)(cursor >> 8));
	vga_write(VGA_CRTC, CRTC_CURSOR_LOW, (uint8_t)cursor);
}

static void screen_write(struct log_sink *sink, const char *text, size_t length)
{
	struct screen *screen = CONTAINER_OF(sink, struct screen, sink);

	for (size_t i = 0; i < length; i++) {
		uint8_t c = (uint8_t)text[i];

		if (c == '\n' || screen->column == screen->columns) {
			screen->column = 0;
			screen->row++;
		}
		if (screen->row >= screen->rows)
			scroll(screen);
		if (c == '\n' || c == '\r')
			continue;
		if (screen->framebuffer.bits_per_pixel)
			draw_pixels(screen, c);
		else
			*text_cell(screen->row, screen->column) = (uint16_t)(screen->attribute << 8 | c);
		screen->column++;
	}
	if (!screen->framebuffer.bits_per_pixel)
		cursor_write(screen);
}

void screen_init(struct screen *screen, const struct framebuffer *framebuffer, const uint8_t *font)
{
	memset(screen, 0, sizeof(*screen));
	screen->sink.write = screen_write;
	screen->attribute = 0x07;
	screen->font = font;
	screen->columns = TEXT_COLUMNS;
	screen->rows = TEXT_ROWS;
	if (framebuffer && font && framebuffer->bits_per_pixel) {
		screen->framebuffer = *framebuffer;
		screen->columns = (uint16_t)(framebuffer->width / 8);
		screen->rows = (uint16_t)(framebuffer->height / SCREEN_FONT_HEIGHT);
		return;
	}

	unsigned cursor = (unsigned)vga_read(VGA_CRTC, CRTC_CURSOR_HIGH) << 8 | vga_read(VGA_CRTC, CRTC_CURSOR_LOW);

	if (cursor < TEXT_COLUMNS * TEXT_ROWS) {
		screen->row = (uint16_t)(cursor / TEXT_COLUMNS);
		if (cursor % TEXT_COLUMNS)
			screen->row++;
	}
}

/* Opens plane 2, where text mode keeps its font, at A0000h; close puts text mode's addressing back. */
static void font_plane_open(void)
{
	vga_write(VGA_SEQUENCER, 2, 0x04);
	vga_write(VGA_SEQUENCER, 4, 0x06);
	vga_write(VGA_GRAPHICS, 4, 0x02);
	vga_write(VGA_GRAPHICS, 5, 0x00);
	vga_write(VGA_GRAPHICS, 6, 0x04);
}

static void font_plane_close(void)
{
	vga_write(VGA_SEQUENCER, 2, 0x03);
	vga_write(VGA_SEQUENCER, 4, 0x02);
	vga_write(VGA_GRAPHICS, 4, 0x00);
	vga_write(VGA_GRAPHICS, 5, 0x10);
	vga_write(VGA_GRAPHICS, 6, 0x0e);
}

/* A character takes 32 bytes in the plane, of which the first 16 are rows. */
static volatile uint8_t *font_row(unsigned character, unsigned row)
{
	return (volatile uint8_t *)(uintptr_t)VGA_PLANE + character * 32 + row;
}

void screen_font_read(uint8_t font[SCREEN_FONT_SIZE])
{
	font_plane_open();
	for (unsigned i = 0; i < SCREEN_FONT_SIZE; i++)
		font[i] = *font_row(i / SCREEN_FONT_HEIGHT, i % SCREEN_FONT_HEIGHT);
	font_plane_close();
}

/* QUIRK_DISPI */
static void dispi_disable(void)
{
	cpu_out16(DISPI_INDEX, DISPI_INDEX_ID);
	if ((cpu_in16(DISPI_DATA) & 0xfff0) != 0xb0c0)
		return;
	cpu_out16(DISPI_INDEX, DISPI_INDEX_ENABLE);
	cpu_out16(DISPI_DATA, 0);
}

/* BIOS mode 3: 80x25, 16 colours, 9x16 cells. */
static void text_mode_set(const uint8_t *font)
{
	static const uint8_t sequencer[5] = {0x03, 0x00, 0x03, 0x00, 0x02};
	static const uint8_t crtc[25] = {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
					 0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};
	static const uint8_t graphics[9] = {0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x0f, 0xff};
	static const uint8_t attribute[21] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
					      0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00};

	cpu_out8(VGA_MISC_WRITE, 0x67);
	vga_write(VGA_SEQUENCER, 0, 0x01);
	for (uint8_t i = 1; i < ARRAY_SIZE(sequencer); i++)
		vga_write(VGA_SEQUENCER, i, sequencer[i]);
	vga_write(VGA_SEQUENCER, 0, sequencer[0]);
	/* the first eight CRTC registers are locked by bit 7 of the one at 11h */
	vga_write(VGA_CRTC, 0x11, 0x0e);
	for (uint8_t i = 0; i < ARRAY_SIZE(crtc); i++)
		vga_write(VGA_CRTC, i, crtc[i]);
	for (uint8_t i = 0; i < ARRAY_SIZE(graphics); i++)
		vga_write(VGA_GRAPHICS, i, graphics[i]);
	cpu_in8(VGA_STATUS1);
	for (uint8_t i = 0; i < ARRAY_SIZE(attribute); i++) {
		cpu_out8(VGA_ATTRIBUTE, i);
		cpu_out8(VGA_ATTRIBUTE, attribute[i]);
	}
	cpu_out8(VGA_ATTRIBUTE, 0x20);

	/* the EGA's 64 colours: two bits each of red, green and blue */
	cpu_out8(VGA_PEL_MASK, 0xff);
	cpu_out8(VGA_DAC_WRITE, 0);
	for (unsigned i = 0; i < 64; i++) {
		for (int shift = 2; shift >= 0; shift--)
			cpu_out8(VGA_DAC_DATA, (uint8_t)((i >> shift & 1) * 42 + (i >> (shift + 3) & 1) * 21));
	}

	if (!font)
		return;
	font_plane_open();
	for (unsigned i = 0; i < SCREEN_FONT_SIZE; i++)
		*font_row(i / SCREEN_FONT_HEIGHT, i % SCREEN_FONT_HEIGHT) = font[i];
	font_plane_close();
}

void screen_take(struct screen *screen, uint32_t quirks)
{
	screen->row = screen->column = 0;
	if (screen->framebuffer.bits_per_pixel) {
		memset((void *)(uintptr_t)screen->framebuffer.base, 0,
		       (size_t)screen->framebuffer.pitch * screen->framebuffer.height);
		return;
	}
	if (quirks & QUIRK_DISPI)
		dispi_disable();
	text_mode_set(screen->font);
	for (unsigned i = 0; i < TEXT_COLUMNS * TEXT_ROWS; i++)
		*text_cell(0, i) = (uint16_t)(screen->attribute << 8 | ' ');
}

void screen_leave(struct screen *screen)
{
	volatile uint8_t *bios = (volatile uint8_t *)BDA_CURSOR;

	if (screen->framebuffer.bits_per_pixel)
		return;
	if (screen->row >= screen->rows)
		scroll(screen);
	cursor_write(screen);
	bios[0] = (uint8_t)screen->column;
	bios[1] = (uint8_t)screen->row;
}
