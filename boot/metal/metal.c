/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform_ops on a real machine: ports, MSRs with #GP caught, CPUID and time. Must not know vendors, links or the
 * guest.
 */
#include <platform/registers.h>
#include <undercroft/errno.h>
#include <x86/cpuid.h>
#include <x86/cr.h>

#include "boot/metal/cpu.h"
#include "boot/metal/metal.h"

/* How often the TSC is counted, at most. */
#define TSC_COUNTS_MAX 10u

static void *metal_phys_map(struct platform *platform, paddr_t address, size_t length)
{
	struct metal *metal = CONTAINER_OF(platform, struct metal, platform);

	if (address >= metal->mapped || length > metal->mapped - address)
		return NULL;
	return (void *)(address ? (uintptr_t)address : metal->alias);
}

static uint32_t metal_port_in(struct platform *platform, uint16_t port, unsigned size)
{
	(void)platform;
	return size == 1 ? cpu_in8(port) : size == 2 ? cpu_in16(port) : cpu_in32(port);
}

static void metal_port_out(struct platform *platform, uint16_t port, unsigned size, uint32_t value)
{
	(void)platform;
	if (size == 1)
		cpu_out8(port, (uint8_t)value);
	else if (size == 2)
		cpu_out16(port, (uint16_t)value);
	else
		cpu_out32(port, value);
}

static uint64_t metal_mmio_read(struct platform *platform, paddr_t address, unsigned size)
{
	(void)platform;
	switch (size) {
	case 1:
		return *(volatile uint8_t *)(uintptr_t)address;
	case 2:
		return *(volatile uint16_t *)(uintptr_t)address;
	case 4:
		return *(volatile uint32_t *)(uintptr_t)address;
	default:
		return *(volatile uint64_t *)(uintptr_t)address;
	}
}

static void metal_mmio_write(struct platform *platform, paddr_t address, unsigned size, uint64_t value)
{
	(void)platform;
	switch (size) {
	case 1:
		*(volatile uint8_t *)(uintptr_t)address = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)(uintptr_t)address = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)(uintptr_t)address = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)(uintptr_t)address = value;
		break;
	}
}

/*
 * An instruction that may raise #GP, with an entry in the fixup table: on #GP the handler continues at the second label
 * with the error left in place. Tiers without an IDT of ours (loader, setup before it has one) only touch MSRs that
 * exist.
 */
#define FIXUP(instruction, resume) \
	".pushsection .fixups, \"a\"\n.long " instruction " - ., " resume " - .\n.popsection\n"

static int metal_msr_read(struct platform *platform, uint32_t index, uint64_t *value)
{
	uint32_t low = 0, high = 0;
	int error = -EFAULT;

	(void)platform;
	__asm__ volatile("1: rdmsr\n xorl %2, %2\n2:\n" FIXUP("1b", "2b")
			 : "+a"(low), "+d"(high), "+r"(error)
			 : "c"(index));
	*value = (uint64_t)high << 32 | low;
	return error;
}

