/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts another CPU as the hypervisor's clock, where the virtualisation extension has no timer. It goes through here
 * to the vmm's code, in which it stays. SDM vol. 3, "Multiple-Processor (MP) Initialization" (8.4); APM vol. 2,
 * "Multiple Processor Initialization" (14.1.4) and "Interprocessor Interrupts (IPI)" (16.5)
 */
#include <string.h>

#include <undercroft/platform.h>
#include <x86/cpuid.h>
#include <x86/cr.h>
#include <x86/msr.h>

#include "boot/layout.h"
#include "boot/metal/clock.h"
#include "boot/metal/cpu.h"
#include "boot/setup/clock_layout.h"
#include "boot/setup/setup.h"
#include "boot/vmm/image.h"

#define INIT_US	   10000u  /* until it listens to a startup IPI */
#define STARTUP_US 200u	   /* until a second one, if the first was not heard */
#define ANSWER_US  200000u /* with its timer counted */

#define APIC_BASE_ADDRESS 0x000ffffffffff000ull
#define APIC_ID_SHIFT	  24 /* not the x2APIC's */
#define APIC_ID_ALL	  0xffu

#define FAMILY_C1E_LAST 0x11u

/* How often its timer is counted, at most; over how long. */
#define COUNTS_MAX 10u
#define COUNT_US   1000u

#define CLOCK_TRAMPOLINE_MAX 256

/* clock16.S */
extern const uint8_t clock_trampoline[], clock_trampoline_end[];
extern const uint8_t clock_trampoline_page[], clock_trampoline_setup[], clock_trampoline_root[];
extern const uint64_t clock_trampoline_gdt[CLOCK_GDT_ENTRIES];

void clock_main(struct clock *clock, struct setup *setup);

/* 0: its registers are MSRs. */
static paddr_t apic_address(uint64_t base)
{
	return base & APIC_BASE_X2APIC ? 0 : base & APIC_BASE_ADDRESS;
}

bool clock_wanted(const struct setup *setup)
{
	if (!setup->backend->needs_clock || setup->machine.cpu_count < 2)
		return false;
	for (unsigned i = 0; i < setup->frontend_count; i++) {
		if (setup->frontend[i].roles & FRONTEND_ROLE_CONTROL)
			return true;
	}
	return false;
}

/* --- on the other CPU ------------------------------------------------------------------------------------------- */

static void registers_set(const struct clock *clock)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdtr = {sizeof(clock->gdt) - 1, (uintptr_t)clock->gdt},
				  idtr = {sizeof(clock->idt) - 1, (uintptr_t)clock->idt};
	uint64_t cr4;

	__asm__ volatile("lgdt %0\n lidt %1" : : "m"(gdtr), "m"(idtr));
	__asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
	/* from here on a machine check ends this CPU, and not the machine */
	__asm__ volatile("movq %0, %%cr4" : : "r"(cr4 | CR4_MCE) : "memory");
}

/* How far its timer counts in a millisecond; 0: it does not. */
static uint32_t timer_count(const struct clock *clock, uint64_t tsc_mhz)
{
	uint64_t start, now;
	uint32_t left;

	clock_apic_write(clock, APIC_TIMER_INITIAL, UINT32_MAX);
	start = cpu_rdtsc();
	do {
		left = clock_apic_read(clock, APIC_TIMER_CURRENT);
		now = cpu_rdtsc();
	} while (now - start < tsc_mhz * COUNT_US);
	clock_apic_write(clock, APIC_TIMER_INITIAL, 0);
	return (uint32_t)((uint64_t)(UINT32_MAX - left) * 1000 * tsc_mhz / (now - start));
}

/* What comes between makes a count wrong: two in succession have to agree to a 64th. */
static uint32_t timer_measure(const struct clock *clock, uint64_t tsc_mhz)
{
	uint32_t last = 0;

	for (unsigned i = 0; i < COUNTS_MAX; i++) {
		uint32_t count = timer_count(clock, tsc_mhz), more = count > last ? count - last : last - count;

		if (count && more <= count / 64)
			return count;
		last = count;
	}
	return 0;
}

