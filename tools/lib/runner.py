# SPDX-License-Identifier: BSD-2-Clause
"""One run of an emulated machine: streams, what is waited for, the terminal, the end.

Everything is driven by events (the emulator's sockets, its end, the keyboard, the deadline); only the VGA screen,
which announces nothing, is looked at in intervals.
"""

import json
import os
import re
import select
import selectors
import signal
import struct
import subprocess
import sys
import termios
import time
import tty

import common
import diskimage
import qemu
import wire

# Exit statuses, beside argparse's 2.
SEEN, CANNOT_RUN, TIMEOUT, DIED, POWERED_OFF, FAIL_SEEN, RESET, INTERRUPTED = 0, 1, 3, 4, 5, 6, 7, 130

SCREEN_INTERVAL = 0.2
QUIT_SECONDS = 60  # then an emulator that was told to end is killed
LINGER = 0.3, 3.0  # after a --fail expression: until the ports were quiet that long, at most that long
LOOKBACK = 4096  # how much before new output may belong to a match
ESCAPE = 0x01  # Ctrl-A
STATS_LINE = rb"stats at (0x[0-9a-fA-F]+) size (\d+) format 1"


class Outcome(Exception):
    """The run is decided."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Stream:
    """One serial port's output: to a file as it is, and as text without carriage returns for searching."""

    def __init__(self, name, path):
        self.name = name
        self.sink = open(path, "wb", buffering=0) if path and path != "-" else None
        self.text = b""
        self.fresh = 0  # where the latest output begins

    def feed(self, data):
        if self.sink:
            self.sink.write(data)
        self.fresh = len(self.text)
        self.text += data.replace(b"\r", b"")

    def search(self, regex, position=0):
        return regex.search(self.text, max(position, self.fresh - LOOKBACK))

    def tail(self, lines=12):
        return self.text.decode(errors="replace").rstrip("\n").splitlines()[-lines:]


def compile_regex(text):
    try:
        return re.compile(text.encode(), re.MULTILINE)
    except re.error as error:
        raise common.Failure(f"not a regular expression: {text}: {error}") from None


def decode_screen(memory):
    """VGA text memory, 80 by 25 cells, as text without trailing blanks."""
    characters = bytes(byte if byte >= 0x20 else 0x20 for byte in memory[0:4000:2]).decode("cp437")
    rows = [characters[start : start + 80].rstrip() for start in range(0, 2000, 80)]
    return "\n".join(rows).rstrip() + "\n"


def decode_stats(memory):
    """The hypervisor's counters as (name, value) pairs, or None if they are not there."""
    if len(memory) < 8:
        return None
    magic, version, count = struct.unpack_from("<IHH", memory)
    if magic != 0x54534355 or version != 1 or 8 + count * 24 > len(memory):
        return None
    records = [struct.unpack_from("<16sQ", memory, 8 + number * 24) for number in range(count)]
    return [(name.rstrip(b"\0").decode(errors="replace"), value) for name, value in records]


def format_stats(records):
    # accesses to hidden memory are counted, but are not exits of their own
    total = sum(value for name, value in records if name != "hidden")
    return " ".join(["exits:", f"total={total}", *(f"{name}={value}" for name, value in records if value)])


class Terminal:
    """The user's terminal in raw mode; Ctrl-A is the escape."""

    HELP = (
        "\r\n[Ctrl-A x: end, Ctrl-A r: reset the machine, Ctrl-A s: show its screen, Ctrl-A a: a real Ctrl-A]\r\n"
    )

    def __init__(self):
        self.fd = sys.stdin.fileno()
        self.saved = termios.tcgetattr(self.fd)
        self.escaped = False
        tty.setraw(self.fd)

    def restore(self):
        termios.tcsetattr(self.fd, termios.TCSADRAIN, self.saved)

    def read(self):
        """Bytes for the guest, and the commands typed among them."""
        data = os.read(self.fd, 4096)
        if not data:
            return b"", ["x"]
        keys, commands = bytearray(), []
        for byte in data:
            if self.escaped:
                self.escaped = False
                if byte in (ESCAPE, ord("a")):
                    keys.append(ESCAPE)
                else:
                    commands.append(chr(byte).lower())
            elif byte == ESCAPE:
                self.escaped = True
            else:
                keys.append(byte)
        return bytes(keys), commands


