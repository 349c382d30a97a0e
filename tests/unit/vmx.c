/* SPDX-License-Identifier: BSD-2-Clause */
/* backends/vmx: capabilities, the exit path, details, registers, bitmaps, events, steps and EPT entries, without a CPU.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <platform/registers.h>
#include <platform/vmcs.h>
#include <undercroft/machine.h>
#include <x86/cpuid.h>
#include <x86/cr.h>
#include <x86/dr.h>
#include <x86/msr.h>

#include "backends/vmx/insn.h"
#include "backends/vmx/vmx.h"
#include "core/exit.h"
#include "tests/fakes/fake_backend.h"

#define CODE 0x8000ull

extern const struct backend_ops *const __start_backends[];
extern const struct backend_probe *const __start_backend_probes[];

/* --- the CPU --- */

uint64_t fake_vmcs[FAKE_VMCS_FIELDS];
void (*fake_vmcs_writing)(uint64_t field);
const uint8_t vmx_exit_entry[1];

uint64_t fake_cr[FAKE_CR_COUNT], fake_dr[FAKE_DR_COUNT];

static struct {
	unsigned invepts, invvpids, vmxons, vmclears, vmptrlds, nmi_unblocks;
	bool nmi_waits;
	int vmxon_error;
} cpu;

int vmx_insn_vmxon(paddr_t region)
{
	assert_int_equal(region & ~PAGE_MASK, 0);
	assert_true(fake_cr[4] & CR4_VMXE);
	assert_true(fake_cr[0] & CR0_NE);
	cpu.vmxons++;
	return cpu.vmxon_error;
}

int vmx_insn_vmclear(paddr_t vmcs)
{
	assert_int_equal(vmcs & ~PAGE_MASK, 0);
	cpu.vmclears++;
	return 0;
}

int vmx_insn_vmptrld(paddr_t vmcs)
{
	assert_int_equal(vmcs & ~PAGE_MASK, 0);
	cpu.vmptrlds++;
	return 0;
}

void vmx_insn_invept(uint64_t type, uint64_t eptp)
{
	(void)eptp;
	assert_int_equal(type, 2);
	cpu.invepts++;
}

void vmx_insn_invvpid(uint64_t type, uint16_t vpid)
{
	(void)vpid;
	assert_int_equal(type, 2);
	cpu.invvpids++;
}

void vmx_insn_host_tables(struct vmx_host_tables *out)
{
	*out = (struct vmx_host_tables){.gdt_base = 0x1000, .idt_base = 0x2000, .tr_base = 0x3000, .cs = 8, .tr = 0x18};
}

static struct vcpu *vcpu;

/* The NMI that the CPU has held back comes at once. */
void vmx_insn_nmi_unblock(void)
{
	cpu.nmi_unblocks++;
	if (cpu.nmi_waits)
		event_nmi_arrived(vcpu);
	cpu.nmi_waits = false;
}

void vmx_enter(struct vmx_vcpu *vmx)
{
	(void)vmx_exit(vmx);
}

/* --- the VM --- */

static struct fake_vm fake;
static struct machine machine;
static struct vmx_vcpu *vmx;
static const struct backend_ops *ops;
static char log_text[8192];
static unsigned handled_kind;
static enum verdict verdict;

static enum verdict handler(struct vcpu *v)
{
	handled_kind = v->exit.kind;
	return verdict;
}

/* allowed-1 settings above, allowed-0 below: what a CPU of 2013 says */
static void capabilities_set(void)
{
	fake_msr_set(&fake.platform, MSR_VMX_BASIC, VMX_BASIC_TRUE_CONTROLS | 0x12);
	fake_msr_set(&fake.platform, MSR_VMX_TRUE_PIN, 0x0000007f00000016);
	fake_msr_set(&fake.platform, MSR_VMX_TRUE_PROC, 0xfff9fffe04006172);
	fake_msr_set(&fake.platform, MSR_VMX_SECONDARY, 0x00007cff00000000);
	fake_msr_set(&fake.platform, MSR_VMX_TRUE_EXIT, 0x007fffff00036dfb);
	fake_msr_set(&fake.platform, MSR_VMX_TRUE_ENTRY, 0x0000ffff000011fb);
	fake_msr_set(&fake.platform, MSR_VMX_EPT_VPID_CAP, 0x00000f0106334141);
	fake_msr_set(&fake.platform, MSR_VMX_MISC, 0x5); /* the timer counts 32 ticks of the TSC */
	fake_msr_set(&fake.platform, MSR_VMX_CR0_FIXED0, 0x80000021);
	fake_msr_set(&fake.platform, MSR_VMX_CR4_FIXED0, 0x2000);
	fake_msr_set(&fake.platform, MSR_FEATURE_CONTROL, 5);
	fake_msr_set(&fake.platform, MSR_EFER, EFER_LME | EFER_LMA);
	fake_msr_set(&fake.platform, MSR_PAT, 0x0007040600070406);
}

static int setup(void **state)
{
	(void)state;
	ops = __start_backends[0];
	memset(&cpu, 0, sizeof(cpu));
	memset(fake_cr, 0, sizeof(fake_cr));
	memset(fake_dr, 0, sizeof(fake_dr));
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	fake_vmcs_writing = NULL;
	memset(log_text, 0, sizeof(log_text));
	fake_vm_init(&fake, MIB(16), MIB(8), 64);
	machine.tsc_mhz = 2000;
	machine.memory = (struct memory_map){.count = 1, .range = {{0, MIB(8), MEMORY_USABLE, 0}}};
	fake.vm.machine = &machine;
	fake.vm.backend = ops;
	fake.vm.caps = BACKEND_CAP_NRIP | BACKEND_CAP_NMI_EXITS;
	fake.log.ring = log_text;
	fake.log.ring_size = sizeof(log_text) - 1;
	capabilities_set();
	vmx = calloc(1, sizeof(*vmx));
	assert_non_null(vmx);
	vcpu = &vmx->vcpu;
	fake.vm.vcpu = vcpu;
	vcpu_init(vcpu, &fake.vm);
	assert_int_equal(ops->vcpu_init(vcpu), 0);
	assert_int_equal(ops->cpu_enable(vcpu), 0);
	for (unsigned i = 0; i < EXIT_KIND_COUNT; i++)
		vcpu->slot[i] = handler;
	verdict = VERDICT_RESUME;
	vmcs_write(VMCS_GUEST_RIP, CODE);
	vmcs_write(VMCS_GUEST_RFLAGS, X86_FLAGS_FIXED);
	vmcs_write(VMCS_GUEST_CS_ACCESS, 0x9b);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(vmx);
	fake_vm_free(&fake);
	return 0;
}

static void defaults_use(void)
{
	for (unsigned i = 0; i < EXIT_KIND_COUNT; i++)
		vcpu->slot[i] = exit_defaults[i];
}

static bool window_is_open(void)
{
	return vmcs_read(VMCS_PROCESSOR_CONTROLS) & VMCS_PROCESSOR_NMI_WINDOW;
}

static int leave_with(uint64_t reason)
{
	vmcs_write(VMCS_EXIT_REASON, reason);
	return vmx_exit(vmx);
}

