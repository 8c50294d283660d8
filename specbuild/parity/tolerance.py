"""Choose how far two files may differ for a model and a dtype, and judge differences by it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from math import isfinite
from typing import Literal

from msgspec import Struct
from msgspec.structs import force_setattr, replace

from specbuild.ir.graph import Block, walk_ops
from specbuild.ops import Op
from specbuild.ops.types import TensorType
from specbuild.parity.case import ParityCase
from specbuild.parity.difference import Difference, statistics_uses
from specbuild.parity.participants import Participant
from specbuild.runtimes.jobs import DType

Verdict = Literal["equal", "close", "rounded", "differs"]
VERDICTS: tuple[Verdict, ...] = ("equal", "close", "rounded", "differs")  # from best to worst
# A difference is called rounding if the reference's error, or one of the two sensitivities, is at least this
# share of it.
ROUNDING_SHARE = 1 / 3
# The relative size of the last digit. In float64 it is that of float32, to which some runtimes round.
LAST_DIGIT = {"float64": 2.0**-23, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


class Tolerance(Struct, frozen=True):
    """Bounds for relative differences: equal up to `warn_above`, close up to `fail_above`."""

    fail_above: float
    warn_above: float
    reason: str
    excludes_rounding: bool = False  # whether the bounds are so wide that rounding cannot exceed them
    # By what share weights and inputs of the reference are changed to see the effect of rounding.
    perturbation: float = 0.0
    perturbs_other: bool = True  # whether those of the other are changed too, in their last digit

    def __post_init__(self) -> None:
        if not self.perturbation:
            force_setattr(self, "perturbation", self.warn_above)

    def judge_difference(self, d: Difference) -> Verdict:
        """Return the verdict on one tensor; `rounded` where rounding alone could explain the difference."""
        if d.relative <= self.warn_above:
            return "equal"
        if d.relative <= self.fail_above:
            return "close"
        if self.excludes_rounding or d.reference_error is None or not isfinite(d.relative):
            return "differs"
        rounding = max(d.reference_error, d.sensitivity, d.other_sensitivity)
        return "rounded" if rounding >= ROUNDING_SHARE * d.relative else "differs"


FEW_VALUES = 2  # a batch norm of so few values in training gives nearly +1 and -1: its gradient is rounding
FLOAT64_PERTURBATION = 1e-13
EXACT = Tolerance(1e-9, 1e-9, "float64; no step uses float32 constants", excludes_rounding=True)
REDUCED_PRECISION = 2e-2  # the bound for dtypes with 8 to 11 bits of precision


def choose_case_tolerance(
    case: ParityCase, participants: Collection[Participant], tf32: bool = False
) -> Tolerance:
    """Return the tolerance for a case: that of its model, but rounding can exceed it in training on few values."""
    tolerance = choose_tolerance(case.model, case.dtype, participants, tf32)
    if tolerance.excludes_rounding and "train" in case.modes and scarce_statistics(case.model, case.batch):
        return replace(
            tolerance,
            excludes_rounding=False,
            perturbation=FLOAT64_PERTURBATION,
            perturbs_other=False,
        )
    return tolerance


def scarce_statistics(model: Block, batch: int) -> list[str]:
    """Return the steps whose statistics are computed from so few values that they amplify rounding."""
    uses = statistics_uses(model, batch)
    return [path for path, (_, counts) in uses.items() if min(counts) <= FEW_VALUES]


def choose_tolerance(
    model: Block, dtype: DType, participants: Collection[Participant], tf32: bool = False
) -> Tolerance:
    """Return the tolerance for a model. Measured on correct files: 7e-16 in float64, 8e-6 in float32."""
    if dtype in ("bfloat16", "float16"):
        return Tolerance(
            REDUCED_PRECISION, REDUCED_PRECISION, f"{dtype} keeps {8 if dtype == 'bfloat16' else 11} bits"
        )
    if tf32 and dtype == "float32":
        return Tolerance(REDUCED_PRECISION, REDUCED_PRECISION, "TF32 keeps 11 bits of each factor")
    if dtype == "float32":
        return Tolerance(1e-4, 1e-5, "float32; a wrong convention gives more than 1e-4")
    for participant in participants:
        if participant.runtime.rounds_float64:
            return Tolerance(1e-4, 1e-5, f"float64, but {participant.title} rounds to float32 internally")
    reasons = dict.fromkeys(
        reason
        for _, node, block in walk_ops(model)
        if isinstance(node.op, Op) and node.inputs and node.inputs[0] is not None
        for reason in rounding_reasons(node.op, block.value_type(node.inputs[0]), participants)
    )
    if reasons:
        return Tolerance(1e-6, 1e-6, f"float64; {'; '.join(reasons)}", excludes_rounding=True)
    return EXACT


def rounding_reasons(op: Op, x: TensorType, participants: Iterable[Participant]) -> Iterator[str]:
    """Yield why an op with this first input is not computed in float64 throughout."""
    for participant in participants:
        constant = participant.backend.float32_constants.get(type(op))
        if constant is not None and constant.applies(op, x):
            yield constant.reason
