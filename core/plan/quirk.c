/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which emulator this is, if it is one.
 */
#include <string.h>

#include <undercroft/machine.h>
#include <undercroft/platform.h>
#include <undercroft/quirk.h>
#include <x86/cpuid.h>

#define OEM_SIZE 6

/* ACPI 6.4, "Root System Description Pointer (RSDP) Structure" (5.2.5.3) */
#define RSDP_OEM 9

#define HYPERVISOR_QEMU_TCG "TCGTCGTCGTCG"

static bool oem_is(const char oem[OEM_SIZE], const char *name)
{
	return memcmp(oem, name, OEM_SIZE) == 0;
}

/* "Hypervisor present" and its name: the convention of leaf 4000_0000h, with a name in EBX, ECX, EDX. */
static bool hypervisor_name(struct platform *platform, char name[12])
{
	struct cpuid_regs regs;

	platform->ops->cpuid(platform, CPUID_FEATURES, 0, &regs);
	if (!(regs.ecx & CPUID_1_ECX_HYPERVISOR))
		return false;
	platform->ops->cpuid(platform, CPUID_HYPERVISOR, 0, &regs);
	memcpy(name, &regs.ebx, 4);
	memcpy(name + 4, &regs.ecx, 4);
	memcpy(name + 8, &regs.edx, 4);
	return true;
}

uint32_t quirks_find(struct platform *platform, struct firmware_memory *memory, paddr_t rsdp, uint32_t vendor)
{
	char oem[OEM_SIZE] = {0}, hypervisor[12];
	uint32_t quirks = 0;

	if (rsdp != 0 && memory->read(memory, rsdp + RSDP_OEM, oem, sizeof(oem)) != 0)
		memset(oem, 0, sizeof(oem));
	if (oem_is(oem, "BOCHS ") || oem_is(oem, "VBOX  "))
		quirks |= QUIRK_DISPI;
	if (hypervisor_name(platform, hypervisor)) {
		if (memcmp(hypervisor, HYPERVISOR_QEMU_TCG, sizeof(hypervisor)) == 0)
			quirks |= QUIRK_ALL_ARE_EXCEPTIONS | QUIRK_SMM_EXITS | QUIRK_INT3_IS_INT_N |
				  QUIRK_DR7_NOT_LOADED | QUIRK_FORGETS_V_IRQ | QUIRK_SHADOW_NOT_LOADED;
	} else if (oem_is(oem, "BOCHS ")) {
		quirks |= vendor == CPU_VENDOR_INTEL
				  ? QUIRK_RSM_SETS_PE
				  : QUIRK_STRAY_DEBUG_TRAP | QUIRK_VMRUN_KEEPS_CR2 | QUIRK_V_INTR_MASKING |
					    QUIRK_DB_WITHOUT_DR6 | QUIRK_NRIP_NOT_PUSHED;
	}
	return quirks;
}

const char *quirk_name(unsigned bit)
{
	static const char *const names[QUIRK_COUNT] = {
		"dispi",	 "rsm-sets-pe",	    "stray-debug-trap", "all-are-exceptions", "smm-exits",
		"int3-is-int-n", "vmrun-keeps-cr2", "v-intr-masking",	"dr7-not-loaded",     "db-without-dr6",
		"forgets-v-irq", "nrip-not-pushed", "shadow-not-loaded"};

	return names[bit];
}

bool quirk_boot_disk_is_invented(const char *boot_loader_name)
{
	return strcmp(boot_loader_name, "qemu") == 0;
}
