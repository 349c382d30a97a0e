/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the CPU's exit to core's and back. This is the exit path: every instruction here is paid for each time.
 */
#include <platform/registers.h>
#include <platform/vmcs.h>
#include <x86/cr.h>
#include <x86/dr.h>

#include "backends/vmx/insn.h"
#include "backends/vmx/vmx.h"

#define VECTOR_DB 1

#define VECTOR_DF 8

/* Exit reason to kind; what is not named is 0, EXIT_UNKNOWN, and gets a second look. */
_Static_assert(EXIT_UNKNOWN == 0, "what the table leaves out is unknown");

static const uint8_t kinds[VMX_EXIT_REASON_COUNT] = {
	[VMX_EXIT_INTR] = EXIT_INTR,
	[VMX_EXIT_TRIPLE_FAULT] = EXIT_SHUTDOWN,
	[VMX_EXIT_INIT] = EXIT_INIT,
	[VMX_EXIT_TASK_SWITCH] = EXIT_TASK_SWITCH,
	[VMX_EXIT_CPUID] = EXIT_CPUID,
	[VMX_EXIT_GETSEC] = EXIT_VIRT_INSN,
	[VMX_EXIT_INVD] = EXIT_INVD,
	[VMX_EXIT_INVLPG] = EXIT_PAGING,
	[VMX_EXIT_INVPCID] = EXIT_PAGING,
	[VMX_EXIT_VMCALL] = EXIT_HYPERCALL,
	[VMX_EXIT_VMCLEAR... VMX_EXIT_VMXON] = EXIT_VIRT_INSN,
	[VMX_EXIT_CR] = EXIT_CR,
	[VMX_EXIT_DR] = EXIT_DR,
	[VMX_EXIT_IO] = EXIT_IO,
	[VMX_EXIT_RDMSR] = EXIT_MSR,
	[VMX_EXIT_WRMSR] = EXIT_MSR,
	[VMX_EXIT_EPT_VIOLATION] = EXIT_NESTED,
	[VMX_EXIT_INVEPT] = EXIT_VIRT_INSN,
	[VMX_EXIT_INVVPID] = EXIT_VIRT_INSN,
	[VMX_EXIT_XSETBV] = EXIT_XSETBV,
	[VMX_EXIT_VMFUNC] = EXIT_VIRT_INSN,
};

/*
 * CPUs may leave the NMI window open in STI's shadow, in which core waits, or not: in MOV SS' they do not. SDM vol. 3,
 * "Other Causes of VM Exits" (25.2)
 */
static void window_shadow_settle(void)
{
	uint64_t blocking = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);

	if (blocking & VMCS_BLOCKING_STI)
		vmcs_write(VMCS_GUEST_INTERRUPTIBILITY,
			   (blocking & ~(uint64_t)VMCS_BLOCKING_SHADOW) | VMCS_BLOCKING_MOV_SS);
}

/*
 * The entry failed: its state was refused, or a machine check came. The guest's state, the event to be delivered and
 * what the exit before said about one are as they were: the event is delivered by another entry, which a VMLAUNCH
 * begins, as the launch state may be clear still. SDM vol. 3, "VM-Entry Failures During or After Loading Guest State"
 * (26.8), "Machine-Check Events During VM Entry" (26.9), "VMCLEAR" (30.3)
 */
static void entry_undo(struct vmx_vcpu *vmx)
{
	uint32_t info = (uint32_t)vmcs_read(VMCS_ENTRY_INTR_INFO);

	if (vmx_insn_vmclear(vmx->vmcs) || vmx_insn_vmptrld(vmx->vmcs))
		vcpu_fatal(&vmx->vcpu, "the VMCS is lost");
	vmx->launched = false;
	vmx->vcpu.events.delivery.type = EVENT_NONE;
	vmx->vcpu.work &= ~WORK_DELIVERY;
	vmx->vcpu.exit.length = 0;
	if (!(info & VMCS_EVENT_VALID))
		return;
	vmcs_write(VMCS_ENTRY_INTR_INFO, 0);
	vmx->vcpu.exit.length = (uint8_t)vmcs_read(VMCS_ENTRY_INSTRUCTION_LENGTH);
	vmx_delivery_interrupted(vmx, info, VMCS_ENTRY_EXCEPTION_ERROR);
}

