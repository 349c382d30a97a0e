/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What instructions cost that a hypervisor carries out: each between two reads of the time stamp counter, in real mode,
 * in protected mode without paging and in 64-bit mode. Under "-icount shift=0" the counter counts instructions, so the
 * difference to the same program without a hypervisor is what the hypervisor executed.
 */
#include "roundtrip.h"

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x2 /* the memory map is wanted */

#define CODE32 0x08
#define DATA32 0x10
#define CODE64 0x18
#define CODE16 0x20
#define DATA16 0x28

	.text
	.code32
	.balign 4
	.long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.globl _start
_start:
	cli
	cld
	movl $stack_end, %esp
	lgdt gdt_pointer
	ljmp $CODE32, $1f
1:	movl $DATA32, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	pushl %ebx
	call bench_main
2:	hlt
	jmp 2b

	/* inside of strings the preprocessor sees no names */
	.set msr_efer, MSR_EFER
	.set msr_out_of_map, MSR_OUT_OF_MAP
	.set hidden_port, HIDDEN_PORT
	.set apic_eoi, APIC_EOI

	/*
	 * Runs an instruction ROUNDS times, after \prepare (which may set ecx, ebx and ebp) and with \load (eax, edx)
	 * inside of what is counted; the results go to RESULTS + \slot.
	 */
.macro MEASURE slot, prepare, load, instruction
	movl $(RESULTS + (\slot) * ROUNDS * 4), %edi
1:	\prepare
	rdtsc
	movl %eax, %esi
	\load
	\instruction
	rdtsc
	subl %esi, %eax
	movl %eax, (%edi)
	addl $4, %edi
	cmpl $(RESULTS + ((\slot) + 1) * ROUNDS * 4), %edi
	jne 1b
.endm

	/* What every mode can run. */
.macro MEASURE_COMMON mode
	MEASURE SLOT(\mode, ROW_NOTHING), "xorl %ecx, %ecx", "movl $1, %eax", "nop"
	MEASURE SLOT(\mode, ROW_CPUID), "xorl %ecx, %ecx", "movl $0, %eax", "cpuid"
	MEASURE SLOT(\mode, ROW_CPUID_FILTERED), "xorl %ecx, %ecx", "movl $1, %eax", "cpuid"
	MEASURE SLOT(\mode, ROW_RDMSR_EFER), "movl $msr_efer, %ecx", "nop", "rdmsr"
	MEASURE SLOT(\mode, ROW_WRMSR_EFER), "movl $msr_efer, %ecx; rdmsr; movl %eax, %ebx", "movl %ebx, %eax; xorl %edx, %edx", "wrmsr"
	MEASURE SLOT(\mode, ROW_RDMSR_FAR), "movl $msr_out_of_map, %ecx", "nop", "rdmsr"
	MEASURE SLOT(\mode, ROW_PORT), "nop", "movl $hidden_port, %edx", "inb %dx, %al"
.endm

	/* What needs addresses above 1 MiB. */
.macro MEASURE_MEMORY mode
	MEASURE SLOT(\mode, ROW_MEMORY), "movl $hidden_address, %ebp; movl (%ebp), %ebp", "nop", "movl (%ebp), %eax"
	MEASURE SLOT(\mode, ROW_EOI), "movl $apic_eoi, %ebp", "xorl %eax, %eax", "movl %eax, (%ebp)"
.endm

	.globl bench_protected
bench_protected:
	pushal
	MEASURE_COMMON MODE_PROTECTED
	MEASURE_MEMORY MODE_PROTECTED
	popal
	ret

	/* void bench_long(uint32_t page_tables, void (*measure)(void)) */
	.globl bench_long
bench_long:
	pushal
	movl 36(%esp), %eax
	movl 40(%esp), %ebp
	movl %eax, %cr3
	movl %cr4, %eax
	orl $0x20, %eax
	movl %eax, %cr4
	movl $MSR_EFER, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0
	ljmp $CODE64, $1f
	.code64
1:	call *%rbp
	movl $far_back, %eax
	ljmp *(%rax)
	.code32
back32:	movl %cr0, %eax
	andl $0x7fffffff, %eax
	movl %eax, %cr0
	movl $MSR_EFER, %ecx
	rdmsr
	andl $~0x100, %eax
	wrmsr
	popal
	ret

	.code64
	.globl bench_long_2m
bench_long_2m:
	MEASURE_COMMON MODE_LONG_2M
	MEASURE_MEMORY MODE_LONG_2M
	ret
	.globl bench_long_4k
bench_long_4k:
	MEASURE_COMMON MODE_LONG_4K
	MEASURE_MEMORY MODE_LONG_4K
	ret

	/* Real mode: the code lies below 1 MiB, copied there by bench_main(). */
	.code32
	.globl bench_real
bench_real:
	pushal
	movl %esp, saved_esp
	sidt idt_saved
	ljmp $CODE16, $LOW_CODE
back_real:
	movl $DATA32, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl saved_esp, %esp
	lidt idt_saved
	popal
	ret

	.globl low_code, low_code_end
low_code:
	.code16
	movw $DATA16, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl %cr0, %eax
	andl $~1, %eax
	movl %eax, %cr0
	ljmp $0, $(LOW_CODE + (1f - low_code))
1:	xorl %eax, %eax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $LOW_STACK, %esp
	MEASURE_COMMON MODE_REAL
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $CODE32, $back_real
low_code_end:

	.data
	.balign 8
gdt:	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff
	.quad 0x00af9b000000ffff
	.quad 0x00009b000000ffff
	.quad 0x000093000000ffff
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
far_back:
	.long back32
	.word CODE32
idt_saved:
	.space 8
saved_esp:
	.long 0
	.globl hidden_address
hidden_address:
	.long 0

	.bss
	.balign 16
	.space 16384
stack_end:
