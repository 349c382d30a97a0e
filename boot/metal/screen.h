/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The screen as a log sink: VGA text memory or a linear framebuffer, and the way back to it for fatal messages.
 */
#ifndef METAL_SCREEN_H
#define METAL_SCREEN_H

#include <undercroft/log.h>
#include <undercroft/machine.h>

#define SCREEN_FONT_HEIGHT 16
#define SCREEN_FONT_SIZE   (256 * SCREEN_FONT_HEIGHT)

struct screen {
	struct log_sink sink;		/* first */
	struct framebuffer framebuffer; /* bits_per_pixel 0: VGA text */
	const uint8_t *font;		/* for a framebuffer and for setting text mode; NULL: neither is possible */
	uint16_t column, row, columns, rows;
	uint8_t attribute;
};

/* Starts at the cursor the BIOS left. framebuffer may be NULL. */
void screen_init(struct screen *screen, const struct framebuffer *framebuffer, const uint8_t *font);

/* Reads the 8x16 font out of VGA plane 2; the adapter must be in text mode. Leaves the adapter as it was. */
void screen_font_read(uint8_t font[SCREEN_FONT_SIZE]);

/*
 * Makes the screen readable whatever the guest did to it: 80x25 text mode set by VGA registers, font loaded, cleared;
 * or the framebuffer cleared. quirks: QUIRK_x of the machine.
 */
void screen_take(struct screen *screen, uint32_t quirks);

/* Before the BIOS writes again: lets it go on below our lines instead of over them. */
void screen_leave(struct screen *screen);

#endif
