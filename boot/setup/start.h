/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The start stub: the real-mode code a guest begins with, inside the VM or, when there is to be no VM, natively. It can
 * lie on any paragraph of the low megabyte.
 */
#ifndef BOOT_SETUP_START_H
#define BOOT_SETUP_START_H

#include <undercroft/types.h>
#include <undercroft/config.h>
#include <undercroft/plan.h>

/* The paragraph: what a start stub has to be aligned to. */
#define START_ALIGN 16

/* The longest line of the log service, its end included; see start_plant(). */
#define START_LINE_MAX 80

/* What the stub is to do. */
struct start_request {
	enum guest_start start;
	uint8_t disk;	   /* BIOS number, or CONFIG_DISK_AUTO */
	uint8_t boot_disk; /* what auto leaves out; 0xff: not known */
	bool present_as_first;
	bool native; /* no VM: nobody listens to the log service */
	enum cpu_vendor vendor;
};

/* Bytes of a start stub. */
size_t start_size(void);

/*
 * Writes a start stub of start_size() bytes to image; it is entered at its first byte in real mode, with CS:IP however
 * the place is split and everything else undefined. With present_as_first it stays resident, so its memory must have
 * been taken from the BIOS data area's count (40:13) first; otherwise it is done when the guest's boot record runs. It
 * writes to itself, to 0:7C00..7DFF, and uses the stack below 0:7C00.
 * Returns the offset of its VMMCALL/VMCALL from the first byte.
 */
uint16_t start_write(void *image, const struct start_request *request);

/*
 * Puts a start stub that does what plan->config asks into the plan's conventional memory. *entry_offset is its entry in
 * plan->low_segment. Unless native, declares its log service, "start": a VMMCALL/VMCALL with DS:SI at a line of text
 * without line end, zero-terminated, at most START_LINE_MAX bytes; no register changes. Returns 0, or -ENOSPC with *why
 * a sentence for the user.
 */
int start_plant(struct plan *plan, bool native, uint16_t *entry_offset, const char **why);

#endif
