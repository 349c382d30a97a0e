# hbreak next to the guest's own debug registers: none of its own, two, all four: tests/machine/guests/debugged.c
hbreak *0x30020 if $rax * 3 + $rdx == $rsi - 5
hbreak *0x30040
continue
print/x $dr7
print/x $dr0
stepi
info registers rip eflags
delete 2
hbreak *0x30050
continue
stepi
continue
print/x $dr7
continue
print/x $dr7
print/x $dr6
continue
print/x $dr7
print/x $dr6
set $dr7 = 0x400
delete
hbreak *0x20001
continue
info registers linear_pc cpu_mode
stepi
info registers linear_pc
delete
hbreak *0x30040
continue
detach
