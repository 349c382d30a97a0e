/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simulated machine. Must not know any test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <undercroft/errno.h>

#include "tests/fakes/fake_platform.h"

static void __attribute__((noreturn)) misused(const char *why)
{
	fprintf(stderr, "fake platform: %s\n", why);
	abort();
}

static struct fake_platform *fake_of(struct platform *platform)
{
	return CONTAINER_OF(platform, struct fake_platform, platform);
}

static uint64_t cut(uint64_t value, unsigned size)
{
	return size == 8 ? value : value & ((1ull << (8 * size)) - 1);
}

static void record(struct fake_platform *fake, enum fake_access_kind kind, uint64_t address, unsigned size,
		   uint64_t value, bool faulted)
{
	fake->clock_us++;
	if (fake->access_count < FAKE_ACCESS_MAX)
		fake->access[fake->access_count] = (struct fake_access){
			.kind = kind, .address = address, .size = size, .value = value, .faulted = faulted};
	fake->access_count++;
}

static uint8_t *memory_find(struct fake_platform *fake, paddr_t address, size_t length)
{
	for (unsigned i = 0; i < fake->memory_count; i++) {
		struct fake_memory *m = &fake->memory[i];

		if (address >= m->start && address - m->start < m->size && length <= m->size - (address - m->start))
			return m->bytes + (address - m->start);
	}
	return NULL;
}

static const struct fake_handler *handler_find(const struct fake_handler *handlers, unsigned count, uint64_t address)
{
	for (unsigned i = 0; i < count; i++) {
		if (address >= handlers[i].first && address - handlers[i].first < handlers[i].count)
			return &handlers[i];
	}
	return NULL;
}

static void *fake_phys_map(struct platform *platform, paddr_t address, size_t length)
{
	if (length == 0)
		misused("phys_map of nothing");
	return memory_find(fake_of(platform), address, length);
}

static uint32_t fake_port_in(struct platform *platform, uint16_t port, unsigned size)
{
	struct fake_platform *fake = fake_of(platform);
	const struct fake_handler *h = handler_find(fake->port, fake->port_count, port);
	uint64_t value = ~0ull;

	if (size != 1 && size != 2 && size != 4)
		misused("port_in of an impossible size");
	if (h != NULL && h->read != NULL)
		value = h->read(h->context, port, size);
	value = cut(value, size);
	record(fake, FAKE_PORT_IN, port, size, value, false);
	return (uint32_t)value;
}

static void fake_port_out(struct platform *platform, uint16_t port, unsigned size, uint32_t value)
{
	struct fake_platform *fake = fake_of(platform);
	const struct fake_handler *h = handler_find(fake->port, fake->port_count, port);

	if (size != 1 && size != 2 && size != 4)
		misused("port_out of an impossible size");
	record(fake, FAKE_PORT_OUT, port, size, cut(value, size), false);
	if (h != NULL && h->write != NULL)
		h->write(h->context, port, size, cut(value, size));
}

static void mmio_check(paddr_t address, unsigned size)
{
	if ((size != 1 && size != 2 && size != 4 && size != 8) || (address & (size - 1)) != 0)
		misused("device memory access of an impossible size or alignment");
}

static uint64_t fake_mmio_read(struct platform *platform, paddr_t address, unsigned size)
{
	struct fake_platform *fake = fake_of(platform);
	const struct fake_handler *h = handler_find(fake->mmio, fake->mmio_count, address);
	const uint8_t *memory = memory_find(fake, address, size);
	uint64_t value = ~0ull;

	mmio_check(address, size);
	if (h != NULL && h->read != NULL)
		value = h->read(h->context, address, size);
	else if (h == NULL && memory != NULL)
		memcpy(&value, memory, size);
	value = cut(value, size);
	record(fake, FAKE_MMIO_READ, address, size, value, false);
	return value;
}

static void fake_mmio_write(struct platform *platform, paddr_t address, unsigned size, uint64_t value)
{
	struct fake_platform *fake = fake_of(platform);
	const struct fake_handler *h = handler_find(fake->mmio, fake->mmio_count, address);
	uint8_t *memory = memory_find(fake, address, size);

	mmio_check(address, size);
	record(fake, FAKE_MMIO_WRITE, address, size, cut(value, size), false);
	if (h != NULL && h->write != NULL)
		h->write(h->context, address, size, cut(value, size));
	else if (h == NULL && memory != NULL)
		memcpy(memory, &value, size);
}

