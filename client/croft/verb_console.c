/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console: the guest's VGA text screen. Source: IBM VGA XGA Technical Reference Manual, "VGA Function" (2); the BIOS
 * data area, 40:4Ah and 40:84h.
 */
#include "client/croft/verb.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MEMORY   0xb8000u
#define TEXT_SIZE     0x8000u
#define COLUMNS	      0x44au
#define ROWS_LESS_1   0x484u
#define PORT_CRTC     0x3d4u
#define PORT_GRAPHICS 0x3ceu
#define CRTC_START    0x0cu /* high, then low: in characters */
#define GRAPHICS_MISC 0x06u
#define MISC_GRAPHICS 0x01u

/* A register behind an index, which is left as it was. */
static enum croft_status read_indexed(struct shell *shell, uint16_t port, uint8_t index, uint8_t *value,
				      struct croft_error *error)
{
	struct croft_cpu *cpu = croft_vm_cpu(shell->vm);
	uint32_t before, byte = 0;
	enum croft_status status = croft_cpu_port_read(cpu, port, 1, &before, error), restored;

	if (status)
		return status;
	status = croft_cpu_port_write(cpu, port, 1, index, error);
	if (!status)
		status = croft_cpu_port_read(cpu, (uint16_t)(port + 1), 1, &byte, error);
	restored = croft_cpu_port_write(cpu, port, 1, before, status ? NULL : error);
	*value = (uint8_t)byte;
	return status ? status : restored;
}

static enum croft_status read_word(struct shell *shell, uint8_t index, unsigned *value, struct croft_error *error)
{
	uint8_t high = 0, low = 0;
	enum croft_status status = read_indexed(shell, PORT_CRTC, index, &high, error);

	if (!status)
		status = read_indexed(shell, PORT_CRTC, (uint8_t)(index + 1), &low, error);
	*value = (unsigned)high << 8 | low;
	return status;
}

/* Code page 437, as far as it is ASCII; lines and blocks as such. */
static char character(uint8_t code)
{
	if (code == 0 || code == 0xff)
		return ' ';
	if (code == 0xb3 || code == 0xba)
		return '|';
	if (code == 0xc4 || code == 0xcd)
		return '-';
	if (code >= 0xb4 && code <= 0xda)
		return '+';
	if (code >= 0xb0 && code <= 0xdf)
		return '#';
	return isprint(code) ? (char)code : '?';
}

static void show(struct shell *shell, const uint8_t *memory, unsigned start, unsigned columns, unsigned rows)
{
	json_t *lines = out_array(&shell->out, "lines");
	char line[256];

	for (unsigned y = 0; y < rows; y++) {
		unsigned length = 0;

		for (unsigned x = 0; x < columns; x++) {
			unsigned at = 2 * (start + y * columns + x) % TEXT_SIZE;

			line[x] = character(memory[at]);
			if (line[x] != ' ')
				length = x + 1;
		}
		line[length] = 0;
		out_text(&shell->out, "%s\n", line);
		json_array_append_new(lines, lines ? json_string(line) : NULL);
	}
}

static enum croft_status look(struct shell *shell, bool *graphics, unsigned *start, unsigned *columns, unsigned *rows,
			      uint8_t *memory, struct croft_error *error)
{
	struct croft_space space = croft_physical();
	uint8_t misc = 0, size[2] = {0}, last = 0;
	unsigned at, length;
	enum croft_status status = read_indexed(shell, PORT_GRAPHICS, GRAPHICS_MISC, &misc, error);

	*graphics = misc & MISC_GRAPHICS;
	if (!status && !*graphics)
		status = read_word(shell, CRTC_START, start, error);
	if (!status)
		status = croft_memory_read(shell->vm, space, COLUMNS, size, sizeof(size), NULL, error);
	if (!status)
		status = croft_memory_read(shell->vm, space, ROWS_LESS_1, &last, sizeof(last), NULL, error);
	*columns = size[0] | (unsigned)size[1] << 8;
	*rows = last + 1u;
	/* an operating system may have used this memory for something else */
	if (*columns < 40 || *columns > 132 || *rows < 10 || *rows > 60) {
		*columns = 80;
		*rows = 25;
	}
	space.device = true;
	length = 2 * *columns * *rows;
	at = 2 * *start % TEXT_SIZE;
	/* what wraps at the end is rare, and all of it then is not much */
	if (at + length > TEXT_SIZE) {
		at = 0;
		length = TEXT_SIZE;
	}
	if (!status && !*graphics)
		status = croft_memory_read(shell->vm, space, TEXT_MEMORY + at, memory + at, length, NULL, error);
	return status;
}

static enum outcome do_console(struct shell *shell, struct args *args)
{
	unsigned start = 0, columns, rows;
	struct croft_error error;
	enum outcome outcome = OUTCOME_DONE;
	bool graphics = false;
	uint8_t *memory;

	if (args_left(args))
		return verb_misused(shell, &verb_console, "too many arguments");
	memory = malloc(TEXT_SIZE);
	if (!memory)
		return shell_failed(shell, "no memory");
	if (look(shell, &graphics, &start, &columns, &rows, memory, &error))
		outcome = shell_fail(shell, &error);
	else if (graphics)
		outcome = shell_failed(shell, "the screen is in a graphics mode");
	else
		show(shell, memory, start, columns, rows);
	free(memory);
	return outcome;
}

const struct verb verb_console = {
	.name = "console",
	.aliases = "screen",
	.usage = "",
	.summary = "Shows what is on the guest's screen, if it is in a text mode",
	.help = "Reads the VGA's text memory. A frame buffer, as most systems use after their start, has no text to "
		"read.",
	.example = "console",
	.flags = VERB_STOPPED,
	.choices = "",
	.run = do_console,
};
