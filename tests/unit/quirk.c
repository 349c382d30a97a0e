/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/plan/quirk.c and core/quirk.c: emulators are recognised, machines have no quirks, and what a quirk asks for is
 * watched.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/quirk.h>
#include <x86/cpuid.h>
#include <x86/flags.h>

#include "tests/unit/spine.h"

#define RSDP 0xf5a00u

static char rsdp[20];

static int read_memory(struct firmware_memory *memory, paddr_t address, void *to, size_t length)
{
	(void)memory;
	if (address < RSDP || address - RSDP > sizeof(rsdp) || length > sizeof(rsdp) - (address - RSDP))
		return -EFAULT;
	memcpy(to, rsdp + (address - RSDP), length);
	return 0;
}

static struct firmware_memory memory = {.read = read_memory};

/* What a machine with this OEMID and this name of a hypervisor (NULL: none is present) has. */
static uint32_t find(const char *oem, const char *hypervisor, uint32_t vendor)
{
	struct fake_platform fake;
	struct cpuid_regs name = {0};
	uint32_t quirks;

	fake_platform_init(&fake, MIB(1));
	memcpy(rsdp + 9, oem, 6);
	fake_cpuid_set(&fake, CPUID_FEATURES, 0, (struct cpuid_regs){.ecx = hypervisor ? CPUID_1_ECX_HYPERVISOR : 0});
	if (hypervisor) {
		memcpy(&name.ebx, hypervisor, 4);
		memcpy(&name.ecx, hypervisor + 4, 4);
		memcpy(&name.edx, hypervisor + 8, 4);
		fake_cpuid_set(&fake, CPUID_HYPERVISOR, 0, name);
	}
	quirks = quirks_find(&fake.platform, &memory, RSDP, vendor);
	fake_platform_free(&fake);
	return quirks;
}

static void test_machines(void **state)
{
	(void)state;
	assert_int_equal(find("LENOVO", NULL, CPU_VENDOR_INTEL), 0);
	assert_int_equal(find("ALASKA", NULL, CPU_VENDOR_AMD), 0);
	assert_int_equal(find("\0\0\0\0\0", NULL, CPU_VENDOR_OTHER), 0);
	/* a hypervisor's, with the machine's own CPU */
	assert_int_equal(find("VMWARE", "VMwareVMware", CPU_VENDOR_INTEL), 0);
	assert_int_equal(find("LENOVO", "KVMKVMKVM\0\0", CPU_VENDOR_AMD), 0);
}

static void test_emulators(void **state)
{
	(void)state;
	assert_int_equal(find("BOCHS ", "TCGTCGTCGTCG", CPU_VENDOR_AMD),
			 QUIRK_DISPI | QUIRK_ALL_ARE_EXCEPTIONS | QUIRK_SMM_EXITS | QUIRK_INT3_IS_INT_N |
				 QUIRK_DR7_NOT_LOADED | QUIRK_FORGETS_V_IRQ | QUIRK_SHADOW_NOT_LOADED);
	assert_int_equal(find("BOCHS ", "KVMKVMKVM\0\0", CPU_VENDOR_INTEL), QUIRK_DISPI);
	assert_int_equal(find("VBOX  ", "VBoxVBoxVBox", CPU_VENDOR_INTEL), QUIRK_DISPI);
	assert_int_equal(find("BOCHS ", NULL, CPU_VENDOR_INTEL), QUIRK_DISPI | QUIRK_RSM_SETS_PE);
	assert_int_equal(find("BOCHS ", NULL, CPU_VENDOR_AMD), QUIRK_DISPI | QUIRK_STRAY_DEBUG_TRAP |
								       QUIRK_VMRUN_KEEPS_CR2 | QUIRK_V_INTR_MASKING |
								       QUIRK_DB_WITHOUT_DR6 | QUIRK_NRIP_NOT_PUSHED);
}