/* Comes back only to what is not as the first CPU has it: then it stops here, unanswered. */
void clock_main(struct clock *clock, struct setup *setup)
{
	struct platform *platform = &setup->metal.platform;
	uint64_t base;

	registers_set(clock);
	if (!platform->ops->msr_read(platform, MSR_APIC_BASE, &base) &&
	    !platform->ops->msr_write(platform, MSR_PAT, PAT_RESET) && base & APIC_BASE_ENABLE &&
	    apic_address(base) == clock->apic) {
		clock_apic_write(clock, APIC_TPR, 0);
		clock_apic_write(clock, APIC_SVR, APIC_SVR_ENABLE | CLOCK_VECTOR);
		clock_apic_write(clock, APIC_TIMER_DIVIDE, APIC_DIVIDE_1);
		clock_apic_write(clock, APIC_TIMER, APIC_TIMER_MASKED | CLOCK_VECTOR);
		clock->ticks_per_ms = timer_measure(clock, setup->metal.tsc_mhz);
		if (clock->halts)
			clock_apic_write(clock, APIC_TIMER, CLOCK_VECTOR);
		if (clock->ticks_per_ms)
			setup->clock_enter(clock);
	}
	cpu_halt();
}

/* --- on this one ------------------------------------------------------------------------------------------------ */

/*
 * Does the timer of the local APIC go on in whatever the CPU makes of HLT? Where CPUID does not say so (APM vol. 3,
 * "Function 0000_0006h", ARAT), on the CPUs from before that if a HLT of all cores is not made a C1E, which stops it.
 */
static bool timer_survives_halt(struct platform *platform)
{
	struct cpuid_regs regs;
	uint64_t pending = 0;
	unsigned family;

	platform->ops->cpuid(platform, CPUID_VENDOR, 0, &regs);
	if (regs.eax >= CPUID_POWER) {
		platform->ops->cpuid(platform, CPUID_POWER, 0, &regs);
		if (regs.eax & CPUID_6_EAX_ARAT)
			return true;
	}
	platform->ops->cpuid(platform, CPUID_FEATURES, 0, &regs);
	family = (regs.eax >> 8 & 0xf) + (regs.eax >> 20 & 0xff);
	(void)platform->ops->msr_read(platform, MSR_INT_PENDING, &pending);
	return family <= FAMILY_C1E_LAST && !(pending & INT_PENDING_C1E);
}

static void gate_set(struct trap_gate *gate, uint64_t handler)
{
	*gate = (struct trap_gate){
		.offset_low = (uint16_t)handler,
		.selector = SELECTOR_CODE64,
		.flags = TRAP_GATE_INTERRUPT,
		.offset_middle = (uint16_t)(handler >> 16),
		.offset_high = (uint32_t)(handler >> 32),
	};
}

static void page_fill(struct setup *setup, struct clock *clock, paddr_t image, uint64_t base)
{
	const struct vmm_header *header = (const void *)(uintptr_t)image;

	setup->clock_enter = (void (*)(struct clock *))(uintptr_t)(image + header->clock_enter);
	clock->apic = apic_address(base);
	clock->apic_id = clock_apic_read(clock, APIC_ID) >> (clock->apic ? APIC_ID_SHIFT : 0);
	clock->halts = timer_survives_halt(&setup->metal.platform);
	memcpy(clock->gdt, clock_trampoline_gdt, sizeof(clock->gdt));
	for (unsigned i = 0; i < TRAP_COUNT; i++)
		gate_set(&clock->idt[i],
			 image + (i == TRAP_NMI || i == CLOCK_VECTOR ? header->clock_ignore : header->clock_fault));
}

