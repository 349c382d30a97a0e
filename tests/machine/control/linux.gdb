# Linux without address randomisation: its 32-bit entry, its 64-bit one, and ^C somewhere behind that
python gdb.execute("source " + __import__("os").environ["UNDERCROFT_CLIENT"] + "/undercroft-gdb.py")
break *0x1000000
continue
print $cpu_mode
continue
print $cpu_mode
print/x $efer & 0x501
print/x $cr0 & 0x80000001
print $pc == $linear_pc
python gdb.execute("source " + __import__("os").environ["CONTROL_SCRIPTS"] + "/tools.py")
as-tools 0x1000000
undercroft-code
stepi
delete
python
import os, signal, threading
# at any moment, once it runs
def soon(event):
    gdb.events.cont.disconnect(soon)
    threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT)).start()
gdb.events.cont.connect(soon)
gdb.execute("continue", to_string=True)
print("stopped in", gdb.parse_and_eval("$cpu_mode"))
registers = gdb.execute("monitor info registers", to_string=True)
print("CR3=" in registers, "EFER=" in registers)
end
monitor as phys
x/2xb 0x413
monitor as current
stepi
detach
