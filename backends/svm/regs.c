/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest registers. Some lie in the VMCB, some are moved there by VMSAVE only, some stay in the CPU because the host
 * does not use them. APM vol. 2, "VMSAVE and VMLOAD" (15.5.2) and "VMCB State Save Area" (appendix B, table B-2).
 */
#include <platform/registers.h>
#include <undercroft/platform.h>
#include <x86/cr.h>
#include <x86/msr.h>

#include "backends/svm/insn.h"
#include "backends/svm/svm.h"

/* The number of each register kept in the VMCB; a width and an offset say how. */
struct vmcb_field {
	uint16_t offset;
	uint8_t size; /* 0: not a plain field */
	bool hidden;  /* loaded and stored by VMLOAD and VMSAVE */
};

#define FIELD(member, is_hidden)                                                                     \
	{                                                                                            \
		.offset = offsetof(struct vmcb, member), .size = sizeof(((struct vmcb *)0)->member), \
		.hidden = (is_hidden)                                                                \
	}

static const struct vmcb_field fields[REG_COUNT] = {
	[REG_CR0] = FIELD(cr0, false),
	[REG_CR2] = FIELD(cr2, false),
	[REG_CR3] = FIELD(cr3, false),
	[REG_CR4] = FIELD(cr4, false),
	[REG_DR6] = FIELD(dr6, false),
	[REG_DR7] = FIELD(dr7, false),
	[REG_GDTR_BASE] = FIELD(gdtr.base, false),
	[REG_GDTR_LIMIT] = FIELD(gdtr.limit, false),
	[REG_IDTR_BASE] = FIELD(idtr.base, false),
	[REG_IDTR_LIMIT] = FIELD(idtr.limit, false),
	[REG_STAR] = FIELD(star, true),
	[REG_LSTAR] = FIELD(lstar, true),
	[REG_CSTAR] = FIELD(cstar, true),
	[REG_FMASK] = FIELD(sfmask, true),
	[REG_KERNEL_GS_BASE] = FIELD(kernel_gs_base, true),
	[REG_SYSENTER_CS] = FIELD(sysenter_cs, true),
	[REG_SYSENTER_ESP] = FIELD(sysenter_esp, true),
	[REG_SYSENTER_EIP] = FIELD(sysenter_eip, true),
	[REG_PAT] = FIELD(g_pat, false),
	[REG_CPL] = FIELD(cpl, false),
};

/*
 * Makes the VMLOAD/VMSAVE part of the VMCB current, and puts it back into the CPU. Nobody asks for it on the exit path,
 * so nobody remembers whether it is current.
 */
static void hidden_state_save(struct svm_vcpu *svm)
{
	svm_insn_vmsave(svm_vmcb_address(svm));
}

static void hidden_state_load(struct svm_vcpu *svm)
{
	svm_insn_vmload(svm_vmcb_address(svm));
}

static uint64_t field_read(const struct vmcb_field *field, const struct svm_vcpu *svm)
{
	const void *at = (const uint8_t *)&svm->vmcb + field->offset;

	if (field->size == 8)
		return *(const uint64_t *)at;
	return field->size == 4 ? *(const uint32_t *)at : *(const uint8_t *)at;
}

static void field_write(const struct vmcb_field *field, struct svm_vcpu *svm, uint64_t value)
{
	void *at = (uint8_t *)&svm->vmcb + field->offset;

	if (field->size == 8)
		*(uint64_t *)at = value;
	else if (field->size == 4)
		*(uint32_t *)at = (uint32_t)value;
	else
		*(uint8_t *)at = (uint8_t)value;
}

/* What is not simply there. */
static __attribute__((noinline)) uint64_t reg_find(struct svm_vcpu *svm, enum reg reg)
{
	switch ((unsigned)reg) {
	case REG_RIP:
		return svm->vcpu.rip;
	case REG_RFLAGS:
		return svm->vcpu.rflags;
	case REG_CR8:
		return cpu_cr_get(8);
	case REG_DR0:
	case REG_DR1:
	case REG_DR2:
	case REG_DR3:
		return cpu_dr_get(reg - REG_DR0);
	case REG_INTERRUPT_SHADOW:
		return svm->vmcb.interrupt_shadow & 1;
	case REG_NMI_BLOCKED: /* the CPU's own, without virtual NMIs */
		return 0;
	default:
		hidden_state_save(svm);
		return field_read(&fields[reg], svm);
	}
}

