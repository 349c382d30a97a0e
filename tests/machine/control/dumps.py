# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of dumps share: libcroft on a machine's control wire, and what the emulator has in memory."""

import ctypes
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from ctypes import byref, c_bool, c_char, c_char_p, c_int, c_uint, c_uint64, c_void_p
from multiprocessing import get_context
from pathlib import Path

from croft import TIMEOUT_MS

OUT, BUILD = Path(os.environ["OUT"]), Path(os.environ["BUILD"])
PAGE = 4096
ELF, LIME, RAW = range(3)
LOST = 6


class Failed(Exception):
    """A call of libcroft's did: status, text."""


class Error(ctypes.Structure):
    _fields_ = [("status", c_int), ("text", c_char * 252)]


class Dump(ctypes.Structure):
    _fields_ = [("format", c_int), ("path", c_char_p), ("cache", c_char_p), ("live", c_bool), ("passes", c_uint),
                ("progress", c_void_p), ("data", c_void_p)]  # fmt: skip


class Result(ctypes.Structure):
    _fields_ = [(name, c_uint64) for name in
                ("pages", "zero", "absent", "cached", "sent", "inconsistent", "bytes_sent", "bytes_received")]  # fmt: skip
    _fields_ += [("has_vmcoreinfo", c_bool)]


class Counters(ctypes.Structure):
    _fields_ = [(name, c_uint64) for name in
                ("bytes_sent", "bytes_received", "packets_sent", "packets_received", "waits", "frames_bad",
                 "frames_repeated", "packets_repeated")]  # fmt: skip


class Vm:
    def __init__(self, target=None):
        self.library = ctypes.CDLL(str(BUILD / "libcroft.so"))
        self.error, self.vm = Error(), c_void_p()
        self.library.croft_vm_cpu.restype = c_void_p
        self.library.croft_vm_cpu.argtypes = [c_void_p]
        self.check("croft_vm_open", (target or f"tcp:{os.environ['CONTROL']}").encode(), 0, TIMEOUT_MS, byref(self.vm))

    def check(self, name, *arguments):
        if getattr(self.library, name)(*arguments, byref(self.error)):
            raise Failed(self.error.status, f"{name}: {self.error.text.decode()}")

    def call(self, name, *arguments):
        self.check(name, self.vm, *arguments)

    def register(self, name):
        value = c_uint64()
        self.check("croft_cpu_read", c_void_p(self.library.croft_vm_cpu(self.vm)), name.encode(), byref(value))
        return value.value

    def wire_bytes(self):
        counters = Counters()
        self.library.croft_vm_counters(self.vm, byref(counters))
        return counters.bytes_sent + counters.bytes_received

    def dump(self, kind, name, live=False):
        """The result, and how many bytes went over the wire for it, frames and all."""
        result, before, start = Result(), self.wire_bytes(), time.monotonic()
        what = Dump(kind, bytes(OUT / name), bytes(OUT / "cache"), live, 0, None, None)
        self.call("croft_dump", byref(what), byref(result))
        cost = self.wire_bytes() - before
        facts = ", ".join(f"{field} {getattr(result, field)}" for field, _ in Result._fields_)
        print(f"{name}: {cost} bytes in {time.monotonic() - start:.1f} s: {facts}", flush=True)
        return result, cost

    def meanwhile(self, work, *arguments):
        """What a child returns that does some work: Undercroft lets the guest of a client go that is silent for 4 s."""
        with ProcessPoolExecutor(1, get_context("fork")) as pool:
            future = pool.submit(work, *arguments)
            while not future.done():
                self.call("croft_vm_pump", 100)
            return future.result()

    def run_for(self, seconds):
        self.call("croft_vm_run")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.call("croft_vm_pump", 100)
        self.call("croft_vm_stop", None)


class Emulator:
    def __init__(self):
        self.monitor = socket.socket(socket.AF_UNIX)
        self.monitor.connect(str(OUT / "qmp"))
        self.lines = self.monitor.makefile("rw")
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.lines.flush()
        answer = {}
        while not answer.keys() & {"return", "error"}:
            answer = json.loads(self.lines.readline())
        assert "return" in answer, answer

    def memory(self, start, end):
        """What is there, in pieces of 16 MiB: the machine stands while one is written."""
        path = OUT / "memory"
        for at in range(start, end, 16 << 20):
            self.ask("pmemsave", val=at, size=min(end - at, 16 << 20), filename=str(path))
            yield at, path.read_bytes()
            path.unlink()


def compare(raw):
    """What of the guest's RAM is not what the emulator has: at most the pages that the guest sees edited."""
    emulator = Emulator()
    layout = json.loads(Path(f"{raw}.json").read_text())
    assert layout["inconsistent"] == [] and layout["absent"] == [], layout
    different, total = [], 0
    with open(raw, "rb") as file:
        for entry in layout["ranges"]:
            total += entry["length"]
            for start, memory in emulator.memory(entry["start"], entry["start"] + entry["length"]):
                file.seek(start)
                dumped = file.read(len(memory))
                if dumped != memory:
                    different += [start + at for at in range(0, len(memory), PAGE)
                                  if dumped[at : at + PAGE] != memory[at : at + PAGE]]  # fmt: skip
    print(f"{total >> 20} MiB compared; different: {' '.join(f'{at:x}' for at in different) or 'nothing'}", flush=True)
    # the firmware's tables of CPUs, at the end of conventional memory or among ACPI's
    assert len(different) <= 4, different
    return layout["ranges"], total


def start_machine(program, when):
    """Runs the machine of a case's program, and the program itself as the client of its control wire."""
    log = OUT / "log.txt"
    command = [
        Path(__file__).parents[3] / "tools/machine", "run", os.environ["MACHINE"], "--stick", os.environ["STICK"],
        "--disk", os.environ["DISK"], *shlex.split(os.environ["WORDS"]), "--timeout", "3600", "--log", log,
        "--serial", OUT / "serial.txt", "--control", "uart=tcp:0", "--attach", program,
        "--attach-when", when, "--attach-output", OUT / "control.txt",
        # the client is the test: when it is gone the machine may go
        "--until-log", "the debugger is gone",
    ]  # fmt: skip
    if os.environ["MACHINE"].startswith("qemu"):
        command += ["--qemu-arg", f"-qmp unix:{OUT / 'qmp'},server=on,wait=off"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    said = (OUT / "control.txt").read_text() if (OUT / "control.txt").exists() else ""
    print(done.stdout, done.stderr, said, sep="")
    sys.exit(done.returncode)