static inline unsigned exception_kind(void)
{
	uint32_t info = (uint32_t)vmcs_read(VMCS_EXIT_INTR_INFO);

	if ((info & VMCS_EVENT_TYPE) != VMCS_EVENT_TYPE_NMI << VMCS_EVENT_TYPE_SHIFT)
		return EXIT_EXCEPTION;
	/*
	 * This exit blocks the CPU's NMIs. The next entry would end that, though not in Bochs 2.7 (cpu/vmx.cc,
	 * VMenterLoadCheckGuestState); one that comes here is as good as one that comes anywhere in our code. SDM vol.
	 * 3, "Updating Non-Register State" (27.5.5), "Interruptibility State" (26.7.1)
	 */
	vmx_insn_nmi_unblock();
	return EXIT_NMI;
}

/* The reasons that want more than their kind. */
static __attribute__((noinline)) unsigned kind_find(struct vmx_vcpu *vmx, uint64_t reason)
{
	if (!(reason & VMX_EXIT_REASON_FAILED)) {
		/* bit 27 says that the CPU was in an enclave. SDM vol. 3, "Basic VM-Exit Information" (24.9.1) */
		reason &= VMX_EXIT_REASON_BASIC;
		if (reason < VMX_EXIT_REASON_COUNT && kinds[reason])
			return kinds[reason];
		/*
		 * Exits that nothing asked for are of instructions. SDM vol. 3, "Instructions That Cause VM Exits
		 * Unconditionally" (25.1.2). Those of later CPUs are none of the guest's: TDCALL and SEAMCALL, for
		 * instance.
		 */
		if (reason >= VMX_EXIT_REASON_COUNT)
			return EXIT_VIRT_INSN;
	}
	switch (reason) {
	case VMX_EXIT_EXCEPTION:
		return exception_kind();
	case VMX_EXIT_NMI_WINDOW:
		window_shadow_settle();
		return EXIT_WINDOW;
	case VMX_EXIT_TIMER:
		(void)vmx_timer(&vmx->vcpu, 0);
		return EXIT_TIMER;
	case VMX_EXIT_REASON_FAILED | VMX_EXIT_ENTRY_CHECK:
		entry_undo(vmx);
		return EXIT_MACHINE_CHECK;
	default:
		break;
	}
	if (reason == VMX_EXIT_EPT_MISCONFIG) {
		vmx_refusal(vmx, reason);
		vcpu_fatal(&vmx->vcpu, vmx->refusal);
	}
	if (!(reason & VMX_EXIT_REASON_FAILED))
		return EXIT_UNKNOWN;
	vmx_refusal(vmx, reason);
	entry_undo(vmx);
	return EXIT_INVALID;
}

/*
 * A single-step trap is pending behind MOV SS or STI and never otherwise: an entry with TF set asks for exactly that,
 * and an exit that is a fault has not completed its instruction. Not a quirk, since it holds on every CPU; but Bochs
 * saves it as pending at every exit with TF set.
 * SDM vol. 3, "Checks on Guest Non-Register State" (26.3.1.5), "Saving Non-Register State" (27.3.4)
 */
static __attribute__((noinline)) void pending_debug_settle(void)
{
	uint64_t pending = vmcs_read(VMCS_GUEST_PENDING_DEBUG), wanted = 0;

	if (vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) & VMCS_BLOCKING_SHADOW)
		wanted = pending | VMCS_PENDING_BS;
	if (wanted != pending && !(vmcs_read(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF))
		vmcs_write(VMCS_GUEST_PENDING_DEBUG, wanted);
}

