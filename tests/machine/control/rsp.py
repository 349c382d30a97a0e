# SPDX-License-Identifier: BSD-2-Clause
"""A debugger of a few lines: packets over the control wire that CONTROL in the environment names."""

import os
import re
import socket
import sys

SECONDS = 300  # for each answer


class Debugger:
    def __init__(self, seconds=SECONDS):
        host, _, port = os.environ["CONTROL"].rpartition(":")
        self.socket = socket.create_connection((host, int(port)), seconds)
        self.rest = b""

    def send(self, text):
        self.socket.sendall(f"${text}#{sum(text.encode()) & 0xFF:02x}".encode())

    def receive(self):
        while not (match := re.search(rb"\$([^#]*)#..", self.rest, re.S)):
            data = self.socket.recv(4096)
            if not data:
                sys.exit("the wire is gone")
            self.rest += data
        self.rest = self.rest[match.end() :]
        self.socket.sendall(b"+")
        return re.sub(r"(.)\*(.)", lambda run: run[1] * (ord(run[2]) - 28), match[1].decode("latin-1"))

    def ask(self, text):
        self.send(text)
        return self.receive()

    def must(self, text):
        if self.ask(text) != "OK":
            sys.exit(f"refused: {text}")

    def memory(self, address, length):
        return bytes.fromhex(self.ask(f"m{address:x},{length:x}"))

    def counted(self, name):
        """One of Undercroft's counters."""
        return int(re.search(rf"^{name}=(\d+)$", self.ask("qXfer:croft.stats:read::0,fff"), re.M)[1])
