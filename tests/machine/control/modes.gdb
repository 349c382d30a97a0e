# from real to protected mode: the boot record of the disk's GRUB, GRUB itself, what it loads
python gdb.execute("source " + __import__("os").environ["UNDERCROFT_CLIENT"] + "/undercroft-gdb.py")
print $cpu_mode
break *0x7c00
continue
show architecture
undercroft-code
stepi
info registers eip
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
