/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the configuration blob, a flattened device tree as docs/bindings/ documents it. The blob is hostile until
 * proven otherwise, and a typing error in it must not pass silently: what is not known is refused. Must not know the
 * machine: whether a device named here exists is found out later.
 */
#include <libfdt.h>
#include <string.h>

#include <undercroft/config.h>
#include <undercroft/errno.h>
#include <undercroft/log.h>
#include <undercroft/plugin.h>

#define UART_COMPATIBLE	   "ns16550a"
#define UART_COM2	   0x2f8
#define UART_PORTS	   8u
#define UART_CLOCK_HZ	   1843200u
#define UART_SPEED	   115200u
#define UART_SAMPLES	   16u /* clocks a bit; the divisor register has 16 bits */
#define UART_DIVISOR_MAX   0xffffu
#define UART_ERROR_PERCENT 3u

/* Reg of a child of the ISA node: IEEE 1275 ISA/EISA/ISA-PnP binding, "Address Representation" (4.1). */
#define ISA_SPACE_IO	  1u
#define ISA_PORT_LOWEST	  0x100u /* below are the devices of the mainboard itself */
#define ISA_PORT_HIGHEST  0xfff8u
#define ISA_ADDRESS_CELLS 2u
#define ISA_SIZE_CELLS	  1u

/* Reg of a child of the SoC node: two cells of address, one of size. Setup's own memory map ends at 4 GiB. */
#define SOC_ADDRESS_LOWEST 0x100000u
#define SOC_ADDRESS_CELLS  2u
#define SOC_SIZE_CELLS	   1u
/* Reg of a child of the PCI node: IEEE 1275 PCI bus binding, "Physical Address Formats" (2.2.1). */
#define PCI_COMPATIBLE	  "pciclass,0700"
#define PCI_ADDRESS_CELLS 3u
#define PCI_SIZE_CELLS	  2u
#define PCI_FUNCTION_BITS 0xff00u /* device and function of the first cell; bus, space and register are 0 */
#define PCI_CONFIG_ENABLE 0x80000000u

#define UART_REG_SHIFT_MAX 2u
#define UART_REG_WIDTH_MAX 4u

#define DISK_FIRST 0x80u
#define DISK_LAST  0xffu

/* Everything one reading of a blob needs to hand down. */
struct reader {
	const void *fdt;
	struct config *config;
	struct config_error *error;
	int aliases, chosen, isa, soc, pci; /* nodes, negative: none */
};

/* One kind of child node and what reads it. */
struct node_kind {
	const char *name;
	const char *compatible; /* NULL: the name alone says what it is */
	int (*parse)(struct reader *r, int node);
};

/* --- errors ----------------------------------------------------------------------------------------------------- */

/* Names come from the blob and go to a screen. */
static void make_printable(char *text)
{
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
	}
}

static void error_set(struct config_error *error, const char *node, const char *property, const char *expected)
{
	format_string(error->node, sizeof(error->node), "%s", node);
	format_string(error->property, sizeof(error->property), "%s", property ? property : "");
	format_string(error->expected, sizeof(error->expected), "%s", expected);
	make_printable(error->node);
	make_printable(error->property);
	make_printable(error->expected);
}

int config_fail(const void *fdt, int node, const char *property, const char *expected, struct config_error *error)
{
	char path[sizeof(error->node)];

	if (fdt_get_path(fdt, node, path, sizeof(path)))
		format_string(path, sizeof(path), "(a node with a path of %zu characters or more)", sizeof(path));
	error_set(error, path, property, expected);
	return -EINVAL;
}

static int fail(struct reader *r, int node, const char *property, const char *expected)
{
	return config_fail(r->fdt, node, property, expected, r->error);
}

void config_error_format(const struct config_error *error, char *buffer, size_t size)
{
	if (error->property[0])
		format_string(buffer, size, "%s: property '%s': expected %s", error->node, error->property,
			      error->expected);
	else
		format_string(buffer, size, "%s: expected %s", error->node, error->expected);
}

