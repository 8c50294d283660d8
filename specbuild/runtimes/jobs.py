"""What is compared: one model, on which numbers, in which modes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from specbuild.ir.graph import Block

if TYPE_CHECKING:
    import numpy as np

    Arrays: TypeAlias = dict[str, np.ndarray[Any, Any]]

Mode = Literal["forward", "gradients", "train"]
DType = Literal["float64", "float32", "bfloat16", "float16"]
Runtime = Literal["tensorflow", "jax", "torch"]
Device = Literal["cpu", "cuda"]

MODES: tuple[Mode, ...] = ("forward", "gradients", "train")
DTYPES: tuple[DType, ...] = ("float64", "float32", "bfloat16", "float16")
RUNTIMES: tuple[Runtime, ...] = ("tensorflow", "jax", "torch")

LEARNING_RATE = 0.1  # of the optimiser's step


@dataclass
class ParityCase:
    """One model to compare. `weights` and `inputs` are canonical; what is not given is drawn at random.

    `sources` are the files by backend, if they are not to be compiled from the model; `steps` asks for every step
    of them, `calibrated` for drawn weights that give each step a spread near one. `digest` tells the spec that it is of.
    """

    name: str
    model: Block
    weights: Arrays | None = None
    inputs: Arrays | None = None
    modes: tuple[Mode, ...] = ("forward", "gradients")
    dtype: DType = "float64"
    batch: int = 2
    seed: int = 0
    integer_limit: int | None = (
        None  # integer inputs are drawn below this; None: below what the model can take
    )
    sources: Mapping[str, str] = field(default_factory=dict)
    steps: bool = False
    calibrate: bool = False
    digest: str = ""


@dataclass(frozen=True)
class WorkerOptions:
    """Where cases are run: the device, whether matrix products may be rounded to TF32, for how long."""

    device: Device = "cpu"
    tf32: bool = False
    timeout: float = 600
    threads: int = 1
