/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why a vCPU came out of its guest, in words both vendors share, and how an exit ends.
 * Must not know any vendor's exit codes.
 */
#ifndef UNDERCROFT_EXIT_H
#define UNDERCROFT_EXIT_H

#include <undercroft/types.h>

struct vcpu;

/*
 * The kinds of exit: X(symbol, name in statistics). The names are part of the statistics format: append only.
 *
 * UNKNOWN     anything the backend has no kind for
 * CPUID       CPUID executed
 * MSR         RDMSR or WRMSR on an intercepted or out-of-map index
 * IO          IN, OUT, INS or OUTS on an intercepted port
 * NESTED      the nested page tables refused a guest-physical access
 * HYPERCALL   VMMCALL or VMCALL
 * VIRT_INSN   an instruction of the virtualisation extensions, which the guest does not have
 * SHUTDOWN    triple fault
 * EXCEPTION   an intercepted exception
 * NMI         a non-maskable interrupt arrived
 * INTR        an external interrupt arrived
 * WINDOW      the guest can take an NMI now, or something arrived while our code ran
 * INVALID     the CPU refused to enter the guest
 * INVD        INVD executed
 * CR          a write to CR0 or CR4 that changes a bit the backend owns
 * XSETBV      XSETBV executed
 * INIT        an INIT signal arrived
 * TIMER       the time that the backend's timer was set to is over
 * MACHINE_CHECK  a machine check came while the CPU entered the guest, which it then did not
 * HLT         HLT executed
 * MWAIT       MWAIT executed
 * PAGING      an instruction that may change where linear addresses lead
 * REFETCH     an instruction exited whose length the CPU does not tell, and which cannot be read
 * TASK_SWITCH a switch of tasks by CALL, JMP, IRET or a task gate in the IDT; what leads through the gate is the
 *             delivery that the exit interrupted
 * DR          MOV to or from a debug register
 */
#define EXIT_KINDS(X)             \
	X(UNKNOWN, "unknown")     \
	X(CPUID, "cpuid")         \
	X(MSR, "msr")             \
	X(IO, "io")               \
	X(NESTED, "npf")          \
	X(HYPERCALL, "hypercall") \
	X(VIRT_INSN, "virt")      \
	X(SHUTDOWN, "shutdown")   \
	X(EXCEPTION, "exception") \
	X(NMI, "nmi")             \
	X(INTR, "intr")           \
	X(WINDOW, "window")       \
	X(INVALID, "invalid")     \
	X(INVD, "invd")           \
	X(CR, "cr")               \
	X(XSETBV, "xsetbv")       \
	X(INIT, "init")           \
	X(TIMER, "timer")         \
	X(MACHINE_CHECK, "mce")   \
	X(HLT, "hlt")             \
	X(MWAIT, "mwait")         \
	X(PAGING, "paging")       \
	X(REFETCH, "refetch")     \
	X(TASK_SWITCH, "task")    \
	X(DR, "dr")

enum exit_kind {
#define X(symbol, name) EXIT_##symbol,
	EXIT_KINDS(X)
#undef X
		EXIT_KIND_COUNT
};

/*
 * How a handler wants its exit to end. Stopping for a debugger is orthogonal (vcpu_request_stop) and faults are
 * event_queue() followed by VERDICT_RESUME.
 */
enum verdict {
	VERDICT_PASS,	   /* not mine: ask the next one; from the default handler: an error */
	VERDICT_SKIP_INSN, /* the instruction has been carried out: the exit loop moves RIP past it */
	VERDICT_RESUME,	   /* enter the guest again where it is */
	VERDICT_FATAL,	   /* nothing sensible can follow: log everything and stop the machine */
};

/* A handler of one exit kind. Called on the vCPU's own CPU, interrupts off. */
typedef enum verdict (*exit_handler_fn)(struct vcpu *vcpu);

/* What the backend always loads: the header. */
struct exit_header {
	uint8_t kind;	/* enum exit_kind */
	uint8_t length; /* of the instruction in bytes, for kinds that are instructions */
};

/* Access bits of a nested fault and of guest memory accesses. */
#define ACCESS_READ  0x1u
#define ACCESS_WRITE 0x2u
#define ACCESS_EXEC  0x4u

/* What switches tasks. */
enum task_source { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE };

/* What decode_detail() loads: valid until the guest is entered again. */
struct exit_detail {
	union {
		struct {
			uint32_t index;
			bool write;
		} msr;
		struct {
			uint16_t port;
			uint8_t size; /* bytes: 1, 2 or 4 */
			bool in, string, rep;
		} io;
		struct {
			gpa_t gpa;
			uint8_t access;	 /* ACCESS_x bits */
			bool present;	 /* the translation was there, its permissions refused */
			bool table_walk; /* the access was a walk of the guest's own page tables */
		} nested;
		struct {
			uint8_t vector;
			bool has_error;
			bool is_interrupt; /* INT n; else, with a length, INT1, INT3 or INTO */
			uint8_t length;	   /* of that instruction, which RIP points to; 0: raised by the CPU */
			uint32_t error;
			uint64_t address; /* #PF: the would-be CR2 */
		} exception;
		struct {
			uint8_t number; /* 0 or 4 */
			uint64_t value; /* what the guest writes */
			uint64_t owned; /* the bits the backend keeps to itself and shows as the guest left them */
		} cr;
		struct {
			uint16_t selector; /* of the TSS to switch to */
			uint8_t source;	   /* enum task_source */
		} task;
	};
};

#endif
