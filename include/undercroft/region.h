/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A region is a range the guest can see, in one of three spaces, with exactly one owner. What has no read function
 * reads as all ones, what has no write function ignores writes: an absent device.
 */
#ifndef UNDERCROFT_REGION_H
#define UNDERCROFT_REGION_H

#include <undercroft/types.h>

struct owner;
struct region;
struct vcpu;

enum region_space {
	REGION_PORT, /* I/O ports, start and length in ports */
	REGION_MMIO, /* guest-physical memory, start and length in bytes; neighbours in the page pass through */
};

/*
 * Reads size bytes (1, 2, 4 or 8) at offset from the region's start. Returns the value, zero-extended.
 * An access that crosses the region's end is split by core before it gets here.
 */
typedef uint64_t (*region_read_fn)(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size);

/* Writes size bytes (1, 2, 4 or 8) at offset from the region's start. */
typedef void (*region_write_fn)(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size,
				uint64_t value);

struct region {
	const char *name; /* for messages: "uart@2f8" */
	const struct owner *owner;
	enum region_space space;
	uint64_t start, length;
	bool trap_reads;       /* MMIO only: false leaves reads to the hardware, so that only writes cost an exit */
	region_read_fn read;   /* NULL: all ones */
	region_write_fn write; /* NULL: ignored */
	void *context;	       /* the owner's, for read and write */
	uint64_t accesses;     /* counted by core */
	struct region *next;   /* core's list, sorted by start within a space */
};

struct region_list {
	struct region *head;
};

/*
 * Adds a region to a list; pure: arms nothing. Fails with -EINVAL (empty, wraps around, or beyond the space's end) or
 * -EEXIST, with *conflict the region that is already there.
 */
int region_list_add(struct region_list *list, struct region *region, const struct region **conflict);

/* Removes a region from a list. Returns 0 or -ENOENT. */
int region_list_remove(struct region_list *list, struct region *region);

/* The region that covers an address, or NULL. */
struct region *region_list_find(const struct region_list *list, enum region_space space, uint64_t address);

/* The first region of a space that overlaps [start, start + length), or NULL. */
struct region *region_list_overlap(const struct region_list *list, enum region_space space, uint64_t start,
				   uint64_t length);

/*
 * Adds a region to the VM of this vCPU and arms what makes it trap. Errors as region_list_add and intercept_arm; on
 * error nothing stays armed.
 */
int region_add(struct vcpu *vcpu, struct region *region, const struct region **conflict);

/* Disarms and removes. Returns 0 or -ENOENT. */
int region_remove(struct vcpu *vcpu, struct region *region);

/* Moves a region (a BAR, the APIC page). Errors as region_add; on error the region stays where it was. */
int region_move(struct vcpu *vcpu, struct region *region, uint64_t start);

/*
 * Gives the pages that [start, start + length) touches what they should show and allow now, by all regions, by hidden
 * memory and by the guest's address line 20. Returns 0 or -ENOMEM with a part of it done.
 */
int region_pages_update(struct vcpu *vcpu, gpa_t start, uint64_t length);

/* One access by address, split at region ends; what no region covers goes to the hardware. */
uint64_t region_port_read(struct vcpu *vcpu, uint16_t port, unsigned size);
void region_port_write(struct vcpu *vcpu, uint16_t port, unsigned size, uint64_t value);

#endif