/* --- controls.c, detect.c, vcpu.c --- */

static void test_feature_control(void **state)
{
	static const struct {
		uint64_t value, wanted;
		int result;
	} cases[] = {
		{0, 5, 0},
		{1, 0, -EACCES},
		{3, 0, -EACCES},
		{5, 5, 0},
		{7, 7, 0},
		{0xff07, 0xff07, 0},
		{0x60005, 0x60005, 0},
		{0x100005, 0x100005, 0},
		{0x60000, 0x60005, 0},
		{2, 7, 0},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t wanted = 0;

		assert_int_equal(vmx_feature_control(cases[i].value, &wanted), cases[i].result);
		assert_true(wanted == cases[i].wanted);
	}
}

static void test_adjust(void **state)
{
	uint32_t value;

	(void)state;
	assert_int_equal(vmx_control_adjust(0x000000ff00000016, 0x01, 0x08, &value), 0);
	assert_int_equal(value, 0x1f);
	assert_int_equal(vmx_control_adjust(0x000000f700000016, 0x08, 0x100, &value), 0x08);
	assert_int_equal(vmx_control_adjust(0x000000f700000016, 0x00, 0x108, &value), 0);
	assert_int_equal(value, 0x16);
}

static const char *refused(void)
{
	const char *why = NULL, *cure = NULL;
	int result = __start_backend_probes[0]->supported(&fake.platform.platform, &why, &cure);

	if (!result)
		return NULL;
	assert_int_equal(result, -ENODEV);
	assert_non_null(cure);
	return why;
}

static void test_supported(void **state)
{
	static const struct {
		uint32_t msr;
		uint64_t without;
		const char *word;
	} needs[] = {
		{MSR_VMX_BASIC, VMX_BASIC_TRUE_CONTROLS, "true"},
		{MSR_VMX_SECONDARY, (uint64_t)VMCS_SECONDARY_EPT << 32, "(EPT)"},
		{MSR_VMX_SECONDARY, (uint64_t)VMCS_SECONDARY_UNRESTRICTED_GUEST << 32, "unrestricted"},
		{MSR_VMX_SECONDARY, (uint64_t)VMCS_SECONDARY_VPID << 32, "virtual-processor"},
		{MSR_VMX_TRUE_PIN, (uint64_t)VMCS_PIN_NMI_EXITING << 32, "NMI exiting"},
		{MSR_VMX_TRUE_PIN, (uint64_t)VMCS_PIN_VIRTUAL_NMIS << 32, "virtual NMIs"},
		{MSR_VMX_TRUE_PROC, (uint64_t)VMCS_PROCESSOR_NMI_WINDOW << 32, "NMI-window"},
		{MSR_VMX_TRUE_EXIT, (uint64_t)VMCS_EXIT_SAVE_EFER << 32, "EFER"},
		{MSR_VMX_TRUE_ENTRY, (uint64_t)VMCS_ENTRY_LOAD_PAT << 32, "PAT"},
		{MSR_VMX_EPT_VPID_CAP, VMX_EPT_CAP_WB, "cached"},
		{MSR_VMX_EPT_VPID_CAP, VMX_EPT_CAP_INVVPID_ALL, "INVVPID"},
	};
	const char *why, *cure;

	(void)state;
	assert_int_equal(__start_backend_probes[0]->supported(&fake.platform.platform, &why, &cure), -ENOTSUP);
	fake_cpuid_set(&fake.platform, CPUID_VENDOR, 0,
		       (struct cpuid_regs){.ebx = 0x756e6547, .edx = 0x49656e69, .ecx = 0x6c65746e});
	assert_non_null(strstr(refused(), "shows no VMX"));
	fake_cpuid_set(&fake.platform, CPUID_FEATURES, 0, (struct cpuid_regs){.ecx = CPUID_1_ECX_VMX});
	assert_null(refused());
	fake_msr_set(&fake.platform, MSR_FEATURE_CONTROL, 1);
	assert_non_null(strstr(refused(), "locked off"));
	fake_msr_set(&fake.platform, MSR_FEATURE_CONTROL, 0);
	assert_null(refused());
	assert_int_equal(fake_msr_get(&fake.platform, MSR_FEATURE_CONTROL), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(needs); i++) {
		uint64_t value = fake_msr_get(&fake.platform, needs[i].msr);

		fake_msr_set(&fake.platform, needs[i].msr, value & ~needs[i].without);
		assert_non_null(strstr(refused(), needs[i].word));
		fake_msr_set(&fake.platform, needs[i].msr, value);
	}
	fake_msr_set(&fake.platform, MSR_VMX_TRUE_PROC, 0xfff9fffe0401e172);
	assert_non_null(strstr(refused(), "CR3"));
}

static void test_enable(void **state)
{
	(void)state;
	fake_msr_set(&fake.platform, MSR_FEATURE_CONTROL, 0x60000);
	assert_int_equal(ops->cpu_enable(vcpu), 0);
	assert_int_equal(fake_msr_get(&fake.platform, MSR_FEATURE_CONTROL), 0x60005);
	assert_true(vmcs_read(VMCS_LINK_POINTER) == ~0ull);
	assert_int_equal(vmcs_read(VMCS_VPID), 1);
	assert_int_equal(vmcs_read(VMCS_HOST_TR_SELECTOR), 0x18);
	assert_int_equal(vmcs_read(VMCS_CR0_MASK), CR0_NE);
	assert_int_equal(vmcs_read(VMCS_CR4_MASK), CR4_VMXE);
	assert_int_equal(vmcs_read(VMCS_SECONDARY_CONTROLS), 0x10aa);
	/* what the CPU insists on, NMI exiting and virtual NMIs; no window yet, no timer */
	assert_int_equal(vmcs_read(VMCS_PIN_CONTROLS), 0x16 | VMCS_PIN_NMI_EXITING | VMCS_PIN_VIRTUAL_NMIS);
	assert_false(vmcs_read(VMCS_PROCESSOR_CONTROLS) & VMCS_PROCESSOR_NMI_WINDOW);
	assert_false(vmcs_read(VMCS_EXIT_CONTROLS) & VMCS_EXIT_SAVE_TIMER);
	/* a machine check in our code is ours, whatever the guest's CR4 says */
	assert_false(vmcs_read(VMCS_HOST_CR4) & CR4_MCE);
	fake_cpuid_set(&fake.platform, CPUID_FEATURES, 0, (struct cpuid_regs){.edx = CPUID_1_EDX_MCE});
	assert_int_equal(ops->cpu_enable(vcpu), 0);
	assert_true(vmcs_read(VMCS_HOST_CR4) & CR4_MCE);
	assert_false(vmcs_read(VMCS_GUEST_CR4) & CR4_MCE);
	cpu.vmxon_error = -EIO;
	assert_int_equal(ops->cpu_enable(vcpu), -EIO);
	fake_msr_set(&fake.platform, MSR_FEATURE_CONTROL, 1);
	cpu.vmxon_error = 0;
	assert_int_equal(ops->cpu_enable(vcpu), -EIO);
}

/* --- run.c --- */

