# SPDX-License-Identifier: BSD-2-Clause
"""Guest images made once and kept in the build folder, under a name that holds a digest of what went in."""

import fcntl
import hashlib
import subprocess

import common

TOOLS = common.TOP / "tools"


def _versions():
    """What the images take from packages."""
    lines = [path.read_text() for path in sorted(common.deps_folder().glob("guest/*/.version"))]
    query = ["dpkg-query", "-W", "-f=${Package} ${Version}\n", "grub-pc-bin", "syslinux", "e2fsprogs", "gcc"]
    done = subprocess.run(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return "".join(lines).encode() + done.stdout


def cached(build, name, tool, arguments, inputs=()):
    """The image that tools/<tool> makes; {out} among the arguments stands for it. inputs are files it reads."""
    digest = hashlib.sha256(repr((tool, arguments)).encode() + _versions())
    sources = [TOOLS / tool, TOOLS / "lib/common.py", TOOLS / "lib/diskimage.py", *inputs]
    for path in sources:
        digest.update(common.need_file(path, "an input of the image").read_bytes())
    folder = build / "images"
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / f"{name}-{digest.hexdigest()[:16]}.img"
    with open(folder / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            for old in folder.glob(f"{name}-{'?' * 16}.img"):
                old.unlink()
            common.run(TOOLS / tool, *(str(image) if argument == "{out}" else argument for argument in arguments))
    return image
