"""How far apart two files may be, and why just so far."""

from __future__ import annotations

from dataclasses import dataclass

from specbuild.backends.rounding import ROUNDED
from specbuild.graph import Block, instances
from specbuild.parity.case import DType, Runtime


@dataclass(frozen=True)
class Tolerance:
    """A relative difference above `fails` is one; above `warns` it is worth a look."""

    fails: float
    warns: float
    why: str


EXACT = Tolerance(1e-9, 1e-9, "float64; no step has constants in float32")
HALF = 2e-2


def tolerance(model: Block, dtype: DType, runtime: Runtime, tf32: bool = False) -> Tolerance:
    """What is allowed for this model; measured floors are 7e-16 in float64 and 8e-6 in float32."""
    if dtype in ("bfloat16", "float16"):
        return Tolerance(HALF, HALF, f"{dtype} keeps {8 if dtype == 'bfloat16' else 11} bits")
    if tf32:
        return Tolerance(HALF, HALF, "TF32 keeps 11 bits of what is multiplied")
    if dtype == "float32":
        return Tolerance(1e-4, 1e-5, "float32; a wrong convention shows above 1e-4")
    if runtime != "tensorflow":
        return Tolerance(1e-4, 1e-5, f"float64, which Keras rounds to float32 inside on {runtime}")
    rounded = {type(node.op) for _, node, _ in instances(model)} & set(ROUNDED)
    reasons = [why for op, why in ROUNDED.items() if op in rounded]
    return Tolerance(1e-6, 1e-6, f"float64; {'; '.join(reasons)}") if reasons else EXACT
