/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the CPU's exit to core's and back. This is the exit path: every instruction here is paid for each time.
 */
#include <undercroft/insn.h>
#include <undercroft/quirk.h>

#include "backends/svm/svm.h"

#define VECTOR_BP 3
#define VECTOR_OF 4

#define OPCODE_INT3 0xcc
#define OPCODE_INT  0xcd
#define OPCODE_INTO 0xce

/* CPUID, RDMSR and WRMSR without prefixes; HLT, whose first byte is all of it; MWAIT */
#define BARE_LENGTH	  2
#define BARE_HLT_LENGTH	  1
#define BARE_MWAIT_LENGTH 3

#define OPCODE_HLT 0xf4

/* Exit code to kind; what is not named is 0, EXIT_UNKNOWN. */
_Static_assert(EXIT_UNKNOWN == 0, "what the table leaves out is unknown");

static const uint8_t kinds[VMEXIT_CODE_COUNT] = {
	[VMEXIT_CR3_WRITE... VMEXIT_CR4_WRITE] = EXIT_PAGING,
	[VMEXIT_CR0_SEL] = EXIT_PAGING,
	[VMEXIT_INVLPG] = EXIT_PAGING,
	[VMEXIT_INVPCID] = EXIT_PAGING,
	[VMEXIT_DR0_READ... VMEXIT_DR0_WRITE + 15] = EXIT_DR,
	[VMEXIT_EXCEPTION... VMEXIT_EXCEPTION + 31] = EXIT_EXCEPTION,
	[VMEXIT_INTR] = EXIT_INTR,
	[VMEXIT_NMI] = EXIT_NMI,
	[VMEXIT_INIT] = EXIT_INIT,
	[VMEXIT_VINTR] = EXIT_INTR,
	[VMEXIT_IRET] = EXIT_INTR,
	[VMEXIT_SWINT] = EXIT_EXCEPTION,
	[VMEXIT_CPUID] = EXIT_CPUID,
	[VMEXIT_IOIO] = EXIT_IO,
	[VMEXIT_MSR] = EXIT_MSR,
	[VMEXIT_TASK] = EXIT_TASK_SWITCH,
	[VMEXIT_SHUTDOWN] = EXIT_SHUTDOWN,
	[VMEXIT_VMMCALL] = EXIT_HYPERCALL,
	[VMEXIT_INVD] = EXIT_INVD,
	[VMEXIT_HLT] = EXIT_HLT,
	[VMEXIT_INVLPGA] = EXIT_VIRT_INSN,
	[VMEXIT_VMRUN] = EXIT_VIRT_INSN,
	[VMEXIT_VMLOAD... VMEXIT_SKINIT] = EXIT_VIRT_INSN,
	[VMEXIT_MWAIT] = EXIT_MWAIT,
};

#define QUICK_KINDS  (1u << EXIT_CPUID | 1u << EXIT_MSR | 1u << EXIT_HLT | 1u << EXIT_MWAIT)
#define LENGTH_KINDS (QUICK_KINDS | 1u << EXIT_HYPERCALL | 1u << EXIT_INVD)
_Static_assert(EXIT_KIND_COUNT <= 32, "a bit for each kind");

/* Of a kind of LENGTH_KINDS. Out of line, as is everything below that is not for each exit. */
static __attribute__((noinline)) uint8_t insn_length_find(struct svm_vcpu *svm)
{
	const struct vmcb *vmcb = &svm->vmcb;
	struct vcpu *vcpu = &svm->vcpu;
	const uint8_t *byte = NULL;
	unsigned length = 0;

	if (QUICK_KINDS >> vcpu->exit.kind & 1)
		byte = insn_byte_quick(vcpu, vmcb->cs.base, vmcb->cr0, vmcb->cr3, vmcb->cr4, vmcb->efer);
	if (byte && *byte == OPCODE_HLT && vcpu->exit.kind == EXIT_HLT)
		return BARE_HLT_LENGTH;
	if (byte && *byte == INSN_QUICK_OPCODE) {
		if (vcpu->exit.kind == EXIT_MWAIT)
			return BARE_MWAIT_LENGTH;
		if (vcpu->exit.kind == EXIT_CPUID) {
			svm->cpuid_linear = vmcb->cs.base + vmcb->rip;
			svm->cpuid_cr3 = vmcb->cr3;
			svm->cpuid_byte = byte;
		}
		return BARE_LENGTH;
	}
	length = vcpu_insn_length(vcpu);
	if (!length)
		vcpu->exit.kind = EXIT_REFETCH;
	return (uint8_t)length;
}

