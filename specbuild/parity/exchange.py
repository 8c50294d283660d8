"""Write a case to files in each framework's own layout, and read the results back in canonical layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from specbuild.backends.base import Backend, is_fixed
from specbuild.codegen.layout import Layout
from specbuild.compiler.weight_locations import (
    WeightLocation,
    from_framework,
    group_by_tensor,
    is_stacked,
    to_framework,
)
from specbuild.ir.graph import Block, walk_ops
from specbuild.ops.base import Op
from specbuild.ops.types import TensorType
from specbuild.parity.case import ParityCase
from specbuild.parity.difference import convert_statistics
from specbuild.parity.participants import Lineup, Participant
from specbuild.parity.probe_plan import ProbePlan, plan_probes
from specbuild.parity.random_data import (
    draw_cotangents,
    draw_input,
    draw_weight,
    perturb_arrays,
    random_generator,
)
from specbuild.parity.trace import TracedStep, trace_steps
from specbuild.runtimes.jobs import DType
from specbuild.runtimes.worker_jobs import Job, load_tensors, save_tensors

if TYPE_CHECKING:
    from specbuild.parity.case import Arrays

WEIGHT_KINDS = ("weight", "weight_gradient", "trained_weight_gradient", "statistic")


class CaseExchange:
    """The weights and inputs of one case, the jobs that are written for the workers, and their results.

    `weights`, `inputs` and `cotangents` are canonical. They are rounded to the dtype of the case, so that
    all files, and the reference in float64, start from the same numbers.
    """

    def __init__(self, case: ParityCase, folder: Path, lineup: Lineup):
        self.case, self.folder, self.reference = case, folder, lineup.reference
        self.backends = lineup.backends
        folder.mkdir()
        random = random_generator(case)
        compiled = {name: case.compile_for(name) for name in self.backends}
        self.locations = {name: model.weights for name, model in compiled.items()}
        self.sources = {name: case.sources.get(name) or model.source() for name, model in compiled.items()}
        reference_weights = self.locations[self.reference.backend.name]
        weights = case.weights or {w.path: draw_weight(w, random) for w in reference_weights}
        inputs = case.inputs or {n: draw_input(x, case, random) for n, x in case.model.inputs.items()}
        self.outputs = {(n or "output"): o.type for n, o in case.model.outputs.items()}
        self.output_orders = {(n or "output"): o.order for n, o in case.model.outputs.items()}
        self.weights, self.inputs = self.round_arrays(weights), self.round_arrays(inputs)
        self.cotangents = self.round_arrays(draw_cotangents(case, random))
        self.plans: dict[str, ProbePlan] = {}
        if case.steps:
            self.plans = {name: plan_probes(model) for name, model in compiled.items()}
        tops = {name: plan.top for name, plan in self.plans.items()}
        self.steps: dict[str, TracedStep] = {s.path: s for s in trace_steps(tops)} if tops else {}

    @property
    def needs_calibration(self) -> bool:
        is_random = self.case.calibrate and self.case.weights is None
        return is_random and self.reference.runtime.can_calibrate

    def round_arrays(self, arrays: Arrays) -> Arrays:
        return {key: round_to_dtype(value, self.case.dtype) for key, value in arrays.items()}

    def write_job(
        self,
        participant: Participant,
        label: str = "",
        dtype: DType | None = None,
        calibrate: bool = False,
        perturbation: tuple[int, float] | None = None,
    ) -> Job:
        """Write the files of one run, and return the job for the participant's worker.

        `label` is part of the file names, to keep several jobs of a participant apart. `dtype` is the type to
        compute in, if not that of the case. A `perturbation` (number, share) changes weights and inputs
        randomly by up to this share; the number selects the random stream.
        """
        case, backend, name = self.case, participant.backend, participant.backend.name
        weights, inputs = self.weights, self.inputs
        if perturbation is not None:
            number, share = perturbation
            random = np.random.default_rng([case.seed, number])
            weights, inputs = (perturb_arrays(arrays, share, random) for arrays in (weights, inputs))
        label = f"{name}_{participant.runtime.name}{label}"
        file = self.folder / f"model_{name}.py"
        file.write_text(self.sources[name], encoding="utf-8")
        arrays = {
            f"input:{n}": to_framework_order(v, case.model.inputs[n], backend) for n, v in inputs.items()
        }
        arrays |= {
            f"cotangent:{n}": to_framework_order(v, self.outputs[n], backend, self.output_orders[n])
            for n, v in self.cotangents.items()
        }
        return {
            "name": case.name,
            "backend": name,
            "file": str(file),
            "model": case.model.name,
            "dtype": dtype or case.dtype,
            "modes": case.modes,
            "steps": case.steps,
            "calibrate": calibrate,
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "probes": [p.to_json() for p in self.plans[name].probes] if case.steps else [],
            "weights": self.save_arrays(f"weights_{label}", to_framework(self.locations[name], weights)),
            "arrays": self.save_arrays(f"arrays_{label}", arrays),
            "out": str(self.folder / f"out_{label}.safetensors"),
        }

    def save_arrays(self, name: str, arrays: Arrays) -> str:
        file = str(self.folder / f"{name}.safetensors")
        save_tensors(file, arrays)
        return file

    def load_calibrated(self, job: Job) -> None:
        """Replace the weights by those that a calibration job has scaled."""
        scaled = from_framework(self.locations[job["backend"]], load_tensors(job["out"]))
        # integers that the spec gives are not scaled, and not among the results
        self.weights = self.round_arrays({p: scaled.get(p, value) for p, value in self.weights.items()})

    def pair_tensors(self, *jobs: Job) -> Iterator[tuple[str, str, Any, Any]]:
        """Yield the results of two jobs side by side: (kind, path, tensor of the first, tensor of the second).

        All tensors are canonical.
        """
        names = [job["backend"] for job in jobs]
        files = [ResultFile(job["out"]) for job in jobs]
        weights = [self.load_weights(name, file) for name, file in zip(names, files, strict=True)]
        for kind in WEIGHT_KINDS:
            a, b = (by_kind.get(kind, {}) for by_kind in weights)
            for path in a | b:
                if path in a and path in b:
                    yield kind, path, a[path], b[path]
                elif kind.endswith("gradient"):  # a framework may leave out a gradient that is zero
                    zero = 0 * (a | b)[path]
                    yield kind, path, a.get(path, zero), b.get(path, zero)
        yield from self.pair_rates(files)
        for key in files[0].keys:
            kind, _, path = key.partition(":")
            if kind in (*WEIGHT_KINDS, "rate") or key not in files[1].keys:
                continue
            if kind == "step" and path not in self.steps:
                continue
            a, b = (
                self.to_canonical(kind, path, name, file[key])
                for name, file in zip(names, files, strict=True)
            )
            yield kind, path, a, b

    def pair_rates(self, files: list[ResultFile]) -> Iterator[tuple[str, str, Any, Any]]:
        """Yield the dropout rates of both files, in graph order.

        A file may leave out a dropout with the rate 0. If there are other numbers of the rest, both lists are one pair.
        """
        a, b = (file.numbered_arrays("rate") for file in files)
        if len(a) != len(b):
            a, b = ([rate for rate in rates if rate] for rates in (a, b))
        if len(a) != len(b):
            yield "rate", "dropout", np.array(a), np.array(b)
            return
        paths = dropout_paths(self.case.model)
        if len(paths) != len(a):
            paths = [f"dropout.{i}" for i in range(len(a))]
        yield from (("rate", path, *both) for path, *both in zip(paths, a, b, strict=True))

    def unrecorded_steps(self, *jobs: Job) -> list[str]:
        """Return the paths of steps that are missing in the results of at least one of the jobs."""
        keys = [ResultFile(job["out"]).keys for job in jobs]
        return [path for path in self.steps if any(f"step:{path}" not in recorded for recorded in keys)]

    def load_weights(self, name: str, results: ResultFile) -> dict[str, Arrays]:
        """Return the weights, their gradients and the statistics of a result file, by kind and canonical path."""
        framework_tensors: dict[str, Arrays] = {}
        for key in results.keys:
            kind, _, path = key.partition(":")
            if kind in WEIGHT_KINDS:
                framework_tensors.setdefault(kind, {})[path] = results[key]
        canonical = {}
        for kind, tensors in framework_tensors.items():
            gradients = kind not in ("statistic", "weight")
            canonical[kind] = from_framework(self.locations[name], tensors, gradients=gradients)
        if "weight" in canonical:
            canonical["weight"] = self.average_sums(canonical["weight"], name)
        if "statistic" in canonical:
            statistics = convert_statistics(
                canonical["statistic"], self.case, self.weights, self.backends[name].has_unbiased_variance
            )
            canonical["statistic"] = statistics
        return canonical

    def average_sums(self, weights: Arrays, name: str) -> Arrays:
        """Convert the weights of a backend after a training step to those that the other backends would have.

        A backend may store the sum of two biases as one variable, which moves by one gradient. Where the
        summands are two parameters, each moves by that gradient, so the sum moves twice as far.
        """
        own_sums = summed_groups(self.locations[name])
        result = dict(weights)
        for locations in self.locations.values():
            for paths, group in summed_groups(locations).items():
                if paths in own_sums or not all(path in weights for path in paths):
                    continue
                [(tensor, after)] = to_framework(group, result).items()
                before = to_framework(group, self.weights)[tensor]
                result |= from_framework(group, {tensor: before + (after - before) / len(group)})
        return result

    def to_canonical(self, kind: str, path: str, name: str, value: Any) -> Any:
        """Convert a step's value, an output, or the gradient of an input from a backend's layout."""
        backend = self.backends[name]
        if kind == "step":
            step = self.steps[path]
            value = unfold_tensor(value, step.type, step.layouts[name])
            # a backend may compute a value that is the same for every sample as a batch
            is_shared = not all(layout.batched for layout in step.layouts.values())
            return value[0] if is_shared and step.layouts[name].batched else value
        if kind.endswith("output"):
            return from_framework_order(value, self.outputs[path], backend, self.output_orders[path])
        if kind.endswith("gradient"):
            return from_framework_order(value, self.case.model.inputs[path], backend)
        return value


def summed_groups(locations: list[WeightLocation]) -> dict[tuple[str, ...], list[WeightLocation]]:
    """Return the weights of which a backend stores only the sum, by their paths."""
    groups = group_by_tensor(locations).values()
    summed = [group for group in groups if len(group) > 1 and not is_stacked(group)]
    return {tuple(weight.path for weight in group): group for group in summed}


def dropout_paths(model: Block) -> list[str]:
    """Return the paths of all dropout steps that become a layer."""
    return [
        path
        for path, node, _ in walk_ops(model)
        if isinstance(node.op, Op)
        and node.reuses is None
        and (rate := node.op.dropout_rate()) is not None
        and not is_fixed(rate, 0)
    ]


class ResultFile:
    """A worker's results: a safetensors file with keys `kind:path`. Each array is read on access."""

    def __init__(self, file: str):
        import safetensors

        open_untyped: Any = safetensors.safe_open
        self.file = open_untyped(file, framework="np")
        self.keys = dict.fromkeys(self.file.keys())

    def numbered_arrays(self, kind: str) -> list[Any]:
        """Return the arrays `kind:0`, `kind:1`, ... in this order."""
        count = sum(key.startswith(f"{kind}:") for key in self.keys)
        return [self[f"{kind}:{i}"] for i in range(count)]

    def __getitem__(self, key: str) -> Any:
        return self.file.get_tensor(key)