/* --- properties ------------------------------------------------------------------------------------------------- */

/* Appends to a list of words in a buffer: "A", then "A, B". */
static void list_append(char *list, size_t size, const char *quote, const char *word)
{
	size_t used = strlen(list);

	format_string(list + used, size - used, "%s%s%s%s", used ? ", " : "", quote, word, quote);
}

static int expect_properties(const void *fdt, int node, const char *const *names, struct config_error *error)
{
	char known[sizeof(error->expected) - 32] = "";
	char text[sizeof(error->expected)];
	int property;

	fdt_for_each_property_offset(property, fdt, node)
	{
		const char *name = NULL;
		size_t i = 0;

		if (!fdt_getprop_by_offset(fdt, property, &name, NULL) || !name)
			return config_fail(fdt, node, NULL, "readable properties", error);
		while (names[i] && strcmp(names[i], name) != 0)
			i++;
		if (names[i])
			continue;
		for (i = 0; names[i]; i++)
			list_append(known, sizeof(known), "'", names[i]);
		format_string(text, sizeof(text), "%s%s", known[0] ? "no other property than " : "no property", known);
		return config_fail(fdt, node, name, text, error);
	}
	return 0;
}

static int expect_no_children(const void *fdt, int node, struct config_error *error)
{
	int child = fdt_first_subnode(fdt, node);

	return child < 0 ? 0 : config_fail(fdt, child, NULL, "no node here", error);
}

int config_expect_properties(const void *fdt, int node, const char *const *properties, struct config_error *error)
{
	const char *names[16] = {"compatible"};
	size_t count = 1;

	for (; *properties && count < ARRAY_SIZE(names) - 1; properties++)
		names[count++] = *properties;
	if (expect_properties(fdt, node, names, error))
		return -EINVAL;
	return expect_no_children(fdt, node, error);
}

static int check_leaf(struct reader *r, int node, const char *const *names)
{
	if (expect_properties(r->fdt, node, names, r->error))
		return -EINVAL;
	return expect_no_children(r->fdt, node, r->error);
}

static uint32_t cell_at(const void *cells, unsigned index)
{
	fdt32_t raw;

	memcpy(&raw, (const char *)cells + index * sizeof(raw), sizeof(raw));
	return fdt32_to_cpu(raw);
}

/* A property that is one string: the string if it is one, NULL if it is something else or absent. */
static const char *get_string(struct reader *r, int node, const char *name)
{
	int length;
	const char *text = fdt_getprop(r->fdt, node, name, &length);

	if (!text || memchr(text, 0, (size_t)length) != text + length - 1)
		return NULL;
	return text;
}

static bool has(struct reader *r, int node, const char *name)
{
	return fdt_getprop(r->fdt, node, name, NULL) != NULL;
}

/* A property that is one cell in a range, fallback if it is absent. */
static int get_u32(struct reader *r, int node, const char *name, uint32_t lowest, uint32_t highest,
		   const char *expected, uint32_t fallback, uint32_t *value)
{
	int length;
	const void *cells = fdt_getprop(r->fdt, node, name, &length);

	*value = fallback;
	if (!cells)
		return 0;
	if (length != sizeof(fdt32_t))
		return fail(r, node, name, expected);
	*value = cell_at(cells, 0);
	return *value >= lowest && *value <= highest ? 0 : fail(r, node, name, expected);
}

/* A property without a value: 1 if it is there. */
static int get_flag(struct reader *r, int node, const char *name, uint32_t *value)
{
	int length;

	*value = fdt_getprop(r->fdt, node, name, &length) != NULL;
	return *value && length ? fail(r, node, name, "no value: it is true when it is there") : 0;
}

static int check_cells(struct reader *r, int node, const char *name, uint32_t cells, const char *expected)
{
	uint32_t value;

	return get_u32(r, node, name, cells, cells, expected, cells, &value);
}