static void test_kinds(void **state)
{
	static const struct {
		uint64_t reason;
		unsigned kind;
	} kinds[] = {
		{1, EXIT_INTR},
		{7, EXIT_UNKNOWN},
		{8, EXIT_WINDOW},
		{52, EXIT_TIMER},
		{0x80000029, EXIT_MACHINE_CHECK},
		{2, EXIT_SHUTDOWN},
		{3, EXIT_INIT},
		{10, EXIT_CPUID},
		{11, EXIT_VIRT_INSN},
		{13, EXIT_INVD},
		{18, EXIT_HYPERCALL},
		{19, EXIT_VIRT_INSN},
		{27, EXIT_VIRT_INSN},
		{28, EXIT_CR},
		{29, EXIT_DR},
		{30, EXIT_IO},
		{31, EXIT_MSR},
		{32, EXIT_MSR},
		{48, EXIT_NESTED},
		{49, EXIT_UNKNOWN},
		{50, EXIT_VIRT_INSN},
		{53, EXIT_VIRT_INSN},
		{55, EXIT_XSETBV},
		{63, EXIT_UNKNOWN},
		/* instructions of later CPUs */
		{64, EXIT_VIRT_INSN},
		{76, EXIT_VIRT_INSN},
		{77, EXIT_VIRT_INSN},
		{0xffff, EXIT_VIRT_INSN},
		/* out of an enclave */
		{0x08000001, EXIT_INTR},
		{0x08000030, EXIT_NESTED},
		{0x08000007, EXIT_UNKNOWN},
		{12, EXIT_UNKNOWN},
		{0x80000021, EXIT_INVALID},
		{0x80000022, EXIT_INVALID},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		(void)leave_with(kinds[i].reason);
		assert_int_equal(handled_kind, kinds[i].kind);
	}
	vmcs_write(VMCS_EXIT_INTR_INFO, 0x80000b0e);
	(void)leave_with(0);
	assert_int_equal(handled_kind, EXIT_EXCEPTION);
	vmcs_write(VMCS_EXIT_INTR_INFO, 0x80000202);
	(void)leave_with(0x08000000);
	assert_int_equal(handled_kind, EXIT_NMI);
	assert_false(vcpu->events.nmi);
}

static void test_nmi_is_given_back(void **state)
{
	(void)state;
	defaults_use();
	vmcs_write(VMCS_EXIT_INTR_INFO, 0x80000202);
	(void)leave_with(0);
	assert_int_equal(vcpu->exit.kind, EXIT_NMI);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000202);
	assert_false(window_is_open());

	/* while the guest blocks them, the next one waits for the window */
	vmcs_write(VMCS_ENTRY_INTR_INFO, 0);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, VMCS_BLOCKING_NMI);
	(void)leave_with(0);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0);
	assert_true(window_is_open());
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, 0);
	(void)leave_with(VMX_EXIT_NMI_WINDOW);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000202);
	assert_false(window_is_open());
	assert_null(vcpu->fatal);
}

/* Two in a row: the exit takes one, and the one that the CPU held back meanwhile waits for that one's IRET. */
static void test_nmi_behind_an_nmi(void **state)
{
	(void)state;
	defaults_use();
	cpu.nmi_waits = true;
	vmcs_write(VMCS_EXIT_INTR_INFO, 0x80000202);
	(void)leave_with(0);
	assert_int_equal(cpu.nmi_unblocks, 1);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000202);
	assert_true(window_is_open());
	vmcs_write(VMCS_ENTRY_INTR_INFO, 0);
	(void)leave_with(VMX_EXIT_NMI_WINDOW);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000202);
	assert_false(window_is_open());
	assert_int_equal(cpu.nmi_unblocks, 1);
	assert_null(vcpu->fatal);
}

/* In STI's shadow core waits, and the CPU has to: MOV SS' shadow holds the window off in each of them. */
static void test_nmi_in_a_shadow(void **state)
{
	(void)state;
	defaults_use();
	vmcs_write(VMCS_EXIT_INTR_INFO, 0x80000202);
	vmcs_write(VMCS_GUEST_RFLAGS, X86_FLAGS_FIXED | X86_FLAGS_IF);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, VMCS_BLOCKING_STI);
	(void)leave_with(0);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0);
	assert_true(window_is_open());
	(void)leave_with(VMX_EXIT_NMI_WINDOW);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), VMCS_BLOCKING_MOV_SS);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, 0);
	(void)leave_with(VMX_EXIT_NMI_WINDOW);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000202);
	assert_false(window_is_open());
}

/* One whose delivery an exit interrupted blocks NMIs already, which the entry that delivers it again must not find. */
static void test_nmi_is_delivered_again(void **state)
{
	(void)state;
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, VMCS_BLOCKING_NMI);
	vmcs_write(VMCS_IDT_VECTORING_INFO, 0x80000202);
	(void)leave_with(VMX_EXIT_EPT_VIOLATION);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000202);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), 0);
	/* another event leaves the blocking alone */
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, VMCS_BLOCKING_NMI);
	vmcs_write(VMCS_IDT_VECTORING_INFO, 0x80000020);
	(void)leave_with(VMX_EXIT_EPT_VIOLATION);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), VMCS_BLOCKING_NMI);
}

/* An IRET that exited after it had ended the blocking has not ended it. */
static void test_iret_interrupted(void **state)
{
	(void)state;
	vmcs_write(VMCS_EXIT_QUALIFICATION, 0x1000 | 0x181);
	(void)leave_with(VMX_EXIT_EPT_VIOLATION);
	ops->decode_detail(vcpu);
	assert_int_equal(ops->reg_get(vcpu, REG_NMI_BLOCKED), 1);
	ops->reg_set(vcpu, REG_NMI_BLOCKED, 0);
	/* nothing is defined during a delivery */
	vmcs_write(VMCS_IDT_VECTORING_INFO, 0x80000020);
	ops->decode_detail(vcpu);
	assert_int_equal(ops->reg_get(vcpu, REG_NMI_BLOCKED), 0);
	vmcs_write(VMCS_IDT_VECTORING_INFO, 0);
	/* a fault of it, and a double fault */
	vmcs_write(VMCS_EXIT_INTR_INFO, 0x80001b0d);
	(void)leave_with(VMX_EXIT_EXCEPTION);
	ops->decode_detail(vcpu);
	assert_int_equal(ops->reg_get(vcpu, REG_NMI_BLOCKED), 1);
	ops->reg_set(vcpu, REG_NMI_BLOCKED, 0);
	vmcs_write(VMCS_EXIT_INTR_INFO, 0x80001b08);
	(void)leave_with(VMX_EXIT_EXCEPTION);
	ops->decode_detail(vcpu);
	assert_int_equal(ops->reg_get(vcpu, REG_NMI_BLOCKED), 0);
}

/* --- what arrives while our code runs --- */

static unsigned arrive_at;

/* The host's NMI handler, between two instructions around a write of the processor controls. */
static void nmi_between(uint64_t field)
{
	if (field == VMCS_PROCESSOR_CONTROLS && arrive_at && --arrive_at == 0)
		event_nmi_arrived(vcpu);
}

