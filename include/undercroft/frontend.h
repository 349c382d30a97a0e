/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract of a link to the outside. Role-free: the configuration makes a frontend carry the log, the control
 * channel or both. Every wait inside is bounded and timed by the platform's clock.
 */
#ifndef UNDERCROFT_FRONTEND_H
#define UNDERCROFT_FRONTEND_H

#include <undercroft/log.h>
#include <undercroft/types.h>

struct frontend;
struct platform;
struct region;

/* What the configuration says about one frontend; also what a default is expressed in. */
struct frontend_config {
	char compatible[32]; /* "ns16550a" */
	char node[64];	     /* path of the node, for messages */
	uint32_t pci;	     /* 0, or the function, as port CF8h wants it: the address is found when it is opened */
	uint32_t reserved2;
	uint64_t config_page; /* where that function's configuration space lies in memory; 0: nowhere */
	uint64_t address;     /* of the registers */
	uint32_t length;      /* bytes or ports */
	uint32_t clock_hz;    /* input clock of the baud generator */
	uint32_t speed;	      /* bits per second */
	uint8_t is_port;      /* 1: address is an I/O port, 0: memory */
	uint8_t reg_shift;    /* registers are 1 << reg_shift bytes apart */
	uint8_t reg_width;    /* bytes of an access to one: 1, 2, 4 */
	uint8_t reserved;
};

#define FRONTEND_STATE_MAX 64

struct frontend_ops {
	const char *name;	/* "uart" */
	const char *compatible; /* of the nodes it takes */
	size_t size;		/* of the frontend's own structure, which begins with struct frontend */

	/* Is the device there? Leaves it as it was. 0 or -ENODEV. */
	int (*probe)(struct frontend *frontend);
	/* Makes it ready. 0, -ENODEV or -ETIMEDOUT. */
	int (*open)(struct frontend *frontend);
	/* Takes what has arrived, never waits. Bytes read. */
	size_t (*read)(struct frontend *frontend, void *buffer, size_t length);
	/* Sends what the device takes now, never waits. Bytes taken. */
	size_t (*write)(struct frontend *frontend, const void *data, size_t length);
	/* Waits, bounded, until everything has left. 0 or -ETIMEDOUT. */
	int (*flush)(struct frontend *frontend);
	/* The guest or its firmware may have reset the device: makes it ready again if so. 0 or -ENODEV. */
	int (*recover)(struct frontend *frontend);
	/* Fills up to max regions the guest must not see. Returns how many there are. */
	unsigned (*regions)(struct frontend *frontend, struct region *out, unsigned max);
	/* Pointer-free state across the handoff. export returns the bytes used, adopt 0 or -EINVAL. */
	size_t (*export)(struct frontend *frontend, void *state, size_t size);
	int (*adopt)(struct frontend *frontend, const void *state, size_t size);
};

struct frontend {
	const struct frontend_ops *ops;
	struct platform *platform;
	struct frontend_config config;
	/* by open and adopt: a device that works takes more bytes within this time */
	uint64_t stall_us;
	bool stuck;	   /* it has taken nothing for so long: nobody waits for it again until it takes some */
	uint32_t overruns; /* how often the device lost received bytes because nobody read it in time */
};

/*
 * After a write that took so many bytes: is it worth another try? Not if the device has taken nothing for limit_us, or
 * is stuck already. *moved_us is the caller's, at first the time at which it began.
 */
bool frontend_retry(struct frontend *frontend, size_t taken, uint64_t limit_us, uint64_t *moved_us);

/* A log sink that sends through a frontend, made ready again first if the guest reset it; what it cannot take is lost.
 */
struct frontend_sink {
	struct log_sink sink; /* first */
	struct frontend *frontend;
	uint64_t patience_us; /* how long to wait for a listener that takes nothing; 0 (also after that time): not at
				 all */
};

/* For what is said when nobody has anything else to do than to listen. */
#define FRONTEND_LAST_WORDS_US 2000000u

void frontend_sink_init(struct frontend_sink *sink, struct frontend *frontend);

/* The ops in a linker set of count that take nodes of this kind in at most room bytes, or NULL. */
const struct frontend_ops *frontend_find(const struct frontend_ops *const *set, size_t count, const char *compatible,
					 size_t room);

/* A frontend is announced in the linker set "frontends". */
#define FRONTEND_REGISTER(ops)                                 \
	static const struct frontend_ops *const frontend_##ops \
		__attribute__((used, section("frontends"), aligned(sizeof(void *)))) = &(ops)

#endif