static struct fake_msr *msr_find(struct fake_platform *fake, uint32_t index)
{
	for (unsigned i = 0; i < fake->msr_count; i++) {
		if (fake->msr[i].index == index)
			return &fake->msr[i];
	}
	return NULL;
}

static int fake_msr_read(struct platform *platform, uint32_t index, uint64_t *value)
{
	struct fake_platform *fake = fake_of(platform);
	const struct fake_msr *msr = msr_find(fake, index);

	*value = msr != NULL ? msr->value : 0;
	record(fake, FAKE_MSR_READ, index, 8, *value, msr == NULL);
	return msr != NULL ? 0 : -EFAULT;
}

static int fake_msr_write(struct platform *platform, uint32_t index, uint64_t value)
{
	struct fake_platform *fake = fake_of(platform);
	struct fake_msr *msr = msr_find(fake, index);
	bool fault = msr == NULL || msr->read_only;

	record(fake, FAKE_MSR_WRITE, index, 8, value, fault);
	if (fault)
		return -EFAULT;
	msr->value = value;
	return 0;
}

static int fake_memory_type_write(struct platform *platform, uint32_t index, uint64_t value)
{
	fake_of(platform)->memory_type_writes++;
	fake_of(platform)->cache_flushes += 2;
	return fake_msr_write(platform, index, value);
}

static struct fake_cpuid *cpuid_find(struct fake_platform *fake, uint32_t leaf, uint32_t subleaf)
{
	for (unsigned i = 0; i < fake->cpuid_count; i++) {
		if (fake->cpuid[i].leaf == leaf && fake->cpuid[i].subleaf == subleaf)
			return &fake->cpuid[i];
	}
	return NULL;
}

static int fake_xcr_read(struct platform *platform, uint32_t index, uint64_t *value)
{
	*value = index == 0 ? fake_of(platform)->xcr0 : 0;
	return index == 0 ? 0 : -EFAULT;
}

static int fake_xcr_write(struct platform *platform, uint32_t index, uint64_t value)
{
	struct fake_platform *fake = fake_of(platform);

	if (index != 0 || fake->xcr_fault)
		return -EFAULT;
	fake->xcr0 = value;
	return 0;
}

static void fake_cpuid(struct platform *platform, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
	struct fake_platform *fake = fake_of(platform);
	const struct fake_cpuid *found = cpuid_find(fake, leaf, subleaf);

	if (found == NULL)
		found = cpuid_find(fake, leaf, FAKE_CPUID_ANY_SUBLEAF);
	*out = found != NULL ? found->regs : (struct cpuid_regs){0};
}

static void fake_fpu_save(struct platform *platform, void *image)
{
	memcpy(image, fake_of(platform)->fpu, PLATFORM_FPU_IMAGE);
}

static void fake_fpu_load(struct platform *platform, const void *image)
{
	memcpy(fake_of(platform)->fpu, image, PLATFORM_FPU_IMAGE);
}

static void fake_cache_flush(struct platform *platform)
{
	fake_of(platform)->cache_flushes++;
}

static uint64_t fake_now_us(struct platform *platform)
{
	struct fake_platform *fake = fake_of(platform);
	uint64_t now = fake->clock_us;

	fake->clock_us += fake->clock_step_us;
	return now;
}

static void fake_halt(struct platform *platform)
{
	struct fake_platform *fake = fake_of(platform);

	fake->halts++;
	if (fake->escape != NULL)
		longjmp(*fake->escape, 1);
}

static void fake_reset(struct platform *platform)
{
	struct fake_platform *fake = fake_of(platform);

	fake->resets++;
	if (fake->escape != NULL)
		longjmp(*fake->escape, 1);
}