int vmx_exit(struct vmx_vcpu *vmx)
{
	struct vcpu *vcpu = &vmx->vcpu;
	uint64_t reason, rip, rsp, rflags, blocking, pending;
	uint32_t vectoring;
	unsigned kind;
	int leave;

	vmx->launched = true;
	vcpu->rip = rip = vmcs_read(VMCS_GUEST_RIP);
	vcpu->rflags = rflags = vmcs_read(VMCS_GUEST_RFLAGS);
	vcpu->gpr[GPR_RSP] = rsp = vmcs_read(VMCS_GUEST_RSP);
	vcpu->code_flags = (uint32_t)vmcs_read(VMCS_GUEST_CS_ACCESS) >> VMCS_ACCESS_HIGH_SHIFT;
	vcpu->exit.length = (uint8_t)vmcs_read(VMCS_EXIT_INSTRUCTION_LENGTH);
	reason = vmcs_read(VMCS_EXIT_REASON);
	vectoring = (uint32_t)vmcs_read(VMCS_IDT_VECTORING_INFO);
	if (__builtin_expect((vectoring & VMCS_EVENT_VALID) != 0, 0))
		vmx_delivery_interrupted(vmx, vectoring, VMCS_IDT_VECTORING_ERROR);
	if (__builtin_expect((rflags & X86_FLAGS_TF) != 0, 0))
		pending_debug_settle();
	kind = __builtin_expect(reason < VMX_EXIT_REASON_COUNT, 1) ? kinds[reason] : EXIT_UNKNOWN;
	if (__builtin_expect(kind == EXIT_UNKNOWN, 0))
		kind = reason == VMX_EXIT_EXCEPTION ? exception_kind() : kind_find(vmx, reason);
	vcpu->exit.kind = (uint8_t)kind;

	leave = vcpu_exit(vcpu);

	if (__builtin_expect(vcpu->gpr[GPR_RSP] != rsp, 0))
		vmcs_write(VMCS_GUEST_RSP, vcpu->gpr[GPR_RSP]);
	if (__builtin_expect(vcpu->rflags != rflags, 0))
		vmcs_write(VMCS_GUEST_RFLAGS, vcpu->rflags);
	if (vcpu->rip != rip) {
		/* an instruction completed: what STI or MOV SS blocked for its length is over */
		vmcs_write(VMCS_GUEST_RIP, vcpu->rip);
		blocking = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);
		if (__builtin_expect((blocking & VMCS_BLOCKING_SHADOW) != 0, 0)) {
			vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, blocking & ~(uint64_t)VMCS_BLOCKING_SHADOW);
			/* and the breakpoint that MOV SS hit is due */
			pending = vmcs_read(VMCS_GUEST_PENDING_DEBUG);
			vmcs_write(VMCS_GUEST_PENDING_DEBUG, pending & ~(uint64_t)VMCS_PENDING_BS);
		}
	}
	return leave;
}

/* VMLAUNCH or VMRESUME did not even begin: VMfail. */
int vmx_entry_failed(struct vmx_vcpu *vmx)
{
	struct vcpu *vcpu = &vmx->vcpu;
	int leave;

	vcpu->exit.kind = EXIT_INVALID;
	vcpu->exit.length = 0;
	vmx_refusal(vmx, 0);
	leave = vcpu_exit(vcpu);
	vmcs_write(VMCS_GUEST_RSP, vcpu->gpr[GPR_RSP]);
	vmcs_write(VMCS_GUEST_RIP, vcpu->rip);
	vmcs_write(VMCS_GUEST_RFLAGS, vcpu->rflags);
	return leave;
}

void vmx_run(struct vcpu *vcpu)
{
	vmcs_write(VMCS_GUEST_RSP, vcpu->gpr[GPR_RSP]);
	vmcs_write(VMCS_GUEST_RIP, vcpu->rip);
	vmcs_write(VMCS_GUEST_RFLAGS, vcpu->rflags);
	vmx_enter(vmx_vcpu(vcpu));
}

/*
 * What was interrupted is an IRET that had just ended the blocking of virtual NMIs: they stay blocked until it
 * succeeds. Not defined while an event was being delivered. SDM vol. 3, "Information about NMI Unblocking Due to IRET"
 * (27.2.3)
 */
static void iret_interrupted(void)
{
	if (!(vmcs_read(VMCS_IDT_VECTORING_INFO) & VMCS_EVENT_VALID))
		vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) | VMCS_BLOCKING_NMI);
}

/*
 * The exit came instead of what the CPU does before it raises #DB. SDM vol. 3, "Architectural State Before a VM Exit"
 * (27.1)
 */
