"""A weight of the model beside what a file has for it, in another size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from specbuild.compiler.weight_locations import WeightLocation
from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.ir.graph import Block, Node
from specbuild.ops.base import Op

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True)
class MismatchedWeight:
    """The weight, its step and the block that holds it, and the file's tensor in canonical order."""

    location: WeightLocation
    block: Block
    node: Node
    value: Array

    @property
    def axis_names(self) -> tuple[str, ...]:
        """The names of its axes."""
        assert isinstance(self.node.op, Op)
        types = [None if ref is None else self.block.value_type(ref) for ref in self.node.inputs]
        return tuple(self.node.op.weight_specs(*types)[self.location.name].axes)

    @property
    def differing_axes(self) -> list[int]:
        """The axes along which it is longer or shorter than in the file."""
        pairs = zip(self.value.shape, self.location.shape, strict=True)
        return [i for i, (old, new) in enumerate(pairs) if old != new]

    def reject_mode(self, mode: str, reason: str, hint: str = "") -> NoReturn:
        """SB807: it cannot be adapted so."""
        sizes = f"{self.location.path} is {self.location.shape}, and {self.value.shape} in the file"
        raise SpecError("SB807", f"{make_printable(sizes, 400)}: {mode} {reason}", hint=hint)