static const struct platform_ops fake_platform_ops = {
	.phys_map = fake_phys_map,
	.port_in = fake_port_in,
	.port_out = fake_port_out,
	.mmio_read = fake_mmio_read,
	.mmio_write = fake_mmio_write,
	.msr_read = fake_msr_read,
	.msr_write = fake_msr_write,
	.xcr_read = fake_xcr_read,
	.xcr_write = fake_xcr_write,
	.memory_type_write = fake_memory_type_write,
	.cpuid = fake_cpuid,
	.fpu_save = fake_fpu_save,
	.fpu_load = fake_fpu_load,
	.cache_flush = fake_cache_flush,
	.now_us = fake_now_us,
	.halt = fake_halt,
	.reset = fake_reset,
};

void fake_platform_init(struct fake_platform *fake, uint64_t memory_size)
{
	memset(fake, 0, sizeof(*fake));
	fake->platform.ops = &fake_platform_ops;
	fake->clock_step_us = 1;
	if (memory_size != 0)
		fake_memory_add(fake, 0, memory_size);
}

void fake_platform_free(struct fake_platform *fake)
{
	for (unsigned i = 0; i < fake->memory_count; i++)
		free(fake->memory[i].bytes);
	fake->memory_count = 0;
}

void fake_memory_add(struct fake_platform *fake, paddr_t start, uint64_t size)
{
	struct fake_memory *m = &fake->memory[fake->memory_count];

	if (fake->memory_count == FAKE_MEMORY_MAX)
		misused("too many memory ranges");
	m->start = start;
	m->size = size;
	m->bytes = calloc(1, size);
	if (m->bytes == NULL)
		misused("no memory for the simulated memory");
	fake->memory_count++;
}

void *fake_memory_at(struct fake_platform *fake, paddr_t address, size_t length)
{
	void *bytes = memory_find(fake, address, length);

	if (bytes == NULL)
		misused("a test looks at memory that is not there");
	return bytes;
}

void fake_port_add(struct fake_platform *fake, uint16_t first, unsigned count, fake_read_fn read, fake_write_fn write,
		   void *context)
{
	if (fake->port_count == FAKE_HANDLER_MAX)
		misused("too many port handlers");
	fake->port[fake->port_count++] = (struct fake_handler){first, count, read, write, context};
}

void fake_mmio_add(struct fake_platform *fake, paddr_t first, uint64_t count, fake_read_fn read, fake_write_fn write,
		   void *context)
{
	if (fake->mmio_count == FAKE_HANDLER_MAX)
		misused("too many device memory handlers");
	fake->mmio[fake->mmio_count++] = (struct fake_handler){first, count, read, write, context};
}

static void msr_put(struct fake_platform *fake, uint32_t index, uint64_t value, bool read_only)
{
	struct fake_msr *msr = msr_find(fake, index);

	if (msr == NULL) {
		if (fake->msr_count == FAKE_MSR_MAX)
			misused("too many MSRs");
		msr = &fake->msr[fake->msr_count++];
	}
	*msr = (struct fake_msr){index, value, read_only};
}

void fake_msr_set(struct fake_platform *fake, uint32_t index, uint64_t value)
{
	msr_put(fake, index, value, false);
}

void fake_msr_set_read_only(struct fake_platform *fake, uint32_t index, uint64_t value)
{
	msr_put(fake, index, value, true);
}

uint64_t fake_msr_get(struct fake_platform *fake, uint32_t index)
{
	const struct fake_msr *msr = msr_find(fake, index);

	if (msr == NULL)
		misused("a test looks at an MSR that is not there");
	return msr->value;
}

void fake_cpuid_set(struct fake_platform *fake, uint32_t leaf, uint32_t subleaf, struct cpuid_regs regs)
{
	struct fake_cpuid *entry = cpuid_find(fake, leaf, subleaf);

	if (entry == NULL) {
		if (fake->cpuid_count == FAKE_CPUID_MAX)
			misused("too many CPUID leaves");
		entry = &fake->cpuid[fake->cpuid_count++];
	}
	*entry = (struct fake_cpuid){leaf, subleaf, regs};
}

unsigned fake_access_count(const struct fake_platform *fake, enum fake_access_kind kind, uint64_t address)
{
	unsigned found = 0;

	if (fake->access_count > FAKE_ACCESS_MAX)
		misused("more accesses than are kept");
	for (unsigned i = 0; i < fake->access_count; i++)
		found += fake->access[i].kind == kind && fake->access[i].address == address;
	return found;
}

void fake_access_clear(struct fake_platform *fake)
{
	fake->access_count = 0;
}
