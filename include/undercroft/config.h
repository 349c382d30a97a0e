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

#define CONFIG_DISK_AUTO       0 /* the first disk that is not the boot disk */
#define CONFIG_RESERVED_MIN    MIB(2)
#define CONFIG_RESERVED_MAX    MIB(64)
#define CONFIG_PLUGIN_MAX      8
#define CONFIG_PLUGIN_PARAMS   256
#define CONFIG_LOG_DEFAULT_COM 2 /* COM2 */

struct plugin_params {
	char name[32];
	uint32_t size;
	uint8_t data[CONFIG_PLUGIN_PARAMS];
};

struct config {
	uint32_t start; /* enum guest_start */
	uint8_t disk;	/* BIOS number 0x80..0xff, or CONFIG_DISK_AUTO */
	uint8_t present_as_first;
	uint8_t log_enabled;  /* 0: the blob says that there is no log frontend */
	uint8_t log_explicit; /* the blob named it: its absence is worth a message */
	uint64_t reserved_size;
	struct frontend_config log;
	uint32_t plugin_count;
	struct plugin_params plugin[CONFIG_PLUGIN_MAX];
};

/* Where a blob is wrong, in words: "/guest: property 'start': expected one of …". */
struct config_error {
	char node[96];
	char property[48];
	char expected[160];
};

/* The documented defaults. */
void config_defaults(struct config *config);

/*
 * Reads a flattened device tree of length bytes at fdt, hostile as it may be, over the defaults.
 * Returns 0, or -EINVAL with *error filled.
 */
int config_parse(const void *fdt, size_t length, struct config *config, struct config_error *error);

/* One line of text of an error: "NODE: property 'P': expected …". */
void config_error_format(const struct config_error *error, char *buffer, size_t size);

#endif
