/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What setup's files share.
 */
#ifndef BOOT_SETUP_SETUP_H
#define BOOT_SETUP_SETUP_H

#include <undercroft/backend.h>
#include <undercroft/config.h>
#include <undercroft/firmware.h>
#include <undercroft/frontend.h>
#include <undercroft/handoff.h>
#include <undercroft/log.h>
#include <undercroft/machine.h>
#include <undercroft/memory_type.h>
#include <undercroft/plan.h>

#include "boot/metal/metal.h"
#include "boot/metal/screen.h"
#include "boot/metal/traps.h"

#define SETUP_REMAP_MAX	   16
#define SETUP_FRONTEND_MAX 256 /* bytes of a frontend's structure */

struct clock;
struct multiboot_info;

/* An open frontend and what it is for. */
struct setup_frontend {
	uint64_t memory[SETUP_FRONTEND_MAX / 8]; /* begins with struct frontend */
	uint32_t roles;				 /* FRONTEND_ROLE_x */
};

/* Everything setup knows; one object, gone with setup. */
struct setup {
	struct metal metal;
	struct log log;
	char ring[8192];
	struct screen screen;
	struct setup_frontend frontend[2]; /* the log's, the control link's, or one for both */
	unsigned frontend_count;
	struct frontend_sink log_sink; /* its frontend is NULL as long as none is open for the log */
	struct machine machine;
	struct memory_types memory_types; /* by machine.mtrr */
	struct config config;
	struct plan plan;
	const struct backend_probe *backend;
	uint8_t blob[CONFIG_BLOB_MAX] __attribute__((aligned(8)));
	size_t blob_length; /* 0: none */
	uint8_t font[SCREEN_FONT_SIZE];
	bool has_font;
	struct trap_gate idt[TRAP_COUNT];
	uint16_t entry_offset; /* of the start stub in the plan's low segment */
	/* firmware tables in ROM that are shown to the guest edited */
	unsigned remap_count;
	struct handoff_remap remap[SETUP_REMAP_MAX];
	void (*clock_enter)(struct clock *clock); /* where the CPU that is a clock goes on in the vmm */
	paddr_t next, window_end;		  /* free part of the window while it is being filled */
};

/* machine.c: how the finders of firmware tables see memory. */
int firmware_memory_read(struct firmware_memory *memory, paddr_t address, void *to, size_t length);

/* machine.c: fills setup->machine; 0, or -EINVAL with *why. */
int machine_discover(struct setup *setup, const struct multiboot_info *info, const char **why);

/*
 * machine.c: is the screen in a graphics mode? *out says how to draw on it; bits_per_pixel 0: we cannot, or it is text.
 */
bool framebuffer_read(const struct multiboot_info *info, struct framebuffer *out);

/* cpus.c: hides all CPUs but this one in the firmware's tables. 0, or a negative errno with *why. */
int cpus_hide(struct setup *setup, const char **why);

/* clock.c: is one of the other CPUs to be the hypervisor's clock? */
bool clock_wanted(const struct setup *setup);

/*
 * clock.c: starts it, with the vmm's page tables and code at image, and with a zeroed page of the window. It may not
 * answer: then that page says so, and the log.
 */
void clock_start(struct setup *setup, paddr_t page, paddr_t root, paddr_t image);

/* place.c: puts the vmm and its tables into the window; does not return on success. Negative errno with *why. */
int place_and_enter(struct setup *setup, const char **why);

/* entry.S */
_Noreturn void setup_enter_vmm(paddr_t cr3, uint64_t entry, paddr_t handoff, uint64_t handoff_size, uint64_t mapped);

/* Called by entry.S. */
_Noreturn void setup_main(const struct multiboot_info *info);

#endif
