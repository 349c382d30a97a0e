/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer target: any bytes as a configuration blob. The blob ends where an unmapped page begins, because libfdt is
 * not instrumented and would not be caught otherwise.
 */
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <undercroft/config.h>
#include <undercroft/plugin.h>

#define ARENA_SIZE (KIB(128))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int plugin_parse(const void *fdt, int node, void *params, struct config_error *error)
{
	static const char *const names[] = {"value", NULL};

	memset(params, 1, sizeof(uint32_t));
	return node < 0 ? 0 : config_expect_properties(fdt, node, names, error);
}

static const struct plugin_setup plugin = {
	.name = "smap", .compatible = "undercroft,smap", .params_size = sizeof(uint32_t), .parse = plugin_parse};
static const struct plugin_setup *const plugins[] = {&plugin};

static void check_text(const char *text, size_t size)
{
	if (!memchr(text, 0, size))
		abort();
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7e)
			abort();
	}
}

static void check_frontend(const struct frontend_config *frontend)
{
	if (!frontend->clock_hz || !frontend->speed ||
	    (frontend->length != 8 && (frontend->is_port || frontend->length % 8)) || frontend->reg_width - 1u > 3 ||
	    frontend->reg_shift > 2 || !frontend->length)
		abort();
	check_text(frontend->node, sizeof(frontend->node));
}

static void check_good(const struct config *config)
{
	if (config->start > GUEST_START_INT19 || (config->disk && config->disk < 0x80) ||
	    config->reserved_size < CONFIG_RESERVED_MIN || config->reserved_size > CONFIG_RESERVED_MAX ||
	    config->plugin_count != ARRAY_SIZE(plugins))
		abort();
	if (config->log_enabled)
		check_frontend(&config->log);
	if (config->control_enabled)
		check_frontend(&config->control);
	if (config->control_how.attach > ATTACH_BOOT_ONLY || config->control_how.start_stopped > 1)
		abort();
	if (config->control_how.start_stopped
		    ? !config->control_enabled
		    : config->control_how.attach == ATTACH_BOOT_ONLY || config->control_how.start_stopped_timeout_ms)
		abort();
}

static void check_bad(const struct config_error *error)
{
	char text[400];

	check_text(error->node, sizeof(error->node));
	check_text(error->property, sizeof(error->property));
	check_text(error->expected, sizeof(error->expected));
	if (!error->node[0] || !error->expected[0])
		abort();
	config_error_format(error, text, sizeof(text));
	check_text(text, sizeof(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *end;
	struct config config;
	struct config_error error;
	char *blob;

	if (!end) {
		char *arena =
			mmap(NULL, ARENA_SIZE + PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (arena == MAP_FAILED || mprotect(arena + ARENA_SIZE, PAGE_SIZE, PROT_NONE))
			abort();
		end = arena + ARENA_SIZE;
	}
	if (size > ARENA_SIZE)
		return 0;
	blob = end - ALIGN_UP(size, sizeof(fdt64_t));
	memcpy(blob, data, size);
	if (config_parse(blob, size, plugins, ARRAY_SIZE(plugins), &config, &error))
		check_bad(&error);
	else
		check_good(&config);
	return 0;
}
