"""The options of worker processes, and what a parity job can ask for."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Mode = Literal["forward", "gradients", "train"]
DType = Literal["float64", "float32", "bfloat16", "float16"]
Device = Literal["cpu", "cuda"]

MODES: tuple[Mode, ...] = ("forward", "gradients", "train")
DTYPES: tuple[DType, ...] = ("float64", "float32", "bfloat16", "float16")

LEARNING_RATE = 0.1  # of the training step


class WorkerOptions(Struct, frozen=True):
    """How worker processes run: the device, whether TF32 is allowed, seconds per job, and CPU threads."""

    device: Device = "cpu"
    tf32: bool = False
    timeout: float = 600
    threads: int = 1