class Run:
    def __init__(self, options):
        self.options = options
        self.process = None
        self.status = None  # the emulator's wait status
        self.usage = None
        self.started = time.monotonic()
        self.resets = 0
        self.terminal = None
        self.log_line = b""
        self.last_screen = ""
        self.said = ""  # on the emulator's standard error
        self.emulator_words = []  # what it found wrong with the machine

        self.steps = [
            (kind, compile_regex(text) if kind == "expect" else text.encode().decode("unicode_escape").encode("latin-1"))
            for kind, text in options.steps
        ]
        self.until = compile_regex(options.until) if options.until else None
        self.until_log = compile_regex(options.until_log) if options.until_log else None
        self.until_screen = compile_regex(options.until_screen) if options.until_screen else None
        self.mark = compile_regex(options.mark) if options.mark else None
        self.mark_position = 0
        self.marked = []  # lines of exit counters
        self.fail = [compile_regex(text) for text in options.fail]
        self.waits = bool(
            self.until or self.until_log or self.until_screen or options.until_off or options.attach
        )  # fmt: skip
        self.attached = not options.attach  # the program for the wire has ended well
        self.left = options.count
        self.position = 0  # in COM1's text, behind the last match
        self.log_seen = self.until_log is None
        self.screen_seen = self.until_screen is None

        self.interactive = options.interactive or (
            not self.waits and not options.serial and sys.stdin.isatty() and sys.stdout.isatty()
        )
        self.timeout = options.timeout
        if self.timeout is None and not self.interactive:
            self.timeout = 300

        self.attach_when = compile_regex(options.attach_when) if options.attach else None
        self.wire = None
        self.client = None  # the program that talks on it

        self.com1 = Stream("the guest's serial port", options.serial)
        self.com2 = Stream("the log", options.log)
        self.show_com1 = not options.serial or options.serial == "-"
        self.show_com2 = options.show_log or options.log == "-"
        self.failed = None  # the outcome of a --fail expression, once seen

    # -- the emulator process

    def _spawn(self, argv):
        common.need_program(argv[0])
        self.process = subprocess.Popen(
            argv, **self.machine.streams(), stderr=self.errors, preexec_fn=qemu.hold_on_to_parent
        )

    def _died(self):
        if self.status is None:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self._record(status, usage)
        return self.status is not None

    def _record(self, status, usage):
        self.status, self.usage = status, usage
        self.process.returncode = os.waitstatus_to_exitcode(status)

    def _end(self):
        """Ends the emulator, gently first."""
        if not self.process:
            return
        if not self._died() and self.machine.monitor:
            self.machine.quit()
            select.select([self.pidfd], [], [], QUIT_SECONDS)
        if not self._died():
            os.kill(self.process.pid, signal.SIGKILL)
            self._record(*os.wait4(self.process.pid, 0)[1:])
        self.said = self._emulator_said()

    def _death(self):
        code = self.process.returncode
        how = f"was ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        said = self.emulator_words[-1] if self.emulator_words else self._emulator_said()
        return Outcome(DIED, f"the emulator {how}" + (f": {said}" if said else ""))

    def _emulator_said(self):
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return "\n".join(line for line in lines if not (self.machine.noise and self.machine.noise.match(line)))

    # -- streams

    def _show(self, data):
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise Outcome(INTERRUPTED, "the reader of the output went away") from None

    def _show_log(self, data):
        *lines, self.log_line = (self.log_line + data.replace(b"\r", b"")).split(b"\n")
        for line in lines:
            sys.stderr.buffer.write(b"[log] " + line + (b"\r\n" if self.terminal else b"\n"))
        sys.stderr.flush()

    def _check_fail(self, stream):
        if self.failed:
            return
        for regex in self.fail:
            if match := stream.search(regex):
                self.failed = stream, stream.text.rfind(b"\n", 0, match.start()) + 1
                self.failed_since = time.monotonic()
                return

    def _give_up(self):
        """Names the whole line that a --fail expression was seen on."""
        stream, start = self.failed
        line = stream.text[start:].partition(b"\n")[0].decode(errors="replace").strip()
        raise Outcome(FAIL_SEEN, f"on {stream.name}: {line}")

    def _on_com1(self, data):
        self.com1.feed(data)
        if self.show_com1:
            self._show(data)
        while self.mark and (match := self.com1.search(self.mark, self.mark_position)):
            self.mark_position = match.end()
            self._on_mark(match[0].decode(errors="replace").strip())
        while self.steps:
            kind, value = self.steps[0]
            if kind == "expect":
                match = self.com1.search(value, self.position)
                if not match:
                    break
                self.position = match.end()
            else:
                self._send(value)
            self.steps.pop(0)
        while not self.steps and self.until and self.left:
            match = self.com1.search(self.until, self.position)
            if not match:
                break
            self.position = max(match.end(), match.start() + 1)
            self.left -= 1
        self._check_done()
        self._check_fail(self.com1)
        self._check_attach(self.com1)

    def _on_mark(self, text):
        """The guest waits: what the counters show now is what they show whenever this is run."""
        if self.options.stats:
            line, why = self.stats()
            if line is None:
                raise Outcome(CANNOT_RUN, f"no statistics: {why}")
            self.marked.append(f"{text} {line}")
        self._send(b"\r")

    def _on_com2(self, data):
        self.com2.feed(data)
        if self.show_com2:
            self._show_log(data)
        if self.until_log and self.com2.search(self.until_log):
            self.log_seen = True
        self._check_done()
        self._check_fail(self.com2)
        self._check_attach(self.com2)

    def _check_attach(self, stream):
        if self.attach_when and stream.search(self.attach_when):
            self.attach_when = None
            self.client = wire.Client(
                self.options.attach, self.wire.where, self.options.attach_output, qemu.hold_on_to_parent
            )
            self.selector.register(self.client, selectors.EVENT_READ, "program")

    def _on_client_end(self):
        status = self.client.status()
        if status is None:
            return
        self.selector.unregister(self.client)
        if status:
            raise Outcome(FAIL_SEEN, f"{self.options.attach} ended with status {status}{self.client.last_line()}")
        self.attached = True
        self._check_done()

    def _look_at_screen(self):
        if self.screen_seen:
            return
        try:
            self.screen_seen = bool(self.until_screen.search(self._screen().encode()))
        except common.Failure:
            if not self._died():
                raise
            return  # what is said about that end is waited for
        self._check_done()

    def _all_seen(self):
        seen = not self.steps and (not self.until or not self.left) and self.log_seen and self.screen_seen
        return seen and self.attached

    def _check_done(self):
        if self.waits and self._all_seen() and not self.options.until_off and not self.failed:
            raise Outcome(SEEN, "seen")

    def _send(self, data):
        self.com1_socket.settimeout(qemu.ANSWER_SECONDS)
        try:
            self.com1_socket.sendall(data)
        except OSError:
            pass  # the emulator's end is noticed elsewhere
        finally:
            self.com1_socket.setblocking(False)

    def _screen(self):
        return decode_screen(self.machine.memory(0xB8000, 4000))

    # -- the end

    def _waiting_for(self):
        missing = []
        if self.steps:
            missing += [f"--expect {self.options.steps[-len(self.steps)][1]}"]
        elif self.until and self.left:
            seen = self.options.count - self.left
            missing += [f"--until {self.options.until}" + (f" (seen {seen} of {self.options.count} times)" if seen else "")]
        missing += [] if self.log_seen else [f"--until-log {self.options.until_log}"]
        missing += [] if self.screen_seen else [f"--until-screen {self.options.until_screen}"]
        if not self.attached:
            missing += [f"--attach-when {self.options.attach_when}" if self.attach_when else self.options.attach]
        if self.options.until_off and not missing:
            missing = ["the guest to power the machine off"]
        return "; still waiting for " + ", ".join(missing) if missing else ""

    def stats(self):
        """The line of the hypervisor's exit counters, or the reason why there is none."""
        found = list(re.finditer(STATS_LINE, self.com2.text))
        if not found:
            return None, "the log does not say where the counters are"
        address, size = int(found[-1][1], 16), int(found[-1][2])
        if not 8 <= size <= 1 << 20:
            return None, f"the log gives an absurd size of the counters: {size}"
        records = decode_stats(self.machine.memory(address, size))
        if records is None:
            return None, f"no counters at {address:#x}"
        return format_stats(records), None

    def _look_afterwards(self):
        """What is asked for about the machine as it stands at the end."""
        self.last_screen = self._screen()
        # its words about what decided the run may come behind that
        if select.select([self.machine.monitor], [], [], 0)[0]:
            self.emulator_words += [reason for event, reason in self.machine.poll() if event == "said"]
        if self.options.screen:
            with common.finished_file(self.options.screen) as path:
                path.write_text(self.last_screen)
        if self.options.stats:
            line, why = self.stats()
            if line is None:
                common.say(f"no statistics: {why}")
                return
            text = "".join(f"{line}\n" for line in [*self.marked, line])
            if self.options.stats == "-":
                print(text, end="", flush=True)
            else:
                with common.finished_file(self.options.stats) as path:
                    path.write_text(text)

    def _prepare_blob(self, folder):
        """A control wire needs a configuration that says so."""
        options = self.options
        if options.control and not options.blob and not options.native and (options.stick or options.kernel):
            options.blob = folder / "control.dtb"
            source = common.TOP / "configs/control.dts"
            common.run("dtc", "-q", "-I", "dts", "-O", "dtb", "-o", options.blob, source)

    def _prepare_stick(self, folder):
        """The stick as this run needs it: a private copy when something is added."""
        options = self.options
        if options.stick and (options.native or options.blob or options.grub):
            copy = folder / "stick.img"
            common.run("cp", "--reflink=auto", "--sparse=always", options.stick, copy)
            try:
                if options.native:
                    diskimage.put_fat(copy, "/undercroft.native", b"")
                if options.blob:
                    diskimage.put_fat(copy, "/undercroft.dtb", options.blob)
                if options.grub:
                    diskimage.put_grub(copy, options.grub)
            except common.Failure as failure:
                raise common.Failure(f"{options.stick} is not a stick's image made by tools/image\n{failure}") from None
            options.stick = copy

    def run(self):
        def on_signal(number, _frame):
            raise Outcome(INTERRUPTED, f"interrupted by {signal.Signals(number).name}")

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, on_signal)
        with common.scratch_folder() as folder:
            self._prepare_blob(folder)
            self._prepare_stick(folder)
            self.machine = qemu.find_machine(self.options.machine)(self.options, folder)
            self.errors = open(folder / "errors", "w+b")
            try:
                try:
                    self._go()
                except Outcome as outcome:
                    decided = self._with_the_rest(outcome)
                if self.process and self.machine.monitor and not self._died() and decided.status != DIED:
                    try:
                        self._look_afterwards()
                    except common.Failure as failure:
                        common.say(failure)
            finally:
                if self.terminal:
                    self.terminal.restore()
                if self.client:
                    self.client.end()
                if self.wire:
                    self.wire.end()
                self._end()
        return self._report(decided)

    def _go(self):
        if self.options.control:
            _, protocol, where = self.options.control
            self.wire = wire.Wire(protocol, where, self.options.wire)
            common.say(f"the control wire is at {self.wire.where}")
        argv = self.machine.prepare()
        self._spawn(argv)
        self.pidfd = os.pidfd_open(self.process.pid)
        ports = self.machine.connect(self.process, self._died)
        if ports is None:
            raise self._death()
        self.com1_socket, self.com2_socket = ports
        for port in ports:
            port.setblocking(False)

        with selectors.DefaultSelector() as selector:
            selector.register(self.com1_socket, selectors.EVENT_READ, "com1")
            selector.register(self.com2_socket, selectors.EVENT_READ, "com2")
            selector.register(self.machine.monitor, selectors.EVENT_READ, "monitor")
            selector.register(self.pidfd, selectors.EVENT_READ, "process")
            self.selector = selector
            if self.wire:
                self.wire.start(selector, *self.machine.control())
            if self.interactive:
                common.say("the guest's console follows; Ctrl-A h lists the keys, Ctrl-A x ends it")
                if sys.stdin.isatty():
                    self.terminal = Terminal()
                selector.register(sys.stdin, selectors.EVENT_READ, "keyboard")
            while True:
                self._wait(selector)

    def _wait(self, selector):
        limit = None
        if self.timeout is not None:
            limit = self.started + self.timeout - time.monotonic()
            if limit <= 0:
                raise Outcome(TIMEOUT, f"timeout after {self.timeout:g} s{self._waiting_for()}")
        if not self.screen_seen:
            limit = SCREEN_INTERVAL if limit is None else min(limit, SCREEN_INTERVAL)
        if self.failed:
            quiet, longest = LINGER
            limit = min(quiet, longest - (time.monotonic() - self.failed_since))
        ready = {key.data: key for key, _ in selector.select(limit)}
        if self.failed and (limit <= 0 or not ready):
            self._give_up()
        # Output first: what was said before the end counts.
        for name, port, handler in (
            ("com1", self.com1_socket, self._on_com1),
            ("com2", self.com2_socket, self._on_com2),
        ):
            if name in ready:
                self._read(selector, port, handler)
        if self.wire:
            self.wire.handle(ready)
        if "program" in ready:
            self._on_client_end()
        if "keyboard" in ready:
            self._on_keyboard(selector)
        if "process" in ready and self._died():
            self._drain(selector)
            if self.failed:
                self._give_up()
            for event, reason in self.machine.poll():
                self._on_event(selector, event, reason)
            raise self._death()
        if "monitor" in ready:
            for event, reason in self.machine.poll():
                self._on_event(selector, event, reason)
        if not self.screen_seen:
            self._look_at_screen()

    def _read(self, selector, port, handler):
        try:
            data = port.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            if port in selector.get_map():
                selector.unregister(port)
            return False
        handler(data)
        return True

    def _drain(self, selector):
        while self._read(selector, self.com1_socket, self._on_com1):
            pass
        while self._read(selector, self.com2_socket, self._on_com2):
            pass

    def _with_the_rest(self, decided):
        """What one port said before the other one said the last word counts, too."""
        if decided.status != SEEN:
            return decided
        for port, stream in ((self.com1_socket, self.com1), (self.com2_socket, self.com2)):
            try:
                stream.feed(port.recv(65536))
            except OSError:
                pass  # nothing is left
            self._check_fail(stream)
        try:
            if self.failed:
                self._give_up()
        except Outcome as outcome:
            return outcome
        return decided

    def _on_event(self, selector, event, reason):
        if event == "off":
            self._drain(selector)
            if self.failed:
                self._give_up()
            if self.waits and self._all_seen():
                raise Outcome(SEEN, "seen, and the guest powered the machine off")
            if self.waits:
                raise Outcome(POWERED_OFF, f"the guest powered the machine off{self._waiting_for()}")
            raise Outcome(SEEN, "the guest powered the machine off")
        if event == "reset":
            self.resets += 1
            if self.options.max_resets is not None and self.resets > self.options.max_resets:
                self._drain(selector)
                raise Outcome(RESET, f"the machine was reset {self.resets} times{self._waiting_for()}")
        if event == "said":
            self.emulator_words.append(reason)
        if event == "broken":
            raise Outcome(DIED, reason)
        if event == "closed":
            selector.unregister(self.machine.monitor)

    def _on_keyboard(self, selector):
        if self.terminal:
            keys, commands = self.terminal.read()
        else:
            keys, commands = os.read(sys.stdin.fileno(), 4096), []
            if not keys:
                selector.unregister(sys.stdin)
        if keys:
            self._send(keys)
        for command in commands:
            if command == "x":
                raise Outcome(SEEN, "ended from the keyboard")
            if command == "r":
                self.machine.reset()
            elif command == "s":
                self._show(("\r\n" + "-" * 80 + "\n" + self._screen() + "-" * 80 + "\n").replace("\n", "\r\n").encode())
            else:
                self._show(Terminal.HELP.encode())

    @staticmethod
    def _quote(title, lines):
        if lines:
            common.say(f"the last lines of {title}:")
            for line in lines:
                print(f"  | {line}", file=sys.stderr)

    def _report(self, outcome):
        seconds = time.monotonic() - self.started
        if self.log_line and self.show_com2:
            self._show_log(b"\n")
        cpu = self.usage.ru_utime + self.usage.ru_stime if self.usage else 0.0
        if outcome.status not in (SEEN, INTERRUPTED):
            if not self.show_com1:
                self._quote("the guest's serial port", self.com1.tail())
            if not self.show_com2:
                self._quote("the log", self.com2.tail())
            self._quote("the emulator's log", self.emulator_words[-4:])
            self._quote("the screen", [line for line in self.last_screen.splitlines() if line][-12:])
        if outcome.status == SEEN and self.said:
            common.say(f"the emulator said: {self.said}")
        if self.show_com1 and self.com1.text and not self.com1.text.endswith(b"\n"):
            self._show(b"\n")
        resets = f", {self.resets} resets" if self.resets else ""
        common.say(f"{self.options.machine}: {outcome.reason} ({seconds:.1f} s, {cpu:.1f} CPU s{resets})")
        if self.options.report:
            with common.finished_file(self.options.report) as path:
                facts = {
                    "status": outcome.status,
                    "reason": outcome.reason,
                    "seconds": round(seconds, 3),
                    "cpu_seconds": round(cpu, 3),
                    "resets": self.resets,
                }
                path.write_text(json.dumps(facts) + "\n")
        return outcome.status
