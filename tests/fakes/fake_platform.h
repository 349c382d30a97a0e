/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A simulated machine behind struct platform_ops: memory, ports, device memory, MSRs, CPUID and a clock, all in one
 * structure that a test owns. Must not know any test.
 *
 *	struct fake_platform fake;
 *	fake_platform_init(&fake, MIB(16));
 *	fake_msr_set(&fake, MSR_EFER, 0x500);
 *	code_under_test(&fake.platform);
 *	assert_int_equal(fake_access_count(&fake, FAKE_PORT_OUT, 0x3f8), 1);
 *	fake_platform_free(&fake);
 *
 * Everything that is full or misused aborts with a message: a fake never fails quietly.
 */
#ifndef TESTS_FAKES_FAKE_PLATFORM_H
#define TESTS_FAKES_FAKE_PLATFORM_H

#include <setjmp.h>

#include <undercroft/types.h>
#include <undercroft/platform.h>

#define FAKE_MEMORY_MAX	 4
#define FAKE_HANDLER_MAX 16
#define FAKE_MSR_MAX	 64
#define FAKE_CPUID_MAX	 64
#define FAKE_ACCESS_MAX	 4096

#define FAKE_CPUID_ANY_SUBLEAF 0xffffffffu

enum fake_access_kind {
	FAKE_PORT_IN,
	FAKE_PORT_OUT,
	FAKE_MMIO_READ,
	FAKE_MMIO_WRITE,
	FAKE_MSR_READ,
	FAKE_MSR_WRITE,
};

/* One access that reached the machine. value is what was read or written; MSR accesses have size 8. */
struct fake_access {
	enum fake_access_kind kind;
	uint64_t address;
	unsigned size;
	uint64_t value;
	bool faulted; /* MSRs: the CPU raised #GP */
};

/* A device's half of an access: address is absolute. Reads are cut to size by the fake. */
typedef uint64_t (*fake_read_fn)(void *context, uint64_t address, unsigned size);
typedef void (*fake_write_fn)(void *context, uint64_t address, unsigned size, uint64_t value);

struct fake_handler {
	uint64_t first, count;
	fake_read_fn read;   /* NULL: all ones */
	fake_write_fn write; /* NULL: ignored */
	void *context;
};

struct fake_memory {
	paddr_t start;
	uint64_t size;
	uint8_t *bytes;
};

struct fake_msr {
	uint32_t index;
	uint64_t value;
	bool read_only; /* writes raise #GP */
};

struct fake_cpuid {
	uint32_t leaf, subleaf;
	struct cpuid_regs regs;
};

struct fake_platform {
	struct platform platform; /* first: the ops table's functions get here from it */
	struct fake_memory memory[FAKE_MEMORY_MAX];
	unsigned memory_count;
	struct fake_handler port[FAKE_HANDLER_MAX], mmio[FAKE_HANDLER_MAX];
	unsigned port_count, mmio_count;
	struct fake_msr msr[FAKE_MSR_MAX];
	unsigned msr_count;
	struct fake_cpuid cpuid[FAKE_CPUID_MAX];
	unsigned cpuid_count;
	struct fake_access access[FAKE_ACCESS_MAX]; /* the first FAKE_ACCESS_MAX of them */
	unsigned access_count;			    /* of all, also those that are not kept */
	uint64_t clock_us;			    /* the time; one microsecond passes with each access */
	uint64_t clock_step_us;			    /* and that with each query; 1 unless a test says otherwise */
	unsigned memory_type_writes;
	unsigned halts, resets; /* how often halt() and reset() were called */
	unsigned cache_flushes;
	uint8_t fpu[PLATFORM_FPU_IMAGE]; /* what fpu_save() saves and fpu_load() loads */
	uint64_t xcr0;
	bool xcr_fault;	 /* XSETBV raises #GP */
	jmp_buf *escape; /* not NULL: halt() and reset() leave by longjmp(*escape, 1), as they would never return */
};

/* Memory of that many bytes, zeroed, at physical address 0. No ports, MSRs or CPUID leaves. */
void fake_platform_init(struct fake_platform *fake, uint64_t memory_size);
void fake_platform_free(struct fake_platform *fake);

/* More memory elsewhere. */
void fake_memory_add(struct fake_platform *fake, paddr_t start, uint64_t size);

/* The bytes at a physical address; aborts if they are not memory. */
void *fake_memory_at(struct fake_platform *fake, paddr_t address, size_t length);

/* A device behind a range. The handler of an access' first port or byte gets all of it. */
void fake_port_add(struct fake_platform *fake, uint16_t first, unsigned count, fake_read_fn read, fake_write_fn write,
		   void *context);
void fake_mmio_add(struct fake_platform *fake, paddr_t first, uint64_t count, fake_read_fn read, fake_write_fn write,
		   void *context);

/* Makes an MSR exist (until then it raises #GP), or sets its value. */
void fake_msr_set(struct fake_platform *fake, uint32_t index, uint64_t value);
void fake_msr_set_read_only(struct fake_platform *fake, uint32_t index, uint64_t value);
/* The value of an MSR that exists; aborts otherwise. Not recorded as an access. */
uint64_t fake_msr_get(struct fake_platform *fake, uint32_t index);

/* Sets a CPUID leaf. subleaf may be FAKE_CPUID_ANY_SUBLEAF. Leaves that were not set are all zero. */
void fake_cpuid_set(struct fake_platform *fake, uint32_t leaf, uint32_t subleaf, struct cpuid_regs regs);

/* How many recorded accesses of that kind began at that address. */
unsigned fake_access_count(const struct fake_platform *fake, enum fake_access_kind kind, uint64_t address);

/* Forgets what was recorded. */
void fake_access_clear(struct fake_platform *fake);

#endif
