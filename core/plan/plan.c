/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the vmm goes and which conventional memory is stolen for resident real-mode code. Decides only: nothing here
 * touches the machine, so it must not know how any of it is carried out.
 */
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/log.h>
#include <undercroft/plan.h>

#define WINDOW_ALIGN  MIB(2)
#define WINDOW_LOWEST MIB(16)
#define WINDOW_END    GIB(4)

/*
 * SeaBIOS hands option ROMs memory from the 16 MiB below the end of RAM and does not take it out of the memory map;
 * what it handed out (iPXE keeps its image there) lies at the lower end of these 16 MiB and below. A window is kept out
 * of this band if there is any other room.
 */
#define OPTION_ROM_BAND_START MIB(32)
#define OPTION_ROM_BAND_END   MIB(15)

/* With less conventional memory than this, boot loaders that load high in it do not work anyway. */
#define BASE_MEMORY_MIN_KIB 256u
#define BASE_MEMORY_MAX_KIB 640u

static const uint64_t low_size = KIB(PLAN_LOW_SIZE_KIB);

static uint64_t lower_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t higher_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The highest aligned room of size in the usable memory of [lowest, end): its start, or 0. *largest grows to the
 * largest room seen. */
static uint64_t find_room(const struct memory_map *map, uint64_t lowest, uint64_t end, uint64_t size, uint64_t *largest)
{
	for (uint32_t i = map->count; i-- > 0;) {
		const struct memory_range *range = &map->range[i];
		uint64_t start, stop;

		if (range->type != MEMORY_USABLE)
			continue;
		/* Ends are brought below WINDOW_END first, so that aligning up cannot wrap. */
		start = ALIGN_UP(lower_of(higher_of(range->base, lowest), end), WINDOW_ALIGN);
		stop = ALIGN_DOWN(lower_of(range->base + range->length, end), WINDOW_ALIGN);
		if (start >= stop)
			continue;
		*largest = higher_of(*largest, stop - start);
		if (stop - start >= size)
			return stop - size;
	}
	return 0;
}

/* Where usable memory below WINDOW_END ends, 0 if there is none. */
static uint64_t find_top(const struct memory_map *map)
{
	uint64_t top = 0;

	for (uint32_t i = 0; i < map->count; i++) {
		const struct memory_range *range = &map->range[i];

		if (range->type == MEMORY_USABLE && range->base < WINDOW_END)
			top = lower_of(range->base + range->length, WINDOW_END);
	}
	return top;
}

static int plan_window(struct plan *plan, const char **why)
{
	uint64_t size, top, start = 0, largest = 0;

	if (plan->config->reserved_size == 0 || plan->config->reserved_size > CONFIG_RESERVED_MAX) {
		format_string(plan->message, sizeof(plan->message),
			      "the configuration reserves %llu bytes; 1 byte to %llu MiB can be reserved",
			      (unsigned long long)plan->config->reserved_size,
			      (unsigned long long)(CONFIG_RESERVED_MAX >> 20));
		*why = plan->message;
		return -EINVAL;
	}
	size = ALIGN_UP(plan->config->reserved_size, WINDOW_ALIGN);

	top = find_top(&plan->guest_memory);
	if (top > OPTION_ROM_BAND_START) {
		start = find_room(&plan->guest_memory, higher_of(top - OPTION_ROM_BAND_END, WINDOW_LOWEST), WINDOW_END,
				  size, &largest);
		if (!start)
			start = find_room(&plan->guest_memory, WINDOW_LOWEST, top - OPTION_ROM_BAND_START, size,
					  &largest);
	}
	if (!start)
		start = find_room(&plan->guest_memory, WINDOW_LOWEST, WINDOW_END, size, &largest);
	if (!start) {
		format_string(plan->message, sizeof(plan->message),
			      "needs %llu MiB of usable memory in one piece between 16 MiB and 4 GiB, the firmware "
			      "reports at most %llu MiB there",
			      (unsigned long long)(size >> 20), (unsigned long long)(largest >> 20));
		*why = plan->message;
		return -ENOMEM;
	}
	plan->window = start;
	plan->window_size = size;
	return 0;
}

