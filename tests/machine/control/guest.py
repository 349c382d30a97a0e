# SPDX-License-Identifier: BSD-2-Clause
"""Commands of GDB for a bare guest of the machine tests (GUEST in the environment), whose addresses a transcript must
not have: places are symbols (in real mode IP), and steps say where they led.

    there SYMBOL[+OFFSET]  goes on until the CPU is there
    steps [COUNT]          one instruction each
    steps-to SYMBOL        as many as it takes, at most STEPS_MAX: emulators take STI with what follows it
    break-at SYMBOL [if CONDITION]
    print-at SYMBOL FORMAT, VALUES...
    store SYMBOL VALUE     four bytes
"""

import bisect
import os
import subprocess

import gdb


def symbols():
    said = subprocess.run(["nm", "-n", os.environ["GUEST"]], stdout=subprocess.PIPE, check=True, text=True).stdout
    return sorted((int(address, 16), name, kind) for address, kind, name in map(str.split, said.splitlines()))


STEPS_MAX = 8
ADDRESSES = {name: address for address, name, _ in symbols()}
SYMBOLS = [(address, name) for address, name, kind in symbols() if kind in "tT"]


def value(name):
    return int(gdb.parse_and_eval(name)) & 0xFFFFFFFFFFFFFFFF


def place():
    pc = value("$pc")
    if pc < SYMBOLS[0][0]:
        return f"{pc:#x}"
    address, name = SYMBOLS[bisect.bisect(SYMBOLS, (pc, chr(0x10FFFF))) - 1]
    return f"{name}+{pc - address}"


def quiet(command):
    return gdb.execute(command, to_string=True)


class There(gdb.Command):
    def __init__(self):
        super().__init__("there", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        name, _, offset = argument.partition("+")
        quiet(f"tbreak *{ADDRESSES[name] + int(offset or 0):#x}")
        quiet("continue")
        print(place())


class Steps(gdb.Command):
    def __init__(self):
        super().__init__("steps", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        for _ in range(int(argument or 1)):
            quiet("stepi")
            print(place())


class StepsTo(gdb.Command):
    def __init__(self):
        super().__init__("steps-to", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        for _ in range(STEPS_MAX):
            quiet("stepi")
            if value("$pc") == ADDRESSES[argument]:
                break
        print(place())


class BreakAt(gdb.Command):
    def __init__(self):
        super().__init__("break-at", gdb.COMMAND_BREAKPOINTS)

    def invoke(self, argument, from_tty):
        name, _, condition = argument.partition(" ")
        quiet(f"break *{ADDRESSES[name]:#x} {condition}")


class Store(gdb.Command):
    def __init__(self):
        super().__init__("store", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        name, number = argument.split()
        gdb.execute(f"set var *(int *){ADDRESSES[name]:#x} = {number}")


# places tell where it stopped
gdb.execute("set suppress-cli-notifications on")
class PrintAt(gdb.Command):
    def __init__(self):
        super().__init__("print-at", gdb.COMMAND_BREAKPOINTS)

    def invoke(self, argument, from_tty):
        name, _, what = argument.partition(" ")
        quiet(f"dprintf *{ADDRESSES[name]:#x}, {what}")


There(), Steps(), StepsTo(), BreakAt(), PrintAt(), Store()
