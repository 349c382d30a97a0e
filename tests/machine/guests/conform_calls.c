/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conformance: SYSENTER and SYSEXIT, SYSCALL and SYSRET, in every mode that has them, with and without TF.
 */
#include "conform_calls.h"
#include "record.h"

#define FLAGS_TF 0x100u
#define FLAGS_DF 0x400u

#define FLAGS_SHOWN (FLAGS_TF | FLAGS_DF)

#define MSR_SYSENTER_CS	 0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176
#define MSR_EFER	 0xc0000080
#define MSR_STAR	 0xc0000081
#define MSR_LSTAR	 0xc0000082
#define MSR_CSTAR	 0xc0000083
#define MSR_FMASK	 0xc0000084
#define EFER_SCE	 1u

#define VENDOR_INTEL_EBX 0x756e6547u

/* conform_calls_code.S */
void enter32(void), enter64(void), call32(void), call64(void);
void enter32_kernel(void), enter64_kernel(void), call32_kernel(void), call64_kernel(void), call_compat_kernel(void);

/* what SYSCALL has left in R11 */
extern uint32_t calls_kept;

static uint8_t stack[1024] __attribute__((aligned(16)));

static void segments_set(uint64_t code)
{
	gdt[SELECTOR_CALL_CODE / 8] = code;
	gdt[SELECTOR_CALL_STACK / 8] = 0x00cf93000000ffff;
	gdt[SELECTOR_CALL_USER / 8] = 0x00cffb000000ffff;
	gdt[SELECTOR_CALL_DATA / 8] = gdt[SELECTOR_CALL_DATA64 / 8] = 0x00cff3000000ffff;
	gdt[SELECTOR_CALL_USER64 / 8] = 0x00affb000000ffff;
}

static void entry_set(void (*enter)(void))
{
	msr_write(MSR_SYSENTER_CS, SELECTOR_CALL_CODE);
	msr_write(MSR_SYSENTER_ESP, (uint32_t)stack + sizeof(stack));
	msr_write(MSR_SYSENTER_EIP, (uint32_t)enter);
}

static void protected_mode(uint32_t flags)
{
	segments_set(0x00cf9b000000ffff);
	entry_set(enter32_kernel);
	msr_write(MSR_STAR,
		  (uint64_t)SELECTOR_CALL_USER << 48 | (uint64_t)SELECTOR_CALL_CODE << 32 | (uint32_t)call32_kernel);
	print("flags %x ", flags);
	run_user_flags(enter32, 0, flags);
	record_print("enter32", (const void *)enter32);
	print("flags %x ", flags);
	run_user_flags(call32, 0, flags);
	record_print("call32", (const void *)call32);
}

static void long_mode(uint32_t flags, uint32_t mask)
{
	segments_set(0x00af9b000000ffff);
	msr_write(MSR_STAR, (uint64_t)SELECTOR_CALL_USER << 48 | (uint64_t)SELECTOR_CALL_CODE << 32);
	msr_write(MSR_LSTAR, (uint32_t)call64_kernel);
	msr_write(MSR_CSTAR, (uint32_t)call_compat_kernel);
	msr_write(MSR_FMASK, mask);
	print("flags %x mask %x ", flags, mask);
	run_user_long(call64, 0, SELECTOR_USER_CODE64, flags);
	record_print("call64", (const void *)call64);
	print("  R11 %x\n", calls_kept & FLAGS_SHOWN);
	print("flags %x mask %x compatibility mode ", flags, mask);
	run_user_long(call32, 0, SELECTOR_USER_CODE, flags);
	record_print("call32", (const void *)call32);
}

/* AMD's CPUs have it in legacy mode alone, which not every emulated one knows. */
static void enter_long_mode(uint32_t flags)
{
	if (cpuid(0, 0).ebx != VENDOR_INTEL_EBX)
		return;
	entry_set(enter64_kernel);
	print("flags %x ", flags);
	run_user_long(enter64, 0, SELECTOR_USER_CODE64, flags);
	record_print("enter64", (const void *)enter64);
	entry_set(enter32_kernel);
	print("flags %x compatibility mode ", flags);
	run_user_long(enter32, 0, SELECTOR_USER_CODE, flags);
	record_print("enter32", (const void *)enter32);
}

void system_calls(void)
{
	uint32_t efer;

	mark("system calls");
	efer = (uint32_t)msr_read(MSR_EFER);
	msr_write(MSR_EFER, efer | EFER_SCE);
	protected_mode(FLAGS_DF);
	protected_mode(FLAGS_TF);
	long_mode(FLAGS_DF, FLAGS_DF);
	long_mode(FLAGS_TF, 0);
	long_mode(FLAGS_TF, FLAGS_TF);
	enter_long_mode(FLAGS_DF);
	enter_long_mode(FLAGS_TF);
	msr_write(MSR_EFER, efer);
}