static int check_compatible(struct reader *r, int node, const char *compatible)
{
	char text[64];
	const char *found = get_string(r, node, "compatible");

	if (found && strcmp(found, compatible) == 0)
		return 0;
	format_string(text, sizeof(text), "\"%s\"", compatible);
	return fail(r, node, "compatible", text);
}

/* --- nodes ------------------------------------------------------------------------------------------------------ */

static int parse_guest(struct reader *r, int node)
{
	static const char *const names[] = {"compatible", "start", "disk", "present-as-first", NULL};
	static const char *const starts[] = {
		[GUEST_START_DISK] = "disk", [GUEST_START_INT18] = "int18", [GUEST_START_INT19] = "int19"};
	struct config *config = r->config;
	uint32_t disk, first;

	if (check_leaf(r, node, names))
		return -EINVAL;
	if (has(r, node, "start")) {
		const char *start = get_string(r, node, "start");
		uint32_t i = 0;

		while (i < ARRAY_SIZE(starts) && (!start || strcmp(start, starts[i]) != 0))
			i++;
		if (i == ARRAY_SIZE(starts))
			return fail(r, node, "start", "one of \"disk\", \"int18\", \"int19\"");
		config->start = i;
	}
	if (get_u32(r, node, "disk", DISK_FIRST, DISK_LAST, "one cell, the BIOS number of a hard disk: 0x80 to 0xff",
		    CONFIG_DISK_AUTO, &disk))
		return -EINVAL;
	config->disk = (uint8_t)disk;
	if (get_flag(r, node, "present-as-first", &first))
		return -EINVAL;
	config->present_as_first = (uint8_t)first;
	if (config->start != GUEST_START_DISK) {
		static const char only[] = "nothing, as only start = \"disk\" has a use for it";

		if (config->disk != CONFIG_DISK_AUTO)
			return fail(r, node, "disk", only);
		if (config->present_as_first)
			return fail(r, node, "present-as-first", only);
	}
	return 0;
}

static int parse_reserved_size(struct reader *r, int node)
{
	static const char expected[] = "bytes in one or two cells, 0x200000 (2 MiB) to 0x4000000 (64 MiB)";
	uint64_t size;
	int length;
	const void *cells;

	cells = fdt_getprop(r->fdt, node, "reserved-size", &length);
	if (!cells)
		return 0;
	if (length == sizeof(fdt32_t))
		size = cell_at(cells, 0);
	else if (length == sizeof(fdt64_t))
		size = (uint64_t)cell_at(cells, 0) << 32 | cell_at(cells, 1);
	else
		return fail(r, node, "reserved-size", expected);
	if (size < CONFIG_RESERVED_MIN || size > CONFIG_RESERVED_MAX)
		return fail(r, node, "reserved-size", expected);
	r->config->reserved_size = size;
	return 0;
}

static int parse_attach(struct reader *r, int node)
{
	static const char timeout[] = "start-stopped-timeout-ms";
	struct control_config *how = &r->config->control_how;

	if (get_flag(r, node, "start-stopped", &how->start_stopped))
		return -EINVAL;
	if (has(r, node, timeout) && !how->start_stopped)
		return fail(r, node, timeout, "nothing, as only start-stopped has a use for it");
	if (get_u32(r, node, timeout, 1, UINT32_MAX, "one cell, milliseconds, not 0", 0,
		    &how->start_stopped_timeout_ms))
		return -EINVAL;
	if (get_u32(r, node, "silence-timeout-ms", 1, UINT32_MAX, "one cell, milliseconds, not 0", 0,
		    &how->silence_timeout_ms))
		return -EINVAL;
	if (has(r, node, "attach")) {
		const char *attach = get_string(r, node, "attach");

		if (attach && strcmp(attach, "boot-only") == 0)
			how->attach = ATTACH_BOOT_ONLY;
		else if (!attach || strcmp(attach, "always") != 0)
			return fail(r, node, "attach", "one of \"always\", \"boot-only\"");
	}
	if (how->attach == ATTACH_BOOT_ONLY && !how->start_stopped)
		return fail(r, node, "attach", "start-stopped with \"boot-only\": nobody is waited for without it");
	return 0;
}

