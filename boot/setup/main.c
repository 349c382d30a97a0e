/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The setup tier: discovers, decides, builds, enters the vmm. Until place_and_enter() nothing on the machine is
 * changed, so that any failure can end in the next disk's own boot without Undercroft.
 */
#include <string.h>

#include <platform/registers.h>
#include <undercroft/errno.h>
#include <undercroft/platform.h>
#include <undercroft/plugin.h>
#include <undercroft/quirk.h>
#include <undercroft/region.h>
#include <undercroft/version.h>

#include "boot/metal/cpu.h"
#include "boot/metal/realmode.h"
#include "boot/setup/inside.h"
#include "boot/setup/multiboot.h"
#include "boot/setup/setup.h"
#include "boot/setup/start.h"

/* Where the start stub lies when there is no VM: free after boot loaders, clear of boot records and their stacks. */
#define NATIVE_START 0x8000

#define BDA_CHARACTER_HEIGHT 0x485
#define VECTOR_FONT	     (0x43 * 4)

extern const struct backend_probe *const __start_backend_probes[], *const __stop_backend_probes[];
extern const struct frontend_ops *const __start_frontends[], *const __stop_frontends[];
extern const struct plugin_setup *const __start_plugin_setups[], *const __stop_plugin_setups[];

static struct setup setup;

/* Registers that are memory after all: what asks a device whether it is there would change it. */
static bool is_ram(const struct frontend_config *config)
{
	for (uint32_t i = 0; i < setup.machine.memory.count; i++) {
		const struct memory_range *range = &setup.machine.memory.range[i];

		if (range->type == MEMORY_USABLE && config->address < range->base + range->length &&
		    range->base < config->address + config->length)
			return true;
	}
	return false;
}

/* Where a PCI function's configuration space lies in memory; 0: nowhere. */
static uint64_t config_page(uint32_t function)
{
	struct firmware_memory memory = {.read = firmware_memory_read};
	paddr_t table;
	uint32_t length;

	if (!setup.machine.acpi_rsdp || firmware_find_table(&memory, setup.machine.acpi_rsdp, "MCFG", &table, &length))
		return 0;
	return mcfg_config_page((const void *)(uintptr_t)table, length, function);
}

/* Opens a frontend, or finds the open one, for a role. NULL: there is no such device. */
static struct frontend *frontend_open(const struct frontend_config *config, uint32_t role)
{
	struct setup_frontend *place = &setup.frontend[setup.frontend_count];
	struct frontend *frontend = (void *)place->memory;
	const struct frontend_ops *ops;

	for (unsigned i = 0; i < setup.frontend_count; i++) {
		struct frontend *open = (void *)setup.frontend[i].memory;

		if (config->pci ? open->config.pci == config->pci
				: open->config.address == config->address && open->config.is_port == config->is_port) {
			setup.frontend[i].roles |= role;
			return open;
		}
	}
	if (setup.frontend_count == ARRAY_SIZE(setup.frontend) || (!config->pci && !config->is_port && is_ram(config)))
		return NULL;
	ops = frontend_find(__start_frontends, (size_t)(__stop_frontends - __start_frontends), config->compatible,
			    sizeof(place->memory));
	if (!ops)
		return NULL;
	*frontend = (struct frontend){.ops = ops, .platform = &setup.metal.platform, .config = *config};
	if (config->pci)
		frontend->config.config_page = config_page(config->pci);
	if (ops->probe(frontend) || ops->open(frontend))
		return NULL;
	place->roles = role;
	setup.frontend_count++;
	return frontend;
}

/* Opens the log frontend and sends it what was said until now. 0 or -ENODEV. */
static int log_frontend_open(const struct frontend_config *config)
{
	struct frontend *frontend = frontend_open(config, FRONTEND_ROLE_LOG);

	if (!frontend)
		return -ENODEV;
	frontend_sink_init(&setup.log_sink, frontend);
	setup.log_sink.sink.write(&setup.log_sink.sink, setup.ring,
				  setup.log.written < sizeof(setup.ring) ? (size_t)setup.log.written
									 : sizeof(setup.ring));
	return log_sink_add(&setup.log, &setup.log_sink.sink);
}