static void test_arrival_opens_the_window(void **state)
{
	(void)state;
	defaults_use();
	/* behind the last look at anything */
	event_nmi_arrived(vcpu);
	assert_true(window_is_open());
	assert_int_equal(vcpu->work, 0);
	(void)leave_with(VMX_EXIT_NMI_WINDOW);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000202);
	assert_false(window_is_open());
	/* before there is a VMCS: the window opens when there is one */
	vmx->current = false;
	event_nmi_arrived(vcpu);
	assert_false(window_is_open());
	assert_int_equal(ops->cpu_enable(vcpu), 0);
	assert_true(window_is_open());
}

/* Wherever between the instructions that close the window it comes, it ends with an open one. */
static void test_arrival_while_the_window_closes(void **state)
{
	(void)state;
	for (unsigned at = 1; at <= 2; at++) {
		defaults_use();
		event_nmi_arrived(vcpu);
		(void)event_arrivals_collect(vcpu);
		vmcs_write(VMCS_ENTRY_INTR_INFO, 0);
		fake_vmcs_writing = nmi_between;
		arrive_at = at;
		(void)leave_with(VMX_EXIT_NMI_WINDOW);
		fake_vmcs_writing = NULL;
		assert_int_equal(arrive_at, 0);
		assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000202);
		assert_true(window_is_open());
		(void)leave_with(VMX_EXIT_NMI_WINDOW);
		assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000202);
		assert_false(window_is_open());
	}
	assert_null(vcpu->fatal);
}

/* The entry did nothing: its event comes first, the machine check as soon as the guest has taken it. */
static void test_machine_check_on_entry(void **state)
{
	(void)state;
	defaults_use();
	ops->reg_set(vcpu, REG_CR4, CR4_MCE);
	vmcs_write(VMCS_IDT_VECTORING_INFO, 0x80000031); /* of the exit before */
	vmcs_write(VMCS_ENTRY_INTR_INFO, 0x80000b0e);
	vmcs_write(VMCS_ENTRY_EXCEPTION_ERROR, 7);
	vmcs_write(VMCS_GUEST_CR0, CR0_PE | CR0_NE);
	(void)leave_with(0x80000029);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000b0e);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EXCEPTION_ERROR), 7);
	assert_true(window_is_open());
	vmcs_write(VMCS_IDT_VECTORING_INFO, 0);
	vmcs_write(VMCS_ENTRY_INTR_INFO, 0);
	(void)leave_with(VMX_EXIT_NMI_WINDOW);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000312);
	assert_false(window_is_open());
	/* and without one */
	vmcs_write(VMCS_IDT_VECTORING_INFO, 0x80000031);
	vmcs_write(VMCS_ENTRY_INTR_INFO, 0);
	(void)leave_with(0x80000029);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000312);
	assert_null(vcpu->fatal);
}

/* The state was refused: what was to be delivered is by the next entry, which is a launch again. */
static void test_refused_entry_is_undone(void **state)
{
	(void)state;
	vmcs_write(VMCS_GUEST_CR0, CR0_PE | CR0_NE);
	vmcs_write(VMCS_IDT_VECTORING_INFO, 0x80000031);
	vmcs_write(VMCS_ENTRY_INTR_INFO, 0x80000b0e);
	vmcs_write(VMCS_ENTRY_EXCEPTION_ERROR, 7);
	cpu.vmclears = cpu.vmptrlds = 0;
	(void)leave_with(0x80000021);
	assert_int_equal(handled_kind, EXIT_INVALID);
	assert_null(vcpu->fatal);
	assert_false(vmx->launched);
	assert_int_equal(cpu.vmclears, 1);
	assert_int_equal(cpu.vmptrlds, 1);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000b0e);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EXCEPTION_ERROR), 7);
	vmcs_write(VMCS_IDT_VECTORING_INFO, 0);
	vmcs_write(VMCS_ENTRY_INTR_INFO, 0);
	(void)leave_with(10);
	assert_true(vmx->launched);
	/* VMfail: what was changed meanwhile is what the next entry has */
	vcpu->rip = 0x1234;
	vcpu->rflags = X86_FLAGS_FIXED | X86_FLAGS_IF;
	vcpu->gpr[GPR_RSP] = 0x5678;
	assert_int_equal(vmx_entry_failed(vmx), 0);
	assert_int_equal(vmcs_read(VMCS_GUEST_RIP), 0x1234);
	assert_int_equal(vmcs_read(VMCS_GUEST_RFLAGS), X86_FLAGS_FIXED | X86_FLAGS_IF);
	assert_int_equal(vmcs_read(VMCS_GUEST_RSP), 0x5678);
}

/* --- the timer, CPUID --- */

static void test_timer(void **state)
{
	const uint32_t pin = VMCS_PIN_TIMER, exit = VMCS_EXIT_SAVE_TIMER;

	(void)state;
	assert_true(ops->caps(&fake.platform.platform) & BACKEND_CAP_TIMER);
	assert_int_equal(ops->timer(vcpu, 100000), 0);
	assert_int_equal(vmcs_read(VMCS_PREEMPTION_TIMER), 100000 * 2000 / 32);
	assert_true(vmcs_read(VMCS_PIN_CONTROLS) & pin && vmcs_read(VMCS_EXIT_CONTROLS) & exit);
	/* steps leave it on */
	ops->step(vcpu, true);
	ops->step(vcpu, false);
	assert_true(vmcs_read(VMCS_PIN_CONTROLS) & pin && vmcs_read(VMCS_EXIT_CONTROLS) & exit);
	/* once, and then it costs nothing */
	(void)leave_with(VMX_EXIT_TIMER);
	assert_int_equal(handled_kind, EXIT_TIMER);
	assert_false(vmcs_read(VMCS_PIN_CONTROLS) & pin || vmcs_read(VMCS_EXIT_CONTROLS) & exit);
	assert_int_equal(ops->timer(vcpu, UINT64_MAX), 0);
	assert_int_equal(vmcs_read(VMCS_PREEMPTION_TIMER), UINT32_MAX);
	assert_int_equal(ops->timer(vcpu, 0), 0);
	assert_false(vmcs_read(VMCS_PIN_CONTROLS) & pin || vmcs_read(VMCS_EXIT_CONTROLS) & exit);

	/* both controls or none */
	fake_msr_set(&fake.platform, MSR_VMX_TRUE_EXIT, 0x003fffff00036dfb);
	assert_false(ops->caps(&fake.platform.platform) & BACKEND_CAP_TIMER);
	assert_int_equal(ops->cpu_enable(vcpu), 0);
	assert_int_equal(ops->timer(vcpu, 1), -ENOTSUP);
	assert_false(vmcs_read(VMCS_PIN_CONTROLS) & pin);
}

