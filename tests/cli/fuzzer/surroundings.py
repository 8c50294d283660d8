"""What surrounds a command: its folder, its files, its streams, its environment."""

from __future__ import annotations

import ctypes
import os
import random
import resource
import socket
import sys
from pathlib import Path

SPEC = """\
specbuild: 1
model: Net
params: {width: 8}
variants: {large: {width: 16}}
blocks:
  Gate: {steps: [sigmoid]}
inputs: {x: {C: 4, H: 8, W: 8}}
steps:
  - conv: {channels: width, kernel: 3}
    as: stem
  - Gate
  - do: [relu]
    repeat: 2
"""
FOLDERS = [".", ".", ".", "closed", "readonly", "gone"]
VARIABLES = {
    "HOME": [None, "", "/nowhere", "closed"],
    "TMPDIR": [None, "/nowhere", "closed", "readonly"],
    "PATH": [None, "", "/nowhere"],
    "LC_ALL": [None, "C", "POSIX", "zq"],
    "COLUMNS": ["0", "1", "-3", "zq", "9" * 30],
    "TERM": [None, "dumb", "zq"],
    "NO_COLOR": ["1", ""],
    "FORCE_COLOR": ["1"],
    "XDG_CACHE_HOME": ["/nowhere", "closed"],
}
STREAMS = ["file", "file", "file", "closed", "full", "pipe"]


def fill_folder(folder: Path, pick: random.Random) -> None:
    """Write the files that the names in `names.py` stand for."""
    (folder / "net.yaml").write_text(SPEC)
    (folder / "other.yaml").write_text(SPEC.replace("width: 8", "width: 12"))
    (folder / "mutant.yaml").write_bytes(mutate_text(SPEC.encode(), pick))
    (folder / "folder").mkdir()
    (folder / "readonly").mkdir()
    (folder / "readonly/net.yaml").write_text(SPEC)
    (folder / "closed").mkdir()
    (folder / "closed/net.yaml").write_text(SPEC)
    (folder / "secret.yaml").write_text(SPEC)
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nothing")
    (folder / "weights.safetensors").write_bytes(pick.randbytes(pick.choice([0, 4, 8, 100])))
    (folder / "weights.pt").write_bytes(b"\x80\x04cos\nsystem\n(S'touch ran'\ntR.")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(folder)  # the path of a socket is short
        server.bind("socket")
        os.chdir(here)
    (folder / "secret.yaml").chmod(0)
    (folder / "readonly").chmod(0o500)
    (folder / "closed").chmod(0)


def mutate_text(text: bytes, pick: random.Random) -> bytes:
    """Return a text with a few parts removed, repeated, exchanged or replaced."""
    for _ in range(pick.randint(1, 4)):
        start = pick.randrange(len(text) + 1)
        end = min(len(text), start + pick.choice([1, 1, 3, 20]))
        part = pick.choice(
            [b"", text[start:end] * 2, b"\x00", b"\xff", b"- ", b": ", b"[", b"{zq: 1}", b"-1"]
        )
        text = text[:start] + part + text[end:]
    return text


def enter_surroundings(folder: Path, pick: random.Random) -> None:
    """Change the folder, the environment, the limits and the streams of this process; there is no way back."""
    drop_override()
    os.chdir(folder)
    os.environ["HOME"] = str(folder)
    for name, values in VARIABLES.items():
        if pick.random() < 0.25:
            value = pick.choice(values)
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = str(folder / value) if value in ("closed", "readonly") else value
    where = pick.choice(FOLDERS)
    if where == "gone":
        (folder / "gone").mkdir()
        os.chdir("gone")
        os.rmdir(folder / "gone")
    elif where == "closed":
        (folder / "closed").chmod(0o700)
        os.chdir("closed")
        (folder / "closed").chmod(0)
    else:
        os.chdir(where)
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    if pick.random() < 0.1:
        limit = pick.choice([0, 100])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    for descriptor in (0, 1):
        if pick.random() < 0.3:
            replace_stream(descriptor, pick.choice(STREAMS), folder)


def replace_stream(descriptor: int, kind: str, folder: Path) -> None:
    """Replace stdin or stdout, as a shell or another program may leave it."""
    if kind == "closed":
        os.close(descriptor)
    elif kind == "full":
        os.dup2(os.open("/dev/full", os.O_RDWR), descriptor)
    elif kind == "pipe":
        read, write = os.pipe()
        os.dup2(read if descriptor == 0 else write, descriptor)
        os.close(read)
        os.close(write)
    if descriptor == 1:
        sys.stdout = None if kind == "closed" else os.fdopen(1, "w", encoding="ascii", closefd=False)  # type: ignore[assignment]
    else:
        sys.stdin = None if kind == "closed" else os.fdopen(0, "r", encoding="ascii", closefd=False)  # type: ignore[assignment]


def drop_override() -> None:
    """Let the permissions of files count for root too, where the tests run as root."""
    if os.geteuid() != 0:
        return
    library = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    library.capget(header, data)
    data[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    library.capset(header, data)
