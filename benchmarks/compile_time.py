"""How long compiling takes, beside what it replaces. Prints Markdown; figures are medians, compared within one run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 7
DEFINE = (
    "import torch; lib = torch.library.Library('torchvision', 'DEF'); "
    "[lib.define(f'{n}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor') for n in ('nms', 'qnms')]; "
)
COMPILE = ["-m", "specbuild", "compile", "--backend", "torch", "-o", "-"]
RESNET = Path(__file__).parent.parent / "specbuild" / "library" / "backbones" / "resnet.yaml"
COMMANDS = {
    "specbuild compile ResNet-50": [*COMPILE, "--variant", "resnet50", str(RESNET)],
    "import torch": ["-c", "import torch"],
    "torchvision.models.resnet50()": ["-c", DEFINE + "import torchvision; torchvision.models.resnet50()"],
}


def run(arguments: list[str], cache: Path) -> tuple[float, float]:
    """Seconds on the wall, and MiB, of one Python process as pip installs things: with bytecode, kept in `cache`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": str(cache)}
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {arguments}")
    return time.perf_counter() - begin, used.ru_maxrss / 1024


def chain(length: int) -> str:
    steps = "\n".join(f"  - linear: {{features: 8}}\n    as: l{i}" for i in range(length))
    return f"specbuild: 1\nmodel: Net\ninputs: {{x: {{C: 8}}}}\nsteps:\n{steps}\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder))


def measure(folder: Path) -> None:
    cache = folder / "bytecode"
    for arguments in COMMANDS.values():
        run(arguments, cache)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            times[name].append(run(arguments, cache)[0])
    medians = {name: statistics.median(found) for name, found in times.items()}
    ours = next(iter(medians.values()))
    print("| whole command | median | ours / it |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median:.2f} s | {ours / median:.2f} |")
    print("\n| chain of steps, whole command | time | time for each | memory |\n|---|---|---|---|")
    for length in (100, 1_000, 10_000):
        spec = folder / f"chain_{length}.yaml"
        spec.write_text(chain(length))
        found = [run([*COMPILE, str(spec)], cache) for _ in range(3)]
        seconds = statistics.median(s for s, _ in found)
        memory = max(m for _, m in found)
        print(f"| {length:,} | {seconds:.2f} s | {1e6 * seconds / length:.0f} µs | {memory:.0f} MiB |")


if __name__ == "__main__":
    main()