/*
 * The stolen piece ends where conventional memory ends by both the BIOS data area and the memory map: what lies above
 * is the extended BIOS data area, which the firmware goes on using. Whole KiB, because int 12h counts in them.
 */
static int plan_low(struct plan *plan, const char **why)
{
	unsigned reported = plan->machine->bios_base_memory_kib;
	uint64_t limit = KIB(lower_of(reported, BASE_MEMORY_MAX_KIB)), start = 0;

	for (uint32_t i = 0; i < plan->guest_memory.count; i++) {
		const struct memory_range *range = &plan->guest_memory.range[i];
		uint64_t end = ALIGN_DOWN(lower_of(range->base + range->length, limit), KIB(1));

		if (range->type == MEMORY_USABLE && end >= low_size && end - low_size >= range->base)
			start = end - low_size;
	}
	if (start + low_size < KIB(BASE_MEMORY_MIN_KIB)) {
		format_string(plan->message, sizeof(plan->message),
			      "needs %u KiB of conventional memory, the firmware reports %u KiB in the BIOS data area "
			      "and %llu KiB in the memory map",
			      BASE_MEMORY_MIN_KIB, reported,
			      (unsigned long long)(start ? (start + low_size) >> 10 : 0));
		*why = plan->message;
		return -ENOMEM;
	}
	plan->low_segment = (uint16_t)(start >> 4);
	return 0;
}

int plan_make(struct plan *plan, const struct machine *machine, const struct config *config, const char **why)
{
	int error;

	memset(plan, 0, sizeof(*plan));
	plan->machine = machine;
	plan->config = config;
	if (memory_map_normalise(&machine->memory, &plan->guest_memory))
		goto too_many;
	error = plan_window(plan, why);
	if (!error)
		error = plan_low(plan, why);
	if (error)
		return error;
	if (memory_map_mark(&plan->guest_memory, plan->window, plan->window_size, MEMORY_RESERVED) ||
	    memory_map_mark(&plan->guest_memory, (uint64_t)plan->low_segment << 4, low_size, MEMORY_RESERVED))
		goto too_many;
	return 0;

too_many:
	format_string(plan->message, sizeof(plan->message),
		      "the firmware's memory map is too fragmented: more than %u ranges", MACHINE_MEMORY_MAX);
	*why = plan->message;
	return -EINVAL;
}

int plan_low_alloc(struct plan *plan, size_t size, size_t align)
{
	size_t offset = (size_t)ALIGN_UP(plan->low_used, align);

	if (align > low_size || offset > low_size || size > low_size - offset)
		return -ENOSPC;
	plan->low_used = (uint16_t)(offset + size);
	return (int)offset;
}

int plan_vector_hook(struct plan *plan, uint8_t vector, uint16_t handler, uint16_t old_vector)
{
	if (handler >= plan->low_used || old_vector + 4u > plan->low_used)
		return -EINVAL;
	for (uint32_t i = 0; i < plan->vector_count; i++) {
		if (plan->vector[i].vector == vector)
			return -EEXIST;
	}
	if (plan->vector_count >= ARRAY_SIZE(plan->vector))
		return -ENOSPC;
	plan->vector[plan->vector_count].vector = vector;
	plan->vector[plan->vector_count].offset = handler;
	plan->vector[plan->vector_count].old_vector = old_vector;
	plan->vector_count++;
	return 0;
}

int plan_guest_call(struct plan *plan, uint16_t offset, const char *plugin)
{
	size_t length = strlen(plugin);
	char *name;

	if (offset >= plan->low_used || length >= sizeof(plan->guest_call_plugin[0]))
		return -EINVAL;
	if (plan->guest_call_count >= VM_GUEST_CALL_MAX)
		return -ENOSPC;
	plan->guest_call[plan->guest_call_count] = ((uint64_t)plan->low_segment << 4) + offset;
	name = plan->guest_call_plugin[plan->guest_call_count++];
	memcpy(name, plugin, length + 1);
	return 0;
}
