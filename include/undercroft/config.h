/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the configuration blob says, checked and with defaults filled in. Flat and pointer-free.
 */
#ifndef UNDERCROFT_CONFIG_H
#define UNDERCROFT_CONFIG_H

#include <undercroft/types.h>
#include <undercroft/frontend.h>

enum guest_start {
	GUEST_START_DISK,  /* the MBR of a BIOS disk, through int 13h inside the VM */
	GUEST_START_INT18, /* the BIOS' next boot entry */
	GUEST_START_INT19, /* the BIOS' boot loader service, from its first boot entry */
};

#define CONFIG_DISK_AUTO	0	/* the first disk that is not the boot disk */
#define CONFIG_BLOB_MAX		KIB(64) /* bytes of a blob: keeps the work of reading a hostile one small */
#define CONFIG_RESERVED_MIN	MIB(2)
#define CONFIG_RESERVED_DEFAULT MIB(4)
#define CONFIG_RESERVED_MAX	MIB(64)
#define CONFIG_PLUGIN_MAX	8
#define CONFIG_PLUGIN_PARAMS	256

/* When a client may attach to the control link. */
enum attach {
	ATTACH_ALWAYS,	  /* the link listens as long as the guest runs */
	ATTACH_BOOT_ONLY, /* before the guest's first instruction, and never after it */
};

/* How the control link behaves, apart from which frontend it is. Also what the handoff carries. */
struct control_config {
	uint32_t attach;		   /* enum attach */
	uint32_t start_stopped;		   /* 1: a client is waited for before the guest's first instruction */
	uint32_t start_stopped_timeout_ms; /* how long; 0: for ever */
	uint32_t silence_timeout_ms;	   /* a plain client that is silent for so long is gone; 0: it may be */
};

struct plugin_params {
	char name[32];
	uint32_t size;
	uint8_t data[CONFIG_PLUGIN_PARAMS];
};

struct config {
	uint32_t start; /* enum guest_start */
	uint8_t disk;	/* BIOS number 0x80..0xff, or CONFIG_DISK_AUTO */
	uint8_t present_as_first;
	uint8_t log_enabled;	 /* 0: the blob says that there is no log frontend */
	uint8_t log_explicit;	 /* the blob named it: its absence is worth a message */
	uint8_t control_enabled; /* 0: the blob says that there is no control link */
	uint64_t reserved_size;
	struct frontend_config log, control; /* may be the same */
	struct control_config control_how;
	uint32_t plugin_count;
	struct plugin_params plugin[CONFIG_PLUGIN_MAX];
};

/* Where a blob is wrong, in words: "/guest: property 'start': expected one of …". Printable ASCII. */
struct config_error {
	char node[96];	   /* path */
	char property[48]; /* empty: it is the node itself that is wrong */
	char expected[160];
};

struct plugin_setup;

/* The documented defaults. No plugins: their defaults are their own, see config_parse(). */
void config_defaults(struct config *config);

/*
 * Reads a flattened device tree of length bytes at fdt (8-byte aligned), hostile as it may be, over the defaults, and
 * has each of the count plugin setups read its node. fdt NULL: there is no blob; plugins fill in their defaults.
 * Returns 0, or -EINVAL with *error filled and *config at the defaults.
 */
int config_parse(const void *fdt, size_t length, const struct plugin_setup *const *setups, size_t count,
		 struct config *config, struct config_error *error);

/* One line of text of an error: "NODE: property 'P': expected …". */
void config_error_format(const struct config_error *error, char *buffer, size_t size);

/*
 * For the parse functions of plugins. config_fail fills *error for a node of a checked tree (property NULL: the node as
 * a whole) and returns -EINVAL. config_expect_properties refuses a node that has any property which is neither
 * "compatible" nor in the NULL-terminated list, or any child node; returns 0 or -EINVAL.
 */
int config_fail(const void *fdt, int node, const char *property, const char *expected, struct config_error *error);
int config_expect_properties(const void *fdt, int node, const char *const *properties, struct config_error *error);

#endif