static void test_cpuid_hidden(void **state)
{
	static const struct {
		uint8_t gpr;
		uint32_t bits;
	} always[] = {{GPR_RAX, 1u << 27}, {GPR_RBX, 1 << 1}, {GPR_RCX, 1 << 5}, {GPR_RDX, 1 << 15}};
	struct cpuid_hidden hidden[VM_CPUID_MAX];

	(void)state;
	/* what no control stands for: of leaf 7.1, MSRLIST, PBNDKB, MSR_IMM, USER_MSR */
	fake_msr_set(&fake.platform, MSR_VMX_SECONDARY, 0x0c1010aa00000000);
	assert_int_equal(ops->cpuid_hidden(&fake.platform.platform, hidden, VM_CPUID_MAX), ARRAY_SIZE(always));
	for (unsigned i = 0; i < ARRAY_SIZE(always); i++) {
		assert_int_equal(hidden[i].leaf, 7);
		assert_int_equal(hidden[i].subleaf, 1);
		assert_int_equal(hidden[i].gpr, always[i].gpr);
		assert_int_equal(hidden[i].bits, always[i].bits);
	}
	/* no RDTSCP, and so no RDPID; XSAVES */
	fake_msr_set(&fake.platform, MSR_VMX_SECONDARY, 0x0c0010a200000000);
	assert_int_equal(ops->cpuid_hidden(&fake.platform.platform, hidden, VM_CPUID_MAX), 3 + 4);
	assert_int_equal(hidden[0].leaf, 0x80000001);
	assert_int_equal(hidden[0].gpr, GPR_RDX);
	assert_int_equal(hidden[0].bits, 1 << 27);
	assert_int_equal(hidden[1].leaf, 7);
	assert_int_equal(hidden[1].gpr, GPR_RCX);
	assert_int_equal(hidden[1].bits, 1 << 22);
	assert_int_equal(hidden[2].leaf, 0xd);
	assert_int_equal(hidden[2].subleaf, 1);
	assert_int_equal(hidden[2].bits, 1 << 3);
	assert_int_equal(ops->cpuid_hidden(&fake.platform.platform, hidden, 2), 2);
	/* all of them */
	fake_msr_set(&fake.platform, MSR_VMX_SECONDARY, 0x000000a200000000);
	assert_int_equal(ops->cpuid_hidden(&fake.platform.platform, hidden, VM_CPUID_MAX), 6 + 4);
}

static void test_exit_writes_what_changed(void **state)
{
	(void)state;
	verdict = VERDICT_SKIP_INSN;
	vmcs_write(VMCS_EXIT_INSTRUCTION_LENGTH, 2);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, VMCS_BLOCKING_STI | VMCS_BLOCKING_NMI);
	(void)leave_with(VMX_EXIT_CPUID);
	assert_int_equal(vmcs_read(VMCS_GUEST_RIP), CODE + 2);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), VMCS_BLOCKING_NMI);
	verdict = VERDICT_RESUME;
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, VMCS_BLOCKING_STI);
	(void)leave_with(VMX_EXIT_CPUID);
	assert_int_equal(vmcs_read(VMCS_GUEST_RIP), CODE + 2);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), VMCS_BLOCKING_STI);
	/* a breakpoint that MOV SS hit is due behind an instruction that we carried out; the trap is ours to raise */
	verdict = VERDICT_SKIP_INSN;
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, VMCS_BLOCKING_MOV_SS);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, 0x1001 | VMCS_PENDING_BS);
	(void)leave_with(VMX_EXIT_CPUID);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), 0);
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), 0x1001);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, VMCS_BLOCKING_STI);
	/* the trap that the shadow holds off ends with it, another does not */
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, VMCS_PENDING_BS);
	ops->reg_set(vcpu, REG_INTERRUPT_SHADOW, 0);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), 0);
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), 0);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, 1);
	ops->reg_set(vcpu, REG_INTERRUPT_SHADOW, 0);
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), 1);
}

static void test_pending_debug(void **state)
{
	(void)state;
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, VMCS_PENDING_BS);
	(void)leave_with(VMX_EXIT_EPT_VIOLATION);
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), VMCS_PENDING_BS);
	vmcs_write(VMCS_GUEST_RFLAGS, X86_FLAGS_FIXED | X86_FLAGS_TF);
	(void)leave_with(VMX_EXIT_EPT_VIOLATION);
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), 0);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, VMCS_BLOCKING_MOV_SS);
	(void)leave_with(VMX_EXIT_EPT_VIOLATION);
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), VMCS_PENDING_BS);
	/* with BTF it waits for a branch */
	vmcs_write(VMCS_GUEST_DEBUGCTL, DEBUGCTL_BTF);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, 0);
	(void)leave_with(VMX_EXIT_EPT_VIOLATION);
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), 0);
	vmcs_write(VMCS_GUEST_DEBUGCTL, 0);
}

static void test_detail(void **state)
{
	(void)state;
	vcpu->gpr[GPR_RCX] = 0x1c0000080;
	(void)leave_with(VMX_EXIT_WRMSR);
	ops->decode_detail(vcpu);
	assert_int_equal(vcpu->detail.msr.index, 0xc0000080);
	assert_true(vcpu->detail.msr.write);
	vmcs_write(VMCS_EXIT_QUALIFICATION, 0x3f8003b); /* rep insd from 3f8h */
	(void)leave_with(VMX_EXIT_IO);
	ops->decode_detail(vcpu);
	assert_int_equal(vcpu->detail.io.port, 0x3f8);
	assert_int_equal(vcpu->detail.io.size, 4);
	assert_true(vcpu->detail.io.in && vcpu->detail.io.string && vcpu->detail.io.rep);
	vmcs_write(VMCS_EXIT_QUALIFICATION, 0x1aa);
	vmcs_write(VMCS_GUEST_PHYSICAL_ADDRESS, 0x12345);
	(void)leave_with(VMX_EXIT_EPT_VIOLATION);
	ops->decode_detail(vcpu);
	assert_true(vcpu->detail.nested.gpa == 0x12345);
	assert_int_equal(vcpu->detail.nested.access, ACCESS_WRITE);
	assert_true(vcpu->detail.nested.present && !vcpu->detail.nested.table_walk);
	vmcs_write(VMCS_EXIT_QUALIFICATION, 0x81);
	ops->decode_detail(vcpu);
	assert_true(!vcpu->detail.nested.present && vcpu->detail.nested.table_walk);
	vcpu->gpr[GPR_RBX] = 0xffffffff80050033;
	vmcs_write(VMCS_EXIT_QUALIFICATION, 0x300);
	(void)leave_with(VMX_EXIT_CR);
	ops->decode_detail(vcpu);
	assert_int_equal(vcpu->detail.cr.number, 0);
	assert_true(vcpu->detail.cr.value == 0x80050033 && vcpu->detail.cr.owned == CR0_NE);
}

/* SDM vol. 3, table 27-2; what leads through a task gate is a delivery like any other. */
static void test_task_switch(void **state)
{
	static const uint8_t sources[] = {TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE};

	(void)state;
	defaults_use();
	for (unsigned i = 0; i < ARRAY_SIZE(sources); i++) {
		vmcs_write(VMCS_EXIT_QUALIFICATION, i << 30 | 0xfff8);
		vmcs_write(VMCS_IDT_VECTORING_INFO, i == 3 ? 0x80000b0d : 0);
		(void)leave_with(VMX_EXIT_TASK_SWITCH);
		assert_int_equal(vcpu->exit.kind, EXIT_TASK_SWITCH);
		assert_int_equal(vcpu->detail.task.selector, 0xfff8);
		assert_int_equal(vcpu->detail.task.source, sources[i]);
		/* there is no such task: #TS, #GP, and during #GP a double fault */
		assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO) & 0xff, i == 3 ? 8 : i == 1 ? 10 : 13);
	}
}