static void debug_exception_complete(uint64_t qualification)
{
	uint64_t dr7 = vmcs_read(VMCS_GUEST_DR7);

	cpu_dr_set(6, cpu_dr_get(6) | (qualification & VMX_DEBUG_HITS));
	if (dr7 & DR7_GD)
		vmcs_write(VMCS_GUEST_DR7, dr7 & ~(uint64_t)DR7_GD);
}

static void decode_exception(struct vcpu *vcpu, uint64_t qualification)
{
	struct exit_detail *detail = &vcpu->detail;
	uint32_t info = (uint32_t)vmcs_read(VMCS_EXIT_INTR_INFO);

	detail->exception.vector = (uint8_t)(info & VMCS_EVENT_VECTOR);
	if ((info & VMCS_EVENT_TYPE) >> VMCS_EVENT_TYPE_SHIFT >= VMCS_EVENT_TYPE_INT1)
		detail->exception.length = vcpu->exit.length;
	detail->exception.has_error = info & VMCS_EVENT_ERROR_VALID && vmcs_read(VMCS_GUEST_CR0) & CR0_PE;
	if (info & VMCS_EVENT_ERROR_VALID)
		detail->exception.error = (uint32_t)vmcs_read(VMCS_EXIT_INTR_ERROR);
	detail->exception.address = qualification;
	if (detail->exception.vector == VECTOR_DB)
		debug_exception_complete(qualification);
	/* not defined for a double fault */
	if (info & VMCS_EVENT_IRET && detail->exception.vector != VECTOR_DF)
		iret_interrupted();
}

/* SDM vol. 3, "Basic VM-Exit Information" (27.2.1), table 27-2 */
static const uint8_t task_source[] = {TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE};

void vmx_decode_detail(struct vcpu *vcpu)
{
	uint64_t qualification = vmcs_read(VMCS_EXIT_QUALIFICATION);
	struct exit_detail *detail = &vcpu->detail;

	*detail = (struct exit_detail){0};
	if (vcpu->exit.kind == EXIT_EXCEPTION) {
		decode_exception(vcpu, qualification);
		return;
	}
	switch (vcpu->exit.kind) {
	case EXIT_MSR:
		detail->msr.index = (uint32_t)vcpu->gpr[GPR_RCX];
		detail->msr.write = vmcs_read(VMCS_EXIT_REASON) == VMX_EXIT_WRMSR;
		break;
	case EXIT_IO:
		detail->io.port = (uint16_t)(qualification >> VMX_IO_PORT_SHIFT);
		detail->io.size = (uint8_t)((qualification & VMX_IO_SIZE) + 1);
		detail->io.in = qualification & VMX_IO_IN;
		detail->io.string = qualification & VMX_IO_STRING;
		detail->io.rep = qualification & VMX_IO_REP;
		break;
	case EXIT_NESTED:
		detail->nested.gpa = vmcs_read(VMCS_GUEST_PHYSICAL_ADDRESS);
		detail->nested.present = qualification & VMX_EPT_ALLOWED;
		detail->nested.access = qualification & VMX_EPT_EXEC	? ACCESS_EXEC
					: qualification & VMX_EPT_WRITE ? ACCESS_WRITE
									: ACCESS_READ;
		detail->nested.table_walk =
			qualification & VMX_EPT_LINEAR_VALID && !(qualification & VMX_EPT_TRANSLATED);
		if (qualification & VMX_EPT_IRET)
			iret_interrupted();
		break;
	case EXIT_CR:
		detail->cr.number = qualification & VMX_CR_NUMBER;
		detail->cr.owned = detail->cr.number == 0 ? CR0_NE : CR4_VMXE;
		detail->cr.value = vcpu->gpr[qualification >> VMX_CR_GPR_SHIFT & VMX_CR_GPR];
		if (!(vcpu->code_flags & SEG_ATTR_L))
			detail->cr.value = (uint32_t)detail->cr.value;
		break;
	case EXIT_TASK_SWITCH:
		detail->task.selector = qualification & VMX_TASK_SELECTOR;
		detail->task.source = task_source[qualification >> VMX_TASK_FROM_SHIFT & VMX_TASK_FROM];
		break;
	default:
		break;
	}
}