/* Waits until the clock runs, or so long. */
static bool answers(struct setup *setup, const struct clock *clock, uint64_t us)
{
	struct platform *platform = &setup->metal.platform;
	uint64_t start = platform->ops->now_us(platform);

	while (!alarm_runs(&clock->alarm)) {
		if (platform->ops->now_us(platform) - start >= us)
			return false;
		__builtin_ia32_pause();
	}
	return true;
}

static void pause_us(struct setup *setup, uint64_t us)
{
	struct platform *platform = &setup->metal.platform;
	uint64_t start = platform->ops->now_us(platform);

	while (platform->ops->now_us(platform) - start < us)
		__builtin_ia32_pause();
}

/* An INIT, and a startup IPI, which a CPU that has answered it ignores. */
static bool cpu_start(struct setup *setup, const struct clock *clock, uint32_t apic_id)
{
	const uint32_t startup = APIC_ICR_STARTUP | APIC_ICR_ASSERT | CLOCK_TRAMPOLINE / PAGE_SIZE;

	clock_apic_command(clock, apic_id, APIC_ICR_INIT | APIC_ICR_ASSERT);
	pause_us(setup, INIT_US);
	clock_apic_command(clock, apic_id, startup);
	if (answers(setup, clock, STARTUP_US))
		return true;
	clock_apic_command(clock, apic_id, startup);
	if (answers(setup, clock, ANSWER_US))
		return true;
	/* whatever it does: not any longer */
	clock_apic_command(clock, apic_id, APIC_ICR_INIT | APIC_ICR_ASSERT);
	pause_us(setup, INIT_US);
	return false;
}

/* Another CPU that its APIC can name. */
static bool cpu_choose(const struct machine *machine, const struct clock *clock, uint32_t *apic_id)
{
	for (uint32_t i = 0; i < machine->cpu_count && i < MACHINE_CPU_MAX; i++) {
		*apic_id = machine->apic_id[i];
		if (*apic_id != clock->apic_id && (!clock->apic || *apic_id < APIC_ID_ALL))
			return true;
	}
	return false;
}

void clock_start(struct setup *setup, paddr_t page, paddr_t root, paddr_t image)
{
	uint8_t saved[CLOCK_TRAMPOLINE_MAX];
	uint8_t *trampoline = (void *)CLOCK_TRAMPOLINE;
	const size_t size = (size_t)(clock_trampoline_end - clock_trampoline);
	struct platform *platform = &setup->metal.platform;
	struct clock *clock = (void *)(uintptr_t)page;
	uint32_t apic_id, high;
	uint64_t base;
	bool runs;

	if (platform->ops->msr_read(platform, MSR_APIC_BASE, &base) || !(base & APIC_BASE_ENABLE)) {
		log_printf(&setup->log, "setup: the local APIC is off: no clock\n");
		return;
	}
	page_fill(setup, clock, image, base);
	if (!cpu_choose(&setup->machine, clock, &apic_id)) {
		log_printf(&setup->log, "setup: no other CPU can be named: no clock\n");
		return;
	}
	memcpy(saved, trampoline, size);
	memcpy(trampoline, clock_trampoline, size);
	memcpy(trampoline + (clock_trampoline_page - clock_trampoline), &page, sizeof(page));
	memcpy(trampoline + (clock_trampoline_setup - clock_trampoline), &setup, sizeof(setup));
	memcpy(trampoline + (clock_trampoline_root - clock_trampoline), &root, sizeof(uint32_t));
	high = clock->apic ? clock_apic_read(clock, APIC_ICR_HIGH) : 0;
	runs = cpu_start(setup, clock, apic_id);
	if (clock->apic)
		clock_apic_write(clock, APIC_ICR_HIGH, high);
	memcpy(trampoline, saved, size);
	log_printf(&setup->log, "setup: CPU %u %s\n", apic_id,
		   runs ? "is the hypervisor's clock" : "does not answer: no clock");
}