static int parse_hypervisor(struct reader *r, int node)
{
	static const char *const names[] = {"compatible",
					    "reserved-size",
					    "attach",
					    "start-stopped",
					    "start-stopped-timeout-ms",
					    "silence-timeout-ms",
					    NULL};

	if (check_leaf(r, node, names) || parse_reserved_size(r, node))
		return -EINVAL;
	return parse_attach(r, node);
}

/* Can the baud generator make this speed from its clock, near enough for the other end? */
static bool speed_fits(uint32_t clock_hz, uint32_t speed)
{
	uint64_t bit = (uint64_t)UART_SAMPLES * speed;
	uint64_t divisor = (clock_hz + bit / 2) / bit;
	uint64_t clocks = divisor * bit;
	uint64_t off = clocks > clock_hz ? clocks - clock_hz : clock_hz - clocks;

	return divisor >= 1 && divisor <= UART_DIVISOR_MAX && off * 100 <= (uint64_t)clock_hz * UART_ERROR_PERCENT;
}

/* Where an ISA bus has its registers. */
static int read_ports(struct reader *r, int node, struct frontend_config *uart)
{
	int length;
	const void *reg = fdt_getprop(r->fdt, node, "reg", &length);

	if (!reg || length != 3 * sizeof(fdt32_t) || cell_at(reg, 0) != ISA_SPACE_IO ||
	    cell_at(reg, 1) < ISA_PORT_LOWEST || cell_at(reg, 1) > ISA_PORT_HIGHEST ||
	    cell_at(reg, 1) % UART_PORTS != 0 || cell_at(reg, 2) != UART_PORTS)
		return fail(r, node, "reg", "<1 PORT 8>, PORT a multiple of 8 from 0x100 to 0xfff8");
	uart->address = cell_at(reg, 1);
	uart->length = UART_PORTS;
	uart->is_port = 1;
	uart->reg_width = 1;
	return 0;
}

/* How registers in memory are spread and accessed. Devicetree's binding "8250". */
static int read_spread(struct reader *r, int node, struct frontend_config *uart)
{
	static const char width_expected[] = "one cell, 1, 2 or 4, not more than 1 << reg-shift";
	uint32_t shift, width;

	if (get_u32(r, node, "reg-shift", 0, UART_REG_SHIFT_MAX, "one cell, 0 to 2", 0, &shift) ||
	    get_u32(r, node, "reg-io-width", 1, UART_REG_WIDTH_MAX, width_expected, 1, &width))
		return -EINVAL;
	if (width & (width - 1) || width > 1u << shift)
		return fail(r, node, "reg-io-width", width_expected);
	uart->length = UART_PORTS << shift;
	uart->reg_shift = (uint8_t)shift;
	uart->reg_width = (uint8_t)width;
	return 0;
}

/* Where a SoC bus has them. */
static int read_registers(struct reader *r, int node, struct frontend_config *uart)
{
	int length;
	const void *reg = fdt_getprop(r->fdt, node, "reg", &length);

	if (read_spread(r, node, uart))
		return -EINVAL;
	if (!reg || length != 3 * sizeof(fdt32_t) || cell_at(reg, 0) != 0 || cell_at(reg, 1) < SOC_ADDRESS_LOWEST ||
	    cell_at(reg, 1) % uart->length != 0 || cell_at(reg, 2) < uart->length)
		return fail(r, node, "reg",
			    "<0 ADDRESS SIZE>, ADDRESS a multiple of 8 << reg-shift from 0x100000, SIZE at least that");
	uart->address = cell_at(reg, 1);
	return 0;
}

