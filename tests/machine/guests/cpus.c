/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine with a second CPU: the firmware's tables list one, and no way of writing the interrupt command register
 * starts another. What else is written to the APIC arrives.
 */
#include "guest.h"

#define CPUID_EXT_ECX_SVM (1u << 2)

#define BDA_EBDA_SEGMENT 0x40e
#define BIOS_AREA	 0xe0000u
#define BIOS_AREA_END	 0x100000u

#define MADT_ENTRIES	44
#define MADT_LAPIC	0
#define MADT_X2APIC	9
#define MADT_ENABLED	1u
#define MADT_CAPABLE	2u
#define MP_ENTRIES	44
#define MP_ENTRY_CPU	0
#define MP_CPU_ENABLED	1u
#define MP_CPU_LENGTH	20
#define MP_OTHER_LENGTH 8

#define APIC_VERSION	  0x030u
#define APIC_TPR	  0x080u
#define APIC_EOI	  0x0b0u
#define APIC_SPURIOUS	  0x0f0u
#define APIC_ISR_30	  0x110u
#define APIC_ICR_LOW	  0x300u
#define APIC_ICR_HIGH	  0x310u
#define APIC_TIMER	  0x320u
#define APIC_LVT_MASKED	  0x00010000u
#define APIC_ENABLED	  0x100u
#define ICR_SELF_FIXED	  0x00044000u
#define ICR_INIT	  0x0000c500u
#define ICR_INIT_DEASSERT 0x00008500u
#define ICR_STARTUP	  0x00000600u
#define ICR_TO_OTHERS	  0x000c0000u

#define VECTOR_TEST 0x40 /* bit 0 of the third in-service register */
#define APIC_ISR    (APIC_ISR_30 + 0x10)

/* The other CPU would begin here in real mode, and say so. */
#define TRAMPOLINE	0x9000u
#define TRAMPOLINE_FLAG 0x9800u
#define WAIT_TSC	50000000ull

#define MSR_APIC_BASE 0x1bu

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[26];
};

static uint32_t interrupts;
static bool native;
static uint32_t apic;

static volatile uint32_t *apic_register(uint32_t offset)
{
	return (volatile uint32_t *)(apic + offset);
}

static uint64_t tsc(void)
{
	uint64_t value;

	__asm__ volatile("rdtsc" : "=A"(value));
	return value;
}

static bool sums_to_zero(const void *table, uint32_t length)
{
	const uint8_t *bytes = table;
	uint8_t sum = 0;

	while (length--)
		sum = (uint8_t)(sum + *bytes++);
	return sum == 0;
}

static const void *find(uint32_t start, uint32_t end, const char *signature, uint32_t length)
{
	for (; start < end; start += 16) {
		if (!memcmp((const void *)start, signature, length))
			return (const void *)start;
	}
	return NULL;
}

static const void *find_firmware(const char *signature, uint32_t length)
{
	const uint16_t *segment = (const uint16_t *)BDA_EBDA_SEGMENT;
	uint32_t ebda;
	const void *found;

	__asm__("" : "+r"(segment));
	ebda = (uint32_t)*segment << 4;
	found = find(ebda, ebda + 1024, signature, length);
	return found ? found : find(BIOS_AREA, BIOS_AREA_END, signature, length);
}

static const struct acpi_header *acpi_table(const char *signature)
{
	const uint8_t *rsdp = find_firmware("RSD PTR ", 8);
	const struct acpi_header *rsdt;

	if (!rsdp)
		return NULL;
	rsdt = *(const struct acpi_header *const *)(rsdp + 16);
	for (uint32_t at = sizeof(*rsdt); at < rsdt->length; at += 4) {
		const struct acpi_header *table = *(const struct acpi_header *const *)((const uint8_t *)rsdt + at);

		if (!memcmp(table->signature, signature, 4))
			return table;
	}
	return NULL;
}

