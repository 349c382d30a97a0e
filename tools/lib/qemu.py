# SPDX-License-Identifier: BSD-2-Clause
"""QEMU as an emulated PC with AMD SVM.

A machine class turns options into a command line and answers questions about the running emulator: what it has to
say (poll), guest-physical memory (memory), and its end (quit). It knows nothing of what a run waits for.
"""

import collections
import json
import os
import shlex
import socket
import subprocess
import time
from pathlib import Path

import bochs
import common

ANSWER_SECONDS = 300  # the longest that the monitor may take; it answers in milliseconds on a quiet machine

# Words for tools/machine: a guest's timeouts are the same on a computer that is slow. Instructions are the clock, as with
# --icount, but an idle machine waits as long as the computer: skipping that makes Linux give up on a disk whose data are
# on their way.
STEADY_CLOCK = ("--qemu-arg", "-icount shift=3,sleep=on -rtc base=2024-01-01T00:00:00,clock=vm")


class Monitor:
    """QEMU's machine protocol (QMP) on a connected socket."""

    def __init__(self, connection):
        self.connection = connection
        self.connection.settimeout(ANSWER_SECONDS)
        self.rest = b""
        self.events = collections.deque()
        self.closed = False
        self._read_object()  # the greeting
        self.command("qmp_capabilities")

    def fileno(self):
        return self.connection.fileno()

    def _receive(self, flags=0):
        try:
            data = self.connection.recv(65536, flags)
        except BlockingIOError:
            return
        except TimeoutError:
            raise common.Failure(f"the emulator's monitor was silent for {ANSWER_SECONDS} s") from None
        except OSError:
            data = b""
        self.closed = not data
        self.rest += data

    def _take_objects(self):
        *lines, self.rest = self.rest.split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]

    def _read_object(self):
        while True:
            for thing in (objects := self._take_objects()):
                if "event" in thing:
                    self.events.append(thing)
            answers = [thing for thing in objects if "event" not in thing]
            if answers:
                return answers[0]
            if self.closed:
                raise common.Failure("the emulator's monitor closed")
            self._receive()

    def command(self, name, **arguments):
        request = {"execute": name, "arguments": arguments}
        try:
            self.connection.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            raise common.Failure("the emulator's monitor closed") from None
        answer = self._read_object()
        if "error" in answer:
            raise common.Failure(f"the emulator refused {name}: {answer['error'].get('desc')}")
        return answer["return"]

    def poll(self):
        """The events that arrived; called when the socket is readable."""
        self._receive(socket.MSG_DONTWAIT)
        self.events.extend(thing for thing in self._take_objects() if "event" in thing)
        events, self.events = list(self.events), collections.deque()
        return events


class PipeEnd:
    """The reading end of a named pipe, where a socket is expected."""

    def __init__(self, path):
        self.descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self):
        return self.descriptor

    def setblocking(self, blocking):
        os.set_blocking(self.descriptor, blocking)

    def recv(self, size):
        return os.read(self.descriptor, size)