static void test_no_root_pointer(void **state)
{
	struct fake_platform fake;

	(void)state;
	fake_platform_init(&fake, MIB(1));
	fake_cpuid_set(&fake, CPUID_FEATURES, 0, (struct cpuid_regs){0});
	memcpy(rsdp + 9, "BOCHS ", 6);
	assert_int_equal(quirks_find(&fake.platform, &memory, 0, CPU_VENDOR_INTEL), 0);
	/* one that cannot be read */
	assert_int_equal(quirks_find(&fake.platform, &memory, RSDP + sizeof(rsdp), CPU_VENDOR_INTEL), 0);
	fake_platform_free(&fake);
}

static void test_names(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < QUIRK_COUNT; bit++) {
		assert_non_null(quirk_name(bit));
		for (unsigned other = 0; other < bit; other++)
			assert_string_not_equal(quirk_name(bit), quirk_name(other));
	}
}

static void test_boot_disk(void **state)
{
	(void)state;
	assert_true(quirk_boot_disk_is_invented("qemu"));
	assert_false(quirk_boot_disk_is_invented("GRUB 2.06-13+deb12u1"));
}

static void test_debug_trap(void **state)
{
	(void)state;
	assert_true(quirk_debug_trap_is_stray(QUIRK_STRAY_DEBUG_TRAP, 1, 2));
	assert_false(quirk_debug_trap_is_stray(QUIRK_STRAY_DEBUG_TRAP, 1, 2 | X86_FLAGS_TF));
	assert_false(quirk_debug_trap_is_stray(QUIRK_STRAY_DEBUG_TRAP, 3, 2));
	assert_false(quirk_debug_trap_is_stray(~QUIRK_STRAY_DEBUG_TRAP, 1, 2));
}

static void test_smi_command(void **state)
{
	static struct spine spine;
	struct vcpu *vcpu = &spine.fake.vcpu.vcpu;
	struct exit_detail detail = {.io = {.port = 0xb2, .size = 1}};

	(void)state;
	spine_init(&spine);
	fake_port_add(&spine.fake.platform, 0xb2, 1, NULL, NULL, NULL);
	spine.machine.smi_command = 0xb2;
	quirks_watch(vcpu);
	spine.fake.vm.quirks = QUIRK_RSM_SETS_PE;
	spine.machine.smi_command = 0;
	quirks_watch(vcpu);
	assert_int_equal(fake_intercepts_on(&spine.fake.vcpu), 0);
	spine.machine.smi_command = 0xb2;
	quirks_watch(vcpu);
	assert_int_equal(fake_intercepts_on(&spine.fake.vcpu), 1);
	assert_true(fake_intercept_on(&spine.fake.vcpu, INTERCEPT_PORT, 0xb2));
	/* both ways, to the machine */
	vcpu->gpr[GPR_RAX] = 0x5a;
	spine_exit(&spine, EXIT_IO, 2, &detail, NULL);
	assert_int_equal(fake_access_count(&spine.fake.platform, FAKE_PORT_OUT, 0xb2), 1);
	assert_int_equal(spine.fake.platform.access[0].value, 0x5a);
	detail.io.in = true;
	spine_exit(&spine, EXIT_IO, 2, &detail, NULL);
	assert_int_equal(fake_access_count(&spine.fake.platform, FAKE_PORT_IN, 0xb2), 1);
	assert_int_equal(vcpu->gpr[GPR_RAX], 0xff);
	/* somebody else's port */
	quirks_watch(vcpu);
	assert_true(spine_logged(&spine, "the SMI command port b2 cannot be watched: SMI command"));
	spine_free(&spine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machines),	cmocka_unit_test(test_emulators),
		cmocka_unit_test(test_no_root_pointer), cmocka_unit_test(test_names),
		cmocka_unit_test(test_boot_disk),	cmocka_unit_test(test_debug_trap),
		cmocka_unit_test(test_smi_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
