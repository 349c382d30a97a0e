/* SPDX-License-Identifier: BSD-2-Clause */
/* backends/svm: the exit path, details, registers, permission maps, events and nested entries, without a CPU. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <platform/registers.h>
#include <undercroft/alarm.h>
#include <undercroft/machine.h>
#include <undercroft/quirk.h>
#include <x86/cpuid.h>
#include <x86/cr.h>
#include <x86/dr.h>
#include <x86/msr.h>

#include "backends/svm/insn.h"
#include "backends/svm/svm.h"
#include "core/exit.h"
#include "tests/fakes/fake_backend.h"

#define CODE 0x8000ull

extern const struct backend_ops *const __start_backends[], *const __stop_backends[];
extern const struct backend_probe *const __start_backend_probes[], *const __stop_backend_probes[];

/* --- the CPU: what VMLOAD and VMSAVE move, and what nobody moves --- */

uint64_t fake_cr[FAKE_CR_COUNT], fake_dr[FAKE_DR_COUNT];

static struct {
	struct vmcb hidden; /* only the fields that VMLOAD and VMSAVE know */
	unsigned loads, saves, clgis, stgis;
} cpu;

static void hidden_copy(struct vmcb *to, const struct vmcb *from)
{
	to->fs = from->fs;
	to->gs = from->gs;
	to->ldtr = from->ldtr;
	to->tr = from->tr;
	to->star = from->star;
	to->lstar = from->lstar;
	to->cstar = from->cstar;
	to->sfmask = from->sfmask;
	to->kernel_gs_base = from->kernel_gs_base;
	to->sysenter_cs = from->sysenter_cs;
	to->sysenter_esp = from->sysenter_esp;
	to->sysenter_eip = from->sysenter_eip;
}

void svm_insn_vmload(paddr_t vmcb)
{
	assert_int_equal(vmcb & ~PAGE_MASK, 0);
	hidden_copy(&cpu.hidden, (const struct vmcb *)vmcb);
	cpu.loads++;
}

void svm_insn_vmsave(paddr_t vmcb)
{
	assert_int_equal(vmcb & ~PAGE_MASK, 0);
	hidden_copy((struct vmcb *)vmcb, &cpu.hidden);
	cpu.saves++;
}

void svm_insn_stgi(void)
{
	cpu.stgis++;
}

void svm_insn_clgi(void)
{
	cpu.clgis++;
}

static unsigned entries;

/* One entry of the guest, which exits at once. */
void svm_enter(struct svm_vcpu *svm)
{
	entries++;
	svm->vmcb.exitcode = VMEXIT_CPUID;
	(void)svm_exit(svm);
}

/* --- the VM --- */

static struct fake_vm fake;
static struct machine machine;
static struct svm_vcpu *svm;
static struct vcpu *vcpu;
static struct vmcb *vmcb;
static const struct backend_ops *ops;
static char log_text[4096];

static unsigned handled, handled_kind, handled_length;
static enum verdict verdict;

static enum verdict handler(struct vcpu *v)
{
	handled++;
	handled_kind = (unsigned)v->exit.kind;
	handled_length = v->exit.length;
	return verdict;
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(__stop_backends - __start_backends, 1);
	ops = __start_backends[0];
	memset(&cpu, 0, sizeof(cpu));
	memset(fake_cr, 0, sizeof(fake_cr));
	memset(fake_dr, 0, sizeof(fake_dr));
	memset(log_text, 0, sizeof(log_text));
	fake_vm_init(&fake, MIB(16), MIB(8), 64);
	machine.memory = (struct memory_map){.count = 1, .range = {{0, MIB(8), MEMORY_USABLE, 0}}};
	fake.vm.machine = &machine;
	fake.vm.backend = ops;
	fake.vm.caps = 0;
	fake.log.ring = log_text;
	fake.log.ring_size = sizeof(log_text) - 1;
	svm = aligned_alloc(PAGE_SIZE, ALIGN_UP(ops->vcpu_size, PAGE_SIZE));
	assert_non_null(svm);
	assert_true(ops->vcpu_size == sizeof(*svm));
	memset(svm, 0, sizeof(*svm));
	vcpu = &svm->vcpu;
	vmcb = &svm->vmcb;
	fake.vm.vcpu = vcpu;
	vcpu_init(vcpu, &fake.vm);
	fake.vm.base.root = 0x123000;
	assert_int_equal(ops->vcpu_init(vcpu), 0);
	for (unsigned i = 0; i < EXIT_KIND_COUNT; i++)
		vcpu->slot[i] = handler;
	verdict = VERDICT_RESUME;
	handled = 0;
	vmcb->rip = CODE;
	vmcb->rflags = X86_FLAGS_FIXED;
	vmcb->cs = (struct vmcb_segment){.limit = 0xffff, .attributes = 0x9b};
	vmcb->ss = (struct vmcb_segment){.limit = 0xffff, .attributes = 0x93};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(svm);
	fake_vm_free(&fake);
	return 0;
}

static int leave_with(uint64_t code)
{
	vmcb->exitcode = code;
	return svm_exit(svm);
}

static void place(const char *bytes, size_t length)
{
	memcpy(fake_memory_at(&fake.platform, CODE, length), bytes, length);
}

/* --- vcpu.c, ops.c, detect.c --- */

static void test_init(void **state)
{
	uint64_t address;

	(void)state;
	/* APM vol. 2, "VMRUN Instruction" (15.5): what VMRUN checks */
	assert_true(vmcb->intercept_2 & VMCB_INTERCEPT2_VMRUN);
	assert_int_not_equal(vmcb->asid, 0);
	assert_int_equal(vmcb->efer, EFER_SVME);
	assert_int_equal(vmcb->nested_enable, 1);
	assert_int_equal(vmcb->nested_cr3, 0x123000);
	assert_int_equal(vmcb->tlb_control, VMCB_TLB_FLUSH_ALL);
	/* each instruction of the extension, and what hides it */
	assert_int_equal(vmcb->intercept_2 & 0x7f, 0x7f);
	assert_true(vmcb->intercept_1 & 1u << 3); /* INIT would leave the VM */
	assert_int_equal(vmcb->intercept_1 & (1u << 18 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 31),
			 1u << 18 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 31);
	assert_int_equal(vmcb->intercept_1 & (1u << 0 | 1u << 1 | 1u << 24), 0); /* INTR, NMI, HLT: the guest's own */
	assert_int_equal(vmcb->intercept_exceptions, 0);
	assert_int_equal((uintptr_t)vmcb & ~PAGE_MASK, 0);
	address = vmcb->iopm_base;
	assert_int_equal(address & ~PAGE_MASK, 0);
	assert_ptr_equal(svm->iopm, fake_memory_at(&fake.platform, address, 3 * PAGE_SIZE));
	assert_ptr_equal(svm->msrpm, fake_memory_at(&fake.platform, vmcb->msrpm_base, 2 * PAGE_SIZE));
	assert_true(vmcb->msrpm_base >= address + 3 * PAGE_SIZE);
	assert_true(svm->host_save >= vmcb->msrpm_base + 2 * PAGE_SIZE);
}

static void test_init_without_memory(void **state)
{
	(void)state;
	for (uint32_t pages = 0; pages < 6; pages++) {
		fake.vm.pool.available = pages;
		assert_int_equal(ops->vcpu_init(vcpu), -ENOMEM);
	}
	fake.vm.pool.available = 6;
	assert_int_equal(ops->vcpu_init(vcpu), 0);
}

static void test_cpu_enable(void **state)
{
	(void)state;
	fake_msr_set(&fake.platform, MSR_EFER, EFER_LME | EFER_LMA);
	assert_int_equal(ops->cpu_enable(vcpu), -EIO);
	assert_int_equal(cpu.clgis, 0);
	fake_msr_set(&fake.platform, MSR_VM_HSAVE_PA, 0);
	fake_msr_set(&fake.platform, MSR_PAT, 0);
	assert_int_equal(ops->cpu_enable(vcpu), 0);
	assert_int_equal(fake_msr_get(&fake.platform, MSR_EFER), EFER_LME | EFER_LMA | EFER_SVME);
	assert_true(fake_msr_get(&fake.platform, MSR_VM_HSAVE_PA) == svm->host_save);
	assert_true(fake_msr_get(&fake.platform, MSR_PAT) == PAT_RESET);
	assert_int_equal(cpu.clgis, 1);
	fake_cpuid_set(&fake.platform, CPUID_EXT_FEATURES, 0, (struct cpuid_regs){.edx = CPUID_EXT_EDX_NX});
	assert_int_equal(ops->cpu_enable(vcpu), 0);
	assert_true(fake_msr_get(&fake.platform, MSR_EFER) & EFER_NXE);
	fake_msr_set_read_only(&fake.platform, MSR_EFER, EFER_LME);
	assert_int_equal(ops->cpu_enable(vcpu), -EIO);
}

