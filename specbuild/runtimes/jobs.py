"""A case to compare, and the options of the worker processes that run it."""

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
Device = Literal["cpu", "cuda"]

MODES: tuple[Mode, ...] = ("forward", "gradients", "train")
DTYPES: tuple[DType, ...] = ("float64", "float32", "bfloat16", "float16")

LEARNING_RATE = 0.1  # of the training step


@dataclass
class ParityCase:
    """One model to compare: with which weights and inputs, in which modes and dtype.

    `weights` and `inputs` are canonical; if they are None, they are drawn at random. `sources` are the
    emitted files by backend; a missing one is compiled from `model`. With `steps`, the value of every step is
    compared. With `calibrate`, random weights are scaled so that each step's output has a standard deviation
    near one. `digest` identifies the spec.
    """

    name: str
    model: Block
    weights: Arrays | None = None
    inputs: Arrays | None = None
    modes: tuple[Mode, ...] = ("forward", "gradients")
    dtype: DType = "float64"
    batch: int = 2
    seed: int = 0
    integer_limit: int | None = None  # integer inputs are smaller than this; None: chosen from the model
    sources: Mapping[str, str] = field(default_factory=dict)
    steps: bool = False
    calibrate: bool = False
    digest: str = ""


@dataclass(frozen=True)
class WorkerOptions:
    """How worker processes run: the device, whether TF32 is allowed, seconds per job, and CPU threads."""

    device: Device = "cpu"
    tf32: bool = False
    timeout: float = 600
    threads: int = 1