/* Which function it is on the PCI bus; where that has its registers is the firmware's choice. */
static int read_function(struct reader *r, int node, struct frontend_config *uart)
{
	int length;
	const void *reg = fdt_getprop(r->fdt, node, "reg", &length);

	if (read_spread(r, node, uart))
		return -EINVAL;
	if (!reg || length != 5 * sizeof(fdt32_t) || cell_at(reg, 0) & ~PCI_FUNCTION_BITS || cell_at(reg, 1) ||
	    cell_at(reg, 2) || cell_at(reg, 3) || cell_at(reg, 4))
		return fail(r, node, "reg", "<(DEVICE << 11 | FUNCTION << 8) 0 0 0 0>, a function of bus 0");
	uart->pci = PCI_CONFIG_ENABLE | cell_at(reg, 0);
	return 0;
}

static int read_serial(struct reader *r, int node, struct frontend_config *uart)
{
	static const char *const isa_names[] = {"compatible", "reg", "clock-frequency", "current-speed", NULL};
	static const char *const soc_names[] = {"compatible",	"reg", "clock-frequency", "current-speed", "reg-shift",
						"reg-io-width", NULL};
	int bus = fdt_parent_offset(r->fdt, node), error;

	memset(uart, 0, sizeof(*uart));
	if (check_leaf(r, node, bus == r->isa ? isa_names : soc_names) ||
	    check_compatible(r, node, bus == r->pci ? PCI_COMPATIBLE : UART_COMPATIBLE))
		return -EINVAL;
	if (bus == r->isa)
		error = read_ports(r, node, uart);
	else if (bus == r->soc)
		error = read_registers(r, node, uart);
	else
		error = read_function(r, node, uart);
	if (error)
		return -EINVAL;
	if (get_u32(r, node, "clock-frequency", 1, UINT32_MAX, "one cell, Hz, not 0", UART_CLOCK_HZ, &uart->clock_hz) ||
	    get_u32(r, node, "current-speed", 1, UINT32_MAX, "one cell, bits per second, not 0", UART_SPEED,
		    &uart->speed))
		return -EINVAL;
	if (!speed_fits(uart->clock_hz, uart->speed))
		return fail(r, node, "current-speed",
			    "within 3 % of clock-frequency / (16 * a whole number from 1 to 65535)");
	if (fdt_get_path(r->fdt, node, uart->node, sizeof(uart->node)))
		return fail(r, node, NULL, "a path of less than 64 characters");
	make_printable(uart->node);
	format_string(uart->compatible, sizeof(uart->compatible), "%s", UART_COMPATIBLE);
	return 0;
}

static bool node_is_named(struct reader *r, int node, const char *name)
{
	int length;
	const char *found = fdt_get_name(r->fdt, node, &length);
	size_t base;

	if (!found || length < 0)
		return false;
	base = strlen(name);
	return (size_t)length >= base && memcmp(found, name, base) == 0 && (found[base] == 0 || found[base] == '@');
}

/* A bus with nothing but serial ports on it; each address is so many cells. */
static int parse_bus(struct reader *r, int node, uint32_t address_cells, const char *address, uint32_t size_cells,
		     const char *size)
{
	struct frontend_config uart;
	int child;

	if (!has(r, node, "#address-cells") || check_cells(r, node, "#address-cells", address_cells, address))
		return fail(r, node, "#address-cells", address);
	if (!has(r, node, "#size-cells") || check_cells(r, node, "#size-cells", size_cells, size))
		return fail(r, node, "#size-cells", size);
	fdt_for_each_subnode(child, r->fdt, node)
	{
		if (!node_is_named(r, child, "serial"))
			return fail(r, child, NULL, "only serial@ADDRESS nodes here");
		if (read_serial(r, child, &uart))
			return -EINVAL;
	}
	return 0;
}