static void test_caps(void **state)
{
	(void)state;
	assert_int_equal(ops->caps(&fake.platform.platform), 0);
	fake_cpuid_set(&fake.platform, CPUID_SVM, 0, (struct cpuid_regs){.edx = CPUID_SVM_EDX_NRIPS});
	assert_int_equal(ops->caps(&fake.platform.platform), BACKEND_CAP_NRIP);
	fake_cpuid_set(&fake.platform, CPUID_SVM, 0, (struct cpuid_regs){.edx = CPUID_SVM_EDX_DECODE_ASSIST});
	assert_int_equal(ops->caps(&fake.platform.platform), BACKEND_CAP_ASSISTS);
	fake_cpuid_set(&fake.platform, CPUID_SVM, 0, (struct cpuid_regs){0});
	fake_cpuid_set(&fake.platform, CPUID_EXT_FEATURES, 0, (struct cpuid_regs){.edx = CPUID_EXT_EDX_PAGE1GB});
	assert_int_equal(ops->caps(&fake.platform.platform), BACKEND_CAP_PAGES_1G);
}

static int probe(const char **why)
{
	const char *cure = NULL;
	int result;

	*why = NULL;
	assert_int_equal(__stop_backend_probes - __start_backend_probes, 1);
	result = __start_backend_probes[0]->supported(&fake.platform.platform, why, &cure);
	assert_int_equal(*why != NULL, result == -ENODEV);
	assert_true(result != -ENODEV || cure != NULL);
	return result;
}

static void test_supported(void **state)
{
	const char *why;

	(void)state;
	assert_string_equal(__start_backend_probes[0]->name, ops->name);
	fake_cpuid_set(&fake.platform, CPUID_VENDOR, 0,
		       (struct cpuid_regs){.ebx = 0x756e6547, .edx = 0x49656e69, .ecx = 0x6c65746e});
	assert_int_equal(probe(&why), -ENOTSUP);
	fake_cpuid_set(&fake.platform, CPUID_VENDOR, 0,
		       (struct cpuid_regs){.ebx = 0x68747541, .edx = 0x69746e65, .ecx = 0x444d4163});
	assert_int_equal(probe(&why), -ENODEV);
	assert_non_null(strstr(why, "has no SVM"));
	fake_cpuid_set(&fake.platform, CPUID_EXT_MAX, 0, (struct cpuid_regs){.eax = CPUID_SVM});
	assert_int_equal(probe(&why), -ENODEV);
	assert_non_null(strstr(why, "shows no SVM"));
	fake_cpuid_set(&fake.platform, CPUID_EXT_FEATURES, 0, (struct cpuid_regs){.ecx = CPUID_EXT_ECX_SVM});
	assert_int_equal(probe(&why), -ENODEV);
	assert_non_null(strstr(why, "nested paging"));
	fake_cpuid_set(&fake.platform, CPUID_SVM, 0, (struct cpuid_regs){.edx = CPUID_SVM_EDX_NP});
	assert_int_equal(probe(&why), -ENODEV);
	assert_non_null(strstr(why, "cannot be read"));
	fake_msr_set(&fake.platform, MSR_VM_CR, VM_CR_SVMDIS);
	assert_int_equal(probe(&why), -ENODEV);
	assert_non_null(strstr(why, "firmware"));
	fake_msr_set(&fake.platform, MSR_VM_CR, VM_CR_LOCK);
	assert_int_equal(probe(&why), 0);
}

/* --- run.c --- */

static unsigned expected_kind(uint64_t code)
{
	if (code >= 0x40 && code <= 0x5f)
		return EXIT_EXCEPTION;
	if (code >= 0x20 && code <= 0x3f)
		return EXIT_DR;
	switch (code) {
	case 0x60:
		return EXIT_INTR;
	case 0x61:
		return EXIT_NMI;
	case 0x63:
		return EXIT_INIT;
	case 0x64:
	case 0x74:
		return EXIT_INTR;
	case 0x72:
		return EXIT_CPUID;
	case 0x76:
		return EXIT_INVD;
	case 0x7a: /* INVLPGA */
	case 0x80: /* VMRUN */
	case 0x82: /* VMLOAD, VMSAVE, STGI, CLGI, SKINIT */
	case 0x83:
	case 0x84:
	case 0x85:
	case 0x86:
		return EXIT_VIRT_INSN;
	case 0x13:
	case 0x14:
	case 0x65:
	case 0x79:
	case 0xa2:
		return EXIT_PAGING;
	case 0x75:
		return EXIT_EXCEPTION;
	case 0x7b:
		return EXIT_IO;
	case 0x7c:
		return EXIT_MSR;
	case 0x78:
		return EXIT_HLT;
	case 0x7d:
		return EXIT_TASK_SWITCH;
	case 0x7f:
		return EXIT_SHUTDOWN;
	case 0x81:
		return EXIT_HYPERCALL;
	case 0x8b:
		return EXIT_MWAIT;
	case 0x400:
		return EXIT_NESTED;
	case 0xffffffff: /* as QEMU stores -1 */
	case ~0ull:
		return EXIT_INVALID;
	default:
		return EXIT_UNKNOWN;
	}
}

static void test_kinds(void **state)
{
	static const uint64_t others[] = {0x400,      0x401, 0x402, 0x403,	0x40000072,	   0x100000072,
					  0xfffffffe, ~0ull, ~1ull, 0xffffffff, 0x8000000000000072};

	(void)state;
	svm->has_nrip = true;
	for (uint64_t code = 0; code < 0x400; code++) {
		leave_with(code);
		assert_int_equal(handled_kind, expected_kind(code));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		leave_with(others[i]);
		assert_int_equal(handled_kind, expected_kind(others[i]));
	}
	assert_int_equal(handled, 0x400 + ARRAY_SIZE(others));
}

static enum verdict change_everything(struct vcpu *v)
{
	assert_int_equal(v->gpr[GPR_RAX], 0x1111);
	assert_int_equal(v->gpr[GPR_RSP], 0x2222);
	assert_int_equal(v->rip, CODE);
	assert_int_equal(v->rflags, X86_FLAGS_FIXED | X86_FLAGS_CF);
	assert_int_equal(v->code_flags & (SEG_ATTR_L | SEG_ATTR_DB), SEG_ATTR_DB);
	assert_int_equal(vmcb->tlb_control, VMCB_TLB_NOTHING);
	v->gpr[GPR_RAX] = 0x3333;
	v->gpr[GPR_RSP] = 0x4444;
	v->rflags = X86_FLAGS_FIXED | X86_FLAGS_ZF;
	return VERDICT_SKIP_INSN;
}

static void test_exit_moves_state(void **state)
{
	(void)state;
	svm->has_nrip = true;
	vcpu->slot[EXIT_CPUID] = change_everything;
	vmcb->rax = 0x1111;
	vmcb->rsp = 0x2222;
	vmcb->rflags = X86_FLAGS_FIXED | X86_FLAGS_CF;
	vmcb->nrip = CODE + 3;
	vmcb->cs.attributes |= SEG_ATTR_DB;
	vmcb->interrupt_shadow = 1;
	vmcb->tlb_control = VMCB_TLB_FLUSH_ALL;
	assert_int_equal(leave_with(VMEXIT_CPUID), 0);
	assert_int_equal(vmcb->rax, 0x3333);
	assert_int_equal(vmcb->rsp, 0x4444);
	assert_int_equal(vmcb->rflags, X86_FLAGS_FIXED | X86_FLAGS_ZF);
	assert_int_equal(vmcb->rip, CODE + 3);
	/* the instruction that STI protected is done */
	assert_int_equal(vmcb->interrupt_shadow, 0);
}

static void test_shadow_stays_if_rip_does(void **state)
{
	(void)state;
	vmcb->interrupt_shadow = 1;
	leave_with(VMEXIT_NPF);
	assert_int_equal(vmcb->interrupt_shadow, 1);
	assert_int_equal(vmcb->rip, CODE);
}

static void test_run(void **state)
{
	(void)state;
	svm->has_nrip = true;
	verdict = VERDICT_FATAL;
	entries = 0;
	vcpu->gpr[GPR_RAX] = 1;
	vcpu->gpr[GPR_RSP] = 2;
	vcpu->rip = 0x1234;
	vcpu->rflags = X86_FLAGS_FIXED | X86_FLAGS_DF;
	ops->run(vcpu);
	assert_int_equal(entries, 1);
	assert_int_equal(vmcb->rax, 1);
	assert_int_equal(vmcb->rsp, 2);
	assert_int_equal(vmcb->rip, 0x1234);
	assert_int_equal(vmcb->rflags, X86_FLAGS_FIXED | X86_FLAGS_DF);
	assert_int_not_equal(leave_with(VMEXIT_CPUID), 0);
}

