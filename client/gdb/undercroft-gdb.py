# SPDX-License-Identifier: BSD-2-Clause
"""Undercroft for GDB 13 and later: (gdb) source undercroft-gdb.py, before or after "target remote".

At each stop GDB gets the description that fits the code the CPU executes: 16-bit, 32-bit or 64-bit. Undercroft's own
layout never changes; only the names and widths that GDB gives it do. Adds the command "undercroft-code".
"""

import os

import gdb

FOLDER = os.path.dirname(os.path.abspath(__file__))
DESCRIPTIONS = {
    "real": "code16.xml",
    "v8086": "code16.xml",
    "prot16": "code16.xml",
    "compat16": "code16.xml",
    "prot32": "code32.xml",
    "compat32": "code32.xml",
    "long64": None,  # the target's own
}


class Description:
    """Which description GDB has from us, so that it is told of changes only."""

    current = None

    def follow(self):
        try:
            mode = str(gdb.selected_frame().read_register("cpu_mode"))
        except (gdb.error, ValueError):
            return  # not Undercroft, or no target
        wanted = DESCRIPTIONS.get(mode)
        if mode not in DESCRIPTIONS or wanted == self.current:
            return
        self.current = wanted
        if wanted:
            gdb.execute(f"set tdesc filename {os.path.join(FOLDER, wanted)}", to_string=True)
        else:
            gdb.execute("unset tdesc filename", to_string=True)


class Code(gdb.Command):
    """Show the instructions at the CPU's linear address: undercroft-code [COUNT].

    $pc is an offset into the code segment; outside of 64-bit code, GDB looks at the wrong place with it."""

    def __init__(self):
        super().__init__("undercroft-code", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        description.follow()
        count = int(gdb.parse_and_eval(argument)) if argument else 1
        gdb.execute(f"x/{count}i $linear_pc", from_tty)


description = Description()
gdb.events.stop.connect(lambda event: description.follow())
Code()
description.follow()
