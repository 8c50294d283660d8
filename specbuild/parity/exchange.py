"""One case on disk, in each framework's own form, and what came back, in canonical form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from specbuild.backends import BACKEND_NAMES, load_backend
from specbuild.backends.base import Backend, is_fixed
from specbuild.codegen.layout import Layout
from specbuild.compiler.pipeline import compile_source
from specbuild.compiler.weight_locations import (
    WeightLocation,
    from_framework,
    group_by_tensor,
    locate_weights,
    to_framework,
)
from specbuild.expressions import concrete
from specbuild.ir.graph import Block, walk_ops
from specbuild.ops.dropout import Dropout, DropPath
from specbuild.ops.types import TensorType
from specbuild.parity import random_data as draw
from specbuild.parity.difference import align_variances
from specbuild.parity.probe_plan import ProbePlan, plan_probes
from specbuild.parity.trace import TracedStep, trace_steps
from specbuild.runtimes.jobs import DType, ParityCase

if TYPE_CHECKING:
    from specbuild.runtimes.jobs import Arrays

WEIGHT_KINDS = ("weight", "weight_gradient", "trained_weight_gradient", "statistic")


class CaseExchange:
    """What both frameworks are given, and what they gave."""

    def __init__(self, case: ParityCase, folder: Path):
        self.case, self.folder = case, folder
        folder.mkdir()
        random = draw.random_generator(case)
        self.locations: dict[str, list[WeightLocation]] = {
            b: locate_weights(case.model, b) for b in BACKEND_NAMES
        }
        weights = case.weights or {h.path: draw.draw_weight(h, random) for h in self.locations["torch"]}
        inputs = case.inputs or {n: draw.draw_input(x, case, random) for n, x in case.model.inputs.items()}
        self.outputs = {(n or "output"): o.type for n, o in case.model.outputs.items()}
        self.weights, self.inputs = self.round_arrays(weights), self.round_arrays(inputs)
        self.cotangents = self.round_arrays(draw.draw_cotangents(case, random))
        self.plans: dict[str, ProbePlan] = (
            {b: plan_probes(case.model, load_backend(b)) for b in BACKEND_NAMES} if case.steps else {}
        )
        tops = {b: p.top for b, p in self.plans.items()}
        self.steps: dict[str, TracedStep] = {s.path: s for s in trace_steps(tops)} if tops else {}

    @property
    def needs_calibration(self) -> bool:
        return self.case.calibrate and self.case.weights is None

    def round_arrays(self, arrays: Arrays) -> Arrays:
        return {key: round_to_dtype(value, self.case.dtype) for key, value in arrays.items()}

    def write_job(
        self,
        name: str,
        label: str = "",
        dtype: DType | None = None,
        calibrate: bool = False,
        perturbation: tuple[int, float] | None = None,
    ) -> dict[str, Any]:
        """Write what a framework needs; the job that says where. `label` tells jobs of one framework apart; in
        another `dtype` the numbers stay those of the case, unless a `shake` moves them: its number, and by how much."""
        case, backend = self.case, load_backend(name)
        weights, inputs = self.weights, self.inputs
        if perturbation is not None:
            random = np.random.default_rng([case.seed, perturbation[0]])
            weights, inputs = (
                draw.perturb_arrays(arrays, perturbation[1], random) for arrays in (weights, inputs)
            )
        file = self.folder / f"model_{name}.py"
        file.write_text(case.sources.get(name) or compile_source(case.model, name), encoding="utf-8")
        arrays = {
            f"input:{n}": to_framework_order(v, case.model.inputs[n], backend) for n, v in inputs.items()
        }
        arrays |= {
            f"head:{n}": to_framework_order(v, self.outputs[n], backend) for n, v in self.cotangents.items()
        }
        return {
            "name": case.name,
            "backend": name,
            "file": str(file),
            "model": case.model.kind,
            "dtype": dtype or case.dtype,
            "modes": case.modes,
            "steps": case.steps,
            "calibrate": calibrate,
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "probes": [p.to_json() for p in self.plans[name].probes] if case.steps else [],
            "weights": self.save_arrays(
                f"weights_{name}{label}", to_framework(self.locations[name], weights)
            ),
            "arrays": self.save_arrays(f"arrays_{name}{label}", arrays),
            "out": str(self.folder / f"out_{name}{label}.safetensors"),
        }

    def save_arrays(self, name: str, arrays: Arrays) -> str:
        from specbuild.runtimes.worker_loop import save_tensors

        file = str(self.folder / f"{name}.safetensors")
        save_tensors(file, arrays)
        return file

    def load_calibrated(self, job: dict[str, Any]) -> None:
        """Take over the weights that PyTorch scaled."""
        from specbuild.runtimes.worker_loop import load_tensors

        found = from_framework(self.locations["torch"], load_tensors(job["out"]))
        self.weights = self.round_arrays({path: found[path] for path in self.weights})

    def pair_tensors(self, *jobs: dict[str, Any]) -> Iterator[tuple[str, str, Any, Any]]:
        """What two jobs gave, tensor by tensor in canonical form: the kind, the path, the one's and the other's."""
        names = [job["backend"] for job in jobs]
        found = [ResultFile(job["out"]) for job in jobs]
        tensors = [self.load_weights(*of) for of in zip(names, found, strict=True)]
        for kind in WEIGHT_KINDS:
            a, b = (of.get(kind, {}) for of in tensors)
            for path in a | b:
                if path in a and path in b:
                    yield kind, path, a[path], b[path]
                elif kind.endswith("gradient"):  # nothing flows there: zero
                    zero = 0 * (a | b)[path]
                    yield kind, path, a.get(path, zero), b.get(path, zero)
        yield from self.pair_rates(found)
        for key in found[0].keys:
            kind, _, path = key.partition(":")
            if kind in (*WEIGHT_KINDS, "rate") or key not in found[1].keys:
                continue
            if kind == "step" and path not in self.steps:
                continue
            a, b = (self.to_canonical(kind, path, *of, key) for of in zip(names, found, strict=True))
            yield kind, path, a, b

    def pair_rates(self, found: list[ResultFile]) -> Iterator[tuple[str, str, Any, Any]]:
        """The rates of dropout as each file has them, in the order of the graph."""
        a, b = (v.numbered_arrays("rate") for v in found)
        spec = dropout_rates(self.case.model)
        if len(a) != len(b):
            yield "rate", "dropout", np.array(a), np.array(b)
            return
        paths = list(spec) if len(spec) == len(a) else [f"dropout.{i}" for i in range(len(a))]
        yield from (("rate", path, *both) for path, *both in zip(paths, a, b, strict=True))

    def unrecorded_steps(self, torch: dict[str, Any], keras: dict[str, Any]) -> list[str]:
        """Steps that only one of the files has shown."""
        keys = [ResultFile(job["out"]).keys for job in (torch, keras)]
        return [path for path in self.steps if any(f"step:{path}" not in shown for shown in keys)]

    def load_weights(self, name: str, values: ResultFile) -> dict[str, Arrays]:
        kept: dict[str, Arrays] = {}
        for key in values.keys:
            kind, _, path = key.partition(":")
            if kind in WEIGHT_KINDS:
                kept.setdefault(kind, {})[path] = values[key]
        found = {}
        for kind, tensors in kept.items():
            gradients = kind not in ("statistic", "weight")
            found[kind] = from_framework(self.locations[name], tensors, gradients=gradients)
        if name == "torch" and "weight" in found:
            found["weight"] = self.average_sums(found["weight"])
        if name == "torch" and "statistic" in found:
            found["statistic"] = align_variances(found["statistic"], self.case, self.weights)
        return found

    def average_sums(self, weights: Arrays) -> Arrays:
        """PyTorch's weights as Keras keeps them: what is a sum there has one gradient, here each summand has it."""
        keras = [h for h in self.locations["keras"] if h.path in weights]
        after, before = to_framework(keras, weights), to_framework(keras, self.weights)
        for place, sharing in group_by_tensor(keras).items():
            if len(sharing) > 1 and not sharing[0].storage.stacked:
                after[place] = before[place] + (after[place] - before[place]) / len(sharing)
        return from_framework(keras, after)

    def to_canonical(self, kind: str, path: str, name: str, values: ResultFile, key: str) -> Any:
        backend, value = load_backend(name), values[key]
        if kind == "step":
            step = self.steps[path]
            return unfold_tensor(value, step.type, step.layouts[name], self.case.batch)
        if kind.endswith("output"):
            return from_framework_order(value, self.outputs[path], backend)
        if kind.endswith("gradient"):
            return from_framework_order(value, self.case.model.inputs[path], backend)
        return value