static void check_madt(void)
{
	const struct acpi_header *madt = acpi_table("APIC");
	const uint8_t *entry;
	unsigned enabled = 0, capable = 0;

	if (!check(madt != NULL, "there is a MADT"))
		return;
	check(sums_to_zero(madt, madt->length), "its checksum is right");
	for (uint32_t at = MADT_ENTRIES; at < madt->length; at += entry[1]) {
		uint32_t flags;

		entry = (const uint8_t *)madt + at;
		if (entry[0] != MADT_LAPIC && entry[0] != MADT_X2APIC)
			continue;
		memcpy(&flags, entry + (entry[0] == MADT_LAPIC ? 4 : 8), sizeof(flags));
		enabled += flags & MADT_ENABLED;
		capable += flags & MADT_CAPABLE ? 1 : 0;
	}
	check_equal(enabled, 1, "it has one CPU that is enabled");
	check_equal(capable, 0, "it has none that could be enabled");
}

static void check_mp(void)
{
	const uint8_t *floating = find_firmware("_MP_", 4), *table, *entry;
	uint16_t count;
	unsigned enabled = 0;

	if (!floating) {
		print("guest: no MP table\n");
		return;
	}
	table = *(const uint8_t *const *)(floating + 4);
	check(sums_to_zero(table, *(const uint16_t *)(table + 4)), "the MP table's checksum is right");
	memcpy(&count, table + 34, sizeof(count));
	entry = table + MP_ENTRIES;
	for (unsigned i = 0; i < count; i++) {
		if (entry[0] == MP_ENTRY_CPU)
			enabled += entry[3] & MP_CPU_ENABLED;
		entry += entry[0] == MP_ENTRY_CPU ? MP_CPU_LENGTH : MP_OTHER_LENGTH;
	}
	check_equal(enabled, 1, "it has one CPU that is enabled");
}

static void trampoline_plant(void)
{
	/* movb $1, %cs:0x800; 1: hlt; jmp 1b */
	static const uint8_t code[] = {0x2e, 0xc6, 0x06, 0x00, 0x08, 0x01, 0xf4, 0xeb, 0xfd};

	memcpy((void *)TRAMPOLINE, code, sizeof(code));
}

static bool other_ran(void)
{
	uint64_t end = tsc() + WAIT_TSC;

	while (tsc() < end && !*(volatile uint8_t *)TRAMPOLINE_FLAG)
		;
	return *(volatile uint8_t *)TRAMPOLINE_FLAG;
}

typedef void (*icr_write_fn)(uint32_t value);

static void icr_mov(uint32_t value)
{
	*apic_register(APIC_ICR_LOW) = value;
}

static void icr_mov_immediate(uint32_t value)
{
	/* the values are known; an immediate is another encoding */
	if (value == (ICR_INIT | ICR_TO_OTHERS))
		*apic_register(APIC_ICR_LOW) = ICR_INIT | ICR_TO_OTHERS;
	else if (value == (ICR_INIT_DEASSERT | ICR_TO_OTHERS))
		*apic_register(APIC_ICR_LOW) = ICR_INIT_DEASSERT | ICR_TO_OTHERS;
	else
		*apic_register(APIC_ICR_LOW) = ICR_STARTUP | ICR_TO_OTHERS | TRAMPOLINE >> 12;
}

static void icr_xchg(uint32_t value)
{
	__asm__ volatile("xchgl %0, (%1)" : "+r"(value) : "r"(apic_register(APIC_ICR_LOW)) : "memory");
}

static void icr_stos(uint32_t value)
{
	void *to = (void *)apic_register(APIC_ICR_LOW);
	uint32_t count = 1;

	__asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(value) : "memory");
}

static void icr_movs(uint32_t value)
{
	void *to = (void *)apic_register(APIC_ICR_LOW);
	const void *from = &value;

	__asm__ volatile("movsl" : "+D"(to), "+S"(from) : : "memory");
}

static void icr_push(uint32_t value)
{
	__asm__ volatile("movl %%esp, %%edx\n\t"
			 "movl %0, %%esp\n\t"
			 "pushl %1\n\t"
			 "movl %%edx, %%esp"
			 :
			 : "a"(apic_register(APIC_ICR_LOW + 4)), "c"(value)
			 : "edx", "memory");
}