static void test_lengths_from_nrip(void **state)
{
	(void)state;
	fake.vm.caps = BACKEND_CAP_NRIP;
	fake.vm.pool.available = 6;
	assert_int_equal(ops->vcpu_init(vcpu), 0);
	assert_true(svm->has_nrip);
	vmcb->rip = CODE;
	vmcb->nrip = CODE + 5;
	leave_with(VMEXIT_CPUID);
	assert_int_equal(handled_length, 5);
	/* wrapped */
	vmcb->rip = 0xfffe;
	vmcb->nrip = 0;
	leave_with(VMEXIT_CPUID);
	assert_int_equal(handled_length, 2);
	verdict = VERDICT_SKIP_INSN;
	leave_with(VMEXIT_CPUID);
	assert_int_equal(vmcb->rip, 0);
}

static void test_lengths_without_nrip(void **state)
{
	static const struct {
		uint64_t code;
		const char *bytes;
		size_t length;
		unsigned expected;
	} cases[] = {
		{VMEXIT_CPUID, "\x0f\xa2", 2, 2},
		{VMEXIT_CPUID, "\x66\x0f\xa2", 3, 3},
		{VMEXIT_MSR, "\x0f\x30", 2, 2},
		{VMEXIT_MSR, "\x2e\x0f\x32", 3, 3},
		{VMEXIT_VMMCALL, "\x0f\x01\xd9", 3, 3},
		{VMEXIT_INVD, "\x0f\x08", 2, 2},
		{VMEXIT_HLT, "\xf4", 1, 1},
		{VMEXIT_HLT, "\x66\xf4", 2, 2},
		{VMEXIT_MWAIT, "\x0f\x01\xc9", 3, 3},
		{VMEXIT_MWAIT, "\x3e\x0f\x01\xc9", 4, 4},
		{VMEXIT_NPF, "\x0f\xa2", 2, 0},
		{VMEXIT_EXCEPTION + 6, "\x0f\xa2", 2, 0},
	};

	(void)state;
	assert_false(svm->has_nrip);
	vmcb->nrip = CODE + 9; /* never written by such a CPU */
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		place(cases[i].bytes, cases[i].length);
		leave_with(cases[i].code);
		assert_int_equal(handled_length, cases[i].expected);
		assert_null(vcpu->fatal);
	}
}

/*
 * The CPU executed it by a translation that is no more in the guest's tables: it loses that, and tries again. What it
 * still finds and we do not is no memory.
 */
static void test_refetch(void **state)
{
	static const uint64_t codes[] = {VMEXIT_CPUID, VMEXIT_MSR, VMEXIT_VMMCALL,
					 VMEXIT_INVD,  VMEXIT_HLT, VMEXIT_MWAIT};

	(void)state;
	vcpu->slot[EXIT_REFETCH] = exit_defaults[EXIT_REFETCH];
	place("\x0f\xa2", 2);
	vmcb->cr3 = MIB(1); /* nothing is mapped */
	vmcb->cr0 = CR0_PE | CR0_PG;
	for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
		vmcb->eventinj = 0;
		assert_int_equal(leave_with(codes[i]), 0);
		assert_int_equal(vmcb->tlb_control, VMCB_TLB_FLUSH_ALL);
		assert_int_equal(vmcb->rip, CODE);
		assert_int_equal(vmcb->eventinj, 0);
		assert_int_equal(vmcb->intercept_exceptions, 0xffffffff);
		/* again */
		assert_int_equal(leave_with(codes[i]), 0);
		assert_int_equal(vmcb->tlb_control, VMCB_TLB_NOTHING);
		assert_int_equal(vmcb->eventinj, VMCB_EVENT_VALID | VMCB_EVENT_ERROR_VALID |
							 VMCB_EVENT_TYPE_EXCEPT << VMCB_EVENT_TYPE_SHIFT | 13);
		assert_int_equal(vmcb->intercept_exceptions, 0);
		assert_int_equal(vmcb->rflags, X86_FLAGS_FIXED);
	}
	assert_int_equal(handled, 0);
	assert_int_equal(vcpu->statistics.counter[EXIT_REFETCH].count, 2 * ARRAY_SIZE(codes));
	assert_null(vcpu->fatal);
	/* what is there is nothing */
	vmcb->cr0 = 0;
	place("\x0f\x0a", 2);
	assert_int_equal(leave_with(VMEXIT_VMMCALL), 0);
	assert_int_equal(vmcb->tlb_control, VMCB_TLB_FLUSH_ALL);
}

static struct exit_detail detail(uint64_t code, uint64_t info1, uint64_t info2)
{
	vmcb->exitinfo1 = info1;
	vmcb->exitinfo2 = info2;
	memset(&vcpu->detail, 0xa5, sizeof(vcpu->detail));
	leave_with(code);
	ops->decode_detail(vcpu);
	return vcpu->detail;
}

static void test_detail_msr(void **state)
{
	struct exit_detail d;

	(void)state;
	place("\x0f\x30", 2);
	vcpu->gpr[GPR_RCX] = 0xffffffffc0000080;
	d = detail(VMEXIT_MSR, 1, 0);
	assert_int_equal(d.msr.index, 0xc0000080);
	assert_true(d.msr.write);
	d = detail(VMEXIT_MSR, 0, 0);
	assert_false(d.msr.write);
}

static void test_detail_io(void **state)
{
	struct exit_detail d;

	(void)state;
	/* APM vol. 2, "IOIO Intercepts" (15.10.2) */
	for (unsigned size = 1; size <= 4; size *= 2) {
		for (unsigned bits = 0; bits < 8; bits++) {
			uint64_t info1 = 0xfff8ull << 16 | size << 4 | (bits & 1) | (bits & 2 ? 4 : 0) |
					 (bits & 4 ? 8 : 0) | 0x380; /* address size, in the way */

			d = detail(VMEXIT_IOIO, info1, CODE + size);
			assert_int_equal(d.io.port, 0xfff8);
			assert_int_equal(d.io.size, size);
			assert_int_equal(d.io.in, bits & 1);
			assert_int_equal(d.io.string, (bits & 2) != 0);
			assert_int_equal(d.io.rep, (bits & 4) != 0);
			assert_int_equal(vcpu->exit.length, size);
		}
	}
}

/* An exit out of SMM, where EFER is 0, which only an emulator makes: the guest has to be entered again. */
static void test_in_smm(void **state)
{
	static const uint64_t codes[] = {VMEXIT_IOIO, VMEXIT_HLT, VMEXIT_INTR, VMEXIT_VINTR};

	(void)state;
	place("\xf4", 1);
	for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
		fake.vm.quirks = 0;
		vmcb->efer = 0;
		leave_with(codes[i]);
		assert_true(vmcb->efer == 0);
		fake.vm.quirks = QUIRK_SMM_EXITS;
		leave_with(codes[i]);
		assert_true(vmcb->efer == EFER_SVME);
	}
}

/* The next RIP is not behind the instruction if that is the last one of 64 KiB. */
static void test_detail_io_at_the_end(void **state)
{
	(void)state;
	memcpy(fake_memory_at(&fake.platform, 0xfffe, 2), "\xe4\x60", 2);
	vmcb->rip = 0xfffe;
	detail(VMEXIT_IOIO, 0x600010 | 1, 0);
	assert_int_equal(vcpu->exit.length, 2);
	detail(VMEXIT_IOIO, 0x600010 | 1, 0xfffe);
	assert_int_equal(vcpu->exit.length, 2);
	assert_null(vcpu->fatal);
	memcpy(fake_memory_at(&fake.platform, 0xfffe, 2), "\x0f\x0a", 2);
	detail(VMEXIT_IOIO, 0x600010 | 1, 0);
	assert_int_equal(vcpu->exit.length, 0);
	assert_null(vcpu->fatal);
}

