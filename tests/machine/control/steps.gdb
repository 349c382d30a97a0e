# one instruction at a time over everything that leads elsewhere; conditions and commands that the machine evaluates
python gdb.execute("source " + __import__("os").environ["CONTROL_SCRIPTS"] + "/guest.py")
there steps_plain
steps 12
steps 4
# INT n, INT3, INTO and UD2, into their handlers and back
there steps_traps
steps 8
steps 7
steps 10
steps 10
# INT n and INT3 behind MOV SS
there steps_shadow
steps-to steps_trap
steps-to steps_shadow_int3
steps-to steps_trap
steps 6
# an interrupt waits while it is stepped, and is there as soon as it is not
there steps_interrupt
steps-to steps_interruptible
there steps_trap
steps 6
# HLT ends at once
there steps_halt
steps-to steps_halted
# both ways between the rings
there steps_sysenter
steps 4
print/x $cs
steps 3
steps 1
print/x $cs
steps 2
# to real mode and back, to long mode, to ring 3 and back
there real_call_code+26
steps 14
there long_call_code+49
steps 6
there steps_syscall
steps 4
print/x $cs
print/x $r11 & 0x100
steps
print/x $cs
print/x $r11 & 0x100
steps 8
# conditions and commands: the guest stops for those alone that hold
set breakpoint condition-evaluation target
break-at steps_loop_body if $rcx == 3
continue
print $rcx
info breakpoints
delete
set dprintf-style agent
print-at steps_loop_body "rcx %d\n", $rcx
break-at steps_cpuid
continue
delete
# a condition that cannot be evaluated stops, and says why
break-at steps_cpuid_here if 1 / ($rsi - $rsi)
continue
delete
# before and behind the same CPUID, four times
steps
there steps_cpuid_here
steps
there steps_cpuid_here
there steps_cpuid_here
monitor help
monitor info registers
monitor xlate 400000
monitor msr c0000080
monitor in 80 b
monitor nonsense
detach
