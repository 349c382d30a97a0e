/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the SVM backend's files share.
 */
#ifndef SVM_SVM_H
#define SVM_SVM_H

#include <undercroft/vcpu.h>

#include "backends/svm/vmcb.h"

#define SVM_IOPM_PAGES	3 /* APM vol. 2, "I/O Permissions Map" (15.10.1): 12 KiB */
#define SVM_MSRPM_PAGES 2 /* APM vol. 2, "MSR Intercepts" (15.11): 8 KiB */
#define SVM_ASID	1

struct svm_vcpu {
	struct vcpu vcpu; /* first: svm_enter relies on it */
	paddr_t host_save;
	uint8_t *iopm, *msrpm;
	/*
	 * The CPUID executed last: its linear address, the guest's CR3 and where its first byte lies. A guest that has
	 * put another page there meanwhile, with a prefixed CPUID at the same place, misleads its own instruction
	 * pointer.
	 */
	gva_t cpuid_linear;
	uint64_t cpuid_cr3;
	const uint8_t *cpuid_byte;
	bool has_nrip;		   /* exits tell the next RIP; without it the field is never written */
	uint32_t saved_exceptions; /* intercepts as they are outside of a step */
	bool saved_nmi;
	bool paging, cr3;  /* INTERCEPT_PAGING, INTERCEPT_CR3 are on */
	bool saved_shadow; /* QUIRK_V_INTR_MASKING */
	/* The software event injected last: its instruction, and how many exits there had been (0: none yet) */
	uint64_t soft_exits, soft_rip;
	uint8_t soft_length;
	struct vmcb vmcb __attribute__((aligned(4096)));
};

static inline struct svm_vcpu *svm_vcpu(struct vcpu *vcpu)
{
	return CONTAINER_OF(vcpu, struct svm_vcpu, vcpu);
}

/* Everything of ours is mapped 1:1, the vCPU included. */
static inline paddr_t svm_vmcb_address(const struct svm_vcpu *svm)
{
	return (uintptr_t)&svm->vmcb;
}

/* vcpu.c */
int svm_vcpu_init(struct vcpu *vcpu);
int svm_cpu_enable(struct vcpu *vcpu);

/* run.c */
void svm_run(struct vcpu *vcpu);
int svm_exit(struct svm_vcpu *svm);
void svm_decode_detail(struct vcpu *vcpu);

/* entry.S: enters the guest until svm_exit() returns non-zero. */
void svm_enter(struct svm_vcpu *svm);

/* regs.c */
uint64_t svm_reg_get(struct vcpu *vcpu, enum reg reg);
void svm_reg_set(struct vcpu *vcpu, enum reg reg, uint64_t value);
void svm_seg_get(struct vcpu *vcpu, enum seg seg, struct segment *out);
void svm_seg_set(struct vcpu *vcpu, enum seg seg, const struct segment *value);

/* intercept.c */
uint64_t svm_debugctl_get(struct vcpu *vcpu);
void svm_debugctl_set(struct vcpu *vcpu, uint64_t value);
int svm_intercept(struct vcpu *vcpu, enum intercept_kind kind, uint32_t argument, bool on);
void svm_step(struct vcpu *vcpu, bool on);
void svm_interrupt_pass(struct vcpu *vcpu);
int svm_timer(struct vcpu *vcpu, uint64_t microseconds);

/* event.c */
void svm_inject(struct vcpu *vcpu, const struct event *event);
void svm_admit(struct vcpu *vcpu);
void svm_delivery_interrupted(struct svm_vcpu *svm);

/* nested.c */
uint64_t svm_nested_encode(const struct nested_entry *entry, unsigned level);
void svm_nested_decode(uint64_t raw, unsigned level, struct nested_entry *entry);
void svm_nested_activate(struct vcpu *vcpu, const struct nested_view *view);
void svm_tlb_flush(struct vcpu *vcpu, enum tlb_scope scope);

/* dump.c */
void svm_dump(struct vcpu *vcpu);

#endif
