/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The start stub: real-mode code that starts the installed operating system, inside the VM or natively. Position
 * independent on a paragraph; every reference counts from start_stub, which it makes the start of its code segment.
 * Must not know the hypervisor, but for the one instruction that passes it a line for the log.
 */
#include "start_layout.h"

#define REL(label)	(label - start_stub)

#define BOOT_RECORD		0x7c00	/* where a BIOS puts a boot record; our stack ends below it */
#define BOOT_SIGNATURE		0x7dfe
#define BDA_DISK_COUNT		0x475
#define VECTOR_13		0x4c
#define FIRST_DISK		0x80
#define READ_TRIES		3

/* In messages: these stand for the disk's number and for the last status of the BIOS. */
#define PUT_DISK		'#'
#define PUT_STATUS		'@'

	.section .rodata.start_stub, "a", @progbits
	.balign	16
	.code16
	.globl	start_stub, start_stub_end

/*
 * Entry. In: real mode, CS:IP here, nothing else. Does not return.
 */
start_stub:
	jmp	begin
	.balign	4
	.skip	START_GUEST_CALL - START_MODE
	.word	REL(guest_call)

begin:
	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ss
	movl	$BOOT_RECORD, %esp
	call	1f
1:	popw	%bx
	subw	$REL(1b), %bx
	shrw	$4, %bx
	movw	%cs, %ax
	addw	%bx, %ax
	pushw	%ax
	pushw	$REL(main)
	lretw

main:
	movw	%cs, %ax
	movw	%ax, %ds
	sti
	movw	$REL(text_int18), %si
	cmpb	$START_MODE_INT18, START_MODE
	je	do_int18
	cmpb	$START_MODE_INT19, START_MODE
	je	do_int19
	movb	START_DISK, %dl
	testb	%dl, %dl
	jz	automatic
	call	try_disk
	jmp	give_up

/* Every hard disk the BIOS counts, but for the one we came from. */
automatic:
	xorw	%ax, %ax
	movw	%ax, %es
	movzbw	%es:BDA_DISK_COUNT, %cx
	jcxz	none
	movb	$FIRST_DISK, %dl
2:	cmpb	START_BOOT_DISK, %dl
	je	3f
	movb	$1, REL(tried)
	pushw	%cx
	pushw	%dx
	call	try_disk
	popw	%dx
	popw	%cx
3:	incb	%dl
	jz	4f
	loop	2b
4:	cmpb	$0, REL(tried)
	jne	give_up
none:
	movw	$REL(text_no_second), %si
	call	say
give_up:
	movw	$REL(text_give_up), %si
do_int18:
	call	say
	int	$0x18
	jmp	dead
do_int19:
	movw	$REL(text_int19), %si
	call	say
	int	$0x19

dead:
	movw	%cs, %ax
	movw	%ax, %ds
	cld
	movw	$REL(text_dead), %si
	call	say
5:	sti
	hlt
	jmp	5b

/*
 * Boots from a disk. In: DL = BIOS number, DS = CS. Returns, after a message, only if that is not possible.
 * Clobbers every general register, ES and FLAGS.
 */
try_disk:
	movb	%dl, REL(disk)
	xorw	%ax, %ax
	movw	%ax, %es
	movw	%ax, %es:BOOT_SIGNATURE		/* so that a read that does nothing is noticed */
	movb	$READ_TRIES, REL(tries)
5:	movw	$0x0201, %ax			/* one sector */
	movw	$0x0001, %cx			/* of cylinder 0, sector 1 */
	xorb	%dh, %dh			/* head 0 */
	movb	REL(disk), %dl
	movw	$BOOT_RECORD, %bx
	int	$0x13
	jnc	6f
	movb	%ah, REL(status)
	xorb	%ah, %ah			/* reset, as a boot sector would before it tries again */
	movb	REL(disk), %dl
	int	$0x13
	decb	REL(tries)
	jnz	5b
	movw	$REL(text_read_error), %si
	jmp	say
6:	cld
	movw	$REL(text_no_signature), %si
	cmpw	$0xaa55, %es:BOOT_SIGNATURE
	jne	say
	movb	REL(disk), %dl
	movw	$REL(text_starting), %si
	cmpb	$0, START_PRESENT_AS_FIRST
	je	7f
	cmpb	$FIRST_DISK, %dl
	je	7f
	cli
	movl	%es:VECTOR_13, %eax
	movl	%eax, REL(old_vector)
	movw	$REL(swap_disks), %es:VECTOR_13
	movw	%cs, %es:VECTOR_13 + 2
	sti
	movb	$FIRST_DISK, %dl
	movw	$REL(text_starting_first), %si
