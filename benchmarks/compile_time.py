"""How long compiling takes, beside what it replaces. Prints Markdown; figures are medians, compared within one run."""

from __future__ import annotations

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
COMMANDS = {
    "specbuild compile ResNet-50": [
        "-m",
        "specbuild",
        "compile",
        "resnet.yaml",
        "--backend",
        "torch",
        "-o",
        "-",
    ],
    "import torch": ["-c", "import torch"],
    "torchvision.models.resnet50()": ["-c", DEFINE + "import torchvision; torchvision.models.resnet50()"],
}
CHAIN = """
import resource, sys, time
from specbuild.build import compile_source, graph
n = int(sys.argv[1])
steps = "\\n".join(f"  - linear: {{features: 8}}\\n    as: l{i}" for i in range(n))
text = f"specbuild: 1\\nmodel: Net\\ninputs: {{x: {{C: 8}}}}\\nsteps:\\n{steps}\\n"
begin = time.perf_counter()
compile_source(graph(text), "torch")
print(time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def timed(arguments: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - begin


def main() -> None:
    resnet = Path(__file__).parent.parent / "specbuild" / "library" / "backbones" / "resnet.yaml"
    COMMANDS["specbuild compile ResNet-50"][3] = str(resnet)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            times[name].append(timed(arguments))
    medians = {name: statistics.median(found) for name, found in times.items()}
    ours = medians["specbuild compile ResNet-50"]
    print("| whole command | median | ours / it |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median:.2f} s | {ours / median:.2f} |")
    print("\n| chain of steps | time | time for each | memory |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "chain.py"
        script.write_text(CHAIN)
        for n in (100, 1_000, 10_000):
            done = subprocess.run(
                [sys.executable, str(script), str(n)], check=True, capture_output=True, text=True
            )
            seconds, memory = map(float, done.stdout.split())
            print(f"| {n:,} | {seconds:.2f} s | {1e6 * seconds / n:.0f} µs | {memory:.0f} MiB |")


if __name__ == "__main__":
    main()
