"""How long loading specs and converting weights takes, beside another checkout: `load_time.py OTHER`. Prints Markdown.

Both checkouts are measured in turn within one run, each with its own files of the same specs, since the language
grows. Figures are medians of CPU time, which other work on the machine changes least; `ours / it` is this checkout
over the other.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROUNDS = 5
HERE = Path(__file__).parent.parent
BYTECODE = Path(tempfile.gettempdir()) / "specbuild_benchmark_bytecode"  # as pip leaves it: compiled once
SPECS = sorted(path.name for path in (HERE / "specs").glob("*.yaml"))
LOAD = """
import sys, time
import specbuild
specbuild.load(sys.argv[1])
begin = time.process_time()
for path in sys.argv[1:]:
    specbuild.load(path)
print(time.process_time() - begin)
"""
CONVERTED = ("cbam_resnet50", "swin_feature_pyramid", "gated_classifier")


def run(checkout: Path, *arguments: str) -> tuple[float, str]:
    """CPU seconds of one Python process that imports specbuild from this checkout, and what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": str(checkout), "PYTHONPYCACHEPREFIX": str(BYTECODE)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-P", *arguments], env=environment, check=True, capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def load_all(checkout: Path) -> float:
    """Seconds to load every spec once, in one process that has everything imported."""
    return float(run(checkout, "-c", LOAD, *[str(checkout / "specs" / name) for name in SPECS])[1])


def convert_weights(checkout: Path, spec: str, folder: Path) -> float:
    """Seconds of a whole `specbuild weights convert` from canonical names to PyTorch's names."""
    target = folder / "target.safetensors"
    target.unlink(missing_ok=True)
    source, path = folder / f"{spec}.safetensors", str(checkout / "specs" / f"{spec}.yaml")
    command = ("-m", "specbuild", "weights", "convert", path, str(source), "-o", str(target), "--to", "torch")
    return run(checkout, *command)[0]


def main() -> None:
    other = Path(sys.argv[1]).resolve()
    checkouts = {"ours": HERE, "other": other}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tasks = {"load all specs, in one process": load_all}
        for spec in CONVERTED:
            path = str(HERE / "specs" / f"{spec}.yaml")
            run(HERE, "-m", "specbuild", "weights", "init", path, "-o", str(folder / f"{spec}.safetensors"))
            tasks[f"weights convert {spec}, whole command"] = lambda c, s=spec: convert_weights(c, s, folder)  # type: ignore[misc]
        print("| what | ours | other | ours / it |\n|---|---|---|---|")
        for what, measure in tasks.items():
            times: dict[str, list[float]] = {name: [] for name in checkouts}
            for _ in range(ROUNDS):
                for name, checkout in checkouts.items():
                    times[name].append(measure(checkout))
            ours, theirs = (statistics.median(found) for found in times.values())
            print(f"| {what} | {ours:.2f} s | {theirs:.2f} s | {ours / theirs:.2f} |")


if __name__ == "__main__":
    main()