static void test_detail_nested(void **state)
{
	static const struct {
		uint64_t info1;
		uint8_t access;
		bool present, walk;
	} cases[] = {
		{1ull << 32 | 0x04, ACCESS_READ, false, false},	 {1ull << 32 | 0x05, ACCESS_READ, true, false},
		{1ull << 32 | 0x06, ACCESS_WRITE, false, false}, {1ull << 32 | 0x07, ACCESS_WRITE, true, false},
		{1ull << 32 | 0x14, ACCESS_EXEC, false, false},	 {1ull << 32 | 0x15, ACCESS_EXEC, true, false},
		{1ull << 33 | 0x06, ACCESS_WRITE, false, true},	 {1ull << 33 | 0x07, ACCESS_WRITE, true, true},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct exit_detail d = detail(VMEXIT_NPF, cases[i].info1, 0xfedcba9876);

		assert_true(d.nested.gpa == 0xfedcba9876);
		assert_int_equal(d.nested.access, cases[i].access);
		assert_int_equal(d.nested.present, cases[i].present);
		assert_int_equal(d.nested.table_walk, cases[i].walk);
	}
}

static void test_detail_exception(void **state)
{
	static const uint8_t with_error[] = {8, 10, 11, 12, 13, 14, 17, 21, 29, 30};

	(void)state;
	for (unsigned vector = 0; vector < 32; vector++) {
		struct exit_detail d = detail(VMEXIT_EXCEPTION + vector, 0x1234, 0xabcdef);
		bool expected = false;

		for (unsigned i = 0; i < ARRAY_SIZE(with_error); i++)
			expected |= with_error[i] == vector;
		assert_int_equal(d.exception.vector, vector);
		assert_int_equal(d.exception.has_error, expected);
		assert_int_equal(d.exception.error, 0x1234);
		assert_true(d.exception.address == 0xabcdef);
	}
}

/* RIP points to them. What is none of them is what the guest has under a planted INT3. */
static void test_detail_software_interrupts(void **state)
{
	static const struct {
		uint64_t code;
		const char *bytes;
		size_t length;
		uint8_t vector, expected;
		bool is_interrupt;
	} cases[] = {
		{VMEXIT_EXCEPTION + 3, "\xcc", 1, 3, 1, false},
		{VMEXIT_EXCEPTION + 4, "\xce", 1, 4, 1, false},
		{VMEXIT_EXCEPTION + 3, "\x66\xcc", 2, 3, 2, false},
		{VMEXIT_SWINT, "\xcc", 1, 3, 1, false},
		{VMEXIT_SWINT, "\xce", 1, 4, 1, false},
		{VMEXIT_SWINT, "\xcd\x21", 2, 0x21, 2, true},
		{VMEXIT_SWINT, "\xcd\xcc", 2, 0xcc, 2, true},
		{VMEXIT_SWINT, "\x66\xcd\x10", 3, 0x10, 3, true},
		{VMEXIT_SWINT, "\x90", 1, 3, 1, false},
		{VMEXIT_SWINT, "\x66\x89\xcb", 3, 3, 1, false},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct exit_detail d;

		place(cases[i].bytes, cases[i].length);
		d = detail(cases[i].code, 0, 0);
		assert_int_equal(d.exception.vector, cases[i].vector);
		assert_int_equal(d.exception.length, cases[i].expected);
		assert_int_equal(d.exception.is_interrupt, cases[i].is_interrupt);
	}
	assert_int_equal(detail(VMEXIT_EXCEPTION + 6, 0, 0).exception.length, 0);
}

/* QUIRK_INT3_IS_INT_N, and nowhere else. */
static void test_int3_quirk(void **state)
{
	(void)state;
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_EXCEPTION, 3, true), 0);
	assert_int_equal(vmcb->intercept_1 & VMCB_INTERCEPT1_INTN, 0);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_EXCEPTION, 3, false), 0);
	fake.vm.quirks = QUIRK_INT3_IS_INT_N;
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_EXCEPTION, 3, true), 0);
	assert_int_not_equal(vmcb->intercept_1 & VMCB_INTERCEPT1_INTN, 0);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_EXCEPTION, 3, false), 0);
	assert_int_equal(vmcb->intercept_1 & VMCB_INTERCEPT1_INTN, 0);
}

static void test_paging_intercepts(void **state)
{
	uint32_t before = vmcb->intercept_1;

	(void)state;
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_PAGING, 0, true), 0);
	assert_int_equal(vmcb->intercept_cr_write, 0x18);
	assert_int_equal(vmcb->intercept_1 & ~before, 1u << 5 | 1u << 25);
	assert_int_equal(vmcb->intercept_3, 1u << 2);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_CR3, 0, true), 0);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_PAGING, 0, false), 0);
	assert_int_equal(vmcb->intercept_cr_write, 0x08);
	assert_int_equal(vmcb->intercept_3, 0);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_CR3, 0, false), 0);
	assert_int_equal(vmcb->intercept_cr_write, 0);
	assert_int_equal(vmcb->intercept_1, before);
}

static void test_debug_register_intercepts(void **state)
{
	(void)state;
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_DR, 0, true), 0);
	assert_int_equal(vmcb->intercept_dr_read & vmcb->intercept_dr_write, 0xffff);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_DR, 0, false), 0);
	assert_int_equal(vmcb->intercept_dr_read | vmcb->intercept_dr_write, 0);
}

/* --- regs.c --- */

static void test_registers(void **state)
{
	static const unsigned bytes[REG_COUNT] = {
#define REG(symbol, name, size) [REG_##symbol] = size,
#include <undercroft/regs.def>
	};

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < REG_COUNT; i++)
			ops->reg_set(vcpu, (enum reg)i,
				     i == REG_INTERRUPT_SHADOW ? round : 0x1010101010101010ull * (round + 1) + i);
		for (unsigned i = 0; i < REG_COUNT; i++) {
			uint64_t mask = bytes[i] == 8 ? ~0ull : (1ull << 8 * bytes[i]) - 1;
			uint64_t expected = 0x1010101010101010ull * (round + 1) + i;

			if (i == REG_EFER)
				mask &= ~(uint64_t)EFER_SVME;
			if (i == REG_INTERRUPT_SHADOW)
				expected = round;
			if (i == REG_NMI_BLOCKED) /* the CPU's own */
				expected = 0;
			assert_true(ops->reg_get(vcpu, (enum reg)i) == (expected & mask));
		}
	}
}

/* Where the manual has them: APM vol. 2, "VMCB State Save Area" (appendix B, table B-2). */
static void test_registers_in_place(void **state)
{
	static const struct {
		enum reg reg;
		unsigned offset;
	} places[] = {
		{REG_CR0, 0x558},	  {REG_CR2, 0x640},
		{REG_CR3, 0x550},	  {REG_CR4, 0x548},
		{REG_DR6, 0x568},	  {REG_DR7, 0x560},
		{REG_GDTR_BASE, 0x468},	  {REG_IDTR_BASE, 0x488},
		{REG_STAR, 0x600},	  {REG_LSTAR, 0x608},
		{REG_CSTAR, 0x610},	  {REG_FMASK, 0x618},
		{REG_PAT, 0x668},	  {REG_KERNEL_GS_BASE, 0x620},
		{REG_SYSENTER_CS, 0x628}, {REG_SYSENTER_ESP, 0x630},
		{REG_EFER, 0x4d0},	  {REG_SYSENTER_EIP, 0x638},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		uint64_t value;

		ops->reg_set(vcpu, places[i].reg, 0x1234567890abd000);
		memcpy(&value, (const uint8_t *)vmcb + places[i].offset, 8);
		assert_true(value == 0x1234567890abd000);
	}
	ops->reg_set(vcpu, REG_GDTR_LIMIT, 0x11223344);
	assert_memory_equal((const uint8_t *)vmcb + 0x464, "\x44\x33\x22\x11", 4);
	ops->reg_set(vcpu, REG_IDTR_LIMIT, 0x55667788);
	assert_memory_equal((const uint8_t *)vmcb + 0x484, "\x88\x77\x66\x55", 4);
	ops->reg_set(vcpu, REG_CPL, 3);
	assert_int_equal(((const uint8_t *)vmcb)[0x4cb], 3);
}

static void test_efer_hides_svme(void **state)
{
	(void)state;
	ops->reg_set(vcpu, REG_EFER, EFER_LME);
	assert_int_equal(vmcb->efer, EFER_LME | EFER_SVME);
	assert_int_equal(ops->reg_get(vcpu, REG_EFER), EFER_LME);
	ops->reg_set(vcpu, REG_EFER, 0);
	assert_int_equal(vmcb->efer, EFER_SVME);
}

