# a hardware task switch, which stores the flags, and back
python gdb.execute("source " + __import__("os").environ["CONTROL_SCRIPTS"] + "/guest.py")
there steps_task
steps
print/x $eflags & 0x100
steps 6
detach
