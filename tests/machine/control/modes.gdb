# from real to protected mode: the boot record of the disk's GRUB, the BIOS, GRUB itself
python gdb.execute("source " + __import__("os").environ["UNDERCROFT_CLIENT"] + "/undercroft-gdb.py")
print $cpu_mode
break *0x7c00
continue
show architecture
undercroft-code
stepi
info registers eip
delete
# in the BIOS' ROM, by which GRUB reads the disk: who reads does not see the breakpoint
set $bios = *(unsigned short *)0x4e * 16 + *(unsigned short *)0x4c
set $code = *(int *)$bios
print $bios >= 0xc0000
break *$bios
continue
print $linear_pc == $bios
print *(int *)$bios == $code
undercroft-code
stepi
print $cpu_mode
delete
break *0x100000
continue
show architecture
print $cpu_mode
print/x $cr0 & 1
undercroft-code 2
stepi 3
print $cpu_mode
delete
detach
