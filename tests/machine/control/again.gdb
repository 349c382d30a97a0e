# one client after another: the second has to wait, the first one's breakpoints go with it, and the guest runs on meanwhile
python gdb.execute("source " + __import__("os").environ["CONTROL_SCRIPTS"] + "/guest.py")
python
import os, socket
host, port = os.environ["CONTROL"].split(":")
second = socket.create_connection((host, int(port)))
second.sendall(b"$qAttached#8f")
second.setblocking(False)
def heard():
    try:
        return second.recv(4096)
    except BlockingIOError:
        return b"nothing"
end
there steps_plain
python print("the second one hears", heard())
store steps_wait 1
break-at steps_traps
break-at steps_loop_body if $rcx == 3
detach
python
second.settimeout(60)
said = b""
while b"#" not in said:
    said += heard()
print("the second one hears", said[:1], said[1:3])
second.sendall(b"+$D#44")
while b"$OK" not in said:
    said += heard()
print("and leaves")
second.close()
gdb.execute("target remote " + os.environ["CONTROL"])
end
delete
print $cpu_mode
# 0 without XSAVE
print $xcr0 <= 1
print $debugctl
store steps_wait 0
detach
