# SPDX-License-Identifier: BSD-2-Clause
"""Disk images made without root and without loop devices.

Layout of each: boot sector with partition table, GRUB's core image in the gap behind it, one partition at 1 MiB.
"""

import os
import struct
from pathlib import Path

import common

SECTOR = 512
MIB = 1 << 20
PARTITION_OFFSET = MIB

GRUB_FOLDER = Path("/usr/lib/grub/i386-pc")
GRUB_PREFIX = "(,msdos1)/boot/grub"  # no disk named: the disk that the BIOS booted from

TYPE_FAT16_LBA = 0x0E
TYPE_LINUX = 0x83


def grub_core(modules, prefix=GRUB_PREFIX, config=None):
    """GRUB's core image for a BIOS, as bytes; config is run before the prefix is looked at."""
    if not GRUB_FOLDER.is_dir():
        raise common.Failure(f"{GRUB_FOLDER} is missing: run tools/deps")
    with common.scratch_folder() as scratch:
        core = scratch / "core.img"
        command = ["grub-mkimage", "-O", "i386-pc", "-d", GRUB_FOLDER, "-p", prefix, "-o", core]
        if config is not None:
            (scratch / "early.cfg").write_text(config)
            command += ["-c", scratch / "early.cfg"]
        common.run(*command, *modules)
        data = core.read_bytes()
    if len(data) > PARTITION_OFFSET - SECTOR:
        raise common.Failure(f"GRUB's core image does not fit before the partition: {len(data)} bytes")
    return data


def _chs(sector):
    """A sector in the cylinder/head/sector form of partition tables, or the maximum when out of its range."""
    cylinder, rest = divmod(sector, 255 * 63)
    head, sector = divmod(rest, 63)
    if cylinder > 1023:
        return b"\xfe\xff\xff"
    return bytes([head, (sector + 1) | (cylinder >> 2 & 0xC0), cylinder & 0xFF])


def boot_sector(code, kind, sectors, signature):
    """A master boot record: up to 440 bytes of code and one active partition at PARTITION_OFFSET."""
    first = PARTITION_OFFSET // SECTOR
    entry = struct.pack("<B3sB3sII", 0x80, _chs(first), kind, _chs(first + sectors - 1), first, sectors)
    return code[:440].ljust(440, b"\0") + struct.pack("<IH", signature, 0) + entry + bytes(48) + b"\x55\xaa"


def write_disk(path, kind, partition_size, signature, core, code=None):
    """Boot sector and core image; the partition is a hole, to be filled by the caller."""
    if code is None:
        code = (GRUB_FOLDER / "boot.img").read_bytes()
    with open(path, "wb") as disk:
        disk.write(boot_sector(code, kind, partition_size // SECTOR, signature))
        disk.write(core)
        disk.truncate(PARTITION_OFFSET + partition_size)


def make_fat(path, label, serial):
    """An empty FAT file system in the image's partition."""
    sectors = (os.path.getsize(path) - PARTITION_OFFSET) // SECTOR
    common.run(
        "mformat", "-i", f"{path}@@{PARTITION_OFFSET}", "-T", sectors, "-h", 255, "-s", 63,
        "-H", PARTITION_OFFSET // SECTOR, "-N", f"{serial:08x}", "-v", label, "::",
    )  # fmt: skip


def _is_in_fat(drive, path):
    try:
        common.run("mdir", "-b", "-i", drive, f"::{path}")
    except common.Failure:
        return False
    return True


def put_fat(path, target, data):
    """Writes one file into the image's FAT partition, with the folders above it; data is bytes or a Path."""
    drive = f"{path}@@{PARTITION_OFFSET}"
    for parent in reversed(Path(target).parents):
        if str(parent) != "/" and not _is_in_fat(drive, parent):
            common.run("mmd", "-i", drive, f"::{parent}")
    with common.scratch_folder() as scratch:
        if isinstance(data, bytes):
            source = scratch / "file"
            source.write_bytes(data)
        else:
            source = scratch / "file"
            source.write_bytes(Path(data).read_bytes())
        os.utime(source, (common.EPOCH, common.EPOCH))
        common.run("mcopy", "-o", "-m", "-i", drive, source, f"::{target}")


def packed(path):
    """What the boot loader is to read of a file, which it unpacks by itself.

    It reads through the BIOS, which takes longer than unpacking LZO, and unpacking what is smaller takes longer.
    """
    with common.scratch_folder() as scratch:
        common.run("lzop", "-9", "--no-name", "--no-time", "-o", scratch / "packed", path)
        return (scratch / "packed").read_bytes()


def put_grub(path, commands):
    """Has the GRUB in the image's FAT partition run these first, with the modules that they are in."""
    folder = "/boot/grub"
    config = common.run("mtype", "-i", f"{path}@@{PARTITION_OFFSET}", f"::{folder}/grub.cfg")
    lines = []
    for command in commands:
        module = GRUB_FOLDER / f"{command.split()[0]}.mod"
        if module.is_file():
            put_fat(path, f"{folder}/{GRUB_FOLDER.name}/{module.name}", module)
            lines.append(f"insmod {module.stem}\n")
        lines.append(f"{command}\n")
    put_fat(path, f"{folder}/grub.cfg", "".join(lines).encode() + config)


def make_ext4(path, folder, label, uuid):
    """An ext4 file system with the contents of `folder` in the image's partition."""
    size = os.path.getsize(path) - PARTITION_OFFSET
    common.run(
        "mke2fs", "-q", "-F", "-t", "ext4", "-L", label, "-U", uuid, "-d", folder, "-m", "0", "-b", "4096",
        "-E", f"root_owner=0:0,hash_seed={uuid},lazy_itable_init=0,lazy_journal_init=1,offset={PARTITION_OFFSET}",
        path, f"{size // 1024}k",
    )  # fmt: skip


def cpio(entries):
    """An initial RAM disk (cpio, "newc" form): entries are (path, mode, data), folders before their contents."""
    out = bytearray()

    def record(number, path, mode, data):
        name = path.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, common.EPOCH, len(data), 0, 0, 0, 0, len(name), 0)
        out.extend(b"070701" + b"".join(b"%08x" % field for field in fields) + name)
        out.extend(bytes(-len(out) % 4))
        out.extend(data)
        out.extend(bytes(-len(out) % 4))

    for number, (path, mode, data) in enumerate(entries, 1):
        record(number, path, mode, data)
    record(0, "TRAILER!!!", 0, b"")
    out.extend(bytes(-len(out) % SECTOR))
    return bytes(out)
