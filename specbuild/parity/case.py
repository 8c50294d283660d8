"""A case to compare: a model with its weights and inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.compiler.compiled_model import CompiledModel
from specbuild.compiler.free_sizes import Resized
from specbuild.compiler.model_compiler import ModelCompiler
from specbuild.ir.graph import Block
from specbuild.runtimes.jobs import DTYPES, MODES, DType, Mode

if TYPE_CHECKING:
    import numpy as np

    Arrays: TypeAlias = dict[str, np.ndarray[Any, Any]]


class ParityCase(Struct):
    """One model to compare: with which weights and inputs, in which modes and dtype.

    `weights` and `inputs` are canonical; if they are None, they are drawn at random. `sources` are the
    emitted files by backend; a missing one is compiled from `model`. With `steps`, the value of every step is
    compared. With `calibrate`, random weights are scaled so that each step's output has a standard deviation
    near one. `digest` identifies the spec. `compiler` is what has compiled the model already.
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
    resized: tuple[Resized, ...] = ()  # the model at other sizes, if some can be any
    compiler: ModelCompiler | None = None  # copies of a case, such as one for another seed, share it

    def __post_init__(self) -> None:
        for known, given in ((MODES, self.modes), (DTYPES, (self.dtype,))):
            for value in given:
                if value not in known:
                    raise ValueError(f"{value!r} is none of {', '.join(known)}")
        model = self.model
        if self.compiler is None or self.compiler.graph is not model:
            self.compiler = ModelCompiler(model, lambda: model.variations)

    def at_other_sizes(self) -> dict[str, ParityCase]:
        """Return the same files with inputs of other sizes, by what to call them: `T: 32`."""
        return {
            other.label: replace(self, name=f"{self.name} at {other.label}", model=other.graph, resized=())
            for other in self.resized
        }

    def compile_for(self, backend: str) -> CompiledModel:
        """Return the model compiled for a backend."""
        assert self.compiler is not None
        return self.compiler.compile_for(backend)
