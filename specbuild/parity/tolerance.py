"""How far apart two files may be, and why just so far."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from specbuild.backends.float32_constants import rounding_reasons
from specbuild.ir.graph import Block, walk_ops
from specbuild.ops import Op
from specbuild.parity.difference import Difference
from specbuild.runtimes.jobs import DType, Runtime

Verdict = Literal["equal", "close", "rounded", "differs"]
VERDICTS: tuple[Verdict, ...] = ("equal", "close", "rounded", "differs")  # the later, the worse
# As far as this share of a difference PyTorch must be from the truth, or one of both must move, to be called rounded.
ROUNDING_SHARE = 1 / 3
# The last digit of a type, as a share; in float64 for what Keras rounds to float32 inside.
LAST_DIGIT = {"float64": 2.0**-23, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


@dataclass(frozen=True)
class Tolerance:
    """A relative difference above `fails` is one; above `warns` it is worth a look."""

    fail_above: float
    warn_above: float
    reason: str
    excludes_rounding: bool = False  # whether nothing that is found can be rounding

    @property
    def perturbation(self) -> float:
        """By how much numbers may be moved to see what rounding does: by what is still called equal."""
        return self.warn_above

    def judge_difference(self, d: Difference) -> Verdict:
        """`rounded` is what the type cannot tell: PyTorch's own numbers are, or move, as far from those in float64
        as the files are from each other, or Keras' numbers move as far by their last digit."""
        if d.relative <= self.warn_above:
            return "equal"
        if d.relative <= self.fail_above:
            return "close"
        if self.excludes_rounding or d.torch_error is None or not isfinite(d.relative):
            return "differs"
        return (
            "rounded"
            if max(d.torch_error, d.sensitivity, d.keras_sensitivity) >= ROUNDING_SHARE * d.relative
            else "differs"
        )


EXACT = Tolerance(1e-9, 1e-9, "float64; no step has constants in float32", excludes_rounding=True)
HALF = 2e-2


def choose_tolerance(model: Block, dtype: DType, runtime: Runtime, tf32: bool = False) -> Tolerance:
    """What is allowed for this model; measured floors are 7e-16 in float64 and 8e-6 in float32."""
    if dtype in ("bfloat16", "float16"):
        return Tolerance(HALF, HALF, f"{dtype} keeps {8 if dtype == 'bfloat16' else 11} bits")
    if tf32 and dtype == "float32":
        return Tolerance(HALF, HALF, "TF32 keeps 11 bits of what is multiplied")
    if dtype == "float32":
        return Tolerance(1e-4, 1e-5, "float32; a wrong convention shows above 1e-4")
    if runtime != "tensorflow":
        return Tolerance(1e-4, 1e-5, f"float64, which Keras rounds to float32 inside on {runtime}")
    constants = (
        rounding_reasons(node.op, block.value_type(node.inputs[0]))
        for _, node, block in walk_ops(model)
        if isinstance(node.op, Op) and node.inputs and node.inputs[0] is not None
    )
    why = "; ".join(dict.fromkeys(reason for some in constants for reason in some))
    return Tolerance(1e-6, 1e-6, f"float64; {why}", excludes_rounding=True) if why else EXACT
