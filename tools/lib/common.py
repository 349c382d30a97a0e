# SPDX-License-Identifier: BSD-2-Clause
"""What the tools share: messages, running programs, finished-or-absent output files.

Standard library only, Python 3.11.
"""

import contextlib
import importlib.machinery
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
TOOL = Path(sys.argv[0]).name

# Every time stamp inside an image: 2024-01-01 00:00:00 UTC, so that equal inputs give equal bytes.
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "1704067200"))

# Exits that a control link adds while it listens: they come with time, so they are not counted where counts must agree.
TIMED_EXITS = {"timer", "intr", "hlt", "mwait"}

# A user's PATH often lacks the folders of mke2fs and its like.
PATH = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
ENVIRONMENT = dict(
    os.environ,
    PATH=PATH,
    LC_ALL="C",
    TZ="UTC",
    SOURCE_DATE_EPOCH=str(EPOCH),
    E2FSPROGS_FAKE_TIME=str(EPOCH),
    MTOOLS_SKIP_CHECK="1",
)


class Failure(Exception):
    """An error whose text is all the user needs."""


def say(text):
    print(f"{TOOL}: {text}", file=sys.stderr, flush=True)


def deps_folder():
    return Path(os.environ.get("UNDERCROFT_DEPS") or TOP / "build" / "deps")


def need_program(name):
    if shutil.which(name, path=PATH) is None:
        raise Failure(f"the program {name} is missing: run tools/deps")
    return name


def need_file(path, what):
    path = Path(path)
    if not path.is_file():
        raise Failure(f"{what} does not exist: {path}")
    return path


def need_dependency(relative):
    """A file that tools/deps brings."""
    path = deps_folder() / relative
    if not path.exists():
        raise Failure(f"{path} is missing: run tools/deps")
    return path


def load_tool(name):
    """A program in tools/ as a module."""
    loader = importlib.machinery.SourceFileLoader(name, str(TOP / "tools" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def run(*command, timeout=600, **options):
    """Runs a helper program; its output is shown only when it fails."""
    command = [str(part) for part in command]
    need_program(command[0])
    options.setdefault("env", ENVIRONMENT)
    options.setdefault("stdin", subprocess.DEVNULL)
    try:
        return subprocess.run(
            command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, **options
        ).stdout
    except subprocess.CalledProcessError as error:
        output = error.stdout.decode(errors="replace").strip()
        raise Failure(f"{shlex.join(command)} failed with status {error.returncode}\n{output}") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"{shlex.join(command)} did not end within {timeout} s") from None


@contextlib.contextmanager
def scratch_folder(prefix="undercroft-"):
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        yield Path(folder)


@contextlib.contextmanager
def finished_file(path):
    """A path to write to; what was written becomes `path` in one step, or is removed on error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def main_guard(main):
    """Runs main() and turns expected errors into one message and a status."""
    try:
        status = main()
    except Failure as failure:
        say(failure)
        status = 1
    except KeyboardInterrupt:
        say("interrupted")
        status = 130
    except BrokenPipeError:
        status = 141
    sys.exit(status)