static int metal_msr_write(struct platform *platform, uint32_t index, uint64_t value)
{
	int error = -EFAULT;

	(void)platform;
	__asm__ volatile("1: wrmsr\n xorl %0, %0\n2:\n" FIXUP("1b", "2b")
			 : "+r"(error)
			 : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
	return error;
}

static int metal_xcr_read(struct platform *platform, uint32_t index, uint64_t *value)
{
	uint64_t cr4 = cpu_cr_get(4);
	uint32_t low = 0, high = 0;
	struct cpuid_regs features;
	int error = -EFAULT;

	platform->ops->cpuid(platform, CPUID_FEATURES, 0, &features);
	if (features.ecx & CPUID_1_ECX_XSAVE) {
		cpu_cr_set(4, cr4 | CR4_OSXSAVE);
		__asm__ volatile("1: xgetbv\n xorl %0, %0\n2:\n" FIXUP("1b", "2b")
				 : "+r"(error), "+a"(low), "+d"(high)
				 : "c"(index)
				 : "memory");
		cpu_cr_set(4, cr4);
	}
	*value = (uint64_t)high << 32 | low;
	return error;
}

static int metal_xcr_write(struct platform *platform, uint32_t index, uint64_t value)
{
	int error = -EFAULT;

	(void)platform;
	__asm__ volatile("1: xsetbv\n xorl %0, %0\n2:\n" FIXUP("1b", "2b")
			 : "+r"(error)
			 : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
	return error;
}

/* Empties caches and translations: nothing of ours is mapped as global. */
static void caches_empty(void)
{
	uint64_t cr3;

	__asm__ volatile("wbinvd\n movq %%cr3, %0\n movq %0, %%cr3" : "=r"(cr3) : : "memory");
}

/* SDM vol. 3, "MTRR Maintenance Programming Interface" (11.11.7.2), less what is off already: interrupts and PGE */
static int metal_memory_type_write(struct platform *platform, uint32_t index, uint64_t value)
{
	uint64_t cr0;
	int error;

	__asm__ volatile("movq %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("movq %0, %%cr0" : : "r"((cr0 | CR0_CD) & ~(uint64_t)CR0_NW) : "memory");
	caches_empty();
	error = metal_msr_write(platform, index, value);
	caches_empty();
	__asm__ volatile("movq %0, %%cr0" : : "r"(cr0) : "memory");
	return error;
}

static void metal_cpuid(struct platform *platform, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
	(void)platform;
	__asm__ volatile("cpuid"
			 : "=a"(out->eax), "=b"(out->ebx), "=c"(out->ecx), "=d"(out->edx)
			 : "a"(leaf), "c"(subleaf));
}

/* Nothing may trap, and CR4.OSFXSR makes the SSE registers part of the image: the two registers before that. */
static void fpu_access_begin(uint64_t *cr0, uint64_t *cr4)
{
	__asm__ volatile("movq %%cr0, %0\n movq %%cr4, %1" : "=r"(*cr0), "=r"(*cr4));
	__asm__ volatile("movq %0, %%cr0\n movq %1, %%cr4"
			 :
			 : "r"(*cr0 & ~(uint64_t)(CR0_TS | CR0_EM)), "r"(*cr4 | CR4_OSFXSR)
			 : "memory");
}

static void fpu_access_end(uint64_t cr0, uint64_t cr4)
{
	__asm__ volatile("movq %1, %%cr4\n movq %0, %%cr0" : : "r"(cr0), "r"(cr4) : "memory");
}

static void metal_fpu_save(struct platform *platform, void *image)
{
	uint64_t cr0, cr4;

	(void)platform;
	fpu_access_begin(&cr0, &cr4);
	__asm__ volatile("fxsave64 (%0)" : : "r"(image) : "memory");
	fpu_access_end(cr0, cr4);
}

static void metal_fpu_load(struct platform *platform, const void *image)
{
	uint64_t cr0, cr4;

	(void)platform;
	fpu_access_begin(&cr0, &cr4);
	__asm__ volatile("fxrstor64 (%0)" : : "r"(image) : "memory");
	fpu_access_end(cr0, cr4);
}

static void metal_cache_flush(struct platform *platform)
{
	(void)platform;
	__asm__ volatile("wbinvd" : : : "memory");
}

static uint64_t metal_now_us(struct platform *platform)
{
	return cpu_rdtsc() / CONTAINER_OF(platform, struct metal, platform)->tsc_mhz;
}

static void metal_halt(struct platform *platform)
{
	(void)platform;
	cpu_halt();
}

/* The ways to reset a PC, surest first. Each is tried; the last, a triple fault, cannot fail. */
static void metal_reset(struct platform *platform)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt;

	(void)platform;
	/* Intel 500 Series PCH, "Reset Control Register" (CF9h): full reset */
	cpu_out8(0xcf9, 0x02);
	cpu_out8(0xcf9, 0x06);
	/* 8042: pulse the reset line, bounded by what a full input buffer may take */
	for (unsigned i = 0; i < 100000 && (cpu_in8(0x64) & 2); i++)
		continue;
	cpu_out8(0x64, 0xfe);
	for (unsigned i = 0; i < 100000; i++)
		cpu_in8(0x80);
	__asm__ volatile("lidt %0; ud2" : : "m"(no_idt));
}

/*
 * Counts the TSC over 1 ms of the PIT's channel 2, which no firmware or OS uses for time: exact to a thousandth, and
 * what is timed are bounds of waits.
 * 82C54 datasheet, "Mode 0: Interrupt on Terminal Count"; port 61h bit 0 is its gate, bit 5 its output.
 */
static uint32_t metal_count_tsc(void)
{
	const uint32_t pit_hz = 1193182, ticks = pit_hz / 1000;
	uint64_t start, end;

	cpu_out8(0x43, 0xb0);
	cpu_out8(0x42, ticks & 0xff);
	start = cpu_rdtsc();
	cpu_out8(0x42, ticks >> 8);
	/* a port read takes about a microsecond, an emulator's less: a PIT that does not count ends the loop in a
	 * second */
	for (uint32_t i = 0; i < 1000000 && !(cpu_in8(0x61) & 0x20); i++)
		continue;
	end = cpu_rdtsc();
	return (uint32_t)((end - start) / 1000);
}

/*
 * What comes between, an SMI or whatever else the host of an emulated machine does, makes a count larger: the least one
 * counts, as soon as another is within a 64th of it.
 */
static uint32_t metal_measure_tsc(void)
{
	uint8_t saved = cpu_in8(0x61);
	uint32_t least = UINT32_MAX;
	bool agreed = false;

	cpu_out8(0x61, (uint8_t)((saved & ~3u) | 1));
	for (unsigned i = 0; i < TSC_COUNTS_MAX && !agreed; i++) {
		uint32_t mhz = metal_count_tsc(), difference = mhz > least ? mhz - least : least - mhz;

		if (mhz < least)
			least = mhz;
		agreed = difference <= least / 64;
	}
	cpu_out8(0x61, saved);
	return least;
}

static const struct platform_ops metal_ops = {
	.phys_map = metal_phys_map,
	.port_in = metal_port_in,
	.port_out = metal_port_out,
	.mmio_read = metal_mmio_read,
	.mmio_write = metal_mmio_write,
	.msr_read = metal_msr_read,
	.msr_write = metal_msr_write,
	.xcr_read = metal_xcr_read,
	.xcr_write = metal_xcr_write,
	.memory_type_write = metal_memory_type_write,
	.cpuid = metal_cpuid,
	.fpu_save = metal_fpu_save,
	.fpu_load = metal_fpu_load,
	.cache_flush = metal_cache_flush,
	.now_us = metal_now_us,
	.halt = metal_halt,
	.reset = metal_reset,
};

void metal_init(struct metal *metal, uint32_t tsc_mhz, paddr_t mapped)
{
	metal->platform.ops = &metal_ops;
	metal->mapped = mapped;
	metal->tsc_mhz = tsc_mhz ? tsc_mhz : metal_measure_tsc();
	if (!metal->tsc_mhz)
		metal->tsc_mhz = 1;
}
