"""Choose how far two files may differ for a model and a dtype, and judge differences by it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from specbuild.backends.float32_constants import rounding_reasons
from specbuild.ir.graph import Block, walk_ops
from specbuild.ops import Op
from specbuild.parity.difference import Difference
from specbuild.runtimes.jobs import DType
from specbuild.runtimes.runtime import Runtime

Verdict = Literal["equal", "close", "rounded", "differs"]
VERDICTS: tuple[Verdict, ...] = ("equal", "close", "rounded", "differs")  # from best to worst
# A difference is called rounding if the reference's error, or one of the two sensitivities, is at least this
# share of it.
ROUNDING_SHARE = 1 / 3
# The relative size of the last digit. In float64 it is that of float32, to which some runtimes round.
LAST_DIGIT = {"float64": 2.0**-23, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


@dataclass(frozen=True)
class Tolerance:
    """Bounds for relative differences: equal up to `warn_above`, close up to `fail_above`."""

    fail_above: float
    warn_above: float
    reason: str
    excludes_rounding: bool = False  # whether the bounds are so wide that rounding cannot exceed them

    @property
    def perturbation(self) -> float:
        """By what share weights and inputs are changed to see the effect of rounding."""
        return self.warn_above

    def judge_difference(self, d: Difference) -> Verdict:
        """The verdict on one tensor; `rounded` where rounding alone could explain the difference."""
        if d.relative <= self.warn_above:
            return "equal"
        if d.relative <= self.fail_above:
            return "close"
        if self.excludes_rounding or d.reference_error is None or not isfinite(d.relative):
            return "differs"
        rounding = max(d.reference_error, d.sensitivity, d.other_sensitivity)
        return "rounded" if rounding >= ROUNDING_SHARE * d.relative else "differs"


EXACT = Tolerance(1e-9, 1e-9, "float64; no step uses float32 constants", excludes_rounding=True)
HALF = 2e-2  # the bound for dtypes with 8 to 11 bits of precision


def choose_tolerance(model: Block, dtype: DType, runtime: Runtime, tf32: bool = False) -> Tolerance:
    """The tolerance for a model. Measured on correct files: 7e-16 in float64, 8e-6 in float32."""
    if dtype in ("bfloat16", "float16"):
        return Tolerance(HALF, HALF, f"{dtype} keeps {8 if dtype == 'bfloat16' else 11} bits")
    if tf32 and dtype == "float32":
        return Tolerance(HALF, HALF, "TF32 keeps 11 bits of each factor")
    if dtype == "float32":
        return Tolerance(1e-4, 1e-5, "float32; a wrong convention gives more than 1e-4")
    if runtime.rounds_float64:
        return Tolerance(1e-4, 1e-5, f"float64, but {runtime.title} rounds to float32 internally")
    reasons = dict.fromkeys(
        reason
        for _, node, block in walk_ops(model)
        if isinstance(node.op, Op) and node.inputs and node.inputs[0] is not None
        for reason in rounding_reasons(node.op, block.value_type(node.inputs[0]))
    )
    if reasons:
        return Tolerance(1e-6, 1e-6, f"float64; {'; '.join(reasons)}", excludes_rounding=True)
    return EXACT
