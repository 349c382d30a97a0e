# SPDX-License-Identifier: BSD-2-Clause
"""Commands of GDB, "as-tools ADDRESS..." and "as-tools-pages ADDRESS...": what tools that know QEMU's stub learn from
one, in the way they look for it. (QEMU 7.2 hangs up where there are some thousand pages.)

pwndbg takes a stub that knows Qqemu.sstepbits, and not qOffsets, for that of a QEMU with a kernel, and cuts the lines of
"info mem" at its first "-", its first blank and its last (pwndbg/aglib/qemu.py, pwndbg/aglib/kernel/vmmap.py). GEF and
others search "info registers" with what is here, and lines of "info tlb" begin with a page and its frame. The kernel's
scripts/gdb ask for "info version", and are content with anything.
"""

import re

import gdb


def said(command):
    return gdb.execute(command, to_string=True)


def ranges():
    for line in said("monitor info mem").splitlines():
        dash, first, last = line.index("-"), line.index(" "), line.rindex(" ")
        start, end, size = int(line[:dash], 16), int(line[dash + 1 : first], 16), int(line[first + 1 : last], 16)
        assert end - start == size, line
        yield start, end, line[last + 1 :]


def pages():
    for line in said("monitor info tlb").splitlines():
        page, frame, flags = re.fullmatch(r"([0-9a-f]+): ([0-9a-f]+) ([-XGPDACTUW]{9})", line).groups()
        yield int(page, 16), int(frame, 16), flags


def registers():
    text = said("monitor info registers")
    for name in "CR0", "CR2", "CR3", "CR4", "DR0", "DR7", "EFER":
        yield name, int(re.search(rf"{name}=(\S+)", text)[1], 16)
    for name in "GDT", "IDT":
        match = re.search(rf"{name}\s*=\s*(\S+) (\S+)", text)
        yield name + " base", int(match[1], 16)
        yield name + " limit", int(match[2], 16)
    for name in "ES", "CS", "SS", "DS", "FS", "GS", "LDT", "TR":
        match = re.search(rf"^{name} ?=([0-9a-f]{{4}}) ([0-9a-f]+) ([0-9a-f]+)", text, re.M)
        yield name + " selector", int(match[1], 16)


class AsTools(gdb.Command):
    def __init__(self):
        super().__init__("as-tools", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        is_qemu = "ENABLE=" in said("maintenance packet Qqemu.sstepbits")
        is_program = "Text=" in said("maintenance packet qOffsets")
        print("a kernel in QEMU:", is_qemu and not is_program and said("monitor info version") != "")
        found = dict(registers())
        for name in "cr0", "cr3", "cr4", "efer":
            assert found[name.upper()] == int(gdb.parse_and_eval(f"(unsigned long)${name}")), name
        print(f"CS {found['CS selector']:x} SS {found['SS selector']:x} GDT limit {found['GDT limit']:x}")
        for address in argument.split():
            address = int(address, 0)
            start, end, rights = next(r for r in ranges() if r[0] <= address < r[1])
            print(f"{address:#x}: in {start:x}-{end:x} {rights}")


class AsToolsPages(gdb.Command):
    def __init__(self):
        super().__init__("as-tools-pages", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        for address in argument.split():
            page, frame, flags = max(p for p in pages() if p[0] <= int(address, 0))
            print(f"{address}: {page:x} at {frame:x} {flags}")


AsTools(), AsToolsPages()