/* What the CPU keeps: what is there is saved before one of them changes, and loaded afterwards. */
static void test_hidden_state(void **state)
{
	struct segment segment;

	(void)state;
	cpu.hidden.lstar = 0x1111;
	cpu.hidden.star = 0x2222;
	cpu.hidden.tr.selector = 0x40;
	assert_int_equal(ops->reg_get(vcpu, REG_LSTAR), 0x1111);
	assert_int_equal(cpu.loads, 0);
	ops->reg_set(vcpu, REG_LSTAR, 0x3333);
	assert_int_equal(cpu.hidden.lstar, 0x3333);
	assert_int_equal(cpu.hidden.star, 0x2222);
	assert_int_equal(cpu.hidden.tr.selector, 0x40);
	/* the guest changed it since */
	cpu.hidden.kernel_gs_base = 0x4444;
	leave_with(VMEXIT_NPF);
	assert_int_equal(ops->reg_get(vcpu, REG_KERNEL_GS_BASE), 0x4444);
	/* so with segments */
	cpu.hidden.gs.base = 0x5555;
	cpu.hidden.ldtr.selector = 0x48;
	ops->seg_get(vcpu, SEG_GS, &segment);
	assert_int_equal(segment.base, 0x5555);
	cpu.hidden.gs.base = 0x6666;
	ops->seg_set(vcpu, SEG_FS, &segment);
	assert_int_equal(cpu.hidden.fs.base, 0x5555);
	assert_int_equal(cpu.hidden.gs.base, 0x6666);
	assert_int_equal(cpu.hidden.ldtr.selector, 0x48);
	assert_int_equal(cpu.hidden.lstar, 0x3333);
	/* what lies in the VMCB costs neither */
	cpu.loads = cpu.saves = 0;
	for (unsigned i = 0; i < REG_COUNT; i++) {
		if (i < REG_STAR || i > REG_SYSENTER_EIP)
			ops->reg_set(vcpu, (enum reg)i, ops->reg_get(vcpu, (enum reg)i));
	}
	for (unsigned i = SEG_ES; i <= SEG_DS; i++) {
		ops->seg_get(vcpu, (enum seg)i, &segment);
		ops->seg_set(vcpu, (enum seg)i, &segment);
	}
	assert_int_equal(cpu.loads + cpu.saves, 0);
}

static void test_segments(void **state)
{
	static const unsigned offsets[SEG_COUNT] = {
		[SEG_ES] = 0x400, [SEG_CS] = 0x410, [SEG_SS] = 0x420,	[SEG_DS] = 0x430,
		[SEG_FS] = 0x440, [SEG_GS] = 0x450, [SEG_LDTR] = 0x470, [SEG_TR] = 0x490};
	struct segment in[SEG_COUNT], out;

	(void)state;
	for (unsigned i = 0; i < SEG_COUNT; i++) {
		memset(&in[i], 0, sizeof(in[i]));
		in[i] = (struct segment){.base = 0x1122334455667700 + i,
					 .limit = 0x89abcd00 + i,
					 .selector = (uint16_t)(0x1000 + i),
					 .attributes = (uint16_t)(0xf00 + i)};
		ops->seg_set(vcpu, (enum seg)i, &in[i]);
	}
	for (unsigned i = 0; i < SEG_COUNT; i++) {
		const uint8_t *raw = (const uint8_t *)vmcb + offsets[i];
		uint64_t base;

		ops->seg_get(vcpu, (enum seg)i, &out);
		assert_true(out.base == in[i].base);
		assert_int_equal(out.limit, in[i].limit);
		assert_int_equal(out.selector, in[i].selector);
		assert_int_equal(out.attributes, in[i].attributes);
		memcpy(&base, raw + 8, 8);
		assert_true(base == in[i].base);
		assert_int_equal(raw[0] | raw[1] << 8, in[i].selector);
		assert_int_equal(raw[2] | raw[3] << 8, in[i].attributes);
	}
	assert_true(cpu.hidden.fs.base == in[SEG_FS].base);
	assert_true(cpu.hidden.tr.base == in[SEG_TR].base);
}

/* --- intercept.c --- */

static unsigned bits_set(const uint8_t *map, size_t size)
{
	unsigned count = 0;

	for (size_t i = 0; i < size; i++)
		count += (unsigned)__builtin_popcount(map[i]);
	return count;
}

static void test_msr_map(void **state)
{
	/* APM vol. 2, "MSR Intercepts" (15.11): table 15-8 */
	static const struct {
		uint32_t msr, byte, bit;
	} cases[] = {
		{0x00000000, 0x0000, 0}, {0x00000001, 0x0000, 2}, {0x00001fff, 0x07ff, 6},
		{0xc0000000, 0x0800, 0}, {0xc0000080, 0x0820, 0}, {0xc0001fff, 0x0fff, 6},
		{0xc0010000, 0x1000, 0}, {0xc0010114, 0x1045, 0}, {0xc0011fff, 0x17ff, 6},
	};
	static const uint32_t outside[] = {0x2000, 0x40000000, 0xbfffffff, 0xc0002000, 0xc000ffff, 0xc0012000, ~0u};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		for (unsigned write = 0; write < 2; write++) {
			enum intercept_kind kind = write ? INTERCEPT_MSR_WRITE : INTERCEPT_MSR_READ;

			assert_int_equal(ops->intercept(vcpu, kind, cases[i].msr, true), 0);
			assert_int_equal(bits_set(svm->msrpm, 2 * PAGE_SIZE), 1);
			assert_int_equal(svm->msrpm[cases[i].byte], 1u << (cases[i].bit + write));
			assert_int_equal(ops->intercept(vcpu, kind, cases[i].msr, false), 0);
			assert_int_equal(bits_set(svm->msrpm, 2 * PAGE_SIZE), 0);
		}
	}
	for (unsigned i = 0; i < ARRAY_SIZE(outside); i++)
		assert_int_equal(ops->intercept(vcpu, INTERCEPT_MSR_READ, outside[i], true), -EINVAL);
	assert_int_equal(bits_set(svm->msrpm, 2 * PAGE_SIZE), 0);
	/* neighbours stay */
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_MSR_READ, 0x10, true), 0);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_MSR_WRITE, 0x10, true), 0);
	assert_int_equal(svm->msrpm[4], 3);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_MSR_READ, 0x10, false), 0);
	assert_int_equal(svm->msrpm[4], 2);
}

static void test_port_map(void **state)
{
	static const uint32_t ports[] = {0, 7, 8, 0x2f8, 0xcf8, 0xffff};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
		assert_int_equal(ops->intercept(vcpu, INTERCEPT_PORT, ports[i], true), 0);
		assert_int_equal(bits_set(svm->iopm, 3 * PAGE_SIZE), 1);
		assert_int_equal(svm->iopm[ports[i] / 8], 1u << ports[i] % 8);
		assert_int_equal(ops->intercept(vcpu, INTERCEPT_PORT, ports[i], false), 0);
		assert_int_equal(bits_set(svm->iopm, 3 * PAGE_SIZE), 0);
	}
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_PORT, 0x10000, true), -EINVAL);
	assert_int_equal(bits_set(svm->iopm, 3 * PAGE_SIZE), 0);
}

static void test_exceptions(void **state)
{
	(void)state;
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_EXCEPTION, 1, true), 0);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_EXCEPTION, 31, true), 0);
	assert_int_equal(vmcb->intercept_exceptions, 0x80000002);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_EXCEPTION, 1, false), 0);
	assert_int_equal(vmcb->intercept_exceptions, 0x80000000);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_EXCEPTION, 32, true), -EINVAL);
	assert_int_equal(ops->intercept(vcpu, (enum intercept_kind)99, 0, true), -ENOTSUP);
}