def round_to_dtype(value: Any, dtype: DType) -> Any:
    """Round floats to the nearest value of a dtype; float16 and bfloat16 values are returned as float32."""
    if value.dtype.kind != "f" or dtype == "float64":
        return np.asarray(value, "float64") if value.dtype.kind == "f" else value
    value = np.array(value, "float32")
    if dtype == "float16":
        return value.astype("float16").astype("float32")
    if dtype == "bfloat16":  # the upper 16 bits of float32, rounded to nearest, ties to even
        bits = value.view("uint32")
        bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
        return bits.astype("uint32").view("float32")
    return value


def to_framework_order(value: Any, x: TensorType, backend: Backend, order: tuple[str, ...] = ()) -> Any:
    """Transpose a canonical value to the backend's axis order, or to `order`; a batch axis stays first."""
    order, lead = order or backend.natural_order(x), int(x.batched)
    return value.transpose(*range(lead), *(lead + x.axes.index(a) for a in order))


def from_framework_order(value: Any, x: TensorType, backend: Backend, order: tuple[str, ...] = ()) -> Any:
    """Transpose a framework's tensor, whose axes lie in the backend's order or in `order`, to canonical order.

    It stays unchanged if it has another number of axes.
    """
    order, lead = order or backend.natural_order(x), int(x.batched)
    if value.ndim != lead + len(order):
        return value
    return value.transpose(*range(lead), *(lead + order.index(a) for a in x.axes))


def unfold_tensor(value: Any, x: TensorType, layout: Layout) -> Any:
    """Convert a step's value from the layout it has in a framework; unchanged if the shape does not match."""
    if not layout.batched and value.ndim == len(layout.order) + 1 and len(value) == 1:
        value = value[0]  # a block that is used for values with a batch too gets a batch of one
    axes = (*layout.batch_axes, *layout.order)
    sizes = tuple(int(x[a]) for a in axes)
    batch_sizes = (value.size // int(np.prod(sizes)),) if layout.batched else ()
    shape = (*batch_sizes, *sizes)
    if value.size != int(np.prod(shape)) or value.ndim != len(layout.order) + layout.batched:
        return value
    return value.reshape(shape).transpose(
        *range(len(batch_sizes)), *(len(batch_sizes) + axes.index(a) for a in x.axes)
    )
