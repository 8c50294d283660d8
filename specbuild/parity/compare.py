"""The same weights and inputs through both emitted files, and the differences."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from specbuild.backends import load
from specbuild.backends.backend import Backend
from specbuild.build import compile_source
from specbuild.emit.layout import Layout
from specbuild.graph import Block, instances
from specbuild.ops.norm import BatchNorm
from specbuild.weights import Held, from_framework, held, to_framework
from specbuild.words import plain

# A tensor this much smaller than the largest of its kind is zero but for rounding: the gradient of a bias
# in front of a batch norm, say.
NOTHING = 1e-6

Arrays = dict[str, "np.ndarray[Any, Any]"]


@dataclass
class Case:
    """One model to compare. `weights` and `inputs` are canonical; what is not given is drawn at random."""

    name: str
    model: Block
    weights: Arrays | None = None
    inputs: Arrays | None = None
    mode: str = "forward"  # or "train"
    dtype: str = "float64"
    batch: int = 2
    seed: int = 0
    integers: int = 5  # integer inputs are drawn below this


@dataclass
class Report:
    """Largest differences of one case, each relative to the largest number of the tensor."""

    name: str
    error: str = ""
    differences: dict[str, float] = field(default_factory=dict)

    @property
    def worst(self) -> float:
        return max(self.differences.values(), default=0.0)

    def __str__(self) -> str:
        if self.error:
            return f"{self.name}: {self.error}"
        name = max(self.differences, key=lambda k: self.differences[k], default="-")
        return f"{self.name}: {self.worst:.1e} at {name} ({len(self.differences)} tensors)"


def compare(cases: list[Case], timeout: float = 2400, runtime: str = "tensorflow") -> list[Report]:
    """Run every case in one process for each framework."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        written = [Written(case, root) for case in cases]
        (root / "jobs.json").write_text(json.dumps([w.job for w in written]))
        for worker in ("torch_worker", "keras_worker"):
            env = {
                **os.environ,
                "KERAS_BACKEND": runtime,
                "CUDA_VISIBLE_DEVICES": "",
                "TF_CPP_MIN_LOG_LEVEL": "3",
            }
            env["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), env.get("PYTHONPATH", "")])
            done = subprocess.run(
                [sys.executable, "-m", f"specbuild.parity.{worker}", folder],
                env=env,
                capture_output=True,
                text=True,
                timeout=timeout,
            )
            if done.returncode:
                raise RuntimeError(f"{worker} failed:\n{done.stderr[-3000:]}")
        return [w.report() for w in written]


class Written:
    """One case on disk, in each framework's own form."""

    def __init__(self, case: Case, root: Path):
        self.case, self.place = case, root / case.name
        self.place.mkdir()
        random = np.random.default_rng([case.seed, zlib.crc32(case.name.encode())])
        self.held: dict[str, list[Held]] = {b: held(case.model, b) for b in ("torch", "keras")}
        weights = case.weights or {h.path: drawn(h, random) for h in self.held["torch"]}
        inputs = case.inputs or {n: sample(x, case, random) for n, x in case.model.inputs.items()}
        outputs = {(n or "output"): o.type for n, o in case.model.outputs.items()}
        heads = {
            n: random.normal(size=(case.batch, *(plain(s) for s in x.sizes.values())))
            for n, x in outputs.items()
        }
        for name in ("torch", "keras"):
            backend = load(name)
            (self.place / f"model_{name}.py").write_text(compile_source(case.model, name))
            kept = to_framework(self.held[name], weights)
            np.savez(
                self.place / f"{name}_weights.npz",
                **{place: cast(v, case.dtype) for place, v in kept.items()},
            )
            np.savez(
                self.place / f"{name}_inputs.npz",
                **{n: cast(laid(v, case.model.inputs[n], backend), case.dtype) for n, v in inputs.items()},
            )
            np.savez(
                self.place / f"{name}_heads.npz",
                **{n: cast(laid(v, outputs[n], backend), case.dtype) for n, v in heads.items()},
            )
        self.outputs, self.weights = outputs, weights
        self.job = {
            "name": case.name,
            "model": case.model.kind,
            "dtype": case.dtype,
            "mode": case.mode,
            "inputs": list(inputs),
            "outputs": list(outputs),
        }

    def canonical(self, name: str) -> Mapping[str, Any]:
        """What a framework gave, in canonical form and under canonical names."""
        backend = load(name)
        with np.load(self.place / f"{name}_out.npz") as file:
            raw = {k: file[k] for k in file.files}
        found: Arrays = {}
        kept: dict[str, Arrays] = {}
        for key, value in raw.items():
            kind, _, rest = key.partition(".")
            if kind == "output":
                found[key] = unlaid(value, self.outputs[rest], backend)
            elif kind == "grad":
                found[key] = unlaid(value, self.case.model.inputs[rest], backend)
            else:
                kept.setdefault(kind, {})[rest] = value
        for kind, values in kept.items():
            weights = from_framework(self.held[name], values, gradients=kind == "gradw")
            found |= {f"{kind}.{path}": value for path, value in weights.items()}
        return found

    def report(self) -> Report:
        for name in ("torch", "keras"):
            if (self.place / f"{name}_error.txt").exists():
                return Report(self.case.name, f"{name}: {(self.place / f'{name}_error.txt').read_text()}")
        a, b = biased(self.canonical("torch"), self.case, self.weights), self.canonical("keras")
        shared = [k for k in a if k in b]
        lacking = [k for k in a if k.startswith("output.") and k not in b]
        if lacking:
            return Report(self.case.name, f"keras gives no {lacking}")
        floors: dict[str, float] = {}
        for key in shared:
            kind = key.partition(".")[0]
            floors[kind] = max(floors.get(kind, 0.0), float(np.max(np.abs(a[key]), initial=0.0)) * NOTHING)
        return Report(
            self.case.name, "", {k: relative(a[k], b[k], floors[k.partition(".")[0]]) for k in shared}
        )


def biased(found: Mapping[str, Any], case: Case, weights: Arrays) -> Arrays:
    """PyTorch's running variances as Keras keeps them: it counts n values, where PyTorch counts n - 1."""
    result = dict(found)
    for path, node, block in instances(case.model):
        key = f"state.{path}.variance"
        if key in result and isinstance(node.op, BatchNorm) and node.inputs[0] is not None:
            if np.array_equal(result[key], weights[f"{path}.variance"]):
                continue  # it is frozen
            x = block.typed(node.inputs[0])
            n = case.batch * x.elements // plain(x[node.op.over])
            kept = (1 - plain(node.op.momentum)) * weights[f"{path}.variance"]
            result[key] = (result[key] - kept) * (n - 1) / n + kept
    return result


def relative(a: Any, b: Any, floor: float = 0.0) -> float:
    """Largest difference over the largest number, or over `floor` where all is rounding around zero."""
    if a.shape != b.shape:
        return float("inf")
    if not a.size:
        return 0.0
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    difference = float(np.max(np.abs(a - b)))
    return difference / max(float(np.max(np.abs(a))), floor, 1e-30) if difference else 0.0


def drawn(h: Held, random: np.random.Generator) -> np.ndarray[Any, Any]:
    """A weight that hides nothing: statistics are not identity, scales keep the spread near one."""
    if h.name == "variance":
        return random.uniform(0.5, 1.5, h.shape)
    if h.name == "scale":
        return 1 + 0.2 * random.normal(size=h.shape)
    if h.name in ("bias", "shift", "mean") or len(h.shape) < 2:
        return 0.3 * random.normal(size=h.shape)
    fan_in = max(1, prod(h.shape[1:]))
    return np.asarray(random.normal(size=h.shape) / fan_in**0.5)


def sample(x: Any, case: Case, random: np.random.Generator) -> np.ndarray[Any, Any]:
    shape = (case.batch, *(plain(n) for n in x.sizes.values()))
    if x.dtype == "int32":
        return random.integers(0, case.integers, shape).astype("int32")
    if x.dtype == "bool":
        mask = random.random(shape) < 0.7
        mask[..., 0] = True
        return mask
    return random.normal(size=shape)


def cast(value: Any, dtype: str) -> Any:
    return np.array(value.astype(dtype) if value.dtype.kind == "f" else value, order="C")


def laid(value: Any, x: Any, backend: Backend) -> Any:
    """A canonical batch as a framework's tensors lie."""
    layout = Layout(backend.natural(x))
    return value.transpose(0, *(1 + x.axes.index(a) for a in layout.order))


def unlaid(value: Any, x: Any, backend: Backend) -> Any:
    order = backend.natural(x)
    return value.transpose(0, *(1 + order.index(a) for a in x.axes))