/* Gives up: says why and what to do, and boots the next disk as if Undercroft were not there. */
static _Noreturn void boot_without(const char *why, const char *cure)
{
	const struct start_request request = {
		.start = GUEST_START_DISK,
		.boot_disk = setup.machine.version ? setup.machine.boot_disk : 0x80,
		.native = true,
	};

	if (!setup.log_sink.frontend) {
		config_defaults(&setup.config);
		log_frontend_open(&setup.config.log);
	}
	setup.log_sink.patience_us = FRONTEND_LAST_WORDS_US;
	log_printf(&setup.log, "undercroft: cannot start: %s\n", why);
	if (cure)
		log_printf(&setup.log, "undercroft: %s\n", cure);
	log_printf(&setup.log, "undercroft: starting the next disk without Undercroft\n");
	if (setup.log_sink.frontend)
		setup.log_sink.frontend->ops->flush(setup.log_sink.frontend);
	screen_leave(&setup.screen);
	start_write((void *)NATIVE_START, &request);
	realmode_jump(NATIVE_START >> 4, 0);
}

/* There is no guest yet to give it to. */
bool trap_take(const struct trap_frame *frame)
{
	(void)frame;
	return false;
}

void trap_report(const struct trap_frame *frame)
{
	log_printf(&setup.log,
		   "undercroft: setup failed: exception %llu error %llx at %llx, cr2 %llx, rax %llx rdx %llx rsp %llx. "
		   "Stopped.\n",
		   (unsigned long long)frame->vector, (unsigned long long)frame->error, (unsigned long long)frame->rip,
		   (unsigned long long)cpu_cr_get(2), (unsigned long long)frame->rax, (unsigned long long)frame->rdx,
		   (unsigned long long)frame->rsp);
	cpu_halt();
}

/* libfdt's packaged archive is built with stack protection; its canary is whatever lies at 28h. */
_Noreturn void __stack_chk_fail(void);
_Noreturn void __stack_chk_fail(void)
{
	log_printf(&setup.log,
		   "undercroft: setup failed: a stack overflow while reading the configuration. Stopped.\n");
	cpu_halt();
}

/* The configuration is the first module; copied, so that it may lie anywhere. */
static const char *blob_take(const struct multiboot_info *info)
{
	struct multiboot_module module;

	if (!(info->flags & MULTIBOOT_INFO_MODULES) || !info->mods_count)
		return NULL;
	memcpy(&module, (const void *)(uintptr_t)info->mods_addr, sizeof(module));
	if (module.end <= module.start || module.end - module.start > sizeof(setup.blob))
		return "The configuration (the boot loader's first module) is empty or larger than 64 KiB.";
	setup.blob_length = module.end - module.start;
	memcpy(setup.blob, (const void *)(uintptr_t)module.start, setup.blob_length);
	return NULL;
}

static void step_configuration(const struct multiboot_info *info)
{
	static char line[sizeof(struct config_error) + 64];
	struct config_error error;
	const char *why = blob_take(info);

	if (why)
		boot_without(why, "Check the \"module\" line of the boot loader's menu.");
	if (config_parse(setup.blob_length ? setup.blob : NULL, setup.blob_length, __start_plugin_setups,
			 (size_t)(__stop_plugin_setups - __start_plugin_setups), &setup.config, &error)) {
		config_error_format(&error, line, sizeof(line));
		log_printf(&setup.log, "undercroft: configuration: %s\n", line);
		boot_without("The configuration is wrong.", NULL);
	}
	log_printf(&setup.log, "setup: configuration: %s\n",
		   setup.blob_length ? "undercroft.dtb" : "none, defaults are used");
}

static void say_where(const char *what, const struct frontend *frontend)
{
	log_printf(&setup.log, "setup: %s on %s at %s %llx\n", what, frontend->ops->name,
		   frontend->config.is_port ? "port" : "memory", (unsigned long long)frontend->config.address);
}

static void step_log(void)
{
	if (!setup.config.log_enabled)
		return;
	if (!log_frontend_open(&setup.config.log)) {
		say_where("log", setup.log_sink.frontend);
	} else if (setup.config.log_explicit) {
		log_printf(&setup.log,
			   "setup: %s: no such device; the log stays on the screen until the guest starts\n",
			   setup.config.log.node);
	} else {
		log_printf(&setup.log, "setup: no COM2; the log stays on the screen until the guest starts\n");
	}
}

static void step_control(void)
{
	const struct frontend *frontend;

	if (!setup.config.control_enabled)
		return;
	frontend = frontend_open(&setup.config.control, FRONTEND_ROLE_CONTROL);
	if (frontend)
		say_where("control", frontend);
	else
		log_printf(&setup.log, "setup: %s: no such device; no client can attach%s\n", setup.config.control.node,
			   setup.config.control_how.start_stopped ? ", the guest is not stopped at its start" : "");
}

