"""A weight of the model, together with a tensor of another size from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from msgspec import Struct

from specbuild.compiler.weight_locations import WeightLocation
from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.ir.graph import Block, Node

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


class MismatchedWeight(Struct, frozen=True):
    """A weight, its step, the block of that step, and the file's tensor in canonical order."""

    location: WeightLocation
    block: Block
    node: Node
    value: Array

    @property
    def axis_names(self) -> tuple[str, ...]:
        """The names of the weight's axes."""
        return tuple(self.location.spec.axes)

    @property
    def differing_axes(self) -> list[int]:
        """The indices of the axes whose sizes differ."""
        pairs = zip(self.value.shape, self.location.shape, strict=True)
        return [i for i, (old, new) in enumerate(pairs) if old != new]

    def reject_mode(self, mode: str, reason: str, hint: str = "") -> NoReturn:
        """Raise SpecError SB807: a mode cannot adapt this weight."""
        change = f"{self.location.path} from {self.value.shape} in the file to {self.location.shape}"
        raise SpecError("SB807", f"{mode} cannot adapt {make_printable(change, 400)}: {reason}", hint=hint)
