"""Parity on a GPU, in one command: PyTorch on CUDA against Keras on JAX; with --runtimes on PyTorch or TensorFlow too.

    python benchmarks/gpu_parity.py [SPEC...]        by default, every spec under specs/

Writes benchmarks/gpu_parity.md. Takes torch, keras and one of jax[cuda12], jax[cuda13] and tensorflow[and-cuda].
Ends with 0 if every run was equal, with 1 if one was not or was not made, with 4 if there is no GPU.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from parity_tables import faults, forward, processes, results, table

ROOT = Path(__file__).parent.parent
SECTIONS = {  # by title: the options of `specbuild parity`
    "float32, TF32 off": ("--dtype", "float32"),
    "bfloat16": ("--dtype", "bfloat16", "--mode", "forward"),
    "float32, TF32 on": ("--dtype", "float32", "--mode", "forward", "--tf32"),
}

no_gpu = threading.Event()  # or no framework: the first run has said so


@dataclass(frozen=True)
class Run:
    """One spec in one section on one runtime; what it says of itself goes to `file`."""

    title: str
    options: tuple[str, ...]
    spec: Path
    file: Path

    def made(self, until: float) -> int:
        """The exit code of the run, which is not made again if it was kept; 1 if there is no time for it."""
        if self.file.exists():
            return int(any(result["error"] for result in results([self.file])))
        if no_gpu.is_set():
            return 4
        command = [sys.executable, "-m", "specbuild", "parity", str(self.spec), "--json", *self.options]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        begun = time.monotonic()
        try:
            done = subprocess.run(
                command,
                env={**os.environ, "PYTHONPATH": path},
                capture_output=True,
                text=True,
                timeout=max(0.1, until - begun),
            )
        except subprocess.TimeoutExpired:
            code, said = 1, "no time was left"
        else:
            code = done.returncode
            said = f"exit {code}" if code <= 1 else f"exit {code}: {(done.stderr or done.stdout).strip()}"
            if code <= 1:
                part = self.file.with_suffix(".part")
                part.write_text(done.stdout, encoding="utf-8")
                part.replace(self.file)
            if code == 4:
                no_gpu.set()
        print(f"{self.title}: {self.spec.stem}: {said}, {time.monotonic() - begun:.0f} s", file=sys.stderr)
        return code


def report(runs: list[Run]) -> str:
    """A section for each title, with what was not run, and the processes and their switches."""
    parts = [
        "# Parity on a GPU\n",
        "Written by `benchmarks/gpu_parity.py`. Each figure is the largest |a - b| of a tensor over its largest |a|, "
        "the worst of all tensors of its kind;\nPyTorch error and Keras error are the distances of the steps from the "
        "PyTorch file in float64. A tensor is `rounded` as parity.md says.\n",
        processes([run.file for run in runs if run.file.exists()], switches=False),
        *pinning(runs),
    ]
    for title in dict.fromkeys(run.title for run in runs):
        files = [run.file for run in runs if run.title == title and run.file.exists()]
        found = results(files)
        lacking = [run.spec.stem for run in runs if run.title == title and not run.file.exists()]
        parts += [f"## {title}\n", *filter(None, (table(found), faults(found)))]
        if lacking:
            parts.append(f"Not run: {', '.join(lacking)}.\n")
        if files:
            parts.append(f"<details><summary>switches</summary>\n\n{processes(files)}\n</details>\n")
    return "\n".join(parts)


def pinning(runs: list[Run]) -> Iterator[str]:
    """What it is worth to keep TF32 off: how much further the same steps are apart with it."""
    for title in dict.fromkeys(run.title for run in runs if "TF32 on" in run.title):
        off, on = (
            {r.spec: forward(results([r.file])[0]) for r in runs if r.title == name and r.file.exists()}
            for name in (title.replace("TF32 on", "TF32 off"), title)
        )
        both = [spec for spec in on if off.get(spec)]
        if both:
            ratio = statistics.median(on[spec] / off[spec] for spec in both)
            yield (
                f"{title.replace(', TF32 on', '')}: with TF32, steps are {ratio:.0f} times as far apart (median of "
                f"{len(both)} specs): up to {max(on[spec] for spec in both):.1e} instead of {max(off[spec] for spec in both):.1e}, and "
                f"more than 1e-4 in {sum(on[spec] > 1e-4 for spec in both)} of {len(both)}.\n"
            )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("specs", nargs="*", type=Path, default=sorted((ROOT / "specs").glob("*.yaml")))
    parser.add_argument("--runtimes", nargs="+", default=["jax"], choices=["jax", "tensorflow", "torch"])
    parser.add_argument("--sections", nargs="+", default=list(SECTIONS), choices=list(SECTIONS))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, each with a GPU's two processes")
    parser.add_argument("--limit", type=float, default=36000, help="seconds after which no more is run")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="cpu to rehearse")
    parser.add_argument(
        "--keep", type=Path, help="a folder for what each run says, which need not be run again"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "gpu_parity.md")
    return parser.parse_args()


def planned(given: argparse.Namespace, folder: Path) -> Iterator[Run]:
    """Every run, by sections; a CPU has no TF32."""
    common = ("--device", given.device, "--batch", str(given.batch))
    for section in given.sections:
        if "TF32 on" in section and given.device == "cpu":
            continue
        for runtime in given.runtimes:
            title = f"{section}, Keras on {runtime}"
            for spec in given.specs:
                words = [*title.replace(",", "").split(), *spec.with_suffix("").parts[-2:]]
                options = (*SECTIONS[section], "--keras-runtime", runtime, *common)
                yield Run(title, options, spec, folder / f"{'_'.join(words)}.json")


def main() -> int:
    given = arguments()
    until = time.monotonic() + given.limit
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        runs = list(planned(given, folder))
        with ThreadPoolExecutor(given.jobs) as pool:
            codes = list(pool.map(lambda run: run.made(until), runs))
        if not any(run.file.exists() for run in runs):
            print("nothing was compared: see the messages above", file=sys.stderr)
            return max(codes)
        given.out.write_text(report(runs), encoding="utf-8")
    print(f"wrote {given.out}", file=sys.stderr)
    return 0 if all(code == 0 for code in codes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