/* For CPUs that do not tell where the next instruction is, which those with QUIRK_SMM_EXITS are. */
static __attribute__((noinline)) uint8_t length_find(struct svm_vcpu *svm)
{
	if (svm->vcpu.vm->quirks & QUIRK_SMM_EXITS)
		svm->vmcb.efer |= EFER_SVME;
	/* others are no instruction's, or EXITINFO2 tells */
	return LENGTH_KINDS >> svm->vcpu.exit.kind & 1 ? insn_length_find(svm) : 0;
}

/* CPUIDs come in runs. */
static inline bool is_same_cpuid(const struct svm_vcpu *svm)
{
	const struct vmcb *vmcb = &svm->vmcb;

	return vmcb->cs.base + vmcb->rip == svm->cpuid_linear && vmcb->cr3 == svm->cpuid_cr3 &&
	       *svm->cpuid_byte == INSN_QUICK_OPCODE;
}

static __attribute__((noinline)) uint64_t kind_find(uint64_t code)
{
	if (code == VMEXIT_NPF)
		return EXIT_NESTED;
	return (uint32_t)code == VMEXIT_INVALID ? EXIT_INVALID : EXIT_UNKNOWN;
}

int svm_exit(struct svm_vcpu *svm)
{
	struct vcpu *vcpu = &svm->vcpu;
	struct vmcb *vmcb = &svm->vmcb;
	uint64_t code, kind;
	int leave;

	vcpu->gpr[GPR_RAX] = vmcb->rax;
	vcpu->gpr[GPR_RSP] = vmcb->rsp;
	vcpu->rip = vmcb->rip;
	vcpu->rflags = vmcb->rflags;
	vcpu->code_flags = vmcb->cs.attributes;
	vmcb->tlb_control = VMCB_TLB_NOTHING;
	code = vmcb->exitcode;
	kind = __builtin_expect(code < VMEXIT_CODE_COUNT, 1) ? kinds[code] : kind_find(code);
	vcpu->exit.kind = (uint8_t)kind;
	/* an instruction's own exit interrupts no delivery */
	if (kind != EXIT_CPUID && __builtin_expect((vmcb->exitintinfo & VMCB_EVENT_VALID) != 0, 0))
		svm_delivery_interrupted(svm);
	if (svm->has_nrip)
		vcpu->exit.length = (uint8_t)(vmcb->nrip - vmcb->rip);
	else if (kind == EXIT_CPUID && is_same_cpuid(svm))
		vcpu->exit.length = BARE_LENGTH;
	else
		vcpu->exit.length = length_find(svm);

	leave = vcpu_exit(vcpu);

	vmcb->rax = vcpu->gpr[GPR_RAX];
	vmcb->rsp = vcpu->gpr[GPR_RSP];
	vmcb->rflags = vcpu->rflags;
	if (vcpu->rip != vmcb->rip) {
		/* an instruction completed: what STI or MOV SS blocked for its length is over */
		vmcb->rip = vcpu->rip;
		vmcb->interrupt_shadow = 0;
	}
	return leave;
}

void svm_run(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb *vmcb = &svm->vmcb;

	vmcb->rax = vcpu->gpr[GPR_RAX];
	vmcb->rsp = vcpu->gpr[GPR_RSP];
	vmcb->rip = vcpu->rip;
	vmcb->rflags = vcpu->rflags;
	svm_enter(svm);
}

/* From the next RIP, unless that has wrapped around. 0: it cannot be read. */
static void io_length_find(struct vcpu *vcpu, uint64_t next)
{
	uint64_t length = next - vcpu->rip;

	vcpu->exit.length = (uint8_t)(length - 1 < INSN_LENGTH_MAX ? length : vcpu_insn_length(vcpu));
}

/*
 * INT3 and INTO: RIP points to them. APM vol. 2, "#BP (Breakpoint)" (15.12.4) and "#OF (Overflow)" (15.12.5). What is
 * planted is not what is decoded, but is a byte long.
 */
static uint8_t software_length(struct vcpu *vcpu)
{
	unsigned length = vcpu->exit.length;

	if (length - 1 >= INSN_LENGTH_MAX)
		length = vcpu_insn_length(vcpu);
	return (uint8_t)(length ? length : 1);
}

/* One of INT n, INT3 and INTO, or a prefix? */
static bool is_of_interrupt(uint8_t byte)
{
	return (byte >= OPCODE_INT3 && byte <= OPCODE_INTO) || insn_is_prefix(byte, true);
}

static __attribute__((noinline)) void software_interrupt_find(struct vcpu *vcpu, const uint8_t *byte)
{
	struct exit_detail *detail = &vcpu->detail;
	struct insn insn;

	while (byte && insn_is_prefix(*byte, vcpu->code_flags & SEG_ATTR_L) && ((uintptr_t)byte + 1) & ~PAGE_MASK)
		byte++;
	if (byte && !is_of_interrupt(*byte))
		return;
	if (insn_decode(vcpu, &insn) || !(insn.flags & INSN_INTERRUPT))
		return;
	detail->exception.length = insn.length;
	if (insn.length >= 2 && insn.bytes[insn.length - 2] == OPCODE_INT) {
		detail->exception.is_interrupt = true;
		detail->exception.vector = insn.bytes[insn.length - 1];
	} else if (insn.bytes[insn.length - 1] == OPCODE_INTO) {
		detail->exception.vector = VECTOR_OF;
	}
}

