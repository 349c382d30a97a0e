# real mode: the start stub, the BIOS, the boot record; stock gdb, nothing of ours loaded
python
# what a step takes: GDB 13 reads the byte at $pc and the list of threads on its own, but asks for no register
import os, re
log = os.environ["REMOTE_LOG"]
for _ in range(2):
    said_before = os.path.getsize(log)
    gdb.execute("stepi")
with open(log) as file:
    file.seek(said_before)
    print("asked:", *re.findall(r"^w \+*\$(m|[a-zA-Z]+;?[a-z]?)", file.read(), re.M))
end
info registers rip cs cpu_mode linear_pc
stepi
info registers rip linear_pc
x/6xb 0xffff0
x/2xb 0x413
find /b 0xf0000, +0xffff, 'S','e','a','B','I','O','S'
print $_ != 0
set $rax = 0x1122334455667788
print/x $rax
print/x $rsp_low
set var *(unsigned char *)0x500 = 0x5a
x/1xb 0x500
x/2xb 0
python
try:
    gdb.execute("print/x *(unsigned char *)0xfee00000")
except gdb.error as error:
    print(error)
end
print/x $dr7
print $eflags
print/x $fctrl
maint packet qcroft.xlate:current,7c00
maint packet qcroft.msr:c0000080
maint packet qcroft.port:2f8,1
maint packet Qcroft.msr:c0000080,ffffffffffffffff
maint packet Qcroft.port:80,1,55
maint packet qCRC:500,1
maint packet qXfer:croft.stats:read::0,9
maint packet Qqemu.sstepbits
maint packet Qqemu.PhyMemMode:1
maint packet qqemu.PhyMemMode
maint packet Qqemu.PhyMemMode:0
monitor info version
monitor xlate 7c00
break *0x7c00
continue
info registers rip cs linear_pc
x/2xb 0x7dfe
x/1xb 0x7c00
stepi
delete
python gdb.execute("set tdesc filename " + __import__("os").environ["UNDERCROFT_CLIENT"] + "/code16.xml")
x/1i 0x7c00
info registers eip cs
print/x $eax
unset tdesc filename
detach
