/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What setup decides before it changes anything: where the vmm goes, what the guest's memory map is, what lies in the
 * stolen piece of conventional memory. Pure: everything is in these structures.
 */
#ifndef UNDERCROFT_PLAN_H
#define UNDERCROFT_PLAN_H

#include <undercroft/types.h>
#include <undercroft/config.h>
#include <undercroft/machine.h>
#include <undercroft/vm.h>

#define PLAN_LOW_SIZE_KIB 4 /* conventional memory taken for resident real-mode code */

struct plan {
	const struct machine *machine;
	const struct config *config;
	paddr_t window;			/* the hidden memory, 2 MiB aligned */
	uint64_t window_size;		/* multiple of 2 MiB */
	struct memory_map guest_memory; /* what the guest is told: sorted, disjoint */
	/* The stolen conventional memory: resident real-mode code. The buffer is its image until setup plants it. */
	uint16_t low_segment; /* real-mode segment of its first byte */
	uint16_t low_used;    /* bytes */
	uint8_t low_image[KIB(PLAN_LOW_SIZE_KIB)];
	/* Interrupt vectors to point into it. */
	uint32_t vector_count;
	struct {
		uint8_t vector;
		uint16_t offset;     /* in low_segment */
		uint16_t old_vector; /* offset of the four bytes that get the vector's old content */
	} vector[8];
	uint32_t guest_call_count;
	uint64_t guest_call[VM_GUEST_CALL_MAX]; /* linear addresses of the VMMCALL/VMCALL in it, with their plugin */
	char guest_call_plugin[VM_GUEST_CALL_MAX][32];
	char message[160]; /* what *why of plan_make() points at */
};

/*
 * Chooses the window: the highest 2 MiB aligned room of config->reserved_size, rounded up to 2 MiB, in usable RAM below
 * 4 GiB and above 16 MiB, clear of the memory SeaBIOS lends to option ROMs as far as there is other room. Takes the
 * last PLAN_LOW_SIZE_KIB of conventional memory: int 12h has to say low_segment / 64 KiB from then on. Fills window,
 * window_size, low_segment and guest_memory, where both are reserved. machine and config must outlive the plan.
 * Returns 0, or -ENOMEM (no room), or -EINVAL (reserved_size, a map too fragmented), with *why a sentence for the user
 * that lives as long as the plan.
 */
int plan_make(struct plan *plan, const struct machine *machine, const struct config *config, const char **why);

/*
 * Cleans a firmware map: sorts, drops empty and wrapping ranges, resolves overlaps (the more restrictive type wins:
 * unusable, NVS, reclaim, reserved, usable; any other type wins over these), joins neighbours of one type. out must not
 * be in. Returns 0, or -E2BIG with part of the map in *out.
 */
int memory_map_normalise(const struct memory_map *in, struct memory_map *out);

/*
 * Gives [base, base + length) a type in a normalised map, whatever was there, holes included; splits what it cuts and
 * joins neighbours. Returns 0, or -E2BIG or -EINVAL (wraps around) with the map unchanged.
 */
int memory_map_mark(struct memory_map *map, uint64_t base, uint64_t length, uint32_t type);

/*
 * Room in the stolen conventional memory. Returns its offset there, or -ENOSPC. align is a power of two.
 * The bytes are at plan->low_image + offset and end up at low_segment:offset.
 */
int plan_low_alloc(struct plan *plan, size_t size, size_t align);

/*
 * Points an interrupt vector at low_segment:handler when the image is planted. What the vector held until then is
 * written to the four bytes at low_segment:old_vector, offset first, so that the handler can chain. Returns 0, -EEXIST
 * if the vector is hooked already, -EINVAL if an offset was not handed out by plan_low_alloc(), or -ENOSPC.
 */
int plan_vector_hook(struct plan *plan, uint8_t vector, uint16_t handler, uint16_t old_vector);

/*
 * Declares the VMMCALL/VMCALL at low_segment:offset to be a plugin's. Returns 0, -EINVAL (offset not handed out, name
 * of more than 31 characters) or -ENOSPC.
 */
int plan_guest_call(struct plan *plan, uint16_t offset, const char *plugin);

#endif