static void step_machine(const struct multiboot_info *info)
{
	const char *why;
	uint64_t usable = 0;

	if (machine_discover(&setup, info, &why))
		boot_without(why, NULL);
	for (uint32_t i = 0; i < setup.machine.memory.count; i++) {
		if (setup.machine.memory.range[i].type == MEMORY_USABLE)
			usable += setup.machine.memory.range[i].length;
	}
	log_printf(&setup.log, "setup: machine: %llu MiB, %u CPU%s at %u MHz, %u disk%s, boot disk %02x\n",
		   (unsigned long long)(usable >> 20), setup.machine.cpu_count, setup.machine.cpu_count > 1 ? "s" : "",
		   setup.machine.tsc_mhz, setup.machine.disk_count, setup.machine.disk_count == 1 ? "" : "s",
		   setup.machine.boot_disk);
	for (unsigned bit = 0; bit < QUIRK_COUNT; bit++) {
		if (setup.machine.quirks >> bit & 1)
			log_printf(&setup.log, "setup: emulator quirk: %s\n", quirk_name(bit));
	}
}

static void step_backend(void)
{
	const char *why =
		"This CPU has neither AMD SVM (AMD-V) nor Intel VMX (VT-x), or this build has no backend for it.";
	const char *cure = "If its data sheet lists one of them, turn it on in the BIOS setup.";

	for (const struct backend_probe *const *probe = __start_backend_probes; probe < __stop_backend_probes;
	     probe++) {
		int error = (*probe)->supported(&setup.metal.platform, &why, &cure);

		if (!error) {
			setup.backend = *probe;
			log_printf(&setup.log, "setup: backend: %s\n", setup.backend->name);
			return;
		}
		if (error != -ENOTSUP)
			break;
	}
	boot_without(why, cure);
}

static void step_plan(void)
{
	struct plan *plan = &setup.plan;
	const char *why;
	int offset;

	if (plan_make(plan, &setup.machine, &setup.config, &why))
		boot_without(why, NULL);
	offset = plan_low_alloc(plan, sizeof(INSIDE_SIGNATURE), START_ALIGN);
	if (offset)
		boot_without("The resident low memory does not begin with its signature.", NULL);
	memcpy(plan->low_image, INSIDE_SIGNATURE, sizeof(INSIDE_SIGNATURE));
	if (start_plant(plan, false, &setup.entry_offset, &why))
		boot_without(why, NULL);
	for (const struct plugin_setup *const *plugin = __start_plugin_setups; plugin < __stop_plugin_setups;
	     plugin++) {
		const void *params = NULL;

		for (uint32_t i = 0; i < setup.config.plugin_count; i++) {
			if (strcmp(setup.config.plugin[i].name, (*plugin)->name) == 0)
				params = setup.config.plugin[i].data;
		}
		if ((*plugin)->prepare && (*plugin)->prepare(plan, params, &why))
			boot_without(why, NULL);
		log_printf(&setup.log, "setup: plugin: %s\n", (*plugin)->name);
	}
}

/* The screen as the boot loader left it. In a graphics mode the BIOS says where the font is that it writes with. */
static void screen_open(const struct multiboot_info *info)
{
	struct framebuffer framebuffer;

	if (!framebuffer_read(info, &framebuffer)) {
		screen_font_read(setup.font);
		setup.has_font = true;
	} else if (*(const uint8_t *)BDA_CHARACTER_HEIGHT == SCREEN_FONT_HEIGHT) {
		uint16_t vector[2];

		memcpy(vector, (const void *)VECTOR_FONT, sizeof(vector));
		memcpy(setup.font, (const void *)(uintptr_t)((uint32_t)vector[1] * 16u + vector[0]),
		       sizeof(setup.font));
		setup.has_font = true;
	}
	if (!setup.has_font)
		return;
	screen_init(&setup.screen, &framebuffer, setup.font);
	log_sink_add(&setup.log, &setup.screen.sink);
}

void setup_main(const struct multiboot_info *info)
{
	const char *why;

	metal_init(&setup.metal, 0, GIB(4));
	traps_init(setup.idt);
	setup.log.ring = setup.ring;
	setup.log.ring_size = sizeof(setup.ring);
	screen_open(info);
	log_printf(&setup.log, "Undercroft " UNDERCROFT_VERSION ": setup\n");

	step_machine(info);
	if (inside_itself()) {
		why = "Undercroft runs already: this is its virtual machine.";
		inside_say(why);
		boot_without(why, NULL);
	}
	step_configuration(info);
	step_log();
	step_control();
	step_backend();
	step_plan();
	if (setup.machine.iommu_count == 0)
		log_printf(&setup.log, "setup: DMA: devices can reach hidden memory; this machine shows no IOMMU\n");
	else
		log_printf(&setup.log, "setup: DMA: devices can reach hidden memory; the IOMMU is not used\n");
	if (place_and_enter(&setup, &why))
		boot_without(why, NULL);
	boot_without("The vmm came back.", NULL);
}