def dropout_rates(model: Block) -> dict[str, float]:
    """Every dropout that has a layer, by its path, with its rate."""
    return {
        path: concrete(node.op.rate)
        for path, node, _ in walk_ops(model)
        if isinstance(node.op, Dropout | DropPath) and node.reuses is None and not is_fixed(node.op.rate, 0)
    }


class ResultFile:
    """Arrays of a file, read one by one."""

    def __init__(self, file: str):
        import safetensors

        opened: Any = safetensors.safe_open
        self.file = opened(file, framework="np")
        self.keys = dict.fromkeys(self.file.keys())

    def numbered_arrays(self, kind: str) -> list[Any]:
        """What has numbers for paths, in their order."""
        count = sum(key.startswith(f"{kind}:") for key in self.keys)
        return [self[f"{kind}:{i}"] for i in range(count)]

    def __getitem__(self, key: str) -> Any:
        return self.file.get_tensor(key)


def round_to_dtype(value: Any, dtype: DType) -> Any:
    """The nearest number of the type; halves are kept in float32, which holds them all."""
    if value.dtype.kind != "f" or dtype == "float64":
        return np.asarray(value, "float64") if value.dtype.kind == "f" else value
    value = np.array(value, "float32")
    if dtype == "float16":
        return value.astype("float16").astype("float32")
    if dtype == "bfloat16":  # the upper half of float32, to nearest, ties to even
        bits = value.view("uint32")
        bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
        return bits.astype("uint32").view("float32")
    return value


def to_framework_order(value: Any, x: TensorType, backend: Backend) -> Any:
    """A canonical value as a framework's tensors lie, the batch first if it has one."""
    lead = int(x.batched)
    return value.transpose(*range(lead), *(lead + x.axes.index(a) for a in backend.natural_order(x)))


def from_framework_order(value: Any, x: TensorType, backend: Backend) -> Any:
    """A framework's tensor in canonical form; as it is, if it has not as many axes as it should."""
    order, lead = backend.natural_order(x), int(x.batched)
    if value.ndim != lead + len(order):
        return value
    return value.transpose(*range(lead), *(lead + order.index(a) for a in x.axes))


def unfold_tensor(value: Any, x: TensorType, layout: Layout, batch: int) -> Any:
    """A value as it lies in a framework, in canonical form; as it is, if it has not the shape that it should."""
    lead = (batch,) if layout.batched else ()
    axes = (*layout.folded, *layout.order)
    shape = (*lead, *(int(x[a]) for a in axes))
    if value.size != int(np.prod(shape)) or value.ndim != len(layout.order) + layout.batched:
        return value
    return value.reshape(shape).transpose(*range(len(lead)), *(len(lead) + axes.index(a) for a in x.axes))