static void test_idle(void **state)
{
	static const struct owner owner = {.name = "test"};
	uint32_t one = vmcb->intercept_1, two = vmcb->intercept_2;
	uint64_t window = 0x1f0100; /* V_IRQ, V_INTR_PRIO, V_IGN_TPR */

	(void)state;
	assert_int_equal(intercept_arm(vcpu, &owner, INTERCEPT_INTR, 0), 0);
	assert_int_equal(vmcb->intercept_1, one | 0x1);
	assert_int_equal(intercept_arm(vcpu, &owner, INTERCEPT_IDLE, 0), 0);
	assert_int_equal(vmcb->intercept_1, one | 0x01000001);
	assert_int_equal(vmcb->intercept_2, two | 0x800);
	assert_int_equal(intercept_arm(vcpu, &owner, INTERCEPT_NMI, 0), 0);
	assert_int_equal(vmcb->intercept_1, one | 0x01000003);

	/* the one that waits passes; the window behind it exits, and closes */
	vmcb->exitcode = 0x60;
	ops->interrupt_pass(vcpu);
	assert_int_equal(vmcb->intercept_1, one | 0x01000012);
	assert_int_equal(vmcb->v_intr, window);
	/* not in the middle of a step, which leaves all as it was */
	ops->step(vcpu, true);
	assert_int_equal(vmcb->v_intr, (window & ~0x100ull) | 1ull << 24);
	ops->step(vcpu, false);
	assert_int_equal(vmcb->intercept_1, one | 0x01000012);
	assert_int_equal(vmcb->v_intr, window);
	vmcb->exitcode = 0x64;
	ops->interrupt_pass(vcpu);
	assert_int_equal(vmcb->intercept_1, one | 0x01000003);
	assert_int_equal(vmcb->v_intr, 0);

	/* where a virtual interrupt is forgotten, the handler's IRET exits, and not in a step */
	fake.vm.quirks = QUIRK_FORGETS_V_IRQ;
	vmcb->exitcode = 0x60;
	ops->interrupt_pass(vcpu);
	assert_int_equal(vmcb->intercept_1, one | 0x01100012);
	assert_int_equal(vmcb->v_intr & 0x100, 0);
	ops->step(vcpu, true);
	assert_int_equal(vmcb->intercept_1 & 0x00100000, 0);
	ops->step(vcpu, false);
	assert_int_equal(vmcb->intercept_1, one | 0x01100012);
	vmcb->exitcode = 0x74;
	ops->interrupt_pass(vcpu);
	assert_int_equal(vmcb->intercept_1, one | 0x01000003);
	assert_int_equal(vmcb->v_intr, 0);
	fake.vm.quirks = 0;

	/* a guest that waits is woken by nothing of ours */
	vmcb->exitcode = 0x60;
	ops->interrupt_pass(vcpu);
	vmcb->exitcode = 0x78;
	ops->interrupt_pass(vcpu);
	assert_int_equal(vmcb->intercept_1, one | 0x01000003);
	assert_int_equal(vmcb->v_intr, 0);

	/* nothing stays */
	vmcb->exitcode = 0x60;
	ops->interrupt_pass(vcpu);
	owner_release(vcpu, &owner);
	assert_int_equal(vmcb->intercept_1, one);
	assert_int_equal(vmcb->intercept_2, two);
	assert_int_equal(vmcb->v_intr, 0);
}

/* The timer is another CPU's; the guest's NMI handler ends with IRET, before which it exits. */
static void test_timer(void **state)
{
	static struct alarm alarm = {.state = ALARM_RUNS};
	uint32_t one = vmcb->intercept_1;

	(void)state;
	assert_int_equal(ops->timer(vcpu, 1000), -ENOTSUP);
	fake.vm.alarm = &alarm;
	assert_int_equal(ops->timer(vcpu, 1000), 0);
	assert_int_equal(alarm.request >> 32, 1000);
	assert_int_equal(ops->timer(vcpu, UINT64_MAX), 0);
	assert_int_equal(alarm.request, (uint64_t)UINT32_MAX << 32 | 2);
	alarm.state = ALARM_FAILED;
	assert_int_equal(ops->timer(vcpu, 1000), -ENOTSUP);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_NMI_WINDOW, 0, true), 0);
	assert_int_equal(vmcb->intercept_1, one | 1u << 20);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_NMI_WINDOW, 0, false), 0);
	assert_int_equal(vmcb->intercept_1, one);
}

/* A shadow that is set stays where RIP has been moved to. */
static void test_shadow_set(void **state)
{
	(void)state;
	vmcb->rip = 0x1001;
	vcpu->rip = 0x1000;
	ops->reg_set(vcpu, REG_INTERRUPT_SHADOW, 1);
	assert_int_equal(vmcb->interrupt_shadow, 1);
	assert_int_equal(vmcb->rip, 0x1000);
}

static void test_admit(void **state)
{
	(void)state;
	cpu.stgis = cpu.clgis = 0;
	ops->admit(vcpu);
	assert_int_equal(cpu.stgis, 1);
	assert_int_equal(cpu.clgis, 1);
}

static void test_step(void **state)
{
	uint32_t intercepts = vmcb->intercept_1;

	(void)state;
	vcpu->rflags = X86_FLAGS_FIXED;
	vmcb->v_intr = 0x105;
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_EXCEPTION, 14, true), 0);
	vcpu->single.active = true;
	ops->step(vcpu, true);
	assert_int_equal(vcpu->rflags, X86_FLAGS_FIXED | X86_FLAGS_TF);
	assert_int_equal(vmcb->intercept_exceptions, 0xffffffff);
	assert_int_equal(vmcb->intercept_1, intercepts | 1u << 1 | 1u << 29);
	assert_int_equal(vmcb->v_intr, 1u << 24 | 0x105);
	/* what is armed meanwhile counts from the end on */
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_EXCEPTION, 3, true), 0);
	assert_int_equal(ops->intercept(vcpu, INTERCEPT_EXCEPTION, 14, false), 0);
	assert_int_equal(vmcb->intercept_exceptions, 0xffffffff);
	vcpu->single.active = false;
	ops->step(vcpu, false);
	assert_int_equal(vmcb->intercept_exceptions, 1u << 3);
	assert_int_equal(vmcb->intercept_1, intercepts);
	assert_int_equal(vmcb->v_intr, 0x105);
}

/* Two bits, and whether an event was being delivered; how long the instruction is, its bytes tell. */
static void test_detail_task_switch(void **state)
{
	static const struct {
		uint64_t info2, exitintinfo;
		uint8_t source;
	} cases[] = {
		{0, 0, TASK_CALL},
		{1ull << 36, 0, TASK_IRET},
		{1ull << 38 | 1ull << 48, 0, TASK_JMP},
		{1ull << 44 | 0x18, 1u << 31 | 1 << 11 | 3 << 8 | 13 | 0x18ull << 32, TASK_GATE},
	};

	(void)state;
	svm->has_nrip = true;
	place("\x9a\x00\x00\x68\x00\x00\x00", 7);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		vcpu->events.delivery.type = EVENT_NONE;
		vmcb->nrip = 0;
		vmcb->exitinfo1 = 0xfff8;
		vmcb->exitinfo2 = cases[i].info2;
		vmcb->exitintinfo = cases[i].exitintinfo;
		leave_with(0x7d);
		assert_int_equal(handled_kind, EXIT_TASK_SWITCH);
		ops->decode_detail(vcpu);
		assert_int_equal(vcpu->detail.task.selector, 0xfff8);
		assert_int_equal(vcpu->detail.task.source, cases[i].source);
		if (cases[i].source != TASK_GATE)
			assert_int_equal(vcpu->exit.length, 5);
	}
	vmcb->exitintinfo = 0;
}

/* The CPU's, which may have none. */
static void test_debugctl(void **state)
{
	(void)state;
	assert_int_equal(ops->debugctl_get(vcpu), 0);
	fake_msr_set(&fake.platform, MSR_DEBUGCTL, DEBUGCTL_LBR);
	assert_int_equal(ops->debugctl_get(vcpu), DEBUGCTL_LBR);
	ops->debugctl_set(vcpu, DEBUGCTL_BTF);
	assert_int_equal(fake_msr_get(&fake.platform, MSR_DEBUGCTL), DEBUGCTL_BTF);
}

/* QUIRK_V_INTR_MASKING: a shadow holds interrupts off, and goes with the instruction, or with the attempt. */
static void test_step_in_a_shadow(void **state)
{
	static const struct {
		uint64_t flags, before, during;
		bool completed;
		uint64_t left, after;
	} cases[] = {
		{X86_FLAGS_IF, 0, 1, true, 0, 0},
		{X86_FLAGS_IF, 0, 1, false, 1, 0},
		{X86_FLAGS_IF, 0, 1, true, 1, 1}, /* STI left it */
		{X86_FLAGS_IF, 1, 1, false, 1, 1},
		{X86_FLAGS_IF, 1, 1, true, 0, 0},
		{0, 0, 0, true, 1, 1},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		vcpu->vm->quirks = QUIRK_V_INTR_MASKING;
		vcpu->rflags = X86_FLAGS_FIXED | cases[i].flags;
		vmcb->interrupt_shadow = cases[i].before;
		ops->step(vcpu, true);
		assert_int_equal(vmcb->interrupt_shadow, cases[i].during);
		vmcb->interrupt_shadow = cases[i].left;
		vcpu->single.completed = cases[i].completed;
		ops->step(vcpu, false);
		assert_int_equal(vmcb->interrupt_shadow, cases[i].after);
	}
	vcpu->vm->quirks = 0;
	vcpu->rflags = X86_FLAGS_FIXED | X86_FLAGS_IF;
	vmcb->interrupt_shadow = 0;
	ops->step(vcpu, true);
	assert_int_equal(vmcb->interrupt_shadow, 0);
	ops->step(vcpu, false);
}

/* --- event.c --- */

