"""What the largest specs take: every case of `tests/system/large_specs.py` alone, with each command. Writes `bounds.md`.

Run it on an idle machine: `python benchmarks/bounds.py`, or with the names of some commands. A case that is over its bound is
marked; the exit code is then 1. The load of the machine stands beside the figures: processor time grows with it.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.system.large_specs import ACCEPTED, REFUSED  # noqa: E402

LIBRARY = ROOT / "specbuild" / "library" / "backbones"
COMMANDS = {
    "check": ["check", "net.yaml"],
    "compile, PyTorch": ["compile", "net.yaml", "-b", "torch", "-o", "torch.py"],
    "compile, Keras": ["compile", "net.yaml", "-b", "keras", "-o", "keras.py"],
    "show": ["show", "net.yaml"],
    "draw .svg": ["draw", "net.yaml", "-o", "net.svg"],
    "draw .html": ["draw", "net.yaml", "-o", "net.html"],
    "diff": ["diff", "net.yaml", "net.yaml"],
    "check --fix": ["check", "--fix", "net.yaml"],
}
BOUNDS = {True: (5, 512), False: (2, 256)}  # done or refused: CPU seconds and MiB
ERRORS = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 8}}\nsteps:\n" + "  - linear: {featurs: 8}\n" * 300
BACKBONES = ("efficientnet_v2", "convnext", "swin", "resnet")


def measure(arguments: list[str], folder: Path) -> tuple[int, float, float]:
    """Return the exit code, the CPU seconds and the MiB of a command and the processes that it starts."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "specbuild", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def list_cases() -> Iterator[tuple[str, str]]:
    yield from ACCEPTED.items()
    yield "300 errors", ERRORS
    for name in BACKBONES:
        yield name, (LIBRARY / f"{name}.yaml").read_text()
    yield from ((name, text) for name, (_, text) in REFUSED.items())


def describe_case(name: str, text: str, commands: list[str]) -> tuple[list[str], bool]:
    """Return the cells of a row, and whether all are within the bounds."""
    cells, is_within = [name], True
    for arguments in map(COMMANDS.__getitem__, commands):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "net.yaml").write_text(text)
            code, seconds, size = measure(arguments, Path(folder))
        most_seconds, most_size = BOUNDS[code == 0]
        is_over = seconds > most_seconds or size > most_size or (code not in (0, 3))
        is_within = is_within and not is_over
        refused = "" if code == 0 else f", exit {code}"
        cells.append(f"{seconds:.1f} s, {size:.0f}{refused}" + " **over**" * is_over)
    return cells, is_within


def main() -> int:
    commands = sys.argv[1:] or list(COMMANDS)
    rows, is_within, begin = [], True, os.getloadavg()[0]
    for name, text in list_cases():
        cells, is_good = describe_case(name, text, commands)
        is_within = is_within and is_good
        rows.append("| " + " | ".join(cells) + " |")
        print(rows[-1], flush=True)
    lines = [
        "# What the largest specs take",
        "",
        f"CPU seconds and MiB of the whole command on {platform.machine()} with {os.cpu_count()} cores and Python",
        f"{platform.python_version()}, one after another; written by `python benchmarks/bounds.py`. Other work on the machine: a load of",
        f"{begin:.1f} at the begin and of {os.getloadavg()[0]:.1f} at the end. The bounds on an idle machine are 5 s and 512 MiB, and 2 s and",
        "256 MiB for what is refused (exit 3).",
        "",
        "| spec | " + " | ".join(commands) + " |",
        "|---" * (len(commands) + 1) + "|",
        *rows,
    ]
    (ROOT / "benchmarks" / "bounds.md").write_text("\n".join(lines) + "\n")
    return 0 if is_within else 1


if __name__ == "__main__":
    sys.exit(main())
