/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extended page table entries and their activation. SDM vol. 3, "The Extended Page Table Mechanism (EPT)" (28.2).
 * Walking and splitting are core's.
 */
#include <platform/vmcs.h>

#include "backends/vmx/insn.h"
#include "backends/vmx/vmx.h"

_Static_assert(ACCESS_READ == VMX_EPTE_READ && ACCESS_WRITE == VMX_EPTE_WRITE && ACCESS_EXEC == VMX_EPTE_EXEC,
	       "the same bits");

/*
 * The type is what the MTRRs say, in their encoding, without "ignore PAT", so that the guest's PAT joins in as on the
 * bare machine; the CPU does not look at the MTRRs for guest-physical addresses. SDM vol. 3, "Memory Type Used for
 * Translated Guest-Physical Addresses" (28.2.7.2)
 */
uint64_t vmx_nested_encode(const struct nested_entry *entry, unsigned level)
{
	uint64_t raw;

	if (!entry->present)
		return 0;
	raw = entry->address | (entry->access & VMX_EPTE_ACCESS);
	if (entry->leaf)
		raw |= (uint64_t)entry->type << VMX_EPTE_TYPE_SHIFT | (level > 1 ? VMX_EPTE_LARGE : 0);
	return raw;
}

void vmx_nested_decode(uint64_t raw, unsigned level, struct nested_entry *entry)
{
	*entry = (struct nested_entry){0};
	if (!(raw & VMX_EPTE_ACCESS))
		return;
	entry->present = true;
	entry->leaf = level == 1 || (raw & VMX_EPTE_LARGE);
	entry->access = raw & VMX_EPTE_ACCESS;
	entry->address = raw & VMX_EPTE_ADDRESS;
	if (!entry->leaf)
		return;
	entry->type = (uint8_t)((raw & VMX_EPTE_TYPE) >> VMX_EPTE_TYPE_SHIFT);
	entry->address = ALIGN_DOWN(entry->address, NESTED_LEVEL_SIZE(level));
}

/* Both kinds of what the CPU caches: through the guest's tables, and through ours. There is one guest only. */
void vmx_tlb_flush(struct vcpu *vcpu, enum tlb_scope scope)
{
	(void)vcpu;
	(void)scope;
	vmx_insn_invvpid(VMX_INVVPID_ALL, 0);
	vmx_insn_invept(VMX_INVEPT_ALL, 0);
}

void vmx_nested_activate(struct vcpu *vcpu, const struct nested_view *view)
{
	(void)vcpu;
	vmcs_write(VMCS_EPT_POINTER, view->root | VMX_EPTP_WALK_4 | VMX_EPTP_WB);
	/* changed tables count with INVEPT alone. SDM vol. 3, "Guidelines for Use of the INVEPT Instruction" (28.3.3.4)
	 */
	vmx_insn_invept(VMX_INVEPT_ALL, 0);
}
