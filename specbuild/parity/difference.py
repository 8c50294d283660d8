"""Measure the difference of two tensors, and allow for conventions in which the frameworks differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from specbuild.expressions import concrete
from specbuild.ir.graph import Block
from specbuild.ops.base import Op, RunningStatistics
from specbuild.parity.case import ParityCase

if TYPE_CHECKING:
    from specbuild.parity.case import Arrays

# Some gradients are mathematically zero, such as that of a bias in front of a batch norm; computed, they are
# rounding noise. So the difference of a gradient is divided by at least this share of the largest gradient.
# The largest is taken over inputs and weights together: if a model has a single weight, a norm may make its
# gradient zero.
ZERO_SHARE = {"float64": 1e-4, "float32": 0.1, "bfloat16": 1.0, "float16": 1.0}
# In float64, a gradient counts as zero if both files give less than this share of the largest. An example is
# the shift of a norm in front of another norm. The largest share measured in such cases is 2e-13.
FLOAT64_ROUNDING = 1e-11
TINY = 1e-30
SMALL_SHARE = 1e-6  # like ZERO_SHARE, but for the kinds in BY_SIZE, and the same for every dtype

# The kinds of tensors that are compared, and their titles in a report.
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
SMALL_SHARE_KINDS = (
    "output",
    "step",
    "trained_output",
    "statistic",
    "rate",
)  # the kinds that use SMALL_SHARE
FORWARD = ("output", "step", "rate")
MASKED_KINDS = ("output", "step", "trained_output")  # the kinds that may have masked entries
GRADIENTS = ("gradient", "weight_gradient")
TRAINED_GRADIENTS = ("trained_gradient", "trained_weight_gradient")
# A tiny change of the inputs can change these a lot: at the corner of a ReLU, or in a batch norm over few
# numbers.
SENSITIVE_KINDS = (*GRADIENTS, *TRAINED_GRADIENTS, "weight", "trained_output", "statistic")
# Masked entries: at least how large they are, how far the sizes of one mask are apart, how many masks there
# are, and how large the other entries are in comparison.
MASK_SIZE, MASK_SPREAD, MAX_MASKS, MASK_SHARE = 5e3, 0.01, 4, 0.01


class Difference(Struct):
    """The difference between the reference's tensor `a` and the other's tensor `b`.

    `absolute` is the largest |a - b|, `size` the largest |a|. The last five fields are relative: divided by
    `size`, or by a share of the largest tensor of the kind (see `fill_relative`). If some entries are masked,
    both are those of the masked or of the other entries, whichever differ more, and `unmasked_size` is that
    of the other entries.
    """

    kind: str
    path: str
    absolute: float
    size: float
    elements: int = 0
    problem: str = ""  # why there is no number: another shape, or NaN
    deviation: float = 0.0  # the standard deviation of a
    relative: float = 0.0
    reference_error: float | None = None  # distance of `a` from the reference in float64; None: not measured
    other_error: float | None = None  # distance of `b` from the reference in float64
    sensitivity: float = 0.0  # change of the reference when weights and inputs change slightly
    other_sensitivity: float = 0.0  # change of `b` when weights and inputs change by rounding
    unmasked_size: float | None = None  # None if no entry is masked

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.path}"

    @property
    def is_beyond_rounding(self) -> bool:
        """Whether the difference is more than 100 times the reference's own rounding error."""
        return self.reference_error is not None and self.reference_error < self.relative / 100


def measure_difference(
    kind: str, path: str, a: Any, b: Any, titles: tuple[str, str] = ("a", "b")
) -> Difference:
    """Compare the reference's `a` with the other's `b`.

    Infinities of the same sign are equal; NaN is never equal, not even to NaN. `titles` are the names of the
    two sides, for the text of a problem.
    """
    if a.shape != b.shape:
        problem = f"{titles[0]} has shape {tuple(a.shape)}, {titles[1]} {tuple(b.shape)}"
        return Difference(kind, path, float("inf"), 0.0, a.size, problem)
    if not a.size:
        return Difference(kind, path, 0.0, 0.0)
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    if with_nan := [name for name, value in zip(titles, (a, b), strict=True) if np.isnan(value).any()]:
        problem = f"{with_nan[0]} gives NaN" if len(with_nan) == 1 else "both give NaN"
        return Difference(kind, path, float("inf"), 0.0, a.size, problem)
    with np.errstate(invalid="ignore"):
        distances = np.where(a == b, 0.0, np.abs(a - b))
    finite = a[np.isfinite(a)]
    deviation = float(finite.std()) if finite.size else 0.0
    sizes = np.where(np.isfinite(a), np.abs(a), 0.0)
    masked = find_masked(sizes) if kind in MASKED_KINDS else np.zeros(a.shape, bool)
    parts = [
        (float(distances[part].max(initial=0.0)), float(sizes[part].max(initial=0.0)))
        for part in (~masked, masked)
    ]
    absolute, size = max(parts, key=lambda part: part[0] / max(part[1], TINY))
    unmasked_size = parts[0][1] if masked.any() else None
    return Difference(kind, path, absolute, size, a.size, deviation=deviation, unmasked_size=unmasked_size)