static void test_debug_exception_sets_dr6(void **state)
{
	(void)state;
	vmcs_write(VMCS_EXIT_INTR_INFO, 0x80000301);
	vmcs_write(VMCS_EXIT_QUALIFICATION, 0x4001);
	vmcs_write(VMCS_GUEST_DR7, 0x400 | DR7_GD);
	fake_dr[6] = 0xffff0ff0;
	(void)leave_with(VMX_EXIT_EXCEPTION);
	ops->decode_detail(vcpu);
	assert_int_equal(vcpu->detail.exception.vector, 1);
	assert_true(fake_dr[6] == 0xffff4ff1);
	assert_int_equal(vmcs_read(VMCS_GUEST_DR7), 0x400);
}

/* --- regs.c --- */

static void test_registers(void **state)
{
	(void)state;
	ops->reg_set(vcpu, REG_CR0, CR0_ET);
	assert_int_equal(vmcs_read(VMCS_GUEST_CR0), CR0_ET | CR0_NE);
	assert_int_equal(ops->reg_get(vcpu, REG_CR0), CR0_ET);
	/* what the guest changed by itself is seen, but for the owned bit */
	vmcs_write(VMCS_GUEST_CR0, CR0_PE | CR0_ET | CR0_NE);
	assert_int_equal(ops->reg_get(vcpu, REG_CR0), CR0_PE | CR0_ET);
	ops->reg_set(vcpu, REG_CR4, CR4_PAE);
	assert_int_equal(vmcs_read(VMCS_GUEST_CR4), CR4_PAE | CR4_VMXE);
	assert_int_equal(ops->reg_get(vcpu, REG_CR4), CR4_PAE);
	ops->reg_set(vcpu, REG_EFER, EFER_LME | EFER_LMA);
	assert_true(vmcs_read(VMCS_ENTRY_CONTROLS) & VMCS_ENTRY_LONG_MODE);
	ops->reg_set(vcpu, REG_EFER, EFER_LME);
	assert_false(vmcs_read(VMCS_ENTRY_CONTROLS) & VMCS_ENTRY_LONG_MODE);
	ops->reg_set(vcpu, REG_INTERRUPT_SHADOW, 1);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), VMCS_BLOCKING_MOV_SS);
	vcpu->rflags |= X86_FLAGS_IF;
	ops->reg_set(vcpu, REG_INTERRUPT_SHADOW, 1);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), VMCS_BLOCKING_STI);
}

/* The CPU takes the PDPTEs from the VMCS: what we write to CR3 loads them, as the guest's own MOV would. */
static void test_pdptes(void **state)
{
	uint64_t *table = fake_memory_at(&fake.platform, 0x12340, 32);

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		table[i] = 0x100001 + 0x1000 * i;
	ops->reg_set(vcpu, REG_CR3, 0x12345);
	ops->reg_set(vcpu, REG_CR0, CR0_PE | CR0_PG);
	assert_int_equal(vmcs_read(VMCS_GUEST_PDPTE0), 0);
	ops->reg_set(vcpu, REG_CR4, CR4_PAE);
	for (unsigned i = 0; i < 4; i++)
		assert_true(vmcs_read(VMCS_GUEST_PDPTE0 + 2 * i) == 0x100001 + 0x1000 * i);
	/* the guest's memory moves on, its registers do not: a write that does not load them leaves them alone */
	table[0] = 0x200001;
	ops->reg_set(vcpu, REG_CR0, CR0_PE | CR0_PG | CR0_NE);
	ops->reg_set(vcpu, REG_CR4, CR4_PAE | CR4_MCE);
	assert_true(vmcs_read(VMCS_GUEST_PDPTE0) == 0x100001);
	ops->reg_set(vcpu, REG_CR4, CR4_PAE | CR4_PGE);
	assert_true(vmcs_read(VMCS_GUEST_PDPTE0) == 0x200001);
	table[0] = 0x300001;
	ops->reg_set(vcpu, REG_CR3, 0x12340);
	assert_true(vmcs_read(VMCS_GUEST_PDPTE0) == 0x300001);
	/* one that an entry would refuse */
	table[3] = 0x300003;
	ops->reg_set(vcpu, REG_CR3, 0x12340);
	assert_true(vmcs_read(VMCS_GUEST_PDPTE0 + 6) == 0);
	/* long mode has none */
	ops->reg_set(vcpu, REG_EFER, EFER_LME | EFER_LMA);
	table[0] = 0x400001;
	ops->reg_set(vcpu, REG_CR3, 0x12340);
	assert_true(vmcs_read(VMCS_GUEST_PDPTE0) == 0x300001);
}

static void test_segments(void **state)
{
	struct segment segment = {.base = 0x12340, .limit = 0xffffffff, .selector = 8, .attributes = 0xa9b}, back;

	(void)state;
	for (enum seg seg = 0; seg < SEG_COUNT; seg++) {
		ops->seg_set(vcpu, seg, &segment);
		ops->seg_get(vcpu, seg, &back);
		assert_memory_equal(&segment, &back, sizeof(back));
	}
	assert_int_equal(vmcs_read(VMCS_GUEST_CS_ACCESS), 0xa09b);
	segment.attributes = 0;
	ops->seg_set(vcpu, SEG_FS, &segment);
	assert_int_equal(vmcs_read(VMCS_GUEST_ES_ACCESS + 8), VMCS_ACCESS_UNUSABLE);
	ops->seg_get(vcpu, SEG_FS, &back);
	assert_int_equal(back.attributes & SEG_ATTR_PRESENT, 0);
}

/* --- intercept.c, event.c, nested.c, dump.c --- */

static void test_bitmaps(void **state)
{
	(void)state;
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_MSR_READ, 0x3a, true), 0);
	assert_int_equal(vmx->msrpm[7], 4);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_MSR_READ, 0xc0000080, true), 0);
	assert_int_equal(vmx->msrpm[0x400 + 16], 1);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_MSR_WRITE, 0x1fff, true), 0);
	assert_int_equal(vmx->msrpm[0x800 + 0x3ff], 0x80);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_MSR_WRITE, 0xc0001fff, true), 0);
	assert_int_equal(vmx->msrpm[0xfff], 0x80);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_MSR_WRITE, 0xc0010114, true), 0); /* exits anyway */
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_PORT, 0xffff, true), 0);
	assert_int_equal(vmx->iopm[0x1fff], 0x80);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_PORT, 0x10000, true), -EINVAL);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_EXCEPTION, 13, true), 0);
	assert_int_equal(vmcs_read(VMCS_EXCEPTION_BITMAP), 1 << 13);
}