static int parse_isa(struct reader *r, int node)
{
	static const char *const names[] = {"#address-cells", "#size-cells", NULL};

	r->isa = node;
	if (expect_properties(r->fdt, node, names, r->error))
		return -EINVAL;
	return parse_bus(r, node, ISA_ADDRESS_CELLS, "<2>: the space and the address", ISA_SIZE_CELLS, "<1>");
}

static int parse_soc(struct reader *r, int node)
{
	static const char *const names[] = {"compatible", "#address-cells", "#size-cells", "ranges", NULL};
	uint32_t ranges;

	r->soc = node;
	if (expect_properties(r->fdt, node, names, r->error) || get_flag(r, node, "ranges", &ranges))
		return -EINVAL;
	return parse_bus(r, node, SOC_ADDRESS_CELLS, "<2>: the two halves of the address", SOC_SIZE_CELLS, "<1>");
}

static int parse_pci(struct reader *r, int node)
{
	static const char *const names[] = {"#address-cells", "#size-cells", NULL};

	r->pci = node;
	if (expect_properties(r->fdt, node, names, r->error))
		return -EINVAL;
	return parse_bus(r, node, PCI_ADDRESS_CELLS, "<3>: as all PCI buses have it", PCI_SIZE_CELLS, "<2>");
}

static int parse_aliases(struct reader *r, int node)
{
	int property;

	r->aliases = node;
	if (expect_no_children(r->fdt, node, r->error))
		return -EINVAL;
	fdt_for_each_property_offset(property, r->fdt, node)
	{
		const char *name = NULL, *path;

		if (!fdt_getprop_by_offset(r->fdt, property, &name, NULL) || !name)
			return fail(r, node, NULL, "readable properties");
		path = get_string(r, node, name);
		if (!path || path[0] != '/' || fdt_path_offset(r->fdt, path) < 0)
			return fail(r, node, name, "the path of a node");
	}
	return 0;
}

static int parse_chosen(struct reader *r, int node)
{
	static const char *const names[] = {"undercroft,log", "undercroft,control", NULL};

	r->chosen = node;
	return check_leaf(r, node, names);
}

static const struct node_kind node_kinds[] = {
	{"aliases", NULL, parse_aliases},
	{"chosen", NULL, parse_chosen},
	{"guest", "undercroft,guest", parse_guest},
	{"hypervisor", "undercroft,hypervisor", parse_hypervisor},
	{"isa", NULL, parse_isa},
	{"pci", NULL, parse_pci},
	{"soc", "simple-bus", parse_soc},
};

/*
 * The node that a path or an alias leads to, negative if none. libfdt could resolve aliases itself, but follows one
 * that is no path to the next alias, and round in circles if told so; ours have been checked to be paths.
 */
static int find_node(struct reader *r, const char *path)
{
	if (path[0] != '/' && r->aliases >= 0)
		path = get_string(r, r->aliases, path);
	return path && path[0] == '/' ? fdt_path_offset(r->fdt, path) : -FDT_ERR_BADPATH;
}

/*
 * Finds the frontend that a property of /chosen gives a job. After all nodes have been checked, as it follows paths.
 * *named: the property is there. *enabled: it does not say "none".
 */
static int parse_role(struct reader *r, const char *property, struct frontend_config *frontend, uint8_t *named,
		      uint8_t *enabled)
{
	static const char expected[] = "\"none\", or the path or alias of a serial node in /isa, /soc or /pci";
	const char *who;
	int node, parent;

	if (r->chosen < 0 || !has(r, r->chosen, property))
		return 0;
	*named = 1;
	who = get_string(r, r->chosen, property);
	if (who && strcmp(who, "none") == 0) {
		*enabled = 0;
		memset(frontend, 0, sizeof(*frontend));
		return 0;
	}
	node = who ? find_node(r, who) : -1;
	parent = node < 0 ? -1 : fdt_parent_offset(r->fdt, node);
	if (parent < 0 || (parent != r->isa && parent != r->soc && parent != r->pci))
		return fail(r, r->chosen, property, expected);
	*enabled = 1;
	return read_serial(r, node, frontend);
}

