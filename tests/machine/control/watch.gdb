# watch, rwatch and awatch, of any number, length and place: tests/machine/guests/debugged.c
tbreak *0x30040
continue
# more than the CPU has registers for
watch *(int *)0x32010
watch *(int *)0x32800
watch *(int *)0x32804
watch *(int *)0x32808
watch *(char *)0x32012
continue
x/1i $pc
delete
awatch *(int *)0x32010
continue
delete
# the guest has registers of its own: none, two, all four
watch *(int *)0x32010
continue
continue
continue
delete
# next to what is watched
break *0x30040
continue
watch *(int *)0x32010
rwatch *(int *)0x32010
watch *(short *)0x32011
continue
# across pages
delete
break *0x30040
watch *(int *)0x32ffe
continue
p/x *(int *)0x32ffe
continue
# one element of a repeated instruction
delete
break *0x30040
watch *(char *)0x32105
continue
p/x $rdi
continue
# INC writes
delete
break *0x30040
rwatch *(int *)0x32200
continue
x/1i $pc
delete
break *0x30040
continue
# PUSH and CALL
delete
break *0x30040
watch *(int *)0x323fc
watch *(int *)0x323f8
continue
continue
continue
# the second access of an instruction
delete
break *0x30040
continue
continue
awatch *(short *)0x32702
continue
# what the walk of page tables writes, which debug registers do not see
delete
break *0x30040
awatch *(char (*)[3])0x34020
continue
continue
continue
detach
