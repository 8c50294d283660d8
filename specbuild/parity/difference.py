"""How far two tensors are apart, and how their frameworks' conventions are taken into account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from specbuild.expressions import concrete
from specbuild.ir.graph import Block
from specbuild.ops.norm import BatchNorm
from specbuild.runtimes.jobs import ParityCase

if TYPE_CHECKING:
    from specbuild.runtimes.jobs import Arrays

# A gradient this much smaller than the largest is zero but for rounding: that of a bias in front of a batch norm,
# say. It is measured by this share of the largest, of inputs or of weights: a norm may undo all that a model's
# only weight does.
ZERO_SHARE = {"float64": 1e-4, "float32": 0.1, "bfloat16": 1.0, "float16": 1.0}
# In float64, a gradient is nothing if both frameworks give less than this share of the largest: the shift of a norm
# that another norm undoes, measured at 2e-13 where the norms stretch numbers that are all equal.
FLOAT64_ROUNDING = 1e-11
SMALL_SHARE = 1e-6  # the same for outputs, steps and statistics, in every type

# What is compared, and how a report speaks of it.
KIND_TITLES = {
    "output": "outputs",
    "step": "steps",
    "gradient": "gradients of inputs",
    "weight_gradient": "gradients of weights",
    "trained_output": "outputs in training",
    "trained_gradient": "gradients of inputs in training",
    "trained_weight_gradient": "gradients of weights in training",
    "weight": "weights after one step",
    "statistic": "running statistics",
    "rate": "dropout rates",
}
BY_SIZE = ("output", "step", "trained_output", "statistic", "rate")  # each is measured by its own size
FORWARD = ("output", "step", "rate")
GRADIENTS = ("gradient", "weight_gradient")
TRAINED_GRADIENTS = ("trained_gradient", "trained_weight_gradient")
# What corners make jump, and what a norm of few numbers stretches in training.
SENSITIVE_KINDS = (*GRADIENTS, *TRAINED_GRADIENTS, "weight", "trained_output", "statistic")


@dataclass
class Difference:
    """Of one tensor: the largest |a - b|, the largest |a|, and whether one of them holds a number that is none.

    What is relative is so to the tensor's size.
    """

    kind: str
    path: str
    absolute: float
    size: float
    elements: int = 0
    problem: str = ""  # why no difference can be told
    deviation: float = 0.0  # the standard deviation of a
    relative: float = 0.0
    torch_error: float | None = None  # relative, from the truth in float64
    keras_error: float | None = None
    sensitivity: float = 0.0  # relative: how far the truth moves when weights and inputs do
    keras_sensitivity: float = 0.0  # relative: how far Keras' numbers move when these do in their last digit

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.path}"

    @property
    def is_beyond_rounding(self) -> bool:
        """Whether rounding in PyTorch is less than a hundredth of it: small, but not as rounding is."""
        return self.torch_error is not None and self.torch_error < self.relative / 100


def measure_difference(kind: str, path: str, a: Any, b: Any) -> Difference:
    """Of PyTorch's `a` and Keras' `b`; infinities that agree are equal."""
    if a.shape != b.shape:
        problem = f"PyTorch has shape {tuple(a.shape)}, Keras {tuple(b.shape)}"
        return Difference(kind, path, float("inf"), 0.0, a.size, problem)
    if not a.size:
        return Difference(kind, path, 0.0, 0.0)
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    if broken := [name for name, value in (("PyTorch", a), ("Keras", b)) if np.isnan(value).any()]:
        problem = f"{broken[0]} gives NaN" if len(broken) == 1 else "both give NaN"
        return Difference(kind, path, float("inf"), 0.0, a.size, problem)
    with np.errstate(invalid="ignore"):
        apart = np.where(a == b, 0.0, np.abs(a - b))
    finite = a[np.isfinite(a)]
    deviation = float(finite.std()) if finite.size else 0.0
    return Difference(
        kind, path, float(apart.max()), float(np.abs(finite).max(initial=0.0)), a.size, deviation=deviation
    )


def fill_relative(differences: list[Difference], dtype: str) -> None:
    """Fill in the relative differences: by the size of the tensor, or by a share of the largest of its kind;
    gradients of inputs and of weights are one kind."""
    largest: dict[str, float] = {}
    for d in differences:
        largest[d.kind] = max(largest.get(d.kind, 0.0), d.size)
    for kinds in (GRADIENTS, TRAINED_GRADIENTS):
        largest |= dict.fromkeys(kinds, max(largest.get(kind, 0.0) for kind in kinds))
    for d in differences:
        share = SMALL_SHARE if d.kind in BY_SIZE else ZERO_SHARE[dtype]
        if (
            dtype == "float64"
            and "gradient" in d.kind
            and d.size + d.absolute <= FLOAT64_ROUNDING * largest[d.kind]
        ):
            share = 1.0
        scale = max(d.size, share * largest[d.kind], 1e-30)
        d.relative = float("inf") if d.problem else d.absolute / scale if d.absolute else 0.0


def align_variances(statistics: Arrays, case: ParityCase, weights: Arrays) -> Arrays:
    """PyTorch's running variances as Keras keeps them: it divides by n, where PyTorch divides by n - 1.

    The statistics of a norm that is used several times are left out: they hang on which use comes last, and a
    functional model of Keras calls its layers in an order of its own.
    """
    result = dict(statistics)
    for path, (op, counts) in batch_norm_uses(case.model, case.batch).items():
        if len(counts) > 1:
            for name in ("mean", "variance"):
                result.pop(f"{path}.{name}", None)
        elif (key := f"{path}.variance") in result and not (result[key] == weights[key]).all():  # else frozen
            kept = (1 - concrete(op.momentum)) * weights[key]
            result[key] = (result[key] - kept) * (counts[0] - 1) / counts[0] + kept
    return result


def batch_norm_uses(model: Block, batch: int) -> dict[str, tuple[BatchNorm, list[int]]]:
    """Every batch norm by its path, with the number of values that each use of it sees."""
    uses_by_path: dict[str, tuple[BatchNorm, list[int]]] = {}

    def visit(block: Block, path: tuple[str, ...]) -> None:
        for node in block.nodes:
            here = (*path, node.reuses or node.name)
            if isinstance(node.op, Block):
                visit(node.op, here)
            elif isinstance(node.op, BatchNorm) and node.inputs[0] is not None:
                x = block.value_type(node.inputs[0])
                count = batch * x.element_count // concrete(x[node.op.over])
                uses_by_path.setdefault(".".join(here), (node.op, []))[1].append(count)

    visit(model, ())
    return uses_by_path
