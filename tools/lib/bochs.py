# SPDX-License-Identifier: BSD-2-Clause
"""Bochs 2.7 as an emulated PC with Intel VMX or AMD SVM. It interprets, and counts each instruction as one tick.

The serial ports are sockets, what the emulator says about the machine is read from its log through a pipe, and memory
is looked at with its debugger. Sticks are the first ATA disk: its BIOS boots from no USB.
"""

import contextlib
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import time

import common

# The most that its option "host" takes, in MiB (Bochs 2.7 config.cc:814). A guest may have more: what it touches beyond
# that is swapped to a file.
HOST_MEM_MAX = 2048
# How long it may take to set its memory up: the square of the size, because each 128 KiB are a parameter in a list that
# is searched for each (memory/misc_mem.cc:329, gui/paramtree.cc:1232). 6 GiB take 28 seconds of CPU, 2 GiB one.
START_SECONDS = 600
ANSWER_SECONDS = 300  # the longest that the debugger may take, on a computer that has much else to do
# CPU time of its own in which the emulator has certainly obeyed a command, once it has the CPU: it takes microseconds.
OBEYED_SECONDS = 0.02
PROMPT = re.compile(rb"<bochs:\d+> $")
RESET_LINE = b"bx_pc_system_c::Reset(HARDWARE) called"
OFF_LINE = b"soft power off"
# What of the log says why a machine broke, with words for people where the emulator has none.
BROKEN_LINE = re.compile(rb"(?:>>PANIC<<|VMENTER FAIL|VMFAIL|VMRUN: ).*")

# Of the infos the log has those of resets alone. The handler of the signal that calls the debugger makes one, too, if
# infos are wanted (bx_debug_ctrlc_handler() in bx_debug/dbg_main.cc), and waits for ever for the log's lock if it has
# come while something is logged (iofunctions::out() in logio.cc); and each HLT with interrupts off is logged.
CONFIGURATION = """\
config_interface: textconfig
display_library: {display}
cpu: model={cpu}, count={cpus}, ips=10000000, reset_on_triple_fault=1
memory: guest={mem}, host={host_mem}
romimage: file={bios}, options=fastboot
vgaromimage: file=/usr/share/vgabios/vgabios.bin
vga: extension=vbe, update_freq=5, realtime=0
pci: enabled=1, chipset=i440fx{slots}
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15
{disks}
boot: {boot}
clock: sync=none, time0=1704067200
com1: enabled=1, mode={com1}
com2: enabled=1, mode={com2}
{com3}
panic: action=fatal
error: action=report
info: action=ignore, pc_system=report
debug: action=ignore
log: {log}
"""

# Bochs' own sets IA32_FEATURE_CONTROL and locks it. SeaBIOS leaves it alone, and finds the VGA's BIOS by PCI only.
BIOS = {
    None: ("/usr/share/bochs/BIOS-bochs-latest", ""),
    "seabios": ("/usr/share/seabios/bios.bin", ", slot1=pcivga"),
}

SLOTS = ["ata0-master", "ata0-slave", "ata1-master", "ata1-slave"]


class Pipe:
    """The reading end of a named pipe that the emulator writes to."""

    def __init__(self, path):
        os.mkfifo(path)
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        # A writer of our own: the pipe has no end until the emulator has opened it.
        self.writer = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        self.data = b""

    def read(self):
        while True:
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                return self.data
            self.data += data

    def lines(self):
        *lines, self.data = self.read().split(b"\n")
        return lines