static void test_paging_exits(void **state)
{
	(void)state;
	ops->reg_set(vcpu, REG_CR0, 0x80000011);
	ops->reg_set(vcpu, REG_CR4, 0x20);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_PAGING, 0, true), 0);
	assert_int_equal(vmcs_read(VMCS_PROCESSOR_CONTROLS) & 0x8200, 0x8200);
	assert_true(vmcs_read(VMCS_CR0_MASK) == 0x80000020);
	assert_true(vmcs_read(VMCS_CR4_MASK) == 0x3030);
	/* what the guest reads is what is there */
	assert_true(vmcs_read(VMCS_CR0_SHADOW) == 0x80000011);
	assert_true(vmcs_read(VMCS_CR4_SHADOW) == 0x20);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_PAGING, 0, false), 0);
	assert_int_equal(vmcs_read(VMCS_PROCESSOR_CONTROLS) & 0x8200, 0);
	assert_true(vmcs_read(VMCS_CR0_MASK) == 0x20);
	assert_true(vmcs_read(VMCS_CR4_MASK) == 0x2000);
	assert_true(ops->reg_get(vcpu, REG_CR0) == 0x80000011);
	assert_true(ops->reg_get(vcpu, REG_CR4) == 0x20);
}

static void test_debug_register_exits(void **state)
{
	(void)state;
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_DR, 0, true), 0);
	assert_int_equal(vmcs_read(VMCS_PROCESSOR_CONTROLS) & 1 << 23, 1 << 23);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_PAGING, 0, true), 0);
	assert_int_equal(vmcs_read(VMCS_PROCESSOR_CONTROLS) & 1 << 23, 1 << 23);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_DR, 0, false), 0);
	assert_int_equal(vmcs_read(VMCS_PROCESSOR_CONTROLS) & 1 << 23, 0);
}

/* As single_begin() and single_end() have it. */
static void step(bool on)
{
	vcpu->single.active = on;
	if (on)
		vcpu->single.rip = vcpu->rip;
	ops->step(vcpu, on);
}

static void test_step(void **state)
{
	(void)state;
	vcpu->rip = CODE;
	vcpu->rflags = X86_FLAGS_FIXED;
	step(true);
	assert_true(vcpu->rflags & X86_FLAGS_TF);
	assert_int_equal(vmcs_read(VMCS_EXCEPTION_BITMAP), 0xffffffff);
	assert_int_equal(vmcs_read(VMCS_PIN_CONTROLS) & 9, 8);
	step(false);
	assert_int_equal(vmcs_read(VMCS_EXCEPTION_BITMAP), 0);
	assert_int_equal(vmcs_read(VMCS_PIN_CONTROLS) & 9, 8);
	/* interrupts that the guest could take wait */
	vcpu->rflags = X86_FLAGS_FIXED | X86_FLAGS_IF;
	step(true);
	assert_int_equal(vmcs_read(VMCS_PIN_CONTROLS) & 9, 8);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), VMCS_BLOCKING_MOV_SS);
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), VMCS_PENDING_BS);
	step(false);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), 0);
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), 0);
	/* STI's shadow is given back */
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, VMCS_BLOCKING_STI);
	step(true);
	assert_int_equal(vmcs_read(VMCS_PIN_CONTROLS) & 9, 8);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), VMCS_BLOCKING_MOV_SS);
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), VMCS_PENDING_BS);
	step(false);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), VMCS_BLOCKING_STI);
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), 0);
	/* and MOV SS', with the breakpoint that it hit: B1 and "enabled breakpoint" */
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, VMCS_BLOCKING_MOV_SS);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, 0x1002);
	step(true);
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), 0x1002 | VMCS_PENDING_BS);
	step(false);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), VMCS_BLOCKING_MOV_SS);
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), 0x1002);
	/* what the instruction has left behind stays; what was asked for meanwhile comes */
	step(true);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_EXCEPTION, 3, true), 0);
	assert_int_equal(vmcs_read(VMCS_EXCEPTION_BITMAP), 0xffffffff);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, VMCS_BLOCKING_STI);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, 0);
	vcpu->rip++;
	step(false);
	assert_int_equal(vmcs_read(VMCS_EXCEPTION_BITMAP), 1 << 3);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), VMCS_BLOCKING_STI);
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), 0);
}

static void test_debugctl(void **state)
{
	(void)state;
	ops->debugctl_set(vcpu, DEBUGCTL_BTF);
	assert_int_equal(vmcs_read(VMCS_GUEST_DEBUGCTL), DEBUGCTL_BTF);
	assert_int_equal(ops->debugctl_get(vcpu), DEBUGCTL_BTF);
}

static void test_events(void **state)
{
	(void)state;
	vmcs_write(VMCS_GUEST_CR0, CR0_PE | CR0_NE);
	ops->inject(vcpu,
		    &(struct event){
			    .type = EVENT_EXCEPTION, .vector = 14, .has_error = true, .error = 7, .address = 0x999});
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000b0e);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EXCEPTION_ERROR), 7);
	assert_int_equal(fake_cr[2], 0x999);
	ops->inject(vcpu, &(struct event){.type = EVENT_SOFT_INTR, .vector = 0x15, .length = 2});
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000415);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INSTRUCTION_LENGTH), 2);
	ops->inject(vcpu, &(struct event){.type = EVENT_SOFT_EXCEPT, .vector = 3, .length = 1});
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x80000603);
	/* no error code in real mode, whatever the emulator says */
	vmcs_write(VMCS_GUEST_CR0, CR0_NE);
	vmcs_write(VMCS_IDT_VECTORING_INFO, 0x80000b0d);
	(void)leave_with(VMX_EXIT_EPT_VIOLATION);
	assert_int_equal(vmcs_read(VMCS_ENTRY_INTR_INFO), 0x8000030d);
}

static void test_nested(void **state)
{
	struct nested_entry entry = {
		.present = true, .leaf = true, .access = ACCESS_READ | ACCESS_EXEC, .type = MTRR_WB, .address = MIB(2)};
	struct nested_entry back;
	struct nested_view view = {.root = 0x5000};

	(void)state;
	assert_true(vmx_nested_encode(&entry, 2) == (MIB(2) | 0xb5));
	vmx_nested_decode(MIB(2) | 0xb5, 2, &back);
	assert_true(back.present && back.leaf && back.access == entry.access && back.address == entry.address &&
		    back.type == MTRR_WB);
	entry.leaf = false;
	assert_true(vmx_nested_encode(&entry, 2) == (MIB(2) | 5));
	entry.present = false;
	assert_true(vmx_nested_encode(&entry, 1) == 0);
	ops->nested_activate(vcpu, &view);
	assert_int_equal(vmcs_read(VMCS_EPT_POINTER), 0x501e);
	assert_int_equal(cpu.invepts, 1);
	ops->tlb_flush(vcpu, TLB_FLUSH_GUEST);
	assert_int_equal(cpu.invvpids, 1);
}

static void test_dump_names_the_field(void **state)
{
	(void)state;
	vmcs_write(VMCS_GUEST_CR0, CR0_PG | CR0_NE);
	(void)leave_with(0x80000021);
	assert_string_equal(vcpu->refusal, "the CPU refused to enter the guest: CR0: PG without PE");
	ops->dump(vcpu);
	assert_non_null(strstr(log_text, "vmcs: the CPU refused to enter the guest: CR0: PG without PE"));
}