/* APM vol. 2, "Event Injection" (15.20), figure 15-4 */
static void test_inject(void **state)
{
	static const struct {
		struct event event;
		uint64_t raw;
	} cases[] = {
		{{.type = EVENT_INTR, .vector = 0x20}, 0x80000020},
		{{.type = EVENT_NMI, .vector = 2}, 0x80000202},
		{{.type = EVENT_EXCEPTION, .vector = 6}, 0x80000306},
		{{.type = EVENT_EXCEPTION, .vector = 13, .has_error = true, .error = 0xfedc1234}, 0xfedc123480000b0d},
		{{.type = EVENT_EXCEPTION, .vector = 14, .has_error = true, .error = 2, .address = 0x5000},
		 0x280000b0e},
		{{.type = EVENT_SOFT_INTR, .vector = 0x80, .length = 2}, 0x80000480},
		{{.type = EVENT_SOFT_EXCEPT, .vector = 3, .length = 1}, 0x80000303},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct event *in = &cases[i].event;
		const struct event *out = &vcpu->events.delivery;

		vcpu->rip = CODE;
		vmcb->cr2 = 0x1111;
		vmcb->eventinj = 0;
		ops->inject(vcpu, in);
		assert_true(vmcb->eventinj == cases[i].raw);
		assert_int_equal(vmcb->cr2, in->address ? in->address : 0x1111);
		assert_int_equal(fake_cr[2], 0);
		assert_int_equal(vcpu->rip, CODE + in->length);
		if (in->length)
			assert_int_equal(vmcb->nrip, CODE + in->length);
		/* and back, as the CPU reports what it was delivering */
		vmcb->exitintinfo = vmcb->eventinj;
		place(in->type == EVENT_SOFT_EXCEPT ? "\xcc\x90" : "\xcd\x80", 2);
		vmcb->rip = CODE;
		vcpu->work = 0;
		vcpu->slot[EXIT_NESTED] = handler;
		vcpu->rip = CODE;
		svm->soft_exits = 0;
		svm_delivery_interrupted(svm);
		assert_int_equal(vcpu->work, WORK_DELIVERY | WORK_EVENT);
		assert_int_equal(out->type, in->type);
		assert_int_equal(out->vector, in->vector);
		assert_int_equal(out->has_error, in->has_error);
		assert_int_equal(out->error, in->error);
		assert_int_equal(out->length, in->length);
		assert_true(out->address == in->address);
		vcpu->events.delivery.type = EVENT_NONE;
	}
	vmcb->eventinj = 0;
	fake.vm.quirks = QUIRK_VMRUN_KEEPS_CR2;
	ops->inject(vcpu, &(struct event){.type = EVENT_EXCEPTION, .vector = 14, .has_error = true, .address = 0x5678});
	assert_int_equal(vmcb->cr2, 0x5678);
	assert_int_equal(fake_cr[2], 0x5678);
	vmcb->eventinj = 0;
	ops->inject(vcpu, &(struct event){.type = EVENT_NONE});
	assert_int_equal(vmcb->eventinj, 0);
}

static void test_delivery_types(void **state)
{
	static const struct {
		uint64_t raw;
		enum event_type type;
		uint32_t quirks;
	} cases[] = {{0x80000303, EVENT_SOFT_EXCEPT, 0},
		     {0x80000304, EVENT_SOFT_EXCEPT, 0},
		     {0x80000301, EVENT_EXCEPTION, 0},
		     {0x8000031f, EVENT_EXCEPTION, 0},
		     {0x80000202, EVENT_NMI, 0},
		     {0x80000030, EVENT_INTR, 0},
		     {0x80000302, EVENT_NMI, QUIRK_ALL_ARE_EXCEPTIONS},
		     {0x80000303, EVENT_SOFT_EXCEPT, QUIRK_ALL_ARE_EXCEPTIONS},
		     {0x8000031f, EVENT_EXCEPTION, QUIRK_ALL_ARE_EXCEPTIONS},
		     {0x80000320, EVENT_INTR, QUIRK_ALL_ARE_EXCEPTIONS}};

	(void)state;
	place("\xcc", 1);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		vcpu->rip = CODE;
		vmcb->exitintinfo = cases[i].raw;
		fake.vm.quirks = cases[i].quirks;
		svm_delivery_interrupted(svm);
		assert_int_equal(vcpu->events.delivery.type, cases[i].type);
		assert_int_equal(vcpu->events.delivery.vector, cases[i].raw & 0xff);
	}
}

/* INT n and its like by a gate with these type and DPL at CPL 3; what then is in EVENTINJ, with RIP at CODE or behind.
 */
static void inject_by_gate(const struct event *event, uint8_t access, bool is_long, uint64_t raw)
{
	const unsigned size = is_long ? 16 : 8;
	uint8_t *idt = fake_memory_at(&fake.platform, MIB(1), 0x1000);

	memset(idt, 0xff, 0x1000);
	idt[event->vector * size + 5] = access;
	vmcb->cr0 |= CR0_PE;
	vmcb->efer = EFER_SVME | (is_long ? EFER_LMA : 0);
	vmcb->cpl = 3;
	vmcb->idtr.base = MIB(1);
	vmcb->idtr.limit = (event->vector + 1) * size - 1;
	vmcb->eventinj = 0;
	vmcb->nrip = 0;
	vmcb->interrupt_shadow = 1;
	vcpu->rip = CODE;
	ops->inject(vcpu, event);
	assert_true(vmcb->eventinj == raw);
}

/* Where the CPU does not push nRIP, what faults needs RIP at the instruction. */
static void test_inject_by_gates(void **state)
{
	static const struct event int3 = {.type = EVENT_SOFT_EXCEPT, .vector = 3, .length = 1};
	static const struct event into = {.type = EVENT_SOFT_EXCEPT, .vector = 4, .length = 1};
	static const struct event icebp = {.type = EVENT_SOFT_EXCEPT, .vector = 1, .length = 1};
	static const struct event int_n = {.type = EVENT_SOFT_INTR, .vector = 0x80, .length = 2};

	(void)state;
	for (unsigned is_long = 0; is_long < 2; is_long++) {
		inject_by_gate(&int3, 0x8e, is_long, 0x1a80000b0d);
		assert_int_equal(vcpu->rip, CODE);
		inject_by_gate(&into, 0xcf, is_long, 0x2280000b0d);
		inject_by_gate(&int_n, 0x8e, is_long, 0x40280000b0d);
		inject_by_gate(&int_n, 0xee, is_long, 0x80000480);
		assert_int_equal(vcpu->rip, CODE + 2);
		assert_int_equal(vmcb->interrupt_shadow, 0);
		/* what else faults exits, the first time */
		assert_int_equal(vmcb->intercept_exceptions, 0xffffffff);
		vmcb->exitcode = VMEXIT_EXCEPTION + 10;
		vcpu->exit.kind = EXIT_EXCEPTION;
		ops->decode_detail(vcpu);
		assert_int_equal(vmcb->intercept_exceptions, 0);
		/* not present, which is another fault */
		inject_by_gate(&int_n, 0x6f, is_long, 0x80000480);
		inject_by_gate(&icebp, 0x8e, is_long, 0x80000301);
		/* a call gate, and a 16-bit interrupt gate */
		inject_by_gate(&int3, 0xec, is_long, 0x1a80000b0d);
		inject_by_gate(&int3, 0xe6, is_long, is_long ? 0x1a80000b0d : 0x80000303);
		/* behind the limit */
		vmcb->idtr.limit--;
		vcpu->rip = CODE;
		ops->inject(vcpu, &int3);
		assert_true(vmcb->eventinj == 0x1a80000b0d);
		assert_int_equal(vcpu->rip, CODE);
		/* real mode has none */
		vmcb->cr0 &= ~(uint64_t)CR0_PE;
		ops->inject(vcpu, &int3);
		assert_true(vmcb->eventinj == 0x80000303);
	}
	/* the CPU does it */
	svm->has_nrip = true;
	vmcb->intercept_exceptions = 0;
	inject_by_gate(&int_n, 0x8e, true, 0x80000480);
	assert_int_equal(vcpu->rip, CODE);
	assert_int_equal(vmcb->nrip, CODE + 2);
	assert_int_equal(vmcb->intercept_exceptions, 0);
	assert_int_equal(vmcb->interrupt_shadow, 0);
	fake.vm.quirks = QUIRK_NRIP_NOT_PUSHED;
	inject_by_gate(&int_n, 0xee, true, 0x80000480);
	assert_int_equal(vcpu->rip, CODE + 2);
	inject_by_gate(&int_n, 0x8e, true, 0x40280000b0d);
	assert_int_equal(vcpu->rip, CODE);
	vmcb->eventinj = 0;
}

