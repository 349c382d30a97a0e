# SPDX-License-Identifier: BSD-2-Clause
"""The packages that decide how many instructions and exits a guest's start takes."""

import subprocess

import common

PACKAGES = ("qemu-system-x86", "seabios", "grub-pc-bin")
BENCH_PACKAGES = ("bochs", "bochsbios", "gcc")


def versions(*more):
    """(package, version) pairs: the guest's kernel and program, QEMU, firmware, boot loader, and more packages."""
    found = []
    for name in ("linux", "busybox-static"):
        found.append((name, common.need_dependency(f"guest/{name}/.version").read_text().strip()))
    for name in (*PACKAGES, *more):
        query = ["dpkg-query", "-W", "-f=${Version}", name]
        done = subprocess.run(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        found.append((name, done.stdout.strip() or "unknown"))
    return found
