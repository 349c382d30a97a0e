/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested table entries and their activation. APM vol. 2, "Nested Paging" (15.25). Walking and splitting are core's.
 */
#include "backends/svm/svm.h"

#define PTE_PRESENT 0x001ull
#define PTE_WRITE   0x002ull
#define PTE_USER    0x004ull
#define PTE_LARGE   0x080ull
#define PTE_NX	    (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull

/* Bits 9 to 11 are software's: the type, which the CPU takes from the MTRRs, so that an entry says all that core put in
 */
#define PTE_TYPE_SHIFT 9
#define PTE_TYPE_MASK  7u

/*
 * A nested walk counts as a user access, so U/S is always set; the type is write-back by PAT entry 0, so that the
 * guest's PAT and the MTRRs decide. APM vol. 2, "Combining Nested and Host Memory Types" (15.25.8)
 */
uint64_t svm_nested_encode(const struct nested_entry *entry, unsigned level)
{
	uint64_t raw = PTE_PRESENT | PTE_USER;

	if (!entry->present)
		return 0;
	if (entry->access & ACCESS_WRITE)
		raw |= PTE_WRITE;
	if (!(entry->access & ACCESS_EXEC))
		raw |= PTE_NX;
	if (entry->leaf)
		raw |= (uint64_t)entry->type << PTE_TYPE_SHIFT | (level > 1 ? PTE_LARGE : 0);
	return raw | entry->address;
}

void svm_nested_decode(uint64_t raw, unsigned level, struct nested_entry *entry)
{
	*entry = (struct nested_entry){0};
	if (!(raw & PTE_PRESENT))
		return;
	entry->present = true;
	entry->leaf = level == 1 || (raw & PTE_LARGE);
	entry->access = ACCESS_READ;
	if (raw & PTE_WRITE)
		entry->access |= ACCESS_WRITE;
	if (!(raw & PTE_NX))
		entry->access |= ACCESS_EXEC;
	entry->address = raw & PTE_ADDRESS;
	if (!entry->leaf)
		return;
	entry->type = raw >> PTE_TYPE_SHIFT & PTE_TYPE_MASK;
	entry->address = ALIGN_DOWN(entry->address, NESTED_LEVEL_SIZE(level));
}

void svm_tlb_flush(struct vcpu *vcpu, enum tlb_scope scope)
{
	/* every CPU with SVM has "flush all"; "flush this guest's" needs FlushByAsid and there is one guest only */
	(void)scope;
	svm_vcpu(vcpu)->vmcb.tlb_control = VMCB_TLB_FLUSH_ALL;
}

void svm_nested_activate(struct vcpu *vcpu, const struct nested_view *view)
{
	svm_vcpu(vcpu)->vmcb.nested_cr3 = view->root;
	svm_tlb_flush(vcpu, TLB_FLUSH_GUEST);
}