static void check_start(icr_write_fn write, bool to_others, const char *name)
{
	uint32_t to = to_others ? ICR_TO_OTHERS : 0;

	*apic_register(APIC_ICR_HIGH) = 1u << 24;
	*(volatile uint8_t *)TRAMPOLINE_FLAG = 0;
	write(ICR_INIT | to);
	write(ICR_INIT_DEASSERT | to);
	write(ICR_STARTUP | to | TRAMPOLINE >> 12);
	write(ICR_STARTUP | to | TRAMPOLINE >> 12);
	check(other_ran() == native, name);
}

__attribute__((naked)) static void interrupt_handler(void)
{
	__asm__ volatile("incl %0\n\tiretl" : "+m"(interrupts));
}

static void check_registers(void)
{
	uint32_t spurious = *apic_register(APIC_SPURIOUS), timer = *apic_register(APIC_TIMER);

	*apic_register(APIC_TPR) = 0x50;
	check_equal(*apic_register(APIC_TPR), 0x50, "TPR is written");
	*apic_register(APIC_TPR) = 0;
	check_equal(*apic_register(APIC_TPR), 0, "and again");
	*apic_register(APIC_SPURIOUS) = APIC_ENABLED | 0xff;
	check_equal(*apic_register(APIC_SPURIOUS), APIC_ENABLED | 0xff, "the spurious vector is written");
	*apic_register(APIC_TIMER) = APIC_LVT_MASKED | 0x41;
	check_equal(*apic_register(APIC_TIMER), APIC_LVT_MASKED | 0x41, "the timer's vector is written");
	*apic_register(APIC_ICR_HIGH) = 0x5u << 24;
	check_equal(*apic_register(APIC_ICR_HIGH), 0x5u << 24, "an interrupt's destination is written");
	check((*apic_register(APIC_VERSION) & 0xf0) == 0x10, "the version is read");

	interrupts = 0;
	idt_set(idt, VECTOR_TEST, interrupt_handler);
	out8(0x21, 0xff);
	out8(0xa1, 0xff);
	*apic_register(APIC_ICR_LOW) = ICR_SELF_FIXED | VECTOR_TEST;
	__asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
	check_equal(*(volatile uint32_t *)&interrupts, 1, "an interrupt to itself arrives");
	check_equal(*apic_register(APIC_ISR) & 1, 1, "it is in service");
	*apic_register(APIC_EOI) = 0;
	check_equal(*apic_register(APIC_ISR) & 1, 0, "EOI ends it");
	*apic_register(APIC_TIMER) = timer;
	*apic_register(APIC_SPURIOUS) = spurious;
}

static void check_topology(void)
{
	struct cpuid features = cpuid(1, 0);

	check(!(features.edx & 1u << 28) || (features.ebx >> 16 & 0xff) <= 1, "CPUID shows one logical CPU");
	check(!(cpuid(0x80000001, 0).ecx & 2), "CPUID shows no legacy cores");
	check_equal(cpuid(0x80000008, 0).ecx & 0xff, 0, "CPUID shows one core");
}

void guest_main(void)
{
	native = cpuid(0x80000001, 0).ecx & CPUID_EXT_ECX_SVM;
	apic = (uint32_t)msr_read(MSR_APIC_BASE) & 0xfffff000u;
	if (!native) {
		check_madt();
		check_mp();
		check_topology();
	}
	check_registers();
	trampoline_plant();
	print("guest: the other CPU must %s\n", native ? "start, each time" : "not start");
	check_start(icr_mov, false, "MOV to ICR");
	check_start(icr_mov, true, "MOV to ICR, all others");
	check_start(icr_mov_immediate, true, "MOV of an immediate to ICR");
	check_start(icr_xchg, false, "XCHG with ICR");
	check_start(icr_stos, false, "REP STOS to ICR");
	check_start(icr_movs, false, "MOVS to ICR");
	check_start(icr_push, false, "PUSH to ICR");
	check_registers();
}