def find_masked(sizes: Any) -> Any:
    """Return the entries that a mask such as -1e30 has filled: beside them, all other entries and errors look small.

    They are large, they have few different sizes, since several masks add up, and the others are much smaller.
    """
    is_large = sizes >= MASK_SIZE
    large = np.sort(sizes[is_large])
    if not large.size:
        return is_large
    gaps = np.flatnonzero(large[1:] > (1 + MASK_SPREAD) * large[:-1])
    first, last = large[[0, *(gaps + 1)]], large[[*gaps, -1]]
    is_mask = len(first) <= MAX_MASKS and (last <= (1 + 2 * MASK_SPREAD) * first).all()
    is_apart = sizes[~is_large].max(initial=0.0) <= MASK_SHARE * large[0]
    return is_large & bool(is_mask and is_apart)


def fill_relative(differences: list[Difference], dtype: str) -> None:
    """Set `relative` of each difference: `absolute` divided by the size of the tensor.

    If a share of the largest tensor of the same kind is more than that size, it is the divisor. Gradients of
    inputs and of weights count as one kind.
    """
    largest: dict[str, float] = {}
    for d in differences:
        size = d.size if d.unmasked_size is None else d.unmasked_size
        largest[d.kind] = max(largest.get(d.kind, 0.0), size)
    for kinds in (GRADIENTS, TRAINED_GRADIENTS):
        largest |= dict.fromkeys(kinds, max(largest.get(kind, 0.0) for kind in kinds))
    for d in differences:
        share = SMALL_SHARE if d.kind in SMALL_SHARE_KINDS else ZERO_SHARE[dtype]
        if (
            dtype == "float64"
            and "gradient" in d.kind
            and d.size + d.absolute <= FLOAT64_ROUNDING * largest[d.kind]
        ):
            share = 1.0
        scale = max(d.size, share * largest[d.kind], TINY)
        d.relative = float("inf") if d.problem else d.absolute / scale if d.absolute else 0.0


def convert_statistics(statistics: Arrays, case: ParityCase, weights: Arrays, is_unbiased: bool) -> Arrays:
    """Convert running variances over n - 1 (unbiased) to those over n.

    Norms that a model calls several times are left out: their statistics depend on the order of the calls,
    and a functional Keras model chooses its own.
    """
    result = dict(statistics)
    for path, (running, counts) in statistics_uses(case.model, case.batch).items():
        if len(counts) > 1:
            for name in (*running.means, *running.variances):
                result.pop(f"{path}.{name}", None)
            continue
        for key in (f"{path}.{name}" for name in running.variances if is_unbiased):
            if key in result and not (result[key] == weights[key]).all():  # else it is frozen
                old_part = (1 - concrete(running.momentum)) * weights[key]
                result[key] = (result[key] - old_part) * (counts[0] - 1) / counts[0] + old_part
    return result


def statistics_uses(model: Block, batch: int) -> dict[str, tuple[RunningStatistics, list[int]]]:
    """Return the running statistics of each step by its path, with the number of values per channel in each call."""
    uses_by_path: dict[str, tuple[RunningStatistics, list[int]]] = {}

    def visit(block: Block, path: tuple[str, ...], batch: int) -> None:
        for node in block.nodes:
            here = (*path, node.reuses or node.name)
            if isinstance(node.op, Block):
                positions = concrete(node.scan.size) if node.scan else 1
                if node.scan and not node.scan.has_state:
                    visit(node.op, here, batch * positions)
                    continue
                for _ in range(positions):
                    visit(node.op, here, batch)
            elif isinstance(node.op, Op) and (updated := node.op.running_statistics()) is not None:
                assert node.inputs[0] is not None
                x = block.value_type(node.inputs[0])
                count = batch * x.element_count // concrete(x[updated.axis])
                uses_by_path.setdefault(".".join(here), (updated, []))[1].append(count)

    visit(model, (), batch)
    return uses_by_path