static enum verdict see_delivery(struct vcpu *v)
{
	assert_int_equal(v->work, WORK_DELIVERY | WORK_EVENT);
	assert_int_equal(v->events.delivery.type, EVENT_SOFT_INTR);
	assert_int_equal(v->events.delivery.length, 2);
	assert_int_equal(v->rip, CODE);
	handled++;
	return VERDICT_RESUME;
}

/* INT n whose delivery exits, twice: both times it is injected at its own place. */
static void test_delivery_exits_again(void **state)
{
	(void)state;
	place("\xcd\x80", 2);
	vcpu->slot[EXIT_NESTED] = see_delivery;
	for (unsigned i = 0; i < 3; i++) {
		vmcb->exitintinfo = 0x80000480;
		vmcb->eventinj = 0;
		assert_int_equal(leave_with(VMEXIT_NPF), 0);
		assert_int_equal(vmcb->eventinj, 0x80000480);
		assert_int_equal(vmcb->rip, CODE + 2);
		assert_int_equal(vcpu->work, 0);
	}
	assert_int_equal(handled, 3);
	/* nothing was being delivered */
	vmcb->exitintinfo = 0x480;
	vmcb->eventinj = 0;
	vcpu->slot[EXIT_NESTED] = handler;
	leave_with(VMEXIT_NPF);
	assert_int_equal(vmcb->eventinj, 0);
}

/* Where the instruction pointer of a software event goes at the end of 64 KiB, and what was to do stays so. */
static void test_inject_wraps(void **state)
{
	const struct event event = {.type = EVENT_SOFT_INTR, .vector = 0x80, .length = 2};

	(void)state;
	vcpu->code_flags = 0;
	vcpu->rip = 0xfffe;
	ops->inject(vcpu, &event);
	assert_int_equal(vcpu->rip, 0);
	vcpu->code_flags = SEG_ATTR_DB;
	vcpu->rip = 0xfffe;
	ops->inject(vcpu, &event);
	assert_int_equal(vcpu->rip, 0x10000);
	vcpu->work = WORK_VIEW;
	vmcb->exitintinfo = 0x80000020;
	svm_delivery_interrupted(svm);
	assert_int_equal(vcpu->work, WORK_VIEW | WORK_DELIVERY | WORK_EVENT);
}

/*
 * CPUID without prefixes is recognised in memory that is ours to read. The fakes' memory has one with a prefix at the
 * same place, which tells the two ways apart.
 */
static void test_length_of_bare_cpuid(void **state)
{
	const uint64_t address = 0x20000;
	uint8_t *page = mmap((void *)address, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	(void)state;
	if (page == MAP_FAILED)
		skip();
	memcpy(fake_memory_at(&fake.platform, address, 3), "\x66\x0f\xa2", 3);
	memcpy(page, "\x0f\xa2", 2);
	vmcb->cs.base = address;
	vmcb->rip = 0;
	leave_with(VMEXIT_CPUID);
	assert_int_equal(handled_length, 3);
	fake.vm.direct_limit = address;
	leave_with(VMEXIT_CPUID);
	assert_int_equal(handled_length, 3);
	fake.vm.direct_limit = address + PAGE_SIZE;
	leave_with(VMEXIT_CPUID);
	assert_int_equal(handled_length, 2);
	leave_with(VMEXIT_MSR);
	assert_int_equal(handled_length, 2);
	page[0] = 0x66;
	leave_with(VMEXIT_CPUID);
	assert_int_equal(handled_length, 3);
	munmap(page, PAGE_SIZE);
}

/* --- nested.c --- */

static void test_nested_entries(void **state)
{
	(void)state;
	for (unsigned level = 1; level <= NESTED_LEVELS; level++) {
		for (unsigned leaf = 0; leaf < 2; leaf++) {
			for (uint8_t access = 0; access < 8; access++) {
				struct nested_entry in = {.present = true,
							  .leaf = leaf != 0,
							  .access = access | ACCESS_READ,
							  .type = leaf ? access % 7 : 0,
							  .address = 0x000fffffc0000000},
						    out;
				uint64_t raw;

				if ((level == 1 && !leaf) || (level == NESTED_LEVELS && leaf))
					continue;
				if (level == 1)
					in.address = 0x000ffffffffff000;
				memset(&out, 0, sizeof(out));
				raw = ops->nested_encode(&in, level);
				/* APM vol. 2, "Long-Mode Page Translation" (5.3) */
				assert_int_equal(raw & 1, 1);
				assert_int_equal(raw >> 1 & 1, (access & ACCESS_WRITE) != 0);
				assert_int_equal(raw >> 2 & 1, 1); /* user, as nested walks are */
				assert_int_equal(raw >> 3 & 3, 0); /* write-back */
				assert_int_equal(raw >> 7 & 1, leaf && level > 1);
				assert_int_equal(raw >> 63, (access & ACCESS_EXEC) == 0);
				assert_true((raw & 0x000ffffffffff000) == in.address);
				ops->nested_decode(raw, level, &out);
				assert_int_equal(out.present, in.present);
				assert_int_equal(out.leaf, in.leaf);
				assert_int_equal(out.access, in.access);
				assert_int_equal(out.type, in.type);
				assert_true(out.address == in.address);
				/* accessed and dirty are the CPU's */
				ops->nested_decode(raw | 0x60, level, &out);
				assert_int_equal(out.access, in.access);
				assert_true(out.address == in.address);
			}
		}
	}
}

static void test_nested_absent(void **state)
{
	struct nested_entry entry = {0}, out;

	(void)state;
	for (unsigned level = 1; level <= NESTED_LEVELS; level++) {
		assert_true(ops->nested_encode(&entry, level) == 0);
		ops->nested_decode(~1ull, level, &out);
		assert_false(out.present);
		assert_false(out.leaf);
		assert_int_equal(out.access, 0);
		assert_true(out.address == 0);
	}
	/* bit 12 of a large page is PAT, not address */
	ops->nested_decode(0x40001087, 2, &out);
	assert_true(out.address == 0x40000000);
}

static void test_nested_activate(void **state)
{
	const struct nested_view view = {.root = 0x777000};

	(void)state;
	vmcb->tlb_control = VMCB_TLB_NOTHING;
	ops->nested_activate(vcpu, &view);
	assert_int_equal(vmcb->nested_cr3, 0x777000);
	assert_int_equal(vmcb->tlb_control, VMCB_TLB_FLUSH_ALL);
	vmcb->tlb_control = VMCB_TLB_NOTHING;
	ops->tlb_flush(vcpu, TLB_FLUSH_GUEST);
	assert_int_equal(vmcb->tlb_control, VMCB_TLB_FLUSH_ALL);
}

static void test_dump(void **state)
{
	(void)state;
	vmcb->exitcode = 0x72;
	vmcb->exitinfo1 = 0x1234abcd;
	ops->dump(vcpu);
	assert_non_null(strstr(log_text, "72"));
	assert_non_null(strstr(log_text, "1234abcd"));
	assert_non_null(strstr(log_text, "123000"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_init),
		TEST(test_init_without_memory),
		TEST(test_cpu_enable),
		TEST(test_caps),
		TEST(test_supported),
		TEST(test_kinds),
		TEST(test_exit_moves_state),
		TEST(test_shadow_stays_if_rip_does),
		TEST(test_run),
		TEST(test_lengths_from_nrip),
		TEST(test_lengths_without_nrip),
		TEST(test_refetch),
		TEST(test_detail_msr),
		TEST(test_detail_io),
		TEST(test_detail_io_at_the_end),
		TEST(test_in_smm),
		TEST(test_detail_nested),
		TEST(test_detail_exception),
		TEST(test_detail_task_switch),
		TEST(test_detail_software_interrupts),
		TEST(test_int3_quirk),
		TEST(test_paging_intercepts),
		TEST(test_debug_register_intercepts),
		TEST(test_registers),
		TEST(test_registers_in_place),
		TEST(test_efer_hides_svme),
		TEST(test_hidden_state),
		TEST(test_segments),
		TEST(test_msr_map),
		TEST(test_port_map),
		TEST(test_exceptions),
		TEST(test_idle),
		TEST(test_timer),
		TEST(test_shadow_set),
		TEST(test_admit),
		TEST(test_step),
		TEST(test_debugctl),
		TEST(test_step_in_a_shadow),
		TEST(test_inject),
		TEST(test_inject_by_gates),
		TEST(test_delivery_types),
		TEST(test_delivery_exits_again),
		TEST(test_nested_entries),
		TEST(test_nested_absent),
		TEST(test_nested_activate),
		TEST(test_dump),
		TEST(test_inject_wraps),
		TEST(test_length_of_bare_cpuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