7:	pushw	%dx
	call	say
	popw	%dx
	/* What boot records find on a PC: DL, a stack below them, interrupts on, and zeroes. */
	xorb	%dh, %dh
	movzwl	%dx, %edx
	xorl	%eax, %eax
	xorl	%ebx, %ebx
	xorl	%ecx, %ecx
	xorl	%esi, %esi
	xorl	%edi, %edi
	xorl	%ebp, %ebp
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	movw	$BOOT_RECORD, %sp
	ljmpw	$0, $BOOT_RECORD

/*
 * A line on the screen and, inside the VM, in the log. In: DS = CS, DS:SI = text, zero-terminated. Preserves ES;
 * clobbers every general register and FLAGS.
 */
say:
	pushw	%es
	pushw	%ds
	popw	%es
	movw	$REL(line), %di
8:	lodsb
	cmpb	$PUT_DISK, %al
	je	put_disk
	cmpb	$PUT_STATUS, %al
	je	put_status
	stosb
	testb	%al, %al
	jnz	8b
	popw	%es
	movw	$REL(line), %si
	call	teletype
	movw	$REL(text_line_end), %si
	call	teletype
	cmpb	$0, START_NATIVE
	jne	9f
	movw	$REL(line), %si
guest_call:
	.byte	0x0f, 0x01, 0xd9		/* VMMCALL; setup makes it VMCALL for an Intel CPU */
9:	ret
put_disk:
	movb	REL(disk), %al
	jmp	10f
put_status:
	movb	REL(status), %al
10:	movb	%al, %ah
	shrb	$4, %al
	call	put_digit
	movb	%ah, %al
	andb	$0x0f, %al
	call	put_digit
	jmp	8b
put_digit:
	addb	$'0', %al
	cmpb	$'9', %al
	jbe	11f
	addb	$'a' - '0' - 10, %al
11:	stosb
	ret

/* Characters on the screen. In: DS:SI = text, zero-terminated. Clobbers AX, BX, SI and FLAGS. */
teletype:
	lodsb
	testb	%al, %al
	jz	12f
	pushaw					/* some firmware loses BP and more when the screen scrolls */
	movb	$0x0e, %ah
	movw	$0x0007, %bx			/* page 0, the colour for graphics modes */
	int	$0x10
	popaw
	cld
	jmp	teletype
12:	ret

/*
 * Interrupt 13h with two disks swapped: the first one and the one the guest was started from. In: as the caller of the
 * interrupt left everything. Out: what the old handler returns, CF in the FLAGS on the stack. DL comes back as the
 * caller had it, because boot records go on using it, except where it is a result: AH=08h (number of disks) and AH=15h
 * (low half of the size, with DX) that succeed. Reentrant.
 */
swap_disks:
	pushfw
	cmpb	%cs:REL(disk), %dl
	je	13f
	cmpb	$FIRST_DISK, %dl
	je	14f
	popfw
	ljmpw	*%cs:REL(old_vector)
13:	pushw	%ax
	pushw	%dx
	movb	$FIRST_DISK, %dl
	jmp	15f
14:	pushw	%ax
	pushw	%dx
	movb	%cs:REL(disk), %dl
15:	pushfw					/* makes the call an interrupt */
	lcallw	*%cs:REL(old_vector)
	pushw	%bp
	movw	%sp, %bp			/* BP, DX, AX, FLAGS, then the caller's IP, CS and FLAGS */
	jc	16f
	andb	$0xfe, 12(%bp)
	cmpb	$0x08, 5(%bp)
	je	18f
	cmpb	$0x15, 5(%bp)
	je	18f
	jmp	17f
16:	orb	$0x01, 12(%bp)
17:	movb	2(%bp), %dl
18:	popw	%bp
	addw	$6, %sp
	iretw

old_vector:
	.long	0
disk:
	.byte	0
status:
	.byte	0
tries:
	.byte	0
tried:
	.byte	0
text_starting:
	.asciz	"undercroft: starting disk 0x#"
text_starting_first:
	.asciz	"undercroft: starting disk 0x# as 0x80"
text_read_error:
	.asciz	"undercroft: disk 0x#: cannot read its boot record, BIOS status 0x@"
text_no_signature:
	.asciz	"undercroft: disk 0x#: its boot record has no signature (AA55)"
text_no_second:
	.asciz	"undercroft: no disk besides the one Undercroft came from"
text_give_up:
	.asciz	"undercroft: no disk to boot, asking the BIOS for its next boot entry (int 18h)"
text_int18:
	.asciz	"undercroft: starting the BIOS' next boot entry (int 18h)"
text_int19:
	.asciz	"undercroft: starting the BIOS' boot loader service (int 19h)"
text_dead:
	.asciz	"undercroft: nothing to boot: restart the machine"
text_line_end:
	.asciz	"\r\n"
line:
	.skip	80				/* START_LINE_MAX */

	.balign	4
start_stub_end:

	.section .note.GNU-stack, "", @progbits