/* QUIRK_INT3_IS_INT_N */
static void software_interrupt_decode(struct vcpu *vcpu, const struct vmcb *vmcb)
{
	const uint8_t *byte = insn_byte_quick(vcpu, vmcb->cs.base, vmcb->cr0, vmcb->cr3, vmcb->cr4, vmcb->efer);

	/* what is none of them is what the guest has where a breakpoint is planted */
	vcpu->detail = (struct exit_detail){.exception = {.vector = VECTOR_BP, .length = 1}};
	if (!byte || is_of_interrupt(*byte))
		software_interrupt_find(vcpu, byte);
}

static void exception_decode(struct vcpu *vcpu, struct vmcb *vmcb)
{
	uint8_t vector = (uint8_t)(vmcb->exitcode - VMEXIT_EXCEPTION);
	struct exit_detail *detail = &vcpu->detail;

	*detail = (struct exit_detail){
		.exception =
			{
				.vector = vector,
				/* APM vol. 2, "Exception Intercepts" (15.12): the vectors that push an error code */
				.has_error = 0x60227d00u >> vector & 1,
				.error = (uint32_t)vmcb->exitinfo1,
				.address = vmcb->exitinfo2,
			},
	};
	/* svm_inject() may have asked for this one */
	if (!vcpu->single.active)
		vmcb->intercept_exceptions = svm_vcpu(vcpu)->saved_exceptions;
	if (vector == VECTOR_BP || vector == VECTOR_OF)
		detail->exception.length = software_length(vcpu);
}

static void task_switch_decode(struct vcpu *vcpu, uint64_t info2)
{
	const struct vmcb *vmcb = &svm_vcpu(vcpu)->vmcb;
	struct exit_detail *detail = &vcpu->detail;

	detail->task.selector = (uint16_t)vmcb->exitinfo1;
	detail->task.source = info2 & VMCB_TASK_IRET		     ? TASK_IRET
			      : info2 & VMCB_TASK_JMP		     ? TASK_JMP
			      : vmcb->exitintinfo & VMCB_EVENT_VALID ? TASK_GATE
								     : TASK_CALL;
	/* RIP points to the instruction, and the next RIP is for intercepted instructions alone */
	if (detail->task.source != TASK_GATE)
		vcpu->exit.length = (uint8_t)vcpu_insn_length(vcpu);
}

void svm_decode_detail(struct vcpu *vcpu)
{
	struct vmcb *vmcb = &svm_vcpu(vcpu)->vmcb;
	struct exit_detail *detail = &vcpu->detail;
	uint64_t info1, info2;

	if (vcpu->exit.kind == EXIT_EXCEPTION) {
		if (vmcb->exitcode == VMEXIT_SWINT)
			software_interrupt_decode(vcpu, vmcb);
		else
			exception_decode(vcpu, vmcb);
		return;
	}
	info1 = vmcb->exitinfo1;
	info2 = vmcb->exitinfo2;
	*detail = (struct exit_detail){0};
	switch (vcpu->exit.kind) {
	case EXIT_MSR:
		detail->msr.index = (uint32_t)vcpu->gpr[GPR_RCX];
		detail->msr.write = info1 & 1;
		break;
	case EXIT_IO:
		detail->io.port = (uint16_t)(info1 >> VMCB_IOIO_PORT_SHIFT);
		detail->io.size = info1 >> VMCB_IOIO_SIZE_SHIFT & VMCB_IOIO_SIZE_MASK;
		detail->io.in = info1 & VMCB_IOIO_IN;
		detail->io.string = info1 & VMCB_IOIO_STRING;
		detail->io.rep = info1 & VMCB_IOIO_REP;
		/* EXITINFO2 is the next RIP on every CPU: APM vol. 2, "IOIO Intercepts" (15.10.2) */
		if (!vcpu->exit.length)
			io_length_find(vcpu, info2);
		break;
	case EXIT_NESTED:
		detail->nested.gpa = info2;
		detail->nested.present = info1 & VMCB_NPF_PRESENT;
		detail->nested.access = info1 & VMCB_NPF_EXEC	 ? ACCESS_EXEC
					: info1 & VMCB_NPF_WRITE ? ACCESS_WRITE
								 : ACCESS_READ;
		detail->nested.table_walk = info1 & VMCB_NPF_TABLE_WALK;
		break;
	case EXIT_TASK_SWITCH:
		task_switch_decode(vcpu, info2);
		break;
	default:
		break;
	}
}