/* The control link is where the log is, unless it is said. */
static int parse_roles(struct reader *r)
{
	struct config *config = r->config;
	uint8_t explicit = 0;

	if (parse_role(r, "undercroft,log", &config->log, &config->log_explicit, &config->log_enabled))
		return -EINVAL;
	config->control = config->log;
	config->control_enabled = config->log_enabled;
	if (parse_role(r, "undercroft,control", &config->control, &explicit, &config->control_enabled))
		return -EINVAL;
	if (config->control_how.start_stopped && !config->control_enabled)
		return fail(r, fdt_path_offset(r->fdt, "/hypervisor"), "start-stopped",
			    "a control link, by which the guest can be started");
	if (config->control_how.silence_timeout_ms && !config->control_enabled)
		return fail(r, fdt_path_offset(r->fdt, "/hypervisor"), "silence-timeout-ms",
			    "a control link, which could fall silent");
	return 0;
}

/* --- plugins ---------------------------------------------------------------------------------------------------- */

static bool takes_node(const struct plugin_setup *setup, const void *fdt, int node)
{
	return setup->compatible && fdt_node_check_compatible(fdt, node, setup->compatible) == 0;
}

static int plugin_fail(const struct plugin_setup *setup, const char *expected, struct config_error *error)
{
	char who[sizeof(error->node)];

	format_string(who, sizeof(who), "(plugin %s)", setup->name);
	error_set(error, who, NULL, expected);
	return -EINVAL;
}

/* node < 0: the blob has none for it. */
static int parse_plugin(struct reader *r, const struct plugin_setup *setup, int node)
{
	struct config *config = r->config;
	struct plugin_params *params = &config->plugin[config->plugin_count];

	if (config->plugin_count >= CONFIG_PLUGIN_MAX || setup->params_size > sizeof(params->data) ||
	    strlen(setup->name) >= sizeof(params->name))
		return plugin_fail(setup, "at most 8 plugins, each with at most 256 bytes of parameters", r->error);
	format_string(params->name, sizeof(params->name), "%s", setup->name);
	params->size = (uint32_t)setup->params_size;
	memset(r->error, 0, sizeof(*r->error));
	if (setup->parse && setup->parse(r->fdt, node, params->data, r->error)) {
		if (r->error->node[0])
			return -EINVAL;
		return node >= 0 ? fail(r, node, NULL, "what the plugin's documentation says")
				 : plugin_fail(setup, "a node, as it has no defaults", r->error);
	}
	config->plugin_count++;
	return 0;
}

static int parse_plugins(struct reader *r, const struct plugin_setup *const *setups, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int node = -1, child;

		if (r->fdt) {
			fdt_for_each_subnode(child, r->fdt, 0)
			{
				if (!takes_node(setups[i], r->fdt, child))
					continue;
				if (node >= 0)
					return fail(r, child, NULL, "only one node for this plugin");
				node = child;
			}
		}
		if (parse_plugin(r, setups[i], node))
			return -EINVAL;
	}
	return 0;
}

/* --- the tree --------------------------------------------------------------------------------------------------- */

/* Reads a top-level node if core knows it; -ENOENT if not. seen has a bit per kind. */
static int parse_known(struct reader *r, int node, unsigned *seen)
{
	int length;
	const char *name = fdt_get_name(r->fdt, node, &length);

	for (size_t i = 0; name && i < ARRAY_SIZE(node_kinds); i++) {
		const struct node_kind *kind = &node_kinds[i];

		if (strcmp(name, kind->name) != 0)
			continue;
		if (*seen & 1u << i)
			return fail(r, node, NULL, "only one node of this name");
		*seen |= 1u << i;
		if (kind->compatible && check_compatible(r, node, kind->compatible))
			return -EINVAL;
		return kind->parse(r, node);
	}
	return -ENOENT;
}

