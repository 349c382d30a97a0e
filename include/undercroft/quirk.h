/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What emulators do differently from machines: each thing has a bit here, found in setup, part of struct machine, and
 * 0 on a machine. What a manual allows as well needs none, even if an emulator was the first to show it.
 *
 * Who is who: QEMU, Bochs and VirtualBox name themselves in the ACPI root pointer's OEMID ("BOCHS " for the first two,
 * with any of their BIOSes), which no machine's maker has. Where the CPU interprets, QEMU's CPUID says so in leaf
 * 4000_0000h. Bochs has no such leaf, and says in CPUID that no hypervisor is present.
 *
 * The guest cannot have an influence: setup looks before it starts.
 */
#ifndef UNDERCROFT_QUIRK_H
#define UNDERCROFT_QUIRK_H

#include <undercroft/firmware.h>

struct platform;
struct vcpu;

/*
 * The "DISPI" graphics adapter of Bochs, QEMU and VirtualBox ignores the VGA registers while its own extension is
 * enabled: ports 1CEh and 1CFh switch it off, which old graphics cards use for something else.
 */
#define QUIRK_DISPI (1u << 0)

/*
 * Bochs' RSM sets CR0.PE and CR0.PG in VMX operation (cpu/smm.cc:673 of 2.7; later versions, too), as before there was
 * unrestricted guest: a guest that raises an SMI in real mode comes back in protected mode. Its writes to the FADT's
 * SMI_CMD are carried out by us instead.
 */
#define QUIRK_RSM_SETS_PE (1u << 1)

/*
 * Bochs' SVM keeps the single-step trap of a guest's instruction that exits (cpu/svm.cc:611 of 2.7, Svm_Vmexit, does
 * not clear debug_trap), and raises it in the hypervisor. A machine raises none there, since nothing of ours is stepped
 * and an exit disables the breakpoints.
 */
#define QUIRK_STRAY_DEBUG_TRAP (1u << 2)

/*
 * QEMU's TCG calls all that is not INT n an exception in EXITINTINFO (do_interrupt_all() in
 * target/i386/tcg/seg_helper.c of 7.2). Exceptions have neither vector 2 nor one above 31.
 */
#define QUIRK_ALL_ARE_EXCEPTIONS (1u << 3)

/*
 * QEMU's TCG goes on intercepting in SMM, where EFER is 0 and saved so, and would not enter the guest again: SeaBIOS'
 * handler reads port 92h there, and leaves SMM for its 32-bit code with EFER as it was before the guest. On a CPU
 * nothing of SMM exits: APM vol. 2, "Non-Intercepted SMIs" (15.22.3)
 */
#define QUIRK_SMM_EXITS (1u << 4)

/*
 * QEMU's TCG lets INT3 and INTO exit as INT n does, and never as exceptions (cpu_svm_check_intercept_param() is called
 * for is_int alike, target/i386/tcg/excp_helper.c:98 of 7.2).
 */
#define QUIRK_INT3_IS_INT_N (1u << 5)

/*
 * Bochs' VMRUN does not load CR2 (cpu/svm.cc:457 of 2.7 reads it, nothing sets it; later versions, too): a #PF that is
 * injected needs it in the CPU.
 */
#define QUIRK_VMRUN_KEEPS_CR2 (1u << 6)

/*
 * Bochs' SVM lets interrupts in although V_INTR_MASKING is set and the host's IF is 0 (cpu/flag_ctrl_pro.cc:118 of 2.7,
 * handleInterruptMaskChange(), asks for neither where the guest's IF becomes 1). What is stepped is in an interrupt
 * shadow there.
 */
#define QUIRK_V_INTR_MASKING (1u << 7)

/*
 * QEMU's TCG arms breakpoints where MOV writes DR7 alone: VMRUN loads DR7 to no effect (helper_vmrun(),
 * target/i386/tcg/sysemu/svm_helper.c of 7.2). And an instruction breakpoint where CS' base is not 0 ends QEMU
 * (breakpoint_handler(), bpt_helper.c). So run control keeps off the debug registers, and realises otherwise what would
 * be there.
 */
#define QUIRK_DR7_NOT_LOADED (1u << 8)

/*
 * Bochs' SVM lets an intercepted #DB exit before it writes DR6, and forgets what it would have written (cpu/svm.cc,
 * SvmInterceptException(), in 2.7 and later versions): what was hit cannot be told. Run control keeps off the debug
 * registers here, too. On a machine DR6 is what a handler would see: APM vol. 2, "#DB (Debug)" (15.12.2)
 */
#define QUIRK_DB_WITHOUT_DR6 (1u << 9)

/*
 * QEMU's TCG forgets a virtual interrupt that waits when the guest takes another one (x86_cpu_exec_interrupt() in
 * target/i386/tcg/sysemu/seg_helper.c:169 of 7.2), and ends itself if the guest meanwhile writes CR8
 * (helper_write_crN() in misc_helper.c:129 there calls cpu_interrupt() without the lock it insists on).
 */
#define QUIRK_FORGETS_V_IRQ (1u << 10)

/*
 * Bochs' VMRUN pushes RIP for INT n that is injected, although it announces nRIP (SvmInjectEvents(), cpu/svm.cc:762 of
 * 2.7, looks at neither). APM vol. 2, "Event Injection" (15.20)
 */
#define QUIRK_NRIP_NOT_PUSHED (1u << 11)

/*
 * QEMU's TCG stores the interrupt shadow at exits, and VMRUN does not load it (helper_vmrun() in
 * target/i386/tcg/sysemu/svm_helper.c of 7.2): an interrupt that waits comes before the instruction that STI protected.
 */
#define QUIRK_SHADOW_NOT_LOADED (1u << 12)

#define QUIRK_COUNT 13

/*
 * The quirks of what setup runs on. vendor: enum cpu_vendor. rsdp: 0 if there is none. In setup only.
 */
uint32_t quirks_find(struct platform *platform, struct firmware_memory *memory, paddr_t rsdp, uint32_t vendor);

/* A bit's name, for the log. In setup only. */
const char *quirk_name(unsigned bit);

/*
 * QEMU's own multiboot loader (-kernel) boots from no disk, but says that it booted from the first one. True if this is
 * the name it gives itself. In setup only.
 */
bool quirk_boot_disk_is_invented(const char *boot_loader_name);

/* QUIRK_STRAY_DEBUG_TRAP: is an exception in our own code, with these RFLAGS, such a trap? */
bool quirk_debug_trap_is_stray(uint32_t quirks, uint64_t vector, uint64_t rflags);

/* Watches what the quirks of the vCPU's VM ask for. What cannot be watched is logged. */
void quirks_watch(struct vcpu *vcpu);

#endif
