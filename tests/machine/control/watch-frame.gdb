# the frames of an interrupt and of an exception: tests/machine/guests/debugged.c
break *0x30040
continue
continue
continue
continue
continue
continue
continue
watch *(char (*)[3])0x323f4
continue
p/x $rsp
continue
continue
p/x $rsp
continue
delete
detach
