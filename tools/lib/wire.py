# SPDX-License-Identifier: BSD-2-Clause
"""The control wire of an emulated machine, offered to one client at a time, and a program that is such a client.

The wire is carried by the runner instead of the emulator's own server, so that it is the same on all machines, a client
may come and go, and what was said can be kept.
"""

import ast
import os
import selectors
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import common

READ_SIZE = 65536


def parse(text):
    """DEVICE=tcp:PORT or DEVICE=unix:PATH, as (device, protocol, where)."""
    device, _, address = text.partition("=")
    protocol, _, where = address.partition(":")
    if device not in ("uart", "pci-uart"):
        raise ValueError(f"{device} carries no control link here; uart and pci-uart do")
    if protocol == "tcp" and where.isdigit() and int(where) < 0x10000:
        return device, protocol, int(where)
    if protocol == "unix" and where:
        return device, protocol, Path(where).absolute()
    raise ValueError(f"expected {device}=tcp:PORT or {device}=unix:PATH, not {text}")


def said(record):
    """What the machine said on the wire, by the record of it."""
    lines = Path(record).read_text().splitlines()
    return b"".join(ast.literal_eval(line[2:]) for line in lines if line.startswith("<")).replace(b"\r", b"")


class End:
    """One end of the wire: a descriptor to read from, one to write to, and what could not be written yet."""

    def __init__(self, selector, name, reader, writer):
        self.selector, self.name, self.reader, self.writer = selector, name, reader, writer
        self.pending = b""
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        selector.register(reader, selectors.EVENT_READ, name)

    def receive(self):
        """What has arrived; b"" at the end, None if nothing has."""
        try:
            return os.read(self.reader, READ_SIZE)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def send(self, data=b""):
        waited = bool(self.pending)
        self.pending += data
        try:
            while self.pending:
                self.pending = self.pending[os.write(self.writer, self.pending) :]
        except BlockingIOError:
            pass
        except OSError:
            self.pending = b""  # its reader went away; that is noticed where it is read from
        if bool(self.pending) and not waited:
            self.selector.register(self.writer, selectors.EVENT_WRITE, f"{self.name}-room")
        elif waited and not self.pending:
            self.selector.unregister(self.writer)

    def close(self):
        if self.pending:
            self.selector.unregister(self.writer)
        self.selector.unregister(self.reader)
        for descriptor in {self.reader, self.writer}:
            os.close(descriptor)


class Wire:
    def __init__(self, protocol, where, record):
        if protocol == "tcp":
            self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            address = ("127.0.0.1", where)
        else:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            where.unlink(missing_ok=True)
            address = str(where)
        try:
            self.listener.bind(address)
        except OSError as error:
            raise common.Failure(f"the control wire cannot be offered at {where}: {error.strerror or error}") from None
        self.listener.listen(1)
        self.listener.setblocking(False)
        self.where = "127.0.0.1:{1}".format(*self.listener.getsockname()) if protocol == "tcp" else str(where)
        self.path = None if protocol == "tcp" else where
        self.record = open(record, "w", buffering=1) if record else None
        self.client = None

    def start(self, selector, reader, writer):
        """reader and writer: the emulator's end of the serial line."""
        self.selector = selector
        self.machine = End(selector, "wire", reader, writer)
        selector.register(self.listener, selectors.EVENT_READ, "wire-listener")

    def _keep(self, direction, data):
        if self.record:
            self.record.write(f"{direction} {data!r}\n")

    def handle(self, ready):
        """ready: the names of what can be read or written."""
        if "wire-listener" in ready and not self.client:
            connection, _ = self.listener.accept()
            if connection.family == socket.AF_INET:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader = connection.detach()
            self.client = End(self.selector, "client", reader, os.dup(reader))
            self.selector.unregister(self.listener)  # the next one waits until this one is gone
            self._keep("=", b"attached")
        if "wire-room" in ready:
            self.machine.send()
        if "client-room" in ready and self.client:
            self.client.send()
        # A wire without a listener loses what is said on it.
        if "wire" in ready and (data := self.machine.receive()) is not None:
            if data:
                self._keep("<", data)
                if self.client:
                    self.client.send(data)
            else:
                self.selector.unregister(self.machine.reader)
        if "client" in ready and self.client and (data := self.client.receive()) is not None:
            if data:
                self._keep(">", data)
                self.machine.send(data)
            else:
                self.client.close()
                self.client = None
                self.selector.register(self.listener, selectors.EVENT_READ, "wire-listener")
                self._keep("=", b"detached")

    def end(self):
        self.listener.close()
        if self.path:
            self.path.unlink(missing_ok=True)


class Client:
    """A program that talks to the machine over the wire: finds it in its environment as CONTROL."""

    def __init__(self, command, where, output, preexec):
        self.command = shlex.split(command)
        common.need_program(self.command[0])
        self.output = open(output, "w+b") if output and output != "-" else None
        environment = dict(os.environ, CONTROL=where)
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output, env=environment,
            preexec_fn=preexec,
        )  # fmt: skip
        self.pidfd = os.pidfd_open(self.process.pid)

    def fileno(self):
        return self.pidfd

    def status(self):
        return self.process.poll()

    def last_line(self):
        if not self.output:
            return ""
        self.output.seek(0)
        lines = self.output.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1].strip()}" if lines else ""

    def end(self):
        """What it started ends with it; it leads a process group, by qemu.hold_on_to_parent()."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