static int fail_unknown(struct reader *r, int node, const struct plugin_setup *const *setups, size_t count)
{
	char text[sizeof(r->error->expected)], known[96] = "", plugins[48] = "";

	for (size_t i = 0; i < ARRAY_SIZE(node_kinds); i++)
		list_append(known, sizeof(known), "", node_kinds[i].name);
	for (size_t i = 0; i < count; i++) {
		if (setups[i]->compatible)
			list_append(plugins, sizeof(plugins), "\"", setups[i]->compatible);
	}
	format_string(text, sizeof(text), "one of the nodes %s%s%s", known, plugins[0] ? ", or compatible = " : "",
		      plugins);
	return fail(r, node, NULL, text);
}

static int parse_tree(struct reader *r, const struct plugin_setup *const *setups, size_t count)
{
	static const char *const names[] = {"compatible", "model", "#address-cells", "#size-cells", NULL};
	unsigned seen = 0;
	int node;

	if (expect_properties(r->fdt, 0, names, r->error) || check_compatible(r, 0, "undercroft,config"))
		return -EINVAL;
	fdt_for_each_subnode(node, r->fdt, 0)
	{
		int error = parse_known(r, node, &seen);
		size_t i = 0;

		if (error == -EINVAL)
			return error;
		if (!error)
			continue;
		while (i < count && !takes_node(setups[i], r->fdt, node))
			i++;
		if (i == count)
			return fail_unknown(r, node, setups, count);
	}
	if (parse_roles(r))
		return -EINVAL;
	return parse_plugins(r, setups, count);
}

/* Is it a whole device tree that libfdt can walk without leaving it? */
static int check_blob(const void *fdt, size_t length, struct config_error *error)
{
	const char *expected = NULL;

	if ((uintptr_t)fdt % sizeof(fdt64_t) != 0)
		expected = "a blob at an address that is a multiple of 8";
	else if (length < sizeof(struct fdt_header) || fdt_magic(fdt) != FDT_MAGIC)
		expected = "a flattened device tree, as dtc makes it";
	else if (fdt_version(fdt) < 17)
		expected = "a flattened device tree of version 17 or later";
	else if (fdt_totalsize(fdt) > length)
		expected = "the whole device tree: it is cut short";
	else if (fdt_totalsize(fdt) > CONFIG_BLOB_MAX)
		expected = "a device tree of at most 64 KiB";
	else if (fdt_check_full(fdt, length))
		expected = "an undamaged flattened device tree";
	if (!expected)
		return 0;
	error_set(error, "(blob)", NULL, expected);
	return -EINVAL;
}

void config_defaults(struct config *config)
{
	memset(config, 0, sizeof(*config));
	config->start = GUEST_START_DISK;
	config->disk = CONFIG_DISK_AUTO;
	config->reserved_size = CONFIG_RESERVED_DEFAULT;
	config->log_enabled = 1;
	config->log = (struct frontend_config){
		.compatible = UART_COMPATIBLE,
		.node = "COM2",
		.address = UART_COM2,
		.length = UART_PORTS,
		.clock_hz = UART_CLOCK_HZ,
		.speed = UART_SPEED,
		.is_port = 1,
		.reg_width = 1,
	};
	config->control_enabled = 1;
	config->control = config->log;
}

int config_parse(const void *fdt, size_t length, const struct plugin_setup *const *setups, size_t count,
		 struct config *config, struct config_error *error)
{
	struct reader r = {.fdt = fdt,
			   .config = config,
			   .error = error,
			   .aliases = -1,
			   .chosen = -1,
			   .isa = -1,
			   .soc = -1,
			   .pci = -1};

	config_defaults(config);
	memset(error, 0, sizeof(*error));
	if (!fdt) {
		if (parse_plugins(&r, setups, count))
			goto out_defaults;
		return 0;
	}
	if (check_blob(fdt, length, error) || parse_tree(&r, setups, count))
		goto out_defaults;
	return 0;

out_defaults:
	config_defaults(config);
	return -EINVAL;
}
