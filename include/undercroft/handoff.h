/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What setup leaves for the vmm: an asserted header, then {type, version, size} records, 8-byte aligned. Pointer-free.
 */
#ifndef UNDERCROFT_HANDOFF_H
#define UNDERCROFT_HANDOFF_H

#include <undercroft/types.h>
#include <undercroft/config.h>
#include <undercroft/machine.h>
#include <undercroft/regs.h>

#define HANDOFF_MAGIC	0x4666644843556e55ull
#define HANDOFF_VERSION 1

struct handoff {
	uint64_t magic;
	uint32_t version;
	uint32_t size; /* of everything, this header included */
};

enum handoff_type {
	HANDOFF_END = 0,
	HANDOFF_MACHINE = 1,	 /* struct machine */
	HANDOFF_PLACEMENT = 2,	 /* struct handoff_placement */
	HANDOFF_GUEST_STATE = 3, /* struct guest_state, one per vCPU */
	HANDOFF_PLUGIN = 4,	 /* struct plugin_params */
	HANDOFF_FRONTEND = 5,	 /* struct handoff_frontend, one for each that is open */
	HANDOFF_GUEST_CALL = 6,	 /* struct handoff_guest_call */
	HANDOFF_REMAP = 7,	 /* struct handoff_remap */
	HANDOFF_FONT = 8,	 /* 256 characters of 16 rows, for the fatal screen */
	HANDOFF_CONTROL = 9,	 /* struct control_config */
};

struct handoff_record {
	uint32_t type; /* enum handoff_type */
	uint16_t version;
	uint16_t reserved;
	uint64_t size; /* of the content that follows */
};

struct handoff_placement {
	paddr_t window; /* the hidden memory */
	uint64_t window_size;
	paddr_t image; /* the relocated vmm */
	uint64_t image_size;
	paddr_t pool; /* free pages behind everything setup placed */
	paddr_t low;  /* the stolen conventional memory */
	uint64_t low_size;
	char backend[16]; /* name of its backend_ops */
	uint32_t hide_cpus;
	paddr_t clock; /* the page of the CPU that is a clock, which begins with struct alarm; 0: none */
};

#define FRONTEND_ROLE_LOG     0x1u
#define FRONTEND_ROLE_CONTROL 0x2u

struct handoff_frontend {
	struct frontend_config config;
	uint32_t roles; /* FRONTEND_ROLE_x, at least one */
	uint32_t state_size;
	uint8_t state[FRONTEND_STATE_MAX];
};

struct handoff_guest_call {
	uint64_t address;
	char plugin[32];
};

/* A page the guest sees a private, read-only copy of: firmware tables in ROM that had to be edited. */
struct handoff_remap {
	gpa_t gpa;
	paddr_t copy;
};

_Static_assert(sizeof(struct handoff) == 16, "handoff header layout");
_Static_assert(sizeof(struct handoff_record) == 16, "handoff record layout");

/*
 * Writer, into an 8-byte aligned buffer of size bytes. begin makes an empty handoff, add appends one record.
 * Return 0, -ENOSPC (the handoff stays as it was), or -EINVAL: buffer misaligned or not begun, type HANDOFF_END.
 */
int handoff_begin(void *buffer, size_t size);
int handoff_add(void *buffer, size_t size, uint32_t type, const void *content, size_t length);

/* Reader. Checks alignment, magic, version and that every record lies inside. Returns 0 or -EINVAL. */
int handoff_check(const void *buffer, size_t size);
/*
 * The content of the first record of a type behind the one whose content is at after (NULL: from the start), or NULL.
 * *length is its size. For a buffer that handoff_check() accepted.
 */
const void *handoff_find(const void *buffer, uint32_t type, const void *after, size_t *length);

#endif
