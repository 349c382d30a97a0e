# breakpoints that the guest does not read, in code that it writes and maps elsewhere: tests/machine/guests/planted.c
break *0x30040
continue
break *0x30100
break *0x30105
break *0x30207
x/6xb 0x30100
continue
x/6xb 0x30100
continue
print $rax
continue
# the guest's byte where pages can be executed without being read, the breakpoint elsewhere
print/x $rax
continue
continue
print $rax
continue
continue
print $rax
# written by code in the same page
continue
continue
print $rax
# the guest's own INT3 in that place, stepped: into its handler
break *0x30ffd
break *0x31002
continue
x/1xb 0x30100
stepi
print $pc != 0x30100 && $pc != 0x30101
# in two pages
continue
x/6xb 0x30ffd
continue
print $rax
delete
break *0x30040
break *0x800100
continue
# paging goes on; the page faults, is mapped to one frame, to another, and by other tables to a third
print/x $cr3
continue
print/x $cr3
stepi
print $rax
continue
stepi
print $rax
continue
stepi
print $rax
print/x $cr3
continue
print/x $cr3
delete
# by 32-bit page tables
python gdb.execute("source " + __import__("os").environ["CONTROL_SCRIPTS"] + "/tools.py")
as-tools 0x30040 0x800100 0x900000
as-tools-pages 0x30040 0x800100 0x900000
# in one address space only
monitor as cr3=35000
break *0x800100
x/6xb 0x800100
continue
print/x $cr3
stepi
print $rax
monitor as cr3=34000
x/6xb 0x800100
monitor as current
delete
detach
