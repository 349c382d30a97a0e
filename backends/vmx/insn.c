/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single instructions that the VMX backend needs; see insn.h. Its own file so that hosted tests can replace it.
 */
#include <undercroft/errno.h>

#include "backends/vmx/insn.h"

#define TSS_BASE_LOW_SHIFT 16

/* CF or ZF: VMfailInvalid or VMfailValid. SDM vol. 3, "Conventions" (30.2) */
int vmx_insn_vmxon(paddr_t region)
{
	bool failed;

	__asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(region) : "memory");
	return failed ? -EIO : 0;
}

int vmx_insn_vmclear(paddr_t vmcs)
{
	bool failed;

	__asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(vmcs) : "memory");
	return failed ? -EIO : 0;
}

int vmx_insn_vmptrld(paddr_t vmcs)
{
	bool failed;

	__asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(vmcs) : "memory");
	return failed ? -EIO : 0;
}

void vmx_insn_invept(uint64_t type, uint64_t eptp)
{
	const uint64_t descriptor[2] = {eptp, 0};

	__asm__ volatile("invept %0, %1" : : "m"(descriptor), "r"(type) : "cc", "memory");
}

void vmx_insn_invvpid(uint64_t type, uint16_t vpid)
{
	const uint64_t descriptor[2] = {vpid, 0};

	__asm__ volatile("invvpid %0, %1" : : "m"(descriptor), "r"(type) : "cc", "memory");
}

/* The base in a 16-byte TSS descriptor. SDM vol. 3, "TSS Descriptor in 64-bit Mode" (7.2.3) */
static uint64_t tss_base(const uint64_t *descriptor)
{
	return (descriptor[0] >> TSS_BASE_LOW_SHIFT & 0xffffff) | (descriptor[0] >> 56) << 24 | descriptor[1] << 32;
}

void vmx_insn_host_tables(struct vmx_host_tables *out)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) table;

	__asm__ volatile("sgdt %0" : "=m"(table));
	out->gdt_base = table.base;
	__asm__ volatile("sidt %0" : "=m"(table));
	out->idt_base = table.base;
	__asm__ volatile("movw %%cs, %0" : "=r"(out->cs));
	__asm__ volatile("movw %%ss, %0" : "=r"(out->ss));
	__asm__ volatile("movw %%ds, %0" : "=r"(out->ds));
	__asm__ volatile("movw %%es, %0" : "=r"(out->es));
	__asm__ volatile("movw %%fs, %0" : "=r"(out->fs));
	__asm__ volatile("movw %%gs, %0" : "=r"(out->gs));
	__asm__ volatile("str %0" : "=r"(out->tr));
	out->tr_base = tss_base((const uint64_t *)(uintptr_t)(out->gdt_base + out->tr));
}

void vmx_insn_nmi_unblock(void)
{
	uint64_t scratch;

	__asm__ volatile("movl %%ss, %k0\n"
			 "pushq %0\n"
			 "pushq %%rsp\n"
			 "addq $8, (%%rsp)\n"
			 "pushfq\n"
			 "movl %%cs, %k0\n"
			 "pushq %0\n"
			 "leaq 1f(%%rip), %0\n"
			 "pushq %0\n"
			 "iretq\n"
			 "1:"
			 : "=&r"(scratch)
			 :
			 : "cc", "memory");
}