uint64_t svm_reg_get(struct vcpu *vcpu, enum reg reg)
{
	const struct vmcb_field *field = &fields[reg];

	if (reg == REG_EFER) /* the guest never sees SVME set, which the CPU demands of every guest */
		return svm_vcpu(vcpu)->vmcb.efer & ~(uint64_t)EFER_SVME;
	if (reg == REG_DR6)
		return svm_vcpu(vcpu)->vmcb.dr6;
	if (reg == REG_DR7)
		return svm_vcpu(vcpu)->vmcb.dr7;
	if (!field->size || field->hidden)
		return reg_find(svm_vcpu(vcpu), reg);
	return field_read(field, svm_vcpu(vcpu));
}

static __attribute__((noinline)) void reg_place(struct svm_vcpu *svm, enum reg reg, uint64_t value)
{
	switch ((unsigned)reg) {
	case REG_RIP:
		svm->vcpu.rip = value;
		return;
	case REG_RFLAGS:
		svm->vcpu.rflags = value;
		return;
	case REG_EFER:
		svm->vmcb.efer = value | EFER_SVME;
		return;
	case REG_CR8:
		cpu_cr_set(8, value);
		return;
	case REG_DR0:
	case REG_DR1:
	case REG_DR2:
	case REG_DR3:
		cpu_dr_set(reg - REG_DR0, value);
		return;
	case REG_INTERRUPT_SHADOW:
		svm->vmcb.interrupt_shadow = value & 1;
		/* it is that of the instruction there, which has not been completed: svm_exit() */
		svm->vmcb.rip = svm->vcpu.rip;
		return;
	case REG_NMI_BLOCKED:
		return;
	default:
		hidden_state_save(svm);
		field_write(&fields[reg], svm, value);
		hidden_state_load(svm);
		return;
	}
}

void svm_reg_set(struct vcpu *vcpu, enum reg reg, uint64_t value)
{
	const struct vmcb_field *field = &fields[reg];

	if (reg == REG_DR6)
		svm_vcpu(vcpu)->vmcb.dr6 = value;
	else if (!field->size || field->hidden)
		reg_place(svm_vcpu(vcpu), reg, value);
	else
		field_write(field, svm_vcpu(vcpu), value);
}

static const uint16_t segments[SEG_COUNT] = {
	[SEG_ES] = offsetof(struct vmcb, es),	  [SEG_CS] = offsetof(struct vmcb, cs),
	[SEG_SS] = offsetof(struct vmcb, ss),	  [SEG_DS] = offsetof(struct vmcb, ds),
	[SEG_FS] = offsetof(struct vmcb, fs),	  [SEG_GS] = offsetof(struct vmcb, gs),
	[SEG_LDTR] = offsetof(struct vmcb, ldtr), [SEG_TR] = offsetof(struct vmcb, tr),
};

static struct vmcb_segment *segment_field(struct svm_vcpu *svm, enum seg seg)
{
	return (struct vmcb_segment *)(void *)((uint8_t *)&svm->vmcb + segments[seg]);
}

static bool segment_is_hidden(enum seg seg)
{
	return seg == SEG_FS || seg == SEG_GS || seg == SEG_LDTR || seg == SEG_TR;
}

static void segment_read(struct svm_vcpu *svm, enum seg seg, struct segment *out)
{
	const struct vmcb_segment *field = segment_field(svm, seg);

	*out = (struct segment){
		.base = field->base,
		.limit = field->limit,
		.selector = field->selector,
		.attributes = field->attributes,
	};
}

static __attribute__((noinline)) void hidden_segment_read(struct svm_vcpu *svm, enum seg seg, struct segment *out)
{
	hidden_state_save(svm);
	segment_read(svm, seg, out);
}

void svm_seg_get(struct vcpu *vcpu, enum seg seg, struct segment *out)
{
	if (segment_is_hidden(seg))
		hidden_segment_read(svm_vcpu(vcpu), seg, out);
	else
		segment_read(svm_vcpu(vcpu), seg, out);
}

void svm_seg_set(struct vcpu *vcpu, enum seg seg, const struct segment *value)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb_segment *field = segment_field(svm, seg);

	if (segment_is_hidden(seg))
		hidden_state_save(svm);
	*field = (struct vmcb_segment){
		.base = value->base,
		.limit = value->limit,
		.selector = value->selector,
		.attributes = value->attributes,
	};
	if (segment_is_hidden(seg))
		hidden_state_load(svm);
}

/* The CPU's own: it is only exchanged where last branches are virtualised. */
uint64_t svm_debugctl_get(struct vcpu *vcpu)
{
	struct platform *platform = vcpu->vm->platform;
	uint64_t value = 0;

	(void)platform->ops->msr_read(platform, MSR_DEBUGCTL, &value);
	return value;
}

void svm_debugctl_set(struct vcpu *vcpu, uint64_t value)
{
	struct platform *platform = vcpu->vm->platform;

	(void)platform->ops->msr_write(platform, MSR_DEBUGCTL, value);
}