static const char *refusal_of(uint64_t reason)
{
	vcpu->refusal = NULL;
	vmcs_write(VMCS_EXIT_REASON, reason);
	(void)(reason ? vmx_exit(vmx) : vmx_entry_failed(vmx));
	assert_int_equal(handled_kind, EXIT_INVALID);
	assert_ptr_equal(vcpu->refusal, vmx->refusal);
	return vcpu->refusal;
}

static void test_refusals(void **state)
{
	static const struct {
		uint64_t field, value;
		const char *word;
	} guest[] = {
		{VMCS_GUEST_CR4, 0, "CR4: VMXE"},
		{VMCS_GUEST_CR0, CR0_NE | 1ull << 32, "CR0: NE is clear, or a high bit"},
		{VMCS_GUEST_EFER, EFER_LMA, "EFER: LMA differs from the entry control"},
		{VMCS_GUEST_DR7, 1ull << 32, "DR7"},
		{VMCS_GUEST_ES_ACCESS + 14, 0x89, "TR: access rights"},
		{VMCS_GUEST_CS_ACCESS, 0x1009b, "CS: access rights"},
		{VMCS_GUEST_ES_LIMIT + 6, 0x100000, "DS: its limit"},
		{VMCS_GUEST_RFLAGS, 0, "RFLAGS: bit 1"},
		{VMCS_GUEST_INTERRUPTIBILITY, 3, "both STI and MOV SS"},
		{VMCS_GUEST_ACTIVITY, 4, "activity"},
		{VMCS_LINK_POINTER, 0, "link pointer"},
		{VMCS_EXIT_QUALIFICATION, 2, "PDPTEs"},
	};

	(void)state;
	vmcs_write(VMCS_GUEST_CR0, CR0_NE);
	vmcs_write(VMCS_GUEST_CR4, CR4_VMXE);
	for (unsigned i = 0; i < 14; i += 2)
		vmcs_write(VMCS_GUEST_ES_ACCESS + i, i == 12 ? 0x82 : 0x93);
	vmcs_write(VMCS_GUEST_CS_ACCESS, 0x9b);
	vmcs_write(VMCS_GUEST_ES_ACCESS + 14, 0x8b);
	assert_non_null(strstr(refusal_of(0x80000021), "none of the fields"));
	for (unsigned i = 0; i < ARRAY_SIZE(guest); i++) {
		uint64_t good = vmcs_read(guest[i].field);

		vmcs_write(guest[i].field, guest[i].value);
		assert_non_null(strstr(refusal_of(0x80000021), guest[i].word));
		vmcs_write(guest[i].field, good);
	}

	vmcs_write(VMCS_INSTRUCTION_ERROR, 7);
	vmcs_write(VMCS_EPT_POINTER, 0x101e);
	assert_non_null(strstr(refusal_of(0), "an invalid control field"));
	vmcs_write(VMCS_EPT_POINTER, 0x1000);
	assert_non_null(strstr(refusal_of(0), "EPT pointer"));
	vmcs_write(VMCS_PIN_CONTROLS, 0);
	assert_non_null(strstr(refusal_of(0), "pin-based controls"));
	vmcs_write(VMCS_INSTRUCTION_ERROR, 8);
	assert_non_null(strstr(refusal_of(0), "host-state"));
	vmcs_write(VMCS_INSTRUCTION_ERROR, 999);
	assert_non_null(strstr(refusal_of(0), "without a name"));
}

/* The entry of each level in words, and which of them is wrong. */
static void test_ept_misconfiguration(void **state)
{
	static const struct {
		uint64_t entry;
		const char *words;
	} level1[] = {
		{0x5037, "level 1 of 403123: entry 5037: rwx, type 6, a page"},
		{0x5036, "entry 5036: -wx, type 6, WRONG: it can be written, but not read"},
		{0x501f, "type 3, WRONG: the memory type is reserved"},
		{0x0001000000005037, "WRONG: the address is more than the CPU has"},
		{0, "level 1 of 403123: entry 0: ---, type 0, absent"},
	};
	uint64_t *tables = fake_memory_at(&fake.platform, 0x1000, 4 * PAGE_SIZE);

	(void)state;
	vmcs_write(VMCS_EPT_POINTER, 0x101e);
	vmcs_write(VMCS_GUEST_PHYSICAL_ADDRESS, 0x403123);
	tables[0] = 0x2007;
	tables[512] = 0x3007;
	tables[1024 + 2] = 0x4007;
	for (unsigned i = 0; i < ARRAY_SIZE(level1); i++) {
		tables[1536 + 3] = level1[i].entry;
		vcpu->fatal = NULL;
		memset(log_text, 0, sizeof(log_text));
		fake.log.written = 0;
		(void)leave_with(VMX_EXIT_EPT_MISCONFIG);
		assert_string_equal(vcpu->fatal, "an invalid entry in the EPT for guest-physical 403123: "
						 "report it with this log");
		ops->dump(vcpu);
		assert_non_null(strstr(log_text, "EPT level 4 of 403123: entry 2007: rwx, type 0, a table"));
		assert_non_null(strstr(log_text, level1[i].words));
	}
	tables[1024 + 2] = 0x40000f;
	ops->dump(vcpu);
	assert_non_null(strstr(log_text, "level 2 of 403123: entry 40000f: rwx, type 1, WRONG: reserved bits are set"));
	tables[1024 + 2] = 0x4010b7;
	ops->dump(vcpu);
	assert_non_null(strstr(log_text, "level 2 of 403123: entry 4010b7: rwx, type 6, WRONG: reserved bits are set"));
	tables[0] = 0x87;
	ops->dump(vcpu);
	assert_non_null(strstr(log_text, "level 4 of 403123: entry 87: rwx, type 0, WRONG: a page at this level"));
	vmcs_write(VMCS_EPT_POINTER, 0x7ffffffff01e);
	ops->dump(vcpu);
	assert_non_null(strstr(log_text, "EPT level 4: no table at 7ffffffff000"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_feature_control),
		TEST(test_adjust),
		TEST(test_supported),
		TEST(test_enable),
		TEST(test_kinds),
		TEST(test_nmi_is_given_back),
		TEST(test_nmi_behind_an_nmi),
		TEST(test_nmi_in_a_shadow),
		TEST(test_nmi_is_delivered_again),
		TEST(test_iret_interrupted),
		TEST(test_arrival_opens_the_window),
		TEST(test_arrival_while_the_window_closes),
		TEST(test_machine_check_on_entry),
		TEST(test_refused_entry_is_undone),
		TEST(test_timer),
		TEST(test_cpuid_hidden),
		TEST(test_exit_writes_what_changed),
		TEST(test_pending_debug),
		TEST(test_detail),
		TEST(test_task_switch),
		TEST(test_debug_exception_sets_dr6),
		TEST(test_registers),
		TEST(test_pdptes),
		TEST(test_segments),
		TEST(test_bitmaps),
		TEST(test_paging_exits),
		TEST(test_debug_register_exits),
		TEST(test_step),
		TEST(test_debugctl),
		TEST(test_events),
		TEST(test_nested),
		TEST(test_dump_names_the_field),
		TEST(test_refusals),
		TEST(test_ept_misconfiguration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