class QemuSvm:
    name = "qemu-svm"
    title = "QEMU, TCG, a PC with AMD SVM and nested paging"
    program = "qemu-system-x86_64"
    cpu = "qemu64,+svm,+npt"
    noise = None

    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.monitor = None
        self.process = None

    # -- the command line

    def command(self, com1, com2, com3, monitor):
        """com1 to com3 and monitor are -chardev descriptions without their id; com3 and monitor may be None."""
        options = self.options
        argv = [self.program, "-accel", "tcg", "-cpu", options.cpu or self.cpu, "-m", str(options.mem)]
        argv += ["-machine", ("q35" if options.q35 else "pc") + (f",smm={options.smm}" if options.smm else "")]
        argv += ["-smp", str(options.cpus)] if options.cpus != 1 else []
        argv += ["-no-user-config", "-nodefaults", "-vga", "std"]
        argv += ["-display", "gtk" if options.window else "none"]
        if options.icount is not None:
            argv += ["-icount", f"shift={options.icount},sleep=off", "-rtc", "base=2024-01-01T00:00:00,clock=vm"]
        for name, port in (("com1", com1), ("com2", com2), ("com3", com3)):
            if not port:
                continue
            argv += ["-chardev", f"{port},id={name}"]
            if name == "com3" and options.control[0] == "pci-uart":
                argv += ["-device", "pci-serial,chardev=com3,addr=1d.0"]
            else:
                argv += ["-serial", f"chardev:{name}"]
        if monitor:
            # The machine stays to be looked at when the guest has powered it off.
            argv += ["-chardev", f"{monitor},id=monitor", "-mon", "chardev=monitor,mode=control", "-no-shutdown"]
        argv += self._disks()
        if options.nic:
            argv += ["-nic", options.nic if options.nic != "yes" else "user,model=e1000,restrict=on"]
        else:
            argv += ["-nic", "none"]
        for argument in options.qemu_arg:
            argv += shlex.split(argument)
        return argv

    def _disks(self):
        options = self.options
        argv = []
        order = 0
        if options.kernel:
            argv += ["-kernel", str(options.kernel)]
            if options.blob:
                argv += ["-initrd", str(options.blob)]
            order = 1
        if options.stick:
            bus = {"ehci": "usb-ehci,id=usb", "xhci": "qemu-xhci,id=usb"}[options.usb]
            argv += ["-device", bus, "-drive", self._drive(options.stick, "stick")]
            argv += ["-device", f"usb-storage,bus=usb.0,drive=stick,bootindex={order}"]
            order += 1
        if options.ahci and not options.q35:
            argv += ["-device", "ahci,id=ahci"]
        position = 0
        for number, disk in enumerate(options.disk):
            written = options.write and number == len(options.disk) - 1
            argv += ["-drive", self._drive(disk, f"disk{number}", written)]
            argv += ["-device", f"ide-hd,drive=disk{number},bootindex={order},{self._slot(position)}"]
            order += 1
            position += 1
        if options.cdrom:
            argv += ["-drive", f"file={options.cdrom},format=raw,if=none,id=cdrom,media=cdrom,readonly=on"]
            argv += ["-device", f"ide-cd,drive=cdrom,bootindex={order},{self._slot(position)}"]
        return argv

    def _slot(self, position):
        """Where the n-th disk is plugged in."""
        if self.options.q35:
            return f"bus=ide.{position}"
        if self.options.ahci:
            return f"bus=ahci.{position}"
        return f"bus=ide.{position // 2},unit={position % 2}"

    @staticmethod
    def _drive(path, name, written=False):
        quoted = str(path).replace(",", ",,")
        return f"file={quoted},format=raw,if=none,id={name},snapshot={'off' if written else 'on'}"

    def command_for_people(self):
        """A command line that works when typed: COM1 on the terminal, COM2 in a file, a server on COM3."""
        log = str(self.options.log or "undercroft.log").replace(",", ",,")
        control = None
        if self.options.control:
            _, protocol, where = self.options.control
            quoted = str(where).replace(",", ",,")
            control = f"socket,path={quoted}" if protocol == "unix" else f"socket,host=127.0.0.1,port={where or 1234}"
            control += ",server=on,wait=off"
        argv = self.command("stdio,mux=on,signal=off", f"file,path={log}", control, None)
        return shlex.join(argv + ["-mon", "chardev=com1"])

    # -- the running emulator

    def prepare(self):
        """What the emulator connects to; returns its command line."""
        self.listeners = {}
        for name in ("com1", "monitor"):
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            listener.bind(str(self.folder / name))
            listener.listen(1)
            listener.setblocking(False)
            self.listeners[name] = listener
        # Bytes come one by one, and the emulator drops what its listener is too slow for: a pipe holds 64 KiB of
        # that, a socket a few hundred bytes.
        pipes = ["com2", "com3"] if self.options.control else ["com2"]
        for name in pipes:
            for direction in ("in", "out"):
                os.mkfifo(self.folder / f"{name}.{direction}")
        return self.command(
            f"socket,path={self.folder / 'com1'}", f"pipe,path={self.folder / 'com2'}",
            f"pipe,path={self.folder / 'com3'}" if self.options.control else None,
            f"socket,path={self.folder / 'monitor'}",
        )  # fmt: skip

    def streams(self):
        """What the emulator's standard input and output are."""
        return {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}

    def connect(self, process, died):
        """Waits for the emulator to connect; died() tells whether it ended instead. Returns the two serial ports."""
        self.process = process
        connections = {}
        deadline = time.monotonic() + ANSWER_SECONDS
        for name, listener in self.listeners.items():
            while True:
                listener.settimeout(0.1)  # how soon an emulator that refuses its command line is noticed
                try:
                    connections[name], _ = listener.accept()
                    break
                except TimeoutError:
                    if died():
                        return None
                    if time.monotonic() > deadline:
                        raise common.Failure(f"the emulator did not connect within {ANSWER_SECONDS} s") from None
            listener.close()
        self.monitor = Monitor(connections["monitor"])
        # The emulator has opened its end by now: the monitor is the last that it connects.
        return connections["com1"], PipeEnd(self.folder / "com2.out")

    def control(self):
        """The descriptors to read from COM3 and to write to it."""
        return tuple(
            os.open(self.folder / f"com3.{direction}", flags | os.O_NONBLOCK | os.O_CLOEXEC)
            for direction, flags in (("out", os.O_RDONLY), ("in", os.O_WRONLY))
        )

    def poll(self):
        """What happened to the machine, as (event, reason): off, reset, or broken."""
        happened = []
        for event in self.monitor.poll():
            data = event.get("data", {})
            match event["event"]:
                case "SHUTDOWN" if data.get("guest"):
                    happened.append(("off", data.get("reason", "")))
                case "RESET" if data.get("guest"):
                    happened.append(("reset", data.get("reason", "")))
                case "GUEST_PANICKED":
                    happened.append(("broken", "the guest panicked"))
        if self.monitor.closed:
            happened.append(("closed", ""))
        return happened

    def memory(self, address, size):
        """Guest-physical memory as the first CPU sees it, hidden memory included; the machine stands still meanwhile."""
        running = self.monitor.command("query-status")["running"]
        path = self.folder / "memory"
        if running:
            self.monitor.command("stop")
        try:
            self.monitor.command("pmemsave", val=address, size=size, filename=str(path))
        finally:
            if running:
                self.monitor.command("cont")
        data = path.read_bytes()
        path.unlink()
        return data

    def reset(self):
        self.monitor.command("system_reset")

    def quit(self):
        try:
            self.monitor.command("quit")
        except common.Failure:
            pass  # it ended by itself, or is killed by the caller


def hold_on_to_parent():
    """Run in the child before the emulator: it must not outlive a launcher that was killed."""
    import ctypes
    import signal

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    os.setpgid(0, 0)  # Ctrl-C on the terminal is the launcher's


MACHINES = {machine.name: machine for machine in (QemuSvm, bochs.BochsVmx, bochs.BochsSvm)}


def find_machine(name):
    if name not in MACHINES:
        raise common.Failure(f"there is no machine {name}; there is: {', '.join(MACHINES)}")
    return MACHINES[name]


def absolute(path):
    return Path(os.path.abspath(path))