class Bochs:
    program = "bochs-bin"
    noise = re.compile(r"\d{11}[ie]\[|ALSA lib ")  # lines of its standard error that say nothing

    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.monitor = None
        self.process = None
        self.resets = 0
        self._refuse()

    def _refuse(self):
        options = self.options
        for name in ("q35", "ahci", "smm", "nic", "icount", "qemu_arg"):
            if getattr(options, name):
                raise common.Failure(f"{self.name} has no --{name.replace('_', '-')}")
        if options.control and options.control[0] != "uart":
            raise common.Failure(f"{self.name} has no {options.control[0]}")
        if len(options.disk) + bool(options.stick or options.kernel) + bool(options.cdrom) > len(SLOTS):
            raise common.Failure(f"{self.name} takes {len(SLOTS)} disks, the stick and the CD-ROM included")

    # -- the configuration

    def configuration(self, com1, com2, com3, log):
        """com1 to com3 are modes of serial ports; com3 may be None."""
        options = self.options
        disks, slots = [], iter(SLOTS)
        bios, slots_of_bios = BIOS[options.bios]
        for path in [*self._sticks(), *options.disk]:
            disks.append(f'{next(slots)}: type=disk, mode=flat, path="{path}"')
        if options.cdrom:
            disks.append(f'{next(slots)}: type=cdrom, path="{options.cdrom}", status=inserted')
        return CONFIGURATION.format(
            display="x" if options.window else 'rfb, options="timeout=0"',
            cpu=options.cpu or self.cpu,
            cpus=options.cpus,
            bios=bios,
            slots=slots_of_bios,
            mem=options.mem,
            host_mem=min(options.mem, HOST_MEM_MAX),
            disks="\n".join(disks),
            boot="disk, cdrom" if options.cdrom and len(disks) > 1 else "cdrom" if options.cdrom else "disk",
            com1=com1,
            com2=com2,
            com3=f"com3: enabled=1, mode={com3}" if com3 else "",
            log=log,
        )

    def _sticks(self):
        return [self.options.stick] if self.options.stick else []

    def command_for_people(self):
        """The configuration, and the command line that takes it."""
        if self.options.kernel:
            self.options.stick = "undercroft.img"
        log = self.options.log if self.options.log not in (None, "-") else "undercroft.log"
        control = None
        if self.options.control:
            _, protocol, where = self.options.control
            control = f"socket-server, dev=127.0.0.1:{where if protocol == 'tcp' and where else 1234}"
        text = self.configuration("term, dev=/dev/tty", f"file, dev={log}", control, "bochs.log")
        return f"{text}# {shlex.join([self.program, '-q', '-unlock', '-f', 'bochsrc'])}, then type: continue"

    # -- the running emulator

    def _own_images(self):
        """Private copies: what is written is lost, and a killed emulator leaves its locks on them."""
        options = self.options
        if options.kernel:
            stick = self.folder / "kernel.img"
            blob = ["--blob", options.blob] if options.blob else []
            common.run(common.TOP / "tools/image", stick, "--kernel", options.kernel, *blob)
            options.stick = stick
        elif options.stick and options.stick.parent != self.folder:
            options.stick = self._copy(options.stick, "stick.img")
        kept = len(options.disk) - 1 if options.write else None
        options.disk = [
            disk if number == kept else self._copy(disk, f"disk{number}.img") for number, disk in enumerate(options.disk)
        ]

    def _copy(self, path, name):
        common.run("cp", "--reflink=auto", "--sparse=always", path, self.folder / name)
        return self.folder / name

    def prepare(self):
        self._own_images()
        self.listeners = []
        ports = []
        for _ in range(3 if self.options.control else 2):
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            listener.bind(("127.0.0.1", 0))
            listener.listen(1)
            self.listeners.append(listener)
            ports.append(f"socket-client, dev=127.0.0.1:{listener.getsockname()[1]}")
        ports += [None] * (3 - len(ports))
        self.log = Pipe(self.folder / "log")
        self.debugger = Pipe(self.folder / "debugger")
        configuration = self.folder / "bochsrc"
        configuration.write_text(self.configuration(*ports, self.folder / "log"))
        return [self.program, "-q", "-unlock", "-f", str(configuration)]

    def streams(self):
        """What the emulator's standard input and output are."""
        return {"stdin": subprocess.PIPE, "stdout": self.debugger.writer}

    def connect(self, process, died):
        self.process, self.died = process, died
        connections = []
        deadline = time.monotonic() + START_SECONDS
        for listener in self.listeners:
            while True:
                listener.settimeout(0.1)
                try:
                    connections.append(listener.accept()[0])
                    break
                except TimeoutError:
                    if died():
                        return None
                    if time.monotonic() > deadline:
                        raise common.Failure(f"the emulator did not connect within {START_SECONDS} s") from None
            listener.close()
        self.monitor = select.epoll()
        self.monitor.register(self.log.fd, select.EPOLLIN)
        self.monitor.register(self.debugger.fd, select.EPOLLIN)
        self._wait_prompt()
        self._continue()
        self.com3 = connections[2] if self.options.control else None
        return connections[:2]

    def control(self):
        """The descriptors to read from COM3 and to write to it."""
        descriptor = self.com3.detach()
        return descriptor, os.dup(descriptor)

    def poll(self):
        happened = []
        for line in self.log.lines():
            if RESET_LINE in line:
                self.resets += 1
                if self.resets > 1:  # the first one is the start
                    happened.append(("reset", "hardware reset"))
            elif OFF_LINE in line:
                happened.append(("off", "ACPI"))
            elif match := BROKEN_LINE.search(line):
                happened.append(("said", match[0].decode(errors="replace").strip()))
        # Its debugger stops the machine at a triple fault, too, before the reset that follows.
        if PROMPT.search(self.debugger.read()):
            self._continue()
        return happened

    def memory(self, address, size):
        """Guest-physical memory, hidden memory included; the machine stands still meanwhile."""
        with self.stopped():
            return self.peek(address, size)

    @contextlib.contextmanager
    def stopped(self):
        """The machine stands still."""
        if self._goes_on():
            # Not by Popen, which would take the status of an emulator that ended: that is the caller's.
            os.kill(self.process.pid, signal.SIGINT)
        self._wait_prompt()
        try:
            yield
        finally:
            self._continue()

    def peek(self, address, size):
        """memory() of a machine that stands still."""
        self._type(f"xp /{(size + 3) // 4}wx {address:#x}")
        words = re.findall(rb"\t(0x[0-9a-f]{8})\b", self._wait_prompt())
        if len(words) * 4 < size:
            raise common.Failure(f"the emulator's debugger shows no memory at {address:#x}")
        return b"".join(int(word, 16).to_bytes(4, "little") for word in words)[:size]

    def poke(self, address, value):
        """Writes 32 bits into the memory of a machine that stands still."""
        self._type(f"setpmem {address:#x} 4 {value:#x}")
        self._wait_prompt()

    def _continue(self):
        self._type("continue")
        self.continued = self._cpu_seconds()

    def _cpu_seconds(self):
        """CPU time of the emulator so far. The clock of another process: clock_getcpuclockid(3), which Python lacks."""
        try:
            return time.clock_gettime(~self.process.pid << 3 | 2)
        except OSError:
            raise common.Failure("the emulator ended") from None

    def _goes_on(self):
        """Waits until "continue" was obeyed: a signal before that is forgotten (bx_dbg_continue_command() in
        bx_debug/dbg_main.cc). False: the machine has stopped by itself meanwhile."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while self._cpu_seconds() < self.continued + OBEYED_SECONDS:
            if PROMPT.search(self.debugger.read()):
                return False
            if self.died():
                raise common.Failure("the emulator ended")
            if time.monotonic() > deadline:
                raise common.Failure(f"the emulator did not go on for {ANSWER_SECONDS} s")
            time.sleep(OBEYED_SECONDS)
        return True

    def _type(self, text):
        self.debugger.data = b""
        try:
            self.process.stdin.write(text.encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            raise common.Failure("the emulator's debugger went away") from None

    def _wait_prompt(self):
        """What the debugger said since the last command, up to its prompt."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while not PROMPT.search(self.debugger.read()):
            if self.died():
                raise common.Failure("the emulator ended")
            if time.monotonic() > deadline:
                raise common.Failure(f"the emulator's debugger was silent for {ANSWER_SECONDS} s")
            select.select([self.debugger.fd], [], [], 0.1)  # how soon the emulator's end is noticed
        return self.debugger.data

    def reset(self):
        raise common.Failure(f"{self.name} cannot be reset from outside")

    def quit(self):
        os.kill(self.process.pid, signal.SIGKILL)


class BochsVmx(Bochs):
    name = "bochs-vmx"
    title = "Bochs, a PC with Intel VMX, EPT and unrestricted guest"
    cpu = "corei7_haswell_4770"


class BochsSvm(Bochs):
    name = "bochs-svm"
    title = "Bochs, a PC with AMD SVM and nested paging"
    cpu = "zambezi"
