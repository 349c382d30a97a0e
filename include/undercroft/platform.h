/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that is not pure: memory, ports, MSRs, CPUID, time. Two implementations: boot/metal and tests/fakes. Core,
 * decoders, frontends and plugins reach the machine through this table alone and so compile and run hosted.
 */
#ifndef UNDERCROFT_PLATFORM_H
#define UNDERCROFT_PLATFORM_H

#include <undercroft/types.h>

struct platform;

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

#define PLATFORM_FPU_IMAGE 512

struct platform_ops {
	/*
	 * A pointer through which [address, address + length) can be read and written, or NULL if that range is not
	 * mapped. The pointer stays valid. length is at least 1.
	 */
	void *(*phys_map)(struct platform *platform, paddr_t address, size_t length);

	/* One port access; size is 1, 2 or 4 bytes. */
	uint32_t (*port_in)(struct platform *platform, uint16_t port, unsigned size);
	void (*port_out)(struct platform *platform, uint16_t port, unsigned size, uint32_t value);

	/* One device memory access, naturally aligned; size is 1, 2, 4 or 8 bytes. */
	uint64_t (*mmio_read)(struct platform *platform, paddr_t address, unsigned size);
	void (*mmio_write)(struct platform *platform, paddr_t address, unsigned size, uint64_t value);

	/* RDMSR and WRMSR. -EFAULT if the CPU raised #GP; *value is then 0. */
	int (*msr_read)(struct platform *platform, uint32_t index, uint64_t *value);
	int (*msr_write)(struct platform *platform, uint32_t index, uint64_t value);

	/*
	 * XGETBV and XSETBV of an extended control register. -EFAULT if the CPU raised #GP or has none; *value is then
	 * 0. xcr_write needs CR4.OSXSAVE, which is set while a guest can ask for it.
	 */
	int (*xcr_read)(struct platform *platform, uint32_t index, uint64_t *value);
	int (*xcr_write)(struct platform *platform, uint32_t index, uint64_t value);

	/*
	 * msr_write for a register that memory types come from: with this CPU's caches written back, empty and off, and
	 * with its own translations flushed.
	 */
	int (*memory_type_write)(struct platform *platform, uint32_t index, uint64_t value);

	void (*cpuid)(struct platform *platform, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);

	/*
	 * FXSAVE64 and FXRSTOR64 with an image of PLATFORM_FPU_IMAGE bytes, 16-byte aligned; whatever CR0 and CR4 say,
	 * SSE registers are part of it. What is loaded has to be an image that a save filled, with MXCSR bits that its
	 * mask allows.
	 */
	void (*fpu_save)(struct platform *platform, void *image);
	void (*fpu_load)(struct platform *platform, const void *image);

	/* Writes this CPU's caches back to memory and empties them. */
	void (*cache_flush)(struct platform *platform);

	/* Microseconds since some fixed moment; never goes backwards. Bounds every wait. */
	uint64_t (*now_us)(struct platform *platform);

	/* Stops this CPU for good. */
	void (*halt)(struct platform *platform);

	/* Resets the whole machine, as its reset button does. */
	void (*reset)(struct platform *platform);
};

struct platform {
	const struct platform_ops *ops;
};

static inline uint8_t port_in8(struct platform *p, uint16_t port)
{
	return (uint8_t)p->ops->port_in(p, port, 1);
}

static inline void port_out8(struct platform *p, uint16_t port, uint8_t value)
{
	p->ops->port_out(p, port, 1, value);
}

#endif
