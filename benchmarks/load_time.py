"""How long loading specs and converting weights takes, beside another checkout: `load_time.py OTHER`. Prints Markdown.

Both checkouts are measured in turn within one run, each with its own files of the same specs, since the language
grows. Figures are medians of CPU time, which other work on the machine changes least; `ours / it` is this checkout
over the other. A conversion is also measured with the libraries alone, which read the same tensors and write them;
what both checkouts take beyond that is their own work.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from functools import partial
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
LIBRARIES = """
import sys
import jsonschema_rs, numpy, typer, yaml
from safetensors.numpy import load_file, save_file
tensors = load_file(sys.argv[1])
assert all(numpy.isfinite(tensor.sum()) for tensor in tensors.values())
save_file(tensors, sys.argv[2])
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


def copy_weights(spec: str, folder: Path) -> float:
    """Seconds of a Python process that copies the same tensors with the same libraries, without specbuild."""
    target = folder / "target.safetensors"
    target.unlink(missing_ok=True)
    return run(HERE, "-c", LIBRARIES, str(folder / f"{spec}.safetensors"), str(target))[0]


def main() -> None:
    other = Path(sys.argv[1]).resolve()
    loading, converting = "load all specs, in one process", "weights convert {}, whole command"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measures = {loading: {"ours": lambda: load_all(HERE), "other": lambda: load_all(other)}}
        for spec in CONVERTED:
            path = str(HERE / "specs" / f"{spec}.yaml")
            run(HERE, "-m", "specbuild", "weights", "init", path, "-o", str(folder / f"{spec}.safetensors"))
            measures[converting.format(spec)] = {
                "ours": partial(convert_weights, HERE, spec, folder),
                "other": partial(convert_weights, other, spec, folder),
                "libraries": partial(copy_weights, spec, folder),
            }
        print(
            "| what | ours | other | ours / it | libraries alone | ours / it beyond them |\n|---|---|---|---|---|---|"
        )
        for what, measure in measures.items():
            times: dict[str, list[float]] = {name: [] for name in measure}
            for _ in range(ROUNDS):
                for name, run_once in measure.items():
                    times[name].append(run_once())
            seconds = {name: statistics.median(found) for name, found in times.items()}
            ours, theirs, floor = seconds["ours"], seconds["other"], seconds.get("libraries")
            row = f"| {what} | {ours:.2f} s | {theirs:.2f} s | {ours / theirs:.2f} |"
            print(row, f"{floor:.2f} s | {(ours - floor) / (theirs - floor):.2f} |" if floor else "| |")


if __name__ == "__main__":
    main()
